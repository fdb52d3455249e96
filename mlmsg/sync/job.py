"""Run the job as one call."""

from collections.abc import AsyncIterable, Callable, Collection, Iterable
from functools import partial

from mlmsg._arguments import check_bool, check_callback, check_int, shorten
from mlmsg._event_loop import check_asyncio
from mlmsg._worker_threads import run_in_thread
from mlmsg.client import Client
from mlmsg.errors import RuleError, UsageError

from .folder import Folder
from .ids import Ids, check_ids, check_sites
from .report import SyncEvent, SyncReport, check_report
from .target import Target, TargetLike, check_target_like, is_forked_after_obstore
from .workers import Workers

__all__ = ["check_settings", "open_target", "sync_attachments"]


async def sync_attachments(
    client: Client,
    *,
    packs: Ids = (),
    claims: Ids = (),
    to: TargetLike,
    site_id: str | None = None,
    concurrency: int = 16,
    verify: bool = False,
    on_event: Callable[[SyncEvent], object] | None = None,
    report: SyncReport | None = None,
) -> SyncReport:
    """Mirror every attachment of packs and claims, and return a report.

    A failure of one file or thread is added to `report.failed`, and the job continues. Each file is
    attempted as often as the client's `retry` allows. An error that concerns every file is raised
    and ends the job; so is the last of 20 failures in a row, if the network or the server fails
    and nothing succeeds in between. A job that failed, or was cancelled or killed, can be started
    again: it continues where it stopped, and fetches only what was in flight. A cancelled job
    leaves no partial file.

    Args:
        client: The client of the seller. Its retries and its budget apply to the job.
        packs: Ids of packs, or `PackRef`s: any iterable, synchronous or asynchronous, of any
            length.
        claims: Ids of claims, or `Claim`s, likewise. An exception of an iterable ends the job.
        to: A folder, created if it is missing; a URL such as `s3://bucket/prefix`, with the
            credentials that obstore finds in the environment; or a store of obstore. Only buckets
            need obstore (`pip install 'mlmsg[sync]'`).
        site_id: The site of the packs, such as `"MLM"`. A pack or a message that names its own
            site takes precedence. None if each pack is a `PackRef`. One whose site is unknown is
            read all the same; it fails if a file of it has to be fetched and its message names no
            site either.
        concurrency: The number of files fetched at the same time, and of threads read at the same
            time. Each file takes up to 4 MiB of memory for a folder, 11 MiB for a bucket.
        verify: True to read each mirrored file and compare its SHA-256, not only its size. A file
            whose size is not the listed one, or that holds an HTML page or a JSON document in place
            of another format, is fetched again.
        on_event: Called with each `SyncEvent`, in the event loop. If it raises, the exception is
            logged, and it is not called again.
        report: The report to add to, so that it can be read during the job and after an error.
            None for a new one.

    Raises:
        RuleError: An argument is wrong, and nothing was done; or the token is not valid as one.
        TargetError: The target cannot be read or written (an `OSError`).
        AuthenticationError: The token was rejected.
        TokenUnavailable: The access token could not be refreshed.
        TransportError: Or a `ServerError`: the API is not available.
        UsageError: The client is closed, or belongs to another event loop. Or obstore is needed and
            missing, or was imported before this process was forked.
        Exception: Any exception of a token source of your own, unchanged.
    """
    concurrency = check_settings(client, concurrency, on_event, report, verify=verify)

    def check() -> None:  # in a thread: a list may hold a million ids
        check_ids("packs", packs, Iterable | AsyncIterable)
        check_ids("claims", claims, Iterable | AsyncIterable)
        check_sites(site_id, packs)

    await run_in_thread(check)
    report = SyncReport() if report is None else report
    if isinstance(packs, Collection) and isinstance(claims, Collection):
        report.expected = (report.expected or 0) + len(packs) + len(claims)
    target = await open_target(to)
    try:
        listeners = [] if on_event is None else [on_event]
        workers = Workers(client, target, site_id, verify, listeners, report)
        with client.listen(report.count_call):
            await workers.run({"pack": packs, "claim": claims}, concurrency)
    finally:
        await target.close()
    return report


def check_settings(
    client: object, concurrency: int, on_event: object, report: object, *, verify: bool
) -> int:
    """Check the arguments that both jobs have, and return the concurrency.

    Raises:
        RuleError: An argument is wrong.
        UsageError: Another library than asyncio, or none, runs the caller.
    """
    check_asyncio()
    if not isinstance(client, Client):
        raise RuleError("`client`", shorten(client), "a Client")
    if report is not None:
        check_report("`report`", report)
    check_bool("`verify`", verify)
    check_callback("`on_event`", on_event, "one event")
    return check_int("`concurrency`", concurrency, 1)


async def open_target(to: TargetLike) -> Target:
    """Return the target that `to` names. A missing folder is created.

    Raises:
        RuleError: `to` cannot be a target.
        TargetError: The folder cannot be created.
        UsageError: obstore is needed, and cannot be used.
    """
    place = check_target_like(to)
    if place.folder is not None:
        return await Folder.open(place.folder)
    if is_forked_after_obstore():
        raise UsageError(
            "a bucket cannot be used in this process: it was forked from one that had imported "
            "obstore, whose threads do not exist here. Start worker processes with the method "
            "'spawn' or 'forkserver' (multiprocessing.get_context('spawn'))"
        )
    try:
        from .bucket import Bucket  # noqa: PLC0415  (only buckets need obstore)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "obstore":
            raise
        raise UsageError("a bucket needs obstore: pip install 'mlmsg[sync]'") from None
    assert place.bucket is not None  # noqa: S101  (one of both is given)
    return await run_in_thread(partial(Bucket.open, place.bucket))
