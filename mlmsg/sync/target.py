"""Store the mirror in a folder or a bucket, through obstore.

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
"""A folder, a URL such as `s3://bucket/prefix`, or a store of obstore."""

PART = 5 * 1024 * 1024
"""Bytes of one part of a multipart upload. S3 accepts no smaller ones."""


class TargetError(MlmsgError, OSError):
    """The target cannot be read or written: a full disk, a missing bucket, no permission.

    The error of obstore or of the operating system is the `__cause__`.
    """

    ends_job = True


class Target:
    """A store of files by key. Its failures are `TargetError`s."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        folder = store.prefix if isinstance(store, LocalStore) else None
        self._folder = None if folder is None else Path(folder).absolute()
        # Only parts that are sent over a network need to be large.
        self._part = CHUNK_BYTES if isinstance(store, LocalStore | MemoryStore) else PART

    @classmethod
    async def open(cls, to: TargetLike) -> Self:
        """Return the target for an argument `to`. A missing folder is created.

        Raises:
            RuleError: The argument cannot be a target.
            TargetError: The folder cannot be created.
        """
        return await run_in_thread(lambda: cls(_store(to)))

    async def put(self, key: str, chunks: AsyncGenerator[bytes, None]) -> None:
        """Store a complete file, or leave the old one.

        Exceptions of `chunks` propagate unchanged. About three blocks are in memory: 3 MiB for a
        folder, up to 11 MiB for a bucket.
        """
        async with aclosing(coalesce(chunks)) as groups:
            first = b"".join(await anext(groups, []))
            with _translate_error(key):
                # A small file is one request to a bucket, and one hop to a disk. It is not passed
                # as an iterable: obstore does not close one when the job is cancelled.
                if len(first) < CHUNK_BYTES:
                    await obstore.put_async(self._store, key, first)
                    return
                writer = obstore.open_writer_async(
                    self._store, key, buffer_size=self._part, max_concurrency=1
                )
                async with writer:  # aborts the upload after an error
                    await writer.write(first)
                    async for group in groups:
                        await writer.write(b"".join(group))

    async def write(self, key: str, data: bytes) -> None:
        """Store a small file."""
        with _translate_error(key):
            await obstore.put_async(self._store, key, data)

    async def read(self, key: str) -> bytes | None:
        """Return a small file; None if there is none."""
        with _translate_error(key):
            try:
                found = await obstore.get_async(self._store, key)
                return bytes(await found.bytes_async())
            except FileNotFoundError:
                return None

    async def sha256(self, key: str) -> str | None:
        """Return the SHA-256 of a file in hexadecimal digits; None if there is no file."""
        digest = sha256()
        with _translate_error(key):
            try:
                found = await obstore.get_async(self._store, key)
                async for chunk in found.stream(min_chunk_size=CHUNK_BYTES):
                    digest.update(chunk)
            except FileNotFoundError:
                return None
        return digest.hexdigest()

    async def sizes(self, prefix: str) -> dict[str, int]:
        """Return the size of every file below a prefix, by key."""
        with _translate_error(prefix):
            listed = await obstore.list(self._store, prefix).collect_async()
        return {one["path"]: one["size"] for one in listed}

    async def delete(self, key: str) -> None:
        """Delete a file. A missing file is not an error."""
        with _translate_error(key):
            try:
                await obstore.delete_async(self._store, key)
            except FileNotFoundError:
                return

    async def sweep(self, *prefixes: str) -> None:
        """Delete the partial files of killed jobs in these folders of a disk.

        obstore writes `name#1` and renames it. It neither lists nor deletes such a file.
        """
        if self._folder is not None:
            folders = [self._folder / prefix for prefix in prefixes]
            with _translate_error(prefixes[0]):
                await run_in_thread(partial(_sweep, folders))


def _store(to: TargetLike) -> ObjectStore:
    if isinstance(to, ObjectStoreMethods):
        return to
    if not isinstance(to, str | os.PathLike) or not isinstance(path := os.fspath(to), str):
        limit = "a folder, a URL such as 's3://bucket/prefix', or a store of obstore"
        raise RuleError("`to`", type(to).__name__, limit)
    # One letter is no scheme but a drive: C:\mirror.
    if isinstance(to, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", path):
        return _store_at(path)
    if not path or (os.path.lexists(path) and not Path(path).is_dir()):
        found = f"{path!r}, which is a file, not a folder" if path else "an empty path"
        raise RuleError("`to`", found, "a folder, existing or not")
    with _translate_error(path):
        return LocalStore(Path(path).absolute(), mkdir=True)


def _store_at(url: str) -> ObjectStore:
    try:
        if url.lower().startswith("file:"):
            with _translate_error(url):
                return LocalStore.from_url(url, mkdir=True)
        return from_url(url)
    except (BaseError, ValueError) as error:
        limit = "a URL that obstore knows, such as 's3://bucket/prefix'"
        raise RuleError("`to`", repr(url), limit, _first_line(error)) from None


@contextmanager
def _translate_error(key: str) -> Iterator[None]:
    try:
        yield
    except MlmsgError:
        raise  # an error of the source; `TimedOut` is an OSError too
    except (BaseError, OSError) as error:
        raise TargetError(f"{key}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    """Return the first line: obstore adds a dump of its own values below it."""
    return str(error).partition("\n")[0]


def _sweep(folders: list[Path]) -> None:
    for folder in folders:
        for path in folder.glob("*#*") if folder.is_dir() else ():
            if re.fullmatch(r".*#[0-9]+", path.name):
                path.unlink(missing_ok=True)
