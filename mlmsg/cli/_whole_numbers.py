"""The values of options that are whole numbers."""

import click

__all__ = ["WholeNumber"]


class WholeNumber(click.IntRange):
    """A whole number in a range.

    Args:
        smallest: The smallest number.
        largest: The largest number, or None.
        what: The kind of number, for errors.
    """

    def __init__(
        self, smallest: int, largest: int | None = None, what: str = "a whole number"
    ) -> None:
        super().__init__(smallest, largest)
        end = f"{smallest} or more" if largest is None else f"{smallest} to {largest}"
        self._allowed = f"{what} ({end})"

    def convert(self, value: int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number. Click passes a text in spite of its annotation."""
        try:
            return int(super().convert(value, param, ctx))
        except click.BadParameter:
            self.fail(f"found {str(value)!r}, allowed: {self._allowed}", param, ctx)
