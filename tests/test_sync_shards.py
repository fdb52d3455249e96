"""Shards: values that travel, run anywhere, and add up to the same mirror."""

import itertools
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from mirrors import expected, fill, on_disk, without_manifests
from obstore.store import LocalStore

from mlmsg import AuthenticationError, PackRef, RuleError
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.sync import Shard, SyncReport, ThreadId, merge_reports, plan_shards, run_shard


class Vault:
    """A token source that travels."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    async def token(self) -> str:
        await anyio.lowlevel.checkpoint()
        return self.secret


def shards(sandbox: Sandbox, to: Path, size: int = 3) -> Iterator[Shard]:
    return plan_shards(
        token=sandbox.token,
        packs=sandbox.market.packs,
        claims=sandbox.market.claims,
        to=str(to),
        site_id="MLM",
        name="seller-1",
        size=size,
        concurrency=4,
        base_url=sandbox.url,
        budget=None,
    )


def test_ids_are_cut_and_none_is_lost() -> None:
    found = list(
        plan_shards(token="t", packs=range(7), claims=list("abc"), to="x", site_id="MLM", size=3)
    )
    assert [shard.packs for shard in found] == [(0, 1, 2), (3, 4, 5), (6,), ()]
    assert [shard.claims for shard in found] == [(), (), (), ("a", "b", "c")]
    assert [shard.name for shard in found] == [f"shard/000{number}" for number in range(4)]
    assert list(plan_shards(token="t", to="x", site_id="MLM")) == []


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_days_are_cut_without_a_gap() -> None:
    end = NOON + timedelta(days=17)
    found = list(plan_shards(token="t", to="x", since=NOON, until=end, days=7, name="s"))
    spans = [(shard.since, shard.until) for shard in found]
    week = timedelta(days=7)
    assert spans == [(NOON, NOON + week), (NOON + week, NOON + 2 * week), (NOON + 2 * week, end)]
    assert [shard.name for shard in found] == ["s/2026-03-01", "s/2026-03-08", "s/2026-03-15"]
    assert not any(shard.packs or shard.claims for shard in found)
    *_, last = plan_shards(token="t", to="x", since=NOON)
    assert last.until is None, "it lasts until the end of its run"
    (day,) = plan_shards(token="t", to="x", since=date(2026, 3, 1), until=date(2026, 3, 2))
    assert day.until == datetime(2026, 3, 2, tzinfo=UTC)


WRONG: dict[str, dict[str, object]] = {
    "`packs`": {"packs": "123"},
    "`claims`": {"claims": 5},
    "an id of `claims`": {"claims": [PackRef(pack_id=1)]},
    "`size`": {"size": 0},
    "`days`": {"days": 0, "since": NOON},
    "`days` of a shard: found 1000000": {"days": 10**6, "since": NOON},
    "`name`": {"name": ""},
    "`name` of a shard: found 5": {"name": 5},
    "`to`": {"to": b"x"},
    "`concurrency`": {"concurrency": 0},
    "`since`": {"since": "2026-03-01"},
    "no zone": {"since": datetime(2026, 3, 1)},  # noqa: DTZ001
    "`until`": {"since": NOON, "until": 5},
    "no `since`": {"until": NOON},
    "`since` of shards: found `packs`": {"since": NOON, "packs": [1]},
    "`since` of shards: found `packs` or `claims`": {"since": NOON, "claims": iter([1])},
    "before `until`": {"since": NOON, "until": NOON},
    "or before now": {"since": datetime(2100, 1, 1, tzinfo=UTC)},
    "`base_url`": {"base_url": "http://x.example"},
    "`global_selling`": {"global_selling": None},
}


@pytest.mark.parametrize("rule", WRONG)
def test_a_wrong_plan_is_refused_at_once(rule: str) -> None:
    arguments: dict[str, object] = {"token": "t", "to": "x", "site_id": "MLM", **WRONG[rule]}
    with pytest.raises(RuleError, match=re.escape(rule)):
        plan_shards(**arguments)  # type: ignore[arg-type]


def test_a_plan_of_endless_ids_is_made_lazily() -> None:
    endless = plan_shards(token="t", packs=itertools.count(), to="x", site_id="MLM", size=2)
    assert [shard.packs for shard in itertools.islice(endless, 2)] == [(0, 1), (2, 3)]


@pytest.mark.parametrize("size", [0, -1, True, 1.5])
def test_a_size_that_is_none_is_refused_at_once(size: int) -> None:
    with pytest.raises(RuleError, match="size"):
        plan_shards(token="t", packs=[1], to="x", site_id="MLM", size=size)


def test_a_shard_travels_and_keeps_its_token_to_itself(tmp_path: Path) -> None:
    for token in ("APP_USR-secret", Vault("APP_USR-secret")):
        for to in ("s3://bucket/prefix", tmp_path, LocalStore(tmp_path)):
            (shard,) = plan_shards(token=token, packs=[1], to=to, site_id="MLM")
            again = ForkingPickler.loads(ForkingPickler.dumps(shard))
            assert (again.name, again.packs, again.to) == (shard.name, shard.packs, shard.to)
            assert "secret" not in repr(again)


async def run_here(shard: Shard) -> SyncReport:
    """Runs a shard in a worker's thread, as an engine does."""
    return await to_thread.run_sync(run_shard, shard)


async def test_shards_add_up_to_the_whole(sandbox: Sandbox, tmp_path: Path) -> None:
    fill(sandbox.market, 5, files=2)
    report = merge_reports([await run_here(shard) for shard in shards(sandbox, tmp_path)])
    whole = expected(sandbox.market)
    assert without_manifests(on_disk(tmp_path)) == whole
    size = sum(map(len, whole.values()))
    assert report == SyncReport(threads=12, downloaded=len(whole), bytes=size)
    again = merge_reports([await run_here(shard) for shard in shards(sandbox, tmp_path, size=100)])
    assert again == SyncReport(threads=12, skipped=len(whole))


@pytest.mark.parametrize("row", [None, {}], ids=repr)
async def test_a_claim_that_cannot_be_read_is_a_failure_of_its_shard(
    sandbox: Sandbox, tmp_path: Path, row: object
) -> None:
    body = {"data": [row], "paging": {"total": 1, "offset": 0, "limit": 100}}
    sandbox.inject(Fault(status=200, body=body, path="/claims/search"))
    today = datetime.now(UTC).date()
    (shard,) = plan_shards(
        token=sandbox.token, to=tmp_path, base_url=sandbox.url, since=today - timedelta(days=1)
    )
    reports = [await run_here(shard) for _ in range(2)]
    found = [[failure.thread for failure in report.failed] for report in reports]
    assert found == [[ThreadId("claim", "")], []]


@pytest.mark.slow
async def test_shards_run_side_by_side_in_threads(sandbox: Sandbox, tmp_path: Path) -> None:
    fill(sandbox.market, 20)

    def everywhere() -> SyncReport:
        with ThreadPoolExecutor(4) as pool:
            return merge_reports(pool.map(run_shard, shards(sandbox, tmp_path)))

    report = await to_thread.run_sync(everywhere)
    assert (report.threads, report.failed) == (27, [])
    assert without_manifests(on_disk(tmp_path)) == expected(sandbox.market)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a pipe of file descriptors")
async def test_shards_run_in_other_processes(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.market.add_pack(5)

    def everywhere() -> SyncReport:
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            extra = plan_shards(
                token=sandbox.token, claims=[404], to=tmp_path, site_id="MLM", base_url=sandbox.url
            )
            return merge_reports(pool.map(run_shard, [*shards(sandbox, tmp_path), *extra]))

    report = await to_thread.run_sync(everywhere)
    assert report.threads == 8
    assert [one.thread.path for one in report.failed] == ["claims/404"]
    assert without_manifests(on_disk(tmp_path)) == expected(sandbox.market)


async def test_a_token_source_is_called_where_the_shard_runs(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (shard,) = plan_shards(
        token=Vault(sandbox.token),
        packs=list(sandbox.market.packs),
        to=tmp_path,
        site_id="MLM",
        base_url=sandbox.url,
    )
    assert (await run_here(shard)).threads == 4


async def test_what_concerns_a_whole_shard_is_raised(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.expired = sandbox.tokens
    with pytest.raises(AuthenticationError):
        await run_here(next(shards(sandbox, tmp_path)))


@pytest.mark.parametrize(
    ("packs", "site_id", "rule"),
    [
        ("123", "MLM", "`packs`"),
        (b"1", "MLM", "`packs`"),
        (123, "MLM", "`packs`"),
        ([1], "lol!", "site"),
    ],
)
def test_a_plan_refuses_what_the_job_would(packs: list[int], site_id: str, rule: str) -> None:
    with pytest.raises(RuleError, match=rule):
        plan_shards(token="t", packs=packs, to="x", site_id=site_id)
