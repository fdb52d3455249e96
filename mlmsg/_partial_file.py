"""Write a file under a hidden name beside its target, and name it once it is complete and on disk.

A target holds the complete file or does not exist. A small file takes a single thread hop for
everything: check the target, write, hash, flush, name. A larger one is received, hashed and written
side by side, with short queues between.

Every partial file has a name of its own, so two jobs never write into the same one. Its process
holds a lock on it while it lives, by which `sweep` knows the files that a killed process left.

A small file gets no hidden name where the file system has unnamed files (`O_TMPFILE` of Linux),
except while it replaces another one. A killed process then leaves nothing, and the file need not be
locked, nor a second name removed. This saves a third of the system calls, after each of which the
thread has to wait for the interpreter's lock (GIL) again.
"""

import hashlib
import os
import socket
import stat
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from ._patterns import LazyPattern
from ._streams import Buffer, coalesce, fsync_directory
from ._worker_threads import Lane, WorkerThreads, run_in_thread
from .errors import TargetExists

try:
    import fcntl
except ImportError:  # pragma: no cover  (Windows)
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "CannotBeNamed",
    "PartialFile",
    "WrittenFile",
    "make_folder",
    "receive_file",
    "sweep",
    "write_file",
]

GROUP_BYTES = 512 * 1024
"""Bytes that are written, and hashed, by one call. A smaller file takes one call for everything."""

WAITING_GROUPS = 2
"""Groups that wait before they are written, or hashed: with those in the threads, and the one that
is received, a file takes less than 4 MiB."""

MAX_BUFFERS = 512
"""Buffers that one call of the operating system writes. Linux and macOS accept 1,024."""

STALE_SECONDS = 24 * 3600.0
"""Age at which a partial file is deleted if nobody can see whether its process still lives."""

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)

_CREATE_UNNAMED = os.O_WRONLY | getattr(os, "O_TMPFILE", 0)
_HAS_UNNAMED = hasattr(os, "O_TMPFILE")

_PARTIAL_NAME = LazyPattern(r"\.mlmsg-([0-9a-f]{8})-[0-9a-f]{16}\.part")


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


class CannotBeNamed(Exception):
    """An unnamed file cannot be given a name, for example without `/proc`."""


class PartialFile:
    """The hidden file beside a target. Every method blocks: call it in a worker thread.

    Attributes:
        size: The bytes written so far.
        changed_folders: The folders with a new entry, because a missing folder was created.
    """

    def __init__(self, target: Path, *, unnamed: bool = False) -> None:
        """Prepare the file. The first `write` creates it.

        Args:
            target: The path of the complete file.
            unnamed: True to give it no name before `commit`, where the file system can. If it
                cannot be named then, `commit` raises `CannotBeNamed`.
        """
        self.size: int = 0
        self.changed_folders: set[Path] = set()
        self._is_unnamed = unnamed and _HAS_UNNAMED
        self._target = target
        self._folder = os.fspath(target.parent)
        self._path = ""
        self._descriptor: int | None = None
        self._hash = hashlib.sha256()

    def write(self, chunks: Sequence[Buffer]) -> None:
        """Write some bytes. The first call creates the file, and missing folders."""
        descriptor = self._create() if self._descriptor is None else self._descriptor
        size = sum(map(len, chunks))
        self.size += size
        written = 0
        if hasattr(os, "writev") and 1 < len(chunks) <= MAX_BUFFERS:
            # In one call: after each one, the thread waits for the lock of the interpreter.
            written = os.writev(descriptor, chunks)
        if written < size:
            left = memoryview(chunks[0] if len(chunks) == 1 else b"".join(chunks))[written:]
            while left:
                left = left[os.write(descriptor, left) :]

    def hash(self, chunks: Sequence[Buffer]) -> None:
        """Add some bytes to the SHA-256. May run in another thread than the other methods."""
        for chunk in chunks:
            self._hash.update(chunk)

    def commit(self, *, overwrite: bool, flush_folder: bool = True) -> None:
        """Flush the file to disk, then give it its name.

        Args:
            overwrite: True to replace an existing file.
            flush_folder: False if the caller flushes the folder itself.

        Raises:
            TargetExists: The target exists, and `overwrite` is false.
            CannotBeNamed: The file is unnamed, and the system cannot give it a name.
        """
        descriptor = self._create() if self._descriptor is None else self._descriptor
        os.fsync(descriptor)
        if fcntl is None:
            self._close()  # Windows renames no open file
        # Elsewhere the file stays locked until it has its name: `sweep` would delete it.
        if self._path or not self._link_unnamed(descriptor, overwrite=overwrite):
            if overwrite:
                self._keep_permissions()
                os.replace(self._path, self._target)
            else:
                self._name_if_free()
        self._close()
        if flush_folder:
            fsync_directory(self._folder)
            for folder in self.changed_folders:
                fsync_directory(folder)

    def describe(self) -> WrittenFile:
        """Return the description of the complete file."""
        return WrittenFile(self._target, self.size, self._hash.hexdigest())

    def discard(self) -> None:
        """Delete the partial file."""
        with suppress(OSError):  # a network file system may report the full disk again
            self._close()
        if self._path:
            with suppress(FileNotFoundError):
                os.unlink(self._path)

    def _create(self) -> int:
        if self._is_unnamed:
            # The file system may have no unnamed files. Any other error, such as that of a
            # read-only folder, is raised below: the hidden file meets it, too.
            with suppress(OSError):
                self._descriptor = self._open(self._folder, _CREATE_UNNAMED)
                return self._descriptor
        while True:
            path = self._hidden_path()
            descriptor = self._open(path, _CREATE)
            self._path, self._descriptor = path, descriptor
            # Before it was locked, the `sweep` of another job may have locked or deleted it.
            if _lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
                return descriptor
            self._close()

    def _open(self, path: str, flags: int) -> int:
        try:
            return os.open(path, flags, 0o666)
        except (FileNotFoundError, NotADirectoryError):
            self.changed_folders.update(make_folder(self._target.parent))
            return os.open(path, flags, 0o666)

    def _hidden_path(self) -> str:
        name = f".mlmsg-{_host()}-{os.urandom(8).hex()}.part"
        return os.path.join(self._folder, name)

    def _link_unnamed(self, descriptor: int, *, overwrite: bool) -> bool:
        """Give an unnamed file the name of its target, and return True.

        If the target is to be replaced, which a link cannot do, give the file a hidden name and
        return False.
        """
        try:
            _link_descriptor(descriptor, os.fspath(self._target))
        except FileExistsError:
            if not overwrite:
                raise TargetExists(self._target) from None
        except OSError as error:
            raise CannotBeNamed from error
        else:
            return True
        _lock(descriptor)  # before `sweep` can see it
        path = self._hidden_path()
        _link_descriptor(descriptor, path)
        self._path = path
        return False

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _keep_permissions(self) -> None:
        try:
            old = os.stat(self._target, follow_symlinks=False)
        except OSError:
            return  # a new file, or an error that the rename will report
        if not stat.S_ISREG(old.st_mode):
            return
        try:
            os.chmod(self._path, old.st_mode & 0o777)
        except OSError:
            # A file system without permissions refuses to set even those that every file has.
            if (os.stat(self._path).st_mode ^ old.st_mode) & 0o777:
                raise

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
    *,
    overwrite: bool,
    flush_folder: bool = True,
    progress: Callable[[int], object] | None = None,
) -> WrittenFile:
    """Write the chunks to a file, completely or not at all.

    Args:
        locate: Returns the target, or rejects it. Called in a worker thread.
        chunks: The content. Its exceptions propagate unchanged.
        overwrite: True to replace an existing file.
        flush_folder: False if the caller flushes the folder to disk.
        progress: Called with the bytes received so far; before the file gets its name.

    Raises:
        TargetExists: The target exists, and `overwrite` is false.
        OSError: The file cannot be written.
    """
    async with aclosing(coalesce(chunks, GROUP_BYTES)) as groups:
        first: list[bytes] = await anext(groups, [])
        size = sum(map(len, first))
        if size < GROUP_BYTES:
            if progress is not None:
                progress(size)
            write = partial(
                _write_small, locate, first, overwrite=overwrite, flush_folder=flush_folder
            )
            return await run_in_thread(write)
        pipeline = _Pipeline(PartialFile(await run_in_thread(locate)))
        try:
            await pipeline.write(first, progress)
            async for group in groups:
                await pipeline.write(group, progress)
            return await pipeline.commit(overwrite=overwrite, flush_folder=flush_folder)
        except BaseException:
            await pipeline.discard()
            raise


def _write_small(
    locate: Callable[[], Path], chunks: list[bytes], *, overwrite: bool, flush_folder: bool
) -> WrittenFile:
    return write_file(locate(), chunks, overwrite=overwrite, flush_folder=flush_folder)


def write_file(
    target: Path, chunks: Sequence[Buffer], *, overwrite: bool, flush_folder: bool = True
) -> WrittenFile:
    """Write a small file, completely or not at all, and flush it to disk. Blocks.

    Raises:
        TargetExists: The target exists, and `overwrite` is false.
        OSError: The file cannot be written.
    """
    write = partial(_write, chunks=chunks, overwrite=overwrite, flush_folder=flush_folder)
    part = PartialFile(target, unnamed=True)
    # After the `with` block, an error of the second attempt does not show that of the first one.
    with suppress(CannotBeNamed):
        return write(part)
    hidden = PartialFile(target)
    hidden.changed_folders |= part.changed_folders  # not flushed yet
    return write(hidden)


def _write(
    part: PartialFile, chunks: Sequence[Buffer], *, overwrite: bool, flush_folder: bool
) -> WrittenFile:
    try:
        part.write(chunks)
        part.hash(chunks)
        part.commit(overwrite=overwrite, flush_folder=flush_folder)
    except BaseException:
        part.discard()
        raise
    return part.describe()


class _Pipeline:
    """Write a file in one thread and hash it in another, while its next bytes are received."""

    def __init__(self, part: PartialFile) -> None:
        threads = WorkerThreads.of_loop()
        self._part = part
        self._size = 0
        self._writes, self._hashes = Lane(threads), Lane(threads)

    async def write(self, chunks: list[bytes], progress: Callable[[int], object] | None) -> None:
        """Hand over some bytes. Wait while too many others have not been written or hashed."""
        self._writes.put(partial(self._part.write, chunks))
        self._hashes.put(partial(self._part.hash, chunks))
        self._size += sum(map(len, chunks))
        if progress is not None:
            progress(self._size)
        await self._writes.wait_for_room(WAITING_GROUPS)
        await self._hashes.wait_for_room(WAITING_GROUPS)

    async def commit(self, *, overwrite: bool, flush_folder: bool) -> WrittenFile:
        """Write the rest, and give the file its name."""
        commit = partial(self._part.commit, overwrite=overwrite, flush_folder=flush_folder)
        self._writes.put(commit)
        await self._writes.finish()
        await self._hashes.finish()
        return self._part.describe()

    async def discard(self) -> None:
        """Wait for both threads, then delete the partial file."""
        try:
            await self._hashes.stop()
        finally:
            try:
                await self._writes.stop()
            finally:
                await run_in_thread(self._part.discard)


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
        if match is not None:
            _delete_if_abandoned(folder / name, is_of_this_machine=match[1] == _host())


def _delete_if_abandoned(path: Path, *, is_of_this_machine: bool) -> None:
    # Locks of other machines cannot be seen on every file system.
    can_lock = is_of_this_machine and fcntl is not None
    try:
        descriptor = os.open(path, os.O_RDWR) if can_lock else None
    except OSError:  # it has just been renamed or deleted, or belongs to another user
        return
    try:
        is_locked = None if descriptor is None else _lock(descriptor)
        if is_locked or (is_locked is None and _is_old(path)):
            # Still locked: its process may have created the file and not locked it yet. It finds
            # the lock taken or the file deleted, and creates another one.
            path.unlink(missing_ok=True)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > STALE_SECONDS
    except OSError:
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


def _link_descriptor(descriptor: int, path: str) -> None:
    """Give an unnamed file a name that is free."""
    # CPython follows the link in `/proc` only if it has a `src_dir_fd`: without one it calls
    # `link`, not `linkat`. The source is an absolute path, for which the descriptor is not used.
    source = f"/proc/self/fd/{descriptor}"
    os.link(source, path, src_dir_fd=descriptor, follow_symlinks=True)


@cache
def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
