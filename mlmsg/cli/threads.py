"""Commands that read: `thread`, `message`, `unread`; and `mark-read`."""

import click

from mlmsg.models import Conversation, Message, ThreadPage, Unread

from ._command import Command
from ._output import in_commands, print_json, print_line
from ._render import Entry, print_table, print_thread
from ._settings import Connection, Settings, api_options, call, dry_run_option

__all__ = ["mark_read", "message", "thread", "unread"]


@click.command(cls=Command)
@click.argument("pack")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the newest N messages.")
@api_options
def thread(settings: Settings, pack: str, limit: int | None) -> None:
    """Show the messages of a PACK, the oldest first. Nothing is marked as read.

    The JSON document has the keys messages and status.
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
    """Show the message with this ID. Nothing is marked as read."""

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

    One answer of the API has 1000 conversations at most.
    """

    async def read(connection: Connection) -> Unread:
        return await connection.client.unread.list(role=None if role == "any" else role)

    found = call(settings, read)
    if settings.json:
        print_json(found)
        return
    rows = [
        (result.pack_id or result.resource, result.seller_id, result.count)
        for result in found.results
    ]
    if rows:
        print_table(("PACK", "SELLER", "UNREAD"), rows)
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
    if dry_run:
        if settings.json:
            print_json({"dry_run": True, "pack": pack, "seller": seller})
        elif not settings.quiet:
            print_line(f"dry run: pack {pack} of seller {seller} would be marked as read")
        return

    async def mark(connection: Connection) -> ThreadPage:
        return await connection.client.unread.mark_as_read(pack, seller)

    page = call(settings, mark)
    if settings.json:
        print_json(page)
    elif not settings.quiet:
        print_line(f"marked pack {pack} of seller {seller} as read")
