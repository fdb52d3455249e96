"""The mirror of a whole seller: it finds its threads, and a later run reads less."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import pytest

from mlmsg import (
    Client,
    NotFound,
    PermissionDenied,
    RateBudget,
    RetryPolicy,
    RuleError,
)
from mlmsg.sandbox import Fault, Sandbox, generated_market
from mlmsg.sync import SyncEvent, SyncReport, ThreadId, sync_attachments, sync_seller
from mlmsg.sync.seller import _span_of
from mlmsg.sync.state import (
    SellerState,
)

SINCE = date(2020, 1, 1)
NOW: Final = datetime(2026, 3, 31, tzinfo=UTC)


def client_of(sandbox: Sandbox, *, global_selling: bool = False) -> Client:
    return Client(
        sandbox.token,
        global_selling=global_selling,
        base_url=sandbox.url,
        retry=RetryPolicy(base=0.0),
        budget=None,
    )


def files_of(sandbox: Sandbox) -> int:
    claims = sum(len(claim.files) for claim in sandbox.market.claims.values())
    return len(sandbox.market.files) + claims


@pytest.fixture
async def quiet() -> AsyncIterator[Sandbox]:
    """Run a sandbox whose threads are closed: no message or update of the last 40 days.

    A second run would read nothing of it, were it not for what the test does.
    """
    end = datetime.now(UTC) - timedelta(days=40)
    market = generated_market(packs=4, claims=2, files=1, unread=0, days=20, end=end, site_id="MLB")
    async with Sandbox(market=market) as running:
        yield running


async def run(sandbox: Sandbox, to: Path, **options: object) -> SyncReport:
    """Run the job, and forget the requests of the runs before."""
    sandbox.requests.clear()
    async with client_of(sandbox) as client:
        return await sync_seller(client, to=to, since=SINCE, **options)  # type: ignore[arg-type]


def reads_of(sandbox: Sandbox, part: str) -> int:
    return sum(part in request.path for request in sandbox.requests)


def state_of(folder: Path) -> SellerState:
    (path,) = (folder / "state").glob("*.json")
    return msgspec.json.decode(path.read_bytes(), type=SellerState)


async def test_everything_is_found_without_an_id(domestic: Sandbox, tmp_path: Path) -> None:
    report = await run(domestic, tmp_path)
    assert not report.failed
    assert report.downloaded == files_of(domestic)
    threads = len(domestic.market.packs) + len(domestic.market.claims)
    assert (report.threads, report.expected) == (threads, threads)
    assert report.calls["orders.search"] > 0
    assert sum(report.calls.values()) == len(domestic.requests)


async def test_a_second_run_reads_nothing_of_closed_threads(quiet: Sandbox, tmp_path: Path) -> None:
    first = await run(quiet, tmp_path)
    assert (first.threads, first.expected) == (6, 6)
    assert first.calls["claims.messages"] == 2  # each claim once
    second = await run(quiet, tmp_path)
    assert (second.threads, second.expected) == (0, 0)
    assert {"packs.page", "claims.messages"}.isdisjoint(second.calls)
    full = await run(quiet, tmp_path, full=True)
    assert full.calls["packs.page"] == first.calls["packs.page"]
    assert (full.threads, full.downloaded) == (6, 0)


@pytest.mark.parametrize(("option", "mended"), [("full", 2), ("verify", 3)])
async def test_damaged_files_of_closed_threads_come_back(
    option: str, mended: int, quiet: Sandbox, tmp_path: Path
) -> None:
    await run(quiet, tmp_path)
    paths = [
        path
        for path in sorted(tmp_path.glob("*s/*/*"))
        if path.name != "manifest.json" and path.parent.parent.name in {"packs", "claims"}
    ]
    contents = {path: path.read_bytes() for path in paths}
    gone, cut, changed, *_ = paths
    gone.unlink()
    cut.write_bytes(contents[cut][:-1])
    changed.write_bytes(contents[changed][:-1] + b"\0")
    assert (await run(quiet, tmp_path)).downloaded == 0  # it looks at no closed thread
    report = await run(quiet, tmp_path, **{option: True})
    assert (report.threads, report.downloaded, report.failed) == (6, mended, [])
    wrong = [path for path in paths if path.read_bytes() != contents[path]]
    assert wrong == ([] if option == "verify" else [changed])


async def test_a_new_message_is_found_by_the_unread_list(quiet: Sandbox, tmp_path: Path) -> None:
    await run(quiet, tmp_path)
    market = quiet.market
    pack = market.packs[list(market.packs)[1]]
    stored = market.add_file(b"%PDF-1.4 x", "x.pdf", "application/pdf", user_id=pack.buyer_id)
    market.add_message(pack.id, "Olá", author="buyer", attachments=[stored.id])
    report = await run(quiet, tmp_path)
    assert (report.threads, report.downloaded) == (1, 1)
    assert (tmp_path / "packs" / pack.id).is_dir()
    market.mark_as_read(pack.id)
    assert (await run(quiet, tmp_path)).threads == 1  # its newest message is of today


async def test_a_failed_thread_is_read_again_until_it_can_be_read(
    quiet: Sandbox, tmp_path: Path
) -> None:
    pack_id, claim_id = next(iter(quiet.market.packs)), next(iter(quiet.market.claims))
    quiet.inject(Fault(status=403, path=f"/packs/{pack_id}/sellers"))
    quiet.inject(Fault(status=403, path=f"/claims/{claim_id}/messages"))
    assert len((await run(quiet, tmp_path)).failed) == 2
    second = await run(quiet, tmp_path)
    assert (second.threads, second.expected, second.failed) == (2, 2, [])
    assert reads_of(quiet, pack_id) == 1
    assert reads_of(quiet, f"/claims/{claim_id}/messages") == 1
    assert (await run(quiet, tmp_path)).threads == 0


async def test_a_failed_file_is_fetched_again(quiet: Sandbox, tmp_path: Path) -> None:
    quiet.inject(Fault(status=404, path="/messages/attachments/"))
    quiet.inject(Fault(status=404, path="/download"))
    assert (await run(quiet, tmp_path)).downloaded == 4
    assert (await run(quiet, tmp_path)).downloaded == 2
    assert (await run(quiet, tmp_path)).threads == 0


async def test_a_full_run_keeps_what_lies_outside_of_its_time(
    quiet: Sandbox, tmp_path: Path
) -> None:
    pack_id, claim_id = next(iter(quiet.market.packs)), next(iter(quiet.market.claims))
    for part in (f"/packs/{pack_id}/sellers", f"/claims/{claim_id}/messages"):
        quiet.inject(Fault(status=403, path=part, times=2))
    await run(quiet, tmp_path)
    quiet.requests.clear()
    async with client_of(quiet) as client:
        yesterday = datetime.now(UTC) - timedelta(days=1)
        report = await sync_seller(client, to=tmp_path, since=yesterday, full=True)
    assert len(report.failed) == 2
    state = state_of(tmp_path)
    assert (list(state.open_threads), state.failed_claims) == ([int(pack_id)], [claim_id])
    assert state.since == datetime(2020, 1, 1, tzinfo=UTC)
    assert (await run(quiet, tmp_path)).threads == 2


async def test_a_callback_that_raises_costs_nothing_but_itself(
    quiet: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pack_id, seen = next(iter(quiet.market.packs)), list[SyncEvent]()
    quiet.inject(Fault(status=403, path=f"/packs/{pack_id}/sellers"))

    def fail(event: SyncEvent) -> None:
        seen.append(event)
        raise ValueError("the caller's own")

    report = await run(quiet, tmp_path, on_event=fail)
    assert (report.threads, len(report.failed), len(seen)) == (5, 1, 1)
    assert "the caller's own" in caplog.text
    assert list(state_of(tmp_path).open_threads) == [int(pack_id)]


async def coroutine(_: SyncEvent) -> None:
    """Do nothing, in a way that nobody would wait for."""


WRONG: Final[dict[str, dict[str, object]]] = {
    "`on_event`": {"on_event": 5},
    "`on_event`: found an async": {"on_event": coroutine},
    "`verify`": {"verify": 1},
    "`full`": {"full": "yes"},
    "`concurrency`": {"concurrency": 0},
    "`app_id`": {"app_id": ""},
    "`to`": {"to": b"x"},
    "`since`": {"since": "yesterday"},
}


@pytest.mark.parametrize("rule", WRONG)
async def test_a_wrong_argument_is_refused_before_any_request(
    domestic: Sandbox, tmp_path: Path, rule: str
) -> None:
    arguments: dict[str, object] = {"to": tmp_path / "new", "since": SINCE, **WRONG[rule]}
    async with client_of(domestic) as client:
        with pytest.raises(RuleError, match=rule):
            await sync_seller(client, **arguments)  # type: ignore[arg-type]
    assert domestic.requests == []
    assert not (tmp_path / "new").exists()


async def test_missed_notifications_name_threads(quiet: Sandbox, tmp_path: Path) -> None:
    market, app_id = quiet.market, quiet.grant.client_id
    await run(quiet, tmp_path)
    pack_id, claim_id = next(iter(market.packs)), next(iter(market.claims))
    gone = "0" * 32
    market.add_missed_feed("messages", market.packs[pack_id].messages[0].id)
    market.add_missed_feed("messages", gone)
    market.add_missed_feed("post_purchase", f"/post-purchase/v1/claims/{claim_id}")
    quiet.inject(Fault(action="pass", path="/missed_feeds", delay=0.05))  # the walks are faster
    report = await run(quiet, tmp_path, app_id=app_id)
    assert (report.threads, report.expected, report.failed) == (2, 2, [])
    assert reads_of(quiet, f"/packs/{pack_id}/") == 1
    assert reads_of(quiet, f"/claims/{claim_id}/messages") == 1


async def test_what_is_named_and_found_is_read_once(quiet: Sandbox, tmp_path: Path) -> None:
    pack_id, claim_id = next(iter(quiet.market.packs)), next(iter(quiet.market.claims))
    quiet.market.add_missed_feed("messages", quiet.market.packs[pack_id].messages[0].id)
    quiet.market.add_missed_feed("post_purchase", f"/post-purchase/v1/claims/{claim_id}")
    report = await run(quiet, tmp_path, app_id=quiet.grant.client_id)
    assert (report.threads, report.expected) == (6, 6)
    assert reads_of(quiet, f"/packs/{pack_id}/") == 1
    assert reads_of(quiet, f"/claims/{claim_id}/messages") == 1


async def test_a_missed_message_that_cannot_be_read_is_a_failure(
    quiet: Sandbox, tmp_path: Path
) -> None:
    message = quiet.market.packs[next(iter(quiet.market.packs))].messages[0]
    quiet.market.add_missed_feed("messages", message.id)
    quiet.inject(Fault(status=403, path=f"/messages/{message.id}"))
    report = await run(quiet, tmp_path, app_id=quiet.grant.client_id)
    assert [(failure.thread.id, type(failure.error)) for failure in report.failed] == [
        (message.id, PermissionDenied)
    ]
    assert report.threads == 6


async def test_notifications_of_another_seller_are_left_out(quiet: Sandbox, tmp_path: Path) -> None:
    feeds = [
        {"_id": f"n{number}", "topic": topic, "resource": resource, "user_id": 42}
        for number, (topic, resource) in enumerate(
            [("messages", "m1"), ("post_purchase", "/post-purchase/v1/claims/12")]
        )
    ]
    quiet.inject(Fault(status=200, body={"messages": feeds}, path="/missed_feeds"))
    report = await run(quiet, tmp_path, app_id=quiet.grant.client_id)
    assert (report.threads, report.failed) == (6, [])


async def test_an_earlier_since_reads_what_was_left_out(domestic: Sandbox, tmp_path: Path) -> None:
    async with client_of(domestic) as client:
        await sync_seller(client, to=tmp_path, since=datetime.now(UTC) - timedelta(minutes=1))
        report = await sync_seller(client, to=tmp_path, since=SINCE)
        assert report.threads > 1


def days(*numbers: int) -> list[datetime]:
    return [NOW + timedelta(days=number) for number in numbers]


SPANS: Final = {
    # since, full, (since, started) of the last run -> (begin, covered) in days; 10 minutes overlap
    "the first run": (-9, False, None, (-9, -9)),
    "the next night": (-9, False, (-20, -1), (-1, -20)),
    "an earlier since": (-30, False, (-20, -1), (-30, -30)),
    "all of it again": (-9, True, (-20, -1), (-9, -20)),
    "a gap between the runs": (-2, False, (-20, -5), (-2, -2)),
    "a gap, all of it again": (-2, True, (-20, -5), (-2, -2)),
}


@pytest.mark.parametrize("name", SPANS)
def test_no_time_is_called_covered_that_was_not(name: str) -> None:
    since, full, last, expected = SPANS[name]
    state = None
    if last is not None:
        begin, started = days(*last)
        state = SellerState(since=begin, started=started)
    span = _span_of(NOW + timedelta(days=since), state, full=full)
    overlap = timedelta(minutes=10) if name == "the next night" else timedelta()
    assert [span.begin + overlap, span.covered] == days(*expected)


async def test_a_run_that_fails_covers_nothing(quiet: Sandbox, tmp_path: Path) -> None:
    quiet.inject(Fault(status=400, path="/claims/search", times=100))
    with pytest.raises(Exception, match="400"):
        await run(quiet, tmp_path)
    assert list((tmp_path / "state").glob("*")) == []


async def test_the_start_of_a_run_is_told_by_the_clock_of_the_server(
    quiet: Sandbox, tmp_path: Path
) -> None:
    ahead = "Fri, 01 Jan 2100 00:00:00 GMT"
    me = {"id": quiet.market.user_id, "nickname": "LOJA", "site_id": "MLB", "tags": []}
    quiet.inject(Fault(status=200, body=me, headers={"Date": ahead}, path="/users/me"))
    await run(quiet, tmp_path)
    assert state_of(tmp_path).started.year == 2100


@pytest.mark.parametrize("damage", [b"", b"{", b"null", b'{"version": "?"}', b'{"version": 0}'])
async def test_a_damaged_state_means_to_read_everything(
    quiet: Sandbox, tmp_path: Path, damage: bytes
) -> None:
    first = await run(quiet, tmp_path)
    state = next((tmp_path / "state").iterdir())
    assert state_of(tmp_path).version == 1
    state.write_bytes(damage)
    second = await run(quiet, tmp_path)
    assert second.calls["packs.page"] == first.calls["packs.page"]


@pytest.mark.parametrize("later", ['{"version": 2}', '{"version": 2, "since": null, "x": [1]}'])
async def test_a_state_of_a_later_version_is_left_alone(
    quiet: Sandbox, tmp_path: Path, later: str
) -> None:
    await run(quiet, tmp_path)
    state = next((tmp_path / "state").iterdir())
    state.write_text(later)
    quiet.requests.clear()
    with pytest.raises(RuleError, match=r"version of a state: found 2.*later mlmsg"):
        await run(quiet, tmp_path)
    assert state.read_text() == later
    assert [request.path for request in quiet.requests] == ["/users/me"]


async def test_a_global_selling_account_is_mirrored_too(sandbox: Sandbox, tmp_path: Path) -> None:
    async with client_of(sandbox, global_selling=True) as client:
        report = await sync_seller(client, to=tmp_path, since=SINCE)
    assert not report.failed
    assert report.downloaded == files_of(sandbox)
    assert report.expected == report.threads


@pytest.mark.slow
async def test_each_file_is_asked_for_at_the_site_of_its_pack(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    # The sellers of all sites have one user id, so the unread list names no site.
    async with client_of(sandbox, global_selling=True) as client:
        report = await sync_seller(client, to=tmp_path, since=SINCE)
    assert not report.failed
    sites = {
        file.filename: pack.site_id
        for pack in sandbox.market.packs.values()
        for message in pack.messages
        for file in message.message_attachments or ()
    }
    asked = {
        request.path.rpartition("/")[2]: request.query["site_id"]
        for request in sandbox.requests
        if request.path.startswith("/marketplace/messages/attachments/")
    }
    assert asked == sites
    assert len(set(sites.values())) == 4


async def test_an_order_that_cannot_be_read_is_a_failure_and_tried_again(tmp_path: Path) -> None:
    end = datetime.now(UTC) - timedelta(days=40)
    market = generated_market(packs=4, claims=0, files=1, unread=0, days=20, end=end)
    order_id = next(
        key
        for key, order in market.orders.items()
        if order.pack_id and len(market.sale(order.pack_id)) == 1
    )
    async with Sandbox(market=market) as sandbox:
        sandbox.inject(Fault(status=403, path=f"/marketplace/orders/{order_id}", times=2))
        reports = []
        for _ in range(3):
            async with client_of(sandbox, global_selling=True) as client:
                reports.append(await sync_seller(client, to=tmp_path, since=SINCE))
    assert [len(report.failed) for report in reports] == [1, 1, 0]
    assert [report.threads for report in reports] == [3, 0, 1]
    assert reports[0].failed[0].thread.id == order_id
    assert [report.expected for report in reports] == [4, 1, 1]  # it counts as a thread


@pytest.mark.parametrize("row", [None, {}], ids=repr)
async def test_a_claim_that_cannot_be_read_is_a_failure_of_one_run(
    row: object, quiet: Sandbox, tmp_path: Path
) -> None:
    """The search shows no id of it, by which the next run could read it again."""
    body = {"data": [row], "paging": {"total": 1, "offset": 0, "limit": 100}}
    quiet.inject(Fault(status=200, body=body, path="/claims/search"))
    reports = [await run(quiet, tmp_path) for _ in range(2)]
    assert [[failure.thread for failure in report.failed] for report in reports] == [
        [ThreadId("claim", "")],
        [],
    ]
    assert str(reports[0].failed[0]).startswith("claims/no-id: ")
    assert reports[0].threads + 1 == reports[0].expected
    assert state_of(tmp_path).failed_claims == []


async def test_the_report_counts_the_calls_that_waited(quiet: Sandbox, tmp_path: Path) -> None:
    budget = RateBudget(reads=1000, writes=None, per=2.0, burst=1)
    report = SyncReport()
    async with Client(
        quiet.token, global_selling=False, base_url=quiet.url, budget=budget
    ) as client:
        assert await sync_seller(client, to=tmp_path, since=SINCE, report=report) is report
    assert 0 < report.waits <= sum(report.calls.values())
    assert report.waited > 0
    assert Counter(report.calls).most_common(1)


async def test_only_the_404_of_a_thread_means_that_it_is_empty(
    domestic: Sandbox, tmp_path: Path
) -> None:
    pack_id = next(iter(domestic.market.packs))
    for part, threads in ((f"/packs/{pack_id}/", 1), ("/users/me", 0)):
        domestic.inject(Fault(status=404, path=part))
        async with client_of(domestic) as client:
            report = await sync_attachments(client, packs=[pack_id], to=tmp_path, site_id="MLB")
        assert report.threads == threads
        assert [type(failure.error) for failure in report.failed] == [NotFound] * (1 - threads)
