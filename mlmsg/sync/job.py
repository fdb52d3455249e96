"""The job as one call."""

from collections.abc import AsyncIterable, Callable, Iterable
from inspect import iscoroutinefunction

from mlmsg.client import Client
from mlmsg.errors import RuleError
from mlmsg.rules import check_site_id

from .report import SyncEvent, SyncReport
from .target import Target, TargetLike
from .workers import Ids, Workers

__all__ = ["sync_attachments"]


async def sync_attachments(
    client: Client,
    *,
    packs: Ids = (),
    claims: Ids = (),
    to: TargetLike,
    site_id: str,
    concurrency: int = 16,
    verify: bool = False,
    on_event: Callable[[SyncEvent], object] | None = None,
) -> SyncReport:
    """Mirrors every attachment of packs and claims, and says what it did.

    What goes wrong with one file or thread costs only itself, and is in `report.failed`. A file is
    fetched in as many tries as the client's `retry` allows. What concerns everything is raised, and
    ends the job: going on would be in vain. Start it again, and it goes on where it stopped; so
    it does after being cancelled or killed. Cancelled, it leaves no half file behind.

    Args:
        client: Whose packs and claims they are. Its retries and its budget hold for the job.
        packs: Ids of packs: any iterable, also an asynchronous one, also an endless one.
        claims: Ids of claims, likewise. What an iterable raises ends the job.
        to: A folder, made if it is not there; a URL such as `s3://bucket/prefix`, with the
            credentials that obstore finds in the environment; or a store of obstore's.
        site_id: The site of the packs, such as `"MLM"`; a message that names its own site goes
            by that.
        concurrency: Files that are fetched at the same time, and threads that are read at the
            same time. Each file takes up to 3 MiB of memory for a folder, 11 MiB for a bucket.
        verify: Whether to read what is there and compare its SHA-256, not only its size.
        on_event: Told of each thread and file, in the event loop. If it raises, that is logged,
            and the job goes on without it.

    Raises:
        RuleError: An argument is wrong; nothing was done.
        TargetError: The target cannot be read or written (an `OSError`).
        AuthenticationError: The token is refused; a `BadRequest` or `RuleError` where it cannot
            even be one, a `ReauthorizationRequired` where the grant is gone. What a token source of
            your own raises comes back as it is.
        UsageError: The client is closed, or belongs to another event loop.
    """
    check_site_id(site_id)
    for name, ids in (("packs", packs), ("claims", claims)):
        if isinstance(ids, str | bytes) or not isinstance(ids, Iterable | AsyncIterable):
            raise RuleError(f"`{name}`", f"one {type(ids).__name__}", "an iterable of ids")
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise RuleError("`concurrency`", repr(concurrency), "an int of 1 or more")
    if on_event is not None and (not callable(on_event) or iscoroutinefunction(on_event)):
        raise RuleError("`on_event`", repr(on_event), "a plain function of one event, or None")
    workers = Workers(client, await Target.open(to), site_id, verify, on_event)
    await workers.run({"pack": packs, "claim": claims}, concurrency)
    return workers.report
