"""Measure the cost of the client in a small call: `packs.page` against bare aiohttp with msgspec.

    python benchmarks/small_call.py [ROUNDS]

All fetch the same kilobyte of JSON from the same server in another process, and decode it into the
same struct: bare aiohttp, a client with a fixed token, and a client with a budget, a receiver of
events and a token that is refreshed. They take turns in batches of 50 calls. Each turn gives one
ratio of CPU time and one of wall time for each client, so that a slow moment of the machine affects
all sides.
"""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from statistics import quantiles
from typing import TypeAlias

import aiohttp
import msgspec
from serving import serve

from mlmsg import Client, RateBudget, RefreshingToken, ThreadPage

BATCH = 50
WARM_UP = 20
NO_LIMIT = RateBudget(reads=1_000_000, per=1.0, burst=1_000_000)
"""Counts every call and delays none."""

Call: TypeAlias = Callable[[], Awaitable[ThreadPage]]


async def batch(call: Call) -> tuple[float, float]:
    """Run one batch; return its CPU and wall seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(BATCH):
        await call()
    return time.process_time() - cpu, time.perf_counter() - wall


async def open_calls(url: str, stack: AsyncExitStack) -> dict[str, Call]:
    """Return the calls to compare, bare aiohttp first."""
    decoder = msgspec.json.Decoder(ThreadPage, strict=False)
    address = f"{url}/marketplace/messages/packs/1?limit=50&offset=0"
    http = await stack.enter_async_context(
        aiohttp.ClientSession(headers={"Authorization": "Bearer a-token"})
    )
    plain = await stack.enter_async_context(Client("a-token", base_url=url, budget=None))
    token = RefreshingToken(1, "a-secret", "a-refresh-token", "a-token")
    events: deque[object] = deque(maxlen=1)
    full = await stack.enter_async_context(
        Client(token, base_url=url, budget=NO_LIMIT, on_event=events.append)
    )

    async def bare() -> ThreadPage:
        async with http.get(address) as response:
            return decoder.decode(await response.read())

    return {
        "bare": bare,
        "fixed token": lambda: plain.packs.page(1),
        "budget, events, refreshed token": lambda: full.packs.page(1),
    }


async def main() -> None:
    """Measure as many rounds as the command line says (200 by default)."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    turns: list[dict[str, tuple[float, float]]] = []
    with serve("page") as url:
        async with AsyncExitStack() as stack:
            calls = await open_calls(url, stack)
            for turn in range(rounds + WARM_UP):
                names = list(calls) if turn % 2 else list(calls)[::-1]
                turns.append({name: await batch(calls[name]) for name in names})
    turns = turns[WARM_UP:]
    for index, kind in enumerate(("CPU", "wall")):
        each = sum(turn["bare"][index] for turn in turns) / rounds / BATCH * 1e6
        print(f"{kind:<4} bare: {each:.1f} us a call")
        for name in list(calls)[1:]:
            ratios = [turn[name][index] / turn["bare"][index] for turn in turns]
            low, middle, high = quantiles(ratios, n=4)
            print(f"     {name}: {middle:.3f} times that (quartiles {low:.3f} to {high:.3f})")
    print("target: 1.12")


if __name__ == "__main__":
    asyncio.run(main())
