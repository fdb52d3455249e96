"""Mappings by id, whose values may be derived when they are asked for."""

from collections.abc import Iterator, MutableMapping
from itertools import chain
from typing import Never, Protocol, TypeVar

__all__ = ["NO_RECORDS", "Records", "Source"]

V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)


class Source(Protocol[V_co]):
    """Values by id that are made when they are asked for, always equal ones."""

    def __len__(self) -> int:
        """Return the number of values."""

    def __iter__(self) -> Iterator[str]:
        """Yield the ids."""

    def __contains__(self, key: object) -> bool:
        """Return True if there is a value with this id."""

    def find(self, key: str) -> V_co | None:
        """Return a new value with this id, or None."""


class _NoRecords:
    """A source without values."""

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __contains__(self, key: object) -> bool:
        return False

    def find(self, _: str) -> None:
        """Return None."""


NO_RECORDS: Source[Never] = _NoRecords()
"""A source without values."""


class Records(MutableMapping[str, V]):
    """A mapping by id: the values of a source, and those that were added.

    A value of the source is made when it is first asked for, and kept, so that a change of it
    lasts. `peek` makes one for a look without keeping it.

    Args:
        source: The derived values; none by default.
        keeps: False for values that cannot change, which are then made again each time.
    """

    def __init__(self, source: Source[V] = NO_RECORDS, *, keeps: bool = True) -> None:
        self._source = source
        self._keeps = keeps
        self._kept: dict[str, V] = {}
        self._removed: set[str] = set()
        self._replaced: set[str] = set()

    @property
    def kept(self) -> dict[str, V]:
        """The values that were added, or that may have changed since they were made."""
        return self._kept

    @property
    def replaced(self) -> set[str]:
        """The ids of the source whose values are kept or removed."""
        return self._replaced

    def peek(self, key: str) -> V | None:
        """Return the value with this id, or None; do not change it."""
        if key in self._kept:
            return self._kept[key]
        return None if key in self._removed else self._source.find(key)

    def __getitem__(self, key: str) -> V:
        if key in self._kept:
            return self._kept[key]
        value = self.peek(key)
        if value is None:
            raise KeyError(key)
        if self._keeps:
            self._kept[key] = value
            self._replaced.add(key)
        return value

    def __setitem__(self, key: str, value: V) -> None:
        self._kept[key] = value
        self._removed.discard(key)
        if key in self._source:
            self._replaced.add(key)

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self._kept.pop(key, None)
        if key in self._source:
            self._removed.add(key)
            self._replaced.add(key)

    def __contains__(self, key: object) -> bool:
        return key in self._kept or (key not in self._removed and key in self._source)

    def __iter__(self) -> Iterator[str]:
        removed, source = self._removed, self._source
        if not len(source):
            return iter(self._kept)
        from_source = (key for key in source if key not in removed)
        return chain(from_source, [key for key in self._kept if key not in source])

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self))

    def __len__(self) -> int:
        # The ids of the source that are replaced, but not removed, are kept.
        return len(self._source) - len(self._replaced) + len(self._kept)

    def __repr__(self) -> str:
        return f"<Records: {len(self)}, of which {len(self._kept)} are kept>"
