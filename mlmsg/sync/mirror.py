"""What the target holds of one thread: which files are there, and the manifest that names them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from hashlib import sha256

import msgspec

from mlmsg.downloads import Download

from .keys import MANIFEST, QUARANTINE, segment
from .manifest import Listed, ManifestEntry, read_manifest, write_manifest
from .report import ThreadId
from .target import Target

__all__ = ["Mirror"]

BATCH = 100
"""Files after which a manifest is written, so that a killed job loses no more of a long thread."""


class Mirror:
    """One thread in the target. Holds what the thread lists, and nothing of other threads."""

    def __init__(self, target: Target, thread: ThreadId) -> None:
        self._target = target
        self._folder = thread.path
        self._thread = thread
        self._entries: dict[str, ManifestEntry] = {}
        self._sizes: dict[str, int] = {}
        self._unsaved = 0
        self._saving = asyncio.Lock()

    async def load(self) -> msgspec.DecodeError | None:
        """Looks once at what is there; returns what is wrong with a damaged manifest.

        Raises:
            RuleError: A later version of this package wrote the manifest.
        """
        quarantine = f"{QUARANTINE}/{self._folder}"
        await self._target.sweep(self._folder, quarantine)
        data = await self._target.read(f"{self._folder}/{MANIFEST}")
        if data is None:
            return None  # what no manifest names is fetched again, so nothing else matters
        entries, damage = read_manifest(data)
        self._entries = {entry.path: entry for entry in entries}
        self._unsaved = 0 if damage is None else 1
        self._sizes = await self._target.sizes(self._folder)
        if any(path.startswith(f"{quarantine}/") for path in self._entries):
            self._sizes |= await self._target.sizes(quarantine)
        return damage

    def entry(self, file: Listed) -> ManifestEntry | None:
        """The entry of a file that is there, in its size, and as the API lists it now."""
        entry = self._entries.get(self._path(file))
        if entry is None or self._sizes.get(entry.path) != entry.size:
            return None
        return entry if file.listed_size in {None, entry.listed_size} else None

    async def intact(self, entry: ManifestEntry) -> bool:
        """Whether the file still has the content that was fetched; reads all of it."""
        return await self._target.sha256(entry.path) == entry.sha256

    async def keep(self, file: Listed, download: Download) -> ManifestEntry:
        """Stores a file whole, or leaves what was there; `record` then names it.

        Raises:
            TransportError: The file did not arrive whole.
        """
        seal = _HashingStream()
        async with aclosing(seal.passing(download)) as chunks:
            await self._target.put(self._path(file), chunks)
        return ManifestEntry(
            **msgspec.structs.asdict(file),
            path=self._path(file),
            size=seal.size,
            sha256=seal.digest.hexdigest(),
            downloaded_at=datetime.now(UTC).replace(microsecond=0),
        )

    async def record(self, entry: ManifestEntry) -> None:
        """Names a stored file in the manifest, which is written now and then."""
        self._entries[entry.path] = entry
        self._unsaved += 1
        moved = self._entries.pop(self._path(entry, elsewhere=True), None)
        if moved is not None or self._unsaved >= BATCH:
            await self.save()
        if moved is not None:
            # It was flagged since, or cleared: nobody may find it at its old place.
            await self._target.delete(moved.path)

    async def save(self) -> None:
        """Writes the manifest if it changed."""
        async with self._saving:
            if self._unsaved:
                self._unsaved = 0
                data = write_manifest(self._thread, self._entries.values())
                await self._target.write(f"{self._folder}/{MANIFEST}", data)

    def _path(self, file: Listed, *, elsewhere: bool = False) -> str:
        """Where the file belongs; or where it would, were its flag another."""
        path = f"{self._folder}/{segment(file.filename)}"
        return f"{QUARANTINE}/{path}" if file.potential_security_threat != elsewhere else path


class _HashingStream:
    """The size and the SHA-256 of what passes."""

    def __init__(self) -> None:
        self.size = 0
        self.digest = sha256()

    async def passing(self, download: Download) -> AsyncGenerator[bytes, None]:
        async with aclosing(aiter(download)) as chunks:
            async for chunk in chunks:
                self.size += len(chunk)
                self.digest.update(chunk)
                yield chunk
