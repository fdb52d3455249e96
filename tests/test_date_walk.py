"""The walk by date over lists that change: each row once, none missed, few requests."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from functools import partial
from itertools import pairwise
from operator import attrgetter
from types import SimpleNamespace
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from mlmsg import RuleError, TransportError
from mlmsg._date_walk import DateWalk, Fetch, Span, as_moment

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
CAP: Final = 20
SIZE: Final = 5
SECOND: Final = timedelta(seconds=1)


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
    total: int | None


@dataclass
class Server:
    """A search that refuses what the real one refuses, and changes between its answers."""

    rows: list[Row]
    now: datetime
    change: Callable[["Server"], None] = lambda _: None
    before: Callable[["Server", int], None] = lambda _, __: None
    rounds_to: timedelta = timedelta(milliseconds=1)
    skew: timedelta = timedelta()  # of our clock, until so many responses have come
    skewed_responses: int = 0
    requests: list[tuple[Span, int, int]] = field(default_factory=list)
    totals: list[int] = field(default_factory=list)

    async def fetch(self, status: int, span: Span, offset: int, limit: int) -> Batch:
        self.requests.append((span, offset, limit))
        self.before(self, status)
        assert offset + limit < CAP or offset == 0, "400: offset + limit is too large"
        step = self.rounds_to
        begin = EPOCH + (span.begin - EPOCH) // step * step
        end = None if span.end is None else EPOCH + -((EPOCH - span.end) // step) * step
        matching = sorted(
            (
                row
                for row in self.rows
                if row.status == status
                and begin <= row.updated
                and (end is None or row.updated < end)
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
            clock=self.clock,
            cap=CAP,
            granularity=self.rounds_to,
            page_size=SIZE,
            concurrency=1,
            on_total=self.totals.append,
        )

    def clock(self) -> datetime:
        """Return the time that the client takes for that of the server."""
        is_skewed = len(self.requests) <= self.skewed_responses
        return self.now + self.skew if is_skewed else self.now

    @contextmanager
    def time(self) -> Iterator[None]:
        """Let the monotonic clock of the client go as the server's clock does."""
        with pytest.MonkeyPatch.context() as patch:
            clock = SimpleNamespace(monotonic=lambda: (self.now - EPOCH) / SECOND)
            patch.setattr("mlmsg._date_walk.time", clock)
            yield


def server(count: int) -> Server:
    step = timedelta(days=30) / max(count, 1)
    rows = [Row(number, EPOCH + number * step, number % 2) for number in range(count)]
    return Server(rows, EPOCH + timedelta(days=31))


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 30, 200])
async def test_each_row_comes_once(count: int) -> None:
    source = server(count)
    found = [row.id async for row in source.walk().rows(EPOCH, None)]
    assert sorted(found) == list(range(count))


async def test_slices_come_from_old_to_new_and_in_a_slice_the_lists_one_by_one() -> None:
    source = server(200)
    found = [(row.updated, row.status) async for row in source.walk().rows(EPOCH, None)]
    slices: list[list[tuple[datetime, int]]] = [[]]
    for row in found:
        if slices[-1] and row[1] < slices[-1][-1][1]:  # the first list begins again
            slices.append([])
        slices[-1].append(row)
    assert len(slices) == 8
    assert all(max(one)[0] < min(other)[0] for one, other in pairwise(slices))
    assert all(rows == sorted(rows, key=lambda row: (row[1], row[0])) for rows in slices)


async def test_the_span_is_kept() -> None:
    source = server(100)
    since, until = EPOCH + timedelta(days=10), EPOCH + timedelta(days=20)
    found = {row.id async for row in source.walk().rows(since, until)}
    assert found == {row.id for row in source.rows if since <= row.updated < until}


async def test_a_search_that_rounds_times_yields_no_row_outside_of_the_span() -> None:
    source = server(100)
    source.rounds_to = timedelta(hours=1)
    since, until = EPOCH + timedelta(days=9, minutes=50), EPOCH + timedelta(days=20, minutes=10)
    source.rows += [Row(200, since - timedelta(minutes=1), 0), Row(201, until, 1)]
    found = {row.id async for row in source.walk().rows(since, until)}
    assert found == {row.id for row in source.rows if since <= row.updated < until}
    assert {200, 201}.isdisjoint(found)
    assert source.totals[-1] == len(found) < source.totals[0]


async def test_the_total_is_known_with_the_first_row_and_true_at_the_end() -> None:
    source = server(200)
    rows = source.walk().rows(EPOCH, None)
    async with aclosing(rows):
        await anext(rows)
        assert source.totals == [200]
        async for _ in rows:
            pass
    assert source.totals == [200]


async def test_the_total_counts_what_is_yielded_and_not_rows() -> None:
    source = server(40)
    walk = structs.replace(source.walk(), unit=lambda row: row.id // 4)
    found = [row.id // 4 async for row in walk.rows(EPOCH, None)]
    assert sorted(found) == list(range(10))
    assert source.totals[0] == 40
    assert source.totals[-1] == 10
    assert source.totals == sorted(source.totals, reverse=True)


async def test_a_server_without_totals_is_walked_in_slices_too() -> None:
    source = server(100)
    walk = source.walk()
    without = [partial(_without_total, fetch) for fetch in walk.lists]
    found = [row.id async for row in structs.replace(walk, lists=without).rows(EPOCH, None)]
    assert sorted(found) == list(range(100))


async def _without_total(fetch: Fetch[Row], span: Span, offset: int, limit: int) -> Batch:
    page = await fetch(span, offset, limit)
    return Batch(page.items, None)


async def test_few_requests_are_made() -> None:
    source = server(400)
    assert len([row async for row in source.walk().rows(EPOCH, None)]) == 400
    least = 400 / (SIZE - 1)  # pages overlap by a row
    assert len(source.requests) < 1.8 * least


STEPS: Final = {timedelta(hours=1): 6, timedelta(milliseconds=1): 28}
"""What a search ignores, and the slices of a day until it is reached."""


@pytest.mark.parametrize("step", STEPS)
async def test_more_rows_of_one_moment_than_a_query_returns_are_an_error(step: timedelta) -> None:
    rows = [Row(number, EPOCH, 0) for number in range(CAP + 1)]
    source = Server(rows, EPOCH + timedelta(days=1), rounds_to=step)
    with pytest.raises(TransportError, match="too many"):
        [row async for row in source.walk().rows(EPOCH, None)]
    assert len(source.requests) <= 2 * STEPS[step]


CHANGES = st.lists(st.tuples(st.integers(0, 59), st.integers(0, 1), st.booleans()), max_size=60)


@pytest.mark.slow
@settings(max_examples=200)
@given(count=st.integers(0, 60), changes=CHANGES)
async def test_no_row_is_missed_and_none_comes_twice_while_rows_move(
    count: int, changes: list[tuple[int, int, bool]]
) -> None:
    """Between any two answers a row is updated, changes its list, or a new one comes."""
    left = list(changes)  # taken from the end

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
    with source.time(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlmsg._date_walk.CLOCK_TOLERANCE", timedelta(seconds=1))
        found = [row.id async for row in source.walk().rows(EPOCH, None)]
    assert len(found) == len(set(found))
    assert there <= set(found)


@pytest.mark.parametrize("moves", range(5))
async def test_a_row_that_evades_the_lists_as_they_are_read_is_found(moves: int) -> None:
    source = server(1)
    left = iter(range(moves))

    def evade(server: Server, status: int) -> None:
        (row,) = server.rows
        if row.status == status and next(left, None) is not None:
            server.update(row, 1 - status)

    source.before = evade
    with source.time():
        assert [row.id async for row in source.walk().rows(EPOCH, None)] == [0]


async def test_a_clock_that_stays_some_seconds_wrong_hides_nothing() -> None:
    source = server(2)
    source.skew, source.skewed_responses = timedelta(seconds=30), 100

    def move_once(server: Server, status: int) -> None:
        if server.rows[1].status == status == 1:  # the first list was read
            server.update(server.rows[1], 0)

    source.before = move_once
    with source.time():
        found = [row.id async for row in source.walk().rows(EPOCH, None)]
    assert sorted(found) == [0, 1]


@pytest.mark.parametrize("minutes", [-90, 0, 90])
async def test_rows_that_move_are_found_by_a_clock_that_was_wrong_at_first(minutes: int) -> None:
    """Our clock may be wrong until the first response shows the server's."""
    source = server(60)
    source.skew = timedelta(minutes=minutes)
    moved = iter(source.rows[::-1])

    def change(server: Server) -> None:
        server.now += timedelta(minutes=1)
        if (row := next(moved, None)) is not None:
            server.update(row, row.status)

    source.change = change
    with source.time():
        found = [row.id async for row in source.walk().rows(EPOCH, None)]
    assert sorted(found) == list(range(60))


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
