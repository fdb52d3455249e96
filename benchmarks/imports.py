"""Measure what the imports of the package cost over the import of its libraries, by self time.

`import mlmsg` imports names at their first use. A program that makes calls pays for
`from mlmsg import Client`, so both are measured.
"""

import asyncio
import os
import subprocess
import sys
from statistics import median
from tempfile import TemporaryDirectory

from measuring import Aim, Section

LIBRARIES = "aiohttp, msgspec"

STATEMENTS = ("import mlmsg", "from mlmsg import Client")

LIMIT_MS = 15


def self_times(statement: str, cache: str) -> dict[str, float]:
    """Return the milliseconds that each module takes itself, in a new process.

    Args:
        statement: The import.
        cache: The folder of the compiled modules, as an installed package has them.
    """
    command = [sys.executable, "-X", "importtime", "-c", statement]
    # An empty text counts as unset.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, float] = {}
    for line in done.stderr.splitlines():
        columns = line.removeprefix("import time:").split("|")
        if len(columns) == 3 and columns[0].strip().isdecimal():
            found[columns[2].strip()] = int(columns[0]) / 1000
    return found


def added(statement: str, cache: str) -> float:
    """Return the milliseconds of the modules that only this statement imports."""
    alone = self_times(f"import {LIBRARIES}", cache)
    whole = self_times(f"import {LIBRARIES}; {statement}", cache)
    return sum(time for name, time in whole.items() if name not in alone)


async def measure(quick: bool) -> Section:
    """Return the section about the imports."""
    rounds = 1 if quick else 11
    found: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    with TemporaryDirectory() as cache:
        added(STATEMENTS[-1], cache)  # compiles the modules of both
        for _ in range(rounds):
            for statement, times in found.items():
                times.append(await asyncio.to_thread(added, statement, cache))
    texts, aims = [], []
    for statement, times in found.items():
        texts.append(
            f"**Import**: `{statement}` takes {median(times):.1f} ms ({min(times):.1f} to "
            f"{max(times):.1f}) over `import {LIBRARIES}`, by self time."
        )
        aims.append(Aim(f"`{statement}` over its libraries, in ms", median(times), LIMIT_MS))
    return Section("Import", texts, aims)
