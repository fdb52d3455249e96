"""The document "Post-sale messages": pack page, message, send, upload, download.

The sandbox's own choices, not documented by the API:

- `site_id` missing or `CBT`, or a download without `tag=post_sale`: 400
- an upload without a Content-Length (chunked): 411, at once
- an upload that is not framed strictly, has an empty or an over 200 character name: 400
- an upload is answered with 200, and served later with the Content-Type of its part
- a send whose body is not the documented JSON, or that attaches an id never uploaded: 400
- a send is answered with `Sandbox.send_status` and a body that `Sandbox.send_answer` selects
"""

import msgspec

from mlmsg.sandbox._answers import JSON, Answer, RefusalError, json_answer
from mlmsg.sandbox._exchange import Exchange, Route, SendAnswer
from mlmsg.sandbox._inputs import check_size, json_body, pack_of, uploaded_part, window_of
from mlmsg.sandbox._multipart import Part
from mlmsg.sandbox.shapes import Message, ThreadPage

_MAX_ATTACHMENTS = 25
_MAX_MEGABYTES = 25
_MAX_NAME = 200


class SendBody(msgspec.Struct, frozen=True):
    """The JSON of a send; only `text` is required, and its absence has an error of its own."""

    text: str | None = None
    text_translated: str | None = None
    attachments: list[str] | None = None


async def pack_page(exchange: Exchange) -> Answer:
    """`GET /marketplace/messages/packs/{pack}?limit=&offset=`: newest first."""
    window = window_of(exchange)
    pack = pack_of(exchange)
    paging, messages = window.page(pack)
    return json_answer(ThreadPage(paging, pack.conversation_status, messages))


async def message(exchange: Exchange) -> Answer:
    """`GET /marketplace/messages/{message}`: an envelope with just this one."""
    message_id = exchange.request.match_info["message"]
    found = exchange.settings.market.message(message_id)
    if found is None:
        text = f"The message with id: {message_id} could not be retrieved from storage"
        raise RefusalError(404, text)
    return json_answer(ThreadPage(None, None, [found]))


async def send(exchange: Exchange) -> Answer:
    """`POST /marketplace/messages/packs/{pack}`: the message becomes the newest of the pack."""
    pack = pack_of(exchange)
    body = await json_body(exchange, SendBody)
    if not body.text:
        raise RefusalError(400, "Text is required")
    attachments = body.attachments or []
    if len(attachments) > _MAX_ATTACHMENTS:
        text = f"Message exceeds allowed number of attachments: {_MAX_ATTACHMENTS}"
        raise RefusalError(400, text)
    market = exchange.settings.market
    for file_id in attachments:
        if file_id not in market.files:
            raise RefusalError(400, f"The attachment id: {file_id} does not exist")
    sent = market.add_message(
        pack.id, body.text, text_translated=body.text_translated, attachments=attachments
    )
    return _sent(exchange.settings.send_answer, exchange.settings.send_status, sent)


async def upload(exchange: Exchange) -> Answer:
    """`POST /marketplace/messages/attachments?site_id=`: multipart, one part `file`."""
    _require_site(exchange)
    part = await uploaded_part(exchange, _MAX_MEGABYTES)
    _check_name(part)
    check_size(part, _MAX_MEGABYTES)
    market = exchange.settings.market
    return json_answer({"id": market.add_file(part.data, part.filename, part.content_type).id})


async def download(exchange: Exchange) -> Answer:
    """`GET /marketplace/messages/attachments/{attachment}?tag=post_sale&site_id=`: the bytes."""
    if exchange.request.query.get("tag") != "post_sale":
        raise RefusalError(400, "The tag param must be post_sale")
    _require_site(exchange)
    stored = exchange.settings.market.files.get(exchange.request.match_info["attachment"])
    if stored is None:
        raise RefusalError(500, "File can not be accessed, try it later")
    return Answer(200, stored.data, {"Content-Type": stored.content_type})


ROUTES = (
    Route("GET", "/marketplace/messages/packs/{pack}", pack_page),
    Route("POST", "/marketplace/messages/packs/{pack}", send),
    Route("POST", "/marketplace/messages/attachments", upload),
    Route("GET", "/marketplace/messages/attachments/{attachment}", download),
    Route("GET", "/marketplace/messages/{message}", message),
)


def _require_site(exchange: Exchange) -> None:
    if exchange.request.query.get("site_id", "") in {"", "CBT"}:
        raise RefusalError(400, "The site_id param is required, and never CBT")


def _check_name(part: Part) -> None:
    if "/" in part.filename or "\\" in part.filename:
        raise RefusalError(400, "File name cannot include characters such as: /, \\")
    if not 0 < len(part.filename) <= _MAX_NAME:
        raise RefusalError(400, f"File name must have 1 to {_MAX_NAME} characters")


def _sent(kind: SendAnswer, status: int, sent: Message) -> Answer:
    match kind:
        case "message":
            return json_answer(sent, status)
        case "messages":
            return json_answer({"messages": [sent]}, status)
        case "array":
            return json_answer([sent], status)
        case "object":
            return json_answer({}, status)
        case "empty":
            return Answer(status, b"", JSON)
