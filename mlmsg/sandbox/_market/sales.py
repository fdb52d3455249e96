"""The orders of a market."""

from collections import defaultdict

from mlmsg.sandbox._market.base import Setup
from mlmsg.sandbox._market.threads import Threads
from mlmsg.sandbox.orders import Order, SaleRow, sale_row
from mlmsg.sandbox.records import Records
from mlmsg.sandbox.schemas.dates import format_claim_date
from mlmsg.sandbox.searching import Found, Index, Query
from mlmsg.sandbox.sites import GLOBAL_SELLING

# A new order has no other tag; the API has many.
_TAGS = ("paid", "not_delivered")


class Sales(Threads):
    """The orders of a market; see `Market`."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.orders: Records[Order] = Records(setup.archive.orders)
        self._order_index = Index(setup.archive.order_rows)
        self._sale_index = Index(setup.archive.sale_rows)

    def add_order(
        self,
        order_id: int | str | None = None,
        *,
        pack_id: int | str | None = None,
        site_id: str | None = None,
        seller_id: int | None = None,
        buyer_id: int | None = None,
        status: str = "paid",
        shipping_id: int | None = None,
        at: str | None = None,
        date_closed: str | None = None,
        last_updated: str | None = None,
    ) -> Order:
        """Add an order, and return it; add its pack without messages if the market has none.

        Its other fields are attributes of `Order`. Several orders of one pack are a cart.

        Args:
            order_id: The id, in digits.
            pack_id: The pack, in digits; None for an order whose thread has the id of the order.
            site_id: The site of the sale: by default that of the pack, or of the account, or
                `MLM` for Global Selling.
            seller_id: The seller; by default that of the pack.
            buyer_id: The buyer; by default that of the pack.
            status: The status, an open set; the search hides `cancelled` orders.
            shipping_id: The shipment; by default that of the pack.
            at: The date of the order, such as `2024-08-22T17:31:37.000-04:00`; now by default.
            date_closed: The date of the confirmation; `at` by default.
            last_updated: The date of the last change; `at` by default.
        """
        serial = next(self._serial)
        order_id = str(int(2000008000000000 + serial if order_id is None else order_id))
        thread_id = order_id if pack_id is None else str(int(pack_id))
        pack = self.packs.get(thread_id) or self.add_pack(
            thread_id,
            site_id=site_id or ("MLM" if self.site_id == GLOBAL_SELLING else self.site_id),
            seller_id=seller_id,
            buyer_id=buyer_id,
            shipping_id=shipping_id,
        )
        at = at or format_claim_date(self._now())
        order = Order(
            id=order_id,
            pack_id=None if pack_id is None else thread_id,
            site_id=site_id or pack.site_id,
            seller_id=seller_id or pack.seller_id,
            buyer_id=buyer_id or pack.buyer_id,
            status=status,
            date_created=at,
            date_closed=date_closed or at,
            last_updated=last_updated or at,
            shipping_id=shipping_id or pack.conversation_status.shipping_id,
            tags=list(_TAGS),
        )
        self.orders[order_id] = order
        return order

    def update_order(
        self, order_id: int | str, *, status: str | None = None, at: str | None = None
    ) -> Order:
        """Change an order, move its `last_updated`, and return it; None changes nothing.

        Args:
            order_id: The id of an order of this market.
            status: The new status, such as `cancelled`.
            at: The date of the change, such as `2024-08-22T17:31:37.000-04:00`; now by default.

        Raises:
            KeyError: The market has no such order.
        """
        order = self.orders[str(order_id)]
        order.status = status or order.status
        order.touch(at or format_claim_date(self._now()))
        return order

    def sale(self, thread_id: int | str) -> list[Order]:
        """Return the orders of a pack, or the one order without a pack that has this id."""
        return [self.orders[order.id] for order in self.peek_sale(str(thread_id))]

    def peek_sale(self, thread_id: str) -> list[Order]:
        """Return the same orders for a look, in the order of their ids; do not change them."""
        kept = [order for order in self.orders.kept.values() if order.thread_id == thread_id]
        return self._complete(thread_id, kept)

    def search_orders(self, query: Query[SaleRow]) -> Found[Order]:
        """Return one page of the orders that a search finds; do not change them."""
        kept = self.orders.kept
        found = self._order_index.search(
            query,
            changed=(sale_row(int(order.id), [order]) for order in kept.values()),
            replaced=[int(order_id) for order_id in self.orders.replaced],
        )
        return Found(found.total, [self._peek_order(str(row.id)) for row in found.rows])

    def search_sales(self, query: Query[SaleRow]) -> Found[list[Order]]:
        """Return one page of the sales that a search finds, each with all its orders."""
        sales = self._changed_sales()
        found = self._sale_index.search(
            query,
            changed=(sale_row(int(thread), orders) for thread, orders in sales.items() if orders),
            replaced=[int(thread) for thread in sales],
        )
        rows = [sales.get(str(row.id)) or self._complete(str(row.id), []) for row in found.rows]
        return Found(found.total, rows)

    def _changed_sales(self) -> dict[str, list[Order]]:
        """Return the orders of each sale of which one may have changed, was added or removed."""
        sales: defaultdict[str, list[Order]] = defaultdict(list)
        for order in self.orders.kept.values():
            sales[order.thread_id].append(order)
        for order_id in self.orders.replaced:
            sales[self._archive.thread_of(order_id)] += ()
        return {thread: self._complete(thread, orders) for thread, orders in sales.items()}

    def _complete(self, thread_id: str, kept: list[Order]) -> list[Order]:
        """Return these orders of a thread with those that were never changed, by their ids."""
        order_ids = self._archive.orders_of(thread_id)
        if not order_ids:
            return sorted(kept, key=_number)
        derived = [self.orders.peek(key) for key in order_ids if key not in self.orders.kept]
        return sorted([*kept, *(order for order in derived if order is not None)], key=_number)

    def _peek_order(self, order_id: str) -> Order:
        return self.orders.peek(order_id) or self.orders[order_id]


def _number(order: Order) -> int:
    return int(order.id)
