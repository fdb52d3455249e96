"""Split the job into parts, for an engine that runs them on many machines.

    shards = plan_shards(token=token, packs=ids, to="s3://archive/seller-1", site_id="MLM")
    report = merge_reports(pool.map(run_shard, shards))

A shard can be pickled, and `run_shard` is a plain function. Shards of different sellers, or with
different ids, may run side by side into one target. A shard that is run again continues where it
stopped.

Start worker processes with the method "spawn" or "forkserver":

    pool = ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"))

A forked process can mirror into a folder. Into a bucket it cannot if the parent had imported
obstore: `run_shard` then raises a `UsageError`.
"""

import asyncio
import os
import ssl as ssl_module
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, islice
from typing import TypeAlias, TypeVar

from mlmsg._arguments import check_int, expand_user, shorten
from mlmsg._date_walk import Moment, as_moment
from mlmsg._worker_threads import run_in_thread
from mlmsg.auth import RefreshingToken, TokenSource
from mlmsg.budget import RateBudget
from mlmsg.client import BASE_URL, Client
from mlmsg.client.claims import walk_claims
from mlmsg.errors import RuleError
from mlmsg.policy import RetryPolicy, Timeouts

from .ids import Id, Ids, check_ids, check_sites
from .job import sync_attachments
from .report import SyncEvent, SyncReport, unreadable_claims
from .target import TargetLike, check_target_like

__all__ = ["Shard", "plan_shards", "run_shard"]

T = TypeVar("T")

DEFAULT_BUDGET = RateBudget()
"""The limit of an application, for shards that run one after the other."""

MAX_DAYS = 36_500
"""Days of the longest shard."""

CaFile: TypeAlias = str | os.PathLike[str] | None


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a job. Its pickle contains the token, its `repr()` does not.

    Attributes:
        name: A name for logs, such as `"seller-1/0007"`.
        token: An access token, or a token source that can be pickled.
        to: A folder that every machine can access, a URL, or a store of obstore that can be
            pickled.
        site_id: The site of the packs; None if each pack names its own.
        packs: Ids of packs.
        claims: Ids of claims.
        concurrency: The number of files fetched at the same time.
        base_url: The URL of the API.
        budget: The rate budget of the shard; None for no limit. Shards that run at the same time
            in different processes need a share each: `RateBudget().share(n)`.
        timeout: Seconds without progress, or `Timeouts`, or None, as for `Client`.
        retry: The retry policy; None for the default one.
        proxy: The URL of an HTTP proxy, or None.
        trust_env: True to use the proxy that the environment of the worker names.
        ssl: The path of a file of CA certificates (PEM) on the worker; None for the certificates
            that its system trusts. An `ssl.SSLContext` cannot be pickled.
        global_selling: True for a seller of Global Selling, False for a domestic seller.
        user_id: The id of a domestic seller, or None to ask the API once for each shard.
        since: The first moment of the last update of the packs and claims to find, or None if
            `packs` and `claims` are given.
        until: The moment after the last one; None: until the end of the run.
    """

    name: str
    token: str | TokenSource | RefreshingToken = field(repr=False)
    to: TargetLike
    site_id: str | None
    packs: tuple[Id, ...] = ()
    claims: tuple[Id, ...] = ()
    concurrency: int = 16
    base_url: str = BASE_URL
    budget: RateBudget | None = field(default_factory=RateBudget)
    timeout: float | Timeouts | None = 30.0
    retry: RetryPolicy | None = None
    proxy: str | None = field(default=None, repr=False)
    trust_env: bool = False
    ssl: CaFile = None
    global_selling: bool = True
    user_id: int | str | None = None
    since: datetime | None = None
    until: datetime | None = None


def plan_shards(
    *,
    token: str | TokenSource | RefreshingToken,
    packs: Iterable[Id] = (),
    claims: Iterable[Id] = (),
    to: TargetLike,
    site_id: str | None = None,
    name: str = "shard",
    size: int = 1000,
    concurrency: int = 16,
    base_url: str = BASE_URL,
    budget: RateBudget | None = DEFAULT_BUDGET,
    timeout: float | Timeouts | None = 30.0,
    retry: RetryPolicy | None = None,
    proxy: str | None = None,
    trust_env: bool = False,
    ssl: CaFile = None,
    global_selling: bool = True,
    user_id: int | str | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    days: int = 7,
) -> Iterator[Shard]:
    """Yield the shards of one seller. Each is made when it is requested.

    Either the ids are given and cut into parts, or `since`: then each shard covers some days, and
    finds by itself the packs and claims that were updated in them. What is updated while the shards
    run may be left to the next run.

    Args:
        token: An access token, or a token source that can be pickled.
        packs: Ids of packs, or `PackRef`s.
        claims: Ids of claims, or `Claim`s.
        to: The target, as for `sync_attachments`. It must be picklable.
        site_id: The site of the packs; None if each pack is a `PackRef` with a site.
        name: The first part of each shard's name; a number follows.
        size: The number of ids in a shard.
        concurrency: The number of files that a shard fetches at the same time.
        base_url: The URL of the API.
        budget: The rate budget of each shard: `RateBudget().share(n)` if `n` run at the same time.
        timeout: Seconds without progress, or `Timeouts`, or None, as for `Client`.
        retry: The retry policy; None for the default one.
        proxy: The URL of an HTTP proxy, or None.
        trust_env: True to use the proxy that the environment of the worker names.
        ssl: The path of a file of CA certificates (PEM) on the worker, or None.
        global_selling: True for a seller of Global Selling, False for a domestic seller.
        user_id: The id of a domestic seller, or None to ask the API once for each shard.
        since: The first moment of the last update: an aware datetime, or a date.
        until: The moment after the last one, or None: until the end of the last shard's run.
        days: The days that a shard covers.

    Raises:
        RuleError: An argument is wrong, or both ids and `since` are given.
    """
    size, days = _check_plan(packs, claims, site_id, name, size, days)
    concurrency = check_int("`concurrency`", concurrency, 1)
    _check_ca_file(ssl)
    plan = Shard(
        name,
        token,
        to,
        site_id,
        concurrency=concurrency,
        base_url=base_url,
        budget=budget,
        timeout=timeout,
        retry=retry,
        proxy=proxy,
        trust_env=trust_env,
        ssl=ssl,
        global_selling=global_selling,
        user_id=user_id,
    )
    check_target_like(to)
    _client(plan, None)  # checks the arguments that are the client's
    span = _check_span(since, until, has_ids=_has_ids(packs) or _has_ids(claims))
    if span is not None:
        return _by_days(plan, *span, timedelta(days=days))
    return _by_ids(plan, packs, claims, size)


def _check_plan(
    packs: Iterable[Id],
    claims: Iterable[Id],
    site_id: str | None,
    name: str,
    size: int,
    days: int,
) -> tuple[int, int]:
    """Check the arguments of a plan, and return its size and days."""
    check_ids("packs", packs, Iterable)
    check_ids("claims", claims, Iterable)
    check_sites(site_id, packs)
    if not isinstance(name, str) or not name:
        raise RuleError("`name` of a shard", shorten(name), "a str that is not empty")
    size = check_int("`size` of a shard", size, 1)
    return size, check_int("`days` of a shard", days, 1, MAX_DAYS)


def _check_span(
    since: Moment | None, until: Moment | None, *, has_ids: bool
) -> tuple[datetime, datetime | None] | None:
    """Return the span of a plan by days, or None for a plan by ids."""
    if since is None:
        if until is not None:
            raise RuleError("`until` of shards", "no `since`", "both, or neither")
        return None
    if has_ids:
        hint = "With `since` the shards find the packs and claims by themselves"
        raise RuleError("`since` of shards", "`packs` or `claims` beside it", "one of them", hint)
    begin = as_moment("since", since)
    end = None if until is None else as_moment("until", until)
    if begin >= (end or datetime.now(UTC)):
        limit = "a moment before `until`, or before now"
        raise RuleError("`since` of shards", begin.isoformat(), limit)
    return begin, end


def _has_ids(ids: Iterable[Id]) -> bool:
    return not isinstance(ids, Collection) or len(ids) > 0


def _by_ids(plan: Shard, packs: Iterable[Id], claims: Iterable[Id], size: int) -> Iterator[Shard]:
    """Yield shards of so many ids each."""
    parts = chain(
        ((part, ()) for part in _cut(packs, size)),
        (((), part) for part in _cut(claims, size)),
    )
    for number, (some_packs, some_claims) in enumerate(parts):
        name = f"{plan.name}/{number:04}"
        yield replace(plan, name=name, packs=some_packs, claims=some_claims)


def _by_days(
    plan: Shard, since: datetime, until: datetime | None, step: timedelta
) -> Iterator[Shard]:
    """Yield shards of so many days each."""
    for begin, end in _spans(since, until, step):
        yield replace(plan, name=f"{plan.name}/{begin:%Y-%m-%d}", since=begin, until=end)


def _spans(
    since: datetime, until: datetime | None, step: timedelta
) -> Iterator[tuple[datetime, datetime | None]]:
    """Yield the spans of the shards. The last one stays open if there is no `until`."""
    end = datetime.now(UTC) if until is None else until
    while since + step < end:
        yield since, since + step
        since += step
    yield since, until


def run_shard(shard: Shard) -> SyncReport:
    """Mirror a shard in a new event loop, and return the report.

    Call it where no event loop is running: in a worker process or a worker thread.

    Raises:
        Exception: Any error that `sync_attachments` raises.
    """
    return asyncio.run(_run(shard))


async def _run(shard: Shard) -> SyncReport:
    context = await run_in_thread(partial(_tls_context, shard.ssl))
    async with _client(shard, context) as client:
        packs: Ids = shard.packs
        claims: Ids = shard.claims
        gaps: list[None] = []
        if shard.since is not None:
            packs = client.packs.all(since=shard.since, until=shard.until)
            on_gap = partial(gaps.append, None)
            claims = walk_claims(client.claims, shard.since, on_gap, until=shard.until)
        report = await sync_attachments(
            client,
            packs=packs,
            claims=claims,
            to=shard.to,
            site_id=shard.site_id,
            concurrency=shard.concurrency,
        )
        if gaps:
            thread, error = unreadable_claims("with this shard")
            report.add(SyncEvent("failed", thread, error=error))
        return report


def _client(shard: Shard, context: ssl_module.SSLContext | None) -> Client:
    """Return a client with the settings of the shard."""
    return Client(
        shard.token,
        global_selling=shard.global_selling,
        user_id=shard.user_id,
        base_url=shard.base_url,
        timeout=shard.timeout,
        retry=shard.retry,
        budget=shard.budget,
        proxy=shard.proxy,
        trust_env=shard.trust_env,
        ssl=context,
    )


def _check_ca_file(value: CaFile) -> None:
    if value is not None and not isinstance(value, str | os.PathLike):
        hint = "An ssl.SSLContext cannot be pickled: pass the path of the file that it loads"
        raise RuleError("`ssl` of a shard", shorten(value), "the path of a CA file, or None", hint)


def _tls_context(path: CaFile) -> ssl_module.SSLContext | None:
    _check_ca_file(path)
    if path is None:
        return None
    try:
        return ssl_module.create_default_context(cafile=expand_user(path))
    except OSError as error:  # `ssl.SSLError` is one
        limit = "a readable file of CA certificates (PEM)"
        raise RuleError("`ssl` of a shard", f"{os.fspath(path)!r}: {error}", limit) from error


def _cut(ids: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    rest = iter(ids)
    while part := tuple(islice(rest, size)):
        yield part
