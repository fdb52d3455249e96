"""Write a file under a hidden name beside its target, and name it once it is complete and on disk.

A target holds the complete file or does not exist. A file of less than one chunk takes a single
thread hop for everything: write, hash, flush, name. Of a larger one, a chunk is written while the
next is received.

Every partial file has a name of its own, so two jobs never write into the same one. Its process
holds a lock on it while it lives, by which `sweep` knows the files that a killed process left.
"""

import asyncio
import hashlib
import os
import re
import secrets
import socket
import stat
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from ._streams import CHUNK_BYTES, Buffer, coalesce, fsync_directory, wait_until_done
from .errors import TargetExists

try:
    import fcntl
except ImportError:  # pragma: no cover  (Windows)
    fcntl = None  # type: ignore[assignment]

__all__ = ["PartialFile", "RunInThread", "WrittenFile", "make_folder", "receive_file", "sweep"]

T = TypeVar("T")

STALE_SECONDS = 24 * 3600.0
"""Age at which a partial file is deleted if nobody can see whether its process still lives."""

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)

_PARTIAL_NAME = re.compile(r"\.mlmsg-([0-9a-f]{8})-[0-9a-f]{16}\.part")


class RunInThread(Protocol):
    """A function that runs another one in a worker thread, and returns its result.

    It raises a cancellation only when the thread has finished.
    """

    def __call__(self, function: Callable[[], T], /) -> Awaitable[T]: ...


class WrittenFile(NamedTuple):
    """A complete file.

    Attributes:
        path: The path.
        size: The size in bytes.
        sha256: The SHA-256 of the content, in hexadecimal digits.
    """

    path: Path
    size: int
    sha256: str


class PartialFile:
    """The hidden file beside a target. Every method blocks: call it in a worker thread.

    Attributes:
        size: The bytes written so far.
    """

    def __init__(self, target: Path) -> None:
        self.size: int = 0
        self._target = target
        self._folder = os.fspath(target.parent)
        self._path = ""
        self._descriptor: int | None = None
        self._hash = hashlib.sha256()
        self._changed_folders: set[Path] = set()

    def write(self, data: Buffer) -> None:
        """Write and hash some bytes. The first call creates the file, and missing folders."""
        descriptor = self._create() if self._descriptor is None else self._descriptor
        self._hash.update(data)
        self.size += len(data)
        while data:
            data = memoryview(data)[os.write(descriptor, data) :]

    def commit(self, *, overwrite: bool, flush_folder: bool = True) -> WrittenFile:
        """Flush the file to disk, then give it its name.

        Args:
            overwrite: True to replace an existing file.
            flush_folder: False if the caller flushes the folder itself.

        Raises:
            TargetExists: The target exists, and `overwrite` is false.
        """
        descriptor = self._create() if self._descriptor is None else self._descriptor
        os.fsync(descriptor)
        if fcntl is None:
            self._close()  # Windows renames no open file
        # Elsewhere the file stays locked until it has its name: `sweep` would delete it.
        if overwrite:
            self._keep_permissions()
            os.replace(self._path, self._target)
        else:
            self._name_if_free()
        self._close()
        if flush_folder:
            for folder in {self._target.parent, *self._changed_folders}:
                fsync_directory(folder)
        return WrittenFile(self._target, self.size, self._hash.hexdigest())

    def discard(self) -> None:
        """Delete the partial file."""
        self._close()
        if self._path:
            with suppress(FileNotFoundError):
                os.unlink(self._path)

    def _create(self) -> int:
        while True:
            name = f".mlmsg-{_host()}-{secrets.token_hex(8)}.part"
            path = os.path.join(self._folder, name)
            try:
                descriptor = os.open(path, _CREATE, 0o666)
            except (FileNotFoundError, NotADirectoryError):
                self._changed_folders.update(make_folder(self._target.parent))
                descriptor = os.open(path, _CREATE, 0o666)
            self._path, self._descriptor = path, descriptor
            # Before it was locked, the `sweep` of another job may have locked or deleted it.
            if _lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
                return descriptor
            self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _keep_permissions(self) -> None:
        try:
            old = os.stat(self._target, follow_symlinks=False)
        except OSError:
            return  # a new file, or an error that the rename will report
        if stat.S_ISREG(old.st_mode):
            os.chmod(self._path, old.st_mode & 0o777)

    def _name_if_free(self) -> None:
        try:
            # Unlike a rename, a link does not replace a file created in the meantime.
            os.link(self._path, self._target)
        except FileExistsError:
            raise TargetExists(self._target) from None
        except OSError:
            # A file system without links: the check and the rename are two steps.
            if os.path.lexists(self._target):
                raise TargetExists(self._target) from None
            os.replace(self._path, self._target)
        else:
            os.unlink(self._path)


async def receive_file(
    locate: Callable[[], Path],
    chunks: AsyncGenerator[bytes, None],
    run: RunInThread,
    *,
    overwrite: bool,
    flush_folder: bool = True,
    progress: Callable[[int], object] | None = None,
) -> WrittenFile:
    """Write the chunks to a file, completely or not at all.

    Two chunks of about `CHUNK_BYTES` are in memory: one is received while the other is written.

    Args:
        locate: Returns the target, or rejects it. Called in a worker thread.
        chunks: The content. Its exceptions propagate unchanged.
        run: Runs functions in a worker thread.
        overwrite: True to replace an existing file.
        flush_folder: False if the caller flushes the folder to disk.
        progress: Called with the bytes written so far; before the file gets its name.

    Raises:
        TargetExists: The target exists, and `overwrite` is false.
        OSError: The file cannot be written.
    """
    async with aclosing(coalesce(chunks)) as groups:
        first: list[bytes] = await anext(groups, [])
        size = sum(map(len, first))
        if size < CHUNK_BYTES:
            if progress is not None:
                progress(size)
            write = partial(
                _write_small, locate, first, overwrite=overwrite, flush_folder=flush_folder
            )
            return await run(write)
        part = PartialFile(await run(locate))
        commit = partial(part.commit, overwrite=overwrite, flush_folder=flush_folder)
        try:
            await _write_large(part, first, groups, run, progress)
            return await run(commit)
        except BaseException:
            await run(part.discard)
            raise


def _write_small(
    locate: Callable[[], Path], chunks: list[bytes], *, overwrite: bool, flush_folder: bool
) -> WrittenFile:
    part = PartialFile(locate())
    try:
        # In one piece: every call of the system may wait for the lock of the interpreter.
        part.write(chunks[0] if len(chunks) == 1 else b"".join(chunks))
        return part.commit(overwrite=overwrite, flush_folder=flush_folder)
    except BaseException:
        part.discard()
        raise


async def _write_large(
    part: PartialFile,
    first: list[bytes],
    groups: AsyncGenerator[list[bytes], None],
    run: RunInThread,
    progress: Callable[[int], object] | None,
) -> None:
    """Write each group while the next one is received."""

    async def write(group: list[bytes]) -> None:
        await run(partial(_write_all, part, group))
        if progress is not None:
            progress(part.size)

    writing = asyncio.ensure_future(write(first))
    try:
        async for group in groups:
            await asyncio.shield(writing)
            writing = asyncio.ensure_future(write(group))
        await asyncio.shield(writing)
    finally:
        await wait_until_done(writing)


def _write_all(part: PartialFile, chunks: list[bytes]) -> None:
    for chunk in chunks:
        part.write(chunk)


def make_folder(folder: Path) -> set[Path]:
    """Create a folder and its missing parents. Return the folders that have a new entry."""
    changed: set[Path] = set()
    try:
        folder.mkdir()
    except FileNotFoundError:
        changed = make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return changed
    return changed | {folder.parent}


def sweep(folder: Path, names: Sequence[str]) -> None:
    """Delete those partial files of a folder whose process has ended."""
    for name in names:
        match = _PARTIAL_NAME.fullmatch(name)
        if match is not None and _is_abandoned(folder / name, match[1]):
            (folder / name).unlink(missing_ok=True)


def _is_abandoned(path: Path, host: str) -> bool:
    try:
        if host == _host():
            descriptor = os.open(path, os.O_RDWR)
            try:
                is_locked = _lock(descriptor)
            finally:
                os.close(descriptor)
            if is_locked is not None:
                return is_locked
        # Locks of other machines cannot be seen on every file system.
        return time.time() - path.stat().st_mtime > STALE_SECONDS
    except OSError:  # it has just been renamed or deleted, or belongs to another user
        return False


def _lock(descriptor: int) -> bool | None:
    """Lock a file until it is closed.

    Return False if another process has locked it, and None if files cannot be locked here.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@cache
def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
