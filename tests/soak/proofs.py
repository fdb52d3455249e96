"""Prove from the records of server and callers, and from the process, that nothing went wrong."""

import asyncio
import gc
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

MAX_GROWTH_MIB = 24.0
"""The most that the process may grow from a fifth of the run to its end.

Most of it is memory that the C library keeps in fragments: files of some MB pass through a dozen
threads.
"""

MAX_NEW_OBJECTS = 40_000
"""The most memory blocks of Python that may be added by then; this is the sharper measure.

Each of the four clients remembers up to 10,000 ids of messages that it sent.
"""


class Truth(msgspec.Struct):
    """The record of what the server executed.

    Attributes:
        texts: How often each message was sent.
        stored: The SHA-256 of each stored file, by its id.
        faults: How often each fault was injected.
        requests: The number of requests.
        expired: The number of access tokens that expired.
        refreshes: The number of successful refreshes.
        rejected_refreshes: The number of rejected refreshes: their refresh token was used before.
    """

    texts: dict[str, int] = {}
    stored: dict[str, str] = {}
    faults: dict[str, int] = {}
    requests: int = 0
    expired: int = 0
    refreshes: int = 0
    rejected_refreshes: int = 0


Outcome = tuple[str, str, str]
"""The outcome that a caller saw, of a send or of a file.

Of a send: its text; `ok`, `unknown`, `error` or `cancelled`; and the result of `reconcile`.
Of a file: its id, `stored`, and the SHA-256 of the bytes that were sent.
"""


class Proof(NamedTuple):
    """A claim, the evidence that it rests on, and the number of cases that contradict it."""

    claim: str
    evidence: str
    against: int


@dataclass(frozen=True)
class Options:
    """The options of a run; it ends after `calls` calls, or after `seconds` if given."""

    calls: int | None = 50_000
    seconds: float | None = None
    faults: float = 0.05
    workers: int = 16
    seed: int = 1


@dataclass(frozen=True)
class Held:
    """The resources of the process; `memory` in MiB, `objects` in memory blocks of Python."""

    descriptors: int
    tasks: int
    threads: int
    objects: int
    memory: float

    @classmethod
    def measure(cls) -> "Held":
        """Collect garbage, then count."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            descriptors=sum(1 for _ in Path("/proc/self/fd").iterdir()),
            tasks=len(asyncio.all_tasks()),
            threads=threading.active_count(),
            objects=sys.getallocatedblocks(),
            memory=pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024,
        )


def compare(ledger: Iterable[Outcome], truth: Truth) -> list[Proof]:
    """Compare what the callers saw with what the server executed."""
    seen: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    texts = dict(truth.texts)
    for name, outcome, more in ledger:
        seen[outcome] += 1
        if outcome == "stored":
            wrong[outcome] += truth.stored.get(name) != more
            continue
        times = texts.pop(name, 0)
        seen[more] += 1
        holds = {"ok": times == 1, "error": times == 0}
        wrong[outcome] += not holds.get(outcome, True)
        holds = {"found": times == 1, "missing": times == 0, "undecided": False}
        wrong["reconcile"] += not holds.get(more, True)
    twice = sum(times > 1 for times in truth.texts.values()) + len(texts)
    refreshes = 0 <= truth.refreshes - truth.expired <= 1  # one more: the first
    found = f"{seen['found']:,} found, {seen['missing']:,} not there"
    ended = f"{truth.refreshes} refreshes, {truth.expired} tokens expired"
    return [
        Proof("no message was executed twice", f"{len(truth.texts):,} executed", twice),
        Proof("what succeeded was executed once", f"{seen['ok']:,} sends", wrong["ok"]),
        Proof("what failed was not executed", f"{seen['error']:,} sends", wrong["error"]),
        Proof("reconcile was right about the others", found, wrong["reconcile"]),
        Proof("what was stored has the right bytes", f"{seen['stored']:,} files", wrong["stored"]),
        Proof(
            "each refresh token was used once", ended, truth.rejected_refreshes + (not refreshes)
        ),
    ]


def check_growth(held: Sequence[Held], options: Options) -> list[Proof]:
    """Compare what the process holds at the end with a fifth of the run and with the start."""
    start, fifth, end, closed = held
    # At rest each client keeps the connections that its calls had at the busiest moment.
    most = fifth.descriptors + options.workers
    threads = fifth.threads + options.workers
    return [
        Proof(
            "no growth of descriptors",
            f"{start.descriptors}, {fifth.descriptors}, {end.descriptors} (at most {most}), "
            f"{closed.descriptors} (at most {start.descriptors})",
            (end.descriptors > most) + (closed.descriptors > start.descriptors),
        ),
        Proof(
            "no growth of tasks",
            f"{start.tasks}, {fifth.tasks}, {end.tasks}, {closed.tasks} (at most {start.tasks})",
            max(fifth.tasks, end.tasks, closed.tasks) > start.tasks,
        ),
        Proof(
            "no growth of threads",
            f"{start.threads}, {fifth.threads}, {end.threads} (at most {threads}), "
            f"{closed.threads}",
            end.threads > threads,
        ),
        Proof(
            "no growth of objects",
            f"{start.objects // 1000}, {fifth.objects // 1000}, {end.objects // 1000} "
            f"(at most {(fifth.objects + MAX_NEW_OBJECTS) // 1000}), "
            f"{closed.objects // 1000} thousand",
            end.objects > fifth.objects + MAX_NEW_OBJECTS,
        ),
        Proof(
            "no growth of memory",
            f"{start.memory:.1f}, {fifth.memory:.1f}, {end.memory:.1f} "
            f"(at most {fifth.memory + MAX_GROWTH_MIB:.1f}), {closed.memory:.1f} MiB",
            end.memory > fifth.memory + MAX_GROWTH_MIB,
        ),
    ]
