"""What the handlers of more than one family read out of a request, and refuse if it is wrong."""

import re
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from mlmsg.sandbox._answers import RefusalError
from mlmsg.sandbox._exchange import Exchange
from mlmsg.sandbox._multipart import FramingError, Part, parse_upload
from mlmsg.sandbox.packs import Pack
from mlmsg.sandbox.shapes import Message, Paging

_DEFAULT_LIMIT = 10
_MEGABYTE = 1024 * 1024
# What the boundaries and headers around a file of the largest size may take.
_FRAMING = 16 * 1024
# Eighteen digits are enough for any page, and far from what int() refuses to read.
_NUMBER = re.compile(r"-?[0-9]{1,18}")

_Body = TypeVar("_Body")


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a thread that was asked for; `limit` is already under the server's cap."""

    limit: int
    offset: int

    def page(self, pack: Pack) -> tuple[Paging, list[Message]]:
        """The messages of a pack in this window, and the `paging` that says so."""
        paging = Paging(limit=self.limit, offset=self.offset, total=len(pack.messages))
        return paging, pack.messages[self.offset : self.offset + self.limit]


def window_of(exchange: Exchange) -> Window:
    """`limit` and `offset` of the query, or a 400 in the words of "Post-sale messages"."""
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
    return Window(limit if cap is None else min(limit, cap), offset)


def pack_of(exchange: Exchange) -> Pack:
    """The pack that the path names, or the 404 of "Post-sale messages"."""
    pack = exchange.settings.market.packs.get(exchange.request.match_info["pack"])
    if pack is None:
        raise RefusalError(404, "Order do not exists")
    return pack


async def json_body(exchange: Exchange, shape: type[_Body]) -> _Body:
    """The body as this shape, or a 400."""
    try:
        return msgspec.json.decode(await exchange.body(), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusalError(400, f"Invalid body: {error}") from None


async def uploaded_part(exchange: Exchange, megabytes: int) -> Part:
    """The file of a multipart body that can hold at most so many MB, or a 411 or 400.

    What is too large by its Content-Length, or has none, is refused before it is read.
    """
    length = exchange.request.content_length
    if length is None:
        raise RefusalError(411, "Content-Length is required", early=True)
    if length > megabytes * _MEGABYTE + _FRAMING:
        raise _too_large(megabytes, early=True)
    content_type = exchange.request.headers.get("Content-Type", "")
    try:
        return parse_upload(content_type, await exchange.body())
    except FramingError as error:
        raise RefusalError(400, f"Malformed multipart: {error}") from None


def check_size(part: Part, megabytes: int) -> None:
    """Refuse an empty file and one of more than so many MB; exactly the limit is allowed."""
    if not part.data:
        raise RefusalError(400, "Attachment empty or null")
    if len(part.data) > megabytes * _MEGABYTE:
        raise _too_large(megabytes)


def _too_large(megabytes: int, *, early: bool = False) -> RefusalError:
    return RefusalError(400, f"File size exceeds {megabytes} Mb", early=early)
