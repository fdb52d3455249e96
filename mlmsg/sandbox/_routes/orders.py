"""One order, and one pack of orders, of both families.

Not verified, and choices of the sandbox:

- an order or a pack of others: 403, one that does not exist: 404
- a pack with orders of several sellers shows those of the user only
- the status of a pack is `released`, or `cancelled` if all its orders are
"""

from datetime import datetime

from msgspec.structs import asdict

from mlmsg.sandbox._http.access import check_token
from mlmsg.sandbox._http.exchange import Exchange, Route
from mlmsg.sandbox._http.responses import ErrorResponse, Response, json_response
from mlmsg.sandbox.orders import Order
from mlmsg.sandbox.schemas.orders import GlobalPackDetails, PackDetails, Reference


async def get_order(exchange: Exchange) -> Response:
    """Handle `GET /orders/{order}` and `GET /marketplace/orders/{order}`."""
    market, order_id = exchange.settings.market, exchange.request.match_info["order"]
    order = market.orders.peek(order_id)
    if order is None:
        raise ErrorResponse(404, f"The order with id: {order_id} does not exist")
    if not market.user_ids & {order.seller_id, order.buyer_id}:
        raise ErrorResponse(403, f"User access token invalid for resource {order_id}")
    return partial_response(exchange, order.details())


async def get_pack(exchange: Exchange) -> Response:
    """Handle `GET /packs/{pack}`."""
    return json_response(_pack_details(_find_orders(exchange)))


async def get_global_pack(exchange: Exchange) -> Response:
    """Handle `GET /marketplace/orders/pack/{pack}`."""
    pack = _pack_details(_find_orders(exchange))
    return json_response(GlobalPackDetails(**asdict(pack)))


def partial_response(exchange: Exchange, value: object) -> Response:
    """Return a 200, or a 206 with the header that names the missing parts."""
    missing = exchange.settings.missing_content
    if missing is None:
        return json_response(value)
    response = json_response(value, 206)
    return Response(206, response.body, {**response.headers, "X-Content-Missing": missing})


ROUTES = (
    Route("GET", "/orders/{order}", get_order, check_token),
    Route("GET", "/marketplace/orders/{order}", get_order, check_token),
    Route("GET", "/packs/{pack}", get_pack, check_token),
    Route("GET", "/marketplace/orders/pack/{pack}", get_global_pack, check_token),
)


def _find_orders(exchange: Exchange) -> list[Order]:
    """Return the orders of the user in the pack that the path names."""
    market, pack_id = exchange.settings.market, exchange.request.match_info["pack"]
    orders = [order for order in market.peek_sale(pack_id) if order.pack_id is not None]
    if not orders:
        raise ErrorResponse(404, f"The pack with id: {pack_id} does not exist")
    own = [order for order in orders if market.user_ids & {order.seller_id, order.buyer_id}]
    if not own:
        raise ErrorResponse(403, f"User access token invalid for resource {pack_id}")
    return own


def _pack_details(orders: list[Order]) -> PackDetails:
    first = min(orders, key=lambda order: datetime.fromisoformat(order.date_created))
    newest = max(orders, key=lambda order: datetime.fromisoformat(order.last_updated))
    return PackDetails(
        id=int(first.thread_id),
        status="cancelled" if all(order.is_cancelled for order in orders) else "released",
        status_detail=None,
        buyer=Reference(first.buyer_id),
        shipment=Reference(first.shipping_id),
        orders=[Reference(int(order.id)) for order in orders],
        date_created=first.date_created,
        last_updated=newest.last_updated,
    )
