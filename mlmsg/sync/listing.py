"""List the attachments of a pack or a claim, and fetch each of them."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

from mlmsg.client import Client
from mlmsg.downloads import Download
from mlmsg.errors import BadRequest, NotFound
from mlmsg.models import Attachment, ClaimAttachment, ClaimMessage, Message

from .manifest import Listed
from .report import ThreadId

__all__ = ["fetch", "list_attachments"]

R = TypeVar("R")


async def list_attachments(
    client: Client,
    thread: ThreadId,
    site_id: str | None,
    note_date: Callable[[Message], object],
) -> AsyncGenerator[Listed, None]:
    """Yield every attachment of the thread; one that is in two messages is yielded twice.

    A pack without messages, which the API answers with 404, has none. `note_date` is called with
    each message of a pack.
    """
    if thread.kind == "claim":
        for claim_message in await client.claims.messages(thread.id):
            for attachment in claim_message.attachments or ():
                yield _of_claim(claim_message, attachment)
        return
    pack_id, is_empty = thread.id, True
    while True:
        try:
            async with aclosing(client.packs.messages(pack_id)) as messages:
                async for message in messages:
                    is_empty = False
                    note_date(message)
                    for file in message.attachments:
                        yield _of_pack(message, file, site_id)
        except NotFound:
            if not is_empty:
                raise
        except BadRequest as error:
            pack_id = _pack_of_order(error, pack_id)
            continue
        return


async def fetch(
    client: Client, thread: ThreadId, file: Listed, handler: Callable[[Download], Awaitable[R]]
) -> R:
    """Return the result of `handler` for the file. `handler` is called again for each attempt."""
    if thread.kind == "claim" or file.site_id is None:
        return await client.claims.download_with(thread.id, file.filename, handler)
    return await client.attachments.download_with(file.filename, handler, site_id=file.site_id)


def _pack_of_order(error: BadRequest, order_id: str) -> str:
    """Return the pack that an error names: the given id was that of an order in a pack.

    Not verified: whether the paths of messages name the pack in `cause`, as those of orders do.
    """
    named = str(error.cause[0]) if error.cause else ""
    is_order = "order_belong_pack" in f"{error.code} {error.message}" and named.isdecimal()
    if is_order and named != order_id:
        return named
    raise error


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
