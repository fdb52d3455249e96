"""Measure the download and the upload of a large file, over plain HTTP and over TLS."""

import asyncio
import hashlib
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import msgspec
from measuring import (
    Aim,
    Comparison,
    Missing,
    Section,
    Way,
    compare,
    in_thread,
    module,
    program,
    run_apart,
    run_program,
    timed,
)
from serving import LARGE_BYTES, WRITE_BYTES, serve

from mlmsg import Client

TOKEN = "a-token"  # noqa: S105
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
CURL_HEADER = ("-H", f"Authorization: Bearer {TOKEN}")
NAME = "large.bin"
DOWNLOAD = f"/marketplace/messages/attachments/{NAME}?tag=post_sale&site_id=MLM"
UPLOAD = "/marketplace/messages/attachments?tag=post_sale&site_id=MLM"


class Place:
    """A server, a folder, and the authority of the server's certificate.

    Attributes:
        url: The URL of the server.
        folder: An empty folder.
        source: The file to upload.
        authority: The path of the certificate of the authority, or None without TLS.
    """

    def __init__(self, url: str, folder: Path, authority: Path | None) -> None:
        self.url = url
        self.folder = folder
        self.source = folder / "source.bin"
        self.authority = authority
        self.source.write_bytes(os.urandom(LARGE_BYTES))

    @property
    def context(self) -> ssl.SSLContext | None:
        """The TLS context of a client."""
        if self.authority is None:
            return None
        return ssl.create_default_context(cafile=str(self.authority))

    @property
    def curl_options(self) -> tuple[str, ...]:
        """The options of curl for this server."""
        return CURL_HEADER + (() if self.authority is None else ("--cacert", str(self.authority)))

    @property
    def verify(self) -> str | bool:
        """The option of requests for this server."""
        return True if self.authority is None else str(self.authority)


def check(path: Path) -> None:
    """Check that a downloaded file is complete, and delete it."""
    assert path.stat().st_size == LARGE_BYTES
    path.unlink()


def promised(open_chunks: Callable[[], Iterator[bytes]], target: Path) -> None:
    """Write a file as `Download.save` does: hashed, flushed to disk, and only then named."""
    digest = hashlib.sha256()
    part = target.with_suffix(".part")
    with part.open("wb", buffering=0) as file:
        for chunk in open_chunks():
            file.write(chunk)
            digest.update(chunk)
        os.fsync(file.fileno())
    part.rename(target)
    folder = os.open(target.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    digest.hexdigest()


def downloads(place: Place, client: Client) -> dict[str, Way]:
    """Return the ways to download the file."""
    address, target = place.url + DOWNLOAD, place.folder / "target.bin"
    curl = ("-sS", *place.curl_options, "-o", str(target), address)

    async def ours() -> float:
        seconds = await timed(client.attachments.download(NAME, target, site_id="MLM"))
        await asyncio.to_thread(check, target)
        return seconds

    def shell(after: str) -> Way:
        """One shell runs curl, and what keeps the same promises as `Download.save`."""

        async def way() -> float:
            program("curl")
            script = f'curl "$@" {after}'
            seconds = await timed(run_program("sh", "-c", script, str(target), *curl))
            check(target)
            return seconds

        return way

    def requests_chunks() -> Iterator[bytes]:
        requests = module("requests")
        with requests.get(
            address, headers=HEADERS, stream=True, timeout=30, verify=place.verify
        ) as response:
            yield from response.iter_content(WRITE_BYTES)

    def httpx_chunks() -> Iterator[bytes]:
        with http().stream("GET", address) as response:
            yield from response.iter_bytes(WRITE_BYTES)

    http = httpx_client(place)

    def saved(chunks: Callable[[], Iterator[bytes]]) -> Way:
        async def way() -> float:
            seconds = await in_thread(lambda: promised(chunks, target))
            check(target)
            return seconds

        return way

    return {
        "mlmsg": ours,
        "curl -o; sync; sha256sum": shell('&& sync && sha256sum "$0"'),
        "curl -o; sync FILE; sha256sum": shell('&& sync "$0" && sha256sum "$0"'),
        "curl -o alone": shell(""),
        "httpx, hashed, flushed": saved(httpx_chunks),
        "requests, hashed, flushed": saved(requests_chunks),
    }


def httpx_client(place: Place) -> Callable[[], Any]:
    """Return a function that returns the one client of httpx for this server."""
    kept: list[Any] = []

    def get() -> Any:  # noqa: ANN401  (the library may be missing)
        if not kept:
            context = place.context
            verify = True if context is None else context
            kept.append(module("httpx").Client(headers=HEADERS, verify=verify, timeout=30))
        return kept[0]

    return get


def uploads(place: Place, client: Client) -> dict[str, Way]:
    """Return the ways to upload the file."""
    address = place.url + UPLOAD
    http = httpx_client(place)

    async def ours() -> float:
        return await timed(client.attachments.upload(place.source, site_id="MLM"))

    async def with_curl() -> float:
        form = ("-F", f"file=@{place.source}")
        return await timed(run_program("curl", "-sS", "-f", *place.curl_options, *form, address))

    def opened(post: Callable[[IO[bytes]], Any]) -> Way:
        def send() -> None:
            with place.source.open("rb") as file:
                post(file).raise_for_status()

        async def way() -> float:
            return await in_thread(send)

        return way

    def with_requests(file: IO[bytes]) -> Any:  # noqa: ANN401
        return module("requests").post(
            address, headers=HEADERS, files={"file": file}, timeout=30, verify=place.verify
        )

    def with_httpx(file: IO[bytes]) -> Any:  # noqa: ANN401
        return http().post(address, files={"file": file})

    return {
        "mlmsg": ours,
        "curl -F": with_curl,
        "httpx": opened(with_httpx),
        "requests": opened(with_requests),
    }


@contextmanager
def certificates(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the paths of the certificate of an authority, and of one that it issued."""
    trustme = module("trustme")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    paths = folder / "authority.pem", folder / "server.pem"
    authority.cert_pem.write_to_path(str(paths[0]))
    issued.private_key_and_cert_chain_pem.write_to_path(str(paths[1]))
    yield paths


async def _compare(name: str, place: Place, rounds: int) -> list[Comparison]:
    async with Client(TOKEN, base_url=place.url, budget=None, ssl=place.context) as client:
        size = f"{LARGE_BYTES // 1024**2} MiB, {name}"
        return [
            await compare(f"Download of {size}", downloads(place, client), rounds),
            await compare(f"Upload of {size}", uploads(place, client), rounds),
        ]


async def _over_tls(folder: Path, rounds: int) -> list[Comparison]:
    with certificates(folder) as (authority, server), serve("large", str(server)) as url:
        return await _compare("TLS", Place(url, folder, authority), rounds)


def _behaviour(rounds: int) -> str:
    """Return the table of stalls and memory, which a process of its own measures."""
    rows = msgspec.json.decode(run_apart("streaming.py", str(rounds)), type=list[list[str]])
    head = ["work", "longest stall of the event loop: median", "worst", "memory growth"]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


async def measure(quick: bool) -> Section:
    """Return the section about large files."""
    rounds = 2 if quick else 15
    with TemporaryDirectory() as name:
        folder = Path(name)
        with serve("large") as url:
            down, up = await _compare("plain HTTP", Place(url, folder, None), rounds)
        results: list[Comparison | str] = [down, up]
        aims = [
            Aim("download : curl, sync, sha256sum", down.ratio("curl -o; sync; sha256sum"), 0.35),
            Aim("download : curl alone", down.ratio("curl -o alone"), 1.8),
            Aim("upload : curl", up.ratio("curl -F"), 1.0),
        ]
        try:
            over_tls = await _over_tls(folder, rounds)
        except Missing as reason:
            results.append(f"Over TLS: not measured, {reason}.")
        else:
            results += over_tls
            aims.append(Aim("upload over TLS : curl", over_tls[1].ratio("curl -F"), 1.0))
    results.append(await asyncio.to_thread(_behaviour, rounds))
    return Section("Large files", results, aims)
