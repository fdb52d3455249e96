"""2,000 files of 100 KB, four to a pack, mirrored into a folder: files per second, CPU, memory.

    python benchmarks/mirroring.py [ROUNDS]

The server is a bare protocol in another process. Each round mirrors into an empty folder, then once
more, when everything is there. Memory is the growth of the process's peak (`ru_maxrss`).
"""

import asyncio
import resource
import sys
import tempfile
import time

from serving import running

from mlmsg import Client
from mlmsg.sync import SyncReport, sync_attachments

PACKS, FILES = 500, 2000


async def mirror(client: Client, to: str, concurrency: int) -> SyncReport:
    """Prints one line."""
    start, cpu = time.perf_counter(), time.process_time()
    report = await sync_attachments(
        client, packs=range(PACKS), to=to, site_id="MLM", concurrency=concurrency
    )
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(
        f"concurrency {concurrency:2}: fetched {report.downloaded:4}, there {report.skipped:4}: "
        f"{FILES / wall:6.0f} files/s, CPU {cpu / FILES * 1e6:5.0f} us a file, peak memory "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:4.0f} MiB"
    )
    return report


async def main() -> None:
    """Measures, over as many rounds as the command line says (3 by default)."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with running("files") as url:
        async with Client("a-token", base_url=url) as client:
            for concurrency in (4, 16, 32):
                for _ in range(rounds):
                    with tempfile.TemporaryDirectory() as folder:
                        assert (await mirror(client, folder, concurrency)).downloaded == FILES
                        assert (await mirror(client, folder, concurrency)).skipped == FILES


if __name__ == "__main__":
    asyncio.run(main())
