"""The manifest of a thread: what each mirrored file is, in JSON, beside the files.

It is written after the files that it names, with the entries in the order of their paths, and is
read leniently: of one that was damaged, the entries that can still be read are kept.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from mlmsg import _lenient
from mlmsg.errors import RuleError

from .report import ThreadId, ThreadKind

__all__ = ["VERSION", "Listed", "Manifest", "ManifestEntry", "read_manifest", "write_manifest"]

VERSION = 1


class Listed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An attachment as its message lists it.

    Attributes:
        message: The id of the pack's message; the hash of the claim's, None in older answers.
        sender: Who sent it: the user's id in a pack, the role in a claim.
        sender_name: The user's name in a pack, where the API tells it.
        date: When the message was written.
        filename: The name that the API gave the file, by which it is fetched.
        original_filename: The name it was uploaded under.
        type: The MIME type.
        listed_size: Bytes, as the message says; None where it does not.
        potential_security_threat: Whether the API flags the file.
        site_id: The site it is kept at; None for a claim's.
    """

    message: str | None = None
    sender: str | None = None
    sender_name: str | None = None
    date: datetime | None = None
    filename: str
    original_filename: str | None = None
    type: str | None = None
    listed_size: int | None = None
    potential_security_threat: bool = False
    site_id: str | None = None


class ManifestEntry(Listed, frozen=True, kw_only=True, gc=False):
    """A mirrored file: what its message said of it, and what is there.

    Attributes:
        path: Where it is, from the top of the target.
        size: Bytes.
        sha256: The SHA-256 of its content, in hexadecimal digits.
        downloaded_at: When it was fetched, in UTC.
    """

    path: str
    size: int
    sha256: str
    downloaded_at: datetime


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is mirrored of one thread: `manifest.json` in its folder.

    Files that the API no longer lists stay in it, as they stay in the target.

    Attributes:
        version: 1. Anything that a reader has to know of raises it.
        kind: `"pack"` or `"claim"`.
        id: The id of the pack or claim.
        files: The files, in the order of their paths.
    """

    version: int = VERSION
    kind: ThreadKind
    id: str
    files: list[ManifestEntry] = []


def write_manifest(thread: ThreadId, entries: Iterable[ManifestEntry]) -> bytes:
    """The manifest of a thread, as its file holds it; the same for the same entries."""
    files = sorted(entries, key=lambda entry: entry.path)
    data = msgspec.json.encode(Manifest(kind=thread.kind, id=thread.id, files=files))
    return msgspec.json.format(data, indent=2) + b"\n"


def read_manifest(data: bytes) -> tuple[list[ManifestEntry], msgspec.DecodeError | None]:
    """The entries that can be read, and what is wrong where that may not be all of them.

    Raises:
        RuleError: A later version of this package wrote it, and it must not be overwritten.
    """
    damage: msgspec.DecodeError | None = None
    try:
        manifest = _DECODER.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        damage = msgspec.DecodeError(str(error))
        try:
            manifest = _lenient.convert(_lenient.parse(data), _Readable)
        except (msgspec.DecodeError, RecursionError):
            manifest = _Readable()
    if manifest.version > VERSION:
        hint = "A later mlmsg wrote it: use that one for this target"
        raise RuleError("version of a manifest", str(manifest.version), str(VERSION), hint)
    return manifest.files, damage


class _Readable(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a manifest that is used."""

    version: int = VERSION
    files: list[ManifestEntry] = []


_DECODER = msgspec.json.Decoder(_Readable)
