"""The packs of a seller: the walk over all orders, and the pack of one order."""

import asyncio
from collections.abc import AsyncGenerator, Hashable, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter

import msgspec

from mlmsg import _operations
from mlmsg._arguments import check_id, shorten
from mlmsg._date_walk import DateWalk, OnTotal, Span
from mlmsg._map_ahead import map_ahead
from mlmsg._numbers import whole_number
from mlmsg._search_queries import ORDER_CAP, ORDER_LIMIT, order_query
from mlmsg._seen_ids import SeenIds
from mlmsg._session import Session
from mlmsg.budget import RateBudget
from mlmsg.errors import (
    ApiError,
    BadRequest,
    DecodeError,
    MlmsgError,
    RuleError,
)
from mlmsg.models import MarketplaceSeller, PackRef
from mlmsg.models._orders import Order, OrderPage, UnreadableOrder
from mlmsg.policy import Effect

from ._seller import Seller

__all__ = [
    "OrderSearch",
    "OrdersUnreadable",
    "is_order_in_pack",
    "limit_order_search",
    "pack_named_by",
    "sites_by_seller",
]

SEARCHES_PER_MINUTE = 100
"""Requests of the search of Global Selling ("Orders"), beside the limits of the application."""

ORDERS_AHEAD = 8
"""Orders that are read, or wait for the reader, at the same time."""

MAX_FAILURES_IN_A_ROW = 20
"""Orders that cannot be read, one after the other, before the walk ends with the last error."""

_NO_ID = "a row of the order search has no id that can be read"

_HOUR = timedelta(hours=1)


def limit_order_search(session: Session) -> None:
    """Limit the order searches of a client. All of its walks share the limit."""
    budget = RateBudget(reads=SEARCHES_PER_MINUTE, writes=None)
    session.limit("orders.search", budget.limiter(Effect.READ))


class OrdersUnreadable(MlmsgError):
    """Some orders could not be read, so their packs are unknown. All other packs were yielded.

    Attributes:
        errors: The error of each order, by the order's id; by a number under zero for a row of the
            search without a readable id.
    """

    __module__ = "mlmsg.client"

    def __init__(self, errors: Mapping[int, MlmsgError]) -> None:
        super().__init__(errors)
        self.errors = errors

    def __str__(self) -> str:
        """Return the number of orders, and the first error."""
        orders = "1 order" if len(self.errors) == 1 else f"{len(self.errors)} orders"
        for order_id, error in self.errors.items():
            example = f"{order_id}: {error}" if order_id >= 0 else str(error)
            return f"{orders} could not be read, such as {example}"
        return f"{orders} could not be read"


class _Unreadable:
    """The orders that a walk could not read."""

    __slots__ = ("errors", "in_a_row")

    def __init__(self) -> None:
        self.errors: dict[int, MlmsgError] = {}
        self.in_a_row = 0

    def add(self, order_id: int, error: MlmsgError) -> None:
        """Keep an error, or raise it if nothing can be read any more."""
        self.in_a_row += 1
        if self.in_a_row >= MAX_FAILURES_IN_A_ROW:
            raise error
        self.errors[order_id] = error

    def raise_if_any(self) -> None:
        """Raise `OrdersUnreadable` at the end of the walk."""
        if self.errors:
            raise OrdersUnreadable(self.errors)


class OrderSearch:
    """Find the packs of a seller through the search for orders."""

    def __init__(self, session: Session, seller: Seller) -> None:
        self._session = session
        self._seller = seller
        self._sites: dict[int, str | None] | None = None
        self._asking_for_sites = asyncio.Lock()

    async def walk(
        self, since: datetime, until: datetime | None, on_total: OnTotal
    ) -> AsyncGenerator[PackRef, None]:
        """Yield every pack whose orders were updated in a span of time, once."""
        if self._seller.is_domestic:
            site_id = await self._seller.site_id()
            unreadable = _Unreadable()
            async with aclosing(self._rows(since, until, on_total)) as rows:
                async for row in rows:
                    if row.id < 0:
                        unreadable.add(row.id, DecodeError(_NO_ID))
                    else:
                        unreadable.in_a_row = 0
                        yield _pack_ref([row], row, site_id, row.seller_id)
            unreadable.raise_if_any()
            return
        async with aclosing(self._global_packs(since, until, on_total)) as packs:
            async for pack in packs:
                yield pack

    async def pack_of(self, order_id: int | str) -> PackRef:
        """Return the pack of one order."""
        number = whole_number(check_id("order_id", order_id))
        if number is None:
            raise RuleError("`order_id`", shorten(order_id), "the id of an order: 1 to 20 digits")
        try:
            order = await self._session.send(_operations.order(number, family=self._seller.family))
        except BadRequest as error:
            named = pack_named_by(error) if is_order_in_pack(error) else None
            if named is None:
                raise
            site_id = await self._seller.site_id() if self._seller.is_domestic else None
            return PackRef(pack_id=named, site_id=site_id, order_ids=[number])
        site_id = await self._site_of(order, order.seller_id)
        return _pack_ref([order], order, site_id, order.seller_id)

    def _rows(
        self, since: datetime, until: datetime | None, on_total: OnTotal
    ) -> AsyncGenerator[Order, None]:
        # A search hides cancelled orders unless it asks for them.
        walk = DateWalk(
            lists=[partial(self._fetch, status) for status in (None, "cancelled")],
            key=_identity,
            updated=attrgetter("updated"),
            clock=self._session.server_time,
            cap=ORDER_CAP,
            granularity=_HOUR,
            page_size=ORDER_LIMIT,
            unit=_thread_id if self._seller.is_domestic else attrgetter("id"),
            on_total=on_total,
        )
        return walk.rows(since, until)

    async def _fetch(self, status: str | None, span: Span, offset: int, limit: int) -> OrderPage:
        family = self._seller.family
        user_id = await self._seller.user_id() if self._seller.is_domestic else 0
        query = order_query(family, user_id, span.begin, span.end, limit, offset)
        if status is not None:
            query["order.status"] = status
        page = await self._session.send(_operations.order_search(query, family=family))
        rows = [_with_position(row, offset) for row in page.results]
        return msgspec.structs.replace(page, results=rows)

    async def _global_packs(
        self, since: datetime, until: datetime | None, on_total: OnTotal
    ) -> AsyncGenerator[PackRef, None]:
        """Yield the packs of Global Selling: a row shows its pack only in the order itself.

        Raises:
            OrdersUnreadable: At the end, if some orders could not be read.
        """
        seen, repeated, unreadable = SeenIds(), 0, _Unreadable()
        rows = self._rows(since, until, lambda total: on_total(total - repeated))
        async with aclosing(map_ahead(rows, self._read_row, ORDERS_AHEAD)) as packs:
            async for order_id, pack in packs:
                if isinstance(pack, MlmsgError):
                    unreadable.add(order_id, pack)
                    continue
                unreadable.in_a_row = 0
                if seen.add(pack.pack_id):
                    yield pack
                else:
                    repeated += 1
        unreadable.raise_if_any()

    async def _read_row(self, row: Order) -> tuple[int, PackRef | MlmsgError]:
        """Return the id of the order that shows the pack, and the pack or the order's error."""
        orders = row.orders or [row]
        first = orders[0]
        if first.id < 0:
            return first.id, DecodeError(_NO_ID)
        try:
            order = await self._session.send(_operations.order(first.id))
        except (ApiError, DecodeError) as error:
            if error.ends_job:
                raise
            return first.id, error
        seller_id = order.seller_id or first.seller_id
        site_id = await self._site_of(order, seller_id)
        return first.id, _pack_ref(orders, order, site_id, seller_id)

    async def _site_of(self, order: Order, seller_id: int | None) -> str | None:
        """Return the site of an order: the order names it, or its seller has only one."""
        if self._seller.is_domestic:
            return await self._seller.site_id()
        if order.site_id is not None:
            return order.site_id
        async with self._asking_for_sites:
            if self._sites is None:
                user_id = await self._seller.user_id()
                sellers = await self._session.send(_operations.marketplace_sellers(user_id))
                self._sites = sites_by_seller(sellers)
        return self._sites.get(seller_id or 0)


def sites_by_seller(sellers: Iterable[MarketplaceSeller]) -> dict[int, str | None]:
    """Return the site of each seller; None for a seller of several sites, which shows no site."""
    sites: dict[int, str | None] = {}
    for seller in sellers:
        known = sites.setdefault(seller.user_id, seller.site_id)
        if known != seller.site_id:
            sites[seller.user_id] = None
    return sites


def is_order_in_pack(error: BadRequest) -> bool:
    """Return True if the API says that an id is that of an order, and the thread that of a pack."""
    return "order_belong_pack" in f"{error.code} {error.message}"


def pack_named_by(error: BadRequest) -> int | None:
    """Return the pack that such an error names, or None.

    Not verified: whether the paths of messages name the pack in `cause`, as those of orders do.
    """
    return whole_number(str(error.cause[0])) if error.cause else None


def _with_position(row: Order, offset: int) -> Order:
    """Give a row that cannot be read its position in the list."""
    if isinstance(row, UnreadableOrder):
        return msgspec.structs.replace(row, position=offset + row.position)
    return row


def _identity(row: Order) -> Hashable:
    """Return the identity of a row within a list: a row that cannot be read has only its place."""
    return (UnreadableOrder, row.position) if isinstance(row, UnreadableOrder) else row.id


def _thread_id(order: Order) -> int:
    return order.pack_id or order.id


def _pack_ref(
    orders: Sequence[Order], order: Order, site_id: str | None, seller_id: int | None
) -> PackRef:
    return PackRef(
        pack_id=_thread_id(order),
        seller_id=seller_id,
        site_id=site_id,
        order_ids=[found.id for found in orders],
        updated=order.updated,
    )
