"""The facts of a claim, which follow from its position and the seed; the rows of its search."""

from typing import NamedTuple

from mlmsg.sandbox.claim_rows import ClaimRow
from mlmsg.sandbox.generated.plan import FIRST_CLAIM_ID, Plan, Sale
from mlmsg.sandbox.schemas.claims import Role, Stage

__all__ = ["ClaimFacts", "claim_facts", "claim_rows"]

_FIRST_MEDIATOR_ID = 702_000_000
# The buyer and the resource of a claim in a market without sales.
_FIRST_BUYER_ID = 703_000_000
_FIRST_RESOURCE_ID = 2_000_003_000_000_000
_REASONS = ("PDD9939", "PNR3430", "PDD9944")


class ClaimFacts(NamedTuple):
    """The numbers of a claim; dates are milliseconds since 1970."""

    number: int
    sale: Sale | None
    site_id: str
    user_id: int
    buyer_id: int
    type: str
    stage: Stage
    status: str
    reason_id: str
    created: int
    updated: int

    @property
    def seller_role(self) -> Role:
        """The role of the seller, who is the complainant of a cancelled sale."""
        return "complainant" if self.type == "cancel_sale" else "respondent"

    @property
    def other_role(self) -> Role:
        """The role of the one to whom the seller writes."""
        if self.stage == "dispute":
            return "mediator"
        return "respondent" if self.type == "cancel_sale" else "complainant"

    @property
    def complainant_id(self) -> int:
        """The user id of the complainant."""
        return self.user_id if self.type == "cancel_sale" else self.buyer_id

    @property
    def respondent_id(self) -> int:
        """The user id of the respondent."""
        return self.buyer_id if self.type == "cancel_sale" else self.user_id

    @property
    def mediator_id(self) -> int:
        """The user id of the mediator, or 0."""
        return _FIRST_MEDIATOR_ID + self.number % 10 if self.stage == "dispute" else 0

    @property
    def resource_id(self) -> int:
        """The order."""
        return _FIRST_RESOURCE_ID + self.number if self.sale is None else self.sale.order_ids[0]

    def message_date(self, plan: Plan, part: int) -> int:
        """Return the date of the message at this place."""
        return plan.message_date(self.created, self.updated, part)

    @property
    def pack_id(self) -> int:
        """The pack, or 0."""
        return 0 if self.sale is None else self.sale.pack_id or 0


def claim_facts(plan: Plan, number: int) -> ClaimFacts:
    """Return the facts of the claim at a position."""
    bits = plan.bits("claim", number)
    sale = plan.sale_of_claim(number)
    created, updated = plan.dates(number, plan.claims, bits)
    return ClaimFacts(
        number=number,
        sale=sale,
        site_id=plan.sellers[0].site_id if sale is None else sale.seller.site_id,
        user_id=plan.user_id,
        buyer_id=_FIRST_BUYER_ID + number if sale is None else sale.buyer_id,
        type="cancel_sale" if bits % 20 == 0 else "mediations",
        stage="dispute" if (bits >> 5) % 5 == 0 else "claim",
        status="closed" if (bits >> 8) % 2 else "opened",
        reason_id=_REASONS[(bits >> 9) % len(_REASONS)],
        created=created,
        updated=updated,
    )


def claim_rows(plan: Plan) -> list[ClaimRow]:
    """Return a row for each claim."""
    return [_row(claim_facts(plan, number)) for number in range(plan.claims)]


def _row(facts: ClaimFacts) -> ClaimRow:
    return ClaimRow(
        id=FIRST_CLAIM_ID + facts.number,
        date_created=facts.created,
        last_updated=facts.updated,
        type=facts.type,
        stage=facts.stage,
        status=facts.status,
        site_id=facts.site_id,
        reason_id=facts.reason_id,
        resource="order",
        resource_id=facts.resource_id,
        order_id=facts.resource_id,
        pack_id=facts.pack_id,
        payment_id=0,
        parent_id=0,
        complainant=facts.complainant_id,
        respondent=facts.respondent_id,
        mediator=facts.mediator_id,
    )
