"""How the command line shows a job: a bar on a terminal, otherwise lines, or lines of JSON."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import click
import msgspec
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from .sync import SyncEvent, SyncReport

__all__ = ["printable", "summary", "watch"]

Show: TypeAlias = Callable[[SyncEvent], None]

LABELS = {"failed": "failed", "manifest": "replaced"}
"""What is told beside the bar too, and how: all that a person may want to look into."""


@contextmanager
def watch(threads: int | None, *, json: bool) -> Iterator[Show]:
    """Shows events in the way that suits the output; `threads` is how many there are, if known."""
    if json:
        yield _json_line
    elif sys.stdout.isatty():
        with _bar(threads) as show:
            yield show
    else:
        yield _line


def summary(report: SyncReport, to: str, *, json: bool) -> None:
    """The last line."""
    failed = len(report.failed) + report.omitted_failures
    if json:
        counts = {"threads": report.threads, "downloaded": report.downloaded}
        counts |= {"skipped": report.skipped, "failed": failed, "bytes": report.bytes}
        click.echo(msgspec.json.encode({"event": "report", "to": to, **counts}))
        return
    click.echo(
        f"mirrored into {to}: threads {report.threads}, files fetched {report.downloaded} "
        f"({decimal(report.bytes)}), there already {report.skipped}, failed {failed}"
    )


def printable(text: str) -> str:
    """A text of somebody else's, on one line, that cannot speak to the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def _json_line(event: SyncEvent) -> None:
    line = {
        "event": event.kind,
        "kind": event.thread.kind,
        "id": event.thread.id,
        "filename": event.filename,
        "path": event.path,
        "size": event.size,
        "error": None if event.error is None else str(event.error),
    }
    click.echo(msgspec.json.encode(line))


def _line(event: SyncEvent) -> None:
    if event.kind in LABELS:
        click.echo(_noted(event), err=True)
    elif event.filename is not None:
        size = f" ({decimal(event.size)})" if event.size else ""
        click.echo(f"{event.kind:<10} {_where(event)}{size}")


def _noted(event: SyncEvent) -> str:
    return printable(f"{LABELS[event.kind]}: {_where(event)}: {event.error}")


def _where(event: SyncEvent) -> str:
    return printable(event.path or "/".join(filter(None, (event.thread.path, event.filename))))


@contextmanager
def _bar(threads: int | None) -> Iterator[Show]:
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[shown]}"),
        TimeElapsedColumn(),
    )
    total = SyncReport()
    of_all = "" if threads is None else f"/{threads}"
    walked = 0
    with Progress(*columns, console=Console(file=sys.stdout)) as progress:
        task = progress.add_task("", total=threads, shown="")

        def show(event: SyncEvent) -> None:
            nonlocal walked
            total.add(event)
            walked += event.filename is None
            if event.kind in LABELS:
                progress.console.print(Text(_noted(event)), soft_wrap=True)
            elapsed = progress.tasks[task].elapsed or 1.0
            failed = len(total.failed) + total.omitted_failures
            progress.update(
                task,
                completed=walked,
                shown=f"{walked}{of_all} threads, {total.downloaded + total.skipped} files, "
                f"{decimal(total.bytes)}, {decimal(int(total.bytes / elapsed))}/s, {failed} failed",
            )

        yield show
