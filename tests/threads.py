"""Servers of a thread of numbers, which changes, caps its pages, or delays them."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from mlmsg.paging import Page, walk


@dataclass(frozen=True)
class Batch:
    """One page of numbers."""

    items: Sequence[int]
    total: int | None


@dataclass(frozen=True)
class Change:
    """A change of a thread: items are removed at one place, then new ones are added at another.

    Both places are between 0, the front, and 1, the end.
    """

    removed: int = 0
    removed_at: float = 0.0
    added: int = 0
    added_at: float = 0.0


@dataclass
class Thread:
    """A server with a thread of numbers.

    Attributes:
        items: The current items.
        cap: The most items of one page.
        sends_total: True if pages name the total.
        changes: The changes before the first page, before the second, and so on.
        shorts: The most items of the first page, of the second, and so on.
        turns: The turns of the loop before each page is made, and then before it is sent.
        requests: The offset and limit of every request.
        busy: The number of requests in progress; `busiest` is the highest number so far.
        new: The items that are added during the walk; no removed item is added again.
    """

    items: list[int]
    cap: int = 50
    sends_total: bool = True
    changes: list[list[Change]] = field(default_factory=list)
    shorts: list[int] = field(default_factory=list)
    turns: list[tuple[int, int]] = field(default_factory=list)
    requests: list[tuple[int, int]] = field(default_factory=list)
    busy: int = 0
    busiest: int = 0
    new: Iterator[int] = field(default_factory=partial(count, 1_000_000))

    async def fetch(self, offset: int, limit: int) -> Page[int]:
        self.requests.append((offset, limit))
        assert len(self.requests) < 3000, "the walk has no end"
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
        return Batch(items, len(self.items) if self.sends_total else None)

    def change(self, change: Change) -> None:
        at = round(change.removed_at * len(self.items))
        del self.items[at : at + change.removed]
        at = round(change.added_at * len(self.items))
        self.items[at:at] = [next(self.new) for _ in range(change.added)]

    @property
    def offsets(self) -> list[int]:
        return [offset for offset, _ in self.requests]


async def pass_turns(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


def thread(size: int, cap: int = 50, *, sends_total: bool = True) -> Thread:
    return Thread(list(range(size)), cap, sends_total)


def itself(item: int) -> int:
    return item


async def walk_all(
    server: Thread, limit: int, concurrency: int = 8, pauses: Sequence[int] = ()
) -> list[int]:
    """Read a whole walk, pausing for these numbers of turns after the items."""
    found: list[int] = []
    async for item in walk(server.fetch, itself, limit=limit, concurrency=concurrency):
        found.append(item)
        await pass_turns(pauses[len(found) % len(pauses)] if pauses else 0)
    return found


def assert_exact(found: list[int], size: int, left: list[int]) -> None:
    """Check that no item comes twice, and that those that stayed came in order, complete."""
    assert len(set(found)) == len(found)
    stayed = [item for item in left if item < size]
    assert [item for item in found if item in set(stayed)] == stayed


@dataclass
class HeldThread(Thread):
    """A server that holds each page until `deliver(offset)`."""

    waiting: dict[int, asyncio.Future[None]] = field(default_factory=dict)

    async def fetch(self, offset: int, limit: int) -> Page[int]:
        self.requests.append((offset, limit))
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
    """Let the loop run until only held pages are pending."""
    await pass_turns(20)
