"""The job under a server that allows so many requests in a window: how many it makes of them.

    python benchmarks/limits.py [WINDOWS]

The API allows 500 reads a minute; here a minute takes three seconds. The server counts what came in
the last window, and refuses with a 429 what is too many.
"""

import asyncio
import sys
import tempfile
import time
import urllib.request

import msgspec
from serving import LIMIT, WINDOW, running

from mlmsg import AttemptEvent, Client, RateBudget
from mlmsg.sync import sync_attachments


async def main() -> None:
    """Runs for as many windows as the command line says (6 by default)."""
    windows = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    reads = windows * LIMIT
    times: list[float] = []

    def note(_: AttemptEvent) -> None:
        times.append(time.perf_counter())

    budget = RateBudget(reads=LIMIT, writes=LIMIT, per=WINDOW)
    with running("limited") as url, tempfile.TemporaryDirectory() as folder:
        async with Client("a-token", base_url=url, budget=budget, on_event=note) as client:
            start = time.perf_counter()
            # A thread of four files is five reads.
            report = await sync_attachments(
                client, packs=range(reads // 5), to=folder, site_id="MLM", concurrency=16
            )
        with urllib.request.urlopen(f"{url}/counts") as answer:  # noqa: ASYNC210, S310
            accepted, refused = msgspec.json.decode(answer.read(), type=tuple[int, int])
    took = times[-1] - start
    # The last window need not be waited out: the call after it would have been the next one's.
    possible = took / WINDOW * LIMIT
    print(f"{LIMIT} reads in {WINDOW:.0f} s are allowed; {len(times)} were made in {took:.1f} s")
    print(f"accepted {accepted}, refused {refused}; files {report.downloaded}")
    print(f"{min(accepted / possible, 1):.1%} of the budget used (aim: 98 %, and none refused)")


if __name__ == "__main__":
    asyncio.run(main())
