"""The decisions of a walk: which pages are joined, which item is new, and when the walk ends. Pure.

`paging` fetches the pages and contains the proof.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from ._rows import GAP, Gap, with_gaps
from .errors import TransportError

__all__ = ["MAX_STALE_PAGES", "WalkState"]

T = TypeVar("T")

MAX_STALE_PAGES = 100
"""Pages in a row without a new item after which the walk ends, in addition to the pages of reading
the whole walk once more. Without a total this is the end: a server may answer any offset beyond the
end with its last page. With a total the server is at fault. The same number bounds the pages that
are read again because items have moved."""

MAX_OVERLAP_SHARE = 8
"""Pages overlap by at most this part of a page. Where more items are removed between two pages, the
walk steps back."""

MAX_FRUITLESS_PASSES = 2
"""Repeated passes without a new item after which the walk ends, although items still move."""


class _Place(msgspec.Struct, frozen=True, gc=False):
    """The place of an item when it was read last, and the total of that page."""

    position: int
    total: int | None


class WalkState(Generic[T]):
    """State of a walk: the yielded items, and the offset to read next. It fetches nothing.

    Attributes:
        offset: The offset of the next page.
        total: The number of items that the last page stated, or None.
        longest: The length of the longest page so far.
        overlap: The number of items by which pages overlap: 1 until items are removed meanwhile.
        ended: True when every item was yielded.
        passes: The number of completed passes. After each but the last, the thread is read again.
    """

    def __init__(self, key: Callable[[T], Hashable]) -> None:
        self.total: int | None = None
        self.longest = 0
        self.overlap = 1
        self.ended = False
        self.passes = 0
        self._key = key
        self._yielded: set[Hashable] = set()
        self._first_total: int | None = None
        self._last_total = 0
        self._growth = 0  # the largest total, less the first one
        self._has_shrunk = False  # True if a total was below the one before it
        self._repeated_pages = 0  # pages of all passes but the first
        self._max_repeated_pages = 0
        self._fruitless_passes = 0
        self._begin_pass()

    def _begin_pass(self) -> None:
        self.offset = 0
        self._is_behind_total = False  # True if the last joined page reached the total
        self._known: set[Hashable] = set()  # the items of the joined pages of this pass
        self._places: dict[Hashable, _Place] = {}  # the last places of these and of other items
        self._has_moved = False  # True if a page of this pass shows that items have moved
        self._found = 0  # items that were yielded in this pass
        self._progress_pages = 0  # pages that advanced the pass
        self._stale_pages = 0  # pages since the last page that did
        self._step_size = 1  # items to step back from a page that is not joined
        self._steps_back = 0  # since the last joined page
        self._empty_at: int | None = None  # the offset of an empty page, if that came last
        self._last: tuple[int, int | None] | None = None  # end and total of the last joined page

    def read(self, offset: int, items: Sequence[T], total: int | None) -> list[T]:
        """Return the items of a joined page that were not yielded yet; nothing of another page."""
        self._repeated_pages += self.passes > 0
        self._note_total(total)
        rows = with_gaps(items)
        length = len(rows)
        self.longest = max(self.longest, length)
        if not length and self._is_doubtful(offset):
            self._count(has_progress=False)
            return []
        places, by_key = self._index(offset, rows, total)
        is_joined = self._is_joined(offset, places, total)
        self._note_moves(offset, length, places, is_joined=is_joined)
        if not is_joined:
            self._step_back(offset, total)
            self._count(has_progress=False)
            return []
        has_new = not by_key.keys() <= self._known
        self._known.update(places)
        fresh = [item for key, item in by_key.items() if key not in self._yielded]
        self._yielded.update(places)
        self._found += len(fresh)
        if not self._advance(offset, length):
            # New items at the beginning are no progress: a server whose ids never repeat would have
            # no end.
            self._count(has_progress=has_new and (offset > 0 or not self._progress_pages))
        return fresh

    def _index(
        self, offset: int, rows: Sequence[T | Gap], total: int | None
    ) -> tuple[dict[Hashable, _Place], dict[Hashable, T]]:
        """Return the places of all rows, and the items, both by key in the order of the page."""
        places: dict[Hashable, _Place] = {}
        by_key: dict[Hashable, T] = {}
        for position, row in enumerate(rows, offset):
            # A row that cannot be read has no identity but its place.
            key = (GAP, position) if isinstance(row, Gap) else self._key(row)
            places.setdefault(key, _Place(position, total))
            if not isinstance(row, Gap):
                by_key.setdefault(key, row)
        return places, by_key

    def _note_total(self, total: int | None) -> None:
        self.total = total
        if total is not None:
            self._has_shrunk = self._has_shrunk or total < self._last_total
            self._last_total = total
            self._first_total = total if self._first_total is None else self._first_total
            self._growth = max(self._growth, total - self._first_total)

    def _is_doubtful(self, offset: int) -> bool:
        """Return True for a first empty page whose total says otherwise: it is requested again."""
        is_doubtful = offset == 0 and self._empty_at is None and bool(self.total)
        self._empty_at = offset
        if is_doubtful:
            self.total = None  # do not fetch ahead up to it
        return is_doubtful

    def _is_joined(self, offset: int, places: Mapping[Hashable, _Place], total: int | None) -> bool:
        """Return True if the items before the page are known: it begins with a known item."""
        if offset == 0:
            return True
        # Only a page of one item is followed by a page without overlap.
        first = next(iter(places), None)
        return bool(places) and (first in self._known or self._last == (offset, total))

    def _note_moves(
        self, offset: int, length: int, places: Mapping[Hashable, _Place], *, is_joined: bool
    ) -> None:
        """Look for signs that items have moved, and record the places of the page."""
        seen = places.keys() & self._places.keys()
        self._has_moved = (
            self._has_moved
            or len(places) < length
            or any(_is_moved(self._places[key], places[key]) for key in seen)
            or (is_joined and offset > 0 and self._has_gap(places))
        )
        self._places.update(places)

    def _has_gap(self, keys: Iterable[Hashable]) -> bool:
        """Return True if a known item comes after a new one. Only the thread's start grows so."""
        is_known = [key in self._known for key in keys]
        return False in is_known and any(is_known[is_known.index(False) :])

    def _advance(self, offset: int, length: int) -> bool:
        """Move on to the next page, or end the pass and return True."""
        end = offset + length
        could_hold_more = length < max(self.longest, 2)
        has_reached_total = self.total is not None and end >= self.total
        self._is_behind_total = has_reached_total
        if self._has_moved and self.total is not None:
            # Items that are listed twice may count once in the total: look behind it.
            has_reached_total &= could_hold_more or end >= 2 * self.total
        self._step_size, self._steps_back = self.step(self.longest), 0
        self.offset = offset + self.step(length)
        self._last = end, self.total
        has_ended = has_reached_total or (could_hold_more and end == self._empty_at)
        self._empty_at = None
        if has_ended:
            self._end_pass(has_reached_total=has_reached_total)
        return has_ended

    def _end_pass(self, *, has_reached_total: bool) -> None:
        """End the walk if the pass was exact; otherwise begin another one."""
        if not self.passes:
            self._max_repeated_pages = MAX_STALE_PAGES + 2 * self._progress_pages
        elif not self._found:
            self._fruitless_passes += 1
        self.passes += 1
        self.ended = (
            self._is_exact(self.total if has_reached_total else None)
            or self._fruitless_passes >= MAX_FRUITLESS_PASSES
            or self._repeated_pages >= self._max_repeated_pages
        )
        if not self.ended:
            self._begin_pass()

    def _is_exact(self, total: int | None) -> bool:
        """Return True if every item that stayed was yielded. `total` is None if not reached."""
        if total is not None and not self._has_shrunk and len(self._yielded) >= total:
            return True  # nothing was removed, so as many items as there are were yielded
        is_short = total is not None and len(self._yielded) + self._growth < total
        return not (self._has_moved or is_short or self._places.keys() - self._yielded)

    def step(self, length: int) -> int:
        """Return the distance from a page of that length to the next one."""
        overlap = self.overlap if length >= self.longest else 1
        return max(length - overlap, 1)

    def _step_back(self, offset: int, total: int | None) -> None:
        """Go back to a known item, and let the next pages overlap by more.

        The known item is as many places nearer as items were removed before it. The totals show
        how many that can be, so the first step is that short.
        """
        before = self._last[1] if self._last is not None else None
        removed = 0 if before is None or total is None else max(before - total, 0)
        most = self.longest // MAX_OVERLAP_SHARE
        if 0 < removed < most:
            self.overlap = max(self.overlap, min(2 * removed + 1, most))
        if not self._steps_back and 0 < removed < self._step_size:
            self.offset = max(offset - removed, 0)
        else:
            self.offset = max(offset - self._step_size, 0)
            self._step_size *= 2
        self._steps_back += 1

    def _count(self, *, has_progress: bool) -> None:
        if has_progress:
            self._progress_pages, self._stale_pages = self._progress_pages + 1, 0
            return
        self._stale_pages += 1
        if self._stale_pages > MAX_STALE_PAGES + self._progress_pages:
            if self.total is not None and not (self.passes or self._is_behind_total):
                text = (
                    f"{self._stale_pages} pages in a row contain nothing new, below the total of "
                    f"{self.total} that the server states"
                )
                raise TransportError(text)
            self.ended = True


def _is_moved(before: _Place, now: _Place) -> bool:
    """Return True if additions or removals before an item do not explain its new position."""
    shift = now.position - before.position
    if before.total is None or now.total is None:
        return shift != 0
    growth = now.total - before.total
    return shift > max(growth, 0) or shift < min(growth, 0)
