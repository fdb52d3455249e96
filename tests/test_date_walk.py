"""The walk by date over lists that change: each row once, none missed, few requests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from functools import partial
from operator import attrgetter
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmsg import RuleError, TransportError
from mlmsg._date_walk import DateWalk, Span, as_moment

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
CAP: Final = 20
SIZE: Final = 5


@dataclass
class Row:
    """A row of the server, and the list that it is in."""

    id: int
    updated: datetime
    status: int


@dataclass
class Batch:
    """A page as the search answers it."""

    items: Sequence[Row]
    total: int


@dataclass
class Server:
    """A search that refuses what the real one refuses, and changes between its answers."""

    rows: list[Row]
    now: datetime
    change: Callable[["Server"], None] = lambda _: None
    requests: list[tuple[Span, int, int]] = field(default_factory=list)

    async def fetch(self, status: int, span: Span, offset: int, limit: int) -> Batch:
        self.requests.append((span, offset, limit))
        assert offset + limit < CAP or offset == 0, "400: offset + limit is too large"
        matching = sorted(
            (
                row
                for row in self.rows
                if row.status == status
                and span.begin <= row.updated
                and (span.end is None or row.updated < span.end)
            ),
            key=lambda row: (row.updated, row.id),
        )
        page = [Row(row.id, row.updated, row.status) for row in matching[offset : offset + limit]]
        self.now += timedelta(seconds=1)
        self.change(self)
        return Batch(page, len(matching))

    def update(self, row: Row, status: int) -> None:
        row.updated, row.status = self.now, status

    def walk(self) -> DateWalk[Row]:
        return DateWalk(
            lists=[partial(self.fetch, status) for status in (0, 1)],
            key=attrgetter("id"),
            updated=attrgetter("updated"),
            clock=lambda: self.now,
            cap=CAP,
            granularity=timedelta(milliseconds=1),
            page_size=SIZE,
            concurrency=1,
        )


def server(count: int) -> Server:
    step = timedelta(days=30) / max(count, 1)
    rows = [Row(number, EPOCH + number * step, number % 2) for number in range(count)]
    return Server(rows, EPOCH + timedelta(days=31))


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 30, 200])
async def test_each_row_comes_once(count: int) -> None:
    source = server(count)
    found = [row.id async for row in source.walk().rows(EPOCH, None)]
    assert sorted(found) == list(range(count))


async def test_slices_come_from_old_to_new() -> None:
    source = server(200)
    found = [row.updated async for row in source.walk().rows(EPOCH, None)]
    first, last = found[:20], found[-20:]
    assert max(first) < min(last)


async def test_the_span_is_kept() -> None:
    source = server(100)
    since, until = EPOCH + timedelta(days=10), EPOCH + timedelta(days=20)
    found = {row.id async for row in source.walk().rows(since, until)}
    assert found == {row.id for row in source.rows if since <= row.updated < until}


async def test_few_requests_are_made() -> None:
    source = server(400)
    assert len([row async for row in source.walk().rows(EPOCH, None)]) == 400
    least = 400 / (SIZE - 1)  # pages overlap by a row
    assert len(source.requests) < 1.8 * least


async def test_more_rows_of_one_moment_than_a_query_returns_are_an_error() -> None:
    rows = [Row(number, EPOCH, 0) for number in range(CAP + 1)]
    source = Server(rows, EPOCH + timedelta(days=1))
    with pytest.raises(TransportError, match="too many"):
        [row async for row in source.walk().rows(EPOCH, None)]


CHANGES = st.lists(st.tuples(st.integers(0, 59), st.integers(0, 1), st.booleans()), max_size=60)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(count=st.integers(0, 60), changes=CHANGES)
async def test_no_row_is_missed_and_none_comes_twice_while_rows_move(
    count: int, changes: list[tuple[int, int, bool]]
) -> None:
    """Between any two answers a row is updated, changes its list, or a new one comes."""
    left = list(changes)

    def change(source: Server) -> None:
        if left:
            number, status, is_new = left.pop()
            if is_new:
                source.rows.append(Row(1000 + len(source.rows), source.now, status))
            elif source.rows:
                source.update(source.rows[number % len(source.rows)], status)

    source = server(count)
    source.change = change
    there = {row.id for row in source.rows}
    found = [row.id async for row in source.walk().rows(EPOCH, None)]
    assert len(found) == len(set(found))
    assert there <= set(found)


MOMENTS: Final = {
    "utc": (EPOCH, EPOCH),
    "a zone": (datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-3))), EPOCH.replace(hour=3)),
    "a date": (date(2026, 1, 1), EPOCH),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_a_moment_is_an_aware_datetime_or_a_date(name: str) -> None:
    value, moment = MOMENTS[name]
    assert as_moment("since", value) == moment


@pytest.mark.parametrize("value", [datetime(2026, 1, 1), "2026-01-01", 5, None])  # noqa: DTZ001
def test_a_naive_datetime_is_refused(value: object) -> None:
    with pytest.raises(RuleError, match="`since`"):
        as_moment("since", value)  # type: ignore[arg-type]
