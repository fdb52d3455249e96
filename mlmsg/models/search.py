"""The answers of the searches: claims, and the orders that lead to packs."""

from datetime import datetime

import msgspec

from mlmsg._html import count_text, render_table

from ._base import UtcStruct
from .claims import Claim
from .post_sale import Paging

__all__ = ["ClaimDetail", "ClaimPage", "PackRef"]


class ClaimPage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One page of a claim search ("Claims", search).

    Attributes:
        claims: The claims of this page. Rows of a search lack some fields of a single claim. A row
            that is not an object is left out.
        paging: The position of the page, or None.
    """

    claims: list[Claim] = msgspec.field(name="data")
    paging: Paging | None = None

    @property
    def items(self) -> list[Claim]:
        """The claims, under the name that `mlmsg.paging` uses."""
        return self.claims

    @property
    def total(self) -> int | None:
        """The number of claims that the query matches, or None."""
        return self.paging.total if self.paging else None

    def __repr__(self) -> str:
        return f"<ClaimPage: {self._count()}>"

    def _repr_html_(self) -> str:
        headers = ("claim", "type", "stage", "status", "site", "updated")
        rows = [
            (claim.id, claim.type, claim.stage, claim.status, claim.site_id, claim.last_updated)
            for claim in self.claims
        ]
        return render_table(self._count(), headers, rows)

    def _count(self) -> str:
        return count_text(len(self.claims), self.total, "claim")


class ClaimDetail(UtcStruct, frozen=True, kw_only=True, gc=False):
    """A claim in words ("Claims", detail), in the language of the account.

    Attributes:
        title: A short title.
        description: What happens next.
        problem: The problem that the buyer reported.
        due_date: The time until which somebody has to act; aware, UTC if the API gave no zone.
        action_responsible: `seller`, `buyer` or `mediator`: who has to act.
    """

    title: str | None = None
    description: str | None = None
    problem: str | None = None
    due_date: datetime | None = None
    action_responsible: str | None = None


class PackRef(UtcStruct, frozen=True, kw_only=True, gc=False):
    """A pack that a walk over the orders found.

    Attributes:
        pack_id: The pack, or the order if it belongs to no pack: the id of the thread.
        seller_id: The seller of the thread, or None.
        site_id: The site of the sale, as the order names it, or else the only site of the seller.
            None if neither shows it.
        order_ids: The orders of the pack that were found beside each other.
        updated: The time of the last update of these orders; aware, or None.
    """

    pack_id: int
    seller_id: int | None = None
    site_id: str | None = None
    order_ids: list[int] = msgspec.field(default_factory=list)
    updated: datetime | None = None
