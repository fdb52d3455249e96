"""The walk over a thread that grows and shrinks, under servers that cap their pages or hide totals.

No test waits for a clock: a server answers after a number of turns of the loop.
"""

import math
from collections.abc import Sequence
from contextlib import aclosing

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from threads import Batch, Change, Thread, assert_exact, itself, thread, walk_all

from mlmsg import RuleError, TransportError
from mlmsg._walk_state import MAX_STALE_PAGES
from mlmsg.paging import Page, walk

# --- every item once, while the thread changes --------------------------------------------

PLACES = st.floats(0, 1)
COUNTS = st.integers(0, 4) | st.integers(0, 40)
CHANGE = st.builds(Change, removed=COUNTS, removed_at=PLACES, added=COUNTS, added_at=PLACES)
# A change that keeps the total cannot be seen in it.
EXCHANGE = st.builds(
    lambda count, at, to: Change(count, at, count, to), st.integers(1, 12), PLACES, PLACES
)
CHANGES = st.lists(st.lists(CHANGE | EXCHANGE, max_size=3), max_size=25)
SIZES, LIMITS, CAPS = st.integers(0, 120), st.integers(1, 40), st.integers(2, 40)
CONCURRENCIES = st.integers(1, 9)
TURNS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=40)
PAUSES = st.lists(st.integers(0, 5), max_size=5)


@pytest.mark.slow
@settings(max_examples=300)
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
@example(  # one removed, one added: the total stays, and 3 moves to the place of 2
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
    found = await walk_all(server, limit, concurrency, pauses)
    assert_exact(found, size, server.items)
    assert server.busiest <= concurrency
    assert server.busy == 0


@pytest.mark.slow
@settings(max_examples=200)
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
    server = Thread(list(range(size)), cap, sends_total=False, changes=changes)
    assert_exact(await walk_all(server, limit, concurrency), size, server.items)


@pytest.mark.slow
@settings(max_examples=200)
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
    assert_exact(await walk_all(server, 1, concurrency), size, server.items)


@pytest.mark.parametrize("sends_total", [True, False])
async def test_growth_by_more_than_a_page_at_once_ends_no_walk(sends_total: bool) -> None:
    server = thread(30, cap=5, sends_total=sends_total)
    server.changes = [[], [], [Change(0, 0, 40, 0)], [], [Change(0, 0, 12, 0)]]
    assert_exact(await walk_all(server, 5), 30, server.items)


async def test_a_second_pass_over_a_long_walk_is_no_fault_of_the_server() -> None:
    server = thread(700)
    server.changes = [[]] * 450 + [[Change(300, 0)]]
    assert_exact(await walk_all(server, 2, concurrency=1), 700, server.items)


async def test_an_item_that_vanishes_during_the_walk_hides_no_other() -> None:
    server = thread(6, cap=2)
    found: list[int] = []
    async with aclosing(walk(server.fetch, itself, limit=2)) as items:
        async for item in items:
            found.append(item)
            if item == 1:
                server.items.remove(0)
    assert found == [0, 1, 2, 3, 4, 5]


# --- what a thread at rest costs ----------------------------------------------------------


@pytest.mark.slow
@given(size=SIZES, limit=LIMITS, cap=CAPS, concurrency=CONCURRENCIES, turns=TURNS)
async def test_a_thread_at_rest_costs_no_more_requests_than_its_pages(
    size: int, limit: int, cap: int, concurrency: int, turns: list[tuple[int, int]]
) -> None:
    server = thread(size, cap)
    server.turns = turns
    assert await walk_all(server, limit, concurrency) == server.items
    limit = max(limit, 2)
    step = min(limit, cap) - 1
    pages = max(1, math.ceil((size - 1) / step))
    assert server.requests == [(step * page, limit) for page in range(pages)]


async def test_a_server_that_caps_the_limit_is_followed() -> None:
    server = thread(25, cap=10)
    assert await walk_all(server, 50) == server.items
    assert server.requests == [(0, 50), (9, 50), (18, 50)]


@pytest.mark.parametrize("sends_total", [True, False])
async def test_one_item_at_a_time_costs_a_request_each(sends_total: bool) -> None:
    server = thread(5, cap=1, sends_total=sends_total)
    assert await walk_all(server, 50) == server.items
    assert server.offsets == [0, 1, 2, 3, 4, *([] if sends_total else [5, 4])]


@settings(max_examples=200)
@given(
    size=SIZES,
    shorts=st.lists(st.integers(1, 12), max_size=150),
    sends_total=st.booleans(),
    concurrency=CONCURRENCIES,
)
@example(size=5, shorts=[3, 1, 1, 2, 1, 1], sends_total=False, concurrency=1)
async def test_pages_shorter_than_asked_end_no_walk(
    size: int, shorts: list[int], sends_total: bool, concurrency: int
) -> None:
    server = thread(size, cap=12, sends_total=sends_total)
    server.shorts = shorts
    assert await walk_all(server, 12, concurrency) == server.items


async def test_a_short_page_costs_one_more_and_the_pages_ahead_are_kept() -> None:
    server = thread(50)
    server.shorts = [10, 10, 4]
    assert await walk_all(server, 10) == server.items
    assert server.offsets == [0, 9, 18, 27, 36, 45, 21]


async def test_a_gap_is_crossed_from_further_back_each_time_and_then_restarted() -> None:
    server = thread(200, cap=11)
    server.changes = [[]] * 8 + [[Change(60, 0)]] + [[]] * 8 + [[Change(1, 0)]]
    found = await walk_all(server, 50, concurrency=1)
    assert_exact(found, 200, server.items)
    forth, back, again = [0, 10, 20, 30, 40, 50, 60, 70], [80, 70, 50, 10], [20, 30, 40, 50, 60]
    # The totals show that one item was removed: one step back is enough.
    assert server.offsets == [*forth, *back, *again, 70, 69, 79, 89, 99, 109, 119, 129]


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_while_items_are_removed_pages_overlap_by_more_and_few_are_read_twice(
    concurrency: int,
) -> None:
    server = thread(5000, cap=100)
    server.changes = [[], *([[Change(2, 0)]] * 1000)]
    found = await walk_all(server, 100, concurrency=concurrency)
    assert_exact(found, 5000, server.items)
    assert len(server.offsets) < 1.3 * 5000 / 99


# --- servers that tell no total, or a wrong one -------------------------------------------


@pytest.mark.parametrize(
    ("size", "offsets"),
    [(0, [0]), (1, [0, 1, 0]), (4, [0, 1, 2, 3, 4, 3]), (5, [0, 1, 2, 3, 4, 5, 4])],
)
async def test_without_a_total_an_empty_page_and_one_before_it_end_the_walk(
    size: int, offsets: list[int]
) -> None:
    server = thread(size, cap=2, sends_total=False)
    assert await walk_all(server, 2) == server.items
    assert server.offsets == offsets


async def test_without_a_total_a_short_page_before_an_empty_one_is_not_yet_the_end() -> None:
    server = thread(27, cap=10, sends_total=False)
    server.changes = [[], [], [Change(9, 0)]]
    server.shorts = [10, 10, 10, 3]
    assert await walk_all(server, 10) == list(range(27))
    assert server.offsets[:5] == [0, 9, 18, 9, 11]


async def test_where_a_thread_was_empty_a_while_ago_is_not_its_end() -> None:
    server = thread(27, cap=10, sends_total=False)
    server.changes = [[], [], [Change(9, 0)], [Change(0, 0, 9, 0)]]
    server.shorts = [10, 10, 10, 5, 5]
    assert await walk_all(server, 10) == list(range(27))
    assert server.offsets[:6] == [0, 9, 18, 9, 13, 17]


def untrue(total: int | None, items: Sequence[int] = (3, 2, 1)) -> Thread:
    """Return a thread at rest whose pages have this total, true or not."""

    class Untrue(Thread):
        def answer(self, offset: int, limit: int) -> Batch:
            return Batch(super().answer(offset, limit).items, total)

    return Untrue(list(items))


async def test_a_total_that_is_too_large_ends_with_an_empty_page() -> None:
    server = untrue(1_000_000)
    assert await walk_all(server, 2, concurrency=1) == [3, 2, 1]
    assert server.offsets == [0, 1, 2, 3, 2]
    server = untrue(1_000_000)
    assert await walk_all(server, 2, concurrency=8) == [3, 2, 1]
    assert len(server.requests) < 16


class Repeating(Thread):
    """Answers an offset beyond the end with the last page."""

    def answer(self, offset: int, limit: int) -> Batch:
        offset = min(offset, max(len(self.items) - limit, 0))
        return super().answer(offset, limit)


@pytest.mark.parametrize("sends_total", [True, False])
@pytest.mark.parametrize("size", [0, 3, 10, 11])
async def test_a_last_page_that_is_repeated_for_ever_ends_the_walk(
    size: int, sends_total: bool
) -> None:
    server = Repeating(list(range(size)), sends_total=sends_total)
    assert await walk_all(server, 5) == server.items
    assert len(server.requests) < 120


async def test_a_last_page_in_place_of_those_that_vanished_is_followed() -> None:
    server = Repeating(list(range(40)))
    server.changes = [[]] * 6 + [[Change(25, 0)]]
    assert_exact(await walk_all(server, 5, concurrency=1), 40, server.items)


async def test_a_server_that_repeats_itself_before_its_total_is_an_error() -> None:
    asked: list[int] = []

    async def fetch(offset: int, limit: int) -> Page[int]:
        asked.append(offset)
        return Batch([3, 2, 1], 10_000)

    items = walk(fetch, itself)
    assert [await anext(items) for _ in range(3)] == [3, 2, 1]
    with pytest.raises(TransportError, match="nothing new"):
        await anext(items)
    assert len(asked) < 120


async def test_a_server_that_repeats_itself_is_no_error_if_the_end_comes() -> None:
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
async def test_items_are_distinguished_by_their_key(limit: int) -> None:
    server = Thread([9, 8, 7, 6, 5, 4, 3, 2, 1])
    found = [item async for item in walk(server.fetch, lambda item: item % 4, limit=limit)]
    assert found == [9, 8, 7, 6]


@pytest.mark.parametrize("name", ["limit", "concurrency"])
@pytest.mark.parametrize("value", [0, -1, True])
async def test_a_number_of_pages_or_items_that_cannot_be_is_refused_at_once(
    name: str, value: int
) -> None:
    with pytest.raises(RuleError, match=f"`{name}`.*found {value}"):
        walk(thread(3).fetch, itself, **{name: value})


async def test_an_empty_first_page_with_a_total_is_requested_once_more() -> None:
    answers = [Batch([], 3), Batch([3, 2, 1], 3)]
    asked: list[int] = []

    async def fetch(offset: int, limit: int) -> Page[int]:
        asked.append(offset)
        return answers.pop(0)

    assert [item async for item in walk(fetch, itself)] == [3, 2, 1]
    assert asked == [0, 0]


async def test_a_thread_that_stays_empty_is_empty_whatever_its_total() -> None:
    asked: list[int] = []

    async def fetch(offset: int, limit: int) -> Page[int]:
        asked.append(offset)
        return Batch([], 30)

    assert [item async for item in walk(fetch, itself)] == []
    assert asked == [0, 0]
