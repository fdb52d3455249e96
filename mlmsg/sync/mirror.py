"""The files of one thread in the target, and the manifest that names them."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from mlmsg._content import Announced, document_in
from mlmsg.downloads import Download

from .keys import MANIFEST, QUARANTINE, segment
from .manifest import Listed, ManifestEntry, read_manifest, write_manifest
from .report import ThreadId
from .target import Digest, Inspection, Target

__all__ = ["Mirror"]

FILES_PER_SAVE = 100
"""Files after which the manifest of a long thread is written."""


class Mirror:
    """The copy of one thread. Stores one entry for each of its files."""

    def __init__(self, target: Target, thread: ThreadId) -> None:
        self._target = target
        self._folder = thread.path
        self._quarantine = f"{QUARANTINE}/{thread.path}"
        self._manifest = f"{thread.path}/{MANIFEST}"
        self._thread = thread
        self._entries: dict[str, ManifestEntry] = {}
        self._sizes: dict[str, int] = {}
        self._flagged: set[str] = set()
        self._changes: dict[str, ManifestEntry | None] = {}
        self._is_damaged = False
        self._saving = asyncio.Lock()

    async def load(self) -> msgspec.DecodeError | None:
        """Read the manifest and the sizes of the files. Return the error of a damaged manifest.

        Raises:
            RuleError: A later version of this package wrote the manifest.
        """
        folders = (self._folder, self._quarantine)
        manifest, self._sizes = await self._target.load(self._manifest, folders)
        if manifest is None:
            return None
        entries, damage = read_manifest(manifest)
        self._entries = self._by_path(entries)
        self._is_damaged = damage is not None or len(self._entries) != len(entries)
        return damage

    def flag(self, file: Listed) -> None:
        """Remember that a message lists a file with the flag of a threat."""
        self._flagged.add(file.filename)

    def is_quarantined(self, file: Listed) -> bool:
        """Return True if the copy of a file is in quarantine, although it need not be."""
        _, other = self._paths(file)
        return other in self._sizes and other.startswith(self._quarantine)

    def mirrored_entry(self, file: Listed) -> ManifestEntry | None:
        """Return the entry of a file if its copy has the right size, and is nowhere else."""
        path, other = self._paths(file)
        return None if other in self._sizes else self._valid_entry(file, path)

    async def find(self, file: Listed, *, verify: bool) -> ManifestEntry | None:
        """Return the entry of a file that need not be fetched, or None.

        A copy at the path of the opposite flag is moved. A copy without an entry is adopted if it
        has the listed size: its job was killed before it wrote the manifest. With `verify`, the
        copy is read, and must have the content that was downloaded and the listed size.
        """
        path, other = self._paths(file)
        if other in self._sizes:
            await self._move(file, other, path)
        entry = self._valid_entry(file, path)
        if entry is not None and not verify:
            return entry
        size = self._sizes.get(path)
        is_size_unlisted = entry is not None and file.listed_size is None
        if size is None or not (is_size_unlisted or file.listed_size == size):
            return None
        known = self._entries.get(path)
        found = await self._target.inspect(path)
        if found is None or not _is_plausible(file, found):
            return None
        if known is not None and known.size == size and known.sha256 != found.digest.sha256:
            return None
        return entry or self._adopt(file, path, found)

    async def keep(self, file: Listed, download: Download) -> ManifestEntry:
        """Store a complete file, or leave the old one. Then `record` names it.

        Raises:
            TransportError: The file did not arrive completely, or another document did.
        """
        download.expect(file.type, file.listed_size)
        path, _ = self._paths(file)
        digest = await self._target.put(path, aiter(download))
        return self._entry_of(file, path, digest, datetime.now(UTC))

    async def record(self, entry: ManifestEntry) -> None:
        """Add a stored file to the manifest, which is written after some files."""
        self._set(entry)
        if len(self._changes) >= FILES_PER_SAVE:
            await self.save()

    async def save(self) -> None:
        """Write the manifest if it has changed."""
        async with self._saving:
            await self._quarantine_flagged()
            if not self._changes and not self._is_damaged:
                return
            changes, self._changes = self._changes, {}
            entries = dict(self._entries) if self._is_damaged else {}

            def update(data: bytes | None) -> bytes:
                # Another job may have written the manifest since it was loaded.
                merged = entries if data is None else self._by_path(read_manifest(data)[0])
                for path, entry in (entries | changes).items():
                    if entry is None:
                        merged.pop(path, None)
                    else:
                        merged[path] = entry
                return write_manifest(self._thread, merged.values())

            folders = (self._folder, self._quarantine)
            await self._target.update(self._manifest, folders, update)
            self._is_damaged = False

    def _valid_entry(self, file: Listed, path: str) -> ManifestEntry | None:
        entry = self._entries.get(path)
        if entry is None or self._sizes.get(path) != entry.size:
            return None
        return entry if file.listed_size in {None, entry.listed_size} else None

    def _adopt(self, file: Listed, path: str, found: Inspection) -> ManifestEntry:
        entry = self._entry_of(file, path, found.digest, found.modified)
        self._set(entry)
        return entry

    def _entry_of(self, file: Listed, path: str, digest: Digest, when: datetime) -> ManifestEntry:
        listed = msgspec.structs.asdict(file) | {"potential_security_threat": self._is_threat(file)}
        return ManifestEntry(
            **listed,
            path=path,
            size=digest.size,
            sha256=digest.sha256,
            downloaded_at=when.replace(microsecond=0),
        )

    def _set(self, entry: ManifestEntry) -> None:
        self._entries[entry.path] = self._changes[entry.path] = entry
        self._sizes[entry.path] = entry.size

    async def _move(self, file: Listed, old: str, new: str) -> None:
        """Move a file whose flag has changed: nobody may find it at its old path any more."""
        if new in self._sizes:
            await self._target.delete(old)
        else:
            await self._target.move(old, new)
            self._sizes[new] = self._sizes[old]
        del self._sizes[old]
        entry = self._entries.pop(old, None)
        if entry is None:
            return
        self._changes[old] = None
        if new not in self._entries:
            is_threat = self._is_threat(file)
            self._set(msgspec.structs.replace(entry, path=new, potential_security_threat=is_threat))

    async def _quarantine_flagged(self) -> None:
        """Move files that became flagged only after they were stored."""
        for filename in self._flagged:
            file = Listed(filename=filename, potential_security_threat=True)
            path, other = self._paths(file)
            if other in self._sizes:
                await self._move(file, other, path)

    def _paths(self, file: Listed) -> tuple[str, str]:
        """Return the path of a file, and the path that it would have with the opposite flag."""
        name = segment(file.filename)
        paths = f"{self._folder}/{name}", f"{self._quarantine}/{name}"
        return (paths[1], paths[0]) if self._is_threat(file) else paths

    def _is_threat(self, file: Listed) -> bool:
        return file.potential_security_threat or file.filename in self._flagged

    def _by_path(self, entries: Iterable[ManifestEntry]) -> dict[str, ManifestEntry]:
        """Return the entries by their paths. Leave out those whose path cannot be right."""
        return {entry.path: entry for entry in entries if self._is_path_of(entry)}

    def _is_path_of(self, entry: ManifestEntry) -> bool:
        folder, _, name = entry.path.rpartition("/")
        is_inside = folder in {self._folder, self._quarantine}
        return is_inside and (name == entry.filename or name == segment(entry.filename))


def _is_plausible(file: Listed, found: Inspection) -> bool:
    announced = Announced(file.filename, file.type, file.listed_size)
    return document_in(found.head, announced, "", found.digest.size) is None
