"""The post-sale messages of seed 000: pack page, message, send, upload, download.

The sandbox's own choices, not documented by the API:

- `site_id` missing or `CBT`, or a download without `tag=post_sale`: 400
- an upload without a Content-Length (chunked): 411, at once
- an upload that is not framed strictly, has an empty or an over 200 character name: 400
- an upload is answered with 200, and served later with the Content-Type of its part
- a send whose body is not the documented JSON, or that attaches an id never uploaded: 400
- a send is answered with `Sandbox.send_status` and a body that `Sandbox.send_answer` selects
"""

import re

import msgspec

from mlmsg.sandbox._answers import JSON, Answer, RefusalError, json_answer
from mlmsg.sandbox._exchange import Exchange, Route, SendAnswer
from mlmsg.sandbox._multipart import FramingError, Part, parse_upload
from mlmsg.sandbox.market import Pack
from mlmsg.sandbox.shapes import Message, Paging, ThreadPage

_DEFAULT_LIMIT = 10
_MAX_ATTACHMENTS = 25
_MAX_FILE = 25 * 1024 * 1024
_MAX_NAME = 200
# What the boundaries and headers around a file of the largest size may take.
_FRAMING = 16 * 1024
# Eighteen digits are enough for any page, and far from what int() refuses to read.
_NUMBER = re.compile(r"-?[0-9]{1,18}")


class SendBody(msgspec.Struct, frozen=True):
    """The JSON of a send; only `text` is required, and its absence has an error of its own."""

    text: str | None = None
    text_translated: str | None = None
    attachments: list[str] | None = None


async def pack_page(exchange: Exchange) -> Answer:
    """`GET /marketplace/messages/packs/{pack}?limit=&offset=`: newest first."""
    limit, offset = _window(exchange)
    pack = _pack(exchange)
    paging = Paging(limit=limit, offset=offset, total=len(pack.messages))
    messages = pack.messages[offset : offset + limit]
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
    pack = _pack(exchange)
    try:
        body = msgspec.json.decode(await exchange.body(), type=SendBody)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusalError(400, f"Invalid body: {error}") from None
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
    length = exchange.request.content_length
    if length is None:
        raise RefusalError(411, "Content-Length is required", early=True)
    if length > _MAX_FILE + _FRAMING:
        raise RefusalError(400, "File size exceeds 25 Mb", early=True)
    content_type = exchange.request.headers.get("Content-Type", "")
    try:
        part = parse_upload(content_type, await exchange.body())
    except FramingError as error:
        raise RefusalError(400, f"Malformed multipart: {error}") from None
    _check_file(part)
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


def _window(exchange: Exchange) -> tuple[int, int]:
    query = exchange.request.query
    asked = query.get("limit", str(_DEFAULT_LIMIT)), query.get("offset", "0")
    if not all(_NUMBER.fullmatch(number) for number in asked):
        raise RefusalError(400, "Invalid offset or limit param")
    limit, offset = int(asked[0]), int(asked[1])
    if limit <= 0:
        raise RefusalError(400, "The limit param must be greater than 0")
    if offset < 0:
        raise RefusalError(400, "Invalid offset or limit param")
    cap = exchange.settings.max_limit
    return (limit if cap is None else min(limit, cap)), offset


def _pack(exchange: Exchange) -> Pack:
    pack = exchange.settings.market.packs.get(exchange.request.match_info["pack"])
    if pack is None:
        raise RefusalError(404, "Order do not exists")
    return pack


def _require_site(exchange: Exchange) -> None:
    if exchange.request.query.get("site_id", "") in {"", "CBT"}:
        raise RefusalError(400, "The site_id param is required, and never CBT")


def _check_file(part: Part) -> None:
    if "/" in part.filename or "\\" in part.filename:
        raise RefusalError(400, "File name cannot include characters such as: /, \\")
    if not 0 < len(part.filename) <= _MAX_NAME:
        raise RefusalError(400, f"File name must have 1 to {_MAX_NAME} characters")
    if not part.data:
        raise RefusalError(400, "Attachment empty or null")
    if len(part.data) > _MAX_FILE:
        raise RefusalError(400, "File size exceeds 25 Mb")


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
