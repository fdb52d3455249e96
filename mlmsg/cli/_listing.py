"""Long lists: one line for each item, printed as it arrives."""

import shutil
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar

import click

from mlmsg.errors import MlmsgError

from ._exit_codes import ExitCode
from ._failures import Failure, describe
from ._moments import FORMS, moment
from ._output import print_json_line, print_line
from ._render import cell_text, print_heading
from ._settings import Settings
from ._streams import is_reader_gone

__all__ = ["print_rows", "since_option", "until_option"]

T = TypeVar("T")

since_option = click.option(
    "--since",
    type=moment,
    default="30d",
    show_default=True,
    metavar="MOMENT",
    help=f"Updated since then: {FORMS}.",
)
until_option = click.option(
    "--until", type=moment, metavar="MOMENT", help="Updated before then, in the same forms."
)


async def print_rows(
    settings: Settings,
    columns: Sequence[tuple[str, int]],
    items: AsyncGenerator[T, None],
    row: Callable[[T], Sequence[object]],
) -> ExitCode:
    """Print one line for each item, or one line of JSON, until the reader leaves.

    Args:
        settings: The options of the command.
        columns: The heading and the usual width of each column.
        items: The items.
        row: Returns the cells of an item.

    Raises:
        Failure: An error ended the list after its first item.
    """
    count = 0
    async with aclosing(items):
        try:
            async for item in items:
                if settings.json:
                    print_json_line(item)
                else:
                    if count == 0:
                        print_heading(_line([heading for heading, _ in columns], columns))
                    print_line(_line([cell_text(value) for value in row(item)], columns))
                count += 1
                if is_reader_gone():
                    return ExitCode.OK
        except MlmsgError as error:
            if count == 0:
                raise
            text = f"stopped after {count} items: {describe(error)}"
            raise Failure(text, ExitCode.STOPPED) from error
    if count == 0:
        settings.note("nothing was found")
    return ExitCode.OK


def _line(cells: Sequence[str], columns: Sequence[tuple[str, int]]) -> str:
    """Return the cells below their headings. On a terminal, a line is never wider than it."""
    padded = [cell.ljust(width) for cell, (_, width) in zip(cells, columns, strict=True)]
    line = "  ".join(padded).rstrip()
    if not sys.stdout.isatty():
        return line
    width = shutil.get_terminal_size().columns
    if sum(width for _, width in columns) + 2 * (len(columns) - 1) > width:
        line = " ".join(padded).rstrip()
    return line if len(line) <= width else f"{line[: width - 1]}…"
