"""Failures: one of a file or a thread costs only that one, one of everything ends the job."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import date
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest
from mirrors import Events, expected, fill, on_disk, without_manifests

from mlmsg import (
    AuthenticationError,
    Client,
    IncompleteDownload,
    MlmsgError,
    ReauthorizationRequired,
    RefreshingToken,
    RetryPolicy,
    RuleError,
    ServerError,
    TransportError,
    UsageError,
)
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.sync import (
    Failure,
    Ids,
    SyncEvent,
    SyncReport,
    TargetError,
    ThreadId,
    merge_reports,
    sync_attachments,
    sync_seller,
)
from mlmsg.sync import report as report_module

LISTED = {"id": "m1", "message_attachments": [{"filename": None, "original_filename": "x.jpg"}]}


@pytest.mark.slow
async def test_passing_faults_cost_nothing(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    packs = fill(sandbox.market, 12, size=3_000_000)
    for name in list(sandbox.market.files)[-12::2]:
        sandbox.inject(Fault(action="cut", path=name, times=2))
        sandbox.inject(Fault(action="drop", path=name))
    for pack in packs[::3]:
        sandbox.inject(Fault(status=503, path=f"/packs/{pack}", times=2))
        sandbox.inject(Fault(action="lose", path=f"/packs/{pack}"))
    sandbox.inject(Fault(status=500, path="/attachments/", times=3))
    report = await sync_attachments(
        client, packs=sandbox.market.packs, claims=sandbox.market.claims, to=tmp_path, site_id="MLM"
    )
    assert report.failed == []
    assert without_manifests(on_disk(tmp_path)) == expected(sandbox.market)
    assert sandbox.faults == ()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(Fault(action="cut", times=4), IncompleteDownload, id="cut"),
        pytest.param(Fault(status=500, times=4), ServerError, id="gone"),
        pytest.param(Fault(action="drop", times=4), TransportError, id="dropped"),
        pytest.param(Fault(status=200, body=b"", times=4), IncompleteDownload, id="empty"),
    ],
)
async def test_a_lost_file_costs_only_itself(
    sandbox: Sandbox, client: Client, tmp_path: Path, fault: Fault, error: type[MlmsgError]
) -> None:
    fill(sandbox.market, 1, files=3, size=3_000_000)
    lost = list(sandbox.market.files)[-2]
    for _ in range(2):
        sandbox.inject(
            Fault(status=fault.status, body=fault.body, action=fault.action, times=4, path=lost)
        )
    for missing in (1, 1, 0):  # twice it fails, then it is there
        events = Events()
        report = await sync_attachments(
            client, packs=[1000], to=tmp_path, site_id="MLM", on_event=events
        )
        found = [(one.thread, one.filename, type(one.error)) for one in report.failed]
        assert found == [(ThreadId("pack", "1000"), lost, error)] * missing
        assert events.files("failed") == [lost] * missing
        assert report.threads == 1
        files = without_manifests(on_disk(tmp_path))
        assert (f"packs/1000/{lost}" in files) == (not missing)
        assert len(files) == 3 - missing


async def test_a_lost_thread_costs_only_itself(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    market = sandbox.market
    market.denied.add(666)
    events = Events()
    report = await sync_attachments(
        client,
        on_event=events,
        packs=["404", "not/an id", *market.packs],
        claims=[404, 666, *market.claims],
        to=tmp_path,
        site_id="MLM",
    )
    # A pack that is not there is a thread without messages, but it is counted.
    assert (report.threads, report.not_found) == (8, 1)
    assert [event.thread.id for event in events.all if not event.found] == ["404"]
    assert "8 threads, 1 not found (404), " in repr(report)
    assert merge_reports([report, report, SyncReport()]).not_found == 2
    failed = sorted(one.thread.path for one in report.failed)
    assert failed[:2] == ["claims/404", "claims/666"]
    assert failed[2].startswith("packs/")
    assert failed[2].endswith("-not_an_id")
    assert len(report.failed) == 3
    assert without_manifests(on_disk(tmp_path)) == expected(market)


async def test_what_a_thread_showed_before_it_was_lost_is_kept(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    sandbox.max_limit = 1
    fill(sandbox.market, 1)
    sandbox.market.add_message(1000, "without a file")
    sandbox.market.add_message(1000, "nor this")
    sandbox.inject(Fault(status=404, path="offset=3"))
    sandbox.market.add_message(1000, "with one", attachments=[next(iter(sandbox.market.files))])
    report = await sync_attachments(client, packs=[1000], to=tmp_path, site_id="MLM")
    assert (report.threads, report.downloaded) == (0, 1)
    assert [one.filename for one in report.failed] == [None]
    assert len(on_disk(tmp_path)) == 2


async def test_an_attachment_without_a_name_is_reported(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    page = {"paging": {"total": 1}, "messages": [LISTED]}
    sandbox.inject(Fault(status=200, body=page, path="/packs/1"))
    report = await sync_attachments(client, packs=[1], to=tmp_path, site_id="MLM")
    assert [(one.filename, type(one.error)) for one in report.failed] == [("x.jpg", RuleError)]
    assert report.threads == 1


async def test_a_refused_token_ends_the_job(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    sandbox.expired = sandbox.tokens
    with pytest.raises(AuthenticationError):
        await sync_attachments(client, packs=some(), to=tmp_path, site_id="MLM")
    sandbox.expired, sandbox.tokens = frozenset(), frozenset({"another"})
    with pytest.raises(AuthenticationError, match="Malformed"):
        await sync_attachments(client, packs=some(), to=tmp_path, site_id="MLM")


def some() -> Iterator[int]:
    """As many ids as may be drawn before a job ends."""
    yield from range(100)
    pytest.fail("the job went on")


async def test_a_token_that_expires_on_the_way_ends_the_job(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    packs = fill(sandbox.market, 20)

    def expire(event: SyncEvent) -> None:
        if event.kind == "downloaded":
            sandbox.expired = sandbox.tokens

    with pytest.raises(AuthenticationError):
        await sync_attachments(
            client, packs=packs, to=tmp_path, site_id="MLM", concurrency=1, on_event=expire
        )
    sandbox.expired = frozenset()
    report = await sync_attachments(client, packs=packs, to=tmp_path, site_id="MLM")
    assert (report.threads, report.failed) == (20, [])


@pytest.mark.parametrize("answer", ["two words", ""])
async def test_a_token_source_that_fails_ends_the_job(
    sandbox: Sandbox, tmp_path: Path, answer: str
) -> None:
    async def token() -> str:
        if not answer:
            raise LookupError("no token in the vault")
        return answer

    expected_error = RuleError if answer else LookupError
    async with Client(token, base_url=sandbox.url, budget=None) as client:
        with pytest.raises(expected_error):
            await sync_attachments(client, packs=some(), to=tmp_path, site_id="MLM")


async def test_a_closed_client_ends_the_job(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    await client.aclose()
    with pytest.raises(UsageError, match="closed"):
        await sync_attachments(client, packs=some(), to=tmp_path, site_id="MLM")


@pytest.mark.parametrize("in_the_way", ["packs", "packs/1000/manifest.json/x"])
async def test_a_target_that_fails_ends_the_job(
    sandbox: Sandbox, client: Client, tmp_path: Path, in_the_way: str
) -> None:
    packs = fill(sandbox.market, 20)
    if "/" in in_the_way:
        (tmp_path / in_the_way).parent.mkdir(parents=True)
    else:
        (tmp_path / in_the_way).write_text("a file")
    with pytest.raises(TargetError):
        await sync_attachments(client, packs=packs, to=tmp_path, site_id="MLM")


@pytest.mark.parametrize("kind", ["plain", "asynchronous"])
async def test_what_an_iterable_raises_comes_out(
    sandbox: Sandbox, client: Client, tmp_path: Path, kind: str
) -> None:
    def plain() -> Iterator[str]:
        yield from sandbox.market.packs
        raise ZeroDivisionError("in the middle of the ids")

    async def asynchronous() -> AsyncIterator[str]:
        for one in plain():
            yield one

    packs: Ids = plain() if kind == "plain" else asynchronous()
    with pytest.raises(ZeroDivisionError):
        await sync_attachments(client, packs=packs, to=tmp_path, site_id="MLM")
    files = expected(sandbox.market)
    assert without_manifests(on_disk(tmp_path)).items() <= files.items()


WRONG: list[tuple[str, object]] = [
    ("packs", "1000"),
    ("packs", b"1000"),
    ("claims", 1000),
    ("site_id", "CBT"),
    ("concurrency", 0),
    ("concurrency", True),
    ("concurrency", 1.5),
    ("to", ""),
    ("on_event", 3),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
async def test_wrong_arguments_are_refused_before_anything_is_done(
    sandbox: Sandbox, client: Client, tmp_path: Path, name: str, value: object
) -> None:
    arguments = {"packs": [1], "to": tmp_path / "new", "site_id": "MLM", name: value}
    with pytest.raises(RuleError, match=name):
        await sync_attachments(client, **arguments)  # type: ignore[arg-type]
    assert sandbox.requests == []
    assert not list(tmp_path.iterdir())


async def test_an_asynchronous_callback_is_refused(client: Client, tmp_path: Path) -> None:
    async def note(event: SyncEvent) -> None: ...

    with pytest.raises(RuleError, match="plain function"):
        await sync_attachments(client, packs=[1], to=tmp_path, site_id="MLM", on_event=note)


def failed(number: int) -> SyncEvent:
    error = ServerError(500, None, "gone")
    return SyncEvent("failed", ThreadId("pack", str(number)), error=error)


def test_a_report_keeps_a_bounded_number_of_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "MAX_FAILURES", 3)
    one, other = SyncReport(downloaded=1, bytes=5), SyncReport(skipped=2, threads=4)
    for number in range(5):
        one.add(failed(number))
    other.add(failed(9))
    assert ([failure.thread.id for failure in one.failed], one.omitted_failures) == (
        ["0", "1", "2"],
        2,
    )
    total = merge_reports([other, one])
    assert [failure.thread.id for failure in total.failed] == ["9", "0", "1"]
    assert (total.omitted_failures, total.downloaded, total.skipped) == (3, 1, 2)
    assert (total.threads, total.bytes) == (4, 5)
    assert merge_reports([]) == SyncReport()


@pytest.mark.parametrize("reports", [[5], [SyncReport(), None], 5, None])
def test_only_reports_are_merged(reports: object) -> None:
    with pytest.raises(RuleError, match=r"`reports`: found .*, allowed: .*SyncReport"):
        merge_reports(reports)  # type: ignore[arg-type]


@pytest.mark.parametrize("job", [sync_attachments, sync_seller])
async def test_a_client_and_a_report_are_needed(
    job: Callable[..., Awaitable[object]], sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    more = {"to": tmp_path / "new"} | ({"since": date(2020, 1, 1)} if job is sync_seller else {})
    for wrong in (None, "token", 5):
        with pytest.raises(RuleError, match=r"`client`: found .*, allowed: a Client"):
            await job(wrong, **more)
    for wrong_report in (5, "report"):
        with pytest.raises(RuleError, match=r"`report`: found .*, allowed: a SyncReport"):
            await job(client, report=wrong_report, **more)
    assert sandbox.requests == []
    assert not (tmp_path / "new").exists()


def test_a_failure_says_where_and_why() -> None:
    error = RuleError("a rule", "this", "that")
    assert str(Failure(ThreadId("claim", "5"), "a.jpg", error)) == (
        "claims/5/a.jpg: a rule: found this, allowed: that"
    )
    assert str(Failure(ThreadId("pack", "5"), None, error)).startswith("packs/5: a rule")


async def test_a_report_with_failures_can_be_pickled(sandbox: Sandbox, tmp_path: Path) -> None:
    name = next(iter(sandbox.market.files))
    sandbox.inject(Fault(action="cut", path=name))
    retry = RetryPolicy(attempts=1)
    async with Client(sandbox.token, base_url=sandbox.url, retry=retry, budget=None) as client:
        report = await sync_attachments(
            client, packs=["not/an id", *sandbox.market.packs], to=tmp_path, site_id="MLM"
        )
    again = ForkingPickler.loads(ForkingPickler.dumps(report))
    assert [str(one) for one in again.failed] == [str(one) for one in report.failed]
    assert len(again.failed) == 2
    assert (again.threads, again.bytes) == (report.threads, report.bytes)


async def test_a_dead_grant_ends_the_job(sandbox: Sandbox, tmp_path: Path) -> None:
    """Otherwise each of a million threads would fail in the same way."""
    source = RefreshingToken(sandbox.grant.client_id, sandbox.grant.client_secret, "used-before")
    async with Client(source, base_url=sandbox.url, budget=None) as client:
        with pytest.raises(ReauthorizationRequired):
            await sync_attachments(
                client, packs=list(sandbox.market.packs), to=tmp_path, site_id="MLM"
            )
