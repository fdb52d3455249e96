"""The document "Post-sale messages": pack page, message, send, upload, download.

Choices of the sandbox that the API does not document:

- `site_id` missing, `CBT` or unknown, or a download without `tag=post_sale`: 400
- an upload without a Content-Length (chunked): 411, before its body is read
- an upload with a loose framing, or a name of 0 or more than 200 characters: 400
- the response to an upload is a 200, and the file is served with the Content-Type of its part
- a send with a body that is not the documented JSON, or with an unknown attachment id: 400
- the response to a send has the status `Sandbox.send_status` and the body `Sandbox.send_answer`
"""

import msgspec

from mlmsg.sandbox._http.exchange import Exchange, Route, SendAnswer
from mlmsg.sandbox._http.inputs import (
    check_site,
    check_size,
    find_pack,
    read_json,
    read_page_request,
    read_upload,
)
from mlmsg.sandbox._http.multipart import Part
from mlmsg.sandbox._http.responses import JSON_HEADERS, ErrorResponse, Response, json_response
from mlmsg.sandbox.schemas.packs import Message, ThreadPage

_MAX_ATTACHMENTS = 25
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
    paging, messages = page_request.select(pack)
    return json_response(ThreadPage(paging, pack.conversation_status, messages))


async def get_message(exchange: Exchange) -> Response:
    """Handle `GET /marketplace/messages/{message}`: a page with this message only."""
    message_id = exchange.request.match_info["message"]
    message = exchange.settings.market.message(message_id)
    if message is None:
        text = f"The message with id: {message_id} could not be retrieved from storage"
        raise ErrorResponse(404, text)
    return json_response(ThreadPage(None, None, [message]))


async def send(exchange: Exchange) -> Response:
    """Handle `POST /marketplace/messages/packs/{pack}`: add the newest message of the pack."""
    pack = find_pack(exchange)
    body = await read_json(exchange, SendBody)
    if not body.text:
        raise ErrorResponse(400, "Text is required")
    attachments = body.attachments or []
    if len(attachments) > _MAX_ATTACHMENTS:
        text = f"Message exceeds allowed number of attachments: {_MAX_ATTACHMENTS}"
        raise ErrorResponse(400, text)
    market = exchange.settings.market
    for file_id in attachments:
        if file_id not in market.files:
            raise ErrorResponse(400, f"The attachment id: {file_id} does not exist")
    message = market.add_message(
        pack.id, body.text, text_translated=body.text_translated, attachments=attachments
    )
    return _sent_response(exchange.settings.send_answer, exchange.settings.send_status, message)


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
    if exchange.request.query.get("tag") != "post_sale":
        raise ErrorResponse(400, "The tag param must be post_sale")
    check_site(exchange)
    stored = exchange.settings.market.files.get(exchange.request.match_info["attachment"])
    if stored is None:
        raise ErrorResponse(500, "File can not be accessed, try it later")
    return Response(200, stored.data, {"Content-Type": stored.content_type})


ROUTES = (
    Route("GET", "/marketplace/messages/packs/{pack}", get_pack_page),
    Route("POST", "/marketplace/messages/packs/{pack}", send),
    Route("POST", "/marketplace/messages/attachments", upload),
    Route("GET", "/marketplace/messages/attachments/{attachment}", download),
    Route("GET", "/marketplace/messages/{message}", get_message),
)


def _check_name(part: Part) -> None:
    if "/" in part.filename or "\\" in part.filename:
        raise ErrorResponse(400, "File name cannot include characters such as: /, \\")
    if not 0 < len(part.filename) <= _MAX_NAME_LENGTH:
        raise ErrorResponse(400, f"File name must have 1 to {_MAX_NAME_LENGTH} characters")


def _sent_response(kind: SendAnswer, status: int, message: Message) -> Response:
    match kind:
        case "message":
            return json_response(message, status)
        case "messages":
            return json_response({"messages": [message]}, status)
        case "array":
            return json_response([message], status)
        case "object":
            return json_response({}, status)
        case "empty":
            return Response(status, b"", JSON_HEADERS)
