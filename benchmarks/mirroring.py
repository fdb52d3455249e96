"""Mirror 2,000 files of 100 KB from a local server with the job, `curl --parallel`, and `requests`.

    python benchmarks/mirroring.py [ROUNDS]

Each round runs all of them into empty folders, one after the other, and the job once more into its
complete folder. The server is a bare protocol in another process. curl and the loop know the URLs
of the files; the job reads 500 threads to find them, hashes every file and writes 500 manifests.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

import requests
from serving import serve

from mlmsg import Client
from mlmsg.sync import sync_attachments

PACKS, FILES, SIZE = 500, 2000, 100_000
CONCURRENCY = 16
TOKEN = "a-token"  # noqa: S105
HEADER = f"Authorization: Bearer {TOKEN}"


def addresses(url: str) -> list[tuple[str, str]]:
    """Return the URL of each file, and its path below the folder."""
    base = f"{url}/marketplace/messages/attachments"
    names = [(pack, f"{pack}_{n}.jpg") for pack in range(PACKS) for n in range(4)]
    query = "tag=post_sale&site_id=MLM"
    return [(f"{base}/{name}?{query}", f"packs/{pack}/{name}") for pack, name in names]


async def with_mlmsg(url: str, folder: Path) -> None:
    """Mirror with the bulk job."""
    async with Client(TOKEN, base_url=url, budget=None) as client:
        report = await sync_attachments(
            client, packs=range(PACKS), to=folder, site_id="MLM", concurrency=CONCURRENCY
        )
    assert report.downloaded + report.skipped == FILES


async def with_curl(url: str, folder: Path) -> None:
    """Download all files with one curl."""
    lines = [f'url = "{one}"\noutput = "{folder}/{path}"\n' for one, path in addresses(url)]
    options = [
        "-sS",
        "--no-progress-meter",
        "--parallel",
        "--parallel-max",
        str(CONCURRENCY),
        "--create-dirs",
        "-H",
        HEADER,
    ]
    command = ["curl", *options, "--config", "-"]
    await asyncio.to_thread(subprocess.run, command, input="".join(lines).encode(), check=True)


async def with_requests(url: str, folder: Path) -> None:
    """Download one file after the other over one connection."""

    def loop() -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {TOKEN}"
            for address, path in addresses(url):
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(session.get(address, timeout=30).content)

    await asyncio.to_thread(loop)


Method = Callable[[str, Path], Awaitable[None]]
METHODS: dict[str, Method] = {
    "mlmsg": with_mlmsg,
    "curl --parallel": with_curl,
    "requests loop": with_requests,
}


def sizes(folder: Path) -> list[int]:
    """Return the sizes of all files below a folder."""
    return [path.stat().st_size for path in folder.rglob("*.jpg")]


async def seconds(method: Method, url: str, folder: Path) -> float:
    """Run a method, check that all files exist, and return its duration."""
    start = time.perf_counter()
    await method(url, folder)
    duration = time.perf_counter() - start
    assert await asyncio.to_thread(sizes, folder) == [SIZE] * FILES
    return duration


async def main() -> None:
    """Measure as many rounds as the command line says (5 by default)."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    times: dict[str, list[float]] = {name: [] for name in [*METHODS, "mlmsg, complete"]}
    with serve("files") as url:
        for turn in range(rounds):
            methods = [*METHODS.items()]
            # Each method comes first in turn, because the disk cache favours the later ones.
            for name, method in methods[turn % 3 :] + methods[: turn % 3]:
                with tempfile.TemporaryDirectory() as folder:
                    times[name].append(await seconds(method, url, Path(folder)))
                    if method is with_mlmsg:
                        again = await seconds(method, url, Path(folder))
                        times["mlmsg, complete"].append(again)
    print(f"{FILES} files of {SIZE // 1000} KB, {CONCURRENCY} at once, {rounds} rounds")
    for name, durations in times.items():
        low, high = FILES / max(durations), FILES / min(durations)
        speed = FILES / median(durations)
        ratio = median(times["curl --parallel"]) / median(durations)
        print(
            f"{name:<17} {speed:6.0f} files/s ({low:.0f} to {high:.0f}), "
            f"{ratio:4.2f} times curl --parallel"
        )


if __name__ == "__main__":
    asyncio.run(main())
