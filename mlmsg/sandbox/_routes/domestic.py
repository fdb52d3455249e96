"""The domestic twins of "Post-sale messages": send to a seller thread, message, files.

The thread itself is served by `mlmsg.sandbox._routes.pending`.

Choices of the sandbox that the API does not document:

- the order of the checks of a send: tag, pack, seller, body, text, attachments, blocked thread,
  recipient
- `from.user_id` and `to.user_id` may be an int or a text of digits
- a user who buys the pack cannot send: 403
- `from.user_id` is not the seller of the path, or `to.user_id` is neither the buyer nor the
  agent of the thread: 400 "... does not belong to pack ..."
- characters are counted as Unicode code points
- a message to the buyer of a thread that an agent mediates has the response of a send, but is
  not added to the thread (reported by integrators)
- a send opens a thread with the substatus `blocked_by_conversation_use_message_api`
"""

from typing import Annotated

import msgspec

from mlmsg.sandbox._http.access import check_seller
from mlmsg.sandbox._http.exchange import Exchange, Route
from mlmsg.sandbox._http.inputs import check_tag, find_seller_pack, read_json
from mlmsg.sandbox._http.responses import ErrorResponse, Response
from mlmsg.sandbox._routes._sends import (
    add_message,
    blocked_error,
    check_attachments,
    sent_response,
)
from mlmsg.sandbox._routes.post_sale import download, get_message, upload
from mlmsg.sandbox.characters import is_supported
from mlmsg.sandbox.conversations import is_blocked, uses_messages
from mlmsg.sandbox.packs import Pack

_UserId = int | Annotated[str, msgspec.Meta(pattern="^[0-9]{1,18}$")]


class UserBody(msgspec.Struct, frozen=True):
    """The `from` or `to` of a send."""

    user_id: _UserId


class SendBody(msgspec.Struct, frozen=True):
    """The JSON of a send; the absence of `text` has its own error."""

    sender: UserBody = msgspec.field(name="from")
    recipient: UserBody = msgspec.field(name="to")
    text: str | None = None
    attachments: list[str] | None = None


async def send(exchange: Exchange) -> Response:
    """Handle `POST /messages/packs/{pack}/sellers/{seller}?tag=post_sale`."""
    check_tag(exchange, is_required=True)
    pack = find_seller_pack(exchange)
    if pack.seller_id not in exchange.settings.market.user_ids:
        raise ErrorResponse(403, "Can not identify the user")
    body = await read_json(exchange, SendBody)
    text = _check_text(pack, body.text)
    attachments = body.attachments or []
    check_attachments(exchange, attachments)
    _check_blocked(exchange, pack)
    reaches_thread = _check_people(pack, body)
    if uses_messages(pack.conversation_status):
        exchange.settings.market.unblock(pack.id)
    message = add_message(exchange, pack, text, attachments=attachments)
    if not reaches_thread:
        pack.messages.remove(message)
    return sent_response(exchange, message)


async def get_domestic_message(exchange: Exchange) -> Response:
    """Handle `GET /messages/{message}?tag=post_sale`; `tag` may be missing."""
    check_tag(exchange)
    return await get_message(exchange)


async def upload_file(exchange: Exchange) -> Response:
    """Handle `POST /messages/attachments?tag=post_sale&site_id=`: multipart, one part `file`."""
    check_tag(exchange, is_required=True)
    return await upload(exchange)


ROUTES = (
    Route("POST", "/messages/packs/{pack}/sellers/{seller}", send, check_seller),
    Route("POST", "/messages/attachments", upload_file, check_seller),
    Route("GET", "/messages/attachments/{attachment}", download, check_seller),
    Route("GET", "/messages/{message}", get_domestic_message, check_seller),
)


def _check_text(pack: Pack, text: str | None) -> str:
    if not text:
        raise ErrorResponse(400, "Text is required")
    limit = pack.seller_max_message_length
    if limit is not None and len(text) > limit:
        message = f"The message content is too long, max characters allowed are {limit}"
        raise ErrorResponse(400, message)
    if not is_supported(text):
        raise ErrorResponse(400, "The text has character/s that is/are not supported.")
    return text


def _check_blocked(exchange: Exchange, pack: Pack) -> None:
    status = pack.conversation_status
    if is_blocked(status) and not uses_messages(status):
        raise blocked_error(exchange, pack)


def _check_people(pack: Pack, body: SendBody) -> bool:
    """Return True if the message reaches the thread, False if nobody receives it."""
    sender, recipient = int(body.sender.user_id), int(body.recipient.user_id)
    if sender != pack.seller_id:
        raise ErrorResponse(400, f"The user {sender} does not belong to pack {pack.id}")
    if recipient not in {pack.buyer_id, pack.counterpart_id}:
        raise ErrorResponse(400, f"The user {recipient} does not belong to pack {pack.id}")
    return recipient == pack.counterpart_id
