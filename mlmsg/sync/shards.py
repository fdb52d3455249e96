"""The job in parts, for an engine that runs them on many machines.

    shards = plan_shards(token=token, packs=ids, to="s3://archive/seller-1", site_id="MLM")
    report = merge_reports(pool.map(run_shard, shards))

A shard can be pickled, and `run_shard` is a plain function. Shards of different sellers, or with
different ids, may run side by side into one target; a shard that is run again goes on where it
stopped.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TypeVar

from mlmsg._arguments import check_int
from mlmsg.auth import RefreshingToken, TokenSource
from mlmsg.budget import RateBudget
from mlmsg.client import Client
from mlmsg.rules import check_site_id

from .job import sync_attachments
from .report import SyncReport
from .target import TargetLike
from .workers import check_ids

__all__ = ["Shard", "plan_shards", "run_shard"]

T = TypeVar("T")

BASE_URL = "https://api.mercadolibre.com"
DEFAULT_BUDGET = RateBudget()
"""The limit of an application, for shards that run one after the other."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a job. Its pickle holds the token, its repr does not.

    Attributes:
        name: What to call it in logs, such as `"seller-1/0007"`.
        token: An access token, or a token source that can be pickled.
        to: A folder that every machine sees, a URL, or a store of obstore's that can be pickled.
        site_id: The site of the packs.
        packs: Ids of packs.
        claims: Ids of claims.
        concurrency: Files that are fetched at the same time.
        base_url: Where the API is.
        budget: How many calls it may make; None for no limit. What it has used is not carried
            along: of shards that run at the same time, each needs a share of its own.
    """

    name: str
    token: str | TokenSource | RefreshingToken = field(repr=False)
    to: TargetLike
    site_id: str
    packs: tuple[int | str, ...] = ()
    claims: tuple[int | str, ...] = ()
    concurrency: int = 16
    base_url: str = BASE_URL
    budget: RateBudget | None = field(default_factory=RateBudget)


def plan_shards(
    *,
    token: str | TokenSource | RefreshingToken,
    packs: Iterable[int | str] = (),
    claims: Iterable[int | str] = (),
    to: TargetLike,
    site_id: str,
    name: str = "shard",
    size: int = 1000,
    concurrency: int = 16,
    base_url: str = BASE_URL,
    budget: RateBudget | None = DEFAULT_BUDGET,
) -> Iterator[Shard]:
    """The shards of one seller, made one at a time as they are asked for.

    Args:
        token: An access token, or a token source that can be pickled.
        packs: Ids of packs.
        claims: Ids of claims.
        to: Where to, as `sync_attachments` takes it; it has to be picklable.
        site_id: The site of the packs.
        name: What the shards are called, before their number.
        size: Ids of a shard.
        concurrency: Files that each shard fetches at the same time.
        base_url: Where the API is.
        budget: What each shard may use: `RateBudget().share(n)` where `n` run at the same time.

    Raises:
        RuleError: `size` is under 1, `site_id` is none, or the ids are not several.
    """
    check_site_id(site_id)
    check_ids("packs", packs, Iterable)
    check_ids("claims", claims, Iterable)
    check_int("`size` of a shard", size, 1)
    parts = chain(
        ((part, ()) for part in _cut(packs, size)),
        (((), part) for part in _cut(claims, size)),
    )
    return (
        Shard(f"{name}/{number:04}", token, to, site_id, *ids, concurrency, base_url, budget)
        for number, ids in enumerate(parts)
    )


def run_shard(shard: Shard) -> SyncReport:
    """Mirrors a shard, in an event loop of its own, and says what it did.

    Call it where no event loop is running: in a worker process, or in a worker's thread.

    Raises:
        Exception: What concerns the whole shard, as `sync_attachments` raises it.
    """
    return asyncio.run(_run(shard))


async def _run(shard: Shard) -> SyncReport:
    async with _client(shard) as client:
        return await sync_attachments(
            client,
            packs=shard.packs,
            claims=shard.claims,
            to=shard.to,
            site_id=shard.site_id,
            concurrency=shard.concurrency,
        )


def _client(shard: Shard) -> Client:
    """The client of a shard: whatever a shard says of how to talk to the API ends up here."""
    return Client(shard.token, base_url=shard.base_url, budget=shard.budget)


def _cut(ids: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    rest = iter(ids)
    while part := tuple(islice(rest, size)):
        yield part
