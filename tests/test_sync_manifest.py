"""The manifest: what is written is read again, whatever happened to it in between."""

from datetime import UTC, datetime

import msgspec
import pytest

from mlmsg import RuleError
from mlmsg.sync import Manifest, ManifestEntry, ThreadId
from mlmsg.sync.manifest import read_manifest, write_manifest

PACK = ThreadId("pack", "7")


def entry(name: str, **changes: object) -> ManifestEntry:
    whole = ManifestEntry(
        message="m1",
        sender="42",
        sender_name="Ana",
        date=datetime(2024, 8, 17, 15, 2, 11, tzinfo=UTC),
        filename=name,
        original_filename="Foto ñ.jpg",
        type="image/jpeg",
        listed_size=3,
        site_id="MLM",
        path=f"packs/7/{name}",
        size=3,
        sha256="ab" * 32,
        downloaded_at=datetime(2025, 1, 2, tzinfo=UTC),
    )
    return msgspec.structs.replace(whole, **changes)


def test_a_manifest_explains_the_mirror() -> None:
    text = write_manifest(PACK, [entry("b.jpg"), entry("a.jpg")]).decode()
    found = msgspec.json.decode(text, type=Manifest)
    assert (found.version, found.kind, found.id) == (1, "pack", "7")
    assert [one.path for one in found.files] == ["packs/7/a.jpg", "packs/7/b.jpg"]
    assert '\n      "original_filename": "Foto ñ.jpg",\n' in text
    assert '"date": "2024-08-17T15:02:11Z"' in text
    assert text.endswith("}\n")


def test_the_same_entries_are_the_same_bytes() -> None:
    one, other = entry("a.jpg"), entry("b.jpg")
    assert write_manifest(PACK, [one, other]) == write_manifest(PACK, [other, one])


def test_it_is_read_as_it_was_written() -> None:
    entries = [entry("a.jpg"), entry("b.jpg", message=None, date=None, listed_size=None)]
    assert read_manifest(write_manifest(PACK, entries)) == (entries, None)


def test_what_a_later_hand_adds_is_passed_over() -> None:
    data = write_manifest(PACK, [entry("a.jpg")]).replace(b'"message"', b'"new": 1, "message"')
    assert read_manifest(data) == ([entry("a.jpg")], None)


@pytest.mark.parametrize(
    "data", [b"", b"\x00\xff", b"[]", b"null", b'{"files": 3}', b'{"version": 1']
)
def test_what_cannot_be_read_is_reported_and_holds_nothing(data: bytes) -> None:
    entries, damage = read_manifest(data)
    assert entries == []
    assert isinstance(damage, msgspec.DecodeError)


def test_of_a_damaged_one_the_good_entries_are_kept() -> None:
    data = write_manifest(PACK, [entry("a.jpg"), entry("b.jpg")])
    head, tail = data.rsplit(b'"size": 3', 1)
    entries, damage = read_manifest(head + b'"size": "three"' + tail)
    assert entries == [entry("a.jpg")]
    assert damage is not None


def test_an_entry_nested_too_deeply_does_not_cost_the_others() -> None:
    data = write_manifest(PACK, [entry("a.jpg"), entry("b.jpg")])
    head, tail = data.rsplit(b'"size": 3', 1)
    entries, damage = read_manifest(head + b'"size": 3, "x": ' + b"[" * 100_000 + tail)
    assert entries == [entry("a.jpg")]
    assert damage is not None


def test_one_of_a_later_version_is_left_alone() -> None:
    data = write_manifest(PACK, []).replace(b'"version": 1', b'"version": 2')
    with pytest.raises(RuleError, match="later mlmsg"):
        read_manifest(data)
