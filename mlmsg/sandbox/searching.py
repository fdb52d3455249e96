"""Searches over many rows: filters, ranges of dates, one order, one page. Pure, no I/O.

A market has two kinds of rows. The rows of an index never change and may be many: each order in
which they were asked for is kept. All other rows may change at any time, so a search reads each
of them again. One page of a search then costs no more than a look at the changed rows.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

__all__ = ["Condition", "Found", "Index", "Query", "Row", "Span", "equal"]

# The orders that an index keeps: a walk over two roles and two statuses needs four.
_MAX_ORDERS = 16


class Row(Protocol):
    """One entry of a search; its dates are numbers, and -1 is no date."""

    @property
    def id(self) -> int:
        """The positive number that no other row has, and that orders rows of the same date."""


R = TypeVar("R", bound=Row)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Condition(Generic[R]):
    """A test of rows; two conditions are equal if their keys are."""

    key: Hashable
    matches: Callable[[R], bool] = field(compare=False, repr=False)


def equal(name: str, value: int | str) -> Condition[R]:
    """Return the condition that this attribute of a row has this value."""
    return Condition((name, value), lambda row: bool(getattr(row, name) == value))


@dataclass(frozen=True, slots=True)
class Span:
    """A range of a date, from `first` to `last`, both inclusive."""

    date: str
    first: int
    last: int

    def contains(self, row: Row) -> bool:
        """Return True if the date of the row is in the range."""
        date: int = getattr(row, self.date)
        return self.first <= date <= self.last


@dataclass(frozen=True, slots=True)
class Query(Generic[R]):
    """A search: the rows that meet all conditions and spans, ordered by the date `sort`."""

    conditions: tuple[Condition[R], ...]
    spans: tuple[Span, ...]
    sort: str
    is_descending: bool
    offset: int
    limit: int

    def matches(self, row: R) -> bool:
        """Return True if the row meets all conditions and spans."""
        return all(condition.matches(row) for condition in self.conditions) and all(
            span.contains(row) for span in self.spans
        )

    def key(self, row: R) -> tuple[int, int]:
        """Return the place of the row in the ascending order."""
        return getattr(row, self.sort), row.id

    def window(self, total: int) -> tuple[int, int]:
        """Return the start and the end of the page in the ascending order."""
        start, end = min(self.offset, total), min(self.offset + self.limit, total)
        return (total - end, total - start) if self.is_descending else (start, end)


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """The result of a search: the number of all matching entries, and those of the page."""

    total: int
    rows: list[T]


class Index(Generic[R]):
    """Rows that never change; they are made by `make_rows` at the first search."""

    def __init__(self, make_rows: Callable[[], Sequence[R]] = tuple) -> None:
        self._make_rows = make_rows
        self._rows: Sequence[R] | None = None
        self._by_id: dict[int, R] = {}
        self._orders: OrderedDict[Hashable, list[R]] = OrderedDict()

    def search(
        self, query: Query[R], changed: Iterable[R] = (), replaced: Collection[int] = ()
    ) -> Found[R]:
        """Return one page of the matching rows.

        Args:
            query: The search.
            changed: The rows that are not those of the index.
            replaced: The ids of the rows of the index that do not count any more.
        """
        self._read_rows()
        changed, replaced = self._leave_out_equal(changed, replaced)
        kept = self._select(query)
        added = sorted(filter(query.matches, changed), key=query.key)
        gone = self._positions(query, kept, replaced)
        total = len(kept) - len(gone) + len(added)
        start, end = query.window(total)
        rows = _merge_page(query, kept, gone, added, start, end)
        return Found(total, rows[::-1] if query.is_descending else rows)

    def _select(self, query: Query[R]) -> list[R]:
        rows = self._order(query)
        for span in query.spans:
            if span.date == query.sort:
                first = bisect_left(rows, (span.first, 0), key=query.key)
                last = bisect_left(rows, (span.last + 1, 0), key=query.key)
                rows = rows[first:last]
        for span in query.spans:
            if span.date != query.sort:
                date = attrgetter(span.date)
                rows = [row for row in rows if span.first <= date(row) <= span.last]
        return rows

    def _leave_out_equal(
        self, changed: Iterable[R], replaced: Collection[int]
    ) -> tuple[list[R], list[int]]:
        """Return the changed and the replaced rows without those that are as they were."""
        others, same = [], set()
        for row in changed:
            if self._by_id.get(row.id) == row:
                same.add(row.id)
            else:
                others.append(row)
        return others, [number for number in replaced if number not in same]

    def _order(self, query: Query[R]) -> list[R]:
        name = (query.conditions, query.sort)
        if name in self._orders:
            self._orders.move_to_end(name)
            return self._orders[name]
        conditions = [condition.matches for condition in query.conditions]
        rows = [row for row in self._read_rows() if all(matches(row) for matches in conditions)]
        rows.sort(key=query.key)
        self._orders[name] = rows
        while len(self._orders) > _MAX_ORDERS:
            self._orders.popitem(last=False)
        return rows

    def _read_rows(self) -> Sequence[R]:
        if self._rows is None:
            self._rows = self._make_rows()
            self._by_id = {row.id: row for row in self._rows}
        return self._rows

    def _positions(self, query: Query[R], kept: list[R], replaced: Collection[int]) -> list[int]:
        """Return the positions in `kept` of the replaced rows, in ascending order."""
        rows = (self._by_id[number] for number in replaced if number in self._by_id)
        return sorted(
            bisect_left(kept, query.key(row), key=query.key) for row in rows if query.matches(row)
        )


def _merge_page(
    query: Query[R], kept: list[R], gone: list[int], added: list[R], start: int, end: int
) -> list[R]:
    # The place of each added row in the merged order, so that the rows before the page are
    # never looked at.
    places = []
    for number, row in enumerate(added):
        position = bisect_left(kept, query.key(row), key=query.key)
        places.append(position - bisect_left(gone, position) + number)
    passed = bisect_left(places, start)
    position = start - passed
    for number in gone:
        position += number <= position
    without = set(gone)
    rest = (kept[number] for number in range(position, len(kept)) if number not in without)
    return list(islice(merge(rest, added[passed:], key=query.key), end - start))
