"""Measure a walk over the pages of a long thread, and how much of a rate limit a job uses."""

import asyncio
import time
import urllib.request
from tempfile import TemporaryDirectory

import aiohttp
import msgspec
from measuring import Aim, Comparison, Section, compare, timed
from serving import LATENCY_SECONDS, MAX_REQUESTS, THREAD_SIZE, WINDOW_SECONDS, serve

from mlmsg import AttemptEvent, Client, RateBudget, ThreadPage
from mlmsg.sync import sync_attachments

LIMIT, CONCURRENCY = 50, 16
PAGES = 200


async def _walk(rounds: int) -> Comparison:
    decoder = msgspec.json.Decoder(ThreadPage, strict=False)
    with serve("thread") as url:
        async with (
            Client("a-token", base_url=url, budget=None) as client,
            aiohttp.ClientSession(headers={"Authorization": "Bearer a-token"}) as http,
        ):

            async def ours() -> None:
                walk = client.packs.messages(1, page_size=LIMIT, concurrency=CONCURRENCY)
                found = len([message async for message in walk])
                assert found == THREAD_SIZE, found

            async def gather() -> None:
                slots = asyncio.Semaphore(CONCURRENCY)

                async def page(number: int) -> ThreadPage:
                    query = f"limit={LIMIT}&offset={number * LIMIT}"
                    address = f"{url}/marketplace/messages/packs/1?{query}"
                    async with slots, http.get(address) as response:
                        return decoder.decode(await response.read())

                await page(0)  # it says how many there are
                await asyncio.gather(*(page(number) for number in range(1, PAGES)))

            return await compare(
                f"Walk of {PAGES} pages of {LIMIT}, {LATENCY_SECONDS * 1000:.0f} ms each, "
                f"{CONCURRENCY} at once",
                {
                    "mlmsg": lambda: timed(ours()),
                    "bare asyncio.gather": lambda: timed(gather()),
                },
                rounds,
            )


async def _budget(windows: int) -> tuple[str, float, int]:
    """Mirror under a limit. Return the table, the part of the limit that was used, and the 429s."""
    reads = windows * MAX_REQUESTS
    times: list[float] = []

    def record(_: AttemptEvent) -> None:
        times.append(time.perf_counter())

    budget = RateBudget(reads=MAX_REQUESTS, writes=MAX_REQUESTS, per=WINDOW_SECONDS)
    with serve("limited") as url, TemporaryDirectory() as folder:
        async with Client("a-token", base_url=url, budget=budget, on_event=record) as client:
            start = time.perf_counter()
            # A thread of four files is five reads.
            await sync_attachments(
                client, packs=range(reads // 5), to=folder, site_id="MLM", concurrency=16
            )
        with urllib.request.urlopen(f"{url}/counts") as answer:  # noqa: ASYNC210, S310
            accepted, rejected = msgspec.json.decode(answer.read(), type=tuple[int, int])
    duration = times[-1] - start
    # The end of the last window is not waited for: the next call would belong to the next window.
    used = min(accepted / (duration / WINDOW_SECONDS * MAX_REQUESTS), 1.0)
    text = (
        f"**Budget**: a job under a server that allows {MAX_REQUESTS} reads in "
        f"{WINDOW_SECONDS:.0f} s: {accepted:,} reads in {duration:.1f} s, {used:.1%} of what was "
        f"allowed, {rejected} rejected."
    )
    return text, used, rejected


async def measure(quick: bool) -> Section:
    """Return the section about walks and the budget."""
    walk = await _walk(2 if quick else 9)
    text, used, rejected = await _budget(1 if quick else 6)
    gather = walk.ratio("bare asyncio.gather")
    aims = [
        Aim("walk : bare gather", gather, 1.1),
        Aim("part of the budget that is used", used, 0.98, is_minimum=True, form="{:.1%}"),
        Aim("calls that the server rejected", rejected, 0, form="{:.0f}"),
    ]
    return Section("Walks and the budget", [walk, text], aims)
