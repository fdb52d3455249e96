"""The answers of the document "Messages claims", and the claim itself.

The document sends the reader to "the Claim details" without showing them: `Claim`, `Player` and
`AvailableAction` hold what other editions of the documentation name.

Roles are `complainant`, `respondent` and `mediator`; stages are `claim`, `dispute` and others.
"""

from collections.abc import Collection
from datetime import datetime

import msgspec

from ._base import UtcStruct

__all__ = [
    "AvailableAction",
    "Claim",
    "ClaimAttachment",
    "ClaimMessage",
    "ClaimModeration",
    "ClaimSent",
    "ClaimUpload",
    "Player",
]


class ClaimAttachment(UtcStruct, frozen=True, kw_only=True, gc=False):
    """A file of a claim (Messages claims, "Get file information").

    Attributes:
        filename: The name the system gave it: what `claims.download` takes.
        original_filename: The name it was uploaded under; it opens nothing.
        size: Bytes.
        date_created: When it was uploaded; aware, UTC where no zone was given.
        type: The MIME type.
    """

    filename: str | None = None
    original_filename: str | None = None
    size: int | None = None
    date_created: datetime | None = None
    type: str | None = None


class ClaimModeration(UtcStruct, frozen=True, kw_only=True, gc=False):
    """What moderation made of a message (Messages claims, `message_moderation`).

    Attributes:
        status: `clean`, `rejected`, `pending`, `non_moderated`, …
        reason: Why (`OUT_OF_PLACE_LANGUAGE`, …), or None, or `""`.
        source: `online`, the only way there is at present.
        date_moderated: When; aware, UTC where no zone was given.
    """

    status: str | None = None
    reason: str | None = None
    source: str | None = None
    date_moderated: datetime | None = None


class ClaimMessage(UtcStruct, frozen=True, kw_only=True, gc=False):
    """One message of a claim (Messages claims, "Retrieve all messages of a claim"); without an id.

    Attributes:
        sender_role: Who sent it.
        receiver_role: Who it is for.
        message: The text as written.
        translated_message: The text in the reader's language, or None.
        date_created: When it was created. This and the others: aware, UTC where no zone was given.
        last_updated: When it was last changed.
        message_date: When it was sent.
        date_read: When it was read, or None.
        attachments: Its files; None where the API sends null.
        status: `available`, `moderated`, `rejected`, `pending_translation`, …
        stage: The stage in which it was sent.
        message_moderation: What moderation made of it.
        repeated: As sent; the document only lists the word.
        hash: A stable name for the message, in newer answers.
    """

    sender_role: str | None = None
    receiver_role: str | None = None
    message: str | None = None
    translated_message: str | None = None
    date_created: datetime | None = None
    last_updated: datetime | None = None
    message_date: datetime | None = None
    date_read: datetime | None = None
    attachments: list[ClaimAttachment] | None = None
    status: str | None = None
    stage: str | None = None
    message_moderation: ClaimModeration | None = None
    repeated: bool | None = None
    hash: str | None = None


class AvailableAction(UtcStruct, frozen=True, kw_only=True, gc=False):
    """Something that a player may do now (Messages claims, "available_actions").

    Attributes:
        action: Its name, such as `send_message_to_complainant`.
        mandatory: Whether it has to be done.
        due_date: Until when; aware, UTC where no zone was given.
    """

    action: str | None = None
    mandatory: bool | None = None
    due_date: datetime | None = None


class Player(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Someone who takes part in a claim (Messages claims, "player").

    Attributes:
        role: `complainant`, `respondent`, `mediator`, …
        type: What kind of user it is.
        user_id: The user's id.
        available_actions: What the player may do now; None where the API sends null.
    """

    role: str | None = None
    type: str | None = None
    user_id: int | None = None
    available_actions: list[AvailableAction] | None = None


class Claim(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A claim, as far as messages need it (Messages claims, "Claim details").

    Attributes:
        players: Who takes part, and what each may do now.
        stage: `claim`, `dispute`, …
        status: The state of the claim.
    """

    players: list[Player]
    stage: str | None = None
    status: str | None = None

    @property
    def available_actions(self) -> set[str]:
        """The names of everything that any player may do now."""
        return self.actions_of({player.role for player in self.players})

    def actions_of(self, roles: Collection[str | None]) -> set[str]:
        """The names of everything that the players in these roles may do now."""
        players = (player for player in self.players if player.role in roles)
        actions = (one for player in players for one in player.available_actions or ())
        return {one.action for one in actions if one.action}


class ClaimUpload(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stored file, not yet part of any message (Messages claims, "Uploading Attachments").

    Attributes:
        file_name: What `claims.send(attachments=[…])` takes.
        filename: Another spelling of `file_name`, which is read into it too.
        user_id: Who uploaded it.
    """

    file_name: str = ""
    filename: str | None = None
    user_id: int | None = None

    def __post_init__(self) -> None:
        """Reads the one spelling into the other; a file without a name is no answer."""
        if not self.file_name:
            if not self.filename:
                raise ValueError("the answer names no file")
            msgspec.structs.force_setattr(self, "file_name", self.filename)


class ClaimSent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A claim message that the API accepted (Messages claims, "Create a Message …").

    Accepted is not delivered: moderation may hold it back all the same.

    Attributes:
        status_code: The HTTP status, 200 to 299.
        id: An id, where the API answers with one; in the document it answers with a text.
    """

    status_code: int
    id: str | None = None
