"""A soak: everything the client does, mixed, with random faults, and then the proofs.

    python benchmarks/soak.py [--seconds N | --calls N] [--faults 0.05] [--workers 16] [--seed N]

Three clients of one grant (two share a `RefreshingToken`, the third has one of its own on the same
`FileTokenStore`) talk to `soak_server` in another process, where each request meets a fault at the
given rate. Some calls are cancelled at a random moment. At the end what the callers were told is
compared with what the server did; descriptors, tasks, threads and memory are counted before the
first client, after a fifth of the run, at its end, and after closing, each time at rest. Needs
Linux; ends with 1 if a proof fails.

The seed makes the same draws; which call meets them depends on the network, as ever.
"""

import argparse
import asyncio
import gc
import itertools
import math
import os
import sys
import tempfile
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import astuple, dataclass
from pathlib import Path
from urllib.request import urlopen

import msgspec
from serving import running
from soak_calls import CALLS, KIND, Mix, Tally, WrongAnswerError, WrongFileError
from soak_server import TRUTH, Outcome, Proof, Truth, compared

from mlmsg import (
    ApiError,
    BadRequest,
    Client,
    DecodeError,
    FileTokenStore,
    OutcomeUnknown,
    RefreshingToken,
    RetryPolicy,
    Timeouts,
    TransportError,
    UnsafeRedirect,
)
from mlmsg.sandbox import Grant

RETRY = RetryPolicy(attempts=5, base=0.002, cap=0.02)
TIMEOUTS = Timeouts(connect=10.0, read=2.0, write=10.0)
CANCELLED = 0.03
"""The part of the calls that is cancelled, after 10 ms on the average."""

PASSING = frozenset({401, 429, 500, 502, 503})
"""Statuses that a fault may leave a call with."""

REST = 0.3
"""Seconds of rest before things are counted: connections that were closed have to go."""

GROWTH = 24.0
"""MiB that the process may grow by, from a fifth of the run to its end. Most of it is memory that
the C library keeps in pieces: files of some MB pass through a dozen threads."""

OBJECTS = 40_000
"""Blocks of Python's own memory that it may hold more by then, which is the sharper measure. Each
of the three clients remembers up to 10,000 ids of messages that it sent."""


@dataclass(frozen=True)
class Options:
    """What the command line says; without `seconds` it is `calls` that end the run."""

    calls: int | None = 50_000
    seconds: float | None = None
    faults: float = 0.05
    workers: int = 16
    seed: int = 1


@dataclass(frozen=True)
class Held:
    """What the process holds at one moment; `memory` in MiB, `objects` in blocks of Python's."""

    descriptors: int
    tasks: int
    threads: int
    objects: int
    memory: float

    @classmethod
    def now(cls) -> "Held":
        """Counted."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            descriptors=sum(1 for _ in Path("/proc/self/fd").iterdir()),
            tasks=len(asyncio.all_tasks()),
            threads=threading.active_count(),
            objects=sys.getallocatedblocks(),
            memory=pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024,
        )


async def _at_rest() -> Held:
    await asyncio.sleep(REST)
    return Held.now()


class Wrong(Counter[tuple[str, str]]):
    """What no fault explains: how often, by its sort and in words."""

    def of(self, *sorts: str) -> int:
        """How often something of these sorts was seen."""
        return sum(times for (sort, _), times in self.items() if sort in sorts)


async def call(mix: Mix, kind: str, client: Client, wrong: Wrong) -> None:
    """One call of that kind, which may be cancelled; whatever becomes of it is counted."""
    tally = mix.tallies[kind]
    tally.calls += 1
    KIND.set(tally)
    task = asyncio.ensure_future(CALLS[kind][1](mix, client))
    hits: list[bool] = []
    if mix.random.random() < CANCELLED:
        delay = mix.random.expovariate(100)
        asyncio.get_running_loop().call_later(delay, lambda: hits.append(task.cancel()))
    await asyncio.wait({task})
    error = None if task.cancelled() else task.exception()
    if task.cancelled():
        tally.cancelled += 1
    elif error is None:
        tally.ok += 1
    elif isinstance(error, OutcomeUnknown):
        tally.unknown += 1
    else:
        tally.errors += 1
    # A cancellation may meet the failure of one of several files: a TaskGroup raises that one.
    if any(hits) and not task.cancelled() and not (error and "send" in kind):
        wrong["cancellation", f"{kind}: it went on to {error!r}"] += 1
    if error is not None and not explained(kind, error):
        wrong[_sort(error), f"{kind}: {error!r}"] += 1


def explained(kind: str, error: BaseException) -> bool:
    """Whether a fault of the server may have ended a call in this way."""
    match error:
        case OutcomeUnknown():
            return "send" in kind
        case BadRequest():
            return kind == "send, refused"
        case ApiError(status=status):
            return status in PASSING
    return isinstance(error, TransportError) and not isinstance(error, UnsafeRedirect)


def _sort(error: BaseException) -> str:
    match error:
        case WrongFileError():
            return "file"
        case WrongAnswerError() | DecodeError():
            return "answer"
    return "error"


@dataclass(frozen=True)
class Report:
    """What a run has shown.

    Attributes:
        seconds: How long the calls took, the rests included.
        held: Before the first client, after a fifth of the run, at its end, and after closing.
    """

    options: Options
    mix: Mix
    truth: Truth
    wrong: Wrong
    held: Sequence[Held]
    seconds: float
    proofs: Sequence[Proof]


async def soak(options: Options, folder: Path) -> Report:
    """Runs it, with its files in `folder`."""
    mix, wrong = Mix(folder, options.seed), Wrong()
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: wrong.update([("error", f"told to the loop: {context['message']}")])
    )
    with running("soak", str(options.faults), str(options.seed)) as url:
        held = [await _at_rest()]
        begun = time.monotonic()
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(one) for one in _clients(url, folder, mix)]
            for part in (0.2, 0.8):
                await _run(mix, clients, options, part, wrong)
                held.append(await _at_rest())
        seconds = time.monotonic() - begun
        held.append(await _at_rest())
        truth = await asyncio.to_thread(_truth, url)
    asyncio.get_running_loop().set_exception_handler(None)
    mix.ledger.close()
    proofs = [
        *compared(_ledger(folder), truth),
        *_seen(folder, mix, truth, wrong),
        *_growth(held, options),
    ]
    return Report(options, mix, truth, wrong, held, seconds, proofs)


def _clients(url: str, folder: Path, mix: Mix) -> Iterator[Client]:
    grant = Grant()
    tokens = [
        RefreshingToken(
            grant.client_id,
            grant.client_secret,
            grant.refresh_token,
            store=FileTokenStore(folder / "token.json"),
        )
        for _ in range(2)
    ]
    for token in (tokens[0], tokens[0], tokens[1]):
        yield Client(
            token, base_url=url, timeout=TIMEOUTS, retry=RETRY, budget=None, on_event=mix.heard
        )


async def _run(
    mix: Mix, clients: Sequence[Client], options: Options, part: float, wrong: Wrong
) -> None:
    """Calls of all kinds, side by side, until that part of the run is over."""
    kinds = list(CALLS)
    shares = [CALLS[kind][0] for kind in kinds]
    turns = _turns(options, part)

    async def work(client: Client) -> None:
        for _ in turns:
            await call(mix, mix.random.choices(kinds, shares)[0], client, wrong)

    async with asyncio.TaskGroup() as group:
        for number in range(options.workers):
            group.create_task(work(clients[number % len(clients)]))


def _turns(options: Options, part: float) -> Iterator[int]:
    """One for each call of that part of the run."""
    calls = math.inf if options.calls is None else options.calls * part
    end = math.inf if options.seconds is None else time.monotonic() + options.seconds * part
    for number in itertools.count():
        if number >= calls or time.monotonic() >= end:
            return
        yield number


def _truth(url: str) -> Truth:
    with urlopen(url + TRUTH) as answer:  # noqa: S310  (our own server)
        return msgspec.json.decode(answer.read(), type=Truth)


# The proofs


def _ledger(folder: Path) -> Iterator[Outcome]:
    decoder = msgspec.json.Decoder(Outcome)
    with (folder / "ledger").open("rb") as file:
        yield from map(decoder.decode, file)


def _seen(folder: Path, mix: Mix, truth: Truth, wrong: Wrong) -> list[Proof]:
    """What was seen while it ran."""
    down = sum(mix.tallies[kind].ok for kind in ("download", "save", "claim download"))
    left = [path.name for path in folder.rglob("*") if path.suffix == ".part"]
    left += [path.name for path in mix.saved.iterdir()]
    every = _sum(mix.tallies.values())
    # The faults beside `expired` end one attempt each, `expired` none but with a 401.
    faults = sum(truth.faults.values()) - truth.faults.get("expired", 0)
    attempts = f"{mix.failed:,} of {mix.attempts:,}, {faults:,} faults"
    return [
        Proof("what came down has the right bytes", f"{down:,} files", wrong.of("file")),
        Proof("no part of a file is left", f"{mix.tallies['save'].calls:,} saves", len(left)),
        Proof("every answer is right and whole", f"{every.ok:,} successes", wrong.of("answer")),
        Proof("attempts fail only by a fault", attempts, max(mix.failed - faults, 0)),
        Proof("a fault explains every error", f"{every.errors:,} errors", wrong.of("error")),
        Proof("a cancelled call ends", f"{every.cancelled:,} cancelled", wrong.of("cancellation")),
    ]


def _growth(held: Sequence[Held], options: Options) -> list[Proof]:
    """What the process holds at the end, against the fifth of the run and the beginning."""
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
            f"(at most {(fifth.objects + OBJECTS) // 1000}), {closed.objects // 1000} thousand",
            end.objects > fifth.objects + OBJECTS,
        ),
        Proof(
            "no growth of memory",
            f"{start.memory:.1f}, {fifth.memory:.1f}, {end.memory:.1f} "
            f"(at most {fifth.memory + GROWTH:.1f}), {closed.memory:.1f} MiB",
            end.memory > fifth.memory + GROWTH,
        ),
    ]


# What is printed


def summary(report: Report) -> Iterator[str]:
    """The lines of it."""
    options, truth, mix = report.options, report.truth, report.mix
    calls = sum(mix.tallies[kind].calls for kind in CALLS)
    yield (
        f"{calls:,} calls in {report.seconds:.0f} s ({calls / report.seconds:.0f} a second), "
        f"{truth.requests:,} requests, {options.faults:.1%} faults, {options.workers} workers, "
        f"seed {options.seed}"
    )
    yield f"{'':<18}{'calls':>9}{'ok':>9}{'retried':>9}{'unknown':>9}{'errors':>9}{'cancelled':>11}"
    for kind in CALLS:
        yield _row(kind, mix.tallies[kind])
    yield _row("all of them", _sum(mix.tallies[kind] for kind in CALLS))
    yield _row("reconcile", mix.reconciled)
    met = ", ".join(f"{name}={times:,}" for name, times in sorted(truth.faults.items()))
    yield from textwrap.wrap(
        f"{sum(truth.faults.values()):,} faults: {met}", 98, break_on_hyphens=False
    )
    for claim, seen, against in report.proofs:
        verdict = f"NO, {against:,}" if against else "yes"
        yield f"{verdict:<9} {claim:<40}{seen}"
    for (sort, text), times in report.wrong.most_common(10):
        yield f"  {times} times {sort}: {text}"[:300]


def _row(kind: str, tally: Tally) -> str:
    return (
        f"{kind:<18}{tally.calls:>9,}{tally.ok:>9,}{tally.retried:>9,}{tally.unknown:>9,}"
        f"{tally.errors:>9,}{tally.cancelled:>11,}"
    )


def _sum(tallies: Iterable[Tally]) -> Tally:
    rows = [astuple(tally) for tally in tallies]
    return Tally(*map(sum, zip(*rows, strict=True)))


def options_of(arguments: Sequence[str]) -> Options:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Mixes everything with faults, and proves.")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--calls", type=int, default=50_000)
    length.add_argument("--seconds", type=float)
    parser.add_argument("--faults", type=float, default=0.05)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    calls = given.calls if given.seconds is None else None
    return Options(calls, given.seconds, given.faults, given.workers, given.seed)


def main(arguments: Sequence[str]) -> int:
    """Runs it, prints the summary, and tells whether a proof fails."""
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(soak(options_of(arguments), Path(folder)))
    print(*summary(report), sep="\n")
    return int(any(proof.against for proof in report.proofs))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
