"""Compressed bodies: whole ones are read, and those that end early or are damaged are errors."""

import gzip
import hashlib
import importlib
import random
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from calls import MIB, PAGE, Call, connect, download, read_page
from hypothesis import given, settings
from hypothesis import strategies as st
from rawserver import Endless, Peer, Step, each, in_turn

from mlmsg import ApiError, Client, DecodeError, IncompleteDownload, TransportError
from mlmsg._transport._decompression import (
    PIECE_BYTES,
    BadCompression,
    is_compressed,
    new_decompressor,
)

FILE = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(600)) + b"a part" * 5_000


def deflate(data: bytes, window_bits: int = zlib.MAX_WBITS) -> bytes:
    compressor = zlib.compressobj(wbits=window_bits)
    return compressor.compress(data) + compressor.flush()


def raw_deflate(data: bytes) -> bytes:
    return deflate(data, -zlib.MAX_WBITS)


def members(data: bytes) -> bytes:
    third = len(data) // 3 + 1
    return b"".join(gzip.compress(data[at : at + third]) for at in range(0, len(data), third))


def padded(data: bytes) -> bytes:
    return gzip.compress(data) + bytes(100)


def brotli(data: bytes) -> bytes:
    compressed: bytes = importlib.import_module("brotli").compress(data, quality=1)
    return compressed


def zstd(data: bytes) -> bytes:
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    compressed: bytes = importlib.import_module(name).compress(data)
    return compressed


def zstd_frames(data: bytes) -> bytes:
    half = len(data) // 2
    return zstd(data[:half]) + zstd(data[half:])


Compress = Callable[[bytes], bytes]
WAYS: dict[str, tuple[str, Compress]] = {
    "gzip": ("gzip", gzip.compress),
    "GZip": (" GZip ", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "gzip with identity": ("identity, gzip", gzip.compress),
    "gzip in members": ("gzip", members),
    "gzip with zeros": ("gzip", padded),
    "deflate": ("deflate", deflate),
    "raw deflate": ("deflate", raw_deflate),
    "br": ("br", brotli),
    "zstd": ("zstd", zstd),
    "zstd in frames": ("zstd", zstd_frames),
}
each_way = pytest.mark.parametrize(("encoding", "compress"), WAYS.values(), ids=WAYS)


def decompress(encoding: str, *chunks: bytes) -> bytes:
    decompressor = new_decompressor(encoding)
    plain = b"".join(piece for chunk in chunks for piece in decompressor.feed(chunk))
    decompressor.finish()
    return plain


# --- the decompressors themselves --------------------------------------------------------------


@each_way
@pytest.mark.parametrize("data", [b"a", PAGE, FILE, bytes(5 * MIB)], ids=len)
def test_a_whole_body(encoding: str, compress: Compress, data: bytes) -> None:
    assert decompress(encoding, compress(data)) == data


@each_way
@settings(max_examples=25)
@given(data=st.data())
def test_any_division_into_chunks(encoding: str, compress: Compress, data: st.DataObject) -> None:
    plain = data.draw(st.binary(max_size=500)) * data.draw(st.integers(1, 50)) + b"!"
    body = compress(plain)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    chunks = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert decompress(encoding, *chunks) == plain


@each_way
def test_a_body_byte_by_byte(encoding: str, compress: Compress) -> None:
    body = compress(PAGE)
    assert decompress(encoding, *(body[at : at + 1] for at in range(len(body)))) == PAGE


def first_member_is_whole(encoding: str, body: bytes) -> bool:
    """Tell if these bytes are a whole body by themselves, as some members of many are."""
    try:
        decompress(encoding, body)
    except BadCompression:
        return False
    return True


@each_way
def test_a_body_that_ends_early_at_any_byte(encoding: str, compress: Compress) -> None:
    body = compress(PAGE * 3)
    is_one = compress in {gzip.compress, deflate, raw_deflate, brotli, zstd}
    whole = [size for size in range(len(body)) if first_member_is_whole(encoding, body[:size])]
    assert not whole or not is_one
    assert len(whole) <= (1 if compress is zstd_frames else 3) or compress is padded


@pytest.mark.parametrize(("encoding", "compress"), [WAYS["gzip"], WAYS["deflate"]])
def test_a_damaged_body(encoding: str, compress: Compress) -> None:
    body = bytearray(compress(FILE))
    body[len(body) // 2] ^= 0xFF
    with pytest.raises(BadCompression):
        decompress(encoding, bytes(body))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "br"])
@pytest.mark.parametrize("body", [b"plain text, not compressed", b"\xff" * 100, b"\x00" * 100])
def test_a_body_that_is_not_compressed(encoding: str, body: bytes) -> None:
    with pytest.raises(BadCompression):
        decompress(encoding, body)


@pytest.mark.parametrize("rest", [b"garbage", b"\x1f", b"\x00\x00garbage"])
@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd", "br"])
def test_garbage_behind_the_end(name: str, rest: bytes) -> None:
    encoding, compress = WAYS[name]
    with pytest.raises(BadCompression):
        decompress(encoding, compress(PAGE) + rest)


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("identity, br", True),
        ("aws-chunked, gzip", True),
        ("gzip, gzip", True),
        ("", False),
        ("identity", False),
        ("utf-8", False),
        ("aws-chunked", False),
        ("none", False),
        ("\udcff", False),
    ],
)
def test_which_words_name_a_compression(encoding: str, *, expected: bool) -> None:
    assert is_compressed(encoding) is expected


@pytest.mark.parametrize("encoding", ["gzip, gzip", "deflate,br"])
def test_a_body_that_is_compressed_twice_is_refused(encoding: str) -> None:
    with pytest.raises(BadCompression, match="more than once"):
        new_decompressor(encoding)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_expands_in_small_pieces(name: str) -> None:
    encoding, compress = WAYS[name]
    bomb = compress(bytes(100 * MIB))
    decompressor = new_decompressor(encoding)
    tracemalloc.start()
    try:
        largest = max(map(len, decompressor.feed(bomb)))
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()
    assert largest <= 2 * PIECE_BYTES
    decompressor.finish()


@pytest.mark.parametrize("encoding", ["br", "zstd"])
def test_without_its_library_a_compression_is_refused(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("brotli", "compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BadCompression, match=f"{encoding!r}, which was not asked for"):
        new_decompressor(encoding)


# --- through the client ------------------------------------------------------------------------


def answer(encoding: str, body: bytes, status: int = 200, *, chunked: bool = False) -> Step:
    async def step(peer: Peer) -> None:
        head = f"HTTP/1.1 {status} Some Reason\r\nContent-Encoding: {encoding}\r\n".encode()
        if chunked:
            chunks = [body[at : at + 999] for at in range(0, len(body), 999)]
            framed = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
            await peer.send(head + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n")
        else:
            await peer.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    return step


async def as_bad_request(client: Client) -> object:
    return await client.packs.page(1)


each_framing = pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])


@each_way
@each_framing
async def test_json_is_decompressed(encoding: str, compress: Compress, *, chunked: bool) -> None:
    script = in_turn(answer(encoding, compress(PAGE), chunked=chunked))
    async with connect(script) as (client, _):
        thread = await client.packs.page(1)
    assert [message.id for message in thread.messages] == ["m1"]


@each_way
@each_framing
async def test_json_that_ends_early_is_tried_again(
    encoding: str, compress: Compress, *, chunked: bool
) -> None:
    """Its framing is whole."""
    body = compress(PAGE)
    cut = answer(encoding, body[: len(body) // 5], chunked=chunked)
    script = in_turn(cut, answer(encoding, body), cut)
    async with connect(script, attempts=2) as (client, server):
        await client.packs.page(1)
        assert server.requests == 2
    async with connect(in_turn(cut)) as (client, _):
        with pytest.raises(TransportError, match=r"ends early|damaged"):
            await client.packs.page(1)


@each_way
@each_framing
async def test_a_download_is_decompressed_and_has_no_announced_size(
    encoding: str, compress: Compress, *, chunked: bool
) -> None:
    script = in_turn(answer(encoding, compress(FILE), chunked=chunked))
    async with (
        connect(script) as (client, _),
        client.attachments.open("a.bin", site_id="MLM") as download,
    ):
        assert download.size is None
        assert await download.read() == FILE


@each_way
@each_framing
async def test_a_download_that_ends_early_is_incomplete(
    encoding: str, compress: Compress, tmp_path: Path, *, chunked: bool
) -> None:
    body = compress(FILE)
    cut = answer(encoding, body[: len(body) // 5 * 3], chunked=chunked)
    async with connect(in_turn(cut, cut), attempts=2) as (client, server):
        with pytest.raises(IncompleteDownload, match=r"ends early|damaged"):
            await client.attachments.download("a.bin", tmp_path, site_id="MLM")
        assert server.requests == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
async def test_an_empty_compressed_body(encoding: str) -> None:
    async with connect(in_turn(answer(encoding, b""), answer(encoding, b""))) as (client, _):
        with pytest.raises(DecodeError):
            await client.packs.page(1)
        with pytest.raises(IncompleteDownload):
            await client.attachments.read("a.bin", site_id="MLM")


@each_way
async def test_an_error_body_is_decompressed(encoding: str, compress: Compress) -> None:
    body = compress(b'{"message": "not this one", "status": 400}')
    async with connect(in_turn(answer(encoding, body, 400))) as (client, _):
        with pytest.raises(ApiError, match="not this one"):
            await client.packs.page(1)


@each_way
async def test_an_error_body_that_is_damaged_is_still_that_error(
    encoding: str, compress: Compress
) -> None:
    body = compress(b'{"message": "not this one", "status": 400}')[:7]
    async with connect(in_turn(answer(encoding, body, 400))) as (client, _):
        with pytest.raises(ApiError) as caught:
            await client.packs.page(1)
    assert caught.value.status == 400


ENDLESS = {
    "zeros": ("gzip", gzip.compress(PAGE), bytes(64 * 1024)),
    "short members": ("gzip", gzip.compress(PAGE), (gzip.compress(b"", 0) + bytes(300)) * 200),
    "empty blocks": ("deflate", b"\x78\x9c", b"\x00\x00\x00\xff\xff" * 10_000),
    "a gzip header": ("gzip", b"\x1f\x8b\x08\x08" + bytes(6), b"a" * 64 * 1024),
}
"""The encoding, the beginning of the body, and what follows again and again."""


@pytest.mark.parametrize("call", [read_page, download, as_bad_request], ids=lambda c: c.__name__)
@pytest.mark.parametrize(("encoding", "start", "block"), ENDLESS.values(), ids=ENDLESS)
async def test_bytes_without_content_are_not_read_for_ever(
    encoding: str, start: bytes, block: bytes, call: Call
) -> None:
    status = 400 if call is as_bad_request else 200
    head = f"HTTP/1.1 {status} Some Reason\r\nContent-Encoding: {encoding}\r\n\r\n".encode()
    endless = Endless(head + start, block)
    async with connect(each(endless)) as (client, _):
        with pytest.raises((TransportError, ApiError)):
            await call(client)


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
async def test_a_body_that_compression_makes_larger_is_read(name: str) -> None:
    encoding, compress = WAYS[name]
    data = random.Random(7).randbytes(PIECE_BYTES + 100_000)  # noqa: S311  (only to be incompressible)
    assert len(compress(data)) > len(data)
    async with connect(in_turn(answer(encoding, compress(data)))) as (client, _):
        assert await download(client) == data


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
async def test_a_bomb_is_given_up_in_bounded_memory(name: str, tmp_path: Path) -> None:
    encoding, compress = WAYS[name]
    bomb = compress(bytes(100 * MIB))
    script = in_turn(*[answer(encoding, bomb)] * 3, answer(encoding, bomb, 500))
    tracemalloc.start()
    try:
        async with connect(script) as (client, _):
            with pytest.raises(DecodeError, match="larger than"):
                await client.packs.page(1)
            with pytest.raises(IncompleteDownload, match="a compressed file of over"):
                await client.attachments.download("a.bin", tmp_path, site_id="MLM")
            await client.packs.send(1, "Hola")
            with pytest.raises(ApiError):
                await client.packs.page(1)
        assert tracemalloc.get_traced_memory()[1] < 80 * MIB  # 16 MiB of JSON, in pieces and whole
    finally:
        tracemalloc.stop()
    assert list(tmp_path.iterdir()) == []
