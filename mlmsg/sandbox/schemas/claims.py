"""The JSON of "Messages claims"; the fields of a message are in the order of the example.

Dates are texts in the two formats of that document: `2024-08-22T18:36:48.000-04:00` and, for
`date_read` and `date_moderated`, `2024-08-22T22:36:47Z`.
"""

from typing import Literal

from msgspec import Struct

__all__ = [
    "AvailableAction",
    "ClaimAttachment",
    "ClaimDetails",
    "ClaimMessage",
    "ClaimModeration",
    "Player",
    "Role",
    "Stage",
]

Role = Literal["complainant", "respondent", "mediator"]
"""The roles of a claim: the buyer, the seller, and the mediator of a dispute."""

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
    """An action that a player may take now; a mandatory one has a `due_date`."""

    action: str
    mandatory: bool
    due_date: str | None


class Player(Struct):
    """A participant of a claim; the sandbox allows the actions of `available_actions`."""

    role: Role
    type: str
    user_id: int
    available_actions: list[AvailableAction]


class ClaimDetails(Struct, frozen=True):
    """A claim as `GET .../claims/{claim}` returns it.

    The fields beside `players`, `stage` and `status` are the sandbox's own choice.
    """

    id: int
    type: str
    stage: Stage
    status: str
    players: list[Player]
    site_id: str
    date_created: str
    last_updated: str
