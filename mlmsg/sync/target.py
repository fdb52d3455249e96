"""Where the mirror is kept: a folder or a bucket, by way of obstore.

This is the only module that names obstore.
"""

import os
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Self, TypeAlias

from mlmsg._streams import CHUNK_BYTES, coalesce, run_in_thread
from mlmsg.errors import MlmsgError, RuleError

try:
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import LocalStore, MemoryStore, ObjectStore, ObjectStoreMethods, from_url
except ModuleNotFoundError as _error:
    if _error.name != "obstore":
        raise
    message = "mlmsg.sync needs obstore: pip install 'mlmsg[sync]'"
    raise ModuleNotFoundError(message, name="obstore") from None

__all__ = ["Target", "TargetError", "TargetLike"]

TargetLike: TypeAlias = str | os.PathLike[str] | ObjectStore
"""A folder, a URL such as `s3://bucket/prefix`, or a store of obstore's."""

PART = 5 * 1024 * 1024
"""Bytes of one part of a multipart upload; S3 takes no smaller ones."""


class TargetError(MlmsgError, OSError):
    """The target cannot be read or written: a full disk, a bucket that is gone, no permission.

    The error of obstore, or of the operating system, is the `__cause__`.
    """


class Target:
    """A place for files by key. What fails in it is a `TargetError`."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        folder = store.prefix if isinstance(store, LocalStore) else None
        self._folder = None if folder is None else Path(folder).absolute()
        # What is not sent anywhere needs no large parts.
        self._part = CHUNK_BYTES if isinstance(store, LocalStore | MemoryStore) else PART

    @classmethod
    async def open(cls, to: TargetLike) -> Self:
        """The target that the caller means; a folder is made if it is not there.

        Raises:
            RuleError: It cannot be one.
            TargetError: The folder cannot be made.
        """
        return await run_in_thread(lambda: cls(_store(to)))

    async def put(self, key: str, chunks: AsyncGenerator[bytes, None]) -> None:
        """Stores a file whole, or leaves what was there.

        What `chunks` raises is raised as it is. About three blocks are in memory: 3 MiB for a
        folder, up to 11 MiB for a bucket.
        """
        async with aclosing(coalesce(chunks)) as groups:
            first = b"".join(await anext(groups, []))
            with _explained(key):
                # A small file is one request to a bucket, and one hop to a disk. An iterable of
                # its own would not be closed by obstore when the job is cancelled.
                if len(first) < CHUNK_BYTES:
                    await obstore.put_async(self._store, key, first)
                    return
                writer = obstore.open_writer_async(
                    self._store, key, buffer_size=self._part, max_concurrency=1
                )
                async with writer:  # which takes everything back after an error
                    await writer.write(first)
                    async for group in groups:
                        await writer.write(b"".join(group))

    async def write(self, key: str, data: bytes) -> None:
        """Stores a small file."""
        with _explained(key):
            await obstore.put_async(self._store, key, data)

    async def read(self, key: str) -> bytes | None:
        """A small file; None if it is not there."""
        with _explained(key):
            try:
                found = await obstore.get_async(self._store, key)
                return bytes(await found.bytes_async())
            except FileNotFoundError:
                return None

    async def sha256(self, key: str) -> str | None:
        """The SHA-256 of a file in hexadecimal digits; None if it is not there."""
        digest = sha256()
        with _explained(key):
            try:
                found = await obstore.get_async(self._store, key)
                async for chunk in found.stream(min_chunk_size=CHUNK_BYTES):
                    digest.update(chunk)
            except FileNotFoundError:
                return None
        return digest.hexdigest()

    async def sizes(self, prefix: str) -> dict[str, int]:
        """The bytes of every file below a prefix, by key."""
        with _explained(prefix):
            listed = await obstore.list(self._store, prefix).collect_async()
        return {one["path"]: one["size"] for one in listed}

    async def delete(self, key: str) -> None:
        """Takes a file away; one that is not there is no error."""
        with _explained(key):
            try:
                await obstore.delete_async(self._store, key)
            except FileNotFoundError:
                return

    async def sweep(self, *prefixes: str) -> None:
        """Takes away what a killed job left half written in these folders of a disk.

        obstore writes `name#1` and renames it; it neither lists such a file nor deletes it.
        """
        if self._folder is not None:
            folders = [self._folder / prefix for prefix in prefixes]
            with _explained(prefixes[0]):
                await run_in_thread(partial(_sweep, folders))


def _store(to: TargetLike) -> ObjectStore:
    if isinstance(to, ObjectStoreMethods):
        return to
    if not isinstance(to, str | os.PathLike) or not isinstance(path := os.fspath(to), str):
        limit = "a folder, a URL such as 's3://bucket/prefix', or a store of obstore's"
        raise RuleError("`to`", type(to).__name__, limit)
    # One letter is no scheme but a drive: C:\mirror.
    if isinstance(to, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", path):
        return _store_at(path)
    if not path or (os.path.lexists(path) and not Path(path).is_dir()):
        found = f"{path!r}, which is a file, not a folder" if path else "an empty path"
        raise RuleError("`to`", found, "a folder, there already or not")
    with _explained(path):
        return LocalStore(Path(path).absolute(), mkdir=True)


def _store_at(url: str) -> ObjectStore:
    try:
        if url.lower().startswith("file:"):
            with _explained(url):
                return LocalStore.from_url(url, mkdir=True)
        return from_url(url)
    except (BaseError, ValueError) as error:
        limit = "a URL that obstore knows, such as 's3://bucket/prefix'"
        raise RuleError("`to`", repr(url), limit, _first_line(error)) from None


@contextmanager
def _explained(key: str) -> Iterator[None]:
    try:
        yield
    except MlmsgError:
        raise  # the source's own; one that timed out is an OSError too
    except (BaseError, OSError) as error:
        raise TargetError(f"{key}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    """What happened; obstore adds a dump of its own values below it."""
    return str(error).partition("\n")[0]


def _sweep(folders: list[Path]) -> None:
    for folder in folders:
        for path in folder.glob("*#*") if folder.is_dir() else ():
            if re.fullmatch(r".*#[0-9]+", path.name):
                path.unlink(missing_ok=True)
