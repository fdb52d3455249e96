"""The walk over a thread that grows, under servers that cap, and hide, what they tell."""

import math
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlmsg.paging import Page, walk


@dataclass
class Batch:
    """One page of numbers."""

    items: Sequence[int]
    total: int | None


@dataclass
class Thread:
    """A server with a thread of numbers, newest (highest) first.

    Attributes:
        items: What is there now.
        cap: The most it gives at a time.
        tells_total: Whether its pages name the total.
        growth: How many new items came before the second request, the third, and so on.
        asked: The offset and limit of every request.
    """

    items: list[int]
    cap: int = 50
    tells_total: bool = True
    growth: list[int] = field(default_factory=list)
    asked: list[tuple[int, int]] = field(default_factory=list)

    async def fetch(self, offset: int, limit: int) -> Page[int]:
        if self.asked and self.growth:
            for _ in range(self.growth.pop(0)):
                self.items.insert(0, max(self.items, default=0) + 1)
        self.asked.append((offset, limit))
        assert len(self.asked) < 2000, "the walk has no end"
        items = self.items[offset : offset + min(limit, self.cap)]
        return Batch(items, len(self.items) if self.tells_total else None)


def thread(size: int, cap: int = 50, *, tells_total: bool = True) -> Thread:
    return Thread(list(range(size, 0, -1)), cap, tells_total)


def itself(item: int) -> int:
    return item


async def walked(server: Thread, limit: int) -> list[int]:
    return [item async for item in walk(server.fetch, itself, limit=limit)]


@settings(deadline=None, max_examples=300)
@given(
    size=st.integers(0, 120),
    limit=st.integers(1, 60),
    cap=st.integers(1, 60),
    tells_total=st.booleans(),
    growth=st.lists(st.integers(0, 8), max_size=15),
)
@example(size=10, limit=3, cap=50, tells_total=True, growth=[3, 3, 3])
@example(size=10, limit=5, cap=2, tells_total=False, growth=[1, 7])
@example(size=0, limit=1, cap=1, tells_total=True, growth=[1])
async def test_each_item_of_the_whole_walk_is_yielded_once_and_in_order(
    size: int, limit: int, cap: int, tells_total: bool, growth: list[int]
) -> None:
    server = thread(size, cap, tells_total=tells_total)
    server.growth = growth
    found = await walked(server, limit)
    assert len(set(found)) == len(found)
    assert [item for item in found if item <= size] == list(range(size, 0, -1))


@settings(deadline=None)
@given(size=st.integers(0, 120), limit=st.integers(1, 60), cap=st.integers(1, 60))
async def test_a_thread_at_rest_is_asked_for_no_more_than_its_pages(
    size: int, limit: int, cap: int
) -> None:
    server = thread(size, cap)
    assert await walked(server, limit) == server.items
    step = min(limit, cap)
    pages = max(1, math.ceil(size / step))
    assert server.asked == [(step * page, limit) for page in range(pages)]


async def test_a_server_that_caps_the_limit_is_followed() -> None:
    server = thread(25, cap=10)
    assert await walked(server, 50) == server.items
    assert server.asked == [(0, 50), (10, 50), (20, 50)]


@pytest.mark.parametrize("size", [0, 4, 5])
async def test_without_a_total_only_an_empty_page_ends_the_walk(size: int) -> None:
    server = thread(size, cap=2, tells_total=False)
    assert await walked(server, 2) == server.items
    assert server.asked[-1] == (size, 2)


async def test_a_total_that_holds_more_than_there_is_ends_with_an_empty_page() -> None:
    asked: list[int] = []

    async def fetch(offset: int, limit: int) -> Page[int]:
        asked.append(offset)
        assert len(asked) < 100, "the walk has no end"
        return Batch([3, 2, 1][offset : offset + limit], 1_000_000)

    assert [item async for item in walk(fetch, itself, limit=2)] == [3, 2, 1]
    assert asked == [0, 2, 3]


async def test_items_are_told_apart_by_their_key() -> None:
    server = thread(9, cap=3)
    found = [item async for item in walk(server.fetch, lambda item: item % 4, limit=3)]
    assert found == [9, 8, 7, 6]


async def test_an_item_that_vanishes_during_the_walk_hides_no_other() -> None:
    server = thread(6, cap=2)
    found: list[int] = []
    async with aclosing(walk(server.fetch, itself, limit=2)) as items:
        async for item in items:
            found.append(item)
            if item == 5:
                server.items.remove(6)
    assert found == [6, 5, 4, 3, 2, 1]


async def test_pages_are_fetched_only_when_they_are_wanted() -> None:
    server = thread(10, cap=3)
    async with aclosing(walk(server.fetch, itself, limit=3)) as items:
        assert server.asked == []
        assert [await anext(items) for _ in range(3)] == [10, 9, 8]
        assert len(server.asked) == 1
        assert await anext(items) == 7
        assert len(server.asked) == 2


async def test_a_walk_that_is_left_early_asks_for_nothing_more() -> None:
    server = thread(10, cap=3)
    async with aclosing(walk(server.fetch, itself, limit=3)) as items:
        async for item in items:
            if item == 9:
                break
    assert len(server.asked) == 1
    with pytest.raises(StopAsyncIteration):
        await anext(items)


@pytest.mark.parametrize("failing", [0, 1, 3])
async def test_a_failing_page_raises_after_what_came_before_it(failing: int) -> None:
    server = thread(12, cap=3)
    failure = ConnectionResetError("the page is lost")

    async def fetch(offset: int, limit: int) -> Page[int]:
        if offset == failing * 3:
            raise failure
        return await server.fetch(offset, limit)

    items = walk(fetch, itself, limit=3)
    assert [await anext(items) for _ in range(failing * 3)] == server.items[: failing * 3]
    with pytest.raises(ConnectionResetError) as raised:
        await anext(items)
    assert raised.value is failure
