"""Mirror the attachments of several sellers on a Dask cluster.

    python examples/sync_on_dask.py [--scheduler tcp://HOST:8786] [--to TARGET] [--calls N]

Each shard covers some days of one seller. It is pickled and sent to a worker, where `run_shard`
finds the packs and claims that were updated in those days, and mirrors them. The scheduler holds no
list of ids. Without a scheduler's address, a cluster of two processes is started on this
machine. All workers must see the target: a bucket, or a shared folder. The sellers here are those
of a sandbox in this process; real sellers have a `RefreshingToken` each, with a store that all
workers share.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

from distributed import Client as Cluster
from distributed import LocalCluster, as_completed

from mlmsg import RateBudget
from mlmsg.sandbox import Sandbox, generated_market
from mlmsg.sync import Shard, SyncReport, merge_reports, plan_shards, run_shard

RETRIES = 2
"""Retries of a shard, on another worker if there is one; it continues where it stopped."""


def shards(sandbox: Sandbox, to: str, budget: RateBudget) -> Iterator[Shard]:
    """Yield the shards of every seller, each with the budget of its worker."""
    for seller in ("seller-1", "seller-2"):
        yield from plan_shards(
            name=seller,
            token=sandbox.token,
            since=datetime.now(UTC) - timedelta(days=100),
            days=25,
            to=f"{to}/{seller}",
            global_selling=False,
            budget=budget,
            base_url=sandbox.url,
        )


def mirror(cluster: Cluster, work: list[Shard]) -> tuple[SyncReport, dict[str, BaseException]]:
    """Run all shards; return their merged report, and the errors of those that failed."""
    names = [shard.name for shard in work]
    futures = cluster.map(run_shard, work, key=names, retries=RETRIES, pure=False)
    done: list[SyncReport] = []
    lost: dict[str, BaseException] = {}
    for future in as_completed(futures, loop=cluster.loop):
        if future.status == "finished":
            done.append(future.result())
        else:
            lost[future.key] = future.exception()
        files = sum(report.downloaded for report in done)
        print(f"{len(done) + len(lost)}/{len(work)} shards, {files} files", flush=True)
    return merge_reports(done), lost


async def main(scheduler: str | None, to: str, calls: int) -> int:
    """Plan, run and report; return the exit code."""
    with ExitStack() as stack:
        here = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
        where = scheduler or stack.enter_context(LocalCluster(**here))
        cluster = stack.enter_context(Cluster(where))
        # The workers share the application's rate limit.
        budget = RateBudget(reads=calls).share(sum(cluster.nthreads().values()))
        market = generated_market(packs=40, claims=10, files=1, site_id="MLB")
        async with Sandbox(market=market) as sandbox:
            work = list(shards(sandbox, to, budget))
            # In another thread, because the sandbox answers in this one.
            report, lost = await asyncio.to_thread(mirror, cluster, work)
    for name, error in lost.items():
        print(f"{name}: {error!r}", file=sys.stderr)
    print(
        f"{report.threads} threads, {report.downloaded} files downloaded ({report.bytes} bytes), "
        f"{report.skipped} there already, {len(report.failed)} failed, {len(lost)} shards lost"
    )
    return 1 if lost or report.failed else 0


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scheduler", help="address of a running scheduler")
    options.add_argument("--to", help="a folder that all workers see, or a URL")
    options.add_argument("--calls", type=int, default=500, help="reading calls in a minute, of all")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(asyncio.run(main(given.scheduler, given.to or folder, given.calls)))
