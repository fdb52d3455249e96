"""`mlmsg sync`: mirror the attachments of packs and claims into a folder or a bucket."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import TextIO

import click

from mlmsg.client import Client
from mlmsg.errors import MlmsgError, RuleError
from mlmsg.sandbox import Sandbox
from mlmsg.sync import Ids, SyncReport, sync_attachments

from ._exit_codes import ExitCode
from ._progress import printable, summary, watch

__all__ = ["sync"]

TOKEN_VARIABLE = "MLMSG_ACCESS_TOKEN"  # noqa: S105  (the name of a variable)

IDS_FILE = click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True)


@click.command()
@click.argument("packs", nargs=-1, metavar="[PACK]...")
@click.option("--claim", "claims", multiple=True, metavar="CLAIM", help="A claim; may be repeated.")
@click.option(
    "--packs-from", type=IDS_FILE, help="File of packs, one per line; - reads standard input."
)
@click.option(
    "--claims-from", type=IDS_FILE, help="File of claims, one per line; - reads standard input."
)
@click.option("--to", required=True, help="Target folder, or a URL such as s3://bucket/prefix.")
@click.option("--site-id", default="MLM", show_default=True, help="Site of the packs.")
@click.option("--concurrency", type=click.IntRange(1), default=16, show_default=True,
              help="Files downloaded at the same time.")  # fmt: skip
@click.option("--verify", is_flag=True, help="Compare the SHA-256 of existing files.")
@click.option("--json", is_flag=True, help="Print one line of JSON for each step.")
@click.option(
    "--sandbox", is_flag=True, help="Use a sandbox in this process; no account is needed."
)
def sync(
    packs: tuple[str, ...],
    claims: tuple[str, ...],
    packs_from: str | None,
    claims_from: str | None,
    to: str,
    site_id: str,
    concurrency: int,
    verify: bool,
    json: bool,
    sandbox: bool,
) -> None:
    """Mirror the attachments of PACKs and claims into a folder or a bucket.

    Each file becomes packs/PACK/FILE or claims/CLAIM/FILE, with a manifest.json beside it. Files
    that are already there are not downloaded again. Files that Mercado Libre flags as a threat go
    to quarantine/. The access token is read from the variable MLMSG_ACCESS_TOKEN.

    With --sandbox no account is needed: the command starts a sandbox, and mirrors all of its
    threads unless packs or claims are given.
    """
    token = None if sandbox else os.environ.get(TOKEN_VARIABLE)
    is_named = bool(packs or claims or packs_from or claims_from)
    if not sandbox and not (is_named and token):
        missing = f"{TOKEN_VARIABLE} is not set" if is_named else "no PACK or claim is given"
        raise click.UsageError(f"{missing}; to try without an account, add --sandbox")
    if packs_from == claims_from == "-":
        raise click.UsageError("standard input holds either packs or claims: use a file for one")
    packs, claims = tuple(dict.fromkeys(packs)), tuple(dict.fromkeys(claims))
    threads = None if packs_from or claims_from else len(packs) + len(claims)
    job = _Job(_ids(packs, packs_from), _ids(claims, claims_from), threads, to, site_id,
               concurrency, verify, json)  # fmt: skip
    report = _run_job(job, token, everything=not is_named)
    summary(report, to, json=json)
    sys.exit(ExitCode.FAILED if report.failed else ExitCode.OK)


@dataclass(frozen=True, slots=True)
class _Job:
    """The arguments of one run.

    Attributes:
        packs: The ids of the packs.
        claims: The ids of the claims.
        threads: The number of packs and claims, or None if it is unknown.
        to: The target.
        site_id: The site of the packs.
        concurrency: Files downloaded at the same time.
        verify: True to compare the SHA-256 of existing files.
        json: True to print lines of JSON.
    """

    packs: Ids
    claims: Ids
    threads: int | None
    to: str
    site_id: str
    concurrency: int
    verify: bool
    json: bool


def _run_job(job: _Job, token: str | None, *, everything: bool) -> SyncReport:
    """Run the job in a new event loop, and return its report."""
    try:
        return asyncio.run(_sync(job, token, everything=everything))
    except RuleError as error:
        raise click.UsageError(printable(str(error))) from None
    except MlmsgError as error:
        raise click.ClickException(printable(f"stopped: {error}")) from None
    except KeyboardInterrupt:
        click.echo("interrupted; run the same command again to continue", err=True)
        sys.exit(ExitCode.INTERRUPTED)


async def _sync(job: _Job, token: str | None, *, everything: bool) -> SyncReport:
    async with AsyncExitStack() as stack:
        if token is None:
            sandbox = await stack.enter_async_context(Sandbox())
            client = Client(sandbox.token, base_url=sandbox.url, budget=None)
            if everything:
                packs, claims = tuple(sandbox.market.packs), tuple(sandbox.market.claims)
                job = replace(job, packs=packs, claims=claims, threads=len(packs) + len(claims))
        else:
            client = Client(token)
        await stack.enter_async_context(client)
        return await sync_attachments(
            client,
            packs=job.packs,
            claims=job.claims,
            to=job.to,
            site_id=job.site_id,
            concurrency=job.concurrency,
            verify=job.verify,
            on_event=stack.enter_context(watch(job.threads, json=job.json)),
        )


def _ids(given: tuple[str, ...], path: str | None) -> Ids:
    """Return the ids of the command line and of a file, which is read as its ids are needed."""
    if path is None:
        return given
    return _and_standard_input(given) if path == "-" else _and_lines(given, Path(path))


def _and_lines(given: tuple[str, ...], path: Path) -> Iterator[str]:
    yield from given
    with path.open(encoding="utf-8-sig") as file:
        yield from filter(None, map(str.strip, file))


async def _and_standard_input(given: tuple[str, ...]) -> AsyncGenerator[str, None]:
    for identifier in given:
        yield identifier
    # `sys.stdin` would do, but Python cannot close it at exit while a thread waits for a line.
    file = open(0, encoding="utf-8-sig", closefd=False)  # noqa: ASYNC230, SIM115  (opens no file, only the descriptor)
    while line := await asyncio.wrap_future(_read_line(file)):
        if line.strip():
            yield line.strip()


def _read_line(file: TextIO) -> "Future[str]":
    """Read the next line in a daemon thread: it may never arrive, and must not delay the exit."""
    future: Future[str] = Future()
    future.set_running_or_notify_cancel()

    def read() -> None:
        try:
            future.set_result(file.readline())
        except (OSError, ValueError) as error:
            future.set_exception(error)

    Thread(target=read, daemon=True).start()
    return future
