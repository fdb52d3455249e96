"""The answers of the order search, as far as they lead to packs."""

from datetime import datetime

import msgspec

from ._base import UtcStruct
from .post_sale import Paging

__all__ = ["Order", "OrderPage", "UnreadableOrder"]


class _OrderSeller(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    id: int | None = None


class _OrderContext(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    site: str | None = None


class Order(UtcStruct, frozen=True, kw_only=True, gc=False):
    """An order, or a row of the search of Global Selling, which holds orders.

    Attributes:
        id: The order's id. In a row of Global Selling its meaning is not verified.
        pack_id: The pack, or None.
        seller: The seller.
        context: The site of the sale, beside other things, as integrators read it; not verified.
            The rows of Global Selling have none.
        orders: The orders of a row of Global Selling, otherwise None.
        last_updated: The time of the last update, or None.
        date_last_updated: Another spelling of it.
    """

    id: int
    pack_id: int | None = None
    seller: _OrderSeller | None = None
    context: _OrderContext | None = None
    orders: "list[Order] | None" = None
    last_updated: datetime | None = None
    date_last_updated: datetime | None = None

    @property
    def updated(self) -> datetime | None:
        """The time of the last update, from either spelling."""
        return self.last_updated or self.date_last_updated

    @property
    def seller_id(self) -> int | None:
        """The seller's id, or None."""
        return self.seller.id if self.seller else None

    @property
    def site_id(self) -> str | None:
        """The site of the sale, or None. `CBT` is the site of an account, not of a sale."""
        site_id = self.context.site if self.context else None
        return None if site_id == "CBT" else site_id or None


class UnreadableOrder(Order, frozen=True, kw_only=True, gc=False):
    """A row of an order search that cannot be read.

    Attributes:
        id: A number under zero. The rows beside it make it: two equal rows are two orders, and the
            same row of another reading is the same order.
        position: The index in the page or in the list.
    """

    position: int


class OrderPage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One page of an order search."""

    results: list[Order]
    paging: Paging | None = None

    @property
    def items(self) -> list[Order]:
        """The rows, under the name that `mlmsg.paging` uses."""
        return self.results

    @property
    def total(self) -> int | None:
        """The number of orders that the query matches, or None."""
        return self.paging.total if self.paging else None
