"""Run the soak with the options of the command line, and print its report."""

import argparse
import asyncio
import logging
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlmsg.rules import Family
from soak.calls import CALLS, Tally, add_up
from soak.proofs import Options
from soak.run import Report, soak


def summary(report: Report) -> Iterator[str]:
    """Yield the lines of the report."""
    options, truth, mix = report.options, report.truth, report.mix
    total = add_up(mix.tallies.values())
    yield (
        f"{total.calls:,} calls in {report.seconds:.0f} s "
        f"({total.calls / report.seconds:.0f} a second), "
        f"{truth.requests:,} requests, {options.faults:.1%} faults, {options.workers} workers, "
        f"seed {options.seed}"
    )
    yield f"{'':<18}{'calls':>9}{'ok':>9}{'retried':>9}{'unknown':>9}{'errors':>9}{'cancelled':>11}"
    for kind in CALLS:
        yield _row(kind, mix.of_kind(kind))
    for family in Family:
        name = family.name.replace("_", " ").capitalize()
        yield _row(name, add_up(mix.tallies[kind, family] for kind in CALLS))
    yield _row("all of them", total)
    yield _row("reconcile", mix.reconciled)
    met = ", ".join(f"{name}={times:,}" for name, times in sorted(truth.faults.items()))
    yield from textwrap.wrap(
        f"{sum(truth.faults.values()):,} faults: {met}", 98, break_on_hyphens=False
    )
    for claim, evidence, against in report.proofs:
        verdict = f"NO, {against:,}" if against else "yes"
        yield f"{verdict:<9} {claim:<40}{evidence}"
    for (sort, text), times in report.unexplained.most_common(10):
        yield f"  {times} times {sort}: {text}"[:300]


def _row(kind: str, tally: Tally) -> str:
    return (
        f"{kind:<18}{tally.calls:>9,}{tally.ok:>9,}{tally.retried:>9,}{tally.unknown:>9,}"
        f"{tally.errors:>9,}{tally.cancelled:>11,}"
    )


def parse_options(arguments: Sequence[str]) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Mix everything with random faults, and prove that nothing went wrong."
    )
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
    """Run the soak and print the summary; return 1 if a proof fails."""
    # The summary counts the cancelled sends and the failed refreshes, of which each is a warning.
    logging.getLogger("mlmsg").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(soak(parse_options(arguments), Path(folder)))
    print(*summary(report), sep="\n")
    return int(any(proof.against for proof in report.proofs))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
