"""Run the job as one call."""

from collections.abc import AsyncIterable, Callable, Iterable

from mlmsg._arguments import check_callback, check_int
from mlmsg._event_loop import check_asyncio
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
    """Mirror every attachment of packs and claims, and return a report.

    A failure of one file or thread is added to `report.failed`, and the job continues. Each file is
    attempted as often as the client's `retry` allows. An error that concerns every file is raised
    and ends the job. A job that failed, or was cancelled or killed, can be started again: it
    continues where it stopped. A cancelled job leaves no partial file.

    Args:
        client: The client of the seller. Its retries and its budget apply to the job.
        packs: Ids of packs: any iterable, synchronous or asynchronous, of any length.
        claims: Ids of claims, likewise. An exception of an iterable ends the job.
        to: A folder, created if it is missing; a URL such as `s3://bucket/prefix`, with the
            credentials that obstore finds in the environment; or a store of obstore.
        site_id: The site of the packs, such as `"MLM"`. A message that names its own site takes
            precedence.
        concurrency: The number of files fetched at the same time, and of threads read at the same
            time. Each file takes up to 3 MiB of memory for a folder, 11 MiB for a bucket.
        verify: True to read each mirrored file and compare its SHA-256, not only its size.
        on_event: Called with each `SyncEvent`, in the event loop. If it raises, the exception is
            logged, and it is not called again.

    Raises:
        RuleError: An argument is wrong, and nothing was done; or the token is not valid as one.
        TargetError: The target cannot be read or written (an `OSError`).
        AuthenticationError: The token was rejected.
        TokenUnavailable: The access token could not be refreshed.
        UsageError: The client is closed, or belongs to another event loop.
        Exception: Any exception of a token source of your own, unchanged.
    """
    check_asyncio()
    check_site_id(site_id)
    check_ids("packs", packs, Iterable | AsyncIterable)
    check_ids("claims", claims, Iterable | AsyncIterable)
    check_int("`concurrency`", concurrency, 1)
    check_callback("`on_event`", on_event, "one event")
    workers = Workers(client, await Target.open(to), site_id, verify, on_event)
    await workers.run({"pack": packs, "claim": claims}, concurrency)
    return workers.report
