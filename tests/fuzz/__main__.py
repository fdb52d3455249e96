"""Run the fuzz with the options of the command line, and print its report."""

import argparse
import asyncio
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fuzz.run import Report, fuzz


def summary(report: Report, seconds: float) -> Iterator[str]:
    """Yield the lines of the report."""
    yield f"{'operation':<30}{'calls':>8}{'ok':>8}  errors"
    total: Counter[str] = Counter()
    for name, counts in report.outcomes.items():
        total.update(counts)
        yield _row(name, counts)
    yield _row("all of them", total)
    server = report.server
    yield (
        f"{server.malformed:,} malformed answers and {server.valid:,} valid ones, "
        f"{sum(total.values()):,} calls, {report.rounds:,} rounds, {seconds:.0f} s"
    )
    damages = ", ".join(f"{name} {times:,}" for name, times in server.damages.most_common())
    yield from textwrap.wrap(f"damaged: {damages}", 98)
    yield f"{len(report.violations):,} violations"
    yield from report.violations[:50]


def _row(name: str, counts: Counter[str]) -> str:
    errors = ", ".join(f"{kind} {n:,}" for kind, n in counts.most_common() if kind != "ok")
    return f"{name:<30}{sum(counts.values()):>8,}{counts['ok']:>8,}  {errors}"


def main() -> int:
    """Run the fuzz and print the summary, after Ctrl-C too; return 1 if there is a violation."""
    parser = argparse.ArgumentParser(description="Answer every operation with malformed bytes.")
    parser.add_argument("--answers", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    report, started = Report(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, suppress(KeyboardInterrupt):
        asyncio.run(fuzz(given.answers, given.seed, Path(folder), report))
    print(*summary(report, time.monotonic() - started), sep="\n")
    return int(bool(report.violations))


if __name__ == "__main__":
    sys.exit(main())
