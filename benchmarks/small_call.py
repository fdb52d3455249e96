"""Measure the cost of the client in a small call: `packs.page` against bare aiohttp with msgspec.

    python benchmarks/small_call.py [ROUNDS]

Both fetch the same kilobyte of JSON from the same server in another process, and decode it into the
same struct. They take turns in batches of 200 calls. Each pair of batches gives one ratio of CPU
time and one of wall time, so that a slow moment of the machine affects both sides.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from statistics import quantiles

import aiohttp
import msgspec
from serving import serve

from mlmsg import Client, ThreadPage

BATCH = 200


async def batch(call: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Run one batch; return its CPU and wall seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(BATCH):
        await call()
    return time.process_time() - cpu, time.perf_counter() - wall


async def main() -> None:
    """Measure as many rounds as the command line says (60 by default)."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    decoder = msgspec.json.Decoder(ThreadPage, strict=False)
    with serve("page") as url:
        async with (
            Client("a-token", base_url=url, budget=None) as client,
            aiohttp.ClientSession(headers={"Authorization": "Bearer a-token"}) as http,
        ):
            address = f"{url}/marketplace/messages/packs/1?limit=50&offset=0"

            async def bare() -> ThreadPage:
                async with http.get(address) as response:
                    return decoder.decode(await response.read())

            async def ours() -> ThreadPage:
                return await client.packs.page(1)

            pairs = []
            for turn in range(rounds + 5):
                first, second = (bare, ours) if turn % 2 else (ours, bare)
                results = {first: await batch(first), second: await batch(second)}
                pairs.append((results[bare], results[ours]))
    for index, name in enumerate(("CPU", "wall")):
        ratios = [mine[index] / theirs[index] for theirs, mine in pairs[5:]]
        low, middle, high = quantiles(ratios, n=4)
        each = sum(theirs[index] for theirs, _ in pairs[5:]) / rounds / BATCH * 1e6
        print(
            f"{name:<4} per call: bare {each:5.1f} us; with mlmsg {middle:.3f} times that "
            f"(quartiles {low:.3f} to {high:.3f}; target 1.15)"
        )


if __name__ == "__main__":
    asyncio.run(main())
