"""The numbers of a generated market: which sale has which orders, dates, players and ids.

Everything follows from the position of a sale or claim and from the seed, by arithmetic alone:
nothing is stored. Dates are milliseconds since 1970, in whole seconds.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple
from uuid import UUID

__all__ = ["FIRST_CLAIM_ID", "Plan", "Sale", "Seller"]

FIRST_CLAIM_ID = 5_210_000_000

_FIRST_PACK_ID = 2_000_009_000_000_000
_FIRST_ORDER_ID = 2_000_010_000_000_000
_FIRST_BUYER_ID = 701_000_000
_FIRST_SHIPPING_ID = 44_000_000_000
# A cart has at most three orders, and the next sale begins at the next multiple.
_ORDER_IDS_PER_SALE = 4

_SECOND = 1000
_HOUR = 3600 * _SECOND
_MAX_CHANGE_SECONDS = 7 * 24 * 3600

_MASK = (1 << 64) - 1
# Spreads 64 bits over 80.
_ODD = 0x9E3779B97F4A7C15F39D
_LOW_80 = (1 << 80) - 1


def _mix(number: int) -> int:
    """Return 64 well mixed bits of a number (the finalizer of splitmix64)."""
    number = (number * 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)


@dataclass(frozen=True, slots=True)
class Seller:
    """A seller of the account: its user id, and the site of its sales."""

    user_id: int
    site_id: str


class Sale(NamedTuple):
    """One thread and the orders to which it belongs.

    Attributes:
        number: The position of the sale, the oldest one first.
        pack_id: The pack, or None for one order without a pack.
        order_ids: The orders; several are a cart.
        created: The date of the orders.
        updated: The date of their last change, and of the newest message.
        bits: More bits for whatever else differs from sale to sale.
    """

    number: int
    pack_id: int | None
    order_ids: tuple[int, ...]
    seller: Seller
    is_cancelled: bool
    created: int
    updated: int
    bits: int

    @property
    def thread_id(self) -> int:
        """The id of the thread: that of the pack, or else of the order."""
        return self.order_ids[0] if self.pack_id is None else self.pack_id

    @property
    def buyer_id(self) -> int:
        """The buyer, another one for each sale."""
        return _FIRST_BUYER_ID + self.number

    @property
    def shipping_id(self) -> int:
        """The shipment of the orders."""
        return _FIRST_SHIPPING_ID + self.number


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of a generated market, and the numbers that follow from its seed.

    Attributes:
        start: The earliest date of a sale or claim.
        end: The latest date of anything.
    """

    packs: int
    claims: int
    files: int
    messages: int
    file_bytes: int
    unread: int
    seed: int
    user_id: int
    sellers: tuple[Seller, ...]
    start: int
    end: int

    def sale(self, number: int) -> Sale:
        """Return the sale at a position."""
        bits = self.bits("sale", number)
        created, updated = self.dates(number, self.packs, bits)
        kind, number_of_orders = bits % 10, 1
        if kind == 0:
            number_of_orders = 2 + (bits >> 4) % 2
        first = _FIRST_ORDER_ID + number * _ORDER_IDS_PER_SALE
        return Sale(
            number=number,
            pack_id=None if kind == 1 else _FIRST_PACK_ID + number,
            order_ids=tuple(range(first, first + number_of_orders)),
            seller=self.sellers[(bits >> 8) % len(self.sellers)],
            is_cancelled=(bits >> 12) % 40 == 0,
            created=created,
            updated=updated,
            bits=bits >> 20,
        )

    def sale_of_order(self, order_id: int) -> Sale | None:
        """Return the sale of an order, or None."""
        sale = self._sale_at((order_id - _FIRST_ORDER_ID) // _ORDER_IDS_PER_SALE)
        return sale if sale is not None and order_id in sale.order_ids else None

    def sale_of_thread(self, thread_id: int) -> Sale | None:
        """Return the sale of a thread, or None."""
        if thread_id >= _FIRST_ORDER_ID:
            sale = self.sale_of_order(thread_id)
        else:
            sale = self._sale_at(thread_id - _FIRST_PACK_ID)
        return sale if sale is not None and sale.thread_id == thread_id else None

    def sale_of_claim(self, number: int) -> Sale | None:
        """Return the sale of the claim at a position; None in a market without sales."""
        return self._sale_at(number * self.packs // max(self.claims, 1))

    def _sale_at(self, number: int) -> Sale | None:
        return self.sale(number) if 0 <= number < self.packs else None

    def dates(self, number: int, count: int, bits: int) -> tuple[int, int]:
        """Return the creation and the last change of one of `count` things in a row.

        The creations are in the order of the positions; a change follows within a week.
        """
        # The last hours are for the changes of the newest one.
        span = (self.end - self.start - 2 * _HOUR) // _SECOND
        offset = number * span // count + (bits >> 24) % max(span // count, 1)
        created = self.start + offset * _SECOND
        room = min(_MAX_CHANGE_SECONDS, (self.end - created - _HOUR) // _SECOND)
        return created, created + _HOUR + (bits >> 40) % room * _SECOND

    def claims_of_sale(self, number: int) -> list[int]:
        """Return the ids of the claims of the sale at a position."""
        first = -(-number * self.claims // self.packs)
        last = -(-(number + 1) * self.claims // self.packs)
        return [FIRST_CLAIM_ID + claim for claim in range(first, last)]

    def is_from_buyer(self, part: int) -> bool:
        """Return True for a message to the seller, as the newest one of a thread is.

        Args:
            part: The place of the message in its thread or claim, of which 0 is the oldest.
        """
        return (self.messages - 1 - part) % 2 == 0

    def message_date(self, created: int, updated: int, part: int) -> int:
        """Return the date of a message; the newest one is that of the last change."""
        seconds = (updated - created) // _SECOND * (part + 1) // self.messages
        return created + seconds * _SECOND

    def files_of_message(self, part: int) -> range:
        """Return the places of the files of a message, which has every so many-th of all."""
        return range(part, self.files, self.messages)

    def bits(self, kind: str, number: int, part: int = 0) -> int:
        """Return 64 bits that differ for each kind, number and part of anything."""
        return _mix(_salt(self.seed, kind) + number + (part << 40))

    def key(self, kind: str, number: int, part: int) -> int:
        """Return 128 bits from which `position` reads the number and the part again."""
        bits = self.bits(kind, number, part)
        return (number ^ _cover(self.seed, kind)) << 96 | part << 80 | (bits * _ODD & _LOW_80)

    def uuid(self, kind: str, number: int, part: int) -> UUID:
        """Return the same bits as a UUID of version 5, which replaces six of them."""
        return UUID(int=self.key(kind, number, part), version=5)

    def position(self, kind: str, text: str) -> tuple[int, int]:
        """Return the number and the part of the hex digits of such a key or UUID."""
        key = int(text, 16)
        return (key >> 96) ^ _cover(self.seed, kind), (key >> 80) & 0xFFFF


@cache
def _salt(seed: int, kind: str) -> int:
    return _mix(seed) + int.from_bytes(kind.encode(), "big")


@cache
def _cover(seed: int, kind: str) -> int:
    return _mix(_salt(seed, kind)) & 0xFFFFFFFF
