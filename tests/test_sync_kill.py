"""A job that is killed: what it left is sound, and the next one goes on from there."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from mirrors import expected, fill, manifest, on_disk, without_manifests

from mlmsg import Client
from mlmsg.sandbox import Sandbox
from mlmsg.sync import sync_attachments

PACKS, FILES = 16, 2
SIZE = 1_300_000  # over one block: written in several steps


@asynccontextmanager
async def job(
    sandbox: Sandbox, packs: list[str], to: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the job in another process, which prints a line for each step."""
    program = (
        "import asyncio, sys\n"
        "from mlmsg import Client\n"
        "from mlmsg.sync import sync_attachments\n"
        "url, token, to, *packs = sys.argv[1:]\n"
        "async def main():\n"
        "    async with Client(token, base_url=url, budget=None) as client:\n"
        "        await sync_attachments(client, packs=packs, to=to, site_id='MLM', concurrency=8,\n"
        "                               on_event=lambda one: print(one.kind, flush=True))\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, sandbox.url, sandbox.token, str(to), *packs,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def killed_after(threads: int, sandbox: Sandbox, packs: list[str], to: Path) -> None:
    """Lets a job finish that many threads, and kills it as it goes on."""
    async with job(sandbox, packs, to) as process:
        assert process.stdout is not None
        while threads:
            line = await process.stdout.readline()
            assert line
            threads -= line == b"thread\n"
        os.kill(process.pid, signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("kills", [1, 3])
async def test_a_killed_job_goes_on_where_it_stopped(
    sandbox: Sandbox, client: Client, tmp_path: Path, kills: int
) -> None:
    packs = fill(sandbox.market, PACKS, files=FILES, size=SIZE)
    whole = {p: d for p, d in expected(sandbox.market).items() if p.split("/")[1] in packs}
    kept: set[str] = set()
    async with asyncio.timeout(60):
        for kill in range(kills):
            await killed_after(3 + 3 * kill, sandbox, packs, tmp_path)
            left = on_disk(tmp_path)
            named = {path: data for path, data in left.items() if ".mlmsg-" not in path}
            # Every name stands for a whole file, and every entry for a file that is there.
            assert without_manifests(named).items() <= whole.items()
            for path, data in named.items():
                if path.endswith("/manifest.json"):
                    assert set(manifest(data)) <= set(named)
            entries = sum(
                len(manifest(d)) for p, d in named.items() if p.endswith("/manifest.json")
            )
            assert entries >= FILES * 3
            kept = set(without_manifests(named))
        report = await sync_attachments(client, packs=packs, to=tmp_path, site_id="MLM")
    assert (report.threads, report.failed) == (PACKS, [])
    assert report.skipped == len(kept)
    assert report.downloaded == PACKS * FILES - len(kept)
    files = on_disk(tmp_path)
    assert without_manifests(files) == whole  # and nothing half written beside it
    assert len(files) == len(whole) + PACKS
    again = await sync_attachments(client, packs=packs, to=tmp_path, site_id="MLM", verify=True)
    assert (again.skipped, again.downloaded) == (PACKS * FILES, 0)


@pytest.mark.slow
async def test_two_processes_share_a_target_and_one_is_killed(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    packs = fill(sandbox.market, PACKS, files=FILES, size=SIZE)
    mine, yours = packs[::2], packs[1::2]
    async with asyncio.timeout(60), job(sandbox, mine, tmp_path) as process:
        await killed_after(2, sandbox, yours, tmp_path)
        output, _ = await process.communicate()
        assert process.returncode == 0
        assert output.count(b"downloaded") == len(mine) * FILES
        report = await sync_attachments(client, packs=yours, to=tmp_path, site_id="MLM")
    assert report.failed == []
    whole = {p: d for p, d in expected(sandbox.market).items() if p.split("/")[1] in packs}
    assert without_manifests(on_disk(tmp_path)) == whole


KILLS, CONCURRENCY = 15, 8


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_job_killed_again_and_again_fetches_only_what_was_in_flight(
    sandbox: Sandbox, client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed at random moments: a few files and a few milliseconds after it has started."""
    packs = fill(sandbox.market, 100, files=5, size=40_000)
    packs += fill(sandbox.market, 20, files=5, size=SIZE, first_id=5000)
    whole = {p: d for p, d in expected(sandbox.market).items() if p.split("/")[1] in packs}
    source = random.Random(7)  # noqa: S311
    fetched = 0
    kept: dict[str, bytes] = {}
    for _ in range(KILLS):
        async with job(sandbox, packs, tmp_path) as process:
            assert process.stdout is not None
            left = source.randrange(12)
            while left and (line := await process.stdout.readline()):
                left -= line == b"downloaded\n"
            with suppress(TimeoutError):
                await asyncio.wait_for(process.stdout.read(), source.random() * 0.02)
            process.kill()
            assert await process.wait() == -signal.SIGKILL
        fetched += count_fetched(sandbox)
        kept = {path: data for path, data in on_disk(tmp_path).items() if ".mlmsg-" not in path}
        assert without_manifests(kept).items() <= whole.items()
    missing = len(whole) - len(without_manifests(kept))
    report = await sync_attachments(client, packs=packs, to=tmp_path, site_id="MLM")
    assert (report.failed, report.downloaded) == ([], missing)
    assert without_manifests(on_disk(tmp_path)) == whole
    fetched += count_fetched(sandbox)
    with capsys.disabled():
        print(  # noqa: T201
            f"{KILLS} kills: {fetched} files fetched in all, {len(whole)} files there are"
        )
    assert len(whole) <= fetched <= len(whole) + KILLS * CONCURRENCY


def count_fetched(sandbox: Sandbox) -> int:
    """Return the number of downloads since the last call. The sandbox keeps the last requests."""
    count = sum("/attachments/" in request.path for request in sandbox.requests)
    sandbox.requests.clear()
    return count
