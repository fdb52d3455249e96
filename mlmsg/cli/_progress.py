"""Show the progress of a job: a bar on a terminal, otherwise lines of text or of JSON."""

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

from mlmsg.sync import SyncEvent, SyncReport

__all__ = ["printable", "summary", "watch"]

Show: TypeAlias = Callable[[SyncEvent], None]

LABELS = {"failed": "failed", "manifest": "replaced"}
"""Labels of the events that are problems. They are also printed above the bar."""


@contextmanager
def watch(threads: int | None, *, json: bool) -> Iterator[Show]:
    """Yield a function that shows events; `threads` is their number, or None if it is unknown."""
    if json:
        yield _json_line
    elif sys.stdout.isatty():
        with _bar(threads) as show:
            yield show
    else:
        yield _line


def summary(report: SyncReport, to: str, *, json: bool) -> None:
    """Print the last line: the counts of the report."""
    failed = len(report.failed) + report.omitted_failures
    if json:
        counts = {"threads": report.threads, "downloaded": report.downloaded}
        counts |= {"skipped": report.skipped, "failed": failed, "bytes": report.bytes}
        click.echo(msgspec.json.encode({"event": "report", "to": to, **counts}))
        return
    click.echo(
        f"mirrored into {to}: threads {report.threads}, files downloaded {report.downloaded} "
        f"({decimal(report.bytes)}), already there {report.skipped}, failed {failed}"
    )


def printable(text: str) -> str:
    """Return text of others on one line, without characters that control a terminal."""
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
        click.echo(_problem(event), err=True)
    elif event.filename is not None:
        size = f" ({decimal(event.size)})" if event.size else ""
        click.echo(f"{event.kind:<10} {_place(event)}{size}")


def _problem(event: SyncEvent) -> str:
    return printable(f"{LABELS[event.kind]}: {_place(event)}: {event.error}")


def _place(event: SyncEvent) -> str:
    return printable(event.path or "/".join(filter(None, (event.thread.path, event.filename))))


@contextmanager
def _bar(threads: int | None) -> Iterator[Show]:
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
    )
    total = SyncReport()
    of_total = "" if threads is None else f"/{threads}"
    finished = 0
    with Progress(*columns, console=Console(file=sys.stdout)) as progress:
        task = progress.add_task("", total=threads, counts="")

        def show(event: SyncEvent) -> None:
            nonlocal finished
            total.add(event)
            finished += event.filename is None
            if event.kind in LABELS:
                progress.console.print(Text(_problem(event)), soft_wrap=True)
            elapsed = progress.tasks[task].elapsed or 1.0
            failed = len(total.failed) + total.omitted_failures
            progress.update(
                task,
                completed=finished,
                counts=f"{finished}{of_total} threads, {total.downloaded + total.skipped} files, "
                f"{decimal(total.bytes)}, {decimal(int(total.bytes / elapsed))}/s, {failed} failed",
            )

        yield show
