"""Measure a walk of 200 pages of 20 ms each, with 1, 8, 16 and 32 pages at a time.

    python benchmarks/paging.py [ROUNDS]

`in process` is the walk alone, over a function that sleeps. `local server` is
`client.packs.messages` with its connections and its decoding, from a server in another process. All
take turns in each round. The ideal is the sum of the latencies alone: that of the first page, then
of the others, `concurrency` at a time.
"""

import asyncio
import math
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from statistics import median

from serving import LATENCY_SECONDS, THREAD_SIZE, serve

from mlmsg import Client
from mlmsg.paging import walk

LIMIT = 50
PAGES = 200
CONCURRENCIES = (1, 8, 16, 32)


@dataclass(frozen=True)
class Numbers:
    """One page of a thread of numbers."""

    items: Sequence[int]
    total: int


async def fetch(offset: int, limit: int) -> Numbers:
    """Return a page after the latency."""
    await asyncio.sleep(LATENCY_SECONDS)
    return Numbers(range(offset, min(offset + limit, THREAD_SIZE)), THREAD_SIZE)


def in_process(concurrency: int) -> AsyncGenerator[object, None]:
    """Walk over `fetch`."""
    return walk(fetch, lambda item: item, limit=LIMIT, concurrency=concurrency)


async def seconds(items: AsyncGenerator[object, None]) -> float:
    """Read all items, and return the duration."""
    start = time.perf_counter()
    found = len([item async for item in items])
    assert found == THREAD_SIZE, found
    return time.perf_counter() - start


def report(name: str, times: dict[int, list[float]]) -> None:
    """Print one line for each concurrency."""
    alone = median(times[1])
    for concurrency, found in times.items():
        ideal = (1 + math.ceil((PAGES - 1) / concurrency)) * LATENCY_SECONDS
        print(
            f"{name:<13} {concurrency:>2} at a time: median {median(found) * 1000:6.0f} ms "
            f"({min(found) * 1000:.0f} to {max(found) * 1000:.0f}), "
            f"{alone / median(found):5.2f} times one at a time, "
            f"{median(found) / ideal:.2f} times the ideal {ideal * 1000:.0f} ms"
        )


async def main() -> None:
    """Measure as many rounds as the command line says (5 by default)."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    alone: dict[int, list[float]] = {n: [] for n in CONCURRENCIES}
    served: dict[int, list[float]] = {n: [] for n in CONCURRENCIES}
    with serve("thread") as url:
        async with Client("a-token", base_url=url, budget=None) as client:
            for _ in range(rounds):
                for n in CONCURRENCIES:
                    alone[n].append(await seconds(in_process(n)))
                    walk_of_pack = client.packs.messages(1, page_size=LIMIT, concurrency=n)
                    served[n].append(await seconds(walk_of_pack))
    print(f"{PAGES} pages of {LIMIT}, {LATENCY_SECONDS * 1000:.0f} ms each, {rounds} rounds")
    print("target: 8 at a time 7.2 times as fast as one at a time")
    report("in process", alone)
    report("local server", served)


if __name__ == "__main__":
    asyncio.run(main())
