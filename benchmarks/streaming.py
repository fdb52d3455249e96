"""A 25 MB upload and download: memory growth of the client, and how long its loop stands still.

    python benchmarks/streaming.py [ROUNDS]

The server is a sandbox in another process. Memory is the growth of the process's peak (`ru_maxrss`)
over what it was after a warm-up with a small file; a stall is how much later than asked a timer of
one millisecond fires. The stalls of an idle loop on the same machine stand beside them.
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

from serving import running

from mlmsg import Client, Upload

MB = 1024 * 1024
SIZE = 25 * MB
TICK = 0.001


async def longest_stall(work: Awaitable[object]) -> float:
    """The longest time, in milliseconds, that the loop was late while `work` ran."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(TICK)
            longest = max(longest, time.perf_counter() - before - TICK)

    watcher = asyncio.ensure_future(watch())
    await asyncio.sleep(TICK)
    try:
        await work
    finally:
        watcher.cancel()
    return longest * 1000


async def idle() -> None:
    """The loop with nothing to do, about as long as a transfer takes."""
    await asyncio.sleep(0.1)


def peak() -> float:
    """The most memory that this process had so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def measure(client: Client, folder: Path, rounds: int) -> None:
    """Prints one line for each direction."""
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
    print(f"what came back is {'the same file' if same else 'ANOTHER FILE'}")


async def report(
    name: str, work: Callable[[], Awaitable[object]], rounds: int, before: float
) -> None:
    """Runs `work` several times and prints what it cost."""
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
    """25 MiB of noise, written in steps so that they never count as this process's memory."""
    with path.open("wb") as file:
        for _ in range(SIZE // (64 * 1024)):
            file.write(os.urandom(64 * 1024))


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def main() -> None:
    """Measures, over as many rounds as the command line says (7 by default)."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    print(f"{SIZE // MB} MB, {rounds} rounds; target: growth under 8 MiB, stall under 5 ms")
    with running("sandbox") as url, tempfile.TemporaryDirectory() as folder:
        async with Client("sandbox-token-0001", base_url=url) as client:
            await measure(client, Path(folder), rounds)


if __name__ == "__main__":
    asyncio.run(main())
