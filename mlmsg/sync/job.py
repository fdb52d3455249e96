"""The job as one call."""

from collections.abc import AsyncIterable, Callable, Iterable

from mlmsg._arguments import check_callback, check_int
from mlmsg.client import Client
from mlmsg.rules import check_site_id

from .report import SyncEvent, SyncReport
from .target import Target, TargetLike
from .workers import Ids, Workers, check_ids

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
    check_ids("packs", packs, Iterable | AsyncIterable)
    check_ids("claims", claims, Iterable | AsyncIterable)
    check_int("`concurrency`", concurrency, 1)
    check_callback("`on_event`", on_event, "one event")
    workers = Workers(client, await Target.open(to), site_id, verify, on_event)
    await workers.run({"pack": packs, "claim": claims}, concurrency)
    return workers.report
