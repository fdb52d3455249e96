"""The walk over all claims of a seller, by the time of their last update."""

from collections.abc import AsyncGenerator, Callable, Hashable, Mapping
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter

import msgspec

from mlmsg import _operations
from mlmsg._date_walk import DateWalk, Fetch, OnTotal, Span
from mlmsg._rows import Rows
from mlmsg._search_queries import (
    CLAIM_CAP,
    CLAIM_LIMIT,
    ROLES,
    STATUSES,
    check_filter,
    claim_query,
    claim_range,
)
from mlmsg._session import Session
from mlmsg.models import Claim, ClaimPage

from ._seller import Seller

__all__ = ["ClaimSearch"]

_MILLISECOND = timedelta(milliseconds=1)


def _ignore_gap() -> None:
    """Do nothing with a page that has rows that are left out: the log has a warning."""


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
        self,
        since: datetime,
        until: datetime | None,
        status: str | None,
        on_total: OnTotal,
        on_gap: Callable[[], object] = _ignore_gap,
    ) -> AsyncGenerator[Claim, None]:
        """Yield every claim that was updated in a span of time, once.

        `on_gap` is called for each page that has rows that are left out.
        """
        statuses = STATUSES if status is None else (check_filter("status", status),)
        roles = ROLES if self._seller.is_domestic else ROLES[:1]
        lists: list[Fetch[Claim]] = [
            partial(self._fetch, on_gap, role, status) for role in roles for status in statuses
        ]
        walk = DateWalk(
            lists=lists,
            key=_identity,
            updated=attrgetter("last_updated"),
            clock=self._session.server_time,
            cap=CLAIM_CAP,
            granularity=_MILLISECOND,
            page_size=CLAIM_LIMIT,
            on_total=on_total,
        )
        return walk.rows(since, until)

    async def _fetch(
        self,
        on_gap: Callable[[], object],
        role: str,
        status: str,
        span: Span,
        offset: int,
        limit: int,
    ) -> ClaimPage:
        filters = {
            "status": status,
            "sort": "last_updated:asc",
            "range": claim_range("last_updated", span.begin, span.end),
        }
        page = await self.page(limit, offset, role, filters)
        if isinstance(page.claims, Rows):
            on_gap()
        return page


def _identity(claim: Claim) -> Hashable:
    """Return the id of a claim, or all of a row without an id: two such rows are two claims."""
    return msgspec.json.encode(claim) if claim.id is None else claim.id
