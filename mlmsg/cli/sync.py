"""`mlmsg sync`: mirror the attachments of packs and claims into a folder or a bucket."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import click

from mlmsg._worker_threads import run_in_thread
from mlmsg.sync import SyncEvent, SyncReport, sync_attachments, sync_seller

from ._command import VARIABLES, Job
from ._exit_codes import ExitCode
from ._failures import Failure, describe, exit_code_of
from ._id_lists import check_list, is_replayable, read_ids
from ._moments import FORMS, moment
from ._progress import summary, watch
from ._settings import Connection, Settings, api_options, connect
from ._signals import stop_at_sigterm
from ._sites import usual_site
from ._whole_numbers import WholeNumber

__all__ = ["sync"]

LIST = click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True)


@dataclass(frozen=True, slots=True)
class _Threads:
    """Threads of one kind: the ids of the command line, and a list of more ids.

    Attributes:
        kind: `pack` or `claim`.
        given: The ids of the command line.
        path: The list, `-` for standard input, or None.
    """

    kind: str
    given: tuple[str, ...]
    path: str | None

    def check(self) -> int | None:
        """Check the list if it is a file. Return the number of ids, or None for a pipe."""
        if self.path is None:
            return len(self.given)
        if not is_replayable(self.path):
            return None
        return len(self.given) + check_list(self.path, self.kind)

    async def ids(self) -> AsyncGenerator[str, None]:
        """Yield the ids. The list is read as they are needed."""
        for identifier in self.given:
            yield identifier
        if self.path is not None:
            async for identifier in read_ids(self.path, self.kind):
                yield identifier


@dataclass(frozen=True, slots=True)
class _Options:
    """The options of one run; see the help of the command."""

    to: str
    site_id: str | None
    concurrency: int
    verify: bool
    share: int
    since: datetime | None = None
    full: bool = False
    app_id: str | None = None


class _SyncCommand(Job):
    variables: ClassVar[Sequence[tuple[str, str]]] = (
        *VARIABLES,
        ("AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY", "The keys of s3://BUCKET."),
        ("AWS_ENDPOINT_URL", "The address of another S3; http needs AWS_ALLOW_HTTP=true."),
        ("GOOGLE_APPLICATION_CREDENTIALS", "The path of the key file of gs://BUCKET."),
        ("AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY", "The keys of az://CONTAINER."),
    )


@click.command(cls=_SyncCommand)
@click.argument("packs", nargs=-1, metavar="[PACK]...")
@click.option("--claim", "claims", multiple=True, metavar="CLAIM", help="A claim; may be repeated.")
@click.option("--packs-from", type=LIST, help="List of packs; - reads standard input.")
@click.option("--claims-from", type=LIST, help="List of claims; - reads standard input.")
@click.option(
    "--all", "everything", is_flag=True, help="Find the packs and claims that were updated."
)
@click.option(
    "--since",
    type=moment,
    metavar="MOMENT",
    help=f"With --all: updated since then: {FORMS}.",
)
@click.option(
    "--full", is_flag=True, help="With --all: read every thread again; find deleted files."
)
@click.option("--app-id", metavar="ID", help="With --all: read the missed notifications too.")
@click.option(
    "--to", required=True, metavar="TARGET", help="Folder, or a URL such as s3://bucket/prefix."
)
@click.option(
    "--site-id",
    metavar="SITE",
    help="Site of the packs. By default that of the message, of the account, or MLM.",
)
@click.option(
    "--concurrency",
    metavar="N",
    type=WholeNumber(1),
    default=16,
    show_default=True,
    help="Files downloaded at the same time.",
)
@click.option(
    "--verify",
    is_flag=True,
    help="Compare the SHA-256 of existing files. With --all: implies --full.",
)
@click.option(
    "--share",
    type=WholeNumber(1),
    default=1,
    metavar="N",
    help="Use one N-th of the rate limit, for N processes at the same time.",
)
@api_options
def sync(
    settings: Settings,
    packs: tuple[str, ...],
    claims: tuple[str, ...],
    packs_from: str | None,
    claims_from: str | None,
    everything: bool,
    since: datetime | None,
    full: bool,
    app_id: str | None,
    to: str,
    site_id: str | None,
    concurrency: int,
    verify: bool,
    share: int,
) -> ExitCode:
    """Mirror attachments of packs and claims to a folder or bucket.

    Each file becomes packs/PACK/FILE or claims/CLAIM/FILE, with a manifest.json beside it. Files
    that are already there are not downloaded again. Files that Mercado Libre flags as a threat go
    to quarantine/.

    A list has one id per line, or is a CSV file: its first column, or the column pack_id or
    claim_id, holds the ids. Blank lines and # comments are skipped.

    With --all, no list is needed: all packs and claims that were updated since --since are found.
    A later run with the same target reads only the threads that can have changed, and does not
    notice that a file of another thread was deleted or damaged: --full and --verify do.

    With --sandbox no account is needed: the command starts a sandbox, and mirrors all of its
    threads unless packs or claims are given.

    With --json, each line is one event with a time and a level. The last line is the report, also
    if an error stops the job.
    """
    if packs_from == claims_from == "-":
        raise click.UsageError("standard input holds either packs or claims: use a file for one")
    has_ids = bool(packs or claims or packs_from or claims_from)
    if everything != (since is not None) or (everything and has_ids):
        raise click.UsageError("--all needs --since, and no PACK, claim or list beside it")
    if not everything and (full or app_id):
        raise click.UsageError("--full and --app-id need --all")
    if everything and site_id is not None:
        raise click.UsageError("--site-id is for a PACK or a list: --all finds the sites by itself")
    options = _Options(to, site_id, concurrency, verify, share, since, full, app_id)
    if everything:
        return _run(settings, [], options)
    threads: list[_Threads] | None = [
        _Threads("pack", tuple(dict.fromkeys(packs)), packs_from),
        _Threads("claim", tuple(dict.fromkeys(claims)), claims_from),
    ]
    if not has_ids:
        if not settings.sandbox:
            text = "no PACK or claim is given; add --all --since 30d, or --sandbox to try it"
            raise click.UsageError(text)
        threads = None
    return _run(settings, threads, options)


def _run(settings: Settings, threads: list[_Threads] | None, options: _Options) -> ExitCode:
    """Run the job in a new event loop, print the report, and return the exit code."""
    report = SyncReport()
    try:
        asyncio.run(_sync(settings, threads, options, report))
    except KeyboardInterrupt:
        code, text = ExitCode.INTERRUPTED, "interrupted; run the same command again to continue"
        error: Exception | None = Failure(text, code)
    except Exception as raised:
        if report == SyncReport() and exit_code_of(raised) is ExitCode.USAGE:
            raise  # nothing was done
        error = Failure(f"stopped: {describe(raised)}", ExitCode.STOPPED)
        error.__cause__ = raised
    else:
        error = None
    if threads and error is None and not (report.threads or report.failures or settings.json):
        settings.note("the list is empty: nothing to do")
        return ExitCode.OK
    summary(report, options.to, error, settings)
    if error is not None:
        raise error
    return ExitCode.FAILED if report.failed else ExitCode.OK


async def _sync(
    settings: Settings, threads: list[_Threads] | None, options: _Options, report: SyncReport
) -> None:
    async with connect(settings, share=options.share) as connection:
        if threads is None:
            threads = [
                _Threads("pack", connection.packs, None),
                _Threads("claim", connection.claims, None),
            ]
        counts = [await run_in_thread(kind.check) for kind in threads]
        total = None if None in counts or not counts else sum(filter(None, counts))
        client = connection.client

        def waiting() -> int:
            return client.waiting_calls

        with watch(report, total, settings, waiting) as show, stop_at_sigterm():
            await _mirror(connection, threads, options, report, show)


async def _mirror(
    connection: Connection,
    threads: list[_Threads],
    options: _Options,
    report: SyncReport,
    show: Callable[[SyncEvent], object],
) -> None:
    """Mirror the packs and claims that are given, or all that were updated since a moment."""
    client = connection.client
    if options.since is not None:
        await sync_seller(
            client,
            to=options.to,
            since=options.since,
            full=options.full,
            app_id=options.app_id,
            concurrency=options.concurrency,
            verify=options.verify,
            on_event=show,
            report=report,
        )
        return
    packs, claims = threads
    with client.listen(report.count_call):
        site_id = options.site_id or await usual_site(connection)
    await sync_attachments(
        client,
        packs=packs.ids(),
        claims=claims.ids(),
        to=options.to,
        site_id=site_id,
        concurrency=options.concurrency,
        verify=options.verify,
        on_event=show,
        report=report,
    )
