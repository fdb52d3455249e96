"""Store the mirror in a bucket, through obstore.

This is the only module that imports obstore. It is imported when a job has a bucket as its target.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager, aclosing
from datetime import UTC
from hashlib import sha256
from typing import Self

import obstore
from obstore.exceptions import BaseError
from obstore.store import (
    AzureStore,
    GCSStore,
    HTTPStore,
    LocalStore,
    MemoryStore,
    ObjectStore,
    S3Store,
    from_url,
)

from mlmsg._content import SNIFF_BYTES
from mlmsg._streams import CHUNK_BYTES, coalesce
from mlmsg.errors import RuleError

from .store_errors import explain_store_error
from .target import Contents, Digest, Inspection, StoreLike, Target, translate_error

__all__ = ["Bucket"]

PART_BYTES = 5 * 1024 * 1024
"""Bytes of one part of a multipart upload. S3 accepts no smaller ones."""


class Bucket(Target):
    """A bucket of S3, GCS or Azure, or any other store of obstore."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        # Only parts that are sent over a network need to be large.
        self._part_bytes = CHUNK_BYTES if isinstance(store, MemoryStore) else PART_BYTES

    @classmethod
    def open(cls, to: str | StoreLike) -> Self:
        """Return the target.

        Raises:
            RuleError: The URL is not valid.
        """
        if isinstance(to, AzureStore | GCSStore | HTTPStore | LocalStore | MemoryStore | S3Store):
            return cls(to)
        if not isinstance(to, str):
            raise RuleError("`to`", type(to).__name__, "a store of obstore")
        try:
            return cls(from_url(to))
        except (BaseError, ValueError) as error:
            limit = "a URL that obstore knows, such as 's3://bucket/prefix'"
            raise RuleError("`to`", repr(to), limit, explain_store_error(str(error))) from None

    async def load(self, manifest: str, folders: Sequence[str]) -> Contents:
        """Read the manifest, and list the folders."""
        sizes: dict[str, int] = {}
        for folder in folders:
            with self._translate_error(folder):
                listed = await obstore.list(self._store, folder).collect_async()
            sizes |= {entry["path"]: entry["size"] for entry in listed}
        is_there = sizes.pop(manifest, None) is not None
        return Contents(await self._read(manifest) if is_there else None, sizes)

    async def put(self, key: str, chunks: AsyncGenerator[bytes, None]) -> Digest:
        """Store a file in one request, or in parts if it is larger than one chunk.

        An upload in parts that fails or is cancelled is aborted.
        """
        digest, size = sha256(), 0
        async with aclosing(coalesce(chunks)) as groups:
            first = b"".join(await anext(groups, []))
            digest.update(first)
            size += len(first)
            with self._translate_error(key):
                # A small file is not passed as an iterable: obstore does not close one when the
                # job is cancelled.
                if len(first) < CHUNK_BYTES:
                    await obstore.put_async(self._store, key, first)
                    return Digest(size, digest.hexdigest())
                # One part of a file is sent while the next one is received. With two at once, one
                # could arrive after the abort of its upload, and stay in the bucket (obstore 0.12).
                writer = obstore.open_writer_async(
                    self._store, key, buffer_size=self._part_bytes, max_concurrency=1
                )
                async with writer:  # aborts the upload after an error
                    await writer.write(first)
                    async for group in groups:
                        block = b"".join(group)
                        digest.update(block)
                        size += len(block)
                        await writer.write(block)
        return Digest(size, digest.hexdigest())

    async def update(
        self,
        key: str,
        folders: Sequence[str],  # noqa: ARG002  (a bucket has stored what it has confirmed)
        update: Callable[[bytes | None], bytes],
    ) -> None:
        """Replace a small file. Two jobs may overwrite each other; the next run completes both."""
        data = update(await self._read(key))
        with self._translate_error(key):
            await obstore.put_async(self._store, key, data)

    async def inspect(self, key: str) -> Inspection | None:
        """Read a file completely."""
        digest, size, head = sha256(), 0, b""
        with self._translate_error(key):
            try:
                found = await obstore.get_async(self._store, key)
                async for chunk in found.stream(min_chunk_size=CHUNK_BYTES):
                    head = head or bytes(memoryview(chunk)[:SNIFF_BYTES])
                    size += len(memoryview(chunk))
                    digest.update(chunk)
            except FileNotFoundError:
                return None
        modified = found.meta["last_modified"].astimezone(UTC)
        return Inspection(Digest(size, digest.hexdigest()), head, modified)

    async def move(self, old: str, new: str) -> None:
        """Copy a file, then delete the old one."""
        with self._translate_error(new):
            try:
                await obstore.rename_async(self._store, old, new)
            except FileNotFoundError:
                return  # another job has moved it

    async def delete(self, key: str) -> None:
        """Delete a file."""
        with self._translate_error(key):
            try:
                await obstore.delete_async(self._store, key)
            except FileNotFoundError:
                return

    async def close(self) -> None:
        """Do nothing: the store belongs to the caller."""

    def _translate_error(self, key: str) -> AbstractContextManager[None]:
        return translate_error(key, BaseError, store=type(self._store).__name__)

    async def _read(self, key: str) -> bytes | None:
        with self._translate_error(key):
            try:
                found = await obstore.get_async(self._store, key)
                return bytes(await found.bytes_async())
            except FileNotFoundError:
                return None
