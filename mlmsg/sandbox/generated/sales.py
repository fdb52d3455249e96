"""The orders of a generated market, and the rows of their searches."""

from collections.abc import Iterator

from mlmsg.sandbox.generated.plan import Plan, Sale
from mlmsg.sandbox.orders import CANCELLED, Order, SaleRow
from mlmsg.sandbox.schemas.dates import format_claim_date, from_milliseconds

__all__ = ["GeneratedOrders", "order_rows", "sale_rows"]

_PAID = "paid"
_TAGS = ("paid", "delivered")
# Shared by all rows.
_STATUSES = {False: frozenset({_PAID}), True: frozenset({CANCELLED})}
_TAG_SET = frozenset(_TAGS)


class GeneratedOrders:
    """The orders of a plan, the oldest sale first."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._number_of_orders: int | None = None

    def __len__(self) -> int:
        if self._number_of_orders is None:
            self._number_of_orders = sum(len(sale.order_ids) for sale in _sales(self._plan))
        return self._number_of_orders

    def __iter__(self) -> Iterator[str]:
        return (str(order_id) for sale in _sales(self._plan) for order_id in sale.order_ids)

    def __contains__(self, key: object) -> bool:
        return self.sale(str(key)) is not None

    def find(self, key: str) -> Order | None:
        """Return the order with this id, or None."""
        sale = self.sale(key)
        if sale is None:
            return None
        created = format_claim_date(from_milliseconds(sale.created))
        return Order(
            id=key,
            pack_id=None if sale.pack_id is None else str(sale.pack_id),
            site_id=sale.seller.site_id,
            seller_id=sale.seller.user_id,
            buyer_id=sale.buyer_id,
            status=CANCELLED if sale.is_cancelled else _PAID,
            date_created=created,
            date_closed=created,
            last_updated=format_claim_date(from_milliseconds(sale.updated)),
            shipping_id=sale.shipping_id,
            tags=list(_TAGS),
        )

    def sale(self, order_id: str) -> Sale | None:
        """Return the sale of an order, or None."""
        is_number = order_id.isdecimal() and order_id.isascii()
        return self._plan.sale_of_order(int(order_id)) if is_number else None


def order_rows(plan: Plan) -> list[SaleRow]:
    """Return a row for each order."""
    return [_row(sale, order_id) for sale in _sales(plan) for order_id in sale.order_ids]


def sale_rows(plan: Plan) -> list[SaleRow]:
    """Return a row for the orders of each thread."""
    return [_row(sale, sale.thread_id) for sale in _sales(plan)]


def _sales(plan: Plan) -> Iterator[Sale]:
    return map(plan.sale, range(plan.packs))


def _row(sale: Sale, number: int) -> SaleRow:
    return SaleRow(
        id=number,
        date_created=sale.created,
        last_updated=sale.updated,
        date_closed=sale.created,
        date_placed=sale.created,
        seller_id=sale.seller.user_id,
        buyer_id=sale.buyer_id,
        site_id=sale.seller.site_id,
        pack_id=sale.pack_id or 0,
        statuses=_STATUSES[sale.is_cancelled],
        tags=_TAG_SET,
    )
