"""One run of the job for a seller: which threads it reads."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

from mlmsg._map_ahead import map_ahead
from mlmsg.client import Client, OrdersUnreadable
from mlmsg.client._orders import sites_by_seller
from mlmsg.client.claims import walk_claims
from mlmsg.errors import MlmsgError, NotFound
from mlmsg.models import Me, PackRef
from mlmsg.notifications import Notification

from .ids import Id
from .report import SyncReport, ThreadId, unreadable_claims
from .state import SellerState, StateRecorder, still_open
from .workers import Workers

__all__ = ["SellerRun"]

T = TypeVar("T")

MESSAGES_AHEAD = 8
"""Messages of missed notifications that are read at the same time."""


@dataclass(slots=True)
class SellerRun:
    """The threads of one run. First come those that are named, then those that the walks find.

    So only the named ones have to be remembered to read each thread once.

    Attributes:
        client: The client of the seller.
        me: The account of the seller.
        last: The state after the last complete run, or None.
        begin: The first moment of the last update that is asked for.
        report: The report, whose `expected` is set.
        started: The start of the run, by the server's clock.
        recorder: Learns what the next run has to read again.
    """

    client: Client
    me: Me
    last: SellerState | None
    begin: datetime
    report: SyncReport
    started: datetime = field(init=False)
    recorder: StateRecorder = field(init=False)
    _missed_packs: list[PackRef] = field(default_factory=list)
    _missed_claims: list[str] = field(default_factory=list)
    _unreadable_messages: dict[str, MlmsgError] = field(default_factory=dict)
    _unreadable_orders: dict[int, MlmsgError] = field(default_factory=dict)
    _has_unreadable_claims: bool = False
    _expected: dict[str, int] = field(default_factory=dict)
    _sites: Mapping[int, str | None] | None = None

    def __post_init__(self) -> None:
        self.started = self.client.server_time()
        self.recorder = StateRecorder(self.last, self.started)

    async def read_missed(self, app_id: int | str | None) -> None:
        """Read which threads the missed notifications name, before any thread is read."""
        if app_id is None:
            return
        messages = map_ahead(self._missed_messages(app_id), self._read_message, MESSAGES_AHEAD)
        async with aclosing(messages):
            async for message_id, found in messages:
                if isinstance(found, MlmsgError):
                    self._unreadable_messages[message_id] = found
                elif found is not None:
                    self._missed_packs.append(found)

    def report_unreadable(self, workers: Workers) -> None:
        """Report the messages whose packs are unknown as failed threads."""
        self._expect("unreadable messages", len(self._unreadable_messages))
        for message_id, error in self._unreadable_messages.items():
            workers.fail(ThreadId("pack", message_id), error)

    def report_unreadable_claims(self, workers: Workers) -> None:
        """Report the claims whose ids are unknown as one failed thread, after the walk."""
        if self._has_unreadable_claims:
            thread, error = unreadable_claims("in full")
            workers.fail(thread, error)

    async def packs(self) -> AsyncGenerator[Id, None]:
        """Yield the packs to read, each once.

        Raises:
            OrdersUnreadable: At the end, if the packs of some orders are unknown.
        """
        walk = self._walked_packs()
        named: set[int] = set()
        async with aclosing(walk), aclosing(self._named_packs()) as packs:
            first = await anext(walk, None)  # now the search has reported its total
            async for pack in packs:
                if pack.pack_id not in named:
                    named.add(pack.pack_id)
                    self._expect("named packs", len(named))
                    yield self.recorder.begin(pack)
            repeated = 0
            async for pack in _chain(first, walk):
                if pack.pack_id not in named:
                    yield self.recorder.begin(pack)
                else:
                    repeated += 1
                    self._expect("named packs", len(named) - repeated)
        if self._unreadable_orders:
            raise OrdersUnreadable(self._unreadable_orders)

    async def claims(self) -> AsyncGenerator[Id, None]:
        """Yield the claims to read, each once."""
        failed = self.last.failed_claims if self.last else ()
        named = dict.fromkeys([*failed, *self._missed_claims])
        total = partial(self._expect, "claims")
        note = self._note_unreadable_claims
        walk = walk_claims(self.client.claims, self.begin, note, on_total=total)
        async with aclosing(walk):
            first = await anext(walk, None)
            self._expect("named claims", len(named))
            for claim_id in named:
                yield claim_id
            repeated = 0
            async for claim in _chain(first, walk):
                if str(claim.id) not in named:
                    yield claim
                else:
                    repeated += 1
                    self._expect("named claims", len(named) - repeated)

    async def _walked_packs(self) -> AsyncGenerator[PackRef, None]:
        total = partial(self._expect, "packs")
        async with aclosing(self.client.packs.all(since=self.begin, on_total=total)) as walk:
            try:
                async for pack in walk:
                    yield pack
            except OrdersUnreadable as error:
                for order_id, reason in error.errors.items():
                    self._note_unreadable(order_id, reason)

    async def _named_packs(self) -> AsyncGenerator[PackRef, None]:
        """Yield the packs that can have changed without an update of their sale."""
        unread = await self.client.unread.list(role="seller")
        for result in unread.results:
            pack_id = result.pack_id or result.order_id
            if pack_id is not None:
                yield PackRef(pack_id=pack_id, site_id=await self._site_of(result.seller_id))
        for pack in self._missed_packs:
            yield pack
        if self.last is None:
            return
        for pack_id, thread in still_open(self.last.open_threads, self.started).items():
            yield PackRef(pack_id=pack_id, site_id=thread.site_id)
        for order_id in self.last.failed_orders:
            try:
                yield await self.client.packs.of_order(order_id)
            except MlmsgError as error:
                if error.ends_job:
                    raise
                self._note_unreadable(order_id, error)
                self._expect("unreadable orders", len(self._unreadable_orders))

    async def _missed_messages(self, app_id: int | str) -> AsyncGenerator[str, None]:
        """Yield the messages of missed notifications, and remember their claims."""
        async with aclosing(self.client.notifications.missed(app_id)) as missed:
            async for notification in missed:
                if not await self._is_own(notification):
                    continue
                if notification.kind == "claim":
                    self._missed_claims.append(notification.id)
                else:
                    yield notification.id

    async def _read_message(self, message_id: str) -> tuple[str, PackRef | MlmsgError | None]:
        """Return the pack of a message, None for a message that is gone, or the error."""
        try:
            message = await self.client.messages.get(message_id)
        except NotFound:
            return message_id, None
        except MlmsgError as error:
            if error.ends_job:
                raise
            return message_id, error
        if message.pack_id is None:
            return message_id, None
        site_id = message.site_id or await self._site_of(message.seller_id)
        return message_id, PackRef(pack_id=message.pack_id, site_id=site_id)

    async def _is_own(self, notification: Notification) -> bool:
        """Return False for the notification of another seller of the same application."""
        if notification.user_id == self.me.id:
            return True
        return notification.user_id in await self._sites_of_sellers()

    async def _site_of(self, seller_id: int | None) -> str | None:
        if not self.me.global_selling:
            return self.me.site_id
        return (await self._sites_of_sellers()).get(seller_id or 0)

    async def _sites_of_sellers(self) -> Mapping[int, str | None]:
        """Return the site of each seller of the account; None for a seller of several sites."""
        if self._sites is None:
            sellers = await self.client.account.sellers() if self.me.global_selling else ()
            self._sites = sites_by_seller(sellers)
        return self._sites

    def _note_unreadable(self, order_id: int, error: MlmsgError) -> None:
        self._unreadable_orders[order_id] = error
        if order_id >= 0:  # otherwise there is no id by which it could be read again
            self.recorder.failed_orders.add(order_id)

    def _note_unreadable_claims(self) -> None:
        self._has_unreadable_claims = True
        self._expect("unreadable claims", 1)

    def _expect(self, name: str, number: int) -> None:
        """Set the expected number of threads, as soon as both walks have reported theirs."""
        self._expected[name] = number
        if self._expected.keys() >= {"packs", "claims"}:
            self.report.expected = sum(self._expected.values())


async def _chain(first: T | None, rest: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Yield the first item, if there is one, and the rest, which the caller closes."""
    if first is not None:
        yield first
        async for item in rest:
            yield item
