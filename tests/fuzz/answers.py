"""Valid answers, and the ways in which they are damaged."""

import gzip
import json
import random
from collections.abc import Callable

__all__ = ["damaged_answer"]

MESSAGE = {
    "id": "m1", "from": {"user_id": 1, "name": "Ana"}, "to": {"user_id": 2}, "text": "Hola",
    "message_date": {"created": "2026-01-02T03:04:05Z"}, "status": "available",
    "message_attachments": [{"filename": "a.png", "size": 5, "type": "image/png"}],
    "message_resources": [{"id": "1", "name": "packs"}], "message_moderation": {"status": "clean"},
}  # fmt: skip
PAGE = {"paging": {"limit": 50, "offset": 0, "total": 1}, "messages": [MESSAGE],
        "conversation_status": {"status": "active", "path": "/packs/1/sellers/2"}}  # fmt: skip
CLAIM = {"id": 5, "players": [{"role": "complainant", "available_actions": [{"action": "x"}]}],
         "last_updated": "2026-01-02T03:04:05.000-04:00"}  # fmt: skip
JSON: list[object] = [
    PAGE, MESSAGE, CLAIM, [{"sender_role": "respondent", "message": "Hola"}], {"id": "f.png"},
    {"user_id": 1, "results": [{"resource": "/packs/1/sellers/2", "count": 1}]},
    {"file_name": "a.png"}, {"paging": {"total": 1}, "data": [CLAIM]},
    {"results": [{"id": 5, "pack_id": 6, "last_updated": "2026-01-02T03:04:05Z"}]},
    {"options": [{"id": "OTHER", "enabled": True, "actionable": True, "type": "free_text"}]},
    {"id": 7, "nickname": "x", "site_id": "MLB"}, {"messages": [{"_id": "1", "topic": "messages"}]},
    {"access_token": "fresh-token", "refresh_token": "next", "expires_in": 100},
    {"message": '{"message":"inside","status":400}', "error": "bad_request", "cause": []},
]  # fmt: skip
STATUSES = (
    200,
    201,
    200,
    204,
    206,
    301,
    302,
    400,
    401,
    403,
    404,
    409,
    418,
    429,
    451,
    500,
    503,
    999,
)
ODD_HEADERS = (
    b'Content-Disposition: attachment; filename="cotizaci\xc3\xb3n a\xc3.pdf"',
    b"Content-Disposition: attachment; filename*=UTF-8''%E4%A", b"Location: https://a..b/",
    b"Location: http://[::1", b"Location: //x", b"Retry-After: Wed, 99 Foo", b"Retry-After: -5",
    b"Retry-After: 1e999", b"Date: yesterday", b"Content-Encoding: gzip", b"Content-Encoding: br",
    b"Content-Encoding: deflate", b"X-Request-Id: \xff\xfe", b"Content-Type: \xff/\xff",
    b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Set-Cookie: a=b", b"Connection: close",
    b"X-Long: " + b"x" * 5000, b"bad header", b"Content-Type: text/html; charset=utf-99",
)  # fmt: skip


def damaged_answer(chance: random.Random) -> bytes:
    """Return an answer that is damaged in one or several ways."""
    body = json.dumps(chance.choice(JSON)).encode()
    for _ in range(chance.choice((0, 1, 1, 2, 5))):
        body = chance.choice(BODY)(body, chance)
    headers = [b"Content-Type: application/json"]
    if chance.random() < 0.2:
        headers.append(b"Content-Encoding: gzip")
        body = gzip.compress(body)[: chance.randint(0, 200)]
    if chance.random() < 0.8:
        headers.append(b"Content-Length: %d" % (len(body) + chance.choice((0, 0, 0, 0, -1, 3))))
    headers += chance.sample(ODD_HEADERS, chance.choice((0, 0, 1, 1, 2)))
    line = b"HTTP/1.1 %d X" % chance.choice(STATUSES)
    answer = b"\r\n".join([line, *headers, b"", body])
    for _ in range(chance.choice((0, 0, 0, 1))):
        answer = chance.choice((_cut, _flip, _insert))(answer, chance)
    return answer


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randint(0, len(data))]


def _flip(data: bytes, chance: random.Random) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _insert(data: bytes, chance: random.Random) -> bytes:
    place = chance.randint(0, len(data))
    return data[:place] + chance.randbytes(chance.randint(1, 9)) + data[place:]


def _swap_value(data: bytes, chance: random.Random) -> bytes:
    values = (b"null", b"[]", b"{}", b"1e400", b"-1", b'"\\ud83d"', b"true", b"NaN", b"[[[[[[")
    old = chance.choice((b'"m1"', b"1", b'"Hola"', b"50", b'"active"', b"5", b"100", b"[", b"{"))
    return data.replace(old, chance.choice(values), 1)


def _html(_: bytes, _chance: random.Random) -> bytes:
    return b"<!doctype html><title>502</title>"


def _deep(_: bytes, chance: random.Random) -> bytes:
    return b"[" * chance.choice((10, 2000))


def _mark(data: bytes, _: random.Random) -> bytes:
    return b"\xef\xbb\xbf" + data


BODY: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _cut, _flip, _insert, _swap_value, _swap_value, _html, _deep, _mark,
)  # fmt: skip
