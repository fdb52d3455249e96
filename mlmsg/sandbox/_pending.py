"""The document "Pending messages": unread counts, and the seller's thread that marks.

The sandbox's own choices, not documented by the API:

- the conversations come in the order of the market
- a conversation that does not exist, or is another seller's, has no unread messages: the
  document says so of orders that are not the user's
- `tag` may be missing (the English edition leaves it out, the Spanish one has it), but not be
  anything else: 400
- `mark_as_read` is `true`, `false` or missing, nothing else: 400
- marking takes the whole thread, not just the page, before the page is made
- a thread under another seller's id is a 404, and one the user takes no part in a 403
- a user's email is `user_{id}@example.com`
"""

from mlmsg.sandbox._answers import Answer, RefusalError, json_answer
from mlmsg.sandbox._exchange import Exchange, Route
from mlmsg.sandbox._inputs import pack_of, window_of
from mlmsg.sandbox._older_spelling import older_page
from mlmsg.sandbox.packs import Pack
from mlmsg.sandbox.shapes import Unread, UnreadCount


async def unread(exchange: Exchange) -> Answer:
    """`GET /messages/unread?role=&tag=post_sale`: at most `unread_cap` conversations."""
    _check_tag(exchange)
    role = exchange.request.query.get("role")
    return _unread(exchange, exchange.settings.market.unread(role))


async def unread_of_one(exchange: Exchange) -> Answer:
    """`GET /messages/unread/packs/{pack}/sellers/{seller}?tag=post_sale`: of this one only."""
    _check_tag(exchange)
    asked = exchange.request.path.removeprefix("/messages/unread")
    counts = exchange.settings.market.unread()
    return _unread(exchange, [count for count in counts if count.resource == asked])


async def seller_thread(exchange: Exchange) -> Answer:
    """`GET /messages/packs/{pack}/sellers/{seller}?tag=post_sale&mark_as_read=&limit=&offset=`."""
    _check_tag(exchange)
    marking = _marking(exchange)
    window = window_of(exchange)
    pack = _own_pack(exchange)
    if marking:
        exchange.settings.market.mark_as_read(pack.id)
    return json_answer(older_page(pack, *window.page(pack)))


ROUTES = (
    Route("GET", "/messages/unread", unread),
    Route("GET", "/messages/unread/packs/{pack}/sellers/{seller}", unread_of_one),
    Route("GET", "/messages/packs/{pack}/sellers/{seller}", seller_thread),
)


def _unread(exchange: Exchange, counts: list[UnreadCount]) -> Answer:
    user_id = exchange.settings.market.user_id
    if not counts:
        return json_answer(Unread(str(user_id), []))
    return json_answer(Unread(user_id, counts[: exchange.settings.unread_cap]))


def _check_tag(exchange: Exchange) -> None:
    if exchange.request.query.get("tag", "post_sale") != "post_sale":
        raise RefusalError(400, "The tag param must be post_sale")


def _marking(exchange: Exchange) -> bool:
    mark = exchange.request.query.get("mark_as_read", "true")
    if mark not in {"true", "false"}:
        raise RefusalError(400, "The mark_as_read param must be true or false")
    return mark == "true"


def _own_pack(exchange: Exchange) -> Pack:
    pack = pack_of(exchange)
    if exchange.request.match_info["seller"] != str(pack.seller_id):
        raise RefusalError(404, "Order do not exists")
    if exchange.settings.market.user_id not in {pack.seller_id, pack.buyer_id}:
        raise RefusalError(403, f"User access token invalid for resource {pack.id}")
    return pack
