"""The walk over an endpoint that is paged by `limit` and `offset`, while the thread changes.

It knows nothing of the API but a `fetch(offset, limit)`, and two things about its answer: the items
and the total. What a page really held is followed, not what was asked for: so a server's own limit
is, and so are short pages, without a word of the server's about either.

**Exact by overlap.** Each page begins on the last item of the one before it. A page is *joined*
when it begins the thread or holds an item that was seen; what is new in it is handed out. A page
that is not joined may leave a gap: nothing is taken from it, and the walk steps back, further each
time, until a page is joined again. Why that misses nothing that stays during the whole walk:

    Whatever stays and stands before a seen item was seen itself. Let a page be joined at the seen
    item x. What stays before x was seen. A page is one unbroken piece of the thread, so what stays
    between x and any later item of the page is in the page, and is seen now: the claim holds for
    all of its items. The beginning of the thread has nothing before it.

This needs only that what stays keeps its order; whether pages were read in order, at once or long
ago is all the same, so pages are fetched ahead and a page that does not fit costs only itself. The
total would be a weaker witness: one message gone and one come leave it as it was.

The end is a joined page that reaches the total it tells itself. Where no total is told, or one that
is never reached, it is a joined page that could have held more (others did) and ends just where the
thread was found to be empty a moment before.

A server that gives one item at a time leaves no room for an overlap. There a page that follows on
one item and tells the same total counts as joined: changes of one kind are noticed, but what goes
and what comes at the same time may hide an item. With a page of one nobody can do better.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from typing import Generic, Protocol, TypeVar

from ._arguments import check_int
from .errors import TransportError

__all__ = ["Page", "walk"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Page(Protocol[T_co]):
    """One answer of a paged endpoint."""

    @property
    def items(self) -> Sequence[T_co]:
        """What the page holds, in the thread's order."""
        ...

    @property
    def total(self) -> int | None:
        """How many items there are in all; None where the server does not say."""
        ...


MAX_STALE_PAGES = 100
"""Pages in a row with nothing new, beyond those of going over the whole walk once more, after which
it ends. Without a total that is the end: a server may answer any offset beyond it with its last
page. With one, the server is at fault."""


def walk(
    fetch: Callable[[int, int], Awaitable[Page[T]]],
    key: Callable[[T], Hashable],
    *,
    limit: int = 50,
    concurrency: int = 8,
) -> AsyncGenerator[T, None]:
    """Every item in the thread's order, each `key` once, with pages fetched ahead.

    Whatever is there during the whole walk comes exactly once; what comes or goes meanwhile comes
    at most once. The first page is fetched alone; once its items are used up and the total is
    known, `concurrency` pages are on their way at most, and what has arrived waits for its turn
    among them. With `concurrency=1` no page is asked for before it is wanted. Leaving the loop,
    cancelling it, or a page that fails cancels the rest at once.

    Args:
        fetch: Awaited with the offset and the limit of a page. What it raises comes out unchanged,
            after the items of the pages before it.
        key: What tells an item from every other, such as its id.
        limit: Items asked for at a time; at least 2 are, since pages overlap by one.
        concurrency: Pages that are fetched, or wait to be read, at the same time; 1 or more.

    Raises:
        RuleError: `limit` or `concurrency` is not 1 or more.
        TransportError: The server goes on answering with what was seen, short of its own total.
    """
    for name, value in (("limit", limit), ("concurrency", concurrency)):
        check_int(f"`{name}` of a walk", value, 1)
    return _walk(_Prefetcher(fetch, max(limit, 2), concurrency), _WalkState(key))


async def _walk(window: "_Prefetcher[T]", trail: "_WalkState[T]") -> AsyncGenerator[T, None]:
    try:
        while not trail.ended:
            offset, page = await window.page(trail.offset, trail.longest, trail.total or 0)
            for item in trail.read(offset, page):
                yield item
    finally:
        await window.close()


class _Prefetcher(Generic[T]):
    """The pages that were asked for and not read yet, by their offsets: `size` at most.

    Plain tasks, not a task group: a generator may be left at any `yield`, and be closed by another
    task than the one that began it.
    """

    def __init__(
        self, fetch: Callable[[int, int], Awaitable[Page[T]]], limit: int, size: int
    ) -> None:
        self._fetch = fetch
        self._limit = limit
        self._size = size
        self._asked: deque[tuple[int, asyncio.Task[Page[T]]]] = deque()

    async def page(self, offset: int, longest: int, total: int) -> tuple[int, Page[T]]:
        """The page at `offset`, or one before it that is on its way, and where it begins."""
        if not self._asked or self._asked[0][0] > offset:
            self._asked.appendleft(self._ask(offset))
        while len(self._asked) < self._size and (last := self._asked[-1][0]) + longest < total:
            self._asked.append(self._ask(last + _step(longest)))
        begin, task = self._asked[0]
        await asyncio.wait({task})  # cancelled here, `close` ends it together with the others
        self._asked.popleft()
        return begin, task.result()

    async def close(self) -> None:
        """Ends what is on its way; what came of it, failures too, is of no interest any more."""
        tasks = [task for _, task in self._asked]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ask(self, offset: int) -> tuple[int, asyncio.Task[Page[T]]]:
        return offset, asyncio.create_task(self._fetched(offset))

    async def _fetched(self, offset: int) -> Page[T]:
        return await self._fetch(offset, self._limit)


class _WalkState(Generic[T]):
    """What was seen, and where the walk goes from there. It decides, and fetches nothing.

    Attributes:
        offset: Where the next page has to begin.
        total: How many items there are, as the page read last told.
        longest: The length of the longest page so far.
        ended: Whether everything was seen.
    """

    def __init__(self, key: Callable[[T], Hashable]) -> None:
        self.offset = 0
        self.total: int | None = None
        self.longest = 0
        self.ended = False
        self._key = key
        self._seen: set[Hashable] = set()
        self._fruitful = 0  # pages that brought the walk further
        self._stale = 0  # pages since the last of those
        self._back = 1  # how far to step back from a page that is not joined
        self._empty: int | None = None  # where the thread was found to be empty just now
        self._last: tuple[int, int | None] | None = None  # end and total of the last joined page

    def read(self, offset: int, page: Page[T]) -> list[T]:
        """What is new in a joined page, in order; nothing of another one."""
        items: dict[Hashable, T] = {}
        for item in page.items:
            items.setdefault(self._key(item), item)
        new = {name: item for name, item in items.items() if name not in self._seen}
        length, self.total = len(page.items), page.total
        self.longest = max(self.longest, length)
        if not length:
            doubtful = offset == 0 and self._empty is None and bool(page.total)
            self._empty = offset
            if doubtful:
                self.total = None  # no page is to be fetched ahead by it
                self._count(further=False)
                return []  # it holds nothing, and tells of more: it is asked once again
        follows_one = length > 0 and self._last == (offset, page.total)  # all others overlap
        if offset == 0 or len(new) < len(items) or follows_one:
            self._go_on(offset, length)
        else:
            new = {}
            self._step_back(offset)
        self._seen.update(new)
        # The beginning read anew is no progress: ids that never come twice would have no end.
        self._count(further=bool(new) and (offset > 0 or not self._fruitful))
        return list(new.values())

    def _go_on(self, offset: int, length: int) -> None:
        end = offset + length
        could_hold_more = length < max(self.longest, 2)
        reached = self.total is not None and end >= self.total
        self.ended = reached or (could_hold_more and end == self._empty)
        self.offset = offset + _step(length)
        self._back = _step(self.longest)
        self._empty = None
        self._last = end, self.total

    def _step_back(self, offset: int) -> None:
        self.offset = max(offset - self._back, 0)
        self._back *= 2

    def _count(self, *, further: bool) -> None:
        if further:
            self._fruitful, self._stale = self._fruitful + 1, 0
            return
        self._stale += 1
        if self._stale > MAX_STALE_PAGES + self._fruitful and not self.ended:
            if self.total is not None:
                text = f"{self._stale} pages in a row hold nothing new; the walk is given up"
                raise TransportError(text)
            self.ended = True


def _step(length: int) -> int:
    """From one page to the next: the last item is read again, where there is more than one."""
    return max(length - 1, 1)
