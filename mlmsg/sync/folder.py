"""Store the mirror in a folder.

Files are complete and on disk before they get their names. They, and the folders that hold them,
are on disk before a manifest names them.
"""

import os
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Self

from mlmsg._content import SNIFF_BYTES
from mlmsg._partial_file import make_folder, receive_file, sweep, write_file
from mlmsg._streams import CHUNK_BYTES, fsync_directory
from mlmsg._worker_threads import run_in_thread
from mlmsg.errors import RuleError

from .target import Contents, Digest, Inspection, Target, translate_error

try:
    import fcntl
except ImportError:  # pragma: no cover  (Windows)
    fcntl = None  # type: ignore[assignment]

__all__ = ["Folder"]

LOCK_SECONDS = 10.0
"""The longest wait for another job that writes the same manifest."""


class Folder(Target):
    """A folder of this machine, or one that several machines share."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._flushed: set[Path] = set()

    @classmethod
    async def open(cls, path: str) -> Self:
        """Return the target. A missing folder is created.

        Raises:
            RuleError: There is a file with that path.
            TargetError: The folder cannot be created.
        """
        return cls(await run_in_thread(partial(_open, path)))

    async def load(self, manifest: str, folders: Sequence[str]) -> Contents:
        """Also delete the partial files of killed jobs in these folders."""
        with translate_error(manifest):
            return await run_in_thread(partial(self._load, manifest, folders))

    async def put(self, key: str, chunks: AsyncGenerator[bytes, None]) -> Digest:
        """Store a file. Its folder is flushed to disk by `update`, for all files of the thread."""
        with translate_error(key):
            written = await receive_file(
                lambda: self._root / key,
                chunks,
                overwrite=True,
                flush_folder=False,
            )
        return Digest(written.size, written.sha256)

    async def update(
        self, key: str, folders: Sequence[str], update: Callable[[bytes | None], bytes]
    ) -> None:
        """Two jobs that update the same file wait for each other."""
        with translate_error(key):
            await run_in_thread(partial(self._update, key, folders, update))

    async def inspect(self, key: str) -> Inspection | None:
        """Read a file completely, and flush it to disk: a manifest is going to name it."""
        with translate_error(key):
            return await run_in_thread(partial(_inspect, self._root / key))

    async def move(self, old: str, new: str) -> None:
        """Rename a file, and flush both folders to disk."""
        with translate_error(new):
            await run_in_thread(partial(self._move, old, new))

    async def delete(self, key: str) -> None:
        """Delete a file."""
        with translate_error(key):
            await run_in_thread(partial((self._root / key).unlink, missing_ok=True))

    async def close(self) -> None:
        """Do nothing: everything is on disk."""

    def _load(self, manifest: str, folders: Sequence[str]) -> Contents:
        sizes = {key: size for folder in folders for key, size in self._sizes(folder)}
        data = _read(self._root / manifest) if sizes.pop(manifest, None) is not None else None
        return Contents(data, sizes)

    def _sizes(self, folder: str) -> Iterator[tuple[str, int]]:
        hidden: list[str] = []
        try:
            with os.scandir(self._root / folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        hidden.append(entry.name)
                        continue
                    with suppress(FileNotFoundError):  # it has just been moved
                        if entry.is_file():
                            yield f"{folder}/{entry.name}", entry.stat().st_size
        except FileNotFoundError:
            return
        sweep(self._root / folder, hidden)

    def _update(
        self, key: str, folders: Sequence[str], update: Callable[[bytes | None], bytes]
    ) -> None:
        path = self._root / key
        make_folder(path.parent)
        with _locked(path.parent):
            data = update(_read(path))
            for folder in folders:
                self._flush(self._root / folder)
            write_file(path, [data], overwrite=True)

    def _flush(self, folder: Path) -> None:
        """Flush the entries of a folder to disk, and its own entry, and those of its parents."""
        if not folder.is_dir():
            return
        fsync_directory(folder)
        fsync_directory(folder.parent)
        for parent in folder.relative_to(self._root).parents[:-1]:
            path = self._root / parent
            if path not in self._flushed:
                fsync_directory(path.parent)
                self._flushed.add(path)

    def _move(self, old: str, new: str) -> None:
        source, path = self._root / old, self._root / new
        make_folder(path.parent)
        try:
            source.replace(path)
        except FileNotFoundError:
            return  # another job has moved it
        fsync_directory(path.parent)
        fsync_directory(source.parent)


def _open(path: str) -> Path:
    if os.path.lexists(path) and not Path(path).is_dir():
        raise RuleError("`to`", f"{path!r}, which is a file", "a folder, existing or not")
    root = Path(path).absolute()
    with translate_error(path):
        for folder in make_folder(root):
            fsync_directory(folder)
    return root


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _inspect(path: Path) -> Inspection | None:
    digest = sha256()
    size = 0
    head = b""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    with file:
        while block := file.read(CHUNK_BYTES):
            head = head or block[:SNIFF_BYTES]
            size += len(block)
            digest.update(block)
        with suppress(OSError):  # a few systems flush only files that are open for writing
            os.fsync(file.fileno())
        modified = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
    return Inspection(Digest(size, digest.hexdigest()), head, modified)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, where folders can be locked, and if it is free in time."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _wait_for_lock(descriptor)
        yield
    finally:
        # A process that was forked meanwhile has the descriptor too: closing it is not enough.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _wait_for_lock(descriptor: int) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return
            time.sleep(0.005)
        except OSError:
            return
        else:
            return
