"""What the job tells while it runs, and what it reports at its end. All of it can be pickled."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .keys import segment

__all__ = [
    "EventKind",
    "Failure",
    "SyncEvent",
    "SyncReport",
    "ThreadId",
    "ThreadKind",
    "merge_reports",
]

ThreadKind: TypeAlias = Literal["pack", "claim"]

EventKind: TypeAlias = Literal["downloaded", "skipped", "failed", "manifest", "thread"]
"""What an event tells; see `SyncEvent`."""

MAX_FAILURES = 10_000
"""Failures that a report keeps: a million of them must not fill the memory."""


@dataclass(frozen=True, slots=True)
class ThreadId:
    """A pack or a claim.

    Attributes:
        kind: `"pack"` or `"claim"`.
        id: Its id, as text.
    """

    kind: ThreadKind
    id: str

    @property
    def path(self) -> str:
        """Its folder below the target, such as `packs/2000007001000011`."""
        return f"{self.kind}s/{segment(self.id)}"


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be mirrored.

    Attributes:
        thread: The pack or claim.
        filename: The attachment, or None when the thread itself could not be read to its end.
        error: Why.
    """

    thread: ThreadId
    filename: str | None
    error: Exception

    def __str__(self) -> str:
        """Where, and why."""
        where = f"{self.thread.path}/{self.filename}" if self.filename else self.thread.path
        return f"{where}: {self.error}"


@dataclass(frozen=True, slots=True)
class SyncEvent:
    """One step of the job, told as it happens.

    Attributes:
        kind: `"downloaded"`, `"skipped"` (it is there already) or `"failed"` for a file; `"failed"`
            without a file name for a thread that could not be read to its end; `"thread"` for one
            that was, and whose files are all dealt with; `"manifest"` for a manifest that could
            not be read, and is replaced.
        thread: The pack or claim.
        filename: The attachment, or None for what concerns the thread.
        path: Where the file is in the target, or None.
        size: Bytes of the file, 0 where there is none.
        error: What went wrong, or None.
    """

    kind: EventKind
    thread: ThreadId
    filename: str | None = None
    path: str | None = None
    size: int = 0
    error: Exception | None = None


@dataclass(slots=True)
class SyncReport:
    """What the job did.

    Attributes:
        threads: Packs and claims that were read to their end.
        downloaded: Files that were fetched.
        skipped: Files that were there already.
        failed: What could not be mirrored, and why: the first 10,000.
        omitted_failures: How many more could not be mirrored.
        bytes: Bytes of the files that were fetched.
    """

    threads: int = 0
    downloaded: int = 0
    skipped: int = 0
    failed: list[Failure] = field(default_factory=list)
    omitted_failures: int = 0
    bytes: int = 0

    def add(self, event: SyncEvent) -> None:
        """Counts one step."""
        if event.kind == "thread":
            self.threads += 1
        elif event.kind == "skipped":
            self.skipped += 1
        elif event.kind == "downloaded":
            self.downloaded += 1
            self.bytes += event.size
        elif event.kind == "failed" and event.error is not None:
            self._keep([Failure(event.thread, event.filename, event.error)])

    def include(self, other: "SyncReport") -> None:
        """Adds what another job did."""
        self.threads += other.threads
        self.downloaded += other.downloaded
        self.skipped += other.skipped
        self.bytes += other.bytes
        self.omitted_failures += other.omitted_failures
        self._keep(other.failed)

    def _keep(self, failures: list[Failure]) -> None:
        room = MAX_FAILURES - len(self.failed)
        self.failed += failures[:room]
        self.omitted_failures += len(failures[room:])


def merge_reports(reports: Iterable[SyncReport]) -> SyncReport:
    """The sum of several reports."""
    total = SyncReport()
    for report in reports:
        total.include(report)
    return total
