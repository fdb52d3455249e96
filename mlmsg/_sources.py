"""Read a file from a path, bytes, an open file, an iterable or a `Download`, chunk by chunk.

`inspect_source` accepts any of these and returns a `SourceInfo`. Its `open` makes a new async
iterator over the chunks, so that a retry can read the file again. Files are read in worker threads.
Any other blocking source may be silent for ever, and is read in a daemon thread of its own.
"""

import errno
import io
import os
import stat
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
)
from contextlib import aclosing
from functools import partial
from inspect import isawaitable
from pathlib import Path
from typing import IO, Protocol, TypeAlias, cast, runtime_checkable

import msgspec

from ._arguments import expand_user
from ._streams import CHUNK_BYTES, Buffer, read_ahead, read_silent, run_detached
from ._worker_threads import run_in_thread
from .errors import RuleError
from .rules import SNIFF_BYTES

__all__ = [
    "Readable",
    "Source",
    "SourceInfo",
    "SourceLike",
    "Streamed",
    "buffer_size",
    "inspect_source",
    "read_file",
]

MAX_BATCH_SECONDS = 0.05
"""Seconds that a slow iterable is read before the bytes so far are sent."""

_DISK_FILES = (io.FileIO, io.BufferedReader, io.BufferedRandom)


@runtime_checkable
class Readable(Protocol):
    """An open binary file, synchronous or asynchronous: any object with `read(size)`."""

    def read(self, size: int = -1, /) -> bytes | Awaitable[bytes]:
        """Return up to `size` bytes, and `b""` at the end."""
        ...


@runtime_checkable
class Streamed(Protocol):
    """A stream that knows its name, type and size, such as a `Download`."""

    size: int | None
    filename: str
    content_type: str

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the bytes; possible once."""
        ...


# Of a protocol, mypy would take an assignment in the class for a member.
Readable.__module__ = Streamed.__module__ = "mlmsg.uploads"

SourceLike: TypeAlias = (
    str | os.PathLike[str] | Buffer | Readable | Iterable[Buffer] | AsyncIterable[Buffer] | Streamed
)
"""An upload's source: a path, bytes, an open binary file, an iterable of bytes, a `Download`."""


class Source(msgspec.Struct, frozen=True):
    """A file about to be sent.

    Attributes:
        open: Makes a new iterator over the chunks. Closing it closes everything that it opened.
        length: Bytes that the chunks contain in all.
        filename: The name of the file in the request.
        content_type: The MIME type.
        replayable: True if `open` may be called again, for another attempt.
        is_local: True if the chunks come from memory or from a regular file, and no code of the
            caller runs to make them.
    """

    __module__ = "mlmsg.uploads"

    open: Callable[[], AsyncGenerator[Buffer, None]]
    length: int
    filename: str
    content_type: str
    replayable: bool
    is_local: bool = False


class SourceInfo(msgspec.Struct, frozen=True):
    """Everything known about a source before any rule is applied; None for what is unknown.

    Attributes:
        open: Makes a new iterator over the chunks.
        length: Bytes that the chunks contain in all.
        filename: The file's own name.
        content_type: The MIME type that the source names.
        replayable: True if `open` may be called again.
        is_local: True if the chunks come from memory or from a regular file.
        head: The first bytes, if they are in memory.
    """

    open: Callable[[], AsyncGenerator[Buffer, None]]
    length: int | None = None
    filename: str | None = None
    content_type: str | None = None
    replayable: bool = True
    is_local: bool = False
    head: bytes = b""


async def inspect_source(source: SourceLike) -> SourceInfo:
    """Return the name, size and type of a source, and the function that opens it.

    Raises:
        RuleError: The object is not a source.
        OSError: The file cannot be read.
    """
    if isinstance(source, str | os.PathLike):
        return await _inspect_path(source)
    if isinstance(source, bytes | bytearray | memoryview):
        view = memoryview(source)
        view = view.cast("B") if view.nbytes and view.c_contiguous else memoryview(view.tobytes())
        head = bytes(view[:SNIFF_BYTES])
        return SourceInfo(partial(_slice_buffer, view), view.nbytes, is_local=True, head=head)
    if isinstance(source, Streamed):
        chunks = partial(_iterate, source)
        name, kind = source.filename, source.content_type
        return SourceInfo(chunks, source.size, name, kind, replayable=False)
    if isinstance(source, Readable):
        return await _inspect_file(source)
    if isinstance(source, AsyncIterable):
        return SourceInfo(partial(_iterate, source), replayable=False)
    if isinstance(source, Iterable):
        # An iterator is its own iterator: a second iter() would not begin again.
        return SourceInfo(
            partial(_iterate_in_thread, source), replayable=not isinstance(source, Iterator)
        )
    limit = (
        "a path, bytes, an open binary file, an iterable of bytes, "
        "or a Download inside of its `async with` block"
    )
    raise RuleError("source of a file", type(source).__name__, limit)


async def _inspect_path(name: str | os.PathLike[str]) -> SourceInfo:
    if not os.fspath(name):
        raise RuleError("a path to send", "an empty path", "the path of a file")
    path = Path(expand_user(name))
    info = await run_in_thread(path.stat)
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(info.st_mode):
        hint = "Open it yourself in binary mode and pass the open file"
        raise RuleError("a path to send", f"{str(path)!r}, a device or pipe", "a file", hint)
    return SourceInfo(partial(_read_path, path), info.st_size, path.name, is_local=True)


async def _inspect_file(file: Readable) -> SourceInfo:
    name = getattr(file, "name", None)
    name = Path(name).name if isinstance(name, str) else None
    # read() of an asynchronous file returns an awaitable; anyio's wraps a plain file.
    plain = cast("IO[bytes]", getattr(file, "wrapped", file))
    # An object without `seekable` is not a file of Python's io: its read may need the event loop.
    is_io_file = hasattr(plain, "seekable")
    is_async, probe = await _probe(plain, is_io_file=is_io_file)
    if is_async:
        return SourceInfo(partial(_read_async_file, file), filename=name, replayable=False)
    if isinstance(probe, str):
        hint = "Open it with mode 'rb'"
        raise RuleError("an open file to send", "a file in text mode", "a binary file", hint)
    start, length, is_local = await run_detached(partial(_measure, plain))
    reader = partial(read_file if is_local else _read_silent_file, plain, start)
    return SourceInfo(reader, length, name, replayable=start is not None, is_local=is_local)


async def _probe(file: IO[bytes], *, is_io_file: bool) -> tuple[bool, object]:
    """Read nothing from a file. Return True if it is asynchronous, and what was read.

    Raises:
        RuleError: The file is closed, or not open for reading.
    """
    limit = "an open file that can be read"
    if getattr(file, "closed", False) is True:
        hint = "Upload it inside of its `with` block"
        raise RuleError("an open file to send", "a closed file", limit, hint)
    try:
        probe: object = await run_detached(partial(file.read, 0)) if is_io_file else file.read(0)
        is_async = isawaitable(probe)
        if isawaitable(probe):
            probe = await probe
    except io.UnsupportedOperation:
        hint = "Open it with mode 'rb'"
        raise RuleError("an open file to send", "a file open for writing", limit, hint) from None
    return is_async, probe


def _measure(file: IO[bytes]) -> tuple[int | None, int | None, bool]:
    """Return the position of a file, the bytes after it, and True if its reads cannot be silent.

    A pipe has no position and no known length.
    """
    is_seekable = getattr(file, "seekable", None)
    if is_seekable is None or not is_seekable():
        return None, None, False
    start = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(start)
    return start, max(end - start, 0), _is_local(file)


def _is_local(file: IO[bytes]) -> bool:
    """Return True for a file in memory and a regular file. A subclass may do anything."""
    if type(file) in _DISK_FILES:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    return type(file) is io.BytesIO


async def _slice_buffer(view: memoryview) -> AsyncGenerator[Buffer, None]:
    for start in range(0, len(view), CHUNK_BYTES):
        yield view[start : start + CHUNK_BYTES]


async def _read_path(path: Path) -> AsyncGenerator[Buffer, None]:
    file = _File(path)
    try:
        async with aclosing(read_ahead(file.read, lambda: file.is_at_end)) as chunks:
            async for chunk in chunks:
                yield chunk
    finally:
        # After the last thread has finished, so that a cancellation leaves nothing open.
        file.close()


class _File:
    """A file that its first read opens, and that the read of its last bytes closes.

    So a small file takes one call in a worker thread.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self.is_at_end = False

    def read(self) -> bytes:
        """Return the next chunk. Runs in a worker thread."""
        if self._file is None:
            self._file = self._path.open("rb", buffering=0)
        chunk = self._file.read(CHUNK_BYTES)
        while 0 < len(chunk) < CHUNK_BYTES and not self.is_at_end:
            more = self._file.read(CHUNK_BYTES - len(chunk))
            chunk += more
            self.is_at_end = not more
        if self.is_at_end:
            self.close()
        return chunk

    def close(self) -> None:
        """Close the file if it is open."""
        if self._file is not None:
            self._file.close()


async def read_file(file: IO[bytes], start: int | None) -> AsyncGenerator[Buffer, None]:
    """Yield the chunks of an open file from position `start`; None: from its current position."""
    if start is not None:
        await run_in_thread(partial(file.seek, start))
    async with aclosing(read_ahead(partial(_read_chunk, file))) as chunks:
        async for chunk in chunks:
            yield chunk


async def _read_silent_file(file: IO[bytes], start: int | None) -> AsyncGenerator[Buffer, None]:
    if start is not None:
        await run_detached(partial(file.seek, start))
    async with aclosing(read_silent(partial(_read_chunk, file))) as chunks:
        async for chunk in chunks:
            yield chunk


def _read_chunk(file: IO[bytes]) -> bytes:
    chunk: bytes | None = file.read(CHUNK_BYTES)
    if chunk is None:  # a pipe in non-blocking mode that is not at its end
        raise BlockingIOError(errno.EAGAIN, "the source has nothing to read yet")
    return _copy_to_bytes(chunk)


async def _read_async_file(file: Readable) -> AsyncGenerator[Buffer, None]:
    while chunk := _copy_to_bytes(await _await_if_needed(file.read(CHUNK_BYTES))):
        yield chunk


async def _await_if_needed(value: bytes | Awaitable[bytes]) -> bytes:
    return await value if isawaitable(value) else value


async def _iterate_in_thread(source: Iterable[Buffer]) -> AsyncGenerator[Buffer, None]:
    """Yield the pieces of a synchronous iterable, which runs in a thread, in batches."""
    iterator = iter(source)
    close = getattr(iterator, "close", None)
    async with aclosing(read_silent(partial(_next_batch, iterator), close)) as batches:
        async for batch in batches:
            yield batch


def _next_batch(iterator: Iterator[Buffer]) -> bytes:
    """Return the next pieces, joined into one chunk; `b""` at the end."""
    pieces: list[bytes] = []
    size = 0
    deadline = time.monotonic() + MAX_BATCH_SECONDS
    for piece in iterator:
        pieces.append(_copy_to_bytes(piece))
        size += len(pieces[-1])
        if size >= CHUNK_BYTES or (size and time.monotonic() > deadline):
            break
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _iterate(source: AsyncIterable[Buffer]) -> AsyncGenerator[Buffer, None]:
    iterator = aiter(source)
    try:
        async for piece in iterator:
            yield _copy_to_bytes(piece)
    finally:
        if close := getattr(iterator, "aclose", None):
            await close()


def buffer_size(chunk: object) -> int:
    """Return the number of bytes of a chunk.

    Raises:
        RuleError: It is not bytes.
    """
    if isinstance(chunk, bytes | bytearray | memoryview):
        return memoryview(chunk).nbytes
    raise _not_bytes_error(chunk)


def _copy_to_bytes(piece: object) -> bytes:
    """Return a copy of a mutable piece: its source may fill the same buffer again."""
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, bytearray | memoryview):
        return memoryview(piece).tobytes()
    raise _not_bytes_error(piece)


def _not_bytes_error(piece: object) -> RuleError:
    return RuleError("chunk of a source", type(piece).__name__, "bytes")
