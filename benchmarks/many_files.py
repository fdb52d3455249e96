"""Measure many small files: downloads one by one, and the mirror of a whole seller."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import local
from typing import Any

import aiohttp
from measuring import Aim, Comparison, Section, Way, compare, in_thread, module, run_program, timed
from serving import serve

from mlmsg import Client
from mlmsg.sync import sync_attachments

SIZE = 100_000
FILES_PER_PACK = 4
CONCURRENCY = 16
TOKEN = "a-token"  # noqa: S105
HEADERS = {"Authorization": f"Bearer {TOKEN}"}

numbers = count()


def address_of(url: str, name: str) -> str:
    """Return the URL of a file."""
    return f"{url}/marketplace/messages/attachments/{name}?tag=post_sale&site_id=MLM"


def addresses(url: str, packs: int) -> list[tuple[str, str]]:
    """Return the URL of each file of a seller, and its path below the folder."""
    names = [(pack, f"{pack}_{n}.jpg") for pack in range(packs) for n in range(FILES_PER_PACK)]
    return [(address_of(url, name), f"packs/{pack}/{name}") for pack, name in names]


def write(path: Path, content: bytes) -> str:
    """Hash a file, flush it to disk, and only then give it its name: what mlmsg promises."""
    part = path.with_suffix(".part")
    with part.open("wb", buffering=0) as file:
        file.write(content)
        digest = hashlib.sha256(content).hexdigest()
        os.fsync(file.fileno())
    part.rename(path)
    return digest


def flush(folder: Path) -> None:
    """Flush the entries of a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def write_into_new_folder(path: Path, content: bytes) -> None:
    """Write a file; its folder may be missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, content)


def write_once(path: Path, content: bytes) -> None:
    """Write a file unless it exists, and flush its folder."""
    assert not path.exists()
    write(path, content)
    flush(path.parent)


def check(folder: Path, files: int) -> None:
    """Check that all files are complete."""
    sizes = [path.stat().st_size for path in folder.rglob("*.jpg")]
    assert sizes == [SIZE] * files, f"{len(sizes)} files"


def into_new_folder(fill: Callable[[Path], Any], files: int) -> Way:
    """Give a way an empty folder, check what it wrote, and delete it."""

    async def way() -> float:
        with TemporaryDirectory() as name:
            seconds = await timed(fill(Path(name)))
            await asyncio.to_thread(check, Path(name), files)
        return seconds

    return way


async def work_off(names: list[str], work: Callable[[str], Any]) -> None:
    """Run `work` for each name, `CONCURRENCY` at a time."""
    left = iter(names)

    async def worker() -> None:
        for name in left:
            await work(name)

    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))


async def _downloads(url: str, files: int, rounds: int) -> Comparison:
    names = [f"{number}.jpg" for number in range(files)]
    async with (
        Client(TOKEN, base_url=url, budget=None) as client,
        aiohttp.ClientSession(headers=HEADERS) as http,
    ):
        pool = ThreadPoolExecutor(CONCURRENCY)
        loop = asyncio.get_running_loop()

        async def ours(folder: Path) -> None:
            async def download(name: str) -> None:
                await client.attachments.download(name, folder / name, site_id="MLM")

            await work_off(names, download)

        async def bare(folder: Path) -> None:
            async def download(name: str) -> None:
                async with http.get(address_of(url, name)) as response:
                    content = await response.read()
                await loop.run_in_executor(pool, write_once, folder / name, content)

            await work_off(names, download)

        return await compare(
            f"{files:,} downloads of {SIZE // 1000} KB, {CONCURRENCY} at once; all hash, fsync",
            {
                "mlmsg": into_new_folder(ours, files),
                "bare aiohttp, one hop for the file": into_new_folder(bare, files),
            },
            rounds,
            amount=files,
            unit="files",
        )


def _curl(url: str, packs: int, after: str) -> Callable[[Path], Any]:
    async def fill(folder: Path) -> None:
        lines = [
            f'url = "{address}"\noutput = "{folder}/{path}"\n'
            for address, path in addresses(url, packs)
        ]
        await run_program(
            "curl", "-sS", "--no-progress-meter", "--parallel", "--parallel-max", str(CONCURRENCY),
            "--create-dirs", "-H", f"Authorization: Bearer {TOKEN}", "--config", "-",
            stdin="".join(lines),
        )  # fmt: skip
        if after:
            script = f"find . -name '*.jpg' -print0 | xargs -0 {after}"
            await run_program("sh", "-c", script, cwd=str(folder))

    return fill


def _in_threads(
    url: str, packs: int, new_session: Callable[[], Any], save: Callable[[Path, bytes], object]
) -> Callable[[Path], Any]:
    """Download with a session for each of the threads."""
    kept = local()

    def download(address: str, path: Path) -> None:
        if not hasattr(kept, "session"):
            kept.session = new_session()
            kept.session.headers.update(HEADERS)
        save(path, kept.session.get(address, timeout=30).content)

    async def fill(folder: Path) -> None:
        def run() -> None:
            with ThreadPoolExecutor(CONCURRENCY) as pool:
                jobs = [
                    pool.submit(download, address, folder / path)
                    for address, path in addresses(url, packs)
                ]
            for job in jobs:
                job.result()

        new_session()  # raises `Missing` here and not in a thread
        await in_thread(run)

    return fill


def _with_httpx(url: str, packs: int) -> Callable[[Path], Any]:
    async def fill(folder: Path) -> None:
        paths = dict(addresses(url, packs))
        async with module("httpx").AsyncClient(headers=HEADERS, timeout=30) as http:

            async def download(address: str) -> None:
                content = (await http.get(address)).content
                await asyncio.to_thread(write_into_new_folder, folder / paths[address], content)

            await work_off(list(paths), download)

    return fill


async def _mirror(url: str, packs: int, rounds: int) -> Comparison:
    files = packs * FILES_PER_PACK
    again: list[float] = []

    async def ours(folder: Path) -> None:
        async with Client(TOKEN, base_url=url, budget=None) as client:
            report = await sync_attachments(
                client, packs=range(packs), to=folder, site_id="MLM", concurrency=CONCURRENCY
            )
        assert report.downloaded + report.skipped == files

    async def twice() -> float:
        with TemporaryDirectory() as name:
            seconds = await timed(ours(Path(name)))
            await asyncio.to_thread(check, Path(name), files)
            again.append(await timed(ours(Path(name))))
        return seconds

    def requests_session() -> Any:  # noqa: ANN401
        return module("requests").Session()

    comparison = await compare(
        f"Mirror of {files:,} files of {SIZE // 1000} KB in {packs} threads, {CONCURRENCY} at once",
        {
            "mlmsg": twice,
            "curl --parallel; sha256sum (nothing flushed)": into_new_folder(
                _curl(url, packs, "sha256sum"), files
            ),
            "curl --parallel; sync of each; sha256sum": into_new_folder(
                _curl(url, packs, 'sh -c \'sync "$@"; sha256sum "$@"\' sh'), files
            ),
            f"requests in {CONCURRENCY} threads, hashed, flushed": into_new_folder(
                _in_threads(url, packs, requests_session, write_into_new_folder), files
            ),
            "httpx, hashed, flushed": into_new_folder(_with_httpx(url, packs), files),
        },
        rounds,
        amount=files,
        unit="files",
        warm_up=0,
    )
    comparison.seconds["mlmsg, once more: nothing is missing"] = again
    return comparison


async def measure(quick: bool) -> Section:
    """Return the section about small files."""
    rounds = 2 if quick else 4
    with serve("files") as url:
        downloads = await _downloads(url, 100 if quick else 1000, rounds)
        mirror = await _mirror(url, 25 if quick else 500, 1 if quick else 3)
    bare = downloads.ratio("bare aiohttp, one hop for the file")
    curl = mirror.ratio("curl --parallel; sha256sum (nothing flushed)")
    requests = mirror.ratio(f"requests in {CONCURRENCY} threads, hashed, flushed")

    def speed(ratio: float | None) -> float | None:
        return None if ratio is None else 1 / ratio

    aims = [
        Aim("1,000 downloads: speed : bare aiohttp", speed(bare), 0.9, is_minimum=True),
        Aim("mirror: speed : curl --parallel; sha256sum", speed(curl), 0.9, is_minimum=True),
        Aim("mirror: speed : requests in threads", speed(requests), 3.0, is_minimum=True),
    ]
    note = (
        "curl and the others know the URLs of the files. The job reads the threads to find them, "
        "and writes a manifest for each."
    )
    return Section("Small files", [downloads, mirror, note], aims)
