"""A walk of 200 pages that take 20 ms each: one page at a time, and 8, 16 and 32 side by side.

    python benchmarks/paging.py [ROUNDS]

`in process` is the walk alone, over a fetch that sleeps; `local server` is `client.packs.messages`
with its connections and its decoding, from a server in another process. All of them take turns in
each round. Ideal is what the latency alone allows: the first page, then the others `concurrency` at
a time.
"""

import asyncio
import math
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from statistics import median

from serving import LATENCY, THREAD, running

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
    """A page, after the latency."""
    await asyncio.sleep(LATENCY)
    return Numbers(range(offset, min(offset + limit, THREAD)), THREAD)


def in_process(concurrency: int) -> AsyncGenerator[object, None]:
    """The walk over `fetch`."""
    return walk(fetch, lambda item: item, limit=LIMIT, concurrency=concurrency)


async def seconds(items: AsyncGenerator[object, None]) -> float:
    """How long it takes to read them all."""
    start = time.perf_counter()
    found = len([item async for item in items])
    assert found == THREAD, found
    return time.perf_counter() - start


def report(name: str, times: dict[int, list[float]]) -> None:
    """One line for each concurrency."""
    alone = median(times[1])
    for concurrency, found in times.items():
        ideal = (1 + math.ceil((PAGES - 1) / concurrency)) * LATENCY
        print(
            f"{name:<13} {concurrency:>2} at a time: median {median(found) * 1000:6.0f} ms "
            f"({min(found) * 1000:.0f} to {max(found) * 1000:.0f}), "
            f"{alone / median(found):5.2f} times one at a time, "
            f"{median(found) / ideal:.2f} times the ideal {ideal * 1000:.0f} ms"
        )


async def main() -> None:
    """Measures, over as many rounds as the command line says (5 by default)."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    alone: dict[int, list[float]] = {n: [] for n in CONCURRENCIES}
    served: dict[int, list[float]] = {n: [] for n in CONCURRENCIES}
    with running("thread") as url:
        async with Client("a-token", base_url=url, budget=None) as client:
            for _ in range(rounds):
                for n in CONCURRENCIES:
                    alone[n].append(await seconds(in_process(n)))
                    walk_of_pack = client.packs.messages(1, page_size=LIMIT, concurrency=n)
                    served[n].append(await seconds(walk_of_pack))
    print(f"{PAGES} pages of {LIMIT}, {LATENCY * 1000:.0f} ms each, {rounds} rounds; target: 8 at")
    print("a time 7.2 times as fast as one at a time")
    report("in process", alone)
    report("local server", served)


if __name__ == "__main__":
    asyncio.run(main())
