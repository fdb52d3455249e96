"""The rows of a page, with the places of those that cannot be read.

A walk advances by the number of rows of a page, and sees by their places whether they have moved.
So the rows that were left out have to count.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

__all__ = ["GAP", "Gap", "Rows", "with_gaps"]

T = TypeVar("T")


class Gap:
    """Stands for a row that was left out."""


GAP: Final = Gap()


class Rows(list[T]):
    """The rows of a page that can be read.

    Attributes:
        left_out: The indexes of the other rows in the page, in ascending order.
    """

    left_out: tuple[int, ...]

    def __init__(self, rows: Iterable[T], left_out: Iterable[int]) -> None:
        super().__init__(rows)
        self.left_out = tuple(left_out)


def with_gaps(rows: Sequence[T]) -> Sequence[T | Gap]:
    """Return all rows of a page, with `GAP` in the place of each that was left out."""
    if not isinstance(rows, Rows):
        return rows
    complete: list[T | Gap] = list(rows)
    for index in rows.left_out:
        complete.insert(index, GAP)
    return complete
