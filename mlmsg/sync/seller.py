"""Mirror everything of a seller, without a list of ids.

The job finds the packs and claims by itself, through the searches. A later run reads again only the
threads that can have changed:

- those of sales and claims that are new or were updated since the last complete run,
- those that the list of unread messages or a missed notification names,
- those whose newest message is younger than 30 days: after that a thread closes, unless the buyer
  writes, who is then unread,
- those that could not be read.

A file of any other thread that was damaged or deleted in the target is not noticed. `full` and
`verify` read every thread. The state that this needs lies in the target, in `state/{user_id}.json`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlmsg._arguments import check_bool, check_id
from mlmsg._date_walk import Moment, as_moment
from mlmsg.client import Client

from .job import check_settings, open_target
from .report import SyncEvent, SyncReport
from .seller_run import SellerRun
from .state import SellerState, read_state, state_key, write_state
from .target import TargetLike, check_target_like
from .workers import Workers

__all__ = ["sync_seller"]

OVERLAP = timedelta(minutes=10)
"""Overlap of a run with the one before: an update may become visible late."""


async def sync_seller(
    client: Client,
    *,
    to: TargetLike,
    since: Moment,
    full: bool = False,
    app_id: int | str | None = None,
    concurrency: int = 16,
    verify: bool = False,
    on_event: Callable[[SyncEvent], object] | None = None,
    report: SyncReport | None = None,
) -> SyncReport:
    """Mirror the attachments of all packs and claims of the seller, and return a report.

    The first run reads every thread whose sale or claim was updated since `since`. A later run with
    the same target reads only the threads that can have changed, and looks at the files of these:
    it does not notice files of other threads that were damaged or deleted in the target. Pass
    `full=True` to fetch those that are missing or have another size, or `verify=True` to check the
    content too.

    Args:
        client: The client of the seller. Its retries and its budget apply to the job.
        to: A folder, a URL or a store, as for `sync_attachments`.
        since: The first moment of the last update: an aware datetime, or a date (its first moment
            in UTC). `packs.all` says how far the API looks back.
        full: True to read every thread that was updated since `since` again.
        app_id: The application's id, to read its missed notifications too; or None.
        concurrency: The number of files fetched at the same time, and of threads read at the same
            time.
        verify: True to read every thread again, as with `full`, and each mirrored file, and to
            compare its SHA-256.
        on_event: Called with each `SyncEvent`, in the event loop. If it raises, the exception is
            logged, and it is not called again.
        report: The report to add to, so that it can be read during the job and after an error.
            None for a new one.

    Raises:
        RuleError: An argument is wrong, or a later version of this package wrote the state that
            lies in `to`. Nothing was mirrored, unless that version wrote it during this run.
        MlmsgError: An error that concerns everything, as for `sync_attachments`. The next run then
            begins where this one began.
    """
    concurrency = check_settings(client, concurrency, on_event, report, verify=verify)
    check_bool("`full`", full)
    check_target_like(to)
    begin = as_moment("since", since)
    if app_id is not None:
        check_id("app_id", app_id)
    report = SyncReport() if report is None else report
    with client.listen(report.count_call):
        me = await client.account.me()
        target = await open_target(to)
        try:
            last = await read_state(target, state_key(me.id))
            span = _span_of(begin, last, full=full or verify)
            run = SellerRun(client, me, last, span.begin, report)
            await run.read_missed(app_id)
            listeners: list[Callable[[SyncEvent], object]] = [run.recorder.note]
            listeners += [] if on_event is None else [on_event]
            workers = Workers(client, target, None, verify, listeners, report)
            run.report_unreadable(workers)
            await workers.run({"pack": run.packs(), "claim": run.claims()}, concurrency)
            run.report_unreadable_claims(workers)
            state = run.recorder.state(span.covered, run.started)
            await write_state(target, state_key(me.id), state)
        finally:
            await target.close()
    return report


@dataclass(frozen=True, slots=True)
class _Span:
    """The time whose updates a run asks for.

    Attributes:
        begin: The first moment of the last update.
        covered: The first moment that the state names after the run. No time since then is left
            out, neither by this run nor between the runs.
    """

    begin: datetime
    covered: datetime


def _span_of(since: datetime, last: SellerState | None, *, full: bool) -> _Span:
    if last is None or since > last.started:
        return _Span(since, since)
    covered = min(since, last.since)
    if full or since < last.since:
        return _Span(since, covered)
    return _Span(max(since, last.started - OVERLAP), covered)
