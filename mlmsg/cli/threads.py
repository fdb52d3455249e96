"""Commands that read: `thread`, `message`, `unread`; and `mark-read`."""

import click

from mlmsg import _operations
from mlmsg.models import Conversation, Message, ThreadPage, Unread

from ._command import Command
from ._dry_run import dry_run_option
from ._output import print_json, print_line, printable
from ._render import Entry, print_table, print_thread
from ._settings import Connection, Settings, api_options, call
from ._whole_numbers import WholeNumber
from ._words import in_commands

__all__ = ["mark_read", "message", "thread", "unread"]


@click.command(cls=Command)
@click.argument("pack")
@click.option("--limit", type=WholeNumber(1), metavar="N", help="Only the newest N messages.")
@api_options
def thread(settings: Settings, pack: str, limit: int | None) -> None:
    """Show the messages of a PACK, the oldest first. Nothing is marked as read.

    PACK is the id of a pack, or of an order without a pack. The JSON document has the keys messages
    and status.
    """

    async def read(connection: Connection) -> Conversation:
        if limit is None:
            return await connection.client.packs.conversation(pack)
        page = await connection.client.packs.page(pack, limit)
        return Conversation(messages=page.messages[:limit], status=page.conversation_status)

    conversation = call(settings, read)
    if settings.json:
        print_json(conversation)
        return
    print_thread(map(Entry.of_message, conversation.messages))
    if not conversation.messages:
        settings.note(f"pack {pack} has no messages")
    status = conversation.status
    if status is not None and status.hint:
        settings.note(f"{status.substatus or status.status}: {in_commands(status.hint)}")


@click.command(cls=Command)
@click.argument("message_id", metavar="ID")
@api_options
def message(settings: Settings, message_id: str) -> None:
    """Show the message with this ID. Nothing is marked as read.

    Notifications name the ids, and so does `mlmsg thread --json`.
    """

    async def read(connection: Connection) -> Message:
        return await connection.client.messages.get(message_id)

    found = call(settings, read)
    if settings.json:
        print_json(found)
    else:
        print_thread([Entry.of_message(found)])


@click.command(cls=Command)
@click.option(
    "--role",
    type=click.Choice(["seller", "buyer", "any"]),
    default="seller",
    show_default=True,
    help="The role of the account in the sale.",
)
@api_options
def unread(settings: Settings, role: str) -> None:
    """List the conversations with unread messages. Nothing is marked as read.

    The ids are the arguments of `mlmsg mark-read`. The API lists 1000 conversations at most, and
    the others after some of these were marked as read.
    """

    async def read(connection: Connection) -> Unread:
        return await connection.client.unread.list(role=None if role == "any" else role)

    found = call(settings, read)
    rows = [
        {
            "pack_id": result.pack_id or result.order_id,
            "seller_id": result.seller_id,
            "count": result.total if result.count is None else result.count,
            "resource": result.resource,
        }
        for result in found.results
    ]
    if settings.json:
        print_json({"user_id": found.user_id, "results": rows})
    elif rows:
        cells = [
            (row["pack_id"] or row["resource"], row["seller_id"], row["count"]) for row in rows
        ]
        print_table(("PACK", "SELLER", "UNREAD"), cells)
    else:
        settings.note("no unread messages")


@click.command("mark-read", cls=Command)
@click.argument("pack")
@click.argument("seller")
@dry_run_option
@api_options
def mark_read(settings: Settings, pack: str, seller: str, dry_run: bool) -> None:
    """Mark the messages of a PACK to a SELLER as read.

    `mlmsg unread` lists both ids. The JSON document is the first page of the thread.
    """

    async def check(connection: Connection) -> int:
        _operations.seller_thread(pack, seller, None, 0, mark_as_read=True)  # checks the ids
        unread = await connection.client.unread.get(f"/packs/{pack}/sellers/{seller}")
        return sum(result.count or 0 for result in unread.results)

    async def mark(connection: Connection) -> ThreadPage:
        return await connection.client.unread.mark_as_read(pack, seller)

    if dry_run:
        count = call(settings, check, dry_run=True)
        _print_unmarked(pack, seller, count, settings)
        return
    page = call(settings, mark)
    if settings.json:
        print_json(page)
    elif not settings.quiet:
        print_line(printable(f"marked pack {pack} of seller {seller} as read"))


def _print_unmarked(pack: str, seller: str, count: int, settings: Settings) -> None:
    """Print what a dry run did not mark."""
    if settings.json:
        print_json({"dry_run": True, "pack": pack, "seller": seller, "unread": count})
    elif not settings.quiet:
        messages = "1 message" if count == 1 else f"{count} messages"
        line = f"dry run: {messages} of pack {pack} to seller {seller} would be marked as read"
        print_line(printable(line))
