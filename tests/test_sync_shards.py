"""Shards: values that travel, run anywhere, and add up to the same mirror."""

import itertools
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from mirrors import expected, fill, on_disk, without_manifests
from obstore.store import LocalStore

from mlmsg import AuthenticationError, RuleError
from mlmsg.sandbox import Sandbox
from mlmsg.sync import Shard, SyncReport, merge_reports, plan_shards, run_shard


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
