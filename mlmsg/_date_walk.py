"""Walk lists that can be filtered by the time of the last update, while they change.

A search returns at most some thousand rows of one query, so the time is cut into slices. A slice
whose total reaches that cap is cut in half. Within a slice `paging.walk` is exact: whatever stays
in its list is yielded.

**Rows that move.** A row that is updated leaves its slice and gets a new time: the present. So the
slices end at the time when the walk began, and the rows that were updated since are walked in
passes. A row can also move from one list to another. So the passes read the lists in alternating
order, and two passes in a row without a new row end the walk. A row is yielded once, when it is
first seen.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Generic, Protocol, TypeAlias, TypeVar

from .errors import RuleError, TransportError
from .paging import Page, walk

__all__ = ["DateWalk", "Fetch", "Moment", "Span", "as_moment"]

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

Moment: TypeAlias = datetime | date
"""An aware `datetime`, or a `date`, which stands for its first moment in UTC."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MAX_PASSES = 20
"""Passes over the rows that were updated during the walk, before it ends in any case."""

QUIET_PASSES = 2
"""Passes in a row without a new row that end the walk."""

CLOCK_TOLERANCE = timedelta(minutes=2)
"""Overlap of a pass with the one before: the server's clock may differ from ours."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time: `begin` included, `end` excluded. Without an end it lasts until now.

    Attributes:
        begin: The first moment; aware.
        end: The moment after the last one; aware, or None.
    """

    begin: datetime
    end: datetime | None = None


Fetch: TypeAlias = Callable[[Span, int, int], Awaitable[Page[T]]]
"""Fetch a page of one list: the span of the last update, the offset and the limit."""


class _Updated(Protocol[T_contra]):
    def __call__(self, row: T_contra, /) -> datetime | None: ...


class _SliceTooLarge(Exception):
    """The total of a slice reaches the cap of the search."""


@dataclass(frozen=True, slots=True)
class DateWalk(Generic[T]):
    """A walk over all rows that were updated in a span of time.

    Attributes:
        lists: The lists that together hold all rows, for example one for each status.
        key: Returns the identity of a row.
        updated: Returns the time of a row's last update, or None.
        clock: Returns the present time of the server.
        cap: `offset + limit` of the search stays below this.
        granularity: The smallest slice: the search ignores what is finer.
        page_size: Rows requested at a time.
        concurrency: Pages that are requested, or wait for the reader, at the same time.
    """

    lists: Sequence[Fetch[T]]
    key: Callable[[T], Hashable]
    updated: _Updated[T]
    clock: Callable[[], datetime]
    cap: int
    granularity: timedelta
    page_size: int
    concurrency: int = 4

    async def rows(self, since: datetime, until: datetime | None) -> AsyncGenerator[T, None]:
        """Yield each row once: the slices from old to new, then what was updated meanwhile.

        Raises:
            TransportError: More rows than the cap have the same time of update.
        """
        seen: set[Hashable] = set()
        started, now = time.monotonic(), self.clock()
        past_end = now if until is None else min(until, now)
        if since < past_end:
            async with aclosing(self._slice(Span(since, past_end), self.lists, seen)) as rows:
                async for row in rows:
                    yield row
        quiet, lists = 0, self.lists
        for _ in range(MAX_PASSES):
            # The server's clock is known better after the first response than before it.
            elapsed = timedelta(seconds=time.monotonic() - started)
            begin = max(since, self.clock() - elapsed - CLOCK_TOLERANCE)
            if quiet >= QUIET_PASSES or (until is not None and until <= begin):
                return
            started, count, lists = time.monotonic(), len(seen), lists[::-1]
            async with aclosing(self._slice(Span(begin, until), lists, seen)) as rows:
                async for row in rows:
                    yield row
            quiet = quiet + 1 if len(seen) == count else 0

    async def _slice(
        self, span: Span, lists: Sequence[Fetch[T]], seen: set[Hashable]
    ) -> AsyncGenerator[T, None]:
        """Yield the unseen rows of a span, from all lists."""
        for fetch in lists:
            async with aclosing(self._list(fetch, span)) as rows:
                async for row in rows:
                    key = self.key(row)
                    if key not in seen:
                        seen.add(key)
                        yield row

    async def _list(self, fetch: Fetch[T], span: Span) -> AsyncGenerator[T, None]:
        """Yield the rows of one list in a span, in halves if they are too many."""

        async def page(offset: int, limit: int) -> Page[T]:
            found = await fetch(span, offset, limit)
            if (found.total or 0) + limit >= self.cap:
                raise _SliceTooLarge
            return found

        halves: tuple[Span, ...] = ()
        pages = walk(page, self.key, limit=self.page_size, concurrency=self.concurrency)
        try:
            async with aclosing(pages):
                async for row in pages:
                    if self._is_within(row, span):
                        yield row
        except _SliceTooLarge:
            halves = self._halves(span)
        for half in halves:
            async with aclosing(self._list(fetch, half)) as rows:
                async for row in rows:
                    yield row

    def _halves(self, span: Span) -> tuple[Span, Span]:
        end = self.clock() if span.end is None else span.end
        step = self.granularity
        middle = _EPOCH + (span.begin + (end - span.begin) / 2 - _EPOCH) // step * step
        if not span.begin < middle < end:
            text = f"{self.cap} or more rows were updated at {span.begin.isoformat()}: too many"
            raise TransportError(f"{text} for one query of the search")
        return Span(span.begin, middle), Span(middle, span.end)

    def _is_within(self, row: T, span: Span) -> bool:
        """Return False for a row that the search returned only because it rounds times."""
        moment = self.updated(row)
        if moment is None:
            return True
        return span.begin <= moment and (span.end is None or moment < span.end)


def as_moment(name: str, value: Moment) -> datetime:
    """Return an aware datetime in UTC for a datetime or a date.

    Raises:
        RuleError: It is another type, or a datetime without a zone.
    """
    limit = "an aware datetime, or a date"
    if isinstance(value, datetime):
        if value.tzinfo is None:
            hint = "Add its zone: datetime.now(UTC), or value.replace(tzinfo=...)"
            raise RuleError(f"`{name}`", f"{value!r}, which has no zone", limit, hint)
        return value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise RuleError(f"`{name}`", type(value).__name__, limit)
