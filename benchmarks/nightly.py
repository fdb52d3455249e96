"""Run the nightly job over a large seller: the first run, one with nothing new, one with messages.

    python benchmarks/nightly.py [--packs 10000] [--new 50]

It prints the API requests of each run, and what they were for.
"""

import argparse
import asyncio
import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta

from mlmsg import Client
from mlmsg.sandbox import Sandbox, generated_market
from mlmsg.sync import SyncReport, sync_seller


def show(name: str, report: SyncReport, seconds: float) -> None:
    """Print one run."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    calls = ", ".join(f"{name} {count:,}" for name, count in sorted(report.calls.items()))
    print(
        f"{name}: {sum(report.calls.values()):,} requests in {seconds:.1f} s, "
        f"threads {report.threads:,}, files {report.downloaded:,}, failed {len(report.failed)}, "
        f"peak memory {memory:.0f} MiB\n  {calls}"
    )


async def main(packs: int, new: int) -> None:
    """Run the job three times."""
    # Everything is older than 40 days: a thread closes 30 days after its last message.
    end = datetime.now(UTC) - timedelta(days=40)
    market = generated_market(packs=packs, claims=packs // 20, files=1, site_id="MLB", unread=0,
                              days=200, end=end)  # fmt: skip
    since = datetime.now(UTC) - timedelta(days=300)
    async with (
        Sandbox(market=market) as sandbox,
        Client(sandbox.token, global_selling=False, base_url=sandbox.url, budget=None) as client,
    ):
        with tempfile.TemporaryDirectory() as folder:
            for name, messages in (("first run", 0), ("nothing new", 0), (f"{new} new", new)):
                for pack_id in list(market.packs)[:messages]:
                    market.add_message(pack_id, "Olá, alguma novidade?", author="buyer")
                started = time.monotonic()
                report = await sync_seller(client, to=folder, since=since)
                show(name, report, time.monotonic() - started)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--packs", type=int, default=10_000)
    options.add_argument("--new", type=int, default=50)
    given = options.parse_args()
    asyncio.run(main(given.packs, given.new))
