"""Measure how the time and the memory of a mirror grow with the number of its threads.

    python benchmarks/growth.py THREADS URL

Mirrors that many threads of one small file, twice, and prints the seconds of both runs and the
growth of the memory as JSON. The folder is in memory where there is a file system for that: a disk
would measure itself.
"""

import asyncio
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from measuring import Aim, Section, run_apart
from serving import serve
from streaming import peak

from mlmsg import Client
from mlmsg.sync import sync_attachments

IN_MEMORY = Path("/dev/shm")  # noqa: S108

THREADS = (10, 100, 1_000, 10_000)


class Growth(msgspec.Struct):
    """The seconds of the first and the second run, and the growth of the memory in MiB."""

    first: float
    second: float
    first_memory: float
    second_memory: float


async def mirror(url: str, threads: int, folder: str) -> float:
    """Mirror, and return the seconds."""
    start = time.perf_counter()
    async with Client("a-token", base_url=url, budget=None) as client:
        report = await sync_attachments(client, packs=range(threads), to=folder, site_id="MLM")
    assert report.downloaded + report.skipped == threads
    return time.perf_counter() - start


async def grow(threads: int, url: str) -> Growth:
    """Mirror into an empty folder, and then into the complete one."""
    place = IN_MEMORY if IN_MEMORY.is_dir() else None  # noqa: ASYNC240
    with TemporaryDirectory(dir=place) as warm_up:
        await mirror(url, 50, warm_up)
    before = peak()
    with TemporaryDirectory(dir=place) as folder:
        first = await mirror(url, threads, folder)
        middle = peak()
        second = await mirror(url, threads, folder)
    return Growth(first, second, middle - before, peak() - before)


async def measure(quick: bool) -> Section:
    """Return the section about growth."""
    lines = [
        "| threads | first run | for each thread | second run | memory growth of both |",
        "|---|---|---|---|---|",
    ]
    found: dict[int, Growth] = {}
    with serve("small") as url:
        for threads in THREADS[:2] if quick else THREADS:
            printed = await asyncio.to_thread(run_apart, "growth.py", str(threads), url)
            one = found[threads] = msgspec.json.decode(printed, type=Growth)
            lines.append(
                f"| {threads:,} | {one.first:.2f} s | {one.first / threads * 1000:.2f} ms "
                f"| {one.second:.2f} s | {one.second_memory:.1f} MiB |"
            )
    largest, middle = max(found), sorted(found)[-2]
    slope = found[largest].first / largest / (found[middle].first / middle)
    aims = [
        Aim(f"{largest:,} threads: memory growth in MiB", found[largest].second_memory, 32.0),
        Aim(f"time for each of {largest:,} threads : of {middle:,}", slope, 1.2),
    ]
    text = "**Growth**: a mirror of threads with one small file each, in a process of its own"
    return Section("Growth", ["\n".join([text, "", *lines])], aims)


if __name__ == "__main__":
    result = asyncio.run(grow(int(sys.argv[1]), sys.argv[2]))
    sys.stdout.buffer.write(msgspec.json.encode(result))
