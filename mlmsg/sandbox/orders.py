"""Orders, and the rows by which a search finds them. Plain values, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mlmsg.sandbox.schemas.dates import date_to_milliseconds, later_date
from mlmsg.sandbox.schemas.orders import Context, OrderDetails, Reference

__all__ = ["CANCELLED", "Order", "SaleRow", "sale_row"]

CANCELLED = "cancelled"


@dataclass(slots=True)
class Order:
    """An order; all attributes may be changed at any time, and the next search sees it.

    Attributes:
        site_id: The site of the sale; `context.site` of the order shows it.
        pack_id: The pack of the order; None for an order whose thread has the order's id.
        date_closed: The date of the confirmation; None before it.
        mediations: The ids of `mediations`. Whether they are ids of claims is not verified.
    """

    id: str
    pack_id: str | None
    site_id: str
    seller_id: int
    buyer_id: int
    status: str
    date_created: str
    date_closed: str | None
    last_updated: str
    shipping_id: int | None = None
    tags: list[str] = field(default_factory=list)
    mediations: list[int] = field(default_factory=list)

    @property
    def thread_id(self) -> str:
        """The id of the thread: that of the pack, or else of the order."""
        return self.id if self.pack_id is None else self.pack_id

    @property
    def is_cancelled(self) -> bool:
        """True if the search of a seller hides the order."""
        return self.status == CANCELLED

    def touch(self, at: str) -> None:
        """Move `last_updated` forward to this date; an earlier date changes nothing."""
        self.last_updated = later_date(self.last_updated, at)

    def details(self) -> OrderDetails:
        """Return the order as its own path serves it."""
        return OrderDetails(
            id=int(self.id),
            pack_id=None if self.pack_id is None else int(self.pack_id),
            status=self.status,
            date_created=self.date_created,
            date_closed=self.date_closed,
            last_updated=self.last_updated,
            tags=self.tags,
            seller=Reference(self.seller_id),
            buyer=Reference(self.buyer_id),
            shipping=Reference(self.shipping_id),
            mediations=[Reference(number) for number in self.mediations],
            context=Context(self.site_id),
        )


class SaleRow(NamedTuple):
    """An order, or the orders of a pack, as a search compares them.

    Dates are milliseconds since 1970, and -1 is no date.

    Attributes:
        id: The id of the order, or of the thread of the orders.
        date_created: The earliest one of the orders.
        last_updated: The latest one.
        date_closed: The latest one.
        date_placed: `date_closed`, or `date_created` of what is not closed: every sale has one.
    """

    id: int
    date_created: int
    last_updated: int
    date_closed: int
    date_placed: int
    seller_id: int
    buyer_id: int
    site_id: str
    pack_id: int
    statuses: frozenset[str]
    tags: frozenset[str]


def sale_row(number: int, orders: Sequence[Order]) -> SaleRow:
    """Return the row of the orders of one sale in their present state."""
    created = min(date_to_milliseconds(order.date_created) for order in orders)
    closed = max(
        -1 if order.date_closed is None else date_to_milliseconds(order.date_closed)
        for order in orders
    )
    first = orders[0]
    return SaleRow(
        id=number,
        date_created=created,
        last_updated=max(date_to_milliseconds(order.last_updated) for order in orders),
        date_closed=closed,
        date_placed=created if closed < 0 else closed,
        seller_id=first.seller_id,
        buyer_id=first.buyer_id,
        site_id=first.site_id,
        pack_id=int(first.pack_id or 0),
        statuses=frozenset(order.status for order in orders),
        tags=frozenset(tag for order in orders for tag in order.tags),
    )
