"""A file that the API flags as a threat is nowhere but in quarantine."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import msgspec
import obstore
import pytest
from mirrors import manifest
from obstore.store import LocalStore, MemoryStore, ObjectStore

from mlmsg import Client
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.sync import SyncReport, sync_attachments

NAME = "700100200_0001.jpg"
PUBLIC = f"packs/5/{NAME}"
QUARANTINE = f"quarantine/packs/5/{NAME}"
MANIFEST = "packs/5/manifest.json"
PLACES = {False: PUBLIC, True: QUARANTINE}


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return LocalStore(tmp_path) if request.param == "folder" else MemoryStore()


def keys(store: ObjectStore) -> set[str]:
    return {entry["path"] for entry in obstore.list(store).collect()}


def flag(sandbox: Sandbox, *flags: bool) -> None:
    """Let pack 5 list the file in as many messages, with these flags."""
    market = sandbox.market
    if NAME not in market.files:
        market.add_pack(5)
        market.add_file(b"the content", NAME, "image/jpeg", file_id=NAME)
    market.packs["5"].messages.clear()
    for value in flags:
        message = market.add_message(5, "see", attachments=[NAME])
        listed = [
            msgspec.structs.replace(one, potential_security_threat=value)
            for one in message.message_attachments or []
        ]
        market.packs["5"].messages[:] = [
            msgspec.structs.replace(one, message_attachments=listed) if one is message else one
            for one in market.packs["5"].messages
        ]


async def mirror(client: Client, store: ObjectStore, *, verify: bool = False) -> SyncReport:
    report = await sync_attachments(client, packs=[5], to=store, site_id="MLM", verify=verify)
    assert report.threads == 1
    return report


def check(store: ObjectStore, *, flagged: bool) -> None:
    assert keys(store) == {PLACES[flagged], MANIFEST}
    data = bytes(obstore.get(store, MANIFEST).bytes())
    ((path, entry),) = manifest(data).items()
    assert (path, entry.potential_security_threat) == (PLACES[flagged], flagged)


MANIFESTS = ["as it was", "deleted", "damaged", "empty"]


def spoil(store: ObjectStore, how: str) -> None:
    if how == "deleted":
        obstore.delete(store, MANIFEST)
    elif how != "as it was":
        data = bytes(obstore.get(store, MANIFEST).bytes())
        obstore.put(store, MANIFEST, data[: len(data) // 2] if how == "damaged" else b"")


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize(("first", "how"), list(product([False, True], MANIFESTS)))
async def test_a_file_moves_when_its_flag_changes(
    sandbox: Sandbox, client: Client, store: ObjectStore, first: bool, how: str, *, verify: bool
) -> None:
    flag(sandbox, first)
    await mirror(client, store)
    check(store, flagged=first)
    spoil(store, how)
    flag(sandbox, not first)
    # It moves although it cannot be fetched.
    sandbox.inject(Fault(status=404, path=NAME, times=100))
    report = await mirror(client, store, verify=verify)
    assert (report.downloaded, report.skipped, report.failed) == (0, 1, [])
    check(store, flagged=not first)
    again = await mirror(client, store)
    assert again.skipped == 1


@pytest.mark.parametrize("flagged", [False, True])
@pytest.mark.parametrize("how", MANIFESTS)
async def test_of_copies_at_both_places_the_wrong_one_goes(
    sandbox: Sandbox, client: Client, store: ObjectStore, how: str, *, flagged: bool
) -> None:
    flag(sandbox, flagged)
    await mirror(client, store)
    obstore.put(store, PLACES[not flagged], b"the content")
    spoil(store, how)
    await mirror(client, store)
    check(store, flagged=flagged)


async def test_a_public_copy_that_cannot_be_adopted_is_moved_too(
    sandbox: Sandbox, client: Client, store: ObjectStore
) -> None:
    obstore.put(store, PUBLIC, b"something else")
    flag(sandbox, True)
    sandbox.inject(Fault(status=404, path=NAME))
    report = await mirror(client, store)
    assert len(report.failed) == 1
    assert keys(store) == {QUARANTINE}
    await mirror(client, store)
    check(store, flagged=True)


def orders() -> Iterator[tuple[bool, ...]]:
    yield from product([False, True], repeat=2)
    yield from product([False, True], repeat=3)


@pytest.mark.parametrize("flags", list(orders()), ids=str)
async def test_one_flagged_listing_is_enough(
    sandbox: Sandbox, client: Client, store: ObjectStore, flags: tuple[bool, ...]
) -> None:
    """A file in several messages: the flag of any of them counts, on every run."""
    for number in range(3):
        flag(sandbox, *flags)
        report = await mirror(client, store)
        assert report.downloaded == (number == 0)
        check(store, flagged=any(flags))


async def test_a_quarantined_file_stays_there_while_its_thread_cannot_be_read(
    sandbox: Sandbox, client: Client, store: ObjectStore
) -> None:
    flag(sandbox, True)
    await mirror(client, store)
    flag(sandbox, False)
    sandbox.max_limit = 1
    sandbox.market.add_message(5, "one more")
    sandbox.inject(Fault(status=404, path="offset=1", times=10))
    report = await sync_attachments(client, packs=[5], to=store, site_id="MLM")
    assert report.threads == 0
    assert QUARANTINE in keys(store)
