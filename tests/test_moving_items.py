"""The walk over a thread whose items move, or are listed twice, while it is read.

No test waits for a clock: a server answers after so many turns of the event loop.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlmsg.paging import Page, walk


@dataclass(frozen=True)
class Batch:
    """One page of numbers."""

    items: Sequence[int]
    total: int | None


@dataclass(frozen=True)
class Move:
    """An item goes to another place. Both places are between 0, the top, and 1, the end."""

    source: float
    target: float = 0.0


@dataclass(frozen=True)
class Insert:
    """New items appear at a place."""

    target: float
    number: int = 1


@dataclass(frozen=True)
class Delete:
    """Items disappear from a place on."""

    source: float
    number: int = 1


Change = Move | Insert | Delete


@dataclass
class Server:
    """A server with a thread of numbers.

    Attributes:
        items: The items that are there now, from 0 on; new ones are from 1,000,000 on.
        cap: The largest number of items in a page.
        states_total: True if its pages state the total.
        changes: The changes before the first answer, before the second, and so on.
        turns: The turns of the event loop before each answer.
        requests: The offset of every request.
        moved: Every item that has moved.
        stayed: The items of the beginning that were never deleted.
    """

    items: list[int]
    cap: int = 50
    states_total: bool = True
    changes: list[list[Change]] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    moved: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.stayed = set(self.items)
        self._new = count(1_000_000)

    async def fetch(self, offset: int, limit: int) -> Page[int]:
        self.requests.append(offset)
        assert len(self.requests) < 3000, "the walk has no end"
        for _ in range(self.turns.pop(0) if self.turns else 0):
            await asyncio.sleep(0)
        for change in self.changes.pop(0) if self.changes else ():
            self.apply(change)
        page = self.items[offset : offset + min(limit, self.cap)]
        return Batch(page, len(self.items) if self.states_total else None)

    def apply(self, change: Change) -> None:
        size = len(self.items)
        if isinstance(change, Insert):
            at = round(change.target * size)
            self.items[at:at] = [next(self._new) for _ in range(change.number)]
        elif isinstance(change, Delete):
            at = round(change.source * size)
            self.stayed -= set(self.items[at : at + change.number])
            del self.items[at : at + change.number]
        elif size:
            item = self.items.pop(min(round(change.source * size), size - 1))
            self.items.insert(round(change.target * (size - 1)), item)
            self.moved.add(item)


async def read_all(server: Server, limit: int, concurrency: int = 1) -> list[int]:
    items = walk(server.fetch, lambda item: item, limit=limit, concurrency=concurrency)
    return [item async for item in items]


def assert_once(found: list[int], expected: set[int]) -> None:
    assert len(set(found)) == len(found)
    assert expected <= set(found), f"missing: {sorted(expected - set(found))}"


PLACES = st.floats(0, 1)
MOVES = st.builds(Move, PLACES, PLACES)
TO_TOP = st.builds(Move, PLACES)
TO_END = st.builds(Move, PLACES, st.just(1.0))
INSERTS = st.builds(Insert, PLACES, st.integers(1, 30))
DELETES = st.builds(Delete, PLACES, st.integers(1, 30))
SIZES, LIMITS, CAPS = st.integers(0, 100), st.integers(2, 30), st.integers(2, 30)
CONCURRENCIES = st.integers(1, 9)
TURNS = st.lists(st.integers(0, 6), max_size=40)


@pytest.mark.slow
@settings(max_examples=300)
@given(
    size=SIZES,
    limit=LIMITS,
    cap=CAPS,
    changes=st.lists(st.lists(TO_TOP | INSERTS | DELETES, max_size=3), max_size=25),
    concurrency=CONCURRENCIES,
    turns=TURNS,
    states_total=st.booleans(),
)
async def test_items_that_move_to_the_top_hide_none_that_stays_in_its_place(
    size: int,
    limit: int,
    cap: int,
    changes: list[list[Change]],
    concurrency: int,
    turns: list[int],
    states_total: bool,
) -> None:
    """Whatever else is added and removed at the same time; and the order of the items is kept."""
    server = Server(list(range(size)), cap, states_total, changes, turns)
    found = await read_all(server, limit, concurrency)
    fixed = server.stayed - server.moved
    assert_once(found, fixed)
    assert [item for item in found if item in fixed] == sorted(fixed)


@pytest.mark.slow
@settings(max_examples=300)
@given(
    size=SIZES,
    limit=LIMITS,
    cap=CAPS,
    changes=st.lists(st.lists(MOVES | TO_TOP | TO_END, max_size=5), max_size=25),
    concurrency=CONCURRENCIES,
    turns=TURNS,
)
@example(  # the frontier and the item before it move behind the only unread item
    size=10, limit=10, cap=9, changes=[[], [Move(0.0, 1.0), Move(0.0, 1.0)]], concurrency=1,
    turns=[],
)  # fmt: skip
@example(  # two items change places across the frontier
    size=20, limit=5, cap=5, changes=[[], [Move(0.9), Move(0.1, 1.0)]], concurrency=1, turns=[]
)
async def test_items_that_move_anywhere_are_all_yielded_once(
    size: int,
    limit: int,
    cap: int,
    changes: list[list[Change]],
    concurrency: int,
    turns: list[int],
) -> None:
    server = Server(list(range(size)), cap, changes=changes, turns=turns)
    assert_once(await read_all(server, limit, concurrency), set(range(size)))


@pytest.mark.slow
@settings(max_examples=500)
@given(
    size=SIZES,
    limit=LIMITS,
    cap=CAPS,
    changes=st.lists(
        st.lists(MOVES | TO_TOP | TO_END | INSERTS | DELETES, max_size=1), max_size=25
    ),
    states_total=st.booleans(),
)
async def test_with_one_change_between_two_answers_everything_that_stays_is_yielded_once(
    size: int, limit: int, cap: int, changes: list[list[Change]], states_total: bool
) -> None:
    server = Server(list(range(size)), cap, states_total, changes)
    assert_once(await read_all(server, limit), server.stayed)


# Single moves, and their cost ---------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("answer", [1, 2, 5])
@pytest.mark.parametrize("item", [0, 5, 30, 59])
async def test_an_item_that_moves_to_the_top_is_yielded_and_hides_no_other(
    item: int, answer: int, concurrency: int
) -> None:
    server = Server(list(range(60)), cap=10)
    server.changes = [[]] * answer + [[Move(item / 60)]]
    found = await read_all(server, 10, concurrency)
    assert sorted(found) == list(range(60))
    assert [number for number in found if number != item] == [n for n in range(60) if n != item]


async def test_an_item_moves_to_the_top_before_each_answer() -> None:
    server = Server(list(range(60)), cap=10)
    server.changes = [[Move(0.99)] for _ in range(500)]
    assert sorted(await read_all(server, 10)) == list(range(60))


async def test_moves_without_end_end_the_walk() -> None:
    server = Server(list(range(60)), cap=10)
    server.changes = [[Move(0.99), Insert(0.0), Delete(0.5)] for _ in range(2900)]
    found = await read_all(server, 10)
    assert len(set(found)) == len(found)
    assert len(server.requests) < 300


async def test_known_items_that_move_to_the_end_join_no_page_after_a_gap() -> None:
    """Two items of the first page move behind the only unread item: an update, sorted by date."""
    server = Server(list(range(10)), cap=9)
    server.changes = [[], [Move(0.0, 1.0), Move(0.0, 1.0)]]
    assert await read_all(server, 9) == list(range(10))


@pytest.mark.parametrize(
    "change", [Insert(0.0), Insert(0.0, 3), Insert(1.0, 2), Delete(0.0), Delete(0.99)], ids=repr
)
async def test_an_addition_or_removal_is_no_sign_of_a_move(change: Change) -> None:
    server = Server(list(range(40)), cap=10)
    server.changes = [[], [], [change]]
    assert_once(await read_all(server, 10), server.stayed)
    assert server.requests.count(0) == 1


# Items that are listed twice ----------------------------------------------------------------


@pytest.mark.parametrize("place", range(1, 9))
@pytest.mark.parametrize("page", range(4))
async def test_an_item_that_a_page_lists_twice_hides_none(page: int, place: int) -> None:
    """The server read the page while an item moved: it took the place of another one."""
    server = Server(list(range(40)), cap=10)

    async def fetch(offset: int, limit: int) -> Page[int]:
        answer = await server.fetch(offset, limit)
        if len(server.requests) == page + 1:
            items = list(answer.items)
            items[place] = items[0]
            return Batch(items, answer.total)
        return answer

    found = [item async for item in walk(fetch, lambda item: item, limit=10, concurrency=1)]
    assert sorted(found) == list(range(40))


@settings(max_examples=200)
@given(
    items=st.permutations([*range(20), *range(20)]).map(lambda items: items[:25]),
    limit=LIMITS,
    cap=CAPS,
    counts=st.sampled_from(["places", "items", "nothing"]),
    concurrency=CONCURRENCIES,
)
@example(items=[0, 1, 1, 2, 3, 4], limit=3, cap=9, counts="items", concurrency=1)
@example(items=[0, 1, 0, 2], limit=2, cap=2, counts="items", concurrency=1)
@example(items=[0, 0, 1, 1, 2, 2, 3, 3], limit=2, cap=2, counts="items", concurrency=8)
async def test_a_thread_that_lists_items_twice_for_good_hides_none(
    items: list[int], limit: int, cap: int, counts: str, concurrency: int
) -> None:
    """Whether the total counts an item once, or each of its places."""
    total = {"places": len(items), "items": len(set(items)), "nothing": None}[counts]
    requests: list[int] = []

    async def fetch(offset: int, limit: int) -> Page[int]:
        requests.append(offset)
        return Batch(items[offset : offset + min(limit, cap)], total)

    pages = walk(fetch, lambda item: item, limit=limit, concurrency=concurrency)
    assert [item async for item in pages] == list(dict.fromkeys(items))
    assert len(requests) <= 400
