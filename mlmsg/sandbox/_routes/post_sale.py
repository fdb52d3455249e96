"""The document "Post-sale messages" of Global Selling: pack page, message, send, files.

Choices of the sandbox that the API does not document:

- `site_id` missing, `CBT` or unknown, or a download without `tag=post_sale`: 400
- an upload without a Content-Length (chunked): 411, before its body is read
- an upload with a loose framing, or a name of 0 or more than 200 characters: 400
- the response to an upload is a 200, and the file is served with the Content-Type of its part
- a send with a body that is not the documented JSON, or with an unknown attachment id: 400
- the response to a send has the status `Sandbox.send_status` and the body `Sandbox.send_answer`
- a thread that the seller has to start takes one message, by the option `OTHER` of its action
  guide; the document lists only the 403 of the second one
"""

import msgspec

from mlmsg.sandbox._http.access import check_seller
from mlmsg.sandbox._http.exchange import Exchange, Route
from mlmsg.sandbox._http.inputs import (
    check_messages,
    check_site,
    check_size,
    check_tag,
    find_pack,
    read_json,
    read_page_request,
    read_upload,
)
from mlmsg.sandbox._http.multipart import Part
from mlmsg.sandbox._http.responses import ErrorResponse, Response, json_response
from mlmsg.sandbox._routes._sends import (
    add_message,
    blocked_error,
    check_attachments,
    sent_response,
)
from mlmsg.sandbox.conversations import is_blocked, needs_reason, uses_messages
from mlmsg.sandbox.packs import Pack
from mlmsg.sandbox.schemas.flat import flat_message
from mlmsg.sandbox.schemas.packs import ThreadPage

_MAX_MEGABYTES = 25
_MAX_NAME_LENGTH = 200


class SendBody(msgspec.Struct, frozen=True):
    """The JSON of a send; only `text` is required, and its absence has its own error."""

    text: str | None = None
    text_translated: str | None = None
    attachments: list[str] | None = None


async def get_pack_page(exchange: Exchange) -> Response:
    """Handle `GET /marketplace/messages/packs/{pack}?limit=&offset=`; newest first."""
    page_request = read_page_request(exchange)
    pack = find_pack(exchange)
    check_messages(exchange, pack)
    paging, messages = page_request.select(pack)
    return json_response(ThreadPage(paging, pack.conversation_status, messages))


async def get_message(exchange: Exchange) -> Response:
    """Handle `GET /marketplace/messages/{message}`: a page with this message only."""
    message_id = exchange.request.match_info["message"]
    message = exchange.settings.market.message(message_id)
    if message is None:
        text = f"The message with id: {message_id} could not be retrieved from storage"
        raise ErrorResponse(404, text)
    if exchange.settings.message_spelling == "flat":
        return json_response(flat_message(message))
    return json_response(ThreadPage(None, None, [message]))


async def send(exchange: Exchange) -> Response:
    """Handle `POST /marketplace/messages/packs/{pack}`: add the newest message of the pack."""
    pack = find_pack(exchange)
    body = await read_json(exchange, SendBody)
    if not body.text:
        raise ErrorResponse(400, "Text is required")
    attachments = body.attachments or []
    check_attachments(exchange, attachments)
    _start_conversation(exchange, pack)
    message = add_message(
        exchange,
        pack,
        body.text,
        text_translated=body.text_translated,
        attachments=attachments,
    )
    return sent_response(exchange, message)


async def upload(exchange: Exchange) -> Response:
    """Handle `POST /marketplace/messages/attachments?site_id=`: multipart, one part `file`."""
    check_site(exchange)
    part = await read_upload(exchange, _MAX_MEGABYTES)
    _check_name(part)
    check_size(part, _MAX_MEGABYTES)
    market = exchange.settings.market
    return json_response({"id": market.add_file(part.data, part.filename, part.content_type).id})


async def download(exchange: Exchange) -> Response:
    """Handle `GET /marketplace/messages/attachments/{attachment}?tag=post_sale&site_id=`."""
    check_tag(exchange, is_required=True)
    check_site(exchange)
    stored = exchange.settings.market.files.get(exchange.request.match_info["attachment"])
    if stored is None:
        raise ErrorResponse(500, "File can not be accessed, try it later")
    return Response(200, stored.data, {"Content-Type": stored.content_type})


ROUTES = (
    Route("GET", "/marketplace/messages/packs/{pack}", get_pack_page, check_seller),
    Route("POST", "/marketplace/messages/packs/{pack}", send, check_seller),
    Route("POST", "/marketplace/messages/attachments", upload, check_seller),
    Route("GET", "/marketplace/messages/attachments/{attachment}", download, check_seller),
    Route("GET", "/marketplace/messages/{message}", get_message, check_seller),
)


def _start_conversation(exchange: Exchange, pack: Pack) -> None:
    status = pack.conversation_status
    if uses_messages(status):
        exchange.settings.market.unblock(pack.id)
    elif needs_reason(status):
        other = pack.guide.find("OTHER")
        if other is None or other.cap_available < 1:
            raise ErrorResponse(403, "You are not allowed to execute the option OTHER again")
        other.cap_available -= 1
    elif is_blocked(status):
        raise blocked_error(exchange, pack)


def _check_name(part: Part) -> None:
    if "/" in part.filename or "\\" in part.filename:
        raise ErrorResponse(400, "File name cannot include characters such as: /, \\")
    if not 0 < len(part.filename) <= _MAX_NAME_LENGTH:
        raise ErrorResponse(400, f"File name must have 1 to {_MAX_NAME_LENGTH} characters")
