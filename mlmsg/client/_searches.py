"""The walks over all claims and all packs of a seller, by the time of their last update."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import attrgetter

from mlmsg import _operations
from mlmsg._date_walk import DateWalk, Fetch, Span
from mlmsg._search_queries import (
    CLAIM_CAP,
    CLAIM_LIMIT,
    ORDER_CAP,
    ORDER_LIMIT,
    ROLES,
    claim_query,
    claim_range,
    order_query,
)
from mlmsg._session import Session
from mlmsg.budget import RateBudget
from mlmsg.models import Claim, ClaimPage, PackRef
from mlmsg.models._orders import Order, OrderPage
from mlmsg.policy import Effect

from ._seller import Seller

__all__ = ["ClaimSearch", "OrderSearch"]

STATUSES = ("opened", "closed")
"""The statuses of claims. Not verified: whether a search without a status returns both."""

_MILLISECOND = timedelta(milliseconds=1)
_HOUR = timedelta(hours=1)


class ClaimSearch:
    """Search claims, page by page or by date."""

    def __init__(self, session: Session, seller: Seller) -> None:
        self._session = session
        self._seller = seller

    async def page(
        self, limit: int, offset: int, role: str, filters: Mapping[str, object]
    ) -> ClaimPage:
        """Return one page of claims."""
        family = self._seller.family
        claim_query(family, 0, role, limit, offset, filters)  # before the id is asked for
        user_id = await self._seller.user_id()
        query = claim_query(family, user_id, role, limit, offset, filters)
        return await self._session.send(_operations.claim_search(query, family=family))

    def walk(
        self, since: datetime, until: datetime | None, status: str | None
    ) -> AsyncGenerator[Claim, None]:
        """Yield every claim that was updated in a span of time, once."""
        statuses = STATUSES if status is None else (status,)
        roles = ROLES if self._seller.is_domestic else ROLES[:1]
        lists: list[Fetch[Claim]] = [
            partial(self._fetch, role, status) for role in roles for status in statuses
        ]
        walk = DateWalk(
            lists=lists,
            key=attrgetter("id"),
            updated=attrgetter("last_updated"),
            clock=partial(_server_time, self._session),
            cap=CLAIM_CAP,
            granularity=_MILLISECOND,
            page_size=CLAIM_LIMIT,
        )
        return walk.rows(since, until)

    async def _fetch(
        self, role: str, status: str, span: Span, offset: int, limit: int
    ) -> ClaimPage:
        filters = {
            "status": status,
            "sort": "last_updated:asc",
            "range": claim_range("last_updated", span.begin, span.end),
        }
        return await self.page(limit, offset, role, filters)


class OrderSearch:
    """Find the packs of a seller through the search for orders."""

    def __init__(self, session: Session, seller: Seller) -> None:
        self._session = session
        self._seller = seller
        # "Orders" of Global Selling: 100 requests a minute, beside the limits of the application.
        self._limit = RateBudget(reads=100, writes=None)
        self._sites: dict[int, str | None] | None = None

    async def walk(self, since: datetime, until: datetime | None) -> AsyncGenerator[PackRef, None]:
        """Yield every pack whose orders were updated in a span of time, once."""
        # A search hides cancelled orders unless it asks for them.
        walk = DateWalk(
            lists=[partial(self._fetch, status) for status in (None, "cancelled")],
            key=attrgetter("id"),
            updated=attrgetter("updated"),
            clock=partial(_server_time, self._session),
            cap=ORDER_CAP,
            granularity=_HOUR,
            page_size=ORDER_LIMIT,
        )
        seen: set[int] = set()
        async with aclosing(walk.rows(since, until)) as orders:
            async for order in orders:
                pack = await self._pack(order)
                if pack.pack_id not in seen:
                    seen.add(pack.pack_id)
                    yield pack

    async def _fetch(self, status: str | None, span: Span, offset: int, limit: int) -> OrderPage:
        family = self._seller.family
        user_id = await self._seller.user_id() if self._seller.is_domestic else 0
        query = order_query(family, user_id, span.begin, span.end, limit, offset)
        if status is not None:
            query["order.status"] = status
        if not self._seller.is_domestic:
            await self._limit.limiter(Effect.READ).acquire()
        return await self._session.send(_operations.order_search(query, family=family))

    async def _pack(self, row: Order) -> PackRef:
        """Return the pack of a row; Global Selling shows it only in the order itself."""
        if self._seller.is_domestic:
            site_id = await self._seller.site_id()
            return _pack_ref([row], row, site_id)
        inner = row.orders or [row]
        order = await self._session.send(_operations.order(inner[0].id))
        seller_id = order.seller_id or inner[0].seller_id
        sites = await self._seller_sites()
        return _pack_ref([*inner], order, sites.get(seller_id or 0), seller_id)

    async def _seller_sites(self) -> dict[int, str | None]:
        """Return the site of each marketplace seller of a Global Selling account."""
        if self._sites is None:
            user_id = await self._seller.user_id()
            sellers = await self._session.send(_operations.marketplace_sellers(user_id))
            self._sites = {seller.user_id: seller.site_id for seller in sellers}
        return self._sites


def _pack_ref(
    orders: Sequence[Order], order: Order, site_id: str | None, seller_id: int | None = None
) -> PackRef:
    return PackRef(
        pack_id=order.pack_id or order.id,
        seller_id=seller_id or order.seller_id,
        site_id=site_id,
        order_ids=[found.id for found in orders],
        updated=order.updated,
    )


def _server_time(session: Session) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=session.clock_offset() or 0.0)
