"""The commands.

Exit code 0: all well; 1: something failed; 2: wrong use; 130: interrupted.
"""

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

from ._progress import printable, summary, watch
from .client import Client
from .errors import MlmsgError, RuleError
from .sandbox import Sandbox
from .sync import Ids, SyncReport, sync_attachments

__all__ = ["cli"]

TOKEN_VARIABLE = "MLMSG_ACCESS_TOKEN"  # noqa: S105  (a variable's name)

IDS_FILE = click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mlmsg")
def cli() -> None:
    """Mercado Libre's post-sale messaging from the command line."""


@cli.command()
@click.argument("packs", nargs=-1, metavar="[PACK]...")
@click.option("--claim", "claims", multiple=True, metavar="CLAIM", help="A claim; may be repeated.")
@click.option("--packs-from", type=IDS_FILE, help="Packs, one to a line; - is standard input.")
@click.option("--claims-from", type=IDS_FILE, help="Claims, one to a line; - is standard input.")
@click.option("--to", required=True, help="Folder to fill, or a URL such as s3://bucket/prefix.")
@click.option("--site-id", default="MLM", show_default=True, help="Site of the packs.")
@click.option("--concurrency", type=click.IntRange(1), default=16, show_default=True,
              help="Files fetched at the same time.")  # fmt: skip
@click.option("--verify", is_flag=True, help="Read what is there, and compare its SHA-256.")
@click.option("--json", is_flag=True, help="Print each step as a line of JSON.")
@click.option("--sandbox", is_flag=True, help="Use a made-up Mercado Libre in this process.")
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

    Each file becomes packs/PACK/FILE or claims/CLAIM/FILE, with a manifest.json beside it; a file
    that is there already is not fetched again. What Mercado Libre flags as a threat goes to
    quarantine/. The access token is read from the variable MLMSG_ACCESS_TOKEN.

    With --sandbox no account is needed: the command starts a small market of its own, and mirrors
    all of it unless packs or claims are named.
    """
    token = None if sandbox else os.environ.get(TOKEN_VARIABLE)
    named = bool(packs or claims or packs_from or claims_from)
    if not sandbox and not (named and token):
        missing = f"{TOKEN_VARIABLE} is not set" if named else "no PACK or claim is named"
        raise click.UsageError(f"{missing}; to try without an account, add --sandbox")
    if packs_from == claims_from == "-":
        raise click.UsageError("standard input holds either packs or claims: use a file for one")
    packs, claims = tuple(dict.fromkeys(packs)), tuple(dict.fromkeys(claims))
    count = None if packs_from or claims_from else len(packs) + len(claims)
    job = _Job(_ids(packs, packs_from), _ids(claims, claims_from), count, to, site_id,
               concurrency, verify, json)  # fmt: skip
    report = _outcome(job, token, everything=not named)
    summary(report, to, json=json)
    sys.exit(1 if report.failed else 0)


@dataclass(frozen=True, slots=True)
class _Job:
    """What the command was asked to do; `count` is how many threads that are, if known."""

    packs: Ids
    claims: Ids
    count: int | None
    to: str
    site_id: str
    concurrency: int
    verify: bool
    json: bool


def _outcome(job: _Job, token: str | None, *, everything: bool) -> SyncReport:
    """The report; what ends the job early ends the command."""
    try:
        return asyncio.run(_run(job, token, everything=everything))
    except RuleError as error:
        raise click.UsageError(printable(str(error))) from None
    except MlmsgError as error:
        raise click.ClickException(printable(f"stopped: {error}")) from None
    except KeyboardInterrupt:
        click.echo("interrupted; the same command goes on from here", err=True)
        sys.exit(130)


async def _run(job: _Job, token: str | None, *, everything: bool) -> SyncReport:
    async with AsyncExitStack() as stack:
        if token is None:
            sandbox = await stack.enter_async_context(Sandbox())
            client = Client(sandbox.token, base_url=sandbox.url, budget=None)
            if everything:
                packs, claims = tuple(sandbox.market.packs), tuple(sandbox.market.claims)
                job = replace(job, packs=packs, claims=claims, count=len(packs) + len(claims))
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
            on_event=stack.enter_context(watch(job.count, json=job.json)),
        )


def _ids(named: tuple[str, ...], path: str | None) -> Ids:
    """The ids of the command line and those of a file, which is read as they are needed."""
    if path is None:
        return named
    return _and_standard_input(named) if path == "-" else _and_lines(named, Path(path))


def _and_lines(named: tuple[str, ...], path: Path) -> Iterator[str]:
    yield from named
    with path.open(encoding="utf-8-sig") as file:
        yield from filter(None, map(str.strip, file))


async def _and_standard_input(named: tuple[str, ...]) -> AsyncGenerator[str, None]:
    for one in named:
        yield one
    # Not `sys.stdin`, which Python cannot close at its end while a thread waits for a line.
    file = open(0, encoding="utf-8-sig", closefd=False)  # noqa: ASYNC230, SIM115  (opens no file)
    while line := await asyncio.wrap_future(_line_of(file)):
        if line.strip():
            yield line.strip()


def _line_of(file: TextIO) -> "Future[str]":
    """The next line, read in a thread that nobody has to wait for: it may never come."""
    future: Future[str] = Future()
    future.set_running_or_notify_cancel()

    def read() -> None:
        try:
            future.set_result(file.readline())
        except (OSError, ValueError) as error:
            future.set_exception(error)

    Thread(target=read, daemon=True).start()
    return future
