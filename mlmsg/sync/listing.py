"""List the attachments of a pack or a claim, and fetch each of them."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

from mlmsg.client import Client
from mlmsg.client._orders import is_order_in_pack, pack_named_by
from mlmsg.downloads import Download
from mlmsg.errors import BadRequest, NotFound, RuleError
from mlmsg.models import Attachment, ClaimAttachment, ClaimMessage, Message

from .manifest import Listed
from .report import ThreadId

__all__ = ["SiteUnknown", "fetch", "list_attachments"]

R = TypeVar("R")


class SiteUnknown(RuleError):
    """The site of a file is unknown. Nothing was sent."""

    def __init__(self) -> None:
        super().__init__(
            "site of the files of a pack",
            "none, neither with the pack nor in its messages",
            "a site such as 'MLM', 'MLB', 'MCO' or 'MLC'",
            "Pass site_id=, or a PackRef with its site_id",
        )
        self.args: tuple[object, ...] = ()


async def list_attachments(
    client: Client,
    thread: ThreadId,
    site_id: str | None,
    note_date: Callable[[Message], object],
    note_not_found: Callable[[], object],
) -> AsyncGenerator[Listed, None]:
    """Yield every attachment of the thread; one that is in two messages is yielded twice.

    A pack without messages, which the API answers with 404, has none: `note_not_found` is called.
    `note_date` is called with each message of a pack.
    """
    if thread.kind == "claim":
        for claim_message in await client.claims.messages(thread.id):
            for attachment in claim_message.attachments or ():
                yield _of_claim(claim_message, attachment)
        return
    async with aclosing(_messages(client, thread.id, note_not_found)) as messages:
        async for message in messages:
            note_date(message)
            for file in message.attachments:
                yield _of_pack(message, file, site_id)


async def _messages(
    client: Client, pack_id: str, note_not_found: Callable[[], object]
) -> AsyncGenerator[Message, None]:
    """Yield the messages of a pack. The id may also be that of an order in the pack."""
    try:
        async with aclosing(_messages_or_none(client, pack_id, note_not_found)) as messages:
            async for message in messages:
                yield message
    except BadRequest as error:
        if not is_order_in_pack(error):
            raise
        named = pack_named_by(error)
    else:
        return
    if named is None or str(named) == pack_id:
        named = (await client.packs.of_order(pack_id)).pack_id
    # Followed once: a second error of this kind is final, or two orders could name each other.
    async with aclosing(_messages_or_none(client, str(named), note_not_found)) as messages:
        async for message in messages:
            yield message


async def _messages_or_none(
    client: Client, pack_id: str, note_not_found: Callable[[], object]
) -> AsyncGenerator[Message, None]:
    """Yield the messages of a pack; none for the 404 of a thread that has no messages."""
    is_empty = True
    try:
        async with aclosing(client.packs.messages(pack_id)) as messages:
            async for message in messages:
                is_empty = False
                yield message
    except NotFound as error:
        is_thread = error.request is not None and error.request.operation == "packs.page"
        if not (is_empty and is_thread):
            raise
        note_not_found()


async def fetch(
    client: Client, thread: ThreadId, file: Listed, handler: Callable[[Download], Awaitable[R]]
) -> R:
    """Return the result of `handler` for the file. `handler` is called again for each attempt.

    Raises:
        SiteUnknown: Neither the pack nor its messages name the site of the file.
    """
    if thread.kind == "claim":
        return await client.claims.download_with(thread.id, file.filename, handler)
    if file.site_id is None:
        raise SiteUnknown
    return await client.attachments.download_with(file.filename, handler, site_id=file.site_id)


def _of_pack(message: Message, attachment: Attachment, site_id: str | None) -> Listed:
    sender = message.from_
    # `CBT` is the site of the seller's account. No file is stored there.
    named = message.site_id if message.site_id != "CBT" else None
    return Listed(
        message=message.id,
        sender=str(sender.user_id) if sender and sender.user_id is not None else None,
        sender_name=(sender.name or None) if sender else None,
        date=message.message_date.created if message.message_date else None,
        filename=attachment.filename or "",
        original_filename=attachment.original_filename,
        type=attachment.type,
        listed_size=attachment.size,
        potential_security_threat=bool(attachment.potential_security_threat),
        site_id=named or site_id,
    )


def _of_claim(message: ClaimMessage, attachment: ClaimAttachment) -> Listed:
    return Listed(
        message=message.hash,
        sender=message.sender_role,
        date=message.message_date or message.date_created,
        filename=attachment.filename or "",
        original_filename=attachment.original_filename,
        type=attachment.type,
        listed_size=attachment.size,
    )
