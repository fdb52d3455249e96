"""Worker processes: each start method either mirrors or says which one to use."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mirrors import expected, on_disk, without_manifests

from mlmsg.sandbox import Sandbox

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here"),
]

PROGRAM = """
import asyncio, multiprocessing, sys, warnings
from concurrent.futures import ProcessPoolExecutor
from mlmsg import Client
from mlmsg.sync import merge_reports, plan_shards, run_shard, sync_attachments

warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads

def main():
    method, before, to, url, token, *packs = sys.argv[1:]
    if before == "used":
        import obstore
        from obstore.store import MemoryStore
        obstore.put(MemoryStore(), "a", b"x")
        async def first():
            async with Client(token, base_url=url, budget=None) as client:
                await sync_attachments(client, packs=packs, to=MemoryStore(), site_id="MLM")
        asyncio.run(first())
    elif before == "folder":
        (shard,) = plan_shards(token=token, base_url=url, packs=packs, to=to, site_id="MLM")
        run_shard(shard)
    target = "memory://" if before == "used" and "bucket" in method else to
    method = method.partition(" ")[0]
    shards = plan_shards(
        token=token, base_url=url, packs=packs, to=target, site_id="MLM", size=2, budget=None
    )
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        report = merge_reports(pool.map(run_shard, shards))
    print(report.threads, len(report.failed))

if __name__ == "__main__":
    main()
"""


async def run(sandbox: Sandbox, tmp_path: Path, method: str, before: str) -> tuple[str, str]:

    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    arguments = [method, before, str(tmp_path / "to"), sandbox.url, sandbox.token]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), *arguments, *sandbox.market.packs,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await asyncio.wait_for(process.communicate(), 30)
    finally:
        if process.returncode is None:
            process.kill()
    return out.decode(), err.decode()


@pytest.mark.parametrize("before", ["nothing", "folder", "used"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
async def test_a_folder_is_filled_by_any_kind_of_process(
    sandbox: Sandbox, tmp_path: Path, method: str, before: str
) -> None:
    out, err = await run(sandbox, tmp_path, method, before)
    assert out == f"{len(sandbox.market.packs)} 0\n", err
    whole = {p: d for p, d in expected(sandbox.market).items() if "claims" not in p}
    assert without_manifests(on_disk(tmp_path / "to")) == whole


async def test_a_forked_process_that_would_hang_says_which_method_to_use(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    out, err = await run(sandbox, tmp_path, "fork bucket", "used")
    assert out == ""
    assert "UsageError: a bucket cannot be used in this process" in err
    assert "'spawn' or 'forkserver'" in err


@pytest.mark.parametrize("method", ["spawn bucket", "forkserver bucket"])
async def test_a_bucket_is_filled_by_other_processes(
    sandbox: Sandbox, tmp_path: Path, method: str
) -> None:
    out, err = await run(sandbox, tmp_path, method, "used")
    assert out == f"{len(sandbox.market.packs)} 0\n", err
