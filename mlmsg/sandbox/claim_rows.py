"""The fields by which a search of claims finds, bounds and orders them."""

from typing import NamedTuple

from mlmsg.sandbox.claims import Claim
from mlmsg.sandbox.schemas.claims import Role
from mlmsg.sandbox.schemas.dates import date_to_milliseconds

__all__ = ["ClaimRow", "claim_row"]


class ClaimRow(NamedTuple):
    """A claim as a search compares it.

    Dates are milliseconds since 1970; 0 is the id of what a claim does not have.
    """

    id: int
    date_created: int
    last_updated: int
    type: str
    stage: str
    status: str
    site_id: str
    reason_id: str
    resource: str
    resource_id: int
    order_id: int
    pack_id: int
    payment_id: int
    parent_id: int
    complainant: int
    respondent: int
    mediator: int

    @property
    def user_ids(self) -> tuple[int, int, int]:
        """The user ids of all players."""
        return self.complainant, self.respondent, self.mediator


def claim_row(claim: Claim) -> ClaimRow:
    """Return the row of a claim in its present state."""
    players: dict[Role, int] = {player.role: player.user_id for player in claim.players}
    return ClaimRow(
        id=int(claim.id),
        date_created=date_to_milliseconds(claim.date_created),
        last_updated=date_to_milliseconds(claim.last_updated),
        type=claim.type,
        stage=claim.stage,
        status=claim.status,
        site_id=claim.site_id,
        reason_id=claim.reason_id,
        resource=claim.resource,
        resource_id=claim.resource_id,
        order_id=claim.order_id or 0,
        pack_id=claim.pack_id or 0,
        payment_id=claim.payment_id or 0,
        parent_id=claim.parent_id or 0,
        complainant=players.get("complainant", 0),
        respondent=players.get("respondent", 0),
        mediator=players.get("mediator", 0),
    )
