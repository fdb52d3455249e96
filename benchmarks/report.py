"""Run all benchmarks, and print one report in Markdown.

    python benchmarks/report.py [--quick] [--only SUBJECT ...]

Each table compares ways to do the same work. In each round all ways run, one after the other, and
each one comes first in its turn; a ratio is the median of the ratios of the rounds. The servers run
in processes of their own. Peers that are not installed are named as missing: `pip install
'mlmsg[bench]'` brings all of them but curl.
"""

import argparse
import asyncio
import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import buckets
import growth
import imports
import many_files
import small_calls
import transfers
import walking
from measuring import Measure, Section

SUBJECTS: dict[str, Measure] = {
    "calls": small_calls.measure,
    "transfers": transfers.measure,
    "files": many_files.measure,
    "walks": walking.measure,
    "growth": growth.measure,
    "bucket": buckets.measure,
    "import": imports.measure,
}

LIBRARIES = ("aiohttp", "msgspec", "anyio", "obstore", "httpx", "requests", "pydantic")


def machine() -> str:
    """Return one line about the machine and the versions."""
    processor = platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        processor = names[0] if names else processor
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return (
        f"{os.cpu_count()} cores ({processor}), {platform.system()}, "
        f"{platform.python_implementation()} {platform.python_version()}, {', '.join(found)}; "
        f"load at the start {os.getloadavg()[0]:.1f}"
    )


def table_of_aims(sections: list[Section]) -> str:
    """Return all aims, each with the figure that was found."""
    lines = [aim.line() for section in sections for aim in section.aims]
    return "\n".join(["| aim | | found | |", "|---|---|---|---|", *lines])


def summary(sections: list[Section]) -> str:
    """Return one row for each table: the figure of mlmsg, and the ratios to the others."""
    lines = [line for section in sections for line in section.summary()]
    return "\n".join(["| work | mlmsg | time of mlmsg : time of |", "|---|---|---|", *lines])


async def main(subjects: list[str], *, quick: bool) -> None:
    """Print the report, each section as soon as it is measured."""
    start = time.monotonic()
    print(f"# Benchmarks of mlmsg\n\n{machine()}\n", flush=True)
    sections: list[Section] = []
    failed: list[str] = []
    for subject in subjects:
        print(f"{subject} ...", file=sys.stderr, flush=True)
        try:
            section = await SUBJECTS[subject](quick)
        except Exception as error:  # noqa: BLE001  (the other subjects are measured all the same)
            failed.append(subject)
            section = Section(subject, [f"Failed: {error!r}"])
        sections.append(section)
        print(f"{section.text()}\n", flush=True)
    print(f"## Aims\n\n{table_of_aims(sections)}\n")
    print(f"## Summary\n\n{summary(sections)}\n")
    print(f"Measured in {time.monotonic() - start:.0f} s.")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="prove that it works: few rounds")
    parser.add_argument("--only", nargs="+", choices=list(SUBJECTS), default=list(SUBJECTS))
    options = parser.parse_args()
    asyncio.run(main(options.only, quick=options.quick))
