"""The part of a market that is derived on demand: its contract, and an empty one."""

from collections.abc import Iterator, Sequence
from typing import Never, Protocol

from mlmsg.sandbox.claim_rows import ClaimRow
from mlmsg.sandbox.claims import Claim
from mlmsg.sandbox.orders import Order, SaleRow
from mlmsg.sandbox.packs import Pack, StoredFile
from mlmsg.sandbox.records import NO_RECORDS, Source

__all__ = ["Archive", "EmptyArchive"]


class Archive(Protocol):
    """Packs, files, orders and claims that are made when they are asked for.

    The same question has an equal answer each time, so a market keeps only what it changes.
    """

    @property
    def packs(self) -> Source[Pack]:
        """The packs with their messages."""

    @property
    def files(self) -> Source[StoredFile]:
        """The files of the messages."""

    @property
    def orders(self) -> Source[Order]:
        """The orders."""

    @property
    def claims(self) -> Source[Claim]:
        """The claims with their messages and files."""

    def unread_packs(self) -> Iterator[str]:
        """Yield the ids of the packs with unread messages to the seller."""

    def pack_of_message(self, message_id: str) -> str | None:
        """Return the id of the pack that may contain this message, or None."""

    def orders_of(self, thread_id: str) -> list[str]:
        """Return the ids of the orders of a thread."""

    def thread_of(self, order_id: str) -> str:
        """Return the id of the thread of one of the orders."""

    def outline(self, claim_id: str) -> Claim | None:
        """Return a claim without its messages and files, or None."""

    def order_rows(self) -> Sequence[SaleRow]:
        """Return a row for each order."""

    def sale_rows(self) -> Sequence[SaleRow]:
        """Return a row for the orders of each thread."""

    def claim_rows(self) -> Sequence[ClaimRow]:
        """Return a row for each claim."""


class EmptyArchive:
    """An archive without anything."""

    packs: Source[Never] = NO_RECORDS
    files: Source[Never] = NO_RECORDS
    orders: Source[Never] = NO_RECORDS
    claims: Source[Never] = NO_RECORDS

    def unread_packs(self) -> Iterator[str]:
        """Yield nothing."""
        return iter(())

    def pack_of_message(self, _: str) -> str | None:
        """Return None."""
        return None

    def orders_of(self, _: str) -> list[str]:
        """Return an empty list."""
        return []

    def thread_of(self, order_id: str) -> str:
        """Raise KeyError."""
        raise KeyError(order_id)

    def outline(self, _: str) -> Claim | None:
        """Return None."""
        return None

    def order_rows(self) -> Sequence[SaleRow]:
        """Return nothing."""
        return ()

    def sale_rows(self) -> Sequence[SaleRow]:
        """Return nothing."""
        return ()

    def claim_rows(self) -> Sequence[ClaimRow]:
        """Return nothing."""
        return ()
