"""The JSON of claims; a message's fields are in the order of the document's example.

Dates are texts, in the two shapes that document shows: `2024-08-22T18:36:48.000-04:00` and, for
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
"""Who takes part in a claim: the buyer, the seller, and the one who decides a dispute."""

Stage = Literal["claim", "dispute"]
"""Where a claim is: between buyer and seller, or before a mediator."""


class ClaimAttachment(Struct, frozen=True):
    """A file of a claim, as it is listed in a message; `filename` is what it is downloaded by."""

    filename: str
    original_filename: str
    size: int
    date_created: str
    type: str


class ClaimModeration(Struct, frozen=True):
    """The `message_moderation` of a claim's message."""

    status: str
    reason: str | None
    source: str
    date_moderated: str | None


class ClaimMessage(Struct, frozen=True):
    """A message of a claim: it has no id."""

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
    """Something a player may do now; a date by which it must be done comes with `mandatory`."""

    action: str
    mandatory: bool
    due_date: str | None


class Player(Struct):
    """A participant of a claim; `available_actions` decides what the sandbox lets them do."""

    role: Role
    type: str
    user_id: int
    available_actions: list[AvailableAction]


class ClaimDetails(Struct, frozen=True):
    """A claim as its own path answers it.

    The choice of fields beside `players`, `stage` and `status` is the sandbox's own.
    """

    id: int
    type: str
    stage: Stage
    status: str
    players: list[Player]
    site_id: str
    date_created: str
    last_updated: str
