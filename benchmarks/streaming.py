"""Measure the memory and the longest stall of the event loop of a large upload and download.

    python benchmarks/streaming.py [ROUNDS]

Prints the rows of a table as JSON. Memory is the growth of the process's peak after a warm-up with
a small file. A stall is the delay of a timer of one millisecond. The stalls of an idle
loop on the same machine, in the same minute, are there for comparison.
"""

import asyncio
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import msgspec
from serving import LARGE_BYTES, WRITE_BYTES, serve

from mlmsg import Client

TICK_SECONDS = 0.001


async def longest_stall(work: Awaitable[object]) -> float:
    """Return the longest delay of the loop, in milliseconds, while `work` runs."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            longest = max(longest, time.perf_counter() - before - TICK_SECONDS)

    watcher = asyncio.ensure_future(watch())
    await asyncio.sleep(TICK_SECONDS)
    try:
        await work
    finally:
        watcher.cancel()
    return longest * 1000


def peak() -> float:
    """Return the peak memory of this process, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    # On Linux, it would begin with the peak of the process that started this one.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fill(path: Path) -> None:
    """Write noise in steps, so that it never counts as memory of this process."""
    with path.open("wb") as file:
        for _ in range(LARGE_BYTES // WRITE_BYTES):
            file.write(os.urandom(WRITE_BYTES))


async def main() -> None:
    """Measure as many rounds as the command line says (10 by default)."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with serve("large") as url, TemporaryDirectory() as name:
        folder = Path(name)
        source, target, small = folder / "large.bin", folder / "copy.bin", folder / "small.bin"
        await asyncio.to_thread(fill, source)
        await asyncio.to_thread(small.write_bytes, b"small")
        async with Client("a-token", base_url=url, budget=None) as client:

            async def down() -> None:
                await client.attachments.download("1.bin", target, site_id="MLM", overwrite=True)

            async def up() -> None:
                await client.attachments.upload(source, site_id="MLM")

            async def idle() -> None:
                await asyncio.sleep(0.05)

            await client.attachments.upload(small, site_id="MLM")
            before = peak()
            works: dict[str, Callable[[], Awaitable[None]]]
            works = {"upload": up, "download": down, "nothing, for 50 ms": idle}
            stalls: dict[str, list[float]] = {name: [] for name in works}
            grown = dict.fromkeys(works, 0.0)
            for _ in range(rounds):
                for work, function in works.items():
                    start = peak()
                    stalls[work].append(await longest_stall(function()))
                    grown[work] += peak() - start
    rows = [
        [work, f"{median(found):.2f} ms", f"{max(found):.2f} ms", f"{grown[work]:.1f} MiB"]
        for work, found in stalls.items()
    ]
    assert peak() >= before
    sys.stdout.buffer.write(msgspec.json.encode(rows))


if __name__ == "__main__":
    asyncio.run(main())
