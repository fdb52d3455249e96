"""The JSON of orders and packs of orders, and of their searches.

Dates are texts such as `2024-08-22T18:36:48.000-04:00`.
"""

from msgspec import Struct

from mlmsg.sandbox.schemas.packs import Paging

__all__ = [
    "Config",
    "Context",
    "GlobalOrder",
    "GlobalOrderPage",
    "GlobalPackDetails",
    "GlobalPaging",
    "GlobalSale",
    "OrderDetails",
    "OrderPage",
    "PackDetails",
    "Reference",
    "Sort",
]


class Reference(Struct, frozen=True):
    """The id of an account, a shipment, an order or a mediation."""

    id: int | None


class Context(Struct, frozen=True):
    """The origin of an order, as integrators read it; not verified.

    The API shows more of it than the site of the sale.
    """

    site: str


class OrderDetails(Struct, frozen=True):
    """An order; the API has many more fields."""

    id: int
    pack_id: int | None
    status: str
    date_created: str
    date_closed: str | None
    last_updated: str
    tags: list[str]
    seller: Reference
    buyer: Reference
    shipping: Reference
    mediations: list[Reference]
    context: Context


class PackDetails(Struct, frozen=True):
    """A pack of orders, as `GET /packs/{pack}` returns it."""

    id: int
    status: str
    status_detail: str | None
    buyer: Reference
    shipment: Reference
    orders: list[Reference]
    date_created: str
    last_updated: str


class GlobalPackDetails(PackDetails, frozen=True):
    """A pack of orders of Global Selling; `family_pack_id` is that of a pack that was split."""

    family_pack_id: int | None = None


class Sort(Struct, frozen=True):
    """The order of a search."""

    id: str
    name: str


class OrderPage(Struct, frozen=True):
    """A page of the domestic search."""

    query: str
    results: list[OrderDetails]
    sort: Sort
    available_sorts: list[Sort]
    filters: list[str]
    paging: Paging
    display: str


class GlobalPaging(Struct, frozen=True):
    """The `paging` of the search of Global Selling, which has no `offset`."""

    total: int
    limit: int


class Config(Struct, frozen=True):
    """The `config` of a sale."""

    items: int


class GlobalOrder(Struct, frozen=True):
    """An order of a sale; it has no `pack_id`."""

    id: int
    items: None
    payments: list[Reference]
    mediations: list[Reference]
    seller: Reference


class GlobalSale(Struct, frozen=True):
    """A row of the search of Global Selling.

    `id` is that of the pack for a cart, and that of the order for any other sale.
    """

    id: int
    buyer: Reference
    config: Config
    orders: list[GlobalOrder]
    shipment: Reference


class GlobalOrderPage(Struct, frozen=True):
    """A page of the search of Global Selling."""

    query: str
    results: list[GlobalSale]
    sort: Sort
    available_sorts: list[Sort]
    filters: list[str]
    paging: GlobalPaging
    display: str
