"""A damaged manifest, an odd response: each costs its own file at most, on this run and on every
later one."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mirrors import Events, fill, manifest, on_disk, without_manifests
from rawserver import Peer, raw_server

from mlmsg import Client, RetryPolicy, RuleError
from mlmsg.sandbox import Sandbox
from mlmsg.sync import ManifestEntry, ThreadId, sync_attachments
from mlmsg.sync.manifest import read_manifest, write_manifest

FILES = 5
PATH = "packs/1000/manifest.json"
MANIFEST = write_manifest(
    ThreadId("pack", "7"),
    [
        ManifestEntry(
            filename=f"{n}.jpg",
            original_filename="Foto {ñ}.jpg",
            type="image/jpeg",
            listed_size=n,
            path=f"packs/7/{n}.jpg",
            size=n,
            sha256="ab" * 32,
            downloaded_at=datetime(2025, 1, 2, tzinfo=UTC),
        )
        for n in range(1, 4)
    ],
)


def damaged(data: bytes, seed: int) -> bytes:
    """Return the data with a few bytes changed, removed, added or cut off."""
    source = random.Random(seed)  # noqa: S311
    changed = bytearray(data)
    for _ in range(source.choice([1, 1, 1, 2, 8])):
        at = source.randrange(len(changed))
        how = source.randrange(4)
        if how == 0:
            changed[at] = source.randrange(256)
        elif how == 1:
            del changed[at]
        elif how == 2:
            changed.insert(at, source.choice(b'{}[]",:\\\x00\xff9'))
        elif source.randrange(8) == 0:
            del changed[max(at, 1) :]
    return bytes(changed)


@given(st.integers(0, 2**32))
def test_any_damage_of_a_manifest_leaves_entries_or_is_a_later_version(seed: int) -> None:
    try:
        entries, damage = read_manifest(damaged(MANIFEST, seed))
    except RuleError as error:
        assert "later mlmsg" in str(error)  # noqa: PT017
        return
    assert all(isinstance(entry, ManifestEntry) for entry in entries)
    again, rest = read_manifest(write_manifest(ThreadId("pack", "7"), entries))
    assert rest is None
    assert again == sorted(entries, key=lambda entry: entry.path)
    assert damage is not None or len(entries) == 3


@given(st.binary())
def test_any_bytes_are_read_as_a_manifest(data: bytes) -> None:
    assert isinstance(read_manifest(data)[0], list)


@pytest.mark.parametrize("at", [b'{\n  "version"', b'"files"', b"]\n"])
def test_of_a_manifest_that_is_no_json_the_readable_entries_are_kept(at: bytes) -> None:
    data = MANIFEST.replace("{ñ}".encode(), b"n")
    entries, damage = read_manifest(data.replace(at, b"x" + at[1:]))
    assert (len(entries), damage is not None) == (3, True)


@pytest.mark.slow
async def test_a_damaged_manifest_costs_one_file_at_most_and_is_mended(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    fill(sandbox.market, 1, files=FILES)
    await sync_attachments(client, packs=[1000], to=tmp_path, site_id="MLM")
    before = on_disk(tmp_path)
    for seed in range(120):
        (tmp_path / PATH).write_bytes(damaged(before[PATH], seed))
        report = await sync_attachments(client, packs=[1000], to=tmp_path, site_id="MLM")
        if report.failed:
            assert "later mlmsg" in str(report.failed[0])
            continue
        assert (report.threads, report.skipped + report.downloaded) == (1, FILES)
        assert report.downloaded <= 1
        events = Events()
        again = await sync_attachments(
            client, packs=[1000], to=tmp_path, site_id="MLM", verify=True, on_event=events
        )
        assert again.skipped + again.downloaded == FILES
        assert events.files("manifest") == []
        after = on_disk(tmp_path)
        assert without_manifests(after) == without_manifests(before)
        assert {path: entry.sha256 for path, entry in manifest(after[PATH]).items()} == {
            path: entry.sha256 for path, entry in manifest(before[PATH]).items()
        }


ODD_HEADERS = {
    "a name that is no UTF-8": 'Content-Disposition: attachment; filename="a\udce9\udc80.pdf"',
    "a name of surrogates": "Content-Disposition: attachment; filename*=UTF-8''%ED%A0%80",
    "an unknown charset": "Content-Disposition: attachment; filename*=klingon''a%FFb",
    "a charset with a null": "Content-Disposition: attachment; filename*=x%00y''a%FFb",
    "a broken word": "Content-Disposition: attachment; filename==?utf-8?b?====?=",
    "continuations": 'Content-Disposition: a; filename*0="a"; filename*9*=x; filename*1="b"',
    "a type of nothing": "Content-Type: ;;;\x7f",
    "a date of nothing": "Date: 31 Feb 0000",
    "many": "X-" + "a" * 4000 + ": b",
}


@pytest.mark.parametrize("header", ODD_HEADERS.values(), ids=ODD_HEADERS)
async def test_an_odd_header_costs_no_file(tmp_path: Path, header: str) -> None:
    async with odd_server(200, header) as client:
        report = await sync_attachments(client, packs=[1], to=tmp_path, site_id="MLM")
    assert (report.downloaded, report.failed) == (2, [])


ODD_REDIRECTS = {
    "a host of dots": (302, "Location: https://a..b/"),
    "a host that is too long": (302, f"Location: https://{'a' * 70}.example/"),
    "no host": (302, "Location: https:///x"),
    "a port of letters": (302, "Location: https://h:x/"),
    "another scheme": (302, "Location: ftp://h/x"),
    "no location": (302, "X: y"),
    "bytes": (302, "Location: https://\udcff\udcfe/"),
    "brackets": (302, "Location: https://[::1/"),
}


@pytest.mark.parametrize(("status", "header"), ODD_REDIRECTS.values(), ids=ODD_REDIRECTS)
async def test_an_odd_redirect_costs_its_own_file(tmp_path: Path, status: int, header: str) -> None:
    for _ in range(2):
        async with odd_server(status, header) as client:
            report = await sync_attachments(client, packs=[1], to=tmp_path, site_id="MLM")
        assert [failure.filename for failure in report.failed] == ["odd.bin"]
        assert (report.threads, report.downloaded + report.skipped) == (1, 1)


PAGE = msgspec.json.encode(
    {
        "paging": {"limit": 10, "offset": 0, "total": 1},
        "messages": [
            {
                "id": "m1",
                "message_attachments": [{"filename": name} for name in ("odd.bin", "good.bin")],
            }
        ],
    }
)


@asynccontextmanager
async def odd_server(status: int, header: str) -> AsyncIterator[Client]:
    """Yield a client of a server whose response for one of two files has an odd header."""

    async def script(peer: Peer) -> None:
        while head := await peer.head():
            if b"/packs/" in head:
                await peer.answer(200, PAGE)
            elif b"odd.bin" in head:
                lines = f"HTTP/1.1 {status} X\r\nContent-Length: 7\r\n{header}\r\n\r\ncontent"
                await peer.send(lines.encode("utf-8", "surrogateescape"))
            else:
                await peer.answer(200, b"content")

    retry = RetryPolicy(base=0)
    async with (
        raw_server(script) as server,
        Client("t", base_url=server.url, retry=retry, budget=None) as client,
    ):
        yield client
