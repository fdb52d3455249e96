"""Decompress a response body, and notice when it ends early.

aiohttp decompresses by itself, but takes the end of the framing for the end of a gzip, br or zstd
stream: a file that was cut off before it was framed would look whole (aiohttp 3.14,
`http_parser.DeflateBuffer`). So the client asks aiohttp not to, and does it here.
"""

import importlib
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Protocol

__all__ = ["BadCompression", "Decompressor", "is_compressed", "new_decompressor"]

PIECE_BYTES = 1024 * 1024
"""Bytes that one step may produce: a few bytes of a hostile body can expand to gigabytes."""


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
    return encoding.strip().lower() in _FACTORIES


def new_decompressor(encoding: str) -> Decompressor:
    """Return a decompressor for a `Content-Encoding` for which `is_compressed` is true.

    Raises:
        BadCompression: The library for it is not installed.
    """
    return _FACTORIES[encoding.strip().lower()]()


class _Zlib:
    """Decompress gzip, including several members in a row, and both spellings of deflate."""

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._stream = zlib.decompressobj(window_bits)
        self._is_fresh = True
        self._has_member = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        is_full = False  # then zlib may hold more output, also when it has consumed all input
        while data or is_full:
            self._start(data)
            try:
                piece = self._stream.decompress(data, PIECE_BYTES)
            except zlib.error:
                raise BadCompression("the compressed response is damaged") from None
            is_full = len(piece) == PIECE_BYTES
            data = self._stream.unconsumed_tail
            if self._stream.eof:
                is_full = False
                data = self._stream.unused_data.lstrip(b"\x00")  # some servers pad with zeros
                self._stream = zlib.decompressobj(self._window_bits)
                self._is_fresh = self._has_member = True
            if piece:
                yield piece

    def finish(self) -> None:
        if not self._is_fresh or not self._has_member:
            raise BadCompression("the compressed response ends early")

    def _start(self, data: bytes) -> None:
        if self._is_fresh:
            self._is_fresh = False
            # "deflate" means zlib, but some servers send the raw stream.
            if self._window_bits == zlib.MAX_WBITS and data[0] & 0x0F != zlib.DEFLATED:
                self._stream = zlib.decompressobj(-zlib.MAX_WBITS)


class _Wrapped:
    """Decompress with a library that is not part of Python."""

    def __init__(
        self, decompress: Callable[[bytes], bytes], is_finished: Callable[[], bool]
    ) -> None:
        self._decompress = decompress
        self._is_finished = is_finished

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            piece = self._decompress(data)
        except Exception as error:  # each library has an exception class of its own
            raise BadCompression("the compressed response is damaged") from error
        if piece:
            yield piece

    def finish(self) -> None:
        if not self._is_finished():
            raise BadCompression("the compressed response ends early")


def _gzip() -> Decompressor:
    return _Zlib(16 + zlib.MAX_WBITS)


def _deflate() -> Decompressor:
    return _Zlib(zlib.MAX_WBITS)


def _brotli() -> Decompressor:
    module = _import("br", "brotlicffi", "brotli")
    stream = module.Decompressor()
    process = getattr(stream, "process", None) or stream.decompress
    return _Wrapped(process, stream.is_finished)


def _zstandard() -> Decompressor:
    module = _import("zstd", "compression.zstd", "backports.zstd")
    stream = module.ZstdDecompressor()
    return _Wrapped(stream.decompress, lambda: bool(stream.eof))


def _import(encoding: str, *names: str) -> ModuleType:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise BadCompression(f"the response is compressed with {encoding!r}, which was not asked for")


_FACTORIES: dict[str, Callable[[], Decompressor]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstandard,
}
