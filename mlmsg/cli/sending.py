"""Commands that write to a buyer: `send` and `reasons`."""

import click

from mlmsg._numbers import whole_number
from mlmsg.errors import RuleError
from mlmsg.models import Reason, ReasonTemplate
from mlmsg.rules import POST_SALE_FILES, check_text

from ._command import Command
from ._dry_run import DryRunEnd, dry_run_option
from ._exit_codes import ExitCode
from ._output import print_json
from ._render import print_table
from ._sending import (
    check_files,
    delivered,
    file_option,
    print_sent,
    print_unsent,
    read_text,
)
from ._settings import Connection, Settings, api_options, call
from ._sites import site_of_pack, site_option

__all__ = ["reasons", "send"]


@click.command(cls=Command)
@click.argument("pack")
@click.argument("text")
@file_option
@click.option("--translated", metavar="TEXT", help="The text in the buyer's language.")
@click.option("--to", metavar="USER", help="The recipient's user id; domestic sellers only.")
@site_option
@dry_run_option
@api_options
def send(
    settings: Settings,
    pack: str,
    text: str,
    files: tuple[str, ...],
    translated: str | None,
    to: str | None,
    site_id: str | None,
    dry_run: bool,
) -> ExitCode:
    """Send TEXT to the buyer of a PACK, once.

    PACK is the id of a pack, or of an order without a pack. A TEXT of - is read from standard
    input. If the answer is lost, the thread is searched for the message. It is never sent
    twice.
    """
    text = read_text(text)

    async def run(connection: Connection) -> ExitCode:
        _check_family(connection, translated, to)
        check_text(text)
        checked = await check_files(files, POST_SALE_FILES)
        site = site_id
        if files:
            site = await site_of_pack(connection, pack, site_id, settings.note)
        sending = connection.client.packs.send(
            pack, text, text_translated=translated, to=to, files=files, site_id=site
        )
        try:
            sent = await delivered(connection.client, sending, settings, f"mlmsg thread {pack}")
            return print_sent(sent, settings)
        except DryRunEnd:
            message = {"pack": pack, "text": text, "translated": translated, "to": to}
            return print_unsent(message | {"files": checked}, settings)

    return call(settings, run, dry_run=dry_run)


@click.command(cls=Command)
@click.argument("pack")
@click.option("--send", "option", metavar="OPTION", help="Start the conversation with this option.")
@click.option("--text", help="The text of a free-text option; - reads standard input.")
@click.option(
    "--template", metavar="ID", help="The template of any other option, if there are several."
)
@click.option(
    "--var",
    "values",
    multiple=True,
    metavar="ID=NUMBER",
    help="The number for a variable of the template; may be repeated.",
)
@dry_run_option
@api_options
def reasons(
    settings: Settings,
    pack: str,
    option: str | None,
    text: str | None,
    template: str | None,
    values: tuple[str, ...],
    dry_run: bool,
) -> ExitCode:
    """List the reasons to start a conversation, or use one.

    A seller whose sale is shipped by Mercado Envíos needs a reason until the buyer has written.
    Without --send, the options and what each of them takes are listed.
    """
    variables = _variables(values)
    if option is None and (text is not None or template is not None or values):
        raise click.UsageError("--text, --template and --var belong to --send OPTION")
    text = None if text is None else read_text(text)

    async def run(connection: Connection) -> ExitCode:
        found = await connection.client.reasons.list(pack)
        if option is None:
            _print_reasons(settings, found)
            return ExitCode.OK
        reason = _reason(found, option)
        chosen = template
        if template is None and text is None and not reason.is_free_text:
            chosen = _only_template(reason)
        sending = connection.client.reasons.send(
            pack, reason, text=text, template_id=chosen, variables=variables
        )
        try:
            sent = await delivered(connection.client, sending, settings, f"mlmsg thread {pack}")
            return print_sent(sent, settings)
        except DryRunEnd:
            message = {"pack": pack, "option": reason.id, "text": text, "template": chosen}
            return print_unsent(message | {"variables": variables}, settings)

    return call(settings, run, dry_run=dry_run)


def _check_family(connection: Connection, translated: str | None, to: str | None) -> None:
    if to is not None and not connection.is_domestic:
        raise click.UsageError("--to is for domestic sellers; add --domestic")
    if translated is not None and connection.is_domestic:
        raise click.UsageError("--translated is for Global Selling, not for domestic sellers")


def _variables(values: tuple[str, ...]) -> dict[str, int | float] | None:
    variables: dict[str, int | float] = {}
    for value in values:
        name, _, number = value.partition("=")
        whole = whole_number(number)
        try:
            variables[name] = float(number) if whole is None else whole
        except ValueError:
            raise click.BadParameter(f"found {value!r}, allowed: ID=NUMBER") from None
    return variables or None


def _reason(found: list[Reason], option: str) -> Reason:
    known = [reason for top in found for reason in top.walk()]
    for reason in known:
        if reason.id.lower() == option.lower():
            return reason
    names = ", ".join(reason.id for reason in known) or "none"
    raise RuleError("option of a reason", repr(option), names)


def _only_template(reason: Reason) -> str | None:
    templates = reason.templates or []
    return templates[0].id if len(templates) == 1 else None


def _print_reasons(settings: Settings, found: list[Reason]) -> None:
    if settings.json:
        print_json(found)
        return
    rows = []
    for reason in (reason for top in found for reason in top.walk()):
        left = "?" if reason.cap_available is None else reason.cap_available
        rows.append((reason.id, reason.usable, left, _takes(reason)))
    print_table(("OPTION", "USABLE", "LEFT", "TAKES"), rows)


def _takes(reason: Reason) -> str:
    """Return what must be given with a reason: a text, or a template and its variables."""
    if reason.is_free_text:
        return f"text of {reason.char_limit or 350} characters"
    return " or ".join(map(_template_text, reason.templates or ()))


def _template_text(template: ReasonTemplate) -> str:
    variables = ", ".join(variable.id for variable in template.variables)
    return f"{template.id}, variables {variables}" if variables else template.id
