"""The progress of one file that is uploaded or downloaded."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column

from ._output import printable
from ._settings import Settings

__all__ = ["transfer"]


@contextmanager
def transfer(name: str, settings: Settings) -> Iterator[Callable[[int, int | None], None] | None]:
    """Yield a progress function that draws a bar on standard error; None if nobody sees it."""
    if settings.quiet or settings.json or not sys.stderr.isatty():
        yield None
        return
    columns = (
        TextColumn(
            "{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=30)
        ),
        BarColumn(bar_width=20),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(printable(name), total=None)

        def show(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        yield show
