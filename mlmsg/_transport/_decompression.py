"""Decompress a response body, and notice when it ends early.

aiohttp decompresses by itself, but takes the end of the framing for the end of a gzip, br or zstd
stream: a file that was cut off before it was framed would look whole (aiohttp 3.14,
`http_parser.DeflateBuffer`). So the client asks aiohttp not to, and does it here.
"""

import importlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import ModuleType
from typing import Protocol

__all__ = [
    "PIECE_BYTES",
    "BadCompression",
    "Decompressor",
    "is_compressed",
    "new_decompressor",
]

PIECE_BYTES = 1024 * 1024
"""Bytes that one step may produce: a few bytes of a hostile body can expand to gigabytes."""

SLICE_BYTES = 32 * 1024
"""Bytes that are decompressed at a time. At the end of a member the rest is copied: the time for
many tiny members would grow with the square of this."""


class BadCompression(Exception):
    """The compressed body is damaged, ends early, or cannot be decompressed here."""


class Decompressor(Protocol):
    """Turns compressed chunks into plain ones."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the plain bytes of `data` in pieces of limited size.

        Raises:
            BadCompression: The data is damaged.
        """
        ...

    def finish(self) -> None:
        """Check that the compressed stream is complete.

        Raises:
            BadCompression: It ends early.
        """
        ...


def is_compressed(encoding: str) -> bool:
    """Return True for the value of a `Content-Encoding` header that names a known compression.

    Servers also send words such as `utf-8` or `aws-chunked` there: such a body is not compressed.
    """
    return bool(_compressions(encoding))


def new_decompressor(encoding: str) -> Decompressor:
    """Return a decompressor for a `Content-Encoding` for which `is_compressed` is true.

    Raises:
        BadCompression: The library for it is not installed, or the body is compressed twice.
    """
    names = _compressions(encoding)
    if len(names) > 1:
        raise BadCompression("the response is compressed more than once")
    return _FACTORIES[names[0]]()


def _compressions(encoding: str) -> list[str]:
    names = (name.strip().lower() for name in encoding.split(","))
    return [name for name in names if name in _FACTORIES]


class _Member(Protocol):
    """One gzip member or zstd frame, as zlib and zstd decompress it."""

    @property
    def eof(self) -> bool:
        """True at the end of the member."""
        ...

    @property
    def unused_data(self) -> bytes:
        """The bytes after the end of the member."""
        ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Return at most `max_length` plain bytes."""
        ...


class _Members:
    """Decompress members (gzip, deflate) or frames (zstd), of which any number may follow.

    Args:
        start: Returns the decompressor for a member that begins with these bytes.
    """

    def __init__(self, start: Callable[[bytes], _Member]) -> None:
        self._start = start
        self._member: _Member | None = None
        self._has_member = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), SLICE_BYTES):
            yield from self._feed_slice(data[start : start + SLICE_BYTES])

    def _feed_slice(self, data: bytes) -> Iterator[bytes]:
        is_full = False  # then the library may hold more output, also when it has all input
        while data or is_full:
            if self._member is None:
                data = data.lstrip(b"\x00") if self._has_member else data  # some servers pad
                if not data:
                    return
                self._member = self._start(data)
            try:
                piece = self._member.decompress(data, PIECE_BYTES)
            except Exception:  # noqa: BLE001  (each library has an exception class of its own)
                raise BadCompression("the compressed response is damaged") from None
            is_full = len(piece) == PIECE_BYTES
            data = getattr(self._member, "unconsumed_tail", b"")  # zstd keeps it itself
            if self._member.eof:
                data, is_full = self._member.unused_data, False
                self._member, self._has_member = None, True
            if piece:
                yield piece

    def finish(self) -> None:
        if self._member is not None or not self._has_member:
            raise BadCompression("the compressed response ends early")


class _BrotliStream(Protocol):
    """The decompressor of Brotli 1.2 or later."""

    def process(self, data: bytes, /, output_buffer_limit: int) -> bytes:
        """Return about `output_buffer_limit` plain bytes at most."""
        ...

    def is_finished(self) -> bool:
        """Return True at the end of the stream."""
        ...


class _Brotli:
    """Decompress br."""

    def __init__(self, stream: _BrotliStream) -> None:
        self._stream = stream

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            try:
                piece = self._stream.process(data, output_buffer_limit=PIECE_BYTES)
            except Exception:  # noqa: BLE001  (the library has an exception class of its own)
                raise BadCompression("the compressed response is damaged") from None
            data = b""  # without input, it returns the rest of the output
            if piece:
                yield piece
            if not piece or self._stream.is_finished():
                return

    def finish(self) -> None:
        if not self._stream.is_finished():
            raise BadCompression("the compressed response ends early")


def _gzip() -> Decompressor:
    return _Members(lambda _: zlib.decompressobj(16 + zlib.MAX_WBITS))


def _deflate() -> Decompressor:
    return _Members(_start_deflate)


def _start_deflate(data: bytes) -> _Member:
    # "deflate" means the zlib format, but some servers send the raw stream.
    is_raw = data[0] & 0x0F != zlib.DEFLATED
    return zlib.decompressobj(-zlib.MAX_WBITS if is_raw else zlib.MAX_WBITS)


def _brotli() -> Decompressor:
    stream = _import("br", "brotli").Decompressor()
    if not hasattr(stream, "can_accept_more_data"):
        raise _unwanted("br")  # without a limit, a few bytes could fill the memory
    return _Brotli(stream)


def _zstandard() -> Decompressor:
    module = _import("zstd", "compression.zstd", "backports.zstd")
    return _Members(lambda _: module.ZstdDecompressor())


def _import(encoding: str, *names: str) -> ModuleType:
    for name in names:
        with suppress(ImportError):
            return importlib.import_module(name)
    raise _unwanted(encoding)


def _unwanted(encoding: str) -> BadCompression:
    text = f"the response is compressed with {encoding!r}, which was not asked for"
    return BadCompression(text)


_FACTORIES: dict[str, Callable[[], Decompressor]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstandard,
}
