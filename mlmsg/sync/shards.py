"""Split the job into parts, for an engine that runs them on many machines.

    shards = plan_shards(token=token, packs=ids, to="s3://archive/seller-1", site_id="MLM")
    report = merge_reports(pool.map(run_shard, shards))

A shard can be pickled, and `run_shard` is a plain function. Shards of different sellers, or with
different ids, may run side by side into one target. A shard that is run again continues where it
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
from mlmsg.client import BASE_URL, Client
from mlmsg.rules import check_site_id

from .job import sync_attachments
from .report import SyncReport
from .target import TargetLike
from .workers import check_ids

__all__ = ["Shard", "plan_shards", "run_shard"]

T = TypeVar("T")

DEFAULT_BUDGET = RateBudget()
"""The limit of an application, for shards that run one after the other."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a job. Its pickle contains the token, its `repr()` does not.

    Attributes:
        name: A name for logs, such as `"seller-1/0007"`.
        token: An access token, or a token source that can be pickled.
        to: A folder that every machine can access, a URL, or a store of obstore that can be
            pickled.
        site_id: The site of the packs.
        packs: Ids of packs.
        claims: Ids of claims.
        concurrency: The number of files fetched at the same time.
        base_url: The URL of the API.
        budget: The rate budget of the shard; None for no limit. Shards that run at the same time
            in different processes need a share each: `RateBudget().share(n)`.
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
    """Yield the shards of one seller. Each is made when it is requested.

    Args:
        token: An access token, or a token source that can be pickled.
        packs: Ids of packs.
        claims: Ids of claims.
        to: The target, as for `sync_attachments`. It must be picklable.
        site_id: The site of the packs.
        name: The first part of each shard's name; a number follows.
        size: The number of ids in a shard.
        concurrency: The number of files that a shard fetches at the same time.
        base_url: The URL of the API.
        budget: The rate budget of each shard: `RateBudget().share(n)` if `n` run at the same time.

    Raises:
        RuleError: An argument is wrong.
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
    """Mirror a shard in a new event loop, and return the report.

    Call it where no event loop is running: in a worker process or a worker thread.

    Raises:
        Exception: Any error that `sync_attachments` raises.
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
    """Return a client with the settings of the shard."""
    return Client(shard.token, base_url=shard.base_url, budget=shard.budget)


def _cut(ids: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    rest = iter(ids)
    while part := tuple(islice(rest, size)):
        yield part
