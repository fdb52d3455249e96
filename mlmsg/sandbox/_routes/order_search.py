"""The search of orders, under `/orders` and under `/marketplace/orders`.

The documents give the names of the filters, the default of `limit`, the domestic cut of dates to
the hour, the twelve months, and that the search hides cancelled orders. Integrators reported the
two domestic caps and the refusal of `pending_cancel`. Not verified, and choices of the sandbox:

- the cut, the twelve months, the hidden orders and the cap of `offset` apply to Global Selling
  as well
- both bounds of a date are inclusive, after the cut; a date without a zone is UTC for Global
  Selling, and a 400 for a domestic seller
- the twelve months count from `date_created`
- a larger `limit` of Global Selling is cut to 50
- `date_asc` of Global Selling is by `date_created`; the domestic one is by `date_closed`, as the
  document says of sellers, and by `date_created` of an order that is not closed
- a sale of Global Selling has the earliest `date_created` of its orders, and otherwise the latest
  date; its `id` is that of the pack if the pack has several orders
- the filters of items, mediations and feedback are not served; they and any unknown parameter
  are a 400
- a domestic search without `seller`: 400, with that of another account: 403
- `q` finds the ids of orders and packs only; any other text is a 400
- `tags` finds the sales that have all of its tags, `tags.not` those that have none of them
- a domestic search has the sorts `date_asc` and `date_desc` only
- the names of the sorts, `display`, and a `filters` that is always empty
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mlmsg.sandbox._http.access import check_token
from mlmsg.sandbox._http.exchange import Exchange, Route
from mlmsg.sandbox._http.inputs import check_names, read_number
from mlmsg.sandbox._http.responses import ErrorResponse, Response
from mlmsg.sandbox._routes.orders import partial_response
from mlmsg.sandbox.orders import CANCELLED, Order, SaleRow
from mlmsg.sandbox.schemas.dates import LAST_MILLISECOND, to_milliseconds
from mlmsg.sandbox.schemas.orders import (
    Config,
    GlobalOrder,
    GlobalOrderPage,
    GlobalPaging,
    GlobalSale,
    OrderPage,
    Reference,
    Sort,
)
from mlmsg.sandbox.schemas.packs import Paging
from mlmsg.sandbox.searching import Condition, Query, Span, equal

_DEFAULT_LIMIT = 50
_MAX_DOMESTIC_LIMIT = 51
_MAX_GLOBAL_LIMIT = 50
_MAX_END = 10_000
_HORIZON = timedelta(days=365)
_PAGING = frozenset({"limit", "offset", "sort"})


@dataclass(frozen=True, slots=True)
class _Family:
    """The names of the parameters of one family.

    Attributes:
        dates: The prefix of the filters `.from` and `.to` of each date.
        filters: The other filters.
        sorts: The date of each order, without its direction.
    """

    dates: Mapping[str, str]
    filters: frozenset[str]
    sorts: Mapping[str, str]

    def names(self) -> frozenset[str]:
        """Return the names of all parameters."""
        bounds = {f"{name}.{side}" for name in self.dates for side in ("from", "to")}
        return self.filters | bounds | _PAGING

    def available_sorts(self) -> list[Sort]:
        """Return the orders as a page lists them."""
        names = [f"{name}_{direction}" for name in self.sorts for direction in ("asc", "desc")]
        return [Sort(name, name.replace("_", " ")) for name in names]


_DOMESTIC = _Family(
    dates={
        "order.date_created": "date_created",
        "order.date_last_updated": "last_updated",
        "order.date_closed": "date_closed",
    },
    filters=frozenset({"seller", "order.status", "tags", "tags.not", "q"}),
    sorts={"date": "date_placed"},
)
_GLOBAL_SELLING = _Family(
    dates={
        "date_created": "date_created",
        "last_updated": "last_updated",
        "date_closed": "date_closed",
    },
    filters=frozenset({"seller.id", "buyer", "order.status", "site"}),
    sorts={"date": "date_created", "updated": "last_updated", "closed": "date_closed"},
)


async def search_domestic(exchange: Exchange) -> Response:
    """Handle `GET /orders/search?seller=`."""
    parameters, market = exchange.request.query, exchange.settings.market
    check_names(exchange, _DOMESTIC.names())
    if "seller" not in parameters:
        raise ErrorResponse(400, "The seller param is required")
    if parameters["seller"] != str(market.user_id):
        raise ErrorResponse(403, "The seller param is not the user of the token")
    limit = read_number(exchange, "limit", _DEFAULT_LIMIT, 1)
    if limit > _MAX_DOMESTIC_LIMIT:
        raise ErrorResponse(400, f"Limit must be a lower or equal than {_MAX_DOMESTIC_LIMIT}")
    query = _read_query(exchange, _DOMESTIC, limit)
    found = market.search_orders(query)
    page = OrderPage(
        query=parameters.get("q", ""),
        results=[order.details() for order in found.rows],
        sort=_sort(parameters),
        available_sorts=_DOMESTIC.available_sorts(),
        filters=[],
        paging=Paging(limit, query.offset, found.total),
        display="complete",
    )
    return partial_response(exchange, page)


async def search_global(exchange: Exchange) -> Response:
    """Handle `GET /marketplace/orders/search`."""
    parameters, market = exchange.request.query, exchange.settings.market
    check_names(exchange, _GLOBAL_SELLING.names())
    limit = min(read_number(exchange, "limit", _DEFAULT_LIMIT, 1), _MAX_GLOBAL_LIMIT)
    query = _read_query(exchange, _GLOBAL_SELLING, limit)
    found = market.search_sales(query)
    statuses = _read_statuses(parameters)
    page = GlobalOrderPage(
        query="",
        results=[_global_sale(orders, statuses) for orders in found.rows],
        sort=_sort(parameters),
        available_sorts=_GLOBAL_SELLING.available_sorts(),
        filters=[],
        paging=GlobalPaging(found.total, limit),
        display="complete",
    )
    return partial_response(exchange, page)


ROUTES = (
    Route("GET", "/orders/search", search_domestic, check_token),
    Route("GET", "/marketplace/orders/search", search_global, check_token, counts_as_order=True),
)


def _read_query(exchange: Exchange, family: _Family, limit: int) -> Query[SaleRow]:
    parameters = exchange.request.query
    offset = read_number(exchange, "offset", 0, 0)
    if offset + limit > _MAX_END:
        raise ErrorResponse(400, f"The sum of offset and limit must be at most {_MAX_END}")
    name, _, direction = parameters.get("sort", "date_asc").rpartition("_")
    if name not in family.sorts or direction not in {"asc", "desc"}:
        raise ErrorResponse(400, "The sort param is invalid")
    return Query(
        conditions=tuple(_conditions(exchange)),
        spans=tuple(_read_spans(parameters, family)),
        sort=family.sorts[name],
        is_descending=direction == "desc",
        offset=offset,
        limit=limit,
    )


def _read_spans(parameters: Mapping[str, str], family: _Family) -> Iterator[Span]:
    for name, date in family.dates.items():
        first, last = parameters.get(f"{name}.from"), parameters.get(f"{name}.to")
        if first is not None or last is not None:
            is_global = family is _GLOBAL_SELLING
            yield Span(
                date,
                0 if first is None else _read_hour(first, is_global),
                LAST_MILLISECOND if last is None else _read_hour(last, is_global),
            )


def _read_hour(text: str, is_global: bool) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ErrorResponse(400, f"Invalid date: {text}") from None
    if moment.tzinfo is None:
        if not is_global:
            raise ErrorResponse(400, f"Invalid date: {text}")
        moment = moment.replace(tzinfo=UTC)
    return to_milliseconds(_cut(moment))


def _cut(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _read_statuses(parameters: Mapping[str, str]) -> frozenset[str]:
    """Return the statuses that the search asks for; none is all but `cancelled`."""
    text = parameters.get("order.status")
    statuses = frozenset() if text is None else frozenset(text.split(","))
    if "pending_cancel" in statuses:
        raise ErrorResponse(400, "The order.status param is invalid: pending_cancel")
    return statuses


def _conditions(exchange: Exchange) -> Iterator[Condition[SaleRow]]:
    parameters, market = exchange.request.query, exchange.settings.market
    user_ids = market.user_ids
    # Cut, so that the rows of an hour are the same.
    oldest = to_milliseconds(_cut(market.now() - _HORIZON))
    yield Condition(
        ("own", user_ids, oldest),
        lambda row: row.seller_id in user_ids and row.date_created >= oldest,
    )
    statuses = _read_statuses(parameters)
    if statuses:
        yield Condition(statuses, lambda row: not row.statuses.isdisjoint(statuses))
    else:
        yield Condition("visible", lambda row: row.statuses != {CANCELLED})
    for name in ("tags", "tags.not"):
        if name in parameters:
            yield _tagged(frozenset(parameters[name].split(",")), name == "tags")
    if "q" in parameters:
        yield _named(read_number(exchange, "q", 0, 1))
    for name, field in (("seller.id", "seller_id"), ("buyer", "buyer_id")):
        if name in parameters:
            yield equal(field, read_number(exchange, name, 0, 1))
    if "site" in parameters:
        yield equal("site_id", parameters["site"])


def _tagged(tags: frozenset[str], has: bool) -> Condition[SaleRow]:
    if has:
        return Condition(("tags", tags), lambda row: tags <= row.tags)
    return Condition(("no tags", tags), lambda row: tags.isdisjoint(row.tags))


def _named(number: int) -> Condition[SaleRow]:
    return Condition(("q", number), lambda row: number in {row.id, row.pack_id})


def _sort(parameters: Mapping[str, str]) -> Sort:
    name = parameters.get("sort", "date_asc")
    return Sort(name, name.replace("_", " "))


def _global_sale(orders: list[Order], statuses: frozenset[str]) -> GlobalSale:
    shown = [
        order
        for order in orders
        if (order.status in statuses if statuses else not order.is_cancelled)
    ]
    first = orders[0]
    return GlobalSale(
        id=int(first.id if len(orders) == 1 else first.thread_id),
        buyer=Reference(first.buyer_id),
        config=Config(len(shown)),
        orders=[
            GlobalOrder(
                id=int(order.id),
                items=None,
                payments=[],
                mediations=[Reference(number) for number in order.mediations],
                seller=Reference(order.seller_id),
            )
            for order in shown
        ],
        shipment=Reference(first.shipping_id),
    )
