"""The walk over an endpoint that is paged by `limit` and `offset`.

It knows nothing of the API but a `fetch(offset, limit)`, and the two things about its answer that a
walk needs: the items and the total.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from typing import Protocol, TypeVar

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


STALE = 100
"""Answers in a row with nothing new after which a walk ends. Without a total that is the end: a
server may answer any offset beyond it with its last page. With one, the server is at fault."""


async def walk(
    fetch: Callable[[int, int], Awaitable[Page[T]]],
    key: Callable[[T], Hashable],
    *,
    limit: int = 50,
) -> AsyncGenerator[T, None]:
    """Every item, page after page, each `key` once.

    The offset moves by what a page really held, so a server that caps the limit is followed. New
    items push older ones towards the end while the walk goes on: they come again on the next page,
    and the second time they are dropped.
    """
    seen: set[Hashable] = set()
    offset, total = 0, 1
    known: int | None = None
    stale = 0
    while offset < total:
        page = await fetch(offset, limit)
        stale = 0 if {key(item) for item in page.items} - seen else stale + 1
        if stale > STALE:
            if page.total is None:
                return
            raise TransportError(f"{stale} pages in a row hold nothing new; the walk is given up")
        if known is not None and page.total is not None and page.total < known:
            # What vanished drew the rest forward: read again from where that may begin.
            offset, known = max(offset - (known - page.total), 0), page.total
            continue
        known = page.total
        for item in page.items:
            if key(item) not in seen:
                seen.add(key(item))
                yield item
        offset += len(page.items)
        # Without a total, only an empty page says that this was all.
        total = 0 if not page.items else offset + 1 if page.total is None else page.total
