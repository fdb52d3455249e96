"""From whatever the caller has to a counted multipart body that can be opened afresh.

`open_source` turns a path, bytes, an open binary file, an iterable or a `Download` into a `Source`,
whose value is "open -> fresh async iterator of blocks". `Multipart` frames one source as the
`file` part of a form and counts what passes. Nothing here knows a socket.
"""

import errno
import mimetypes
import os
import secrets
import stat
import tempfile
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
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from inspect import isawaitable
from pathlib import Path
from typing import IO, Protocol, TypeAlias, cast, runtime_checkable

from ._streams import BLOCK, Block, gathered, in_thread, read_ahead
from .errors import LengthMismatch, RuleError
from .rules import HEAD, FileRules, check_content_type, check_progress, is_content_type, kind_of

__all__ = ["Multipart", "Progress", "Readable", "Source", "SourceLike", "Streamed", "open_source"]

Progress: TypeAlias = Callable[[int, int | None], object]
"""Called with the bytes of the file that went through so far, and all of them (None: not known)."""


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
    str | os.PathLike[str] | Block | Readable | Iterable[Block] | AsyncIterable[Block] | Streamed
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

    open: Callable[[], AsyncGenerator[Block, None]]
    length: int
    filename: str
    content_type: str
    replayable: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """What can be told of a source before any rule is applied; None where it can't."""

    open: Callable[[], AsyncGenerator[Block, None]]
    length: int | None = None
    filename: str | None = None
    content_type: str | None = None
    replayable: bool = True
    head: bytes = b""


@asynccontextmanager
async def open_source(
    source: SourceLike,
    rules: FileRules,
    *,
    filename: str | None = None,
    content_type: str | None = None,
    length: int | None = None,
) -> AsyncIterator[Source]:
    """Looks at `source`, checks it against `rules`, and yields it ready to be sent.

    A source of unknown length is first copied to a temporary file (in memory up to 1 MiB, then on
    disk, never more than the rules allow), so that its size is checked before anything is sent and
    the upload can be tried again. `length=` declares the bytes it will yield and streams at once.

    Raises:
        RuleError: The name, the size or the kind of object is not allowed.
        OSError: The file cannot be read; unchanged.
    """
    found = await _look_at(source)
    if content_type is None and is_content_type(found.content_type):
        content_type = found.content_type
    name = filename if filename is not None else found.filename
    if name is None:
        name = _default_name(content_type, found.head)
    rules.check_name(name)
    kind = content_type or _kind_of(name)
    check_content_type(kind)
    size = _declared(length, found.length)
    if size is None or (rules.kinds and not found.replayable):
        # Where the kind counts too, even a stream of known length is copied, to look at it first.
        async with _spooled(found.open, rules) as (reopen, held):
            if size is not None and size != held:
                raise _mismatch(size, f"{held} bytes")
            await _check_kind(reopen, name, rules)
            yield Source(reopen, held, name, kind, replayable=True)
    else:
        rules.check_size(size)
        await _check_kind(found.open, name, rules)
        yield Source(found.open, size, name, kind, replayable=found.replayable)


@dataclass(frozen=True, slots=True)
class Multipart:
    """One source as the `file` part of a `multipart/form-data` body, counted.

    The file name goes out as the WHATWG form-data standard has it: raw UTF-8 with `"`, CR and LF
    percent-encoded.

    Attributes:
        source: The file.
        progress: Told after each block how much of the file went out; starts again with a retry.
        boundary: What separates the parts, drawn anew for each body.
    """

    source: Source
    progress: Progress | None = None
    boundary: str = ""

    @classmethod
    def of(cls, source: Source, progress: Progress | None = None) -> "Multipart":
        """A body with a boundary of its own."""
        check_progress(progress)
        return cls(source, progress, f"mlmsg-{secrets.token_hex(16)}")

    @property
    def content_type(self) -> str:
        """The header's value, boundary included."""
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

    async def blocks(self) -> AsyncGenerator[Block, None]:
        """The body from its first byte to its last, in steps, from a source opened for this call.

        Raises:
            LengthMismatch: The source is longer or shorter than it said; before the surplus
                byte, or the closing boundary, is yielded.
        """
        yield self._head
        seen, length = 0, self.source.length
        async with aclosing(self.source.open()) as blocks:
            async for block in blocks:
                size = _size(block)
                if seen + size > length:
                    raise _mismatch(length, f"at least {seen + size} bytes")
                for start in range(0, size, SLICE):
                    yield memoryview(block)[start : start + SLICE]
                    seen += min(SLICE, size - start)
                    if self.progress is not None:
                        self.progress(seen, length)
        if seen != length:
            raise _mismatch(length, f"{seen} bytes")
        yield self._tail


SLICE = 256 * 1024
"""Bytes handed to the socket at a time: little enough that the loop is never held up."""

DRAW_TIME = 0.05
"""Seconds that a slow iterable is drawn from before what it gave goes out."""

# MimeTypes() reads the system's tables when it is made: at import, not on the event loop.
_TYPES = mimetypes.MimeTypes()


def _mismatch(length: int, found: str) -> LengthMismatch:
    hint = "Declare the length that the source really has, or leave `length` out"
    return LengthMismatch("length of a source", found, f"exactly {length} bytes", hint)


def _declared(declared: int | None, known: int | None) -> int | None:
    if declared is None:
        return known
    if isinstance(declared, bool) or not isinstance(declared, int) or declared < 0:
        raise RuleError("`length` of a source", repr(declared), "an int of bytes, 0 or more")
    if known is not None and known != declared:
        raise _mismatch(declared, f"{known} bytes")
    return declared


async def _check_kind(
    reopen: Callable[[], AsyncGenerator[Block, None]], name: str, rules: FileRules
) -> None:
    """Looks at the first bytes of a source, where the rules ask what kind of file it is."""
    if not rules.kinds:
        return
    head = b""
    async with aclosing(reopen()) as blocks:
        async for block in blocks:
            head += bytes(block[:HEAD])
            if len(head) >= HEAD:
                break
    rules.check_kind(name, head)


def _default_name(content_type: str | None, head: bytes) -> str:
    if content_type:
        return f"attachment{_TYPES.guess_extension(content_type) or ''}"
    kind = kind_of(head)
    return f"attachment{kind.extensions[0] if kind else ''}"


def _kind_of(name: str) -> str:
    kind, encoding = _TYPES.guess_type(name)
    # "a.csv.gz" is guessed as a compressed text/csv: as a file it is none.
    return kind if kind and not encoding else "application/octet-stream"


def _size(block: object) -> int:
    if isinstance(block, bytes | bytearray | memoryview):
        return memoryview(block).nbytes
    raise _no_bytes(block)


def _own(piece: object) -> bytes:
    """A piece as bytes of our own: its source may fill the same buffer again for the next."""
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, bytearray | memoryview):
        return memoryview(piece).tobytes()
    raise _no_bytes(piece)


def _no_bytes(piece: object) -> RuleError:
    return RuleError("what a source yields", type(piece).__name__, "bytes")


async def _look_at(source: SourceLike) -> _Found:
    if isinstance(source, str | os.PathLike):
        return await _path(source)
    if isinstance(source, bytes | bytearray | memoryview):
        view = memoryview(source)
        view = view.cast("B") if view.nbytes and view.c_contiguous else memoryview(view.tobytes())
        return _Found(partial(_slices, view), length=view.nbytes, head=bytes(view[:HEAD]))
    if isinstance(source, Streamed):
        blocks = partial(_iterated, source)
        name, kind = source.filename, source.content_type
        return _Found(blocks, source.size, name, kind, replayable=False)
    if isinstance(source, Readable):
        return await _file(source)
    if isinstance(source, AsyncIterable):
        return _Found(partial(_iterated, source), replayable=False)
    if isinstance(source, Iterable):
        # An iterator is its own iterator: a second iter() would not begin again.
        return _Found(partial(_drawn, source), replayable=not isinstance(source, Iterator))
    limit = "a path, bytes, an open binary file, an iterable of bytes, or an entered Download"
    raise RuleError("source of a file", type(source).__name__, limit)


async def _path(name: str | os.PathLike[str]) -> _Found:
    if not os.fspath(name):
        raise RuleError("a path to send", "an empty path", "the path of a file")
    path = Path(name)
    info = await in_thread(path.stat)
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(info.st_mode):
        hint = "Open it yourself in binary mode and pass the open file"
        raise RuleError("a path to send", f"{str(path)!r}, a device or pipe", "a file", hint)
    return _Found(partial(_opened, path), info.st_size, path.name)


async def _file(file: Readable) -> _Found:
    name = getattr(file, "name", None)
    name = Path(name).name if isinstance(name, str) else None
    # An asynchronous file answers read() with an awaitable; anyio's wraps a plain one.
    plain = cast("IO[bytes]", getattr(file, "wrapped", file))
    # What cannot say whether it seeks is no file of Python's own: its read may want the loop.
    local = hasattr(plain, "seekable")
    probe = await in_thread(partial(plain.read, 0)) if local else plain.read(0)
    if isawaitable(probe):
        await probe
        return _Found(partial(_awaited, file), filename=name, replayable=False)
    if isinstance(probe, str):
        hint = "Open it with mode 'rb'"
        raise RuleError("an open file to send", "a file in text mode", "a binary file", hint)
    start, length = await in_thread(partial(_extent, plain))
    seekable = start is not None
    return _Found(partial(_read, plain, start), length, name, replayable=seekable)


def _extent(file: IO[bytes]) -> tuple[int | None, int | None]:
    """Where the file stands and how much is left of it; nothing known of a pipe."""
    if not getattr(file, "seekable", bool)():
        return None, None
    start = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(start)
    return start, max(end - start, 0)


async def _slices(view: memoryview) -> AsyncGenerator[Block, None]:
    for start in range(0, len(view), BLOCK):
        yield view[start : start + BLOCK]


async def _opened(path: Path) -> AsyncGenerator[Block, None]:
    # Opened by the first read and closed after the last thread has left it, so that a
    # cancellation in between leaves nothing open.
    with ExitStack() as stack:
        files: list[IO[bytes]] = []

        def read() -> bytes:
            if not files:
                files.append(stack.enter_context(path.open("rb", buffering=0)))
            return files[0].read(BLOCK)

        async with aclosing(read_ahead(read)) as blocks:
            async for block in blocks:
                yield block


async def _read(file: IO[bytes], start: int | None) -> AsyncGenerator[Block, None]:
    if start is not None:
        await in_thread(partial(file.seek, start))
    async with aclosing(read_ahead(partial(_block, file))) as blocks:
        async for block in blocks:
            yield block


def _block(file: IO[bytes]) -> bytes:
    block: bytes | None = file.read(BLOCK)
    if block is None:  # a pipe in non-blocking mode that is not at its end
        raise BlockingIOError(errno.EAGAIN, "the source has nothing to read yet")
    return block


async def _awaited(file: Readable) -> AsyncGenerator[Block, None]:
    while block := _own(await _now(file.read(BLOCK))):
        yield block


async def _now(value: bytes | Awaitable[bytes]) -> bytes:
    return await value if isawaitable(value) else value


async def _drawn(source: Iterable[Block]) -> AsyncGenerator[Block, None]:
    """The blocks of a synchronous iterable, drawn in a thread, many at a time."""
    iterator = iter(source)
    try:
        async with aclosing(read_ahead(partial(_draw, iterator))) as blocks:
            async for block in blocks:
                yield block
    finally:
        if close := getattr(iterator, "close", None):
            await in_thread(close)


def _draw(iterator: Iterator[Block]) -> bytes:
    pieces: list[bytes] = []
    size = 0
    deadline = time.monotonic() + DRAW_TIME
    for piece in iterator:
        pieces.append(_own(piece))
        size += len(pieces[-1])
        if size >= BLOCK or (size and time.monotonic() > deadline):
            break
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _iterated(source: AsyncIterable[Block]) -> AsyncGenerator[Block, None]:
    iterator = aiter(source)
    try:
        async for block in iterator:
            yield _own(block)
    finally:
        if close := getattr(iterator, "aclose", None):
            await close()


@asynccontextmanager
async def _spooled(
    blocks: Callable[[], AsyncGenerator[Block, None]], rules: FileRules
) -> AsyncIterator[tuple[Callable[[], AsyncGenerator[Block, None]], int]]:
    """A copy of a source of unknown length, and its size, already within the rules."""
    file = tempfile.SpooledTemporaryFile(max_size=BLOCK)  # noqa: SIM115  (closed below)
    try:
        size = 0
        async with aclosing(gathered(blocks())) as groups:
            async for group in groups:
                size += sum(map(len, group))
                rules.check_size(size)
                await in_thread(partial(file.writelines, group))
        rules.check_size(size)
        yield partial(_read, file, 0), size
    finally:
        file.close()
