"""`mlmsg claims` and `mlmsg claim …`: claims, their messages and files."""

from datetime import datetime

import click

from mlmsg._search_queries import ROLES
from mlmsg.downloads import Saved
from mlmsg.models import Claim, ClaimAttachment, ClaimDetail, ClaimMessages, ClaimUpload
from mlmsg.rules import CLAIM_FILES, RECEIVERS, check_text

from ._command import Command, CommandGroup
from ._dry_run import DryRunEnd, dry_run_option
from ._exit_codes import ExitCode
from ._files import SOURCE, overwrite_option, print_checked, print_saved, target_option
from ._listing import print_rows, since_option, until_option
from ._moments import check_span
from ._output import print_json, print_line
from ._render import Entry, print_pairs, print_thread
from ._sending import (
    check_files,
    delivered,
    file_option,
    print_sent,
    print_unsent,
    read_text,
)
from ._settings import Connection, Settings, api_options, call
from ._transfer import transfer

__all__ = ["claim", "claims"]

COLUMNS = (("CLAIM", 10), ("UPDATED", 16), ("STATUS", 6), ("STAGE", 7), ("TYPE", 11), ("ABOUT", 22))


@click.command(cls=Command)
@since_option
@until_option
@click.option(
    "--status", type=click.Choice(["opened", "closed"]), help="Only opened or only closed claims."
)
@api_options
def claims(
    settings: Settings, since: datetime, until: datetime | None, status: str | None
) -> ExitCode:
    """List the claims that were updated in a span of time.

    With --json, each line is a claim. The first column is a list for `mlmsg sync --claims-from -`.
    """
    check_span(since, until)

    async def run(connection: Connection) -> ExitCode:
        found = connection.client.claims.all(since=since, until=until, status=status)
        return await print_rows(settings, COLUMNS, found, _row)

    return call(settings, run)


@click.command("show", cls=Command)
@click.argument("claim_id", metavar="CLAIM")
@api_options
def show(settings: Settings, claim_id: str) -> None:
    """Show a CLAIM: its state, its parties and what each may do now.

    The JSON document has the keys claim and detail.
    """

    async def run(connection: Connection) -> tuple[Claim, ClaimDetail]:
        client = connection.client
        return await client.claims.get(claim_id), await client.claims.detail(claim_id)

    found, detail = call(settings, run)
    if settings.json:
        print_json({"claim": found, "detail": detail})
        return
    print_pairs(
        [
            ("claim", found.id or claim_id),
            ("title", detail.title),
            ("problem", detail.problem),
            ("description", detail.description),
            ("status", found.status),
            ("stage", found.stage),
            ("type", found.type),
            ("about", _about(found) or None),
            ("reason", found.reason_id),
            ("must act", detail.action_responsible),
            ("due", detail.due_date),
            ("created", found.date_created),
            ("updated", found.last_updated),
        ]
        + [
            (player.role or "player", f"{player.user_id}: {_actions(found, player.role)}")
            for player in found.players
        ]
    )


@click.command("messages", cls=Command)
@click.argument("claim_id", metavar="CLAIM")
@click.option(
    "--own-role",
    type=click.Choice(ROLES),
    default=ROLES[0],
    show_default=True,
    metavar="ROLE",
    help=f"Your own role, {' or '.join(ROLES)} as in cancelled sales, to mark your messages.",
)
@api_options
def messages(settings: Settings, claim_id: str, own_role: str) -> None:
    """Show the messages of a CLAIM, the oldest first."""

    async def run(connection: Connection) -> ClaimMessages:
        return await connection.client.claims.messages(claim_id)

    found = call(settings, run)
    if settings.json:
        print_json(found)
        return
    print_thread(Entry.of_claim_message(message, own_role) for message in found)
    if not found:
        settings.note(f"claim {claim_id} has no messages")


@click.command("send", cls=Command)
@click.argument("claim_id", metavar="CLAIM")
@click.argument("text")
@click.option(
    "--to",
    "role",
    type=click.Choice(list(RECEIVERS)),
    default="complainant",
    show_default=True,
    metavar="ROLE",
    help=f"The receiver: {', '.join(RECEIVERS)}.",
)
@file_option
@dry_run_option
@api_options
def send(
    settings: Settings,
    claim_id: str,
    text: str,
    role: str,
    files: tuple[str, ...],
    dry_run: bool,
) -> ExitCode:
    """Send TEXT to a party of a CLAIM, once.

    A TEXT of - is read from standard input. The claim is read first: it may accept no message to
    that role now.
    """
    text = read_text(text)

    async def run(connection: Connection) -> ExitCode:
        check_text(text)
        checked = await check_files(files, CLAIM_FILES)
        sending = connection.client.claims.send(
            claim_id, text, receiver_role=role, files=files, check=True
        )
        try:
            sent = await delivered(
                connection.client, sending, settings, f"mlmsg claim messages {claim_id}"
            )
            return print_sent(sent, settings)
        except DryRunEnd:
            message = {"claim": claim_id, "to": role, "text": text, "files": checked}
            return print_unsent(message, settings)

    return call(settings, run, dry_run=dry_run)


@click.command("upload", cls=Command)
@click.argument("claim_id", metavar="CLAIM")
@click.argument("file", type=SOURCE)
@click.option("--name", metavar="NAME", help="The name to store it under.")
@dry_run_option
@api_options
def upload(settings: Settings, claim_id: str, file: str, name: str | None, dry_run: bool) -> None:
    """Upload a FILE for a later message of a CLAIM.

    The output is the name under which it is stored. A claim takes JPG, PNG and PDF files of 5 MB
    at most.
    """

    async def run(connection: Connection) -> ClaimUpload | None:
        [checked] = await check_files([file], CLAIM_FILES, name)
        try:
            with transfer(checked.name, settings) as progress:
                return await connection.client.claims.upload(
                    claim_id, file, filename=name, progress=progress
                )
        except DryRunEnd:
            print_checked(checked, settings)
            return None

    stored = call(settings, run, dry_run=dry_run)
    if stored is None:
        return
    if settings.json:
        print_json(stored)
    else:
        print_line(stored.file_name)


@click.command("download", cls=Command)
@click.argument("claim_id", metavar="CLAIM")
@click.argument("file_name", metavar="FILE")
@target_option
@overwrite_option
@api_options
def download(settings: Settings, claim_id: str, file_name: str, to: str, overwrite: bool) -> None:
    """Download a FILE of a CLAIM.

    `mlmsg claim messages` shows the names.
    """

    async def run(connection: Connection) -> Saved:
        with transfer(file_name, settings) as progress:
            return await connection.client.claims.download(
                claim_id, file_name, to, overwrite=overwrite, progress=progress
            )

    print_saved(call(settings, run), settings)


@click.command("info", cls=Command)
@click.argument("claim_id", metavar="CLAIM")
@click.argument("file_name", metavar="FILE")
@api_options
def info(settings: Settings, claim_id: str, file_name: str) -> None:
    """Describe a FILE of a CLAIM: its name, type, size and date.

    `mlmsg claim messages` shows the names.
    """

    async def run(connection: Connection) -> ClaimAttachment:
        return await connection.client.claims.attachment(claim_id, file_name)

    found = call(settings, run)
    if settings.json:
        print_json(found)
        return
    print_pairs(
        [
            ("file", found.filename or file_name),
            ("original name", found.original_filename),
            ("type", found.type),
            ("size", None if found.size is None else f"{found.size} bytes"),
            ("date", found.date_created),
        ]
    )


@click.group(cls=CommandGroup, commands=[show, messages, send, upload, download, info])
def claim() -> None:
    """Read a claim, and write to its parties."""


def _row(found: Claim) -> tuple[object, ...]:
    return (
        found.id,
        found.last_updated,
        found.status,
        found.stage,
        found.type,
        _about(found),
    )


def _about(found: Claim) -> str:
    return " ".join(str(part) for part in (found.resource, found.resource_id) if part)


def _actions(found: Claim, role: str | None) -> str:
    actions = (action.replace("_", " ") for action in sorted(found.actions_of([role])))
    return ", ".join(actions) or "nothing to do now"
