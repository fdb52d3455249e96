"""The files of one thread in the target, and the manifest that names them."""

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

FILES_PER_SAVE = 100
"""Files after which a manifest is written, so that a killed job loses no more of a long thread."""


class Mirror:
    """The copy of one thread. Stores one entry for each of its files."""

    def __init__(self, target: Target, thread: ThreadId) -> None:
        self._target = target
        self._folder = thread.path
        self._thread = thread
        self._entries: dict[str, ManifestEntry] = {}
        self._sizes: dict[str, int] = {}
        self._unsaved = 0
        self._saving = asyncio.Lock()

    async def load(self) -> msgspec.DecodeError | None:
        """Read the manifest and the sizes of the files. Return the error of a damaged manifest.

        Raises:
            RuleError: A later version of this package wrote the manifest.
        """
        quarantine = f"{QUARANTINE}/{self._folder}"
        await self._target.sweep(self._folder, quarantine)
        data = await self._target.read(f"{self._folder}/{MANIFEST}")
        if data is None:
            return None  # a file without an entry is fetched again
        entries, damage = read_manifest(data)
        self._entries = {entry.path: entry for entry in entries}
        self._unsaved = 0 if damage is None else 1
        self._sizes = await self._target.sizes(self._folder)
        if any(path.startswith(f"{quarantine}/") for path in self._entries):
            self._sizes |= await self._target.sizes(quarantine)
        return damage

    def entry(self, file: Listed) -> ManifestEntry | None:
        """Return the entry of a file if its copy has the right size and is as the API lists it."""
        entry = self._entries.get(self._path(file))
        if entry is None or self._sizes.get(entry.path) != entry.size:
            return None
        return entry if file.listed_size in {None, entry.listed_size} else None

    async def is_intact(self, entry: ManifestEntry) -> bool:
        """Return True if the copy has the SHA-256 of its entry. Reads the whole file."""
        return await self._target.sha256(entry.path) == entry.sha256

    async def keep(self, file: Listed, download: Download) -> ManifestEntry:
        """Store a complete file, or leave the old one. Then `record` names it.

        Raises:
            TransportError: The file did not arrive completely.
        """
        stream = _HashingStream()
        async with aclosing(stream.chunks(download)) as chunks:
            await self._target.put(self._path(file), chunks)
        return ManifestEntry(
            **msgspec.structs.asdict(file),
            path=self._path(file),
            size=stream.size,
            sha256=stream.digest.hexdigest(),
            downloaded_at=datetime.now(UTC).replace(microsecond=0),
        )

    async def record(self, entry: ManifestEntry) -> None:
        """Add a stored file to the manifest, which is written after some files."""
        self._entries[entry.path] = entry
        self._unsaved += 1
        moved = self._entries.pop(self._path(entry, elsewhere=True), None)
        if moved is not None or self._unsaved >= FILES_PER_SAVE:
            await self.save()
        if moved is not None:
            # Its flag has changed: the copy at the old path must not be found any more.
            await self._target.delete(moved.path)

    async def save(self) -> None:
        """Write the manifest if it has changed."""
        async with self._saving:
            if self._unsaved:
                self._unsaved = 0
                data = write_manifest(self._thread, self._entries.values())
                await self._target.write(f"{self._folder}/{MANIFEST}", data)

    def _path(self, file: Listed, *, elsewhere: bool = False) -> str:
        """Return the path of the file; with `elsewhere`, its path with the opposite flag."""
        path = f"{self._folder}/{segment(file.filename)}"
        return f"{QUARANTINE}/{path}" if file.potential_security_threat != elsewhere else path


class _HashingStream:
    """Count and hash the chunks of a download."""

    def __init__(self) -> None:
        self.size = 0
        self.digest = sha256()

    async def chunks(self, download: Download) -> AsyncGenerator[bytes, None]:
        async with aclosing(aiter(download)) as chunks:
            async for chunk in chunks:
                self.size += len(chunk)
                self.digest.update(chunk)
                yield chunk
