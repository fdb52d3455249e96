"""Responses that are damaged in one or several ways."""

import gzip
import json
import random
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module

from fuzz.damage import damage_bytes, damage_json
from fuzz.samples import BODIES, ERRORS

STATUSES = (
    201, 202, 204, 205, 206, 226, 300, 304, 400, 401, 401, 402, 403, 404, 405, 408, 409, 410, 413,
    418, 422, 425, 429, 429, 451, 500, 500, 502, 503, 504, 511, 599, 600, 999,
)  # fmt: skip
STATUS_LINES = (
    b"HTTP/1.1 200", b"HTTP/1.0 200 OK", b"HTTP/9.9 200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK",
    b"ICY 200 OK", b"HTTP/1.1  200 OK", b"http/1.1 200 ok", b"HTTP/1.1 -20 OK", b"HTTP/1.1 abc OK",
    b"HTTP/1.1 200 \xff\xfe", b"HTTP/1.1 101 Switching Protocols", b"\x16\x03\x01\x02", b"",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK", b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK",
    b"HTTP/1.1 100 Continue", b"HTTP/1.1 200 " + b"x" * 9000, b"SSH-2.0-OpenSSH", b"HTTP/2 200",
    b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK",
)  # fmt: skip
HEADERS = (
    b"Retry-After: Wed, 99 Foo", b"Retry-After: -5", b"Retry-After: 1e999", b"Retry-After: 0.0",
    b"Retry-After: 999999999999999999999", b"Retry-After: \xd9\xa3", b"Date: yesterday",
    b"Date: Thu, 01 Jan 0001 00:00:00 +2359", b"Date: Fri, 31 Dec 9999 23:59:59 -2359",
    b"X-Request-Id: \xff\xfe", b"Content-Type: \xff/\xff",
    b"Content-Type: text/html; charset=utf-99",
    b"Content-Type: image/png; charset=rot13", b"Set-Cookie: a=b", b"Set-Cookie: =;;\x01",
    b"Connection: close", b"Connection: upgrade\r\nUpgrade: h2c", b"X-Long: " + b"x" * 9000,
    b"bad header", b": no name", b"Space : x", b" folded: x", b"X-Nul: a\x00b", b"X: a\rb",
    b"\r\n".join(b"X-%d: x" % number for number in range(300)), b"Trailer: X", b"Age: -1",
    b"Content-Range: bytes 0-1/5", b'WWW-Authenticate: Bearer error="\xff', b'metadata: {"',
)  # fmt: skip
LOCATIONS = (
    b"https://a..b/", b"http://[::1", b"//x", b"", b"/", b"?x", b"http://127.0.0.1:99999/",
    b"http://127.0.0.1:1/", b"ftp://x/y", b"javascript:1", b"https://user:secret@x/", b"\xff\xfe",
    b"http://127.0.0.1\x00/", b"https://\xc3\xb1.example/", b"https://xn--/", b"http://0x7f.1/",
    b"https://" + b"a" * 70 + b".example/", b"/%zz/%", b"https://x:port/", b"https:///path",
)  # fmt: skip
DISPOSITIONS = (
    b'attachment; filename="cotizaci\xc3\xb3n a\xc3.pdf"', b"attachment; filename*=UTF-8''%E4%A",
    b"attachment; filename*=utf-99''x", b'attachment; filename="../../x"', b'filename="', b"\xff",
    b'attachment; filename="=?utf-8?b?Y290?= =?utf-8?q?=E9.pdf?="', b"attachment; filename*0=a",
    b'attachment; filename="=?utf-99?b?!!!?="', b'attachment; filename=""', b";;;=;",
    b"attachment;",
    b'attachment; filename="CON"; filename="a\\"b"', b'attachment; filename="' + b"x" * 4000 + b'"',
    b"attachment; filename*=UTF-8''%00%2F%2e%2e", b'attachment; filename="\xed\xa0\xbd.png"',
)  # fmt: skip
LENGTHS = (b"+5", b"-1", b"5, 5", b"0x10", b"5\r\nContent-Length: 7", b"99999999999999999999", b"",
           b"\xd9\xa3", b"1_0")  # fmt: skip
CHUNK_SIZES = (b"-1", b"zz", b"", b"ffffffffffffffffff", b"0x3", b'3;a="', b"3 ", b"+3", b"1_0",
               b"\xff", b"3" * 5000)  # fmt: skip


@dataclass
class Answer:
    """A response as it is built.

    Attributes:
        then: What follows the bytes: `keep` the connection, `close` it, or `hang` for a while.
    """

    value: object
    line: bytes = b"HTTP/1.1 200 OK"
    body: bytes = b""
    headers: list[bytes] = field(default_factory=list)
    encoding: str = ""
    is_chunked: bool = False
    chunk_size: bytes | None = None
    length: bytes | None = None
    is_damaged_when_packed: bool = False
    is_damaged_when_framed: bool = False
    then: str = "keep"


def make_answer(value: object, url: str, chance: random.Random) -> tuple[bytes, str, list[str]]:
    """Return a response with this body, what follows it, and the names of its damages."""
    names = chance.sample(list(DAMAGES), chance.choice((0, 0, 0, 1, 1, 1, 1, 2, 3)))
    answer = Answer(value)
    answer.body = value if isinstance(value, bytes) else json.dumps(value).encode()
    for name in names:
        DAMAGES[name](answer, chance)
    if answer.headers and chance.random() < 0.5:
        chance.shuffle(answer.headers)
    data = _encode(answer, chance)
    return data.replace(b"http://SERVER", url.encode()), answer.then, names


def _encode(answer: Answer, chance: random.Random) -> bytes:
    body = _ENCODERS.get(answer.encoding, bytes)(answer.body)
    if answer.is_damaged_when_packed:
        body = damage_bytes(body, chance)
    if answer.is_chunked:
        size = b"%x" % len(body) if answer.chunk_size is None else answer.chunk_size
        body = (
            size
            + b"\r\n"
            + body
            + chance.choice((b"\r\n0\r\n\r\n", b"0\r\n", b"\r\n0\r\nX: y\r\n\r\n"))
        )
        framing = b"Transfer-Encoding: chunked"
    else:
        length = b"%d" % len(body) if answer.length is None else answer.length
        framing = b"Content-Length: " + length
    kind = b"image/png" if answer.body.startswith(b"\x89PNG") else b"application/json"
    headers = [b"Content-Type: " + kind, framing, *answer.headers]
    data = b"\r\n".join([answer.line, *headers, b"", body])
    return damage_bytes(data, chance) if answer.is_damaged_when_framed else data


def _break_body(answer: Answer, chance: random.Random) -> None:
    is_file = isinstance(answer.value, bytes)
    answer.body = (damage_bytes(answer.body, chance) if is_file
                   else damage_json(answer.value, chance))  # fmt: skip


def _exchange_body(answer: Answer, chance: random.Random) -> None:
    other = chance.choice(BODIES)[1]
    answer.body = other if isinstance(other, bytes) else damage_json(other, chance)


def _fail(answer: Answer, chance: random.Random) -> None:
    answer.line = b"HTTP/1.1 %d X" % chance.choice(STATUSES)
    answer.body = damage_json(chance.choice(ERRORS), chance)


def _break_line(answer: Answer, chance: random.Random) -> None:
    answer.line = chance.choice(STATUS_LINES)


def _break_headers(answer: Answer, chance: random.Random) -> None:
    answer.headers += chance.sample(HEADERS, chance.randint(1, 3))


def _redirect(answer: Answer, chance: random.Random) -> None:
    answer.line = b"HTTP/1.1 %d X" % chance.choice((301, 302, 303, 307, 308))
    places = chance.choice((LOCATIONS, (b"http://SERVER/there", b"/again", b"http://SERVER//x")))
    answer.headers.append(b"Location: " + chance.choice(places))


def _break_disposition(answer: Answer, chance: random.Random) -> None:
    answer.headers.append(b"Content-Disposition: " + chance.choice(DISPOSITIONS))


def _break_compression(answer: Answer, chance: random.Random) -> None:
    answer.encoding = chance.choice([*_ENCODERS, "identity"])
    name = chance.choice(
        (answer.encoding.removeprefix("x-"),) * 2 + ("gzip", "gzip, br", "x", "deflate,")
    )
    answer.headers.append(b"Content-Encoding: " + name.encode())
    answer.is_damaged_when_packed = chance.random() < 0.7


def _break_chunks(answer: Answer, chance: random.Random) -> None:
    answer.is_chunked = True
    answer.chunk_size = chance.choice((None, *CHUNK_SIZES))


def _break_length(answer: Answer, chance: random.Random) -> None:
    near = b"%d" % max(len(answer.body) + chance.choice((-1, 1, 3)), 0)
    answer.length = chance.choice((near, *LENGTHS))
    answer.then = chance.choice(("keep", "close"))


def _break_bytes(answer: Answer, _: random.Random) -> None:
    answer.is_damaged_when_framed = True


def _add_bytes(answer: Answer, chance: random.Random) -> None:
    answer.length = b"%d" % len(answer.body)
    answer.body += chance.choice((b"x", b"\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))


def _close(answer: Answer, _: random.Random) -> None:
    answer.is_damaged_when_framed = True
    answer.then = "close"


def _hang(answer: Answer, _: random.Random) -> None:
    answer.is_damaged_when_framed = True
    answer.then = "hang"


DAMAGES: dict[str, Callable[[Answer, random.Random], None]] = {
    "JSON or file": _break_body,
    "another body": _exchange_body,
    "status": _fail,
    "status line": _break_line,
    "headers": _break_headers,
    "redirect": _redirect,
    "disposition": _break_disposition,
    "compression": _break_compression,
    "chunks": _break_chunks,
    "length": _break_length,
    "any byte": _break_bytes,
    "bytes after the end": _add_bytes,
    "a connection that ends": _close,
    "a connection that is silent": _hang,
}
"""Every way of damage, by the name that the report gives it."""


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


_ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"

_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "x-deflate": _raw_deflate,
    "br": import_module("brotli").compress,
    "zstd": import_module(_ZSTD).compress,
}
