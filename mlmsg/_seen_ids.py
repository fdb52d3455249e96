"""Remember many ids in little memory."""

from array import array
from bisect import bisect_left
from collections.abc import Hashable
from heapq import merge

__all__ = ["SeenIds"]

MAX_RECENT = 4096
"""Ids in the set of the newest ones, before they are packed."""

_MAX = 2**64 - 1


class SeenIds:
    """A set that only grows. An int takes eight bytes in it, where a `set` needs about sixty.

    The ints are in sorted arrays. An array is merged with the next one as soon as that is as long,
    so there are few of them. Whatever is not an int of 64 bits stays in a `set`.
    """

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._packed: list[array[int]] = []  # sorted; each is longer than the next one
        self._others: set[Hashable] = set()

    def add(self, identity: Hashable) -> bool:
        """Add an id. Return True if it is new."""
        if not isinstance(identity, int) or not 0 <= identity <= _MAX:
            is_new = identity not in self._others
            self._others.add(identity)
            return is_new
        if identity in self._recent or any(_has(ids, identity) for ids in self._packed):
            return False
        self._recent.add(identity)
        if len(self._recent) >= MAX_RECENT:
            self._pack()
        return True

    def _pack(self) -> None:
        ids = array("Q", sorted(self._recent))
        self._recent.clear()
        while self._packed and len(self._packed[-1]) <= len(ids):
            ids = array("Q", merge(self._packed.pop(), ids))
        self._packed.append(ids)


def _has(ids: "array[int]", identity: int) -> bool:
    index = bisect_left(ids, identity)
    return index < len(ids) and ids[index] == identity
