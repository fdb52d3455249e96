"""Walk lists that can be filtered by the time of the last update, while they change.

A search returns at most some thousand rows of one query, so the time is cut into slices. A slice
in which the total of a list reaches that cap is cut in half. The slices are walked from old to new,
and within a slice the lists one after the other. Within a list `paging.walk` is exact: whatever
stays in the list is yielded.

**Rows that move.** A row that is updated leaves its slice and gets a new time: the present. So the
slices end at the time when the walk began, and the rows that were updated since are walked in
passes. A row can also move from one list to another, while neither is read. It is then missed
only if it does so again and again, between all readings of the lists until two passes in a row have
found nothing new, which end the walk. A row is yielded once, when it is first seen.

**Memory.** Any row may be updated after it was yielded, and then it comes again in a pass, with
nothing that shows its old time. So the id of each yielded row is kept, in eight bytes. All else is
bounded by the cap.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta
from typing import Generic, Protocol, TypeAlias, TypeVar

import msgspec

from ._seen_ids import SeenIds
from .errors import RuleError, TransportError
from .paging import Page, walk

__all__ = ["DateWalk", "Fetch", "Moment", "OnTotal", "Span", "as_moment", "ignore_total"]

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

Moment: TypeAlias = datetime | date
"""An aware `datetime`, or a `date`, which stands for its first moment in UTC."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_LATEST = datetime(9999, 12, 30, tzinfo=UTC)
"""The last moment of a span, so that an hour may be added to it."""

MAX_PASSES = 20
"""Passes over the rows that were updated during the walk, before it ends in any case."""

QUIET_PASSES = 2
"""Passes in a row without a new row that end the walk."""

CLOCK_TOLERANCE = timedelta(minutes=2)
"""Overlap of a pass with the one before: the server's clock may differ from ours."""


class Span(msgspec.Struct, frozen=True):
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


OnTotal: TypeAlias = Callable[[int], object]
"""Called with the number of rows of a walk, as far as the totals of the search tell it."""


def ignore_total(_total: int) -> None:
    """Do nothing with the number of rows."""


class _SliceTooLarge(Exception):
    """The total of a list in a slice reaches the cap of the search."""


class _Counter:
    """The rows of one walk: those that were yielded, and the number that is expected.

    Attributes:
        yielded: The number of yielded rows.
        in_slices: True until the passes begin. The total counts the rows of the slices.
    """

    __slots__ = ("_on_total", "_seen", "_total", "in_slices", "yielded")

    def __init__(self, on_total: OnTotal) -> None:
        """Begin to count.

        Args:
            on_total: Called when the expected number changes.
        """
        self.yielded = 0
        self.in_slices = True
        self._on_total = on_total
        self._seen = SeenIds()
        self._total: int | None = None

    def note_total(self, total: int) -> None:
        """Note the total of the whole span; later totals are those of parts of it."""
        if self._total is None:
            self._set_total(total)

    def is_new(self, identity: Hashable) -> bool:
        """Count a row. Return False if it was yielded before."""
        is_new = self._seen.add(identity)
        self.yielded += is_new
        if self._total is not None:
            repeated = self.in_slices and not is_new
            self._set_total(max(self._total - repeated, self.yielded))
        return is_new

    def end(self) -> None:
        """Replace the expected number by the true one."""
        self._set_total(self.yielded)

    def _set_total(self, total: int) -> None:
        if total != self._total:
            self._total = total
            self._on_total(total)


class DateWalk(msgspec.Struct, Generic[T], frozen=True):
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
        unit: Returns the identity of what is yielded once, which several rows may share. By
            default each row is yielded once.
        on_total: Called with the expected number of units, and at the end with the true one.
    """

    lists: Sequence[Fetch[T]]
    key: Callable[[T], Hashable]
    updated: _Updated[T]
    clock: Callable[[], datetime]
    cap: int
    granularity: timedelta
    page_size: int
    concurrency: int = 4
    unit: Callable[[T], Hashable] | None = None
    on_total: OnTotal = ignore_total

    async def rows(self, since: datetime, until: datetime | None) -> AsyncGenerator[T, None]:
        """Yield a row for each unit: the slices from old to new, then what was updated meanwhile.

        Raises:
            TransportError: More rows than the cap have the same time of update.
        """
        counter = _Counter(self.on_total)
        started, now = time.monotonic(), self.clock()
        past_end = now if until is None else min(until, now)
        if since < past_end:
            async with aclosing(self._slice(Span(since, past_end), counter)) as rows:
                async for row in rows:
                    yield row
        counter.in_slices = False
        quiet = 0
        for _ in range(MAX_PASSES):
            # The server's clock is known better after the first response than before it.
            elapsed = timedelta(seconds=time.monotonic() - started)
            begin = max(since, self.clock() - elapsed - CLOCK_TOLERANCE)
            if quiet >= QUIET_PASSES or (until is not None and until <= begin):
                break
            started, count = time.monotonic(), counter.yielded
            async with aclosing(self._slice(Span(begin, until), counter)) as rows:
                async for row in rows:
                    yield row
            quiet = quiet + 1 if counter.yielded == count else 0
        counter.end()

    async def _slice(self, span: Span, counter: _Counter) -> AsyncGenerator[T, None]:
        """Yield the unseen rows of a span, list after list; in halves if a list is too long."""
        halves: tuple[Span, ...] = ()
        unit = self.unit or self.key
        try:
            first_pages = [await fetch(span, 0, self.page_size) for fetch in self.lists]
            counter.note_total(sum(page.total or 0 for page in first_pages))
            for page in first_pages:
                self._check_total(page)
            for fetch, page in zip(self.lists, first_pages, strict=True):
                async with aclosing(self._list(fetch, span, page)) as rows:
                    async for row in rows:
                        if counter.is_new(unit(row)):
                            yield row
        except _SliceTooLarge:
            halves = self._halves(span)
        for half in halves:
            async with aclosing(self._slice(half, counter)) as rows:
                async for row in rows:
                    yield row

    async def _list(
        self, fetch: Fetch[T], span: Span, first_page: Page[T]
    ) -> AsyncGenerator[T, None]:
        """Yield the rows of one list in a span, of which the first page is there."""
        ready = [first_page]

        async def page(offset: int, limit: int) -> Page[T]:
            if ready:
                return ready.pop()
            if offset + limit >= self.cap:
                raise _SliceTooLarge
            found = await fetch(span, offset, limit)
            self._check_total(found)
            return found

        pages = walk(page, self.key, limit=self.page_size, concurrency=self.concurrency)
        async with aclosing(pages):
            async for row in pages:
                if self._is_within(row, span):
                    yield row

    def _check_total(self, page: Page[T]) -> None:
        if (page.total or 0) + self.page_size >= self.cap:
            raise _SliceTooLarge

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

    A moment before 1970 stands for everything until then, and becomes the first moment of 1970. In
    the same way a moment of the last days of 9999 becomes the 30th of December.

    Raises:
        RuleError: It is another type, or a datetime without a zone.
    """
    limit = "an aware datetime, or a date"
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            hint = "Add its zone: datetime.now(UTC), or value.replace(tzinfo=...)"
            raise RuleError(f"`{name}`", f"{value!r}, which has no zone", limit, hint)
        try:
            moment = value.astimezone(UTC)
        except OverflowError:
            moment = value.replace(tzinfo=UTC)
        return min(max(moment, _EPOCH), _LATEST)
    if isinstance(value, date):
        return as_moment(name, datetime(value.year, value.month, value.day, tzinfo=UTC))
    raise RuleError(f"`{name}`", type(value).__name__, limit)
