"""Measure the memory and the longest stall of the event loop in a 25 MB upload and download.

    python benchmarks/streaming.py [ROUNDS]

The server is a sandbox in another process. Memory is the growth of the process's peak (`ru_maxrss`)
after a warm-up with a small file. A stall is the delay of a timer of one millisecond. The stalls of
an idle loop on the same machine are printed for comparison.
"""

import asyncio
import hashlib
import os
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

from serving import serve

from mlmsg import Client, Upload

MB = 1024 * 1024
SIZE = 25 * MB
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


async def idle() -> None:
    """Wait about as long as a transfer takes."""
    await asyncio.sleep(0.1)


def peak() -> float:
    """Return the peak memory of this process, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def measure(client: Client, folder: Path, rounds: int) -> None:
    """Print one line for each direction."""
    small, large, copy = folder / "small.bin", folder / "large.bin", folder / "copy.bin"
    await asyncio.to_thread(small.write_bytes, os.urandom(64 * 1024))
    await asyncio.to_thread(fill, large)
    uploads: list[Upload] = []

    async def up(path: Path) -> None:
        uploads.append(await client.attachments.upload(path, site_id="MLM"))

    async def down() -> None:
        await client.attachments.download(uploads[-1].id, copy, site_id="MLM", overwrite=True)

    await up(small)
    await down()
    before = peak()
    await report("upload", lambda: up(large), rounds, before)
    await report("download", down, rounds, before)
    await report("idle loop", idle, rounds, before)
    same = await asyncio.to_thread(lambda: digest(large) == digest(copy))
    print(f"the downloaded file is {'identical' if same else 'NOT IDENTICAL'}")


async def report(
    name: str, work: Callable[[], Awaitable[object]], rounds: int, before: float
) -> None:
    """Run `work` several times, and print its cost."""
    stalls, times = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        stalls.append(await longest_stall(work()))
        times.append(time.perf_counter() - start)
    print(
        f"{name:<10} {median(times) * 1000:6.0f} ms   longest stall: median {median(stalls):4.2f} "
        f"ms, worst {max(stalls):4.2f} ms   memory growth so far: {peak() - before:4.1f} MiB"
    )


def fill(path: Path) -> None:
    """Write 25 MiB of noise in steps, so that it never counts as memory of this process."""
    with path.open("wb") as file:
        for _ in range(SIZE // (64 * 1024)):
            file.write(os.urandom(64 * 1024))


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def main() -> None:
    """Measure as many rounds as the command line says (7 by default)."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    print(f"{SIZE // MB} MB, {rounds} rounds; target: growth under 8 MiB, stall under 5 ms")
    with serve("sandbox") as url, tempfile.TemporaryDirectory() as folder:
        async with Client("sandbox-token-0001", base_url=url) as client:
            await measure(client, Path(folder), rounds)


if __name__ == "__main__":
    asyncio.run(main())
