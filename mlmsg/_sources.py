"""Read a file from a path, bytes, an open file, an iterable or a `Download`, chunk by chunk.

`inspect_source` looks at any of these and returns a `SourceInfo`. Its `open` makes a new async
iterator over the chunks, so that a retry can read the file again. Blocking reads run in worker
threads.
"""

import errno
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
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from functools import partial
from inspect import isawaitable
from pathlib import Path
from typing import IO, Protocol, TypeAlias, cast, runtime_checkable

from ._streams import CHUNK_BYTES, Buffer, read_ahead, run_in_thread
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


@runtime_checkable
class Readable(Protocol):
    """An open binary file, synchronous or asynchronous: what has `read(size)`."""

    def read(self, size: int = -1, /) -> bytes | Awaitable[bytes]:
        """Up to `size` bytes, none at the end."""
        ...


@runtime_checkable
class Streamed(Protocol):
    """A stream that knows what it carries, such as a `Download`."""

    size: int | None
    filename: str
    content_type: str

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Its bytes, once."""
        ...


SourceLike: TypeAlias = (
    str | os.PathLike[str] | Buffer | Readable | Iterable[Buffer] | AsyncIterable[Buffer] | Streamed
)
"""What an upload takes: a path, bytes, an open binary file, an iterable of bytes, a `Download`."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file about to be sent.

    Attributes:
        open: Makes a fresh iterator over the blocks; closing it releases what it opened.
        length: Bytes it will yield.
        filename: The name it is sent under.
        content_type: Its MIME type.
        replayable: Whether `open` may be called again, for another try.
    """

    open: Callable[[], AsyncGenerator[Buffer, None]]
    length: int
    filename: str
    content_type: str
    replayable: bool


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What can be told of a source before any rule is applied; None where it can't."""

    open: Callable[[], AsyncGenerator[Buffer, None]]
    length: int | None = None
    filename: str | None = None
    content_type: str | None = None
    replayable: bool = True
    head: bytes = b""


async def inspect_source(source: SourceLike) -> SourceInfo:
    if isinstance(source, str | os.PathLike):
        return await _inspect_path(source)
    if isinstance(source, bytes | bytearray | memoryview):
        view = memoryview(source)
        view = view.cast("B") if view.nbytes and view.c_contiguous else memoryview(view.tobytes())
        return SourceInfo(
            partial(_slice_buffer, view), length=view.nbytes, head=bytes(view[:SNIFF_BYTES])
        )
    if isinstance(source, Streamed):
        blocks = partial(_iterate, source)
        name, kind = source.filename, source.content_type
        return SourceInfo(blocks, source.size, name, kind, replayable=False)
    if isinstance(source, Readable):
        return await _inspect_file(source)
    if isinstance(source, AsyncIterable):
        return SourceInfo(partial(_iterate, source), replayable=False)
    if isinstance(source, Iterable):
        # An iterator is its own iterator: a second iter() would not begin again.
        return SourceInfo(
            partial(_iterate_in_thread, source), replayable=not isinstance(source, Iterator)
        )
    limit = "a path, bytes, an open binary file, an iterable of bytes, or an entered Download"
    raise RuleError("source of a file", type(source).__name__, limit)


async def _inspect_path(name: str | os.PathLike[str]) -> SourceInfo:
    if not os.fspath(name):
        raise RuleError("a path to send", "an empty path", "the path of a file")
    path = Path(name)
    info = await run_in_thread(path.stat)
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(info.st_mode):
        hint = "Open it yourself in binary mode and pass the open file"
        raise RuleError("a path to send", f"{str(path)!r}, a device or pipe", "a file", hint)
    return SourceInfo(partial(_read_path, path), info.st_size, path.name)


async def _inspect_file(file: Readable) -> SourceInfo:
    name = getattr(file, "name", None)
    name = Path(name).name if isinstance(name, str) else None
    # An asynchronous file answers read() with an awaitable; anyio's wraps a plain one.
    plain = cast("IO[bytes]", getattr(file, "wrapped", file))
    # What cannot say whether it seeks is no file of Python's own: its read may want the loop.
    local = hasattr(plain, "seekable")
    probe = await run_in_thread(partial(plain.read, 0)) if local else plain.read(0)
    if isawaitable(probe):
        await probe
        return SourceInfo(partial(_read_async_file, file), filename=name, replayable=False)
    if isinstance(probe, str):
        hint = "Open it with mode 'rb'"
        raise RuleError("an open file to send", "a file in text mode", "a binary file", hint)
    start, length = await run_in_thread(partial(_remaining, plain))
    seekable = start is not None
    return SourceInfo(partial(read_file, plain, start), length, name, replayable=seekable)


def _remaining(file: IO[bytes]) -> tuple[int | None, int | None]:
    """Where the file stands and how much is left of it; nothing known of a pipe."""
    if not getattr(file, "seekable", bool)():
        return None, None
    start = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(start)
    return start, max(end - start, 0)


async def _slice_buffer(view: memoryview) -> AsyncGenerator[Buffer, None]:
    for start in range(0, len(view), CHUNK_BYTES):
        yield view[start : start + CHUNK_BYTES]


async def _read_path(path: Path) -> AsyncGenerator[Buffer, None]:
    # Opened by the first read and closed after the last thread has left it, so that a
    # cancellation in between leaves nothing open.
    with ExitStack() as stack:
        files: list[IO[bytes]] = []

        def read() -> bytes:
            if not files:
                files.append(stack.enter_context(path.open("rb", buffering=0)))
            return files[0].read(CHUNK_BYTES)

        async with aclosing(read_ahead(read)) as blocks:
            async for block in blocks:
                yield block


async def read_file(file: IO[bytes], start: int | None) -> AsyncGenerator[Buffer, None]:
    if start is not None:
        await run_in_thread(partial(file.seek, start))
    async with aclosing(read_ahead(partial(_read_chunk, file))) as blocks:
        async for block in blocks:
            yield block


def _read_chunk(file: IO[bytes]) -> bytes:
    block: bytes | None = file.read(CHUNK_BYTES)
    if block is None:  # a pipe in non-blocking mode that is not at its end
        raise BlockingIOError(errno.EAGAIN, "the source has nothing to read yet")
    return block


async def _read_async_file(file: Readable) -> AsyncGenerator[Buffer, None]:
    while block := _copy_to_bytes(await _await_if_needed(file.read(CHUNK_BYTES))):
        yield block


async def _await_if_needed(value: bytes | Awaitable[bytes]) -> bytes:
    return await value if isawaitable(value) else value


async def _iterate_in_thread(source: Iterable[Buffer]) -> AsyncGenerator[Buffer, None]:
    """The blocks of a synchronous iterable, drawn in a thread, many at a time."""
    iterator = iter(source)
    try:
        async with aclosing(read_ahead(partial(_next_batch, iterator))) as blocks:
            async for block in blocks:
                yield block
    finally:
        if close := getattr(iterator, "close", None):
            await run_in_thread(close)


def _next_batch(iterator: Iterator[Buffer]) -> bytes:
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
        async for block in iterator:
            yield _copy_to_bytes(block)
    finally:
        if close := getattr(iterator, "aclose", None):
            await close()


def buffer_size(block: object) -> int:
    if isinstance(block, bytes | bytearray | memoryview):
        return memoryview(block).nbytes
    raise _not_bytes_error(block)


def _copy_to_bytes(piece: object) -> bytes:
    """A piece as bytes of our own: its source may fill the same buffer again for the next."""
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, bytearray | memoryview):
        return memoryview(piece).tobytes()
    raise _not_bytes_error(piece)


def _not_bytes_error(piece: object) -> RuleError:
    return RuleError("what a source yields", type(piece).__name__, "bytes")
