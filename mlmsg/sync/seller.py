"""Mirror everything of a seller, without a list of ids.

The job finds the packs and claims by itself, through the searches. A later run reads again only the
threads that can have changed:

- those of sales and claims that are new or were updated since the last complete run,
- those that the list of unread messages or a missed notification names,
- those whose newest message is younger than 30 days: after that a thread closes, unless the buyer
  writes, who is then unread,
- those that could not be read.

The state that this needs lies in the target, in `state/{user_id}.json`.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mlmsg._date_walk import Moment, as_moment
from mlmsg.client import Client
from mlmsg.errors import MlmsgError
from mlmsg.models import Me, PackRef

from .ids import Id
from .job import open_target, sync_attachments
from .report import SyncEvent, SyncReport
from .state import (
    OpenThread,
    SellerState,
    read_state,
    state_key,
    still_open,
    write_state,
)
from .target import TargetLike

__all__ = ["sync_seller"]

THREAD_DAYS = 30
"""Days after the last message after which a thread closes ("Blocked messages", `time`)."""

OVERLAP = timedelta(minutes=10)
"""Overlap of a run with the one before: clocks differ, and an update may become visible late."""


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
) -> SyncReport:
    """Mirror the attachments of all packs and claims of the seller, and return a report.

    The first run reads every thread whose sale or claim was updated since `since`. A later run with
    the same target reads only what can have changed.

    Args:
        client: The client of the seller. Its retries and its budget apply to the job.
        to: A folder, a URL or a store, as for `sync_attachments`.
        since: The first moment of the last update: an aware datetime, or a date (its first moment
            in UTC). The API knows orders of the last twelve months.
        full: True to read every thread again.
        app_id: The application's id, to read its missed notifications too; or None.
        concurrency: The number of files fetched at the same time, and of threads read at the same
            time.
        verify: True to read each mirrored file and compare its SHA-256.
        on_event: Called with each `SyncEvent`, in the event loop.

    Raises:
        RuleError: An argument is wrong.
        MlmsgError: An error that concerns everything, as for `sync_attachments`. The next run then
            begins where this one began.
    """
    begin = as_moment("since", since)
    me = await client.account.me()
    key, started = state_key(me.id), datetime.now(UTC)
    target = await open_target(to)
    try:
        last = await read_state(target, key)
        run = _Run(client, me, None if full else last, begin, app_id)
        report = await sync_attachments(
            client,
            packs=run.packs(),
            claims=run.claims(),
            to=to,
            concurrency=concurrency,
            verify=verify,
            on_event=run.watch(on_event),
        )
        covered = begin if last is None else min(begin, last.since)
        await write_state(target, key, run.state(covered, started))
    finally:
        await target.close()
    return report


@dataclass(slots=True)
class _Run:
    """One run: the threads it reads, and what it learns of them.

    Attributes:
        last: The state after the last complete run, or None to read everything.
        since: The first moment of the last update that is asked for.
        sites: The site of each pack, where it is known.
        newest: The newest message of each pack that was read.
        failed: The packs and claims that could not be read, by kind.
    """

    client: Client
    me: Me
    last: SellerState | None
    since: datetime
    app_id: int | str | None
    sites: dict[str, str | None] = field(default_factory=dict)
    newest: dict[str, datetime] = field(default_factory=dict)
    failed: dict[str, set[str]] = field(default_factory=lambda: {"pack": set(), "claim": set()})
    missed_claims: list[str] = field(default_factory=list)

    @property
    def begin(self) -> datetime:
        """The first moment of the last update that this run asks for."""
        if self.last is None or self.since < self.last.since:
            return self.since
        return max(self.since, self.last.started - OVERLAP)

    async def packs(self) -> AsyncGenerator[Id, None]:
        """Yield the packs to read, each once."""
        async with aclosing(self._all_packs()) as packs:
            async for pack in packs:
                name = str(pack.pack_id)
                if name not in self.sites:
                    self.sites[name] = pack.site_id
                    yield pack

    async def claims(self) -> AsyncGenerator[Id, None]:
        """Yield the claims to read. One that comes twice is read once."""
        async with aclosing(self.client.claims.all(since=self.begin)) as claims:
            async for claim in claims:
                yield claim
        for claim_id in (*self.missed_claims, *(self.last.failed_claims if self.last else ())):
            yield claim_id

    def watch(
        self, on_event: Callable[[SyncEvent], object] | None
    ) -> Callable[[SyncEvent], object]:
        """Return a callback that learns from each event and passes it on."""

        def learn(event: SyncEvent) -> None:
            kind, name = event.thread.kind, event.thread.id
            if event.kind == "thread" and event.newest is not None and kind == "pack":
                self.newest[name] = event.newest
            if event.kind == "failed":
                self.failed[kind].add(name)
            if on_event is not None:
                on_event(event)

        return learn

    def state(self, since: datetime, started: datetime) -> SellerState:
        """Return the state after this run."""
        threads = {
            name: OpenThread(newest=newest, site_id=self.sites.get(name))
            for name, newest in self.newest.items()
        }
        threads |= {name: OpenThread(site_id=self.sites.get(name)) for name in self.failed["pack"]}
        return SellerState(
            since=since,
            started=started,
            open_threads=still_open(threads, started, THREAD_DAYS),
            failed_claims=sorted(self.failed["claim"]),
        )

    async def _all_packs(self) -> AsyncGenerator[PackRef, None]:
        async with aclosing(self.client.packs.all(since=self.begin)) as packs:
            async for pack in packs:
                yield pack
        sites = await self._seller_sites()
        unread = await self.client.unread.list(role="seller")
        for result in unread.results:
            pack_id = result.pack_id or result.order_id
            if pack_id is not None:
                yield PackRef(pack_id=pack_id, site_id=sites.get(result.seller_id or 0))
        async with aclosing(self._missed_packs()) as missed:
            async for pack in missed:
                yield pack
        threads: Mapping[str, OpenThread] = self.last.open_threads if self.last else {}
        for name, thread in still_open(threads, datetime.now(UTC), THREAD_DAYS).items():
            yield PackRef(pack_id=int(name), site_id=thread.site_id)

    async def _missed_packs(self) -> AsyncGenerator[PackRef, None]:
        """Yield the packs of missed notifications, and remember their claims."""
        if self.app_id is None:
            return
        async with aclosing(self.client.notifications.missed(self.app_id)) as missed:
            async for notification in missed:
                if notification.kind == "claim":
                    self.missed_claims.append(notification.id)
                    continue
                try:
                    message = await self.client.messages.get(notification.id)
                except MlmsgError as error:
                    if error.ends_job:
                        raise
                    continue  # a message that is gone has no thread to read
                if message.pack_id is not None:
                    yield PackRef(pack_id=message.pack_id, site_id=message.site_id)

    async def _seller_sites(self) -> Mapping[int, str | None]:
        """Return the site of each seller of the account."""
        if not self.me.global_selling:
            return {self.me.id: self.me.site_id}
        return {seller.user_id: seller.site_id for seller in await self.client.account.sellers()}
