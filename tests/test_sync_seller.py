"""The mirror of a whole seller: it finds its threads, and a later run reads less."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from mlmsg import Client, RateBudget, RetryPolicy
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.sync import sync_seller
from mlmsg.sync.state import OpenThread, SellerState, still_open

SINCE = date(2020, 1, 1)


def client_of(sandbox: Sandbox) -> Client:
    return Client(
        sandbox.token,
        global_selling=False,
        base_url=sandbox.url,
        retry=RetryPolicy(base=0.0),
        budget=None,
    )


def files_of(sandbox: Sandbox) -> int:
    claims = sum(len(claim.files) for claim in sandbox.market.claims.values())
    return len(sandbox.market.files) + claims


async def test_everything_is_found_without_an_id(domestic: Sandbox, tmp_path: Path) -> None:
    async with client_of(domestic) as client:
        report = await sync_seller(client, to=tmp_path, since=SINCE)
    assert not report.failed
    assert report.downloaded == files_of(domestic)
    assert report.threads == len(domestic.market.packs) + len(domestic.market.claims)
    assert report.calls["orders.search"] > 0
    assert sum(report.calls.values()) == len(domestic.requests) - 1  # without /users/me


async def test_a_second_run_reads_only_what_can_have_changed(
    domestic: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlmsg.sync.seller.OVERLAP", timedelta())  # the sandbox's sales are of now
    async with client_of(domestic) as client:
        first = await sync_seller(client, to=tmp_path, since=SINCE)
        second = await sync_seller(client, to=tmp_path, since=SINCE)
        assert second.calls["packs.page"] < first.calls["packs.page"]
        assert second.downloaded == 0
        full = await sync_seller(client, to=tmp_path, since=SINCE, full=True)
        assert full.calls["packs.page"] == first.calls["packs.page"]
        assert full.downloaded == 0


async def test_a_new_message_is_found_by_the_unread_list(domestic: Sandbox, tmp_path: Path) -> None:
    async with client_of(domestic) as client:
        await sync_seller(client, to=tmp_path, since=SINCE)
        market = domestic.market
        pack = next(iter(market.packs.values()))
        stored = market.add_file(b"%PDF-1.4 x", "x.pdf", "application/pdf", user_id=pack.buyer_id)
        market.add_message(pack.id, "Olá", author="buyer", attachments=[stored.id])
        report = await sync_seller(client, to=tmp_path, since=SINCE)
    assert report.downloaded == 1
    assert (tmp_path / "packs" / pack.id).is_dir()


async def test_a_failed_thread_is_read_again(domestic: Sandbox, tmp_path: Path) -> None:
    pack_id = next(iter(domestic.market.packs))
    domestic.inject(Fault(status=403, path=f"/packs/{pack_id}/sellers", times=1))
    async with client_of(domestic) as client:
        first = await sync_seller(client, to=tmp_path, since=SINCE)
        assert len(first.failed) == 1
        domestic.requests.clear()
        second = await sync_seller(client, to=tmp_path, since=SINCE)
    assert not second.failed
    assert any(pack_id in request.path for request in domestic.requests)


async def test_an_earlier_since_reads_what_was_left_out(domestic: Sandbox, tmp_path: Path) -> None:
    async with client_of(domestic) as client:
        await sync_seller(client, to=tmp_path, since=datetime.now(UTC) - timedelta(minutes=1))
        report = await sync_seller(client, to=tmp_path, since=SINCE)
        assert report.threads > 1


@pytest.mark.parametrize("damage", [b"", b"{", b"null", b'{"version": 99}'])
async def test_a_damaged_state_means_to_read_everything(
    domestic: Sandbox, tmp_path: Path, damage: bytes
) -> None:
    async with client_of(domestic) as client:
        first = await sync_seller(client, to=tmp_path, since=SINCE)
        state = next((tmp_path / "state").iterdir())
        msgspec.json.decode(state.read_bytes(), type=SellerState)
        state.write_bytes(damage)
        second = await sync_seller(client, to=tmp_path, since=SINCE)
    assert second.calls["packs.page"] == first.calls["packs.page"]


async def test_a_global_selling_account_is_mirrored_too(sandbox: Sandbox, tmp_path: Path) -> None:
    async with Client(sandbox.token, base_url=sandbox.url, budget=None) as client:
        report = await sync_seller(client, to=tmp_path, since=SINCE)
    assert not report.failed
    assert report.downloaded == files_of(sandbox)


async def test_the_report_counts_the_calls_that_waited(domestic: Sandbox, tmp_path: Path) -> None:
    budget = RateBudget(reads=1000, writes=None, per=2.0, burst=1)
    async with Client(
        domestic.token, global_selling=False, base_url=domestic.url, budget=budget
    ) as client:
        report = await sync_seller(client, to=tmp_path, since=SINCE)
    assert 0 < report.waits <= sum(report.calls.values())
    assert Counter(report.calls).most_common(1)


def test_a_thread_stays_open_for_thirty_days() -> None:
    now = datetime(2026, 3, 31, tzinfo=UTC)
    threads = {
        "young": OpenThread(newest=now - timedelta(days=29)),
        "old": OpenThread(newest=now - timedelta(days=30, hours=1)),
        "never read": OpenThread(),
    }
    assert set(still_open(threads, now, 30)) == {"young", "never read"}
