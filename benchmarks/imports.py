"""Measure what `import mlmsg` costs over the import of its libraries, by self time."""

import asyncio
import os
import subprocess
import sys
from statistics import median
from tempfile import TemporaryDirectory

from measuring import Aim, Section

LIBRARIES = "aiohttp, msgspec"


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


def added(cache: str) -> float:
    """Return the milliseconds of the modules that only `import mlmsg` imports."""
    alone = self_times(f"import {LIBRARIES}", cache)
    whole = self_times(f"import {LIBRARIES}; import mlmsg", cache)
    return sum(time for name, time in whole.items() if name not in alone)


async def measure(quick: bool) -> Section:
    """Return the section about the import."""
    rounds = 2 if quick else 11
    with TemporaryDirectory() as cache:
        added(cache)  # compiles the modules
        found = sorted([await asyncio.to_thread(added, cache) for _ in range(rounds)])
    text = (
        f"**Import**: `import mlmsg` takes {median(found):.1f} ms ({found[0]:.1f} to "
        f"{found[-1]:.1f}) over `import {LIBRARIES}`, by self time."
    )
    return Section("Import", [text], [Aim("import over its libraries, in ms", median(found), 15)])
