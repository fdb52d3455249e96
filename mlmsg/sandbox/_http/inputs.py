"""Readers of the inputs that several endpoints share: page, pack, JSON body, uploaded file."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote_to_bytes

import msgspec

from mlmsg.sandbox._http.exchange import Exchange
from mlmsg.sandbox._http.multipart import FramingError, Part, parse_upload
from mlmsg.sandbox._http.responses import ErrorResponse
from mlmsg.sandbox.packs import Pack
from mlmsg.sandbox.schemas.packs import Message, Paging
from mlmsg.sandbox.sites import SITES

_DEFAULT_LIMIT = 10
_MEGABYTE = 1024 * 1024
# The boundaries and headers around a file of the largest size may take this many bytes.
_MAX_FRAMING_BYTES = 16 * 1024

NUMBER = re.compile(r"-?[0-9]{1,18}")
"""A number in a query: eighteen digits are enough, and int() refuses to parse several thousand."""

_Body = TypeVar("_Body")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The requested part of a thread; the server's cap is already applied to `limit`."""

    limit: int
    offset: int

    def select(self, pack: Pack) -> tuple[Paging, list[Message]]:
        """Return the `paging` of the requested page, and its messages."""
        messages = pack.visible_messages
        paging = Paging(limit=self.limit, offset=self.offset, total=len(messages))
        return paging, messages[self.offset : self.offset + self.limit]


def check_encoding(exchange: Exchange) -> None:
    """Refuse a target or a header with bytes that are not UTF-8.

    Every route is checked, so that no text of a request needs a check before it is used in a
    response. Bodies are checked by their readers.

    Raises:
        ErrorResponse: 400, the sandbox's own choice.
    """
    # aiohttp decodes with surrogateescape: such bytes become surrogates, which do not encode.
    headers = "".join(f"{name}{value}" for name, value in exchange.request.headers.items())
    try:
        headers.encode()
        unquote_to_bytes(exchange.request.raw_path).decode()
    except UnicodeError:
        raise ErrorResponse(400, "The request is not valid UTF-8") from None


def check_tag(exchange: Exchange, *, is_required: bool = False) -> None:
    """Refuse any other `tag` than `post_sale`, and a missing one if it is required.

    Raises:
        ErrorResponse: 400, with a text of the sandbox's own choice.
    """
    default = "" if is_required else "post_sale"
    if exchange.request.query.get("tag", default) != "post_sale":
        raise ErrorResponse(400, "The tag param must be post_sale")


def check_site(exchange: Exchange) -> None:
    """Refuse a `site_id` that is missing, `CBT`, or not the id of a site.

    Raises:
        ErrorResponse: 400, with a text of the sandbox's own choice.
    """
    site_id = exchange.request.query.get("site_id", "")
    if site_id in {"", "CBT"}:
        raise ErrorResponse(400, "The site_id param is required, and never CBT")
    if site_id not in SITES:
        raise ErrorResponse(400, f"The site_id param is unknown: {site_id}")


def read_number(exchange: Exchange, name: str, default: int, minimum: int) -> int:
    """Return a number of the query.

    Raises:
        ErrorResponse: 400, with a text of the sandbox's own choice.
    """
    text = exchange.request.query.get(name, str(default))
    if not NUMBER.fullmatch(text) or int(text) < minimum:
        raise ErrorResponse(400, f"The {name} param must be a number of at least {minimum}")
    return int(text)


def check_names(exchange: Exchange, names: Collection[str]) -> None:
    """Refuse a query with any other parameter.

    Raises:
        ErrorResponse: 400, with a text of the sandbox's own choice.
    """
    for name in exchange.request.query:
        if name not in names:
            raise ErrorResponse(400, f"Unknown param: {name}")


def read_page_request(exchange: Exchange) -> PageRequest:
    """Return `limit` and `offset` of the query.

    Raises:
        ErrorResponse: A 400 of "Post-sale messages".
    """
    query = exchange.request.query
    limit_text, offset_text = query.get("limit", str(_DEFAULT_LIMIT)), query.get("offset", "0")
    if not (NUMBER.fullmatch(limit_text) and NUMBER.fullmatch(offset_text)):
        raise ErrorResponse(400, "Invalid offset or limit param")
    limit, offset = int(limit_text), int(offset_text)
    if limit <= 0:
        raise ErrorResponse(400, "The limit param must be greater than 0")
    if offset < 0:
        raise ErrorResponse(400, "Invalid offset or limit param")
    cap = exchange.settings.max_limit
    return PageRequest(limit if cap is None else min(limit, cap), offset)


def find_pack(exchange: Exchange) -> Pack:
    """Return the pack that the path names.

    Raises:
        ErrorResponse: The 404 of "Post-sale messages", or the 400 of `check_order`.
    """
    pack_id = exchange.request.match_info["pack"]
    pack = exchange.find(exchange.settings.market.packs, pack_id)
    if pack is None:
        check_order(exchange, pack_id)
        raise _no_order()
    return pack


def check_order(exchange: Exchange, order_id: str) -> None:
    """Refuse the order of a pack in the place of the pack.

    Integrators reported the name of the error, and the id of the pack in `cause`. The rest of the
    body is the sandbox's own choice.

    Raises:
        ErrorResponse: The 400 `order_belong_pack`.
    """
    order = exchange.settings.market.orders.peek(order_id)
    if order is not None and order.pack_id is not None:
        body = {
            "message": f"The order {order_id} belongs to a pack",
            "error": "order_belong_pack",
            "status": 400,
            "cause": [order.pack_id] if exchange.settings.names_pack else [],
        }
        raise ErrorResponse(400, "order_belong_pack", body=body)


def check_messages(exchange: Exchange, pack: Pack) -> None:
    """Refuse a thread without messages, if `Sandbox.empty_thread` says so.

    Raises:
        ErrorResponse: The 404 of "Post-sale messages".
    """
    if exchange.settings.empty_thread == "not_found" and not pack.messages:
        raise _no_order()


def find_seller_pack(exchange: Exchange) -> Pack:
    """Return the pack that the path names, under the id of its seller.

    Raises:
        ErrorResponse: 404 under the id of another seller, 403 if the user is not part of it.
    """
    pack = find_pack(exchange)
    if exchange.request.match_info["seller"] != str(pack.seller_id):
        raise _no_order()
    if not exchange.settings.market.user_ids & {pack.seller_id, pack.buyer_id}:
        raise ErrorResponse(403, f"User access token invalid for resource {pack.id}")
    return pack


async def read_json(exchange: Exchange, shape: type[_Body]) -> _Body:
    """Return the JSON body as this type.

    Raises:
        ErrorResponse: 400 if the body is no JSON, or does not fit the type.
    """
    try:
        return msgspec.json.decode(await exchange.body(), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ErrorResponse(400, f"Invalid body: {error}") from None


async def read_upload(exchange: Exchange, megabytes: int) -> Part:
    """Return the file of a multipart body.

    A body whose Content-Length is missing or too large is refused before it is read.

    Args:
        exchange: The upload.
        megabytes: The largest file that the endpoint accepts.

    Raises:
        ErrorResponse: 411 without a Content-Length, 400 for any other fault of the body.
    """
    length = exchange.request.content_length
    if length is None:
        raise ErrorResponse(411, "Content-Length is required", early=True)
    if length > megabytes * _MEGABYTE + _MAX_FRAMING_BYTES:
        raise _file_too_large(megabytes, early=True)
    content_type = exchange.request.headers.get("Content-Type", "")
    try:
        return parse_upload(content_type, await exchange.body())
    except FramingError as error:
        raise ErrorResponse(400, f"Malformed multipart: {error}") from None


def check_size(part: Part, megabytes: int) -> None:
    """Refuse an empty file and a file over the limit; exactly the limit is accepted.

    Raises:
        ErrorResponse: A 400 of the documents.
    """
    if not part.data:
        raise ErrorResponse(400, "Attachment empty or null")
    if len(part.data) > megabytes * _MEGABYTE:
        raise _file_too_large(megabytes)


def _file_too_large(megabytes: int, *, early: bool = False) -> ErrorResponse:
    return ErrorResponse(400, f"File size exceeds {megabytes} Mb", early=early)


def _no_order() -> ErrorResponse:
    return ErrorResponse(404, "Order do not exists")
