"""Walk an endpoint that is paged by `limit` and `offset`, while the thread changes.

The walk knows nothing of the API except a `fetch(offset, limit)`, and the items and the total of
its answer. It advances by the number of items that a page contained, so a server's own limit and
short pages need no special case.

**Exact by overlap.** Each page begins on the last item of the page before it. A page is *joined*
when it begins the thread or contains an item that was seen; its new items are yielded. A page that
is not joined may leave a gap: nothing of it is used, and the walk steps back, further each time,
until a page is joined again. Proof that the walk misses no item that stays during the whole walk:

    Claim: every item that stays and stands before a seen item was seen itself. Let a page be joined
    at the seen item x. The items that stay before x were seen. A page is one unbroken piece of the
    thread, so the items that stay between x and any later item of the page are in the page, and are
    seen now: the claim holds for all of its items. The beginning of the thread has nothing before
    it.

The proof needs only that the items that stay keep their order. The order in which pages are read
does not matter, so pages are fetched ahead, and a page that is not joined costs only itself. The
total would be a weaker sign: one removed item and one new item leave it unchanged.

The end is a joined page that reaches the total which it states. If no total is stated, or one that
is never reached, the end is a joined page that could have held more (other pages did) and that ends
exactly at an offset where the thread was found to be empty just before.

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
from .errors import TransportError

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


MAX_STALE_PAGES = 100
"""Pages in a row without a new item after which the walk ends, in addition to the pages of reading
the whole walk once more. Without a total this is the end: a server may answer any offset beyond the
end with its last page. With a total the server is at fault."""


def walk(
    fetch: Callable[[int, int], Awaitable[Page[T]]],
    key: Callable[[T], Hashable],
    *,
    limit: int = 50,
    concurrency: int = 8,
) -> AsyncGenerator[T, None]:
    """Yield every item in the thread's order, each `key` once, with pages fetched ahead.

    An item that stays in the thread during the whole walk is yielded exactly once; an item that is
    added or removed meanwhile is yielded at most once. The first page is fetched alone. When its
    items are used up and the total is known, at most `concurrency` pages are fetched, or wait to be
    read, at the same time. With `concurrency=1` no page is requested before it is needed. Leaving
    or cancelling the loop, or a page that fails, cancels all other pages at once.

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
    for name, value in (("limit", limit), ("concurrency", concurrency)):
        check_int(f"`{name}` of a walk", value, 1)
    return _walk(_Prefetcher(fetch, max(limit, 2), concurrency), _WalkState(key))


async def _walk(pages: "_Prefetcher[T]", state: "_WalkState[T]") -> AsyncGenerator[T, None]:
    check_asyncio()
    try:
        while not state.ended:
            offset, page = await pages.get(state.offset, state.longest, state.total or 0)
            for item in state.read(offset, page):
                yield item
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

    async def get(self, offset: int, longest: int, total: int) -> tuple[int, Page[T]]:
        """Return the page at `offset`, or a requested page before it, and the page's offset."""
        if not self._requested or self._requested[0][0] > offset:
            self._requested.appendleft(self._request(offset))
        while len(self._requested) < self._size:
            last, _ = self._requested[-1]
            if last + longest >= total:
                break
            self._requested.append(self._request(last + _step(longest)))
        start, task = self._requested[0]
        await asyncio.wait({task})  # on cancellation, `close` cancels it together with the others
        self._requested.popleft()
        return start, task.result()

    async def close(self) -> None:
        """Cancel every request that is under way; ignore its result, and also its error."""
        tasks = [task for _, task in self._requested]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _request(self, offset: int) -> tuple[int, asyncio.Task[Page[T]]]:
        return offset, asyncio.create_task(self._fetch_page(offset))

    async def _fetch_page(self, offset: int) -> Page[T]:
        return await self._fetch(offset, self._limit)


class _WalkState(Generic[T]):
    """State of a walk: the seen items, and the offset to read next. It fetches nothing.

    Attributes:
        offset: The offset of the next page.
        total: The number of items that the last page stated, or None.
        longest: The length of the longest page so far.
        ended: True when every item was seen.
    """

    def __init__(self, key: Callable[[T], Hashable]) -> None:
        self.offset = 0
        self.total: int | None = None
        self.longest = 0
        self.ended = False
        self._key = key
        self._seen: set[Hashable] = set()
        self._progress_pages = 0  # pages that advanced the walk
        self._stale_pages = 0  # pages since the last page that did
        self._step_size = 1  # items to step back from a page that is not joined
        self._empty_at: int | None = None  # the offset of an empty page, if that came last
        self._last: tuple[int, int | None] | None = None  # end and total of the last joined page

    def read(self, offset: int, page: Page[T]) -> list[T]:
        """Return the new items of a joined page, in order; nothing of another page."""
        items: dict[Hashable, T] = {}
        for item in page.items:
            items.setdefault(self._key(item), item)
        new = {key: item for key, item in items.items() if key not in self._seen}
        length, self.total = len(page.items), page.total
        self.longest = max(self.longest, length)
        if not length:
            is_doubtful = offset == 0 and self._empty_at is None and bool(page.total)
            self._empty_at = offset
            if is_doubtful:  # empty, but it states a total: request it once again
                self.total = None  # do not fetch ahead up to it
                self._count(has_progress=False)
                return []
        # Only a page of one item is followed by a page without overlap.
        follows_single = length > 0 and self._last == (offset, page.total)
        if offset == 0 or len(new) < len(items) or follows_single:
            self._advance(offset, length)
        else:
            new = {}
            self._step_back(offset)
        self._seen.update(new)
        # New items at the beginning are no progress: a server whose ids never repeat would have no
        # end.
        self._count(has_progress=bool(new) and (offset > 0 or not self._progress_pages))
        return list(new.values())

    def _advance(self, offset: int, length: int) -> None:
        end = offset + length
        could_hold_more = length < max(self.longest, 2)
        has_reached_total = self.total is not None and end >= self.total
        self.ended = has_reached_total or (could_hold_more and end == self._empty_at)
        self.offset = offset + _step(length)
        self._step_size = _step(self.longest)
        self._empty_at = None
        self._last = end, self.total

    def _step_back(self, offset: int) -> None:
        self.offset = max(offset - self._step_size, 0)
        self._step_size *= 2

    def _count(self, *, has_progress: bool) -> None:
        if has_progress:
            self._progress_pages, self._stale_pages = self._progress_pages + 1, 0
            return
        self._stale_pages += 1
        if self._stale_pages > MAX_STALE_PAGES + self._progress_pages and not self.ended:
            if self.total is not None:
                text = (
                    f"{self._stale_pages} pages in a row contain nothing new, below the total of "
                    f"{self.total} that the server states"
                )
                raise TransportError(text)
            self.ended = True


def _step(length: int) -> int:
    """Return the distance to the next page: a page of more than one item is overlapped by one."""
    return max(length - 1, 1)
