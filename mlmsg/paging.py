"""Walk an endpoint that is paged by `limit` and `offset`, while the thread changes.

The walk knows nothing of the API except a `fetch(offset, limit)`, and the items and the total of
its answer. It advances by the number of items that a page contained, so a server's own limit and
short pages need no special case.

**Exact by overlap.** Each page begins on the last item of the page before it; while items are
removed, some items earlier, so that it still begins with a known one. A page is *joined*
when it begins the thread or begins with a known item, one of an earlier joined page; its new items
are yielded. A page that is not joined may leave a gap: nothing of it is used, and the walk steps
back, further each time, until a page is joined again. Proof that the walk misses no item that stays
during the whole walk, if no item moves:

    Claim: every item that stays and stands before a known item is known itself. Let a page begin
    with the known item x. The items that stay before x are known. A page is one unbroken piece of
    the thread, so the items that stay between x and any later item of the page are in the page, and
    are known now: the claim holds for all of its items. The beginning of the thread has nothing
    before it.

The proof needs only that the items that stay keep their order. The order in which pages are read
does not matter, so pages are fetched ahead, and a page that is not joined costs only itself.

**Items that move** (a thread that is sorted by its last update moves an item to one end) break the
claim in two ways: an unread item may move to a place before known ones, and a known item that moves
behind unread ones joins a page after a gap. Both show:

    Let the item u stay and be unread, and let it stand before the known item x. When x was read, u
    stood behind it, by the claim. So one of them has moved past the other, and the number of items
    before x has changed while the total has not. An addition or removal before x changes both by
    the same number, one behind x only the total. So the position of x and the total tell that an
    item has moved, as soon as a page contains x again.

The walk compares position and total of each item that it meets again, also on pages that are not
joined. Other signs are a known item after a new one, an item that a page lists twice (the server
read the thread while it changed), an item that was met but never yielded, and fewer items than the
total. After a sign the walk reads the thread once more from the beginning: a new *pass*, in which
no item is known, and which yields only what was not yielded before. It ends with the first pass
without a sign; or when no total was below the one before and as many items were yielded as there
are, since then nothing was removed and nothing is missing. The number of passes is bounded.

So an item is missed only if several changes between two answers leave each position and total as
they were, as one added and one removed item do; and an item that keeps its place only if the item
that joins its page has moved as well. Moves to the top alone cannot do that: all that stands before
an item at the top came later.

The end of a pass is a joined page that reaches the total which it states. If no total is stated, or
one that is never reached, the end is a joined page that could have held more (other pages did) and
that ends exactly at an offset where the thread was found to be empty just before.

A server that returns one item at a time leaves no room for an overlap. There a page that follows on
one item and states the same total counts as joined: additions alone and removals alone are noticed,
but an addition and a removal at the same time may hide an item. Pages of one item allow no more.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from typing import Generic, Protocol, TypeVar

from ._arguments import check_int
from ._event_loop import check_asyncio
from ._walk_state import WalkState

__all__ = ["Page", "walk"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Page(Protocol[T_co]):
    """One answer of a paged endpoint."""

    @property
    def items(self) -> Sequence[T_co]:
        """The items of the page, in the thread's order."""
        ...

    @property
    def total(self) -> int | None:
        """The number of items in the thread; None if the server does not state it."""
        ...


def walk(
    fetch: Callable[[int, int], Awaitable[Page[T]]],
    key: Callable[[T], Hashable],
    *,
    limit: int = 50,
    concurrency: int = 8,
) -> AsyncGenerator[T, None]:
    """Yield every item in the thread's order, each `key` once, with pages fetched ahead.

    An item that stays in the thread during the whole walk is yielded exactly once, also if it moves
    (then perhaps last); an item that is added or removed meanwhile is yielded at most once. If
    pages show that items have moved, the thread is read again. The module docstring tells how far
    this can be trusted.

    The first page is fetched alone. When its items are used up and the total is known, at most
    `concurrency` pages are fetched, or wait to be read, at the same time. With `concurrency=1` no
    page is requested before it is needed. Leaving or cancelling the loop, or a page that fails,
    cancels all other pages at once.

    Args:
        fetch: Awaited with the offset and the limit of a page. Its errors are raised unchanged,
            after the items of the pages before it were yielded.
        key: Returns the identity of an item, such as its id.
        limit: Items to ask for at a time. At least 2 are asked for, because pages overlap by one.
        concurrency: Pages that are fetched, or wait to be read, at the same time; 1 or more.

    Raises:
        RuleError: `limit` or `concurrency` is not 1 or more.
        TransportError: The server keeps answering with seen items, below its own total.
    """
    limit = check_int("`limit` of a walk", limit, 1)
    concurrency = check_int("`concurrency` of a walk", concurrency, 1)
    return _walk(_Prefetcher(fetch, max(limit, 2), concurrency), WalkState(key))


async def _walk(pages: "_Prefetcher[T]", state: WalkState[T]) -> AsyncGenerator[T, None]:
    check_asyncio()
    try:
        while not state.ended:
            step = state.step(state.longest)
            offset, page = await pages.get(state.offset, step, state.longest, state.total or 0)
            passes = state.passes
            for item in state.read(offset, page.items, page.total):
                yield item
            if state.passes > passes:
                await pages.close()  # pages of the pass before are of no use to the next one
    finally:
        await pages.close()


class _Prefetcher(Generic[T]):
    """Keep the pages that were requested and not read yet, by their offsets: at most `size`.

    Plain tasks, not a task group: a generator may be left at any `yield`, and another task than the
    one that started it may close it.
    """

    def __init__(
        self, fetch: Callable[[int, int], Awaitable[Page[T]]], limit: int, size: int
    ) -> None:
        self._fetch = fetch
        self._limit = limit
        self._size = size
        self._requested: deque[tuple[int, asyncio.Task[Page[T]]]] = deque()

    async def get(self, offset: int, step: int, longest: int, total: int) -> tuple[int, Page[T]]:
        """Return the page at `offset`, or a requested page before it, and the page's offset.

        Pages are requested ahead at a distance of `step`, up to the one that reaches the total.
        """
        if not self._requested or self._requested[0][0] > offset:
            self._requested.appendleft(self._request(offset))
        while len(self._requested) < self._size:
            last, _ = self._requested[-1]
            if last + longest >= total:
                break
            self._requested.append(self._request(last + step))
        start, task = self._requested[0]
        await asyncio.wait({task})  # on cancellation, `close` cancels it together with the others
        self._requested.popleft()
        return start, task.result()

    async def close(self) -> None:
        """Cancel every request that is under way; ignore its result, and also its error."""
        tasks = [task for _, task in self._requested]
        self._requested.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _request(self, offset: int) -> tuple[int, asyncio.Task[Page[T]]]:
        return offset, asyncio.create_task(self._fetch_page(offset))

    async def _fetch_page(self, offset: int) -> Page[T]:
        return await self._fetch(offset, self._limit)
