"""Several jobs share one target, also with the same ids, and do each other no harm."""

import asyncio
import os
import sys
from pathlib import Path

import msgspec
import pytest
from mirrors import expected, fill, manifest, on_disk, without_manifests

from mlmsg import Client, Download
from mlmsg.sandbox import Sandbox
from mlmsg.sync import ManifestEntry, ThreadId, merge_reports, sync_attachments
from mlmsg.sync.job import open_target
from mlmsg.sync.manifest import Listed
from mlmsg.sync.mirror import Mirror

FILES = 6
PATH = "packs/1000/manifest.json"


async def test_jobs_with_the_same_ids_at_the_same_time(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    packs = fill(sandbox.market, 12, files=2, size=1_300_000)
    async with Client(sandbox.token, base_url=sandbox.url, budget=None) as other:
        reports = await asyncio.gather(
            *(
                sync_attachments(one, packs=ids, to=tmp_path, site_id="MLM", concurrency=4)
                for one, ids in [(client, packs), (other, packs), (other, packs[::-1])]
            )
        )
    total = merge_reports(reports)
    assert (total.threads, total.failed) == (36, [])
    check_whole(sandbox, tmp_path)
    again = await sync_attachments(client, packs=packs, to=tmp_path, site_id="MLM", verify=True)
    assert (again.skipped, again.downloaded) == (24, 0)


def check_whole(sandbox: Sandbox, folder: Path) -> None:
    """Every file of the packs `fill` added is there, named in its manifest, and nothing else."""
    files = on_disk(folder)
    whole = {p: d for p, d in expected(sandbox.market).items() if p.startswith("packs/10")}
    assert without_manifests(files) == whole
    entries = {
        path for name, data in files.items() if name.endswith(".json") for path in manifest(data)
    }
    assert entries == set(whole)


@pytest.mark.slow
async def test_processes_with_the_same_ids_at_the_same_time(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    packs = fill(sandbox.market, 12, files=2, size=1_300_000)
    program = (
        "import sys\n"
        "from mlmsg.sync import plan_shards, run_shard\n"
        "url, token, to, *packs = sys.argv[1:]\n"
        "(shard,) = plan_shards(token=token, base_url=url, packs=packs, to=to, site_id='MLM')\n"
        "report = run_shard(shard)\n"
        "sys.exit(bool(report.failed))\n"
    )
    jobs = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, sandbox.url, sandbox.token, str(tmp_path), *packs
        )
        for _ in range(3)
    ]
    assert await asyncio.gather(*(job.wait() for job in jobs)) == [0, 0, 0]
    check_whole(sandbox, tmp_path)


async def test_entries_of_another_job_stay_in_the_manifest(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """Two jobs have loaded the manifest before either writes it."""
    fill(sandbox.market, 1, files=FILES)
    attachments = sandbox.market.packs["1000"].messages[0].message_attachments or []
    files = [
        Listed(filename=one.filename, listed_size=one.size, type=one.type) for one in attachments
    ]
    target = await open_target(tmp_path)
    try:
        mirrors = [Mirror(target, ThreadId("pack", "1000")) for _ in range(2)]
        for mirror in mirrors:
            await mirror.load()
        for number, file in enumerate(files):
            mirror = mirrors[number % 2]
            await mirror.record(await fetched(client, file, mirror))
        await asyncio.gather(*(mirror.save() for mirror in mirrors))
        # One of them goes on, without having seen the entries of the other.
        moved = msgspec.structs.replace(files[0], potential_security_threat=True)
        await mirrors[0].find(moved, verify=False)
        await mirrors[0].save()
    finally:
        await target.close()
    entries = manifest((tmp_path / PATH).read_bytes())
    top = f"quarantine/packs/1000/{files[0].filename}"
    assert set(entries) == {top, *(f"packs/1000/{file.filename}" for file in files[1:])}
    assert set(without_manifests(on_disk(tmp_path))) == set(entries)


async def fetched(client: Client, file: Listed, mirror: Mirror) -> ManifestEntry:
    async def keep(download: Download) -> ManifestEntry:
        return await mirror.keep(file, download)

    return await client.attachments.download_with(file.filename, keep, site_id="MLM")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_an_update_that_fails_unlocks_its_folder(tmp_path: Path) -> None:
    """A process that was forked meanwhile holds the same lock, until it is released."""
    target = await open_target(tmp_path)
    copies: list[int] = []

    def fail(_: bytes | None) -> bytes:
        (descriptor,) = (
            int(path.name)
            for path in Path("/proc/self/fd").iterdir()
            if os.path.realpath(path) == str(tmp_path / "state")
        )
        copies.append(os.dup(descriptor))
        raise ValueError("damaged")

    try:
        with pytest.raises(ValueError, match="damaged"):
            await target.update("state/1.json", (), fail)
        async with asyncio.timeout(5):
            await target.update("state/1.json", (), lambda _: b"{}")
    finally:
        await target.close()
        for descriptor in copies:
            os.close(descriptor)
