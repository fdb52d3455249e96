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

from mlmsg.sandbox._http.access import check_seller
from mlmsg.sandbox._http.exchange import Exchange, Route
from mlmsg.sandbox._http.inputs import (
    check_messages,
    check_tag,
    find_seller_pack,
    read_page_request,
)
from mlmsg.sandbox._http.responses import ErrorResponse, Response, json_response
from mlmsg.sandbox.schemas.legacy import legacy_page
from mlmsg.sandbox.schemas.seller_thread import seller_thread_page
from mlmsg.sandbox.schemas.unread import Unread, UnreadCount


async def list_unread(exchange: Exchange) -> Response:
    """Handle `GET /messages/unread?role=&tag=post_sale`: at most `unread_cap` conversations."""
    check_tag(exchange)
    role = exchange.request.query.get("role")
    return _unread_response(exchange, exchange.settings.market.unread(role))


async def get_unread(exchange: Exchange) -> Response:
    """Handle `GET /messages/unread/packs/{pack}/sellers/{seller}?tag=post_sale`."""
    check_tag(exchange)
    resource = exchange.request.path.removeprefix("/messages/unread")
    counts = exchange.settings.market.unread()
    return _unread_response(exchange, [count for count in counts if count.resource == resource])


async def get_seller_thread(exchange: Exchange) -> Response:
    """Handle `GET /messages/packs/{pack}/sellers/{seller}`.

    The query is `tag=post_sale&mark_as_read=&limit=&offset=`. `Sandbox.thread_spelling` selects
    the spelling.
    """
    check_tag(exchange)
    marks = _read_mark_as_read(exchange)
    page_request = read_page_request(exchange)
    pack = find_seller_pack(exchange)
    check_messages(exchange, pack)
    if marks and exchange.settings.market.mark_as_read(pack.id):
        # A pack that was only looked at before is another one now.
        pack = find_seller_pack(exchange)
    paging, messages = page_request.select(pack)
    status = pack.conversation_status
    lengths = {
        "seller_max_message_length": pack.seller_max_message_length,
        "buyer_max_message_length": pack.buyer_max_message_length,
    }
    if exchange.settings.thread_spelling == "legacy":
        return json_response(legacy_page(pack.path("seller"), status, paging, messages, **lengths))
    return json_response(seller_thread_page(pack.path(), status, paging, messages, **lengths))


ROUTES = (
    Route("GET", "/messages/unread", list_unread, check_seller),
    Route("GET", "/messages/unread/packs/{pack}/sellers/{seller}", get_unread, check_seller),
    Route("GET", "/messages/packs/{pack}/sellers/{seller}", get_seller_thread, check_seller),
)


def _unread_response(exchange: Exchange, counts: list[UnreadCount]) -> Response:
    user_id = exchange.settings.market.user_id
    if not counts:
        return json_response(Unread(str(user_id), []))
    return json_response(Unread(user_id, counts[: exchange.settings.unread_cap]))


def _read_mark_as_read(exchange: Exchange) -> bool:
    value = exchange.request.query.get("mark_as_read", "true")
    if value not in {"true", "false"}:
        raise ErrorResponse(400, "The mark_as_read param must be true or false")
    return value == "true"
