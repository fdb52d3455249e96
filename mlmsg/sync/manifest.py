"""Read and write the manifest of a thread: a JSON file that describes each mirrored file.

A manifest is written after the files that it names, with its entries sorted by path. Reading is
lenient: of a damaged manifest, the readable entries are kept.
"""

import re
from collections.abc import Iterable
from datetime import datetime

import msgspec

from mlmsg import _lenient
from mlmsg.errors import RuleError

from .report import ThreadId, ThreadKind

__all__ = [
    "VERSION",
    "Listed",
    "Manifest",
    "ManifestEntry",
    "check_version",
    "read_manifest",
    "write_manifest",
]

VERSION = 1


class Listed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An attachment as listed in its message.

    Attributes:
        message: The id of the message of a pack, or the hash of the message of a claim. None if a
            claim's message has no hash.
        sender: The sender: a user id in a pack, a role in a claim.
        sender_name: The sender's name in a pack, or None.
        date: The date of the message.
        filename: The name that the API gave the file. It is fetched by this name.
        original_filename: The name under which it was uploaded.
        type: The MIME type.
        listed_size: The size in bytes that the message lists, or None.
        potential_security_threat: True if the API flags the file.
        site_id: The site that stores the file; None for a file of a claim.
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
    """A mirrored file: its listing, and its copy in the target.

    Attributes:
        path: The path of the copy, relative to the target.
        size: The size in bytes.
        sha256: The SHA-256 of the content, in hexadecimal digits.
        downloaded_at: The time of the download, in UTC.
    """

    path: str
    size: int
    sha256: str
    downloaded_at: datetime


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The mirrored files of one thread: `manifest.json` in its folder.

    Files that the API no longer lists stay in it, as they stay in the target.

    Attributes:
        version: 1. It is raised by every change that a reader must know about.
        kind: `"pack"` or `"claim"`.
        id: The id of the pack or claim.
        files: The files, sorted by path.
    """

    version: int = VERSION
    kind: ThreadKind
    id: str
    files: list[ManifestEntry] = []


def write_manifest(thread: ThreadId, entries: Iterable[ManifestEntry]) -> bytes:
    """Return the content of the manifest file. Equal entries give equal bytes."""
    files = sorted(entries, key=lambda entry: entry.path)
    data = msgspec.json.encode(Manifest(kind=thread.kind, id=thread.id, files=files))
    return msgspec.json.format(data, indent=2) + b"\n"


def read_manifest(data: bytes) -> tuple[list[ManifestEntry], msgspec.DecodeError | None]:
    """Return the readable entries, and the error if some may be missing.

    Raises:
        RuleError: A later version of this package wrote the manifest. It must not be overwritten.
    """
    damage: msgspec.DecodeError | None = None
    try:
        manifest = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        damage = msgspec.DecodeError(str(error))
        manifest = _read_leniently(data)
    check_version("version of a manifest", manifest.version, VERSION)
    return manifest.files, damage


def check_version(name: str, version: int, known: int) -> None:
    """Reject a file of a later version of this package: to overwrite it would lose its content."""
    if version > known:
        hint = "A later mlmsg wrote it: use that one for this target"
        raise RuleError(name, str(version), str(known), hint)


def _read_leniently(data: bytes) -> "_Readable":
    try:
        return _lenient.convert(_lenient.parse(data), _Readable)
    except (msgspec.DecodeError, RecursionError):
        # The file is not JSON any more, but most of its entries still are. They contain no objects.
        entries = (_read_entry(match[0]) for match in re.finditer(rb"\{[^{}]*\}", data))
        return _Readable(files=[entry for entry in entries if entry is not None])


def _read_entry(data: bytes) -> ManifestEntry | None:
    try:
        return _lenient.convert(_lenient.parse(data), ManifestEntry)
    except msgspec.DecodeError:
        return None


class _Readable(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a manifest that is read again."""

    version: int = VERSION
    files: list[ManifestEntry]


_DECODER = msgspec.json.Decoder(_Readable)
