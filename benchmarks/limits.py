"""Measure how much of a server's rate limit the mirror uses.

    python benchmarks/limits.py [WINDOWS]

The API allows 500 reads a minute; here a minute takes three seconds. The server counts the requests
of the last window, and rejects every further one with a 429.
"""

import asyncio
import sys
import tempfile
import time
import urllib.request

import msgspec
from serving import MAX_REQUESTS, WINDOW_SECONDS, serve

from mlmsg import AttemptEvent, Client, RateBudget
from mlmsg.sync import sync_attachments


async def main() -> None:
    """Mirror for as many windows as the command line says (6 by default)."""
    windows = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    reads = windows * MAX_REQUESTS
    times: list[float] = []

    def record(_: AttemptEvent) -> None:
        times.append(time.perf_counter())

    budget = RateBudget(reads=MAX_REQUESTS, writes=MAX_REQUESTS, per=WINDOW_SECONDS)
    with serve("limited") as url, tempfile.TemporaryDirectory() as folder:
        async with Client("a-token", base_url=url, budget=budget, on_event=record) as client:
            start = time.perf_counter()
            # A thread of four files is five reads.
            report = await sync_attachments(
                client, packs=range(reads // 5), to=folder, site_id="MLM", concurrency=16
            )
        with urllib.request.urlopen(f"{url}/counts") as answer:  # noqa: ASYNC210, S310
            accepted, rejected = msgspec.json.decode(answer.read(), type=tuple[int, int])
    duration = times[-1] - start
    # The end of the last window is not waited for: the next call would belong to the next window.
    possible = duration / WINDOW_SECONDS * MAX_REQUESTS
    print(f"{MAX_REQUESTS} reads in {WINDOW_SECONDS:.0f} s are allowed")
    print(f"{len(times)} were made in {duration:.1f} s")
    print(f"accepted {accepted}, rejected {rejected}; files {report.downloaded}")
    print(f"{min(accepted / possible, 1):.1%} of the budget used (aim: 98 %, and none rejected)")


if __name__ == "__main__":
    asyncio.run(main())
