"""Measure several ways to do the same work, side by side, and format the result as Markdown."""

import asyncio
import importlib
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from types import ModuleType

__all__ = [
    "Comparison",
    "Missing",
    "Way",
    "compare",
    "in_thread",
    "module",
    "program",
    "run_program",
    "timed",
]

OURS = "mlmsg"

Way = Callable[[], Awaitable[float]]
"""One way to do the work. It returns the seconds that the work took."""


class Missing(Exception):
    """A peer that is not installed here."""


def module(name: str) -> ModuleType:
    """Return a library of the extra `bench`.

    Raises:
        Missing: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Missing(f"{name} is not installed") from None


def program(name: str) -> str:
    """Return the path of a program, which may be installed beside this Python.

    Raises:
        Missing: It is not installed.
    """
    beside = sys.executable.rpartition("/")[0]
    found = shutil.which(name) or shutil.which(name, path=beside)
    if found is None:
        raise Missing(f"{name} is not installed")
    return found


async def run_program(*command: str, stdin: str = "", cwd: str | None = None) -> str:
    """Run a program to its end, and return its output."""
    path = program(command[0])
    done = await asyncio.to_thread(
        subprocess.run,
        [path, *command[1:]],
        input=stdin.encode(),
        stdout=subprocess.PIPE,
        check=True,
        cwd=cwd,
    )
    return str(done.stdout, "utf-8", "replace")


async def timed(work: Awaitable[object]) -> float:
    """Return the seconds that the work takes."""
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


async def in_thread(function: Callable[[], object]) -> float:
    """Return the seconds that a blocking function takes, in a thread."""
    return await timed(asyncio.to_thread(function))


@dataclass
class Comparison:
    """The seconds of each way in each round, and the reasons why others were not measured.

    Attributes:
        title: The work.
        seconds: The seconds by the name of the way, in the order of the rounds.
        missing: The ways that could not be measured, and why.
        amount: The number of things done in one run: the table then says how many a second.
        unit: Their name.
    """

    title: str
    amount: int = 0
    unit: str = ""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def ratio(self, peer: str, of: str = OURS) -> float | None:
        """Return how many times as long as the peer we take: the median over the rounds."""
        if peer in self.missing or of in self.missing:
            return None
        pairs = zip(self.seconds[of], self.seconds[peer], strict=True)
        return median(mine / theirs for mine, theirs in pairs)

    def table(self) -> str:
        """Return the result as a table."""
        lines = [
            f"**{self.title}**",
            "",
            "| way | median | quartiles | time of mlmsg : time of this |",
            "|---|---|---|---|",
            *(self._line(name) for name in [*self.seconds, *self.missing]),
        ]
        return "\n".join(lines)

    def summary(self) -> str:
        """Return the result as one row."""
        ratios = {name: self.ratio(name) for name in self.seconds if name != OURS}
        shown = [f"{name} {ratio:.2f}" for name, ratio in ratios.items() if ratio is not None]
        return (
            f"| {self.title} | {self._amount(median(self.seconds[OURS]))} | {' · '.join(shown)} |"
        )

    def _line(self, name: str) -> str:
        if name in self.missing:
            return f"| {name} | not measured: {self.missing[name]} | | |"
        found = self.seconds[name]
        low, middle, high = quantiles(found, n=4) if len(found) > 1 else found * 3
        ratio = self.ratio(name)
        text = "" if name == OURS or ratio is None else f"{ratio:.2f}"
        if self.amount:  # the less seconds, the more things a second
            low, high = high, low
        shown = [self._amount(value) for value in (middle, low, high)]
        return f"| {name} | {shown[0]} | {shown[1]} to {shown[2]} | {text} |"

    def _amount(self, seconds: float) -> str:
        if self.amount:
            return f"{self.amount / seconds:,.0f} {self.unit}/s"
        scale, unit = (1e6, "us") if seconds < 0.001 else (1e3, "ms")
        return f"{seconds * scale:,.1f} {unit}"


async def compare(
    title: str,
    ways: Mapping[str, Way],
    rounds: int,
    *,
    amount: int = 0,
    unit: str = "",
    warm_up: int = 1,
) -> Comparison:
    """Measure all ways in each round, one after the other.

    Each way comes first in its turn, so that no way always profits from the one before it. A way
    that raises `Missing` is left out. The first rounds, `warm_up` of them, do not count.
    """
    comparison = Comparison(title, amount, unit)
    names = list(ways)
    measured: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(warm_up + rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            if name in comparison.missing:
                continue
            try:
                measured[name].append(await ways[name]())
            except Missing as reason:
                comparison.missing[name] = str(reason)
    comparison.seconds = {
        name: found[warm_up:] for name, found in measured.items() if name not in comparison.missing
    }
    return comparison


def run_apart(script: str, *arguments: str) -> str:
    """Run a script of this folder in a process of its own, and return its output."""
    command = [sys.executable, f"{sys.path[0]}/{script}", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


@dataclass(frozen=True)
class Aim:
    """A figure that we want, and the one that was found; None if it was not measured."""

    text: str
    found: float | None
    limit: float
    is_minimum: bool = False
    form: str = "{:.2f}"

    def line(self) -> str:
        """Return the row of the table of aims."""
        sign = "≥" if self.is_minimum else "≤"
        aim = f"{sign} {self.form.format(self.limit)}"
        if self.found is None:
            return f"| {self.text} | {aim} | not measured | |"
        is_met = self.found >= self.limit if self.is_minimum else self.found <= self.limit
        shown = self.form.format(self.found)
        return f"| {self.text} | {aim} | {shown} | {'met' if is_met else '**missed**'} |"


@dataclass
class Section:
    """The part of the report about one subject.

    Attributes:
        heading: The subject.
        results: Tables and other texts.
        aims: The figures that we want.
    """

    heading: str
    results: Sequence[Comparison | str]
    aims: Sequence[Aim] = ()

    def text(self) -> str:
        """Return the part as Markdown."""
        texts = [one if isinstance(one, str) else one.table() for one in self.results]
        return "\n\n".join([f"## {self.heading}", *texts])

    def summary(self) -> list[str]:
        """Return a row for each table."""
        return [one.summary() for one in self.results if isinstance(one, Comparison)]


Measure = Callable[[bool], Coroutine[object, object, Section]]
"""Measures one subject, quickly or thoroughly."""
