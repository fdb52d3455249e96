"""The mirror: complete, exact, explained by itself, and never fetched twice."""

import hashlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import obstore
import pytest
from mirrors import Events, expected, fill, manifest, on_disk, without_manifests
from obstore.store import LocalStore, MemoryStore, ObjectStore

from mlmsg import Client
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.sync import SyncEvent, SyncReport, TargetLike, ThreadId, sync_attachments
from mlmsg.sync import mirror as mirror_module

THREAT = "quarantine/packs/2000007001000033"


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return LocalStore(tmp_path) if request.param == "folder" else MemoryStore()


async def held(store: ObjectStore) -> dict[str, bytes]:
    listed = await obstore.list(store).collect_async()
    return {
        one["path"]: bytes(await (await obstore.get_async(store, one["path"])).bytes_async())
        for one in listed
    }


async def mirror(
    sandbox: Sandbox, client: Client, to: TargetLike, *, verify: bool = False
) -> tuple[SyncReport, Events]:
    """Mirrors the whole market."""
    events = Events()
    report = await sync_attachments(
        client,
        packs=list(sandbox.market.packs),
        claims=list(sandbox.market.claims),
        to=to,
        site_id="MLM",
        verify=verify,
        on_event=events,
    )
    return report, events


async def test_everything_is_there_exactly(
    sandbox: Sandbox, client: Client, store: ObjectStore
) -> None:
    report, _ = await mirror(sandbox, client, store)
    files = expected(sandbox.market)
    assert without_manifests(await held(store)) == files
    assert [path for path in files if path.startswith(THREAT)]
    size = sum(map(len, files.values()))
    assert report == SyncReport(threads=7, downloaded=len(files), bytes=size)


async def test_a_manifest_explains_each_file_without_the_api(
    sandbox: Sandbox, client: Client, store: ObjectStore
) -> None:
    await mirror(sandbox, client, store)
    there = await held(store)
    entries = {
        path: entry
        for name, data in there.items()
        if name.endswith("manifest.json")
        for path, entry in manifest(data).items()
    }
    files = without_manifests(there)
    assert set(entries) == set(files)
    for path, entry in entries.items():
        assert entry.sha256 == hashlib.sha256(files[path]).hexdigest()
        assert entry.size == entry.listed_size == len(files[path])
        assert entry.downloaded_at.tzinfo is not None


async def test_the_manifest_entry_of_a_file(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    market = sandbox.market
    pack = market.add_pack(5, buyer_id=42, buyer_name="Ana")
    file = market.add_file(b"x", "mi foto ñ.png", "image/png", potential_security_threat=True)
    date = "2024-03-13T15:14:10Z"
    said = market.add_message(5, "ver", author="buyer", attachments=[file.id], at=date)
    claim, *_ = market.claims
    listed = msgspec.to_builtins(market.claims[claim].messages)
    body = [one | {"hash": "h4sh"} for one in listed]
    sandbox.inject(Fault(status=200, body=body, path=f"/claims/{claim}/messages"))
    await mirror(sandbox, client, tmp_path)
    files = on_disk(tmp_path)
    entry = manifest(files["packs/5/manifest.json"])[f"quarantine/packs/{pack.id}/{file.id}"]
    assert (entry.message, entry.sender, entry.sender_name) == (said.id, "42", "Ana")
    assert entry.date is not None
    assert entry.date.isoformat() == "2024-03-13T15:14:10+00:00"
    assert (entry.filename, entry.original_filename) == (file.id, "mi foto ñ.png")
    assert (entry.type, entry.site_id) == ("image/png", "MLM")
    assert entry.potential_security_threat
    of_claim = next(iter(manifest(files[f"claims/{claim}/manifest.json"]).values()))
    assert (of_claim.message, of_claim.site_id) == ("h4sh", None)
    assert of_claim.sender in {"complainant", "respondent"}


async def test_a_second_run_fetches_and_writes_nothing(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    await mirror(sandbox, client, tmp_path)
    before = {path: path.stat() for path in tmp_path.rglob("*")}
    sandbox.requests.clear()
    report, events = await mirror(sandbox, client, tmp_path)
    count = len(expected(sandbox.market))
    assert report == SyncReport(threads=7, skipped=count)
    assert len(events.files("skipped")) == count
    assert not [one for one in sandbox.requests if "attachments" in one.path]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == {
        path: stat.st_mtime_ns for path, stat in before.items()
    }


async def test_what_is_missing_or_damaged_is_fetched_again(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    await mirror(sandbox, client, tmp_path)
    before = on_disk(tmp_path)
    lost, cut, longer, *_ = without_manifests(before)
    (tmp_path / lost).unlink()
    (tmp_path / cut).write_bytes(b"half")
    (tmp_path / longer).write_bytes(before[longer] + b"more")
    report, events = await mirror(sandbox, client, tmp_path)
    assert (report.downloaded, report.failed) == (3, [])
    fetched = [event.path for event in events.all if event.kind == "downloaded"]
    assert sorted(fetched, key=str) == sorted([lost, cut, longer])
    assert without_manifests(on_disk(tmp_path)) == without_manifests(before)


async def test_damage_of_the_same_size_is_found_by_verifying(
    sandbox: Sandbox, client: Client, store: ObjectStore
) -> None:
    await mirror(sandbox, client, store)
    before = without_manifests(await held(store))
    changed, *rest = before
    await obstore.put_async(store, changed, bytes(len(before[changed])))
    report, _ = await mirror(sandbox, client, store)
    assert report.downloaded == 0
    report, events = await mirror(sandbox, client, store, verify=True)
    assert (report.downloaded, report.skipped) == (1, len(rest))
    assert events.files("downloaded") == [changed.rpartition("/")[2]]
    assert without_manifests(await held(store)) == before


async def test_a_file_without_an_entry_is_adopted(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """A killed job had not named it yet, but only a complete file has its final name."""
    await mirror(sandbox, client, tmp_path)
    before = on_disk(tmp_path)
    path = "packs/2000007001000044/manifest.json"
    (tmp_path / path).unlink()
    sandbox.requests.clear()
    report, events = await mirror(sandbox, client, tmp_path)
    assert (report.downloaded, report.failed) == (0, [])
    assert len(events.files("skipped")) == report.skipped == len(expected(sandbox.market))
    assert not [one for one in sandbox.requests if "attachments" in one.path]
    after = on_disk(tmp_path)
    assert set(after) == set(before)
    (old,), (new,) = manifest(before[path]).values(), manifest(after[path]).values()
    assert msgspec.structs.replace(new, downloaded_at=old.downloaded_at) == old


async def test_a_damaged_manifest_is_reported_and_replaced(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    await mirror(sandbox, client, tmp_path)
    path = tmp_path / "packs/2000007001000011/manifest.json"
    before = manifest(path.read_bytes())
    path.write_bytes(path.read_bytes()[:-100])
    report, events = await mirror(sandbox, client, tmp_path)
    told = [event for event in events.all if event.kind == "manifest"]
    assert [(event.thread.path, event.filename) for event in told] == [
        ("packs/2000007001000011", "manifest.json")
    ]
    assert isinstance(told[0].error, msgspec.DecodeError)
    assert (report.downloaded, report.failed) == (0, [])
    after = manifest(path.read_bytes())
    assert {path: entry.sha256 for path, entry in after.items()} == {
        path: entry.sha256 for path, entry in before.items()
    }


@pytest.mark.parametrize("lost", [0, 1])
async def test_a_damaged_entry_costs_no_file_and_the_manifest_is_mended(
    sandbox: Sandbox, client: Client, tmp_path: Path, lost: int
) -> None:
    await mirror(sandbox, client, tmp_path)
    path = tmp_path / "packs/2000007001000011/manifest.json"
    data = path.read_bytes()
    head, tail = data.rsplit(b'"size": ', 1)
    junk = data.replace(b'"files": [', b'"files": [{"path": "of what is not listed"},')
    path.write_bytes(head + b'"size": null, "was": ' + tail if lost else junk)
    report, events = await mirror(sandbox, client, tmp_path)
    assert (report.downloaded, events.files("manifest")) == (0, ["manifest.json"])
    again, events = await mirror(sandbox, client, tmp_path)
    assert (again.downloaded, events.files("manifest")) == (0, [])


async def test_a_manifest_of_a_later_version_is_left_alone(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    await mirror(sandbox, client, tmp_path)
    path = tmp_path / "packs/2000007001000044/manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"version": 1', b'"version": 2'))
    before = on_disk(tmp_path)
    report, _ = await mirror(sandbox, client, tmp_path)
    assert [one.thread for one in report.failed] == [ThreadId("pack", "2000007001000044")]
    assert "later mlmsg" in str(report.failed[0])
    assert on_disk(tmp_path) == before


async def test_a_file_whose_size_changed_is_fetched_again(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    market = sandbox.market
    fill(market, 1)
    await mirror(sandbox, client, tmp_path)
    file = market.files[name := next(reversed(market.files))]
    message = market.packs["1000"].messages[0]
    new = market.add_file(b"longer than it was" * 100, file.original_filename, file_id=name)
    changed = msgspec.structs.replace(message, message_attachments=[new.attachment()])
    market.packs["1000"].messages[:] = [changed]
    report, _ = await mirror(sandbox, client, tmp_path)
    assert report.downloaded == 1
    assert (tmp_path / "packs/1000" / name).read_bytes() == new.data


@pytest.mark.parametrize("told", [None, 7])
async def test_a_missing_or_wrong_listed_size_is_no_reason_to_fetch_again(
    sandbox: Sandbox, client: Client, tmp_path: Path, told: int | None
) -> None:
    fill(sandbox.market, 1)
    messages = sandbox.market.packs["1000"].messages
    listed = messages[0].message_attachments or []
    body = msgspec.to_builtins(listed[0])
    page = {"paging": None, "conversation_status": None}
    message = {"id": "m1", "message_attachments": [body | {"size": told}]}
    for run in (1, 0):
        sandbox.inject(answer_of(page | {"messages": [message]}))
        sandbox.inject(answer_of(page | {"messages": []}))
        report = await sync_attachments(client, packs=[1000], to=tmp_path, site_id="MLM")
        assert (report.downloaded, report.skipped, report.failed) == (run, 1 - run, [])


def answer_of(body: object) -> Fault:
    return Fault(status=200, body=body, path="/packs/1000")


async def test_what_the_api_no_longer_lists_stays(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    fill(sandbox.market, 1, files=2)
    await mirror(sandbox, client, tmp_path)
    before = on_disk(tmp_path)
    pack = sandbox.market.packs["1000"]
    listed = pack.messages[0].message_attachments or []
    extra = sandbox.market.add_file(b"new", "new.txt")
    kept = [listed[0], extra.attachment()]
    pack.messages[:] = [msgspec.structs.replace(pack.messages[0], message_attachments=kept)]
    await mirror(sandbox, client, tmp_path)
    after = on_disk(tmp_path)
    assert without_manifests(before).items() <= after.items()
    assert len(manifest(after["packs/1000/manifest.json"])) == 3


@pytest.mark.parametrize("flagged_first", [False, True])
async def test_a_file_that_is_flagged_later_moves_into_quarantine_and_back(
    sandbox: Sandbox, client: Client, store: ObjectStore, *, flagged_first: bool
) -> None:
    fill(sandbox.market, 1)
    pack = sandbox.market.packs["1000"]
    for flag in (flagged_first, not flagged_first):
        listed = [
            msgspec.structs.replace(one, potential_security_threat=flag)
            for one in pack.messages[0].message_attachments or []
        ]
        pack.messages[:] = [msgspec.structs.replace(pack.messages[0], message_attachments=listed)]
        await mirror(sandbox, client, store)
        there = {path: data for path, data in (await held(store)).items() if "/1000/" in path}
        folder = "quarantine/packs/1000" if flag else "packs/1000"
        path = f"{folder}/{listed[0].filename}"
        assert set(there) == {"packs/1000/manifest.json", path}
        assert set(manifest(there["packs/1000/manifest.json"])) == {path}
        again, _ = await mirror(sandbox, client, store)
        assert again.downloaded == 0


async def test_names_that_would_share_a_place_do_not(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    market = sandbox.market
    names = ["é.jpg", "e.jpg", "ë.jpg", "manifest.json", "MANIFEST.json", "con", "%2e%2e", "a#1"]
    market.add_pack(9)
    for name in names:
        market.add_file(name.encode(), name, file_id=name)
    market.add_message(9, "all of them", attachments=names)
    report, _ = await mirror(sandbox, client, tmp_path)
    assert report.failed == []
    files = {p: d for p, d in on_disk(tmp_path).items() if p.startswith("packs/9/")}
    assert sorted(without_manifests(files).values()) == sorted(name.encode() for name in names)
    entries = manifest(files["packs/9/manifest.json"])
    assert {entry.filename: files[path].decode() for path, entry in entries.items()} == {
        name: name for name in names
    }
    again, _ = await mirror(sandbox, client, tmp_path)
    assert again.downloaded == 0


async def test_a_file_of_two_messages_is_fetched_once(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    fill(sandbox.market, 1)
    name = next(reversed(sandbox.market.files))
    sandbox.market.add_message(1000, "once more", attachments=[name])
    report, _ = await mirror(sandbox, client, tmp_path)
    assert report.downloaded == len(expected(sandbox.market))
    assert len([one for one in sandbox.requests if name in one.path]) == 1


async def test_a_thread_without_files_leaves_no_trace(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    sandbox.market.add_pack(3)
    sandbox.market.add_message(3, "hola")
    sandbox.market.add_claim(4)
    report = await sync_attachments(client, packs=[3], claims=[4], to=tmp_path, site_id="MLM")
    assert report == SyncReport(threads=2)
    assert list(tmp_path.iterdir()) == []


async def test_files_are_requested_at_the_site_of_their_message(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    for pack, site in ((1, "MLB"), (2, "CBT"), (3, "")):
        sandbox.market.add_pack(pack, site_id=site)
        sandbox.market.add_file(b"x", "x.txt", file_id=f"{pack}.txt")
        sandbox.market.add_message(pack, "x", attachments=[f"{pack}.txt"])
    report = await sync_attachments(client, packs=[1, 2, 3], to=tmp_path, site_id="MCO")
    assert report.failed == []
    asked = {one.path.rpartition("/")[2]: one.query.get("site_id") for one in sandbox.requests}
    assert asked.items() >= {"1.txt": "MLB", "2.txt": "MCO", "3.txt": "MCO"}.items()


async def test_a_long_thread_is_named_bit_by_bit(
    sandbox: Sandbox, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_module, "FILES_PER_SAVE", 4)
    fill(sandbox.market, 1, files=10)
    store = MemoryStore()
    named: list[int] = []

    def look(event: SyncEvent) -> None:
        path = "packs/1000/manifest.json"
        there = [one["path"] for one in obstore.list(store).collect()]
        data = bytes(obstore.get(store, path).bytes()) if path in there else None
        named.append(0 if data is None else len(manifest(data)))

    await sync_attachments(
        client, packs=[1000], to=store, site_id="MLM", concurrency=1, on_event=look
    )
    assert named == [0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 10]


async def test_events_tell_every_step_in_order(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    fill(sandbox.market, 1, files=2)
    events = Events()
    await sync_attachments(
        client, packs=[1000, 8], claims=[8], to=tmp_path, site_id="MLM", on_event=events
    )
    thread = ThreadId("pack", "1000")
    mine = [event for event in events.all if event.thread == thread]
    assert [event.kind for event in mine] == ["downloaded", "downloaded", "thread"]
    assert {event.path for event in mine[:2]} == {
        f"packs/1000/{event.filename}" for event in mine[:2]
    }
    assert {event.size for event in mine} == {1000, 0}
    (empty,) = [event for event in events.all if event.thread == ThreadId("pack", "8")]
    assert (empty.kind, empty.newest) == ("thread", None)
    (failed,) = [event for event in events.all if event.thread == ThreadId("claim", "8")]
    assert (failed.kind, failed.filename) == ("failed", None)
    assert "404" in str(failed.error)


async def test_a_callback_that_fails_does_not_disturb_the_job(
    sandbox: Sandbox, client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: SyncEvent) -> None:
        raise RuntimeError("the callback's own")

    report = await sync_attachments(
        client, packs=list(sandbox.market.packs), to=tmp_path, site_id="MLM", on_event=fail
    )
    assert (report.threads, report.downloaded) == (4, 9)
    told = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert [one.name for one in told] == ["mlmsg.sync"]
    assert "the callback's own" in caplog.text


async def test_ids_come_from_any_iterable(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    async def packs() -> AsyncIterator[int]:
        for pack in sandbox.market.packs:
            yield int(pack)

    report = await sync_attachments(
        client, packs=packs(), claims=iter(sandbox.market.claims), to=tmp_path, site_id="MLM"
    )
    assert report.threads == 7
    assert without_manifests(on_disk(tmp_path)) == expected(sandbox.market)
