"""The JSON of "Messages claims"; the fields of a message are in the order of the example.

Dates are texts in the two formats of that document: `2024-08-22T18:36:48.000-04:00` and, for
`date_read` and `date_moderated`, `2024-08-22T22:36:47Z`.
"""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from mlmsg.sandbox.schemas.packs import Paging

__all__ = [
    "AvailableAction",
    "ClaimAction",
    "ClaimAttachment",
    "ClaimDetail",
    "ClaimDetails",
    "ClaimMessage",
    "ClaimModeration",
    "ClaimPage",
    "ClaimStatus",
    "ExpectedResolution",
    "Player",
    "Reputation",
    "Resolution",
    "Role",
    "Stage",
]

Role = Literal["complainant", "respondent", "mediator"]
"""The roles of a claim, of which a dispute has the mediator.

The complainant is usually the buyer; in a `cancel_sale` it is the seller.
"""

Stage = Literal["claim", "dispute"]
"""The stages of a claim: between buyer and seller, or before a mediator."""


class ClaimAttachment(Struct, frozen=True):
    """A file of a claim as a message lists it; `filename` is the name of the download."""

    filename: str
    original_filename: str
    size: int
    date_created: str
    type: str


class ClaimModeration(Struct, frozen=True):
    """The `message_moderation` of a claim message."""

    status: str
    reason: str | None
    source: str
    date_moderated: str | None


class ClaimMessage(Struct, frozen=True):
    """A message of a claim; it has no id."""

    sender_role: str
    receiver_role: str
    message: str
    translated_message: str | None
    date_created: str
    last_updated: str
    message_date: str
    date_read: str | None
    attachments: list[ClaimAttachment]
    status: str
    stage: str
    message_moderation: ClaimModeration
    repeated: bool


class AvailableAction(Struct, frozen=True):
    """An action that a player may take now; in the sandbox, a mandatory one has a `due_date`."""

    action: str
    mandatory: bool
    due_date: str | None


class Player(Struct):
    """A participant of a claim; the sandbox allows the actions of `available_actions`."""

    role: Role
    type: str
    user_id: int
    available_actions: list[AvailableAction]


class Resolution(Struct, frozen=True):
    """The `resolution` of a closed claim; its fields are the sandbox's own choice."""

    reason: str
    date_created: str
    closed_by: str


class ClaimDetails(Struct, frozen=True):
    """A claim as `GET .../claims/{claim}` returns it.

    A row of the search has neither `claim_version` nor `claimed_quantity` nor `related_entities`.
    """

    id: int
    resource: str
    resource_id: int
    status: str
    type: str
    stage: Stage
    parent_id: int | None
    reason_id: str
    fulfilled: bool
    quantity_type: str | None
    players: list[Player]
    resolution: Resolution | None
    site_id: str
    date_created: str
    last_updated: str
    claim_version: float | UnsetType = UNSET
    claimed_quantity: int | UnsetType = UNSET
    related_entities: list[str] | UnsetType = UNSET


class ClaimPage(Struct, frozen=True):
    """A page of the search of claims."""

    paging: Paging
    data: list[ClaimDetails]


class ClaimDetail(Struct, frozen=True):
    """The answer of `GET .../claims/{claim}/detail`; all texts of the sandbox are invented."""

    due_date: str | None
    action_responsible: str
    title: str
    description: str
    problem: str


class ClaimAction(Struct, frozen=True):
    """An entry of `GET .../claims/{claim}/actions-history`."""

    action_name: str
    player_role: str
    action_reason_id: str | None
    claim_stage: str | None
    claim_status: str | None
    date_created: str


class ClaimStatus(Struct, frozen=True):
    """An entry of `GET .../claims/{claim}/status-history`; `change_by` is a role."""

    stage: str
    status: str
    date: str
    change_by: str


class ExpectedResolution(Struct, frozen=True):
    """An entry of `GET .../claims/{claim}/expected-resolutions`."""

    player_role: str
    user_id: int
    expected_resolution: str
    details: list[str]
    date_created: str
    last_updated: str
    status: str


class Reputation(Struct, frozen=True):
    """The answer of `GET .../claims/{claim}/affects-reputation`."""

    affects_reputation: str
    has_incentive: bool
    due_date: str | None
