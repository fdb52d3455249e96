"""A market to mirror, and the files that a target contains."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mlmsg.sandbox import Market
from mlmsg.sync import Manifest, ManifestEntry, SyncEvent


def fill(
    market: Market, packs: int, *, files: int = 1, size: int = 1000, first_id: int = 1000
) -> list[str]:
    """Add packs of one message with random files; return their ids."""
    added = []
    for number in range(packs):
        pack = market.add_pack(first_id + number)
        stored = [
            market.add_file(_jpeg(size), f"photo {n}.jpg", "image/jpeg") for n in range(files)
        ]
        market.add_message(pack.id, "see here", attachments=[file.id for file in stored])
        added.append(pack.id)
    return added


def _jpeg(size: int) -> bytes:
    """Return random bytes that cannot look like a JSON document."""
    return b"\xff\xd8\xff" + os.urandom(size - 3)


def expected(market: Market) -> dict[str, bytes]:
    """Return every file of a complete mirror of the market, without the manifests."""
    found: dict[str, bytes] = {}
    for pack in market.packs.values():
        for message in pack.messages:
            for one in message.message_attachments or ():
                top = "quarantine/" if one.potential_security_threat else ""
                found[f"{top}packs/{pack.id}/{one.filename}"] = market.files[one.filename].data
    for claim in market.claims.values():
        for said in claim.messages:
            for file in said.attachments:
                found[f"claims/{claim.id}/{file.filename}"] = claim.files[file.filename].data
    return found


def on_disk(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, hidden ones too."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def without_manifests(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {path: data for path, data in files.items() if not path.endswith("/manifest.json")}


def manifest(data: bytes) -> dict[str, ManifestEntry]:
    """Return the entries of a manifest by path."""
    return {one.path: one for one in msgspec.json.decode(data, type=Manifest).files}


class Events:
    """A callback that keeps all events."""

    def __init__(self) -> None:
        self.all: list[SyncEvent] = []

    def __call__(self, event: SyncEvent) -> None:
        self.all.append(event)

    def files(self, kind: str) -> list[str | None]:
        return [event.filename for event in self.all if event.kind == kind]
