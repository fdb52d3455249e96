"""The document "Pending messages": unread counts, and the seller thread, whose GET marks.

Choices of the sandbox that the API does not document:

- the conversations are in the order of the market
- a conversation that does not exist, or belongs to another seller, has no unread messages: the
  document says so of orders that are not the user's
- `tag` may be missing (the English edition omits it, the Spanish one has it); any other value
  than `post_sale`: 400
- `mark_as_read` is `true`, `false` or missing; any other value: 400
- marking covers the whole thread, and comes before the page is made
- a thread under the id of another seller: 404; a thread without the user: 403
- the email of a user is `user_{id}@example.com`
"""

from mlmsg.sandbox._http.exchange import Exchange, Route
from mlmsg.sandbox._http.inputs import find_pack, read_page_request
from mlmsg.sandbox._http.responses import ErrorResponse, Response, json_response
from mlmsg.sandbox.packs import Pack
from mlmsg.sandbox.schemas.legacy import legacy_page
from mlmsg.sandbox.schemas.unread import Unread, UnreadCount


async def list_unread(exchange: Exchange) -> Response:
    """Handle `GET /messages/unread?role=&tag=post_sale`: at most `unread_cap` conversations."""
    _check_tag(exchange)
    role = exchange.request.query.get("role")
    return _unread_response(exchange, exchange.settings.market.unread(role))


async def get_unread(exchange: Exchange) -> Response:
    """Handle `GET /messages/unread/packs/{pack}/sellers/{seller}?tag=post_sale`."""
    _check_tag(exchange)
    resource = exchange.request.path.removeprefix("/messages/unread")
    counts = exchange.settings.market.unread()
    return _unread_response(exchange, [count for count in counts if count.resource == resource])


async def get_seller_thread(exchange: Exchange) -> Response:
    """Handle `GET /messages/packs/{pack}/sellers/{seller}`.

    The query is `tag=post_sale&mark_as_read=&limit=&offset=`.
    """
    _check_tag(exchange)
    marks = _read_mark_as_read(exchange)
    page_request = read_page_request(exchange)
    pack = _find_own_pack(exchange)
    if marks:
        exchange.settings.market.mark_as_read(pack.id)
    path = f"/packs/{pack.id}/seller/{pack.seller_id}"
    paging, messages = page_request.select(pack)
    page = legacy_page(
        path,
        pack.conversation_status,
        paging,
        messages,
        seller_max_message_length=pack.seller_max_message_length,
        buyer_max_message_length=pack.buyer_max_message_length,
    )
    return json_response(page)


ROUTES = (
    Route("GET", "/messages/unread", list_unread),
    Route("GET", "/messages/unread/packs/{pack}/sellers/{seller}", get_unread),
    Route("GET", "/messages/packs/{pack}/sellers/{seller}", get_seller_thread),
)


def _unread_response(exchange: Exchange, counts: list[UnreadCount]) -> Response:
    user_id = exchange.settings.market.user_id
    if not counts:
        return json_response(Unread(str(user_id), []))
    return json_response(Unread(user_id, counts[: exchange.settings.unread_cap]))


def _check_tag(exchange: Exchange) -> None:
    if exchange.request.query.get("tag", "post_sale") != "post_sale":
        raise ErrorResponse(400, "The tag param must be post_sale")


def _read_mark_as_read(exchange: Exchange) -> bool:
    value = exchange.request.query.get("mark_as_read", "true")
    if value not in {"true", "false"}:
        raise ErrorResponse(400, "The mark_as_read param must be true or false")
    return value == "true"


def _find_own_pack(exchange: Exchange) -> Pack:
    pack = find_pack(exchange)
    if exchange.request.match_info["seller"] != str(pack.seller_id):
        raise ErrorResponse(404, "Order do not exists")
    if exchange.settings.market.user_id not in {pack.seller_id, pack.buyer_id}:
        raise ErrorResponse(403, f"User access token invalid for resource {pack.id}")
    return pack
