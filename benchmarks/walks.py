"""Walk all claims and all orders of a large seller while they change, and count the requests.

    python benchmarks/walks.py [--rows 25000] [--changes 2000]

Between the answers of the server, rows are updated: they move to another place of the list, and
some claims change their status. Each row that exists during the whole walk must come exactly once.
"""

import argparse
import asyncio
import contextlib
import random
import resource
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

from mlmsg import Claim, Client, PackRef
from mlmsg.sandbox import Market, Sandbox, generated_market

PAGE_OF_CLAIMS = 100
PAGE_OF_ORDERS = 50


async def changing(change: Callable[[], None], changes: int) -> None:
    """Make changes until the walk is over, a few at a time."""
    for _ in range(changes):
        change()
        await asyncio.sleep(0.002)


async def measure(
    name: str,
    walk: AsyncIterator[Claim | PackRef],
    expected: set[str],
    change: Callable[[], None],
    changes: int,
    least: float,
) -> None:
    """Walk, and print what it took."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    REQUESTS.clear()
    changer = asyncio.ensure_future(changing(change, changes))
    started = time.monotonic()
    found = [str(row.id if isinstance(row, Claim) else row.pack_id) async for row in walk]
    seconds = time.monotonic() - started
    changer.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await changer
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"{name}: {len(found):,} rows in {seconds:.1f} s, {len(REQUESTS):,} requests "
        f"({len(REQUESTS) / least:.2f} times the least possible {least:,.0f}), "
        f"missed {len(expected - set(found))}, twice {len(found) - len(set(found))}, "
        f"memory of client and server +{grown:.1f} MiB"
    )


REQUESTS: list[str] = []
"""The operations of the attempts since the walk began."""


def market_of(rows: int) -> Market:
    """Return a domestic seller with so many sales and claims."""
    return generated_market(packs=rows, claims=rows, files=0, seed=1, site_id="MLB", days=360)


async def main(rows: int, changes: int) -> None:
    """Walk the claims, then the orders."""
    market, chance = market_of(rows), random.Random(1)  # noqa: S311  (no secret)
    since = datetime.now(UTC) - timedelta(days=362)
    claims, orders = list(market.claims), list(market.orders)
    packs = {str(order.pack_id or order.id) for order in map(market.orders.peek, orders) if order}

    def change_claim() -> None:
        market.update_claim(chance.choice(claims), status=chance.choice(("opened", "closed")))

    def change_order() -> None:
        market.update_order(chance.choice(orders))

    async with (
        Sandbox(market=market) as sandbox,
        Client(
            sandbox.token, global_selling=False, base_url=sandbox.url, budget=None,
            on_event=lambda event: REQUESTS.append(event.operation),
        ) as client,
    ):  # fmt: skip
        await client.account.me()
        walk = client.claims.all(since=since)
        least = len(claims) / PAGE_OF_CLAIMS
        await measure("claims", walk, set(claims), change_claim, changes, least)
        packs_walk = client.packs.all(since=since)
        least = len(orders) / PAGE_OF_ORDERS
        await measure("orders", packs_walk, packs, change_order, changes, least)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--rows", type=int, default=25_000)
    options.add_argument("--changes", type=int, default=2_000)
    given = options.parse_args()
    asyncio.run(main(given.rows, given.changes))
