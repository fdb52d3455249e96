"""Events of a running job, and its report. All of them can be pickled."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from mlmsg._arguments import shorten
from mlmsg._html import render_table, size_text
from mlmsg.errors import DecodeError, RuleError
from mlmsg.events import AttemptEvent

from .keys import segment

__all__ = [
    "EventKind",
    "Failure",
    "SyncEvent",
    "SyncReport",
    "ThreadId",
    "ThreadKind",
    "check_report",
    "merge_reports",
    "unreadable_claims",
]

ThreadKind: TypeAlias = Literal["pack", "claim"]

EventKind: TypeAlias = Literal["downloaded", "skipped", "mismatch", "failed", "manifest", "thread"]
"""The kind of a step; see `SyncEvent`."""

MIN_WAIT_SECONDS = 0.001
"""Seconds that a request must have waited for the rate budget to count as one that waited."""

MAX_FAILURES = 10_000
"""Failures that a report stores. The number is limited so that they cannot fill the memory."""

_NO_ID = "no-id"
"""The folder that is named for a thread without an id. Nothing is stored there."""


@dataclass(frozen=True, slots=True)
class ThreadId:
    """A pack or a claim.

    Attributes:
        kind: `"pack"` or `"claim"`.
        id: The id as text; empty for a claim whose row in a search shows none.
    """

    kind: ThreadKind
    id: str

    @property
    def path(self) -> str:
        """The folder of the thread in the target, such as `packs/2000007001000011`."""
        return f"{self.kind}s/{segment(self.id or _NO_ID)}"


@dataclass(frozen=True, slots=True)
class Failure:
    """A file or thread that could not be mirrored.

    Attributes:
        thread: The pack or claim.
        filename: The attachment, or None when the thread itself could not be read to its end.
        error: The error.
    """

    thread: ThreadId
    filename: str | None
    error: Exception

    def __str__(self) -> str:
        """Return the path and the error."""
        where = f"{self.thread.path}/{self.filename}" if self.filename else self.thread.path
        return f"{where}: {self.error}"


@dataclass(frozen=True, slots=True)
class SyncEvent:
    """One step of the job.

    Attributes:
        kind: `"downloaded"`, `"skipped"` (already there) or `"failed"` for a file; `"failed"`
            without a file name for a thread that could not be read completely; `"mismatch"` before
            `"downloaded"` for a file whose size is not the one that its message lists; `"thread"`
            for a thread that was read completely, after the last of its files; `"manifest"` for a
            manifest that could not be read and is replaced.
        thread: The pack or claim.
        filename: The attachment, or None if the event concerns the thread.
        path: The path of the file in the target, or None.
        size: The bytes of the file, or 0.
        error: The error, or None.
        newest: The time of the newest message of a pack that was read completely, or None.
        found: False for a pack that the API answered with 404: it has no messages, or its id is
            wrong.
    """

    kind: EventKind
    thread: ThreadId
    filename: str | None = None
    path: str | None = None
    size: int = 0
    error: Exception | None = None
    newest: datetime | None = None
    found: bool = True


@dataclass(slots=True, repr=False)
class SyncReport:
    """The result of the job.

    Attributes:
        threads: The number of packs and claims that were read completely.
        downloaded: The number of files downloaded.
        skipped: The number of files that were already there.
        mismatched: The number of downloaded files whose size is not the listed one.
        failed: The first 10,000 files and threads that could not be mirrored.
        omitted_failures: The number of failures beyond those in `failed`.
        bytes: The bytes of the files downloaded.
        calls: The number of API requests, by operation. Each attempt of a call counts.
        waits: The number of requests that the rate budget made wait.
        waited: The seconds that they waited for it, added up.
        expected: The number of packs and claims of the job, as far as the searches tell it. None
            if it is unknown. It is corrected while the job runs.
        not_found: The number of packs, of those in `threads`, that the API answered with 404. It
            answers so for a pack without messages, and for an id that does not exist: if the number
            is higher than you expect, check the ids.
    """

    threads: int = 0
    downloaded: int = 0
    skipped: int = 0
    failed: list[Failure] = field(default_factory=list)
    omitted_failures: int = 0
    bytes: int = 0
    calls: dict[str, int] = field(default_factory=dict, compare=False)
    waits: int = field(default=0, compare=False)
    mismatched: int = 0
    waited: float = field(default=0.0, compare=False)
    expected: int | None = field(default=None, compare=False)
    not_found: int = 0

    @property
    def failures(self) -> int:
        """The number of files and threads that could not be mirrored."""
        return len(self.failed) + self.omitted_failures

    def add(self, event: SyncEvent) -> None:
        """Count one step."""
        if event.kind == "thread":
            self.threads += 1
            self.not_found += not event.found
        elif event.kind == "skipped":
            self.skipped += 1
        elif event.kind == "mismatch":
            self.mismatched += 1
        elif event.kind == "downloaded":
            self.downloaded += 1
            self.bytes += event.size
        elif event.kind == "failed" and event.error is not None:
            self._keep([Failure(event.thread, event.filename, event.error)])

    def count_call(self, event: AttemptEvent) -> None:
        """Count one request of the API."""
        self.calls[event.operation] = self.calls.get(event.operation, 0) + 1
        if event.waited >= MIN_WAIT_SECONDS:
            self.waits += 1
            self.waited += event.waited

    def include(self, other: "SyncReport") -> None:
        """Add the report of another job."""
        self.threads += other.threads
        self.downloaded += other.downloaded
        self.skipped += other.skipped
        self.not_found += other.not_found
        self.bytes += other.bytes
        self.mismatched += other.mismatched
        self.omitted_failures += other.omitted_failures
        self.waits += other.waits
        self.waited += other.waited
        if other.expected is not None:
            self.expected = (self.expected or 0) + other.expected
        for operation, count in other.calls.items():
            self.calls[operation] = self.calls.get(operation, 0) + count
        self._keep(other.failed)

    def __repr__(self) -> str:
        return f"<SyncReport: {', '.join(self._figures())}>"

    def _repr_html_(self) -> str:
        title = " · ".join(self._figures())
        return render_table(title, ("thread", "file", "error"), _failure_rows(self))

    def _figures(self) -> list[str]:
        not_found = [f"{self.not_found} not found (404)"] if self.not_found else []
        return [
            f"{self.threads} threads",
            *not_found,
            f"{self.downloaded} files downloaded ({size_text(self.bytes)})",
            f"{self.skipped} already there",
            f"{self.failures} failed",
        ]

    def _keep(self, failures: list[Failure]) -> None:
        room = MAX_FAILURES - len(self.failed)
        self.failed += failures[:room]
        self.omitted_failures += len(failures[room:])


def _failure_rows(report: SyncReport) -> list[tuple[str, str, str]]:
    return [(f.thread.path, f.filename or "", str(f.error)) for f in report.failed]


def unreadable_claims(again: str) -> tuple[ThreadId, DecodeError]:
    """Return the failed thread, and its error, for claims whose rows in a search cannot be read.

    They have no id by which they could be read again. `again` says what to run then.
    """
    text = (
        "some rows of the search of claims cannot be read, so claims may be missing; the log names "
        f"the rows. Run once more {again} when they can be read"
    )
    return ThreadId("claim", ""), DecodeError(text)


def check_report(name: str, report: object) -> None:
    """Reject what is not a `SyncReport`."""
    if not isinstance(report, SyncReport):
        raise RuleError(name, shorten(report), "a SyncReport")


def merge_reports(reports: Iterable[SyncReport]) -> SyncReport:
    """Return the sum of the reports.

    Raises:
        RuleError: `reports` is not an iterable of `SyncReport`s.
    """
    if not isinstance(reports, Iterable):
        raise RuleError("`reports`", shorten(reports), "an iterable of SyncReports")
    total = SyncReport()
    for report in reports:
        check_report("`reports`", report)
        total.include(report)
    return total
