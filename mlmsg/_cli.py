"""The commands. Exit code 0: all well; 1: something failed; 2: wrong use."""

import asyncio
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import click
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from .client import Client
from .errors import RuleError
from .sandbox import Sandbox
from .sync import SyncEvent, SyncReport, sync_attachments

__all__ = ["cli"]

TOKEN_VARIABLE = "MLMSG_ACCESS_TOKEN"  # noqa: S105  (a variable's name)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mlmsg")
def cli() -> None:
    """Mercado Libre's post-sale messaging from the command line."""


@cli.command()
@click.argument("packs", nargs=-1, metavar="[PACK]...")
@click.option("--to", required=True, type=click.Path(path_type=Path), help="Folder to fill.")
@click.option("--site-id", default="MLM", show_default=True, help="Site of the packs.")
@click.option("--sandbox", is_flag=True, help="Use a made-up Mercado Libre in this process.")
@click.option("--token", envvar=TOKEN_VARIABLE, hidden=True)
def sync(packs: tuple[str, ...], to: Path, site_id: str, sandbox: bool, token: str | None) -> None:
    """Mirror the attachments of PACKs into a folder.

    Each file becomes packs/PACK/FILE; a file that is there already is not fetched again. The
    access token is read from the variable MLMSG_ACCESS_TOKEN.

    With --sandbox no account is needed: the command starts a small market of its own, and mirrors
    all of its packs unless some are named.
    """
    if to.exists() and not to.is_dir():
        raise click.BadParameter(f"{to} is a file, not a folder", param_hint="--to")
    token = os.environ.get(TOKEN_VARIABLE)
    if not sandbox:
        missing = "no PACK is named" if not packs else f"{TOKEN_VARIABLE} is not set"
        if not (packs and token):
            raise click.UsageError(f"{missing}; to try without an account, add --sandbox")
    try:
        report = asyncio.run(_sync(packs, to, site_id, None if sandbox else token))
    except RuleError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise click.ClickException(str(error)) from None
    _summary(report, to)
    sys.exit(1 if report.failed else 0)


async def _sync(packs: tuple[str, ...], to: Path, site_id: str, token: str | None) -> SyncReport:
    async with AsyncExitStack() as stack:
        if token is None:
            sandbox = await stack.enter_async_context(Sandbox())
            client = Client(sandbox.token, base_url=sandbox.url)
            packs = packs or tuple(sandbox.market.packs)
        else:
            client = Client(token)
        await stack.enter_async_context(client)
        watch = stack.enter_context(_watch(len(packs)))
        return await sync_attachments(client, packs=packs, to=to, site_id=site_id, on_event=watch)


@contextmanager
def _watch(threads: int) -> Iterator[Callable[[SyncEvent], None]]:
    """A progress bar on a terminal, a line for each file elsewhere."""
    if not sys.stdout.isatty():
        yield _print_line
        return
    columns = (
        SpinnerColumn(),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} threads, {task.fields[files]} files"),
        TextColumn("({task.fields[size]})"),
        TimeElapsedColumn(),
    )
    with Progress(*columns) as progress:
        task = progress.add_task("", total=threads, files=0, size=decimal(0))
        files = itertools.count(1)
        size = 0

        def show(event: SyncEvent) -> None:
            nonlocal size
            size += event.size
            if event.filename is None:
                progress.advance(task)
            else:
                progress.update(task, files=next(files), size=decimal(size))

        yield show


def _print_line(event: SyncEvent) -> None:
    if event.filename is not None:
        size = f" ({decimal(event.size)})" if event.size else ""
        click.echo(f"{event.kind:<10} packs/{event.pack_id}/{event.filename}{size}")


def _summary(report: SyncReport, to: Path) -> None:
    for failure in report.failed:
        what = f"packs/{failure.pack_id}" + (f"/{failure.filename}" if failure.filename else "")
        click.echo(f"failed: {what}: {failure.error}", err=True)
    click.echo(
        f"mirrored into {to}: threads {report.threads}, files fetched {report.downloaded} "
        f"({decimal(report.bytes)}), there already {report.skipped}, failed {len(report.failed)}"
    )
