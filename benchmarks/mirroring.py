"""2,000 files of 100 KB, mirrored from a local server: the job, `curl --parallel`, and `requests`.

    python benchmarks/mirroring.py [ROUNDS]

Each round runs all of them into empty folders, one after the other, and the job once more when
everything is there. The server is a bare protocol in another process. curl and the loop are given
the addresses of the files; the job reads 500 threads to find them, hashes what it fetches and
writes 500 manifests.
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
from serving import running

from mlmsg import Client
from mlmsg.sync import sync_attachments

PACKS, FILES, SIZE = 500, 2000, 100_000
AT_ONCE = 16
TOKEN = "a-token"  # noqa: S105
HEADER = f"Authorization: Bearer {TOKEN}"


def addresses(url: str) -> list[tuple[str, str]]:
    """Where each file is, and its path below the folder."""
    base = f"{url}/marketplace/messages/attachments"
    names = [(pack, f"{pack}_{n}.jpg") for pack in range(PACKS) for n in range(4)]
    query = "tag=post_sale&site_id=MLM"
    return [(f"{base}/{name}?{query}", f"packs/{pack}/{name}") for pack, name in names]


async def with_mlmsg(url: str, folder: Path) -> None:
    """The bulk job."""
    async with Client(TOKEN, base_url=url, budget=None) as client:
        report = await sync_attachments(
            client, packs=range(PACKS), to=folder, site_id="MLM", concurrency=AT_ONCE
        )
    assert report.downloaded + report.skipped == FILES


async def with_curl(url: str, folder: Path) -> None:
    """One curl for all of them."""
    lines = [f'url = "{one}"\noutput = "{folder}/{path}"\n' for one, path in addresses(url)]
    options = [
        "-sS",
        "--no-progress-meter",
        "--parallel",
        "--parallel-max",
        str(AT_ONCE),
        "--create-dirs",
        "-H",
        HEADER,
    ]
    command = ["curl", *options, "--config", "-"]
    await asyncio.to_thread(subprocess.run, command, input="".join(lines).encode(), check=True)


async def with_requests(url: str, folder: Path) -> None:
    """One after the other, over one connection."""

    def loop() -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {TOKEN}"
            for address, path in addresses(url):
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(session.get(address, timeout=30).content)

    await asyncio.to_thread(loop)


Way = Callable[[str, Path], Awaitable[None]]
WAYS: dict[str, Way] = {
    "mlmsg": with_mlmsg,
    "curl --parallel": with_curl,
    "requests loop": with_requests,
}


def sizes(folder: Path) -> list[int]:
    """Bytes of every file below a folder."""
    return [path.stat().st_size for path in folder.rglob("*.jpg")]


async def seconds(way: Way, url: str, folder: Path) -> float:
    """How long it takes; all the files have to be there afterwards."""
    start = time.perf_counter()
    await way(url, folder)
    took = time.perf_counter() - start
    assert await asyncio.to_thread(sizes, folder) == [SIZE] * FILES
    return took


async def main() -> None:
    """Measures, over as many rounds as the command line says (5 by default)."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    times: dict[str, list[float]] = {name: [] for name in [*WAYS, "mlmsg, all there"]}
    with running("files") as url:
        for turn in range(rounds):
            ways = [*WAYS.items()]
            for name, way in ways[turn % 3 :] + ways[: turn % 3]:  # the disk remembers the last
                with tempfile.TemporaryDirectory() as folder:
                    times[name].append(await seconds(way, url, Path(folder)))
                    if way is with_mlmsg:
                        again = await seconds(way, url, Path(folder))
                        times["mlmsg, all there"].append(again)
    print(f"{FILES} files of {SIZE // 1000} KB, {AT_ONCE} at once, {rounds} rounds")
    for name, taken in times.items():
        low, high = FILES / max(taken), FILES / min(taken)
        speed = FILES / median(taken)
        ratio = median(times["curl --parallel"]) / median(taken)
        print(
            f"{name:<17} {speed:6.0f} files/s ({low:.0f} to {high:.0f}), "
            f"{ratio:4.2f} times curl --parallel"
        )


if __name__ == "__main__":
    asyncio.run(main())
