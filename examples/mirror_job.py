"""Mirror the attachments of many packs and claims, night after night.

    python examples/mirror_job.py [TARGET]

`TARGET` is a folder or a URL such as `s3://bucket/prefix`. Runs against a sandbox in this process;
a real job reads its ids from a database, or from a file line by line. When it was killed, start it
again: it continues where it stopped.
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mlmsg import Client, RateBudget
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.sync import SyncEvent, sync_attachments


def ids(path: Path) -> Iterator[str]:
    """Yield one id for each line, so that a file of millions is never in memory."""
    with path.open(encoding="utf-8") as lines:
        yield from filter(None, map(str.strip, lines))


def show(event: SyncEvent) -> None:
    """Print each failure when it happens; the report has the totals."""
    if event.kind == "failed":
        print(f"{event.thread.path}/{event.filename}: {event.error}", file=sys.stderr)


async def main(to: str, work: Path) -> None:
    """Mirror twice: the second run has almost nothing to do."""
    async with Sandbox() as sandbox:
        packs, claims = work / "packs.txt", work / "claims.txt"
        packs.write_text("\n".join(sandbox.market.packs))
        claims.write_text("\n".join(sandbox.market.claims))
        # A file that cannot be downloaded does not stop the job.
        sandbox.inject(Fault(status=404, path="/attachments/", method="GET"))
        # One half of the application's rate limit; the inbox service has the other half.
        budget = RateBudget().share(2)
        async with Client(sandbox.token, base_url=sandbox.url, budget=budget) as client:
            for run in ("first", "second"):
                report = await sync_attachments(
                    client,
                    packs=ids(packs),
                    claims=ids(claims),
                    to=to,
                    site_id="MLM",
                    concurrency=16,
                    on_event=show,
                )
                print(
                    f"{run} run: {report.threads} threads, {report.downloaded} files downloaded "
                    f"({report.bytes} bytes), {report.skipped} there already, "
                    f"{len(report.failed)} failed"
                )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        target = sys.argv[1] if len(sys.argv) > 1 else f"{folder}/archive"
        asyncio.run(main(target, Path(folder)))
