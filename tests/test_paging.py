"""The walk over a thread that grows and shrinks, under servers that cap, and hide, what they tell.

No test waits for a clock: a server answers after so many turns of the loop, or when it is told to.
"""

import asyncio
import gc
import math
from collections.abc import Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlmsg import RuleError, TransportError
from mlmsg.paging import MAX_STALE_PAGES, Page, walk


@dataclass(frozen=True)
class Batch:
    """One page of numbers."""

    items: Sequence[int]
    total: int | None


@dataclass(frozen=True)
class Change:
    """What happens to a thread: items vanish at a place, then new ones come in at another.

    Both places are between 0, the front, and 1, the end.
    """

    gone: int = 0
    gone_at: float = 0.0
    come: int = 0
    come_at: float = 0.0


@dataclass
class Thread:
    """A server with a thread of numbers.

    Attributes:
        items: What is there now.
        cap: The most it gives at a time.
        tells_total: Whether its pages name the total.
        changes: What happens before the first answer, before the second, and so on.
        shorts: How many items the first answer holds at most, the second, and so on.
        turns: The turns of the loop before each answer is made, and then before it arrives.
        asked: The offset and limit of every request.
        busy: Requests that are not answered yet, and `busiest` the most there ever were.
        new: Items that come in during the walk; no item comes back.
    """

    items: list[int]
    cap: int = 50
    tells_total: bool = True
    changes: list[list[Change]] = field(default_factory=list)
    shorts: list[int] = field(default_factory=list)
    turns: list[tuple[int, int]] = field(default_factory=list)
    asked: list[tuple[int, int]] = field(default_factory=list)
    busy: int = 0
    busiest: int = 0
    new: Iterator[int] = field(default_factory=partial(count, 1_000_000))

    async def fetch(self, offset: int, limit: int) -> Page[int]:
        self.asked.append((offset, limit))
        assert len(self.asked) < 3000, "the walk has no end"
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            before, after = self.turns.pop(0) if self.turns else (0, 0)
            await pass_turns(before)
            page = self.answer(offset, limit)
            await pass_turns(after)
        finally:
            self.busy -= 1
        return page

    def answer(self, offset: int, limit: int) -> Batch:
        for change in self.changes.pop(0) if self.changes else ():
            self.change(change)
        length = min(limit, self.cap, self.shorts.pop(0) if self.shorts else limit)
        items = self.items[offset : offset + length]
        return Batch(items, len(self.items) if self.tells_total else None)

    def change(self, change: Change) -> None:
        at = round(change.gone_at * len(self.items))
        del self.items[at : at + change.gone]
        at = round(change.come_at * len(self.items))
        self.items[at:at] = [next(self.new) for _ in range(change.come)]

    @property
    def offsets(self) -> list[int]:
        return [offset for offset, _ in self.asked]


async def pass_turns(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


def thread(size: int, cap: int = 50, *, tells_total: bool = True) -> Thread:
    return Thread(list(range(size)), cap, tells_total)


def itself(item: int) -> int:
    return item


async def walked(
    server: Thread, limit: int, concurrency: int = 8, pauses: Sequence[int] = ()
) -> list[int]:
    """What a walk finds, by a reader that lets so many turns pass after each item."""
    found: list[int] = []
    async for item in walk(server.fetch, itself, limit=limit, concurrency=concurrency):
        found.append(item)
        await pass_turns(pauses[len(found) % len(pauses)] if pauses else 0)
    return found


def assert_exact(found: list[int], size: int, left: list[int]) -> None:
    """Each once; what stayed of the first `size` is all there, in the thread's order."""
    assert len(set(found)) == len(found)
    stayed = [item for item in left if item < size]
    assert [item for item in found if item in set(stayed)] == stayed


# Every item once, while the thread changes --------------------------------------------------

PLACES = st.floats(0, 1)
COUNTS = st.integers(0, 4) | st.integers(0, 40)
CHANGE = st.builds(Change, gone=COUNTS, gone_at=PLACES, come=COUNTS, come_at=PLACES)
# What leaves the total as it is: no total tells of it.
EXCHANGE = st.builds(
    lambda count, at, to: Change(count, at, count, to), st.integers(1, 12), PLACES, PLACES
)
CHANGES = st.lists(st.lists(CHANGE | EXCHANGE, max_size=3), max_size=25)
SIZES, LIMITS, CAPS = st.integers(0, 120), st.integers(1, 40), st.integers(2, 40)
CONCURRENCIES = st.integers(1, 9)
TURNS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=40)
PAUSES = st.lists(st.integers(0, 5), max_size=5)


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(
    size=SIZES,
    limit=LIMITS,
    cap=CAPS,
    changes=CHANGES,
    shorts=st.lists(st.integers(2, 40), max_size=30),
    concurrency=CONCURRENCIES,
    turns=TURNS,
    pauses=PAUSES,
)
@example(  # one gone, one come: the total stays as it is, and 3 moves to where 2 was
    size=9, limit=3, cap=9, changes=[[], [Change(1, 0, 1, 1)]], shorts=[], concurrency=1, turns=[],
    pauses=[],
)  # fmt: skip
@example(  # all that was read vanishes
    size=60, limit=5, cap=9, changes=[[]] * 8 + [[Change(30, 0)]], shorts=[], concurrency=4,
    turns=[], pauses=[],
)  # fmt: skip
@example(  # the last page of the plan is answered first, before the front grows
    size=40, limit=5, cap=9, changes=[[], [], [Change(0, 0, 20, 0)]], shorts=[], concurrency=8,
    turns=[(0, 0), (6, 0), (5, 0), (4, 0), (3, 0), (2, 0), (1, 0), (0, 0)], pauses=[],
)  # fmt: skip
async def test_what_stays_comes_once_and_in_order_while_the_thread_grows_and_shrinks(
    size: int,
    limit: int,
    cap: int,
    changes: list[list[Change]],
    shorts: list[int],
    concurrency: int,
    turns: list[tuple[int, int]],
    pauses: list[int],
) -> None:
    server = Thread(list(range(size)), cap, changes=changes, shorts=shorts, turns=turns)
    found = await walked(server, limit, concurrency, pauses)
    assert_exact(found, size, server.items)
    assert server.busiest <= concurrency
    assert server.busy == 0


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(size=SIZES, limit=LIMITS, cap=CAPS, changes=CHANGES, concurrency=CONCURRENCIES)
@example(size=8, limit=3, cap=9, changes=[[], [], [], [Change(4, 0)]], concurrency=8)
@example(size=9, limit=3, cap=9, changes=[[], [], [Change(0, 0, 9, 0)]], concurrency=8)
@example(  # a full page ends where the thread was empty a moment ago, and has more behind it
    size=8, limit=2, cap=2, changes=[[]] * 5 + [[Change(5, 0)], [], [Change(0, 0, 3, 0)]],
    concurrency=1,
)  # fmt: skip
@example(  # the end was found, and then moves
    size=5, limit=2, cap=2, changes=[[], [], [], [], [Change(2, 0)], [Change(0, 0, 2, 0)]],
    concurrency=1,
)  # fmt: skip
async def test_what_stays_comes_once_and_in_order_without_a_total(
    size: int, limit: int, cap: int, changes: list[list[Change]], concurrency: int
) -> None:
    server = Thread(list(range(size)), cap, tells_total=False, changes=changes)
    assert_exact(await walked(server, limit, concurrency), size, server.items)


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(
    size=st.integers(0, 40),
    counts=st.lists(st.tuples(st.integers(0, 5), PLACES), max_size=12),
    shrinks=st.booleans(),
    concurrency=CONCURRENCIES,
    turns=TURNS,
)
@example(size=5, counts=[(0, 0), (1, 0)], shrinks=True, concurrency=1, turns=[])
async def test_one_item_at_a_time_is_exact_while_the_thread_only_grows_or_only_shrinks(
    size: int,
    counts: list[tuple[int, float]],
    shrinks: bool,
    concurrency: int,
    turns: list[tuple[int, int]],
) -> None:
    changes = [[Change(n, at) if shrinks else Change(0, 0, n, at)] for n, at in counts]
    server = Thread(list(range(size)), 1, changes=changes, turns=turns)
    assert_exact(await walked(server, 1, concurrency), size, server.items)


@pytest.mark.parametrize("tells_total", [True, False])
async def test_growth_by_more_than_a_page_at_once_ends_no_walk(tells_total: bool) -> None:
    server = thread(30, cap=5, tells_total=tells_total)
    server.changes = [[], [], [Change(0, 0, 40, 0)], [], [Change(0, 0, 12, 0)]]
    assert_exact(await walked(server, 5), 30, server.items)


async def test_going_over_a_long_walk_once_more_is_no_fault_of_the_server() -> None:
    server = thread(700)
    server.changes = [[]] * 450 + [[Change(300, 0)]]
    assert_exact(await walked(server, 2, concurrency=1), 700, server.items)


async def test_an_item_that_vanishes_during_the_walk_hides_no_other() -> None:
    server = thread(6, cap=2)
    found: list[int] = []
    async with aclosing(walk(server.fetch, itself, limit=2)) as items:
        async for item in items:
            found.append(item)
            if item == 1:
                server.items.remove(0)
    assert found == [0, 1, 2, 3, 4, 5]


# What a thread at rest costs ----------------------------------------------------------------


@pytest.mark.slow
@settings(deadline=None)
@given(size=SIZES, limit=LIMITS, cap=CAPS, concurrency=CONCURRENCIES, turns=TURNS)
async def test_a_thread_at_rest_is_asked_for_no_more_than_its_pages(
    size: int, limit: int, cap: int, concurrency: int, turns: list[tuple[int, int]]
) -> None:
    server = thread(size, cap)
    server.turns = turns
    assert await walked(server, limit, concurrency) == server.items
    limit = max(limit, 2)
    step = min(limit, cap) - 1
    pages = max(1, math.ceil((size - 1) / step))
    assert server.asked == [(step * page, limit) for page in range(pages)]


async def test_a_server_that_caps_the_limit_is_followed() -> None:
    server = thread(25, cap=10)
    assert await walked(server, 50) == server.items
    assert server.asked == [(0, 50), (9, 50), (18, 50)]


@pytest.mark.parametrize("tells_total", [True, False])
async def test_one_item_at_a_time_costs_a_request_each(tells_total: bool) -> None:
    server = thread(5, cap=1, tells_total=tells_total)
    assert await walked(server, 50) == server.items
    assert server.offsets == [0, 1, 2, 3, 4, *([] if tells_total else [5, 4])]


@settings(deadline=None, max_examples=200)
@given(
    size=SIZES,
    shorts=st.lists(st.integers(1, 12), max_size=150),
    tells_total=st.booleans(),
    concurrency=CONCURRENCIES,
)
@example(size=5, shorts=[3, 1, 1, 2, 1, 1], tells_total=False, concurrency=1)
async def test_pages_shorter_than_asked_end_no_walk(
    size: int, shorts: list[int], tells_total: bool, concurrency: int
) -> None:
    server = thread(size, cap=12, tells_total=tells_total)
    server.shorts = shorts
    assert await walked(server, 12, concurrency) == server.items


async def test_a_short_page_costs_one_more_and_the_pages_ahead_are_kept() -> None:
    server = thread(50)
    server.shorts = [10, 10, 4]
    assert await walked(server, 10) == server.items
    assert server.offsets == [0, 9, 18, 27, 36, 45, 21]


async def test_a_gap_is_stepped_over_from_further_back_each_time_and_then_anew() -> None:
    server = thread(200, cap=11)
    server.changes = [[]] * 8 + [[Change(60, 0)]] + [[]] * 8 + [[Change(1, 0)]]
    found = await walked(server, 50, concurrency=1)
    assert_exact(found, 200, server.items)
    forth, back, again = [0, 10, 20, 30, 40, 50, 60, 70], [80, 70, 50, 10], [20, 30, 40, 50, 60]
    assert server.offsets == [*forth, *back, *again, 70, 60, 70, 80, 90, 100, 110, 120, 130]


# Servers that tell no total, or a wrong one -------------------------------------------------


@pytest.mark.parametrize(
    ("size", "offsets"),
    [(0, [0]), (1, [0, 1, 0]), (4, [0, 1, 2, 3, 4, 3]), (5, [0, 1, 2, 3, 4, 5, 4])],
)
async def test_without_a_total_an_empty_page_and_one_before_it_end_the_walk(
    size: int, offsets: list[int]
) -> None:
    server = thread(size, cap=2, tells_total=False)
    assert await walked(server, 2) == server.items
    assert server.offsets == offsets


async def test_without_a_total_a_short_page_before_an_empty_one_is_not_yet_the_end() -> None:
    server = thread(27, cap=10, tells_total=False)
    server.changes = [[], [], [Change(9, 0)]]
    server.shorts = [10, 10, 10, 3]
    assert await walked(server, 10) == list(range(27))
    assert server.offsets[:5] == [0, 9, 18, 9, 11]


async def test_where_a_thread_was_empty_a_while_ago_is_not_its_end() -> None:
    server = thread(27, cap=10, tells_total=False)
    server.changes = [[], [], [Change(9, 0)], [Change(0, 0, 9, 0)]]
    server.shorts = [10, 10, 10, 5, 5]
    assert await walked(server, 10) == list(range(27))
    assert server.offsets[:6] == [0, 9, 18, 9, 13, 17]


def untrue(total: int | None, items: Sequence[int] = (3, 2, 1)) -> Thread:
    """A thread at rest that tells this total, whatever it holds."""

    class Untrue(Thread):
        def answer(self, offset: int, limit: int) -> Batch:
            return Batch(super().answer(offset, limit).items, total)

    return Untrue(list(items))


async def test_a_total_that_is_too_large_ends_with_an_empty_page() -> None:
    server = untrue(1_000_000)
    assert await walked(server, 2, concurrency=1) == [3, 2, 1]
    assert server.offsets == [0, 1, 2, 3, 2]
    server = untrue(1_000_000)
    assert await walked(server, 2, concurrency=8) == [3, 2, 1]
    assert len(server.asked) < 16


class Repeating(Thread):
    """Answers an offset beyond the end with the last page."""

    def answer(self, offset: int, limit: int) -> Batch:
        offset = min(offset, max(len(self.items) - limit, 0))
        return super().answer(offset, limit)


@pytest.mark.parametrize("tells_total", [True, False])
@pytest.mark.parametrize("size", [0, 3, 10, 11])
async def test_a_last_page_that_is_repeated_for_ever_ends_the_walk(
    size: int, tells_total: bool
) -> None:
    server = Repeating(list(range(size)), tells_total=tells_total)
    assert await walked(server, 5) == server.items
    assert len(server.asked) < 120


async def test_a_last_page_in_place_of_those_that_vanished_is_followed() -> None:
    server = Repeating(list(range(40)))
    server.changes = [[]] * 6 + [[Change(25, 0)]]
    assert_exact(await walked(server, 5, concurrency=1), 40, server.items)


async def test_a_server_that_repeats_itself_short_of_its_own_total_is_given_up() -> None:
    asked: list[int] = []

    async def fetch(offset: int, limit: int) -> Page[int]:
        asked.append(offset)
        return Batch([3, 2, 1], 10_000)

    items = walk(fetch, itself)
    assert [await anext(items) for _ in range(3)] == [3, 2, 1]
    with pytest.raises(TransportError, match="nothing new"):
        await anext(items)
    assert len(asked) < 120


async def test_a_server_that_repeats_itself_is_forgiven_when_the_end_comes_at_last() -> None:
    asked: list[int] = []

    async def fetch(offset: int, limit: int) -> Page[int]:
        asked.append(offset)
        return Batch([3, 2, 1], 10_000 if len(asked) < MAX_STALE_PAGES + 3 else offset + 3)

    assert [item async for item in walk(fetch, itself, concurrency=1)] == [3, 2, 1]


@pytest.mark.parametrize("total", [1000, None])
async def test_ids_that_never_come_twice_have_an_end(total: int | None) -> None:
    asked: list[int] = []

    async def fetch(offset: int, limit: int) -> Page[int]:
        asked.append(offset)
        assert len(asked) < 500, "the walk has no end"
        return Batch([len(asked) * 10 + n for n in range(5)], total)

    items = walk(fetch, itself, limit=5)
    if total is None:
        assert [item async for item in items]
    else:
        with pytest.raises(TransportError, match="nothing new"):
            assert not [item async for item in items]


@pytest.mark.parametrize("limit", [3, 9])
async def test_items_are_told_apart_by_their_key(limit: int) -> None:
    server = Thread([9, 8, 7, 6, 5, 4, 3, 2, 1])
    found = [item async for item in walk(server.fetch, lambda item: item % 4, limit=limit)]
    assert found == [9, 8, 7, 6]


# How many pages, and when -------------------------------------------------------------------


@dataclass
class Held(Thread):
    """Answers when it is told to: `deliver(offset)` gives the page at `offset`."""

    waiting: dict[int, asyncio.Future[None]] = field(default_factory=dict)

    async def fetch(self, offset: int, limit: int) -> Page[int]:
        self.asked.append((offset, limit))
        self.waiting[offset] = asyncio.get_running_loop().create_future()
        self.busy += 1
        try:
            await self.waiting[offset]
        finally:
            self.busy -= 1
            del self.waiting[offset]
        return self.answer(offset, limit)

    async def deliver(self, *offsets: int, error: Exception | None = None) -> None:
        for offset in offsets:
            if error is None:
                self.waiting[offset].set_result(None)
            else:
                self.waiting[offset].set_exception(error)
        await settle()


async def settle() -> None:
    """Lets everything happen that can."""
    await pass_turns(20)


@dataclass
class Reader:
    """A walk read in a task of its own."""

    server: Held
    concurrency: int = 4
    wanted: int = 1000
    found: list[int] = field(default_factory=list)

    async def run(self) -> None:
        items = walk(self.server.fetch, itself, limit=5, concurrency=self.concurrency)
        async with aclosing(items):
            async for item in items:
                self.found.append(item)
                if len(self.found) == self.wanted:
                    break


def held(size: int = 37) -> Held:
    return Held(list(range(size)))


async def begun(reader: Reader) -> asyncio.Task[None]:
    """The reader, with the first page read and the window full."""
    task = asyncio.create_task(reader.run())
    await settle()
    assert sorted(reader.server.waiting) == [0]
    await reader.server.deliver(0)
    return task


async def test_the_first_page_comes_alone_and_then_a_sliding_window_in_order() -> None:
    server = held(34)
    reader = Reader(server)
    task = await begun(reader)
    assert sorted(server.waiting) == [4, 8, 12, 16]
    await server.deliver(16, 8)
    assert (reader.found, sorted(server.waiting)) == ([0, 1, 2, 3, 4], [4, 12])
    await server.deliver(4)
    assert reader.found == list(range(13))  # the page at 8 was there already
    assert sorted(server.waiting) == [12, 20, 24]
    await server.deliver(20, 12)
    assert reader.found == list(range(25))
    assert sorted(server.waiting) == [24, 28, 32]  # the thread's last page is the one at 32
    await server.deliver(24, 28, 32)
    await task
    assert reader.found == server.items
    assert len(server.asked) == 9


@pytest.mark.parametrize("concurrency", [1, 2, 5])
async def test_what_waits_for_a_slow_reader_is_bounded(concurrency: int) -> None:
    server = thread(200)
    server.turns = [(1, 0)] * 100
    read = 0
    async for _ in walk(server.fetch, itself, limit=5, concurrency=concurrency):
        read += 1
        await settle()
        pages_begun = 1 + max(read - 2, 0) // 4
        assert len(server.asked) - pages_begun <= concurrency - 1
    assert read == 200
    assert server.busiest == concurrency


async def test_pages_are_fetched_only_when_they_are_wanted() -> None:
    server = thread(10, cap=3)
    items = walk(server.fetch, itself, limit=3, concurrency=1)
    async with aclosing(items):
        await settle()
        assert server.asked == []
        for item, pages in [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3)]:
            assert await anext(items) == item
            await settle()
            assert len(server.asked) == pages


async def test_nothing_is_fetched_ahead_before_the_first_page_is_used_up() -> None:
    server = thread(100)
    async with aclosing(walk(server.fetch, itself, limit=5)) as items:
        assert [await anext(items) for _ in range(5)] == [0, 1, 2, 3, 4]
        await settle()
        assert len(server.asked) == 1


async def test_the_plan_follows_a_total_that_moves() -> None:
    server = held(9)
    reader = Reader(server)
    task = await begun(reader)
    assert sorted(server.waiting) == [4]
    server.items += range(9, 25)
    await server.deliver(4)
    assert sorted(server.waiting) == [8, 12, 16, 20]
    del server.items[13:]
    await server.deliver(8)
    await task
    assert reader.found == list(range(13))
    assert server.busy == 0


# The end of a walk: nothing is left ---------------------------------------------------------


@pytest.fixture
async def reports() -> list[str]:
    """What the running loop reports, such as a failure that nobody looked at."""
    found: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: found.append(str(context)))
    return found


async def assert_nothing_left(server: Thread, reports: list[str]) -> None:
    gc.collect()
    await settle()
    assert server.busy == 0
    assert len(asyncio.all_tasks()) == 1
    assert reports == []


async def test_a_walk_that_is_left_early_cancels_the_rest(reports: list[str]) -> None:
    server = held()
    task = await begun(Reader(server, wanted=7))
    await server.deliver(8)
    assert server.busy == 3
    await server.deliver(4)
    assert task.done()
    await assert_nothing_left(server, reports)
    assert len(server.asked) == 5


async def test_a_loop_that_is_just_broken_out_of_cancels_the_rest(reports: list[str]) -> None:
    server = thread(100)
    server.turns = [(0, 0), (0, 0), *[(10_000, 0)] * 20]
    async for item in walk(server.fetch, itself, limit=5):
        if item == 6:
            break
    assert server.busy == 7
    await assert_nothing_left(server, reports)


async def test_a_generator_is_closed_by_another_task_and_gives_nothing_more() -> None:
    server = thread(100)
    server.turns = [(0, 0), (0, 0), *[(10_000, 0)] * 20]
    items = walk(server.fetch, itself, limit=5)
    assert [await anext(items) for _ in range(6)] == [0, 1, 2, 3, 4, 5]
    assert server.busy == 7
    await asyncio.create_task(items.aclose())
    assert server.busy == 0
    with pytest.raises(StopAsyncIteration):
        await anext(items)
    assert len(server.asked) == 9


async def test_a_walk_that_is_never_begun_asks_for_nothing() -> None:
    server = thread(10)
    await walk(server.fetch, itself).aclose()
    assert server.asked == []


async def test_cancelling_the_reader_cancels_what_is_on_its_way(reports: list[str]) -> None:
    server = held()
    task = await begun(Reader(server))
    assert server.busy == 4
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert server.busy == 0
    await assert_nothing_left(server, reports)


async def test_a_second_cancellation_does_not_leave_the_rest_behind() -> None:
    server = thread(100)
    server.turns = [(0, 0), *[(10_000, 0)] * 20]
    ended: list[int] = []

    async def fetch(offset: int, limit: int) -> Page[int]:
        try:
            return await server.fetch(offset, limit)
        finally:
            for _ in range(100 if offset else 0):  # work that goes on whatever happens
                with suppress(asyncio.CancelledError):
                    await pass_turns(1)
            ended.append(offset)

    async def read() -> None:
        async for _ in walk(fetch, itself, limit=5):
            pass

    task = asyncio.create_task(read())
    for _ in range(3):
        await settle()
        assert not task.done()
        task.cancel()
    await pass_turns(100)
    assert task.cancelled()
    assert sorted(ended) == [0, 4, 8, 12, 16, 20, 24, 28, 32]


async def test_a_timeout_around_the_loop_ends_it() -> None:
    server = held()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await Reader(server).run()
    assert server.busy == 0


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("failing", [0, 1, 3])
async def test_a_failing_page_raises_after_what_came_before_it(
    failing: int, concurrency: int, reports: list[str]
) -> None:
    server = thread(40)
    server.turns = [(0, 0), *[(n, 0) for n in (9, 7, 5, 3, 1, 0, 0, 0)]]
    failure = ConnectionResetError("the page is lost")

    async def fetch(offset: int, limit: int) -> Page[int]:
        if offset == failing * 4:
            raise failure
        return await server.fetch(offset, limit)

    items = walk(fetch, itself, limit=5, concurrency=concurrency)
    before = server.items[: failing * 4 + 1 if failing else 0]
    assert [await anext(items) for _ in before] == before
    with pytest.raises(ConnectionResetError) as raised:
        await anext(items)
    assert raised.value is failure
    await assert_nothing_left(server, reports)


async def test_pages_that_are_not_needed_any_more_may_fail(reports: list[str]) -> None:
    server = held()
    reader = Reader(server)
    task = await begun(reader)
    del server.items[8:]
    await server.deliver(8, 12, error=LookupError("no such offset"))
    await server.deliver(4)
    await task
    assert reader.found == server.items
    await assert_nothing_left(server, reports)


@pytest.mark.parametrize("name", ["limit", "concurrency"])
@pytest.mark.parametrize("value", [0, -1, True])
async def test_a_number_of_pages_or_items_that_cannot_be_is_refused_at_once(
    name: str, value: int
) -> None:
    with pytest.raises(RuleError, match=f"`{name}`.*found {value}"):
        walk(thread(3).fetch, itself, **{name: value})


async def test_an_empty_first_page_that_tells_of_more_is_asked_for_once_again() -> None:
    answers = [Batch([], 3), Batch([3, 2, 1], 3)]
    asked: list[int] = []

    async def fetch(offset: int, limit: int) -> Page[int]:
        asked.append(offset)
        return answers.pop(0)

    assert [item async for item in walk(fetch, itself)] == [3, 2, 1]
    assert asked == [0, 0]


async def test_a_thread_that_stays_empty_is_empty_whatever_its_total_says() -> None:
    asked: list[int] = []

    async def fetch(offset: int, limit: int) -> Page[int]:
        asked.append(offset)
        return Batch([], 30)

    assert [item async for item in walk(fetch, itself)] == []
    assert asked == [0, 0]
