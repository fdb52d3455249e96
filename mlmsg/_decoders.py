"""Decoders of the endpoints' responses, each named after the value that it returns."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import ClassVar, Generic, TypeVar
from zlib import crc32

import msgspec

from . import _lenient
from ._rows import Rows
from ._wire import Response
from .models import (
    Claim,
    ClaimAttachment,
    ClaimDetail,
    ClaimMessage,
    ClaimMessages,
    ClaimPage,
    ClaimSent,
    ClaimUpload,
    MarketplaceSeller,
    Me,
    Message,
    Reason,
    Sent,
    ThreadPage,
    Unread,
    Upload,
)
from .models._orders import Order, OrderPage, UnreadableOrder
from .models._token import TokenResponse

T = TypeVar("T")


class JsonDecoder(Generic[T]):
    """Decode a JSON body into a struct: strictly first, and value by value if that fails.

    The strict decoder ignores unknown keys. `is_whole` tells whether its value misses what another
    shape of the same answer names by other keys; then the body is read value by value, too. `check`
    raises a `ValidationError` if the body is the answer to something else.
    """

    def __init__(
        self,
        target: type[T],
        is_whole: Callable[[T], bool] | None = None,
        check: Callable[[object], None] | None = None,
    ) -> None:
        self._target = target
        self._is_whole = is_whole
        self._check = check

    @cached_property
    def _decoder(self) -> msgspec.json.Decoder[T]:
        # Made by the first response: all of them at once would be the longest part of the import.
        return msgspec.json.Decoder(self._target, strict=False)

    def __call__(self, response: Response) -> T:
        """Return the struct.

        Raises:
            msgspec.DecodeError: The body is not JSON, or a required value is missing.
        """
        try:
            value = self._decoder.decode(response.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._read_leniently(response)
        if self._is_whole is None or self._is_whole(value):
            return value
        return self._read_leniently(response)

    def _read_leniently(self, response: Response) -> T:
        value = _lenient.parse(response.body)
        if self._check is not None:
            self._check(value)
        return _lenient.convert(value, self._target, response.left_out)


def _has_dates(page: ThreadPage) -> bool:
    """Return False if a message has no dates, as a flat message: it names them `date_…`."""
    for message in page.messages:  # noqa: SIM110  (half the time of `all`, for each page)
        if message.message_date is None:
            return False
    return True


def _check_claim(value: object) -> None:
    """Reject an object that is not a claim."""
    claim = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(claim, dict) and claim.get("id") is None and claim.get("players") is None:
        raise msgspec.ValidationError("`id` and `players` are missing: this is not a claim")


thread_page = JsonDecoder(ThreadPage, _has_dates)
upload = JsonDecoder(Upload)
unread = JsonDecoder(Unread)
claim = JsonDecoder(Claim, lambda claim: claim.id is not None, _check_claim)
_claim_messages = JsonDecoder(list[ClaimMessage])
claim_upload = JsonDecoder(ClaimUpload)
claim_file = JsonDecoder(ClaimAttachment)
_claim_page = JsonDecoder(ClaimPage)
claim_detail = JsonDecoder(ClaimDetail)
_order_page = JsonDecoder(OrderPage)
order = JsonDecoder(Order)
me = JsonDecoder(Me)
_token_response = JsonDecoder(TokenResponse)


class _MarketplaceUser(msgspec.Struct, frozen=True):
    """The answer that lists the sellers of a Global Selling account."""

    marketplaces: list[MarketplaceSeller] = []


_marketplace_user = JsonDecoder(_MarketplaceUser)


def marketplace_sellers(response: Response) -> list[MarketplaceSeller]:
    """Return the sellers of a Global Selling account."""
    return _marketplace_user(response).marketplaces


class _Options(msgspec.Struct, frozen=True):
    """The answer that lists the reasons of a pack."""

    options: list[Reason] = []


class _Cap(msgspec.Struct, frozen=True):
    """The number of messages that an option may still send."""

    option_id: str
    cap_available: int

    _can_be_left_out: ClassVar = True


_options = JsonDecoder(_Options)
_caps = JsonDecoder(list[_Cap])


def reasons(response: Response) -> list[Reason]:
    """Return the options of a pack."""
    return _options(response).options


def reason_caps(response: Response) -> dict[str, int]:
    """Return how many messages each option may still send, by its id."""
    return {cap.option_id: cap.cap_available for cap in _caps(response)}


class _MissedFeeds(msgspec.Struct, frozen=True):
    """The answer that lists missed notifications."""

    messages: list[msgspec.Raw] = []


_missed_feeds = JsonDecoder(_MissedFeeds)
_bare_missed_feeds = JsonDecoder(list[msgspec.Raw])


def missed_feeds(response: Response) -> list[msgspec.Raw]:
    """Return the missed notifications, each as JSON. One integrator reports a bare array."""
    is_array = response.body.lstrip()[:1] == b"["
    feeds = _bare_missed_feeds(response) if is_array else _missed_feeds(response).messages
    # They stay in the list, because the offset of the walk counts them. The walk skips them.
    odd = [index for index, feed in enumerate(feeds) if bytes(feed)[:1] != b"{"]
    response.left_out.extend((index,) if is_array else ("messages", index) for index in odd)
    return feeds


def claim_page(response: Response) -> ClaimPage:
    """Return a page of claims. A row that is no object is left out, and counts as a row."""
    page = _claim_page(response)
    gaps = [place[1] for place in response.left_out if len(place) == 2 and place[0] == "data"]
    if not gaps:
        return page
    rows = Rows(page.claims, [gap for gap in gaps if isinstance(gap, int)])
    return msgspec.structs.replace(page, claims=rows)


def order_page(response: Response) -> OrderPage:
    """Return a page of orders. A row that cannot be read costs only itself."""
    try:
        return _order_page(response)
    except msgspec.ValidationError:
        value = _lenient.parse(response.body)
        rows = value.get("results") if isinstance(value, dict) else None
        if not (isinstance(value, dict) and isinstance(rows, list)):
            raise
        page = _lenient.convert(value | {"results": []}, OrderPage)
        return msgspec.structs.replace(page, results=_orders_in(rows))


def _orders_in(rows: Sequence[object]) -> list[Order]:
    """Return the orders of a page, with an `UnreadableOrder` for each row without an id."""
    found = [_order_or_none(row) for row in rows]
    neighbour = next((order.id for order in found if order is not None), None)
    distance = 0  # from the neighbour: the last order before the row, otherwise the first one
    orders: list[Order] = []
    for position, (row, order) in enumerate(zip(rows, found, strict=True)):
        if order is None:
            distance += 1
            number = crc32(msgspec.json.encode((neighbour, distance, row)))
            order = UnreadableOrder(id=-1 - number, position=position)  # noqa: PLW2901
        else:
            neighbour, distance = order.id, 0
        orders.append(order)
    return orders


def _order_or_none(row: object) -> Order | None:
    try:
        return _lenient.convert(row, Order)
    except msgspec.ValidationError:
        return None


def claim_messages(response: Response) -> ClaimMessages:
    """Return the messages of a claim."""
    return ClaimMessages(_claim_messages(response))


def token_response(response: Response) -> TokenResponse:
    """Return the tokens of a response that contains an access token or a refresh token.

    A refresh token with other characters than RFC 6749 allows was damaged on its way, and counts as
    missing: the old one may still be valid.
    """
    tokens = _token_response(response)
    if not re.fullmatch(r"[\x20-\x7e]+", tokens.refresh_token or ""):
        tokens = msgspec.structs.replace(tokens, refresh_token=None)
    if not (tokens.access_token or tokens.refresh_token):
        raise msgspec.ValidationError("the response contains no token")
    return tokens


def one_message(response: Response) -> Message:
    """Return the message from an envelope with one message, or from a message without envelope."""
    try:
        messages = thread_page(response).messages
    except msgspec.ValidationError:
        messages = []
    found = messages[0] if messages else _find_message(_lenient.parse(response.body))
    if found is None:
        raise msgspec.ValidationError("the response contains no message with an `id`")
    return found


def sent(response: Response) -> Sent:
    """Return the result of a send from any body; the body never turns a success into an error."""
    message = _find_message(_parse_or_none(response))
    return Sent(status_code=response.status, message=message)


def _find_message(value: object) -> Message | None:
    """Return the first message in a body: alone, in an array, or in an envelope."""
    for row in _message_rows(value):
        try:
            return _lenient.convert(row, Message)
        except msgspec.ValidationError:
            continue
    return None


def _message_rows(value: object) -> Iterator[object]:
    """Yield what may be a message."""
    if isinstance(value, dict):
        for key in ("messages", "message", "results", "data"):
            yield from _message_rows(value.get(key))
        yield value
    elif isinstance(value, list):
        for row in value:
            yield from _message_rows(row)


def claim_sent(response: Response) -> ClaimSent:
    """Return the result of a claim's send: the document shows a text, others show an object."""
    value = _parse_or_none(response)
    found = value.get("id") if isinstance(value, dict) else None
    is_id = isinstance(found, str | int) and not isinstance(found, bool)
    return ClaimSent(status_code=response.status, id=str(found) if is_id else None)


def _parse_or_none(response: Response) -> object:
    try:
        return _lenient.parse(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
