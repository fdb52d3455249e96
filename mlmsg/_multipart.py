"""Frame one file as a `multipart/form-data` body whose length is known, and count its bytes."""

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeAlias

import msgspec

from ._arguments import check_callback
from ._sources import Source, buffer_size
from ._streams import Buffer
from .errors import LengthMismatch

__all__ = ["Multipart", "Progress", "length_mismatch"]

Progress: TypeAlias = Callable[[int, int | None], object]
"""Called with the bytes of the file sent or received so far, and the total (None: unknown)."""

WRITE_CHUNK_BYTES = 512 * 1024
"""Bytes handed to the socket at a time: few enough that the event loop is never blocked, and enough
that the wait for each of them costs little, above all under TLS."""


class Multipart(msgspec.Struct, frozen=True):
    """A `multipart/form-data` body whose one part, `file`, is a source.

    The file name is sent as the WHATWG form-data standard defines it: raw UTF-8, with `"`, CR and
    LF percent-encoded.

    Attributes:
        source: The file.
        progress: Called after each chunk with the bytes sent so far; a retry starts from 0 again.
        boundary: The line that separates the parts; random, and new for each body.
    """

    source: Source
    progress: Progress | None = None
    boundary: str = ""

    @classmethod
    def from_source(cls, source: Source, progress: Progress | None = None) -> "Multipart":
        """Return a body with a new boundary."""
        check_callback("`progress`", progress, "(done, total)")
        return cls(source, progress, f"mlmsg-{os.urandom(16).hex()}")

    @property
    def content_type(self) -> str:
        """The value of the `Content-Type` header, with the boundary."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def length(self) -> int:
        """Bytes of the whole body: the `Content-Length`."""
        return len(self._head) + self.source.length + len(self._tail)

    @property
    def _head(self) -> bytes:
        name = self.source.filename
        for character, escape in (('"', "%22"), ("\r", "%0D"), ("\n", "%0A")):
            name = name.replace(character, escape)
        return (
            f"--{self.boundary}\r\n"
            f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
            f"Content-Type: {self.source.content_type}\r\n\r\n"
        ).encode()

    @property
    def _tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()

    async def chunks(self) -> AsyncGenerator[Buffer, None]:
        """Yield the whole body. Each call opens the source again.

        Raises:
            LengthMismatch: The source is longer or shorter than announced. It is raised before the
                first surplus byte or the closing boundary is yielded.
        """
        yield self._head
        done, length = 0, self.source.length
        async with aclosing(self.source.open()) as chunks:
            async for chunk in chunks:
                size = buffer_size(chunk)
                if done + size > length:
                    raise length_mismatch(length, f"at least {done + size} bytes")
                for start in range(0, size, WRITE_CHUNK_BYTES):
                    yield memoryview(chunk)[start : start + WRITE_CHUNK_BYTES]
                    done += min(WRITE_CHUNK_BYTES, size - start)
                    if self.progress is not None:
                        self.progress(done, length)
        if done != length:
            raise length_mismatch(length, f"{done} bytes")
        yield self._tail


def length_mismatch(length: int, found: str) -> LengthMismatch:
    """Return the error for a source whose length differs from the declared one."""
    hint = "Declare the real length of the source, or leave `length` out"
    return LengthMismatch("length of a source", found, f"exactly {length} bytes", hint)
