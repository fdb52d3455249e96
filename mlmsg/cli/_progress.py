"""Show the progress of a job: a bar on a terminal, otherwise lines of text or of JSON."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeAlias

from rich.console import Console, RenderableType
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from mlmsg.sync import SyncEvent, SyncReport

from ._failures import describe, status_of
from ._output import print_json_line, print_line, print_note, printable
from ._settings import Settings

__all__ = ["summary", "watch"]

Show: TypeAlias = Callable[[SyncEvent], None]

LABELS = {"failed": "failed", "manifest": "replaced", "mismatch": "size differs"}
"""Labels of the events that are problems. They are also printed above the bar."""

LEVELS = {"failed": "error", "manifest": "warning"}
"""Levels of the events in lines of JSON; all others are of the level `info`."""


@contextmanager
def watch(
    report: SyncReport,
    threads: int | None,
    settings: Settings,
    waiting: Callable[[], int] = lambda: 0,
) -> Iterator[Show]:
    """Yield a function that shows an event.

    Args:
        report: The counts so far, which the bar shows.
        threads: The number of threads of the job, or None if only the report knows it, in time.
        settings: The options of the command.
        waiting: Returns the number of calls that wait for the rate limit.
    """
    if settings.quiet:
        yield _json_problem if settings.json else _problem
    elif settings.json:
        yield _json_line
    elif sys.stdout.isatty():
        with _bar(report, threads, waiting) as show:
            yield show
    else:
        yield _line


def summary(report: SyncReport, to: str, error: Exception | None, settings: Settings) -> None:
    """Print the last line: the counts of the report, and the error that stopped the job."""
    failed = report.failures
    if settings.json:
        counts = {"threads": report.threads, "downloaded": report.downloaded}
        counts |= {"skipped": report.skipped, "failed": failed, "bytes": report.bytes}
        counts |= {"requests": sum(report.calls.values()), "waited": report.waits}
        if report.not_found:
            counts |= {"not_found": report.not_found}
        level = "error" if failed or error else "info"
        more: dict[str, object] = {"expected": report.expected}
        more |= {"waited_seconds": round(report.waited, 3), "calls": report.calls}
        print_json_line(_stamp("report", level) | {"to": to} | counts | more | _error_fields(error))
    elif not settings.quiet:
        not_found = f" (not found {report.not_found})" if report.not_found else ""
        waits = f"{report.waits} waited for the rate limit"
        calls = sorted(report.calls.items(), key=lambda call: -call[1])
        names = ", ".join(f"{name} {count}" for name, count in calls)
        print_line(
            f"mirrored into {printable(to)}: threads {report.threads}{not_found}, "
            f"files downloaded {report.downloaded} ({decimal(report.bytes)}), "
            f"already there {report.skipped}, failed {failed}, "
            f"API requests {sum(report.calls.values())} ({waits})"
            f"{': ' if names else ''}{names}"
        )


def _stamp(event: str, level: str) -> dict[str, object]:
    return {"time": datetime.now(UTC), "level": level, "event": event}


def _error_fields(error: Exception | None) -> dict[str, object]:
    if error is None:
        return {"error": None, "error_kind": None, "status": None}
    kind = type(error).__name__
    return {"error": describe(error), "error_kind": kind, "status": status_of(error)}


def _json_line(event: SyncEvent) -> None:
    fields: dict[str, object] = {
        "kind": event.thread.kind,
        "id": event.thread.id,
        "filename": event.filename,
        "path": event.path,
        "size": event.size,
    }
    if not event.found:
        fields["found"] = False
    stamp = _stamp(event.kind, LEVELS.get(event.kind, "info"))
    print_json_line(stamp | fields | _error_fields(event.error))


def _json_problem(event: SyncEvent) -> None:
    if event.kind in LABELS:
        _json_line(event)


def _line(event: SyncEvent) -> None:
    if event.kind in LABELS:
        _problem(event)
    elif event.filename is not None:
        size = f" ({decimal(event.size)})" if event.size else ""
        print_line(f"{event.kind:<10} {_place(event)}{size}")


def _problem(event: SyncEvent) -> None:
    if event.kind in LABELS:
        print_note(_problem_text(event))


def _problem_text(event: SyncEvent) -> str:
    reason = "" if event.error is None else f": {describe(event.error)}"
    return printable(f"{LABELS[event.kind]}: {_place(event)}{reason}")


def _place(event: SyncEvent) -> str:
    return printable(event.path or "/".join(filter(None, (event.thread.path, event.filename))))


class _Bar(Progress):
    """A bar with its times, and below it the counts: side by side they need 130 columns.

    Both are drawn several times a second, also if no event comes.

    Args:
        waiting: Returns the number of calls that wait for the rate limit.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._waiting = waiting
        super().__init__(
            SpinnerColumn(),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(file=sys.stdout),
        )

    def get_renderables(self) -> Iterator[RenderableType]:
        """Yield the bar, and the counts with the speed of the job."""
        yield from super().get_renderables()
        for task in self.tasks:
            rate = f"{task.completed / (task.elapsed or 1.0):.1f} threads/s"
            yield Text(f"  {task.fields['counts']}  {rate}")
            if waiting := self._waiting():
                yield Text(f"  {waiting} calls wait for the rate limit")


@contextmanager
def _bar(report: SyncReport, threads: int | None, waiting: Callable[[], int]) -> Iterator[Show]:
    finished = 0
    with _Bar(waiting) as progress:
        task = progress.add_task("", total=threads, counts="")

        def show(event: SyncEvent) -> None:
            nonlocal finished
            finished += event.filename is None and event.kind != "manifest"
            if event.kind in LABELS:
                progress.console.print(Text(_problem_text(event)), soft_wrap=True)
            total = report.expected if threads is None else threads
            total = None if total is None else max(total, finished)
            elapsed = progress.tasks[task].elapsed or 1.0
            progress.update(
                task,
                completed=finished,
                total=total,
                counts=f"{finished}{'' if total is None else f'/{total}'} threads, "
                f"{report.downloaded + report.skipped} files, "
                f"{decimal(report.bytes)}, {decimal(int(report.bytes / elapsed))}/s, "
                f"{report.failures} failed",
            )

        yield show
