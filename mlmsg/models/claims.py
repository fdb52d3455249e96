"""The responses of the document "Messages claims", and the claim itself.

The document names "the Claim details" but does not show them. `Claim`, `Player` and
`AvailableAction` follow other editions of the documentation.

Roles are `complainant`, `respondent` and `mediator`; stages are `claim`, `dispute` and others.
"""

from collections.abc import Collection
from datetime import datetime
from typing import ClassVar

import msgspec

from mlmsg._html import (
    Bubble,
    count_text,
    file_lines,
    render_table,
    render_thread,
    status_remarks,
)
from mlmsg._numbers import whole_number

from ._base import UtcStruct

__all__ = [
    "AvailableAction",
    "Claim",
    "ClaimAttachment",
    "ClaimMessage",
    "ClaimMessages",
    "ClaimModeration",
    "ClaimResolution",
    "ClaimSent",
    "ClaimUpload",
    "Player",
]


class ClaimAttachment(UtcStruct, frozen=True, kw_only=True, gc=False):
    """A file of a claim (Messages claims, "Get file information").

    Attributes:
        filename: The name given by the API. Pass it to `claims.download`.
        original_filename: The name at upload. It cannot be used for a download.
        size: The size in bytes.
        date_created: The time of the upload; aware, UTC if the API gave no zone.
        type: The MIME type.
    """

    filename: str | None = None
    original_filename: str | None = None
    size: int | None = None
    date_created: datetime | None = None
    type: str | None = None


class ClaimModeration(UtcStruct, frozen=True, kw_only=True, gc=False):
    """The result of moderation for a claim message (Messages claims, `message_moderation`).

    Attributes:
        status: `clean`, `rejected`, `pending`, `non_moderated`, …
        reason: The reason (`OUT_OF_PLACE_LANGUAGE`, …), or None, or `""`.
        source: `online`, the only value documented at present.
        date_moderated: The time of moderation; aware, UTC if the API gave no zone.
    """

    status: str | None = None
    reason: str | None = None
    source: str | None = None
    date_moderated: datetime | None = None


class ClaimMessage(UtcStruct, frozen=True, kw_only=True, gc=False):
    """One message of a claim (Messages claims, "Retrieve all messages of a claim"). It has no id.

    Dates are aware, UTC if the API gave no zone.

    Attributes:
        sender_role: The role of the sender.
        receiver_role: The role of the receiver.
        message: The text as written.
        translated_message: The text in the reader's language, or None.
        date_created: The time of creation.
        last_updated: The time of the last change.
        message_date: The time of sending.
        date_read: The time of reading, or None.
        attachments: The files, or None if the API sent null.
        status: `available`, `moderated`, `rejected`, `pending_translation`, …
        stage: The stage in which the message was sent.
        message_moderation: The result of moderation.
        repeated: The value of the API. The document lists the word without an explanation.
        hash: A stable identifier of the message, in newer responses.
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

    def _bubble(self, own_role: str = "respondent") -> Bubble:
        to = f" → {self.receiver_role}" if self.receiver_role else ""
        return Bubble(
            author=f"{self.sender_role or 'unknown'}{to}",
            is_mine=self.sender_role == own_role,
            at=self.message_date or self.date_created,
            text=self.message or "",
            translation=self.translated_message or "",
            files=file_lines(self.attachments or ()),
            notes=status_remarks(self.status, self.message_moderation),
        )

    def _repr_html_(self) -> str:
        return render_thread("Claim message", [self._bubble()])


class ClaimMessages(list[ClaimMessage]):
    """The messages of a claim: a list that shows itself in a notebook.

    Attributes:
        own_role: The seller's role, whose messages a notebook shows on the right. The messages do
            not say which one it is. Set it to `"complainant"` for a claim of the type
            `cancel_sale`, in which the seller is the complainant, as integrators report.
    """

    own_role: str = "respondent"

    def __repr__(self) -> str:
        return f"<ClaimMessages: {len(self)} messages>"

    def _repr_html_(self) -> str:
        bubbles = [message._bubble(self.own_role) for message in self]  # noqa: SLF001  (of this module)
        return render_thread(count_text(len(self), None, "claim message"), bubbles)


class AvailableAction(UtcStruct, frozen=True, kw_only=True, gc=False):
    """An action that a player may take now (Messages claims, "available_actions").

    Attributes:
        action: The name, such as `send_message_to_complainant`.
        mandatory: True if the player must take the action.
        due_date: The deadline; aware, UTC if the API gave no zone.
    """

    action: str | None = None
    mandatory: bool | None = None
    due_date: datetime | None = None

    _text_field: ClassVar = "action"


class Player(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A party of a claim (Messages claims, "player").

    Attributes:
        role: `complainant`, `respondent`, `mediator`, …
        type: The kind of user, such as `seller`.
        user_id: The user's id.
        available_actions: The actions that the player may take now, or None if the API sent null.
    """

    role: str | None = None
    type: str | None = None
    user_id: int | None = None
    available_actions: list[AvailableAction] | None = None


class ClaimResolution(UtcStruct, frozen=True, kw_only=True, gc=False):
    """The end of a claim ("Claims", `resolution`).

    Attributes:
        reason: The reason, such as `payment_refunded`.
        date_created: The time of the resolution; aware, UTC if the API gave no zone.
        benefited: The roles that it favours.
        closed_by: The role that closed the claim.
        applied_coverage: True if the coverage of Mercado Libre was applied.
    """

    reason: str | None = None
    date_created: datetime | None = None
    benefited: list[str] | None = None
    closed_by: str | None = None
    applied_coverage: bool | None = None

    _text_field: ClassVar = "reason"


class Claim(UtcStruct, frozen=True, kw_only=True, gc=False):
    """A claim (Messages claims, "Claim details"). Rows of a search lack some of its fields.

    Dates are aware, UTC if the API gave no zone.

    Attributes:
        players: The parties, and the actions that each may take now; empty if the response has
            none.
        id: The claim's id.
        stage: `claim`, `dispute`, …
        status: `opened`, `closed`, …
        type: `mediations`, `cancel_sale`, `returns`, …
        resource: What the claim is about: `order`, `shipment`, `payment` or `purchase`.
        resource_id: The id of that resource; a str only if it is not a number.
        site_id: `MLM`, `MLB`, …
        reason_id: The id of the reason, such as `PDD9939`.
        parent_id: The claim that this one follows, or None; a str only if it is not a number.
        fulfilled: True if the product was delivered.
        quantity_type: `total` or `partial`, or None.
        claim_version: `1.0`, `1.5` or `2.0`.
        date_created: The time of creation.
        last_updated: The time of the last change.
        resolution: The end of the claim, or None while it is open.
        related_entities: What belongs to the claim, such as `return`. An element that the API
            sends as an object is a dict.
    """

    players: list[Player] = msgspec.field(default_factory=list)
    id: int | None = None
    stage: str | None = None
    status: str | None = None
    type: str | None = None
    resource: str | None = None
    resource_id: int | str | None = None
    site_id: str | None = None
    reason_id: str | None = None
    parent_id: int | str | None = None
    fulfilled: bool | None = None
    quantity_type: str | None = None
    claim_version: str | None = None
    date_created: datetime | None = None
    last_updated: datetime | None = None
    resolution: ClaimResolution | None = None
    related_entities: list[str | dict[str, object]] | None = None

    _can_be_left_out: ClassVar = True

    def __post_init__(self) -> None:
        """Turn the ids of digits into ints."""
        super().__post_init__()
        for name in ("resource_id", "parent_id"):
            value = getattr(self, name)
            if isinstance(value, str) and (number := whole_number(value)) is not None:
                msgspec.structs.force_setattr(self, name, number)

    @property
    def available_actions(self) -> set[str]:
        """The names of the actions that any player may take now."""
        return self.actions_of({player.role for player in self.players})

    def actions_of(self, roles: Collection[str | None]) -> set[str]:
        """Return the names of the actions that the players in these roles may take now."""
        players = (player for player in self.players if player.role in roles)
        actions = (entry for player in players for entry in player.available_actions or ())
        return {entry.action for entry in actions if entry.action}

    def _repr_html_(self) -> str:
        headers = ("role", "user", "actions")
        rows = [
            (player.role, player.user_id, ", ".join(sorted(self.actions_of([player.role]))))
            for player in self.players
        ]
        title = [f"Claim {self.id or ''}".strip(), self.stage, self.status]
        about = f"{self.resource} {self.resource_id}" if self.resource else None
        facts = (self.type, self.reason_id, about, self.site_id, self._dates())
        note = " · ".join(fact for fact in facts if fact)
        return render_table(" · ".join(word for word in title if word), headers, rows, note)

    def _dates(self) -> str:
        dates = {"created": self.date_created, "updated": self.last_updated}
        return ", ".join(
            f"{word} {at.astimezone():%Y-%m-%d %H:%M %Z}" for word, at in dates.items() if at
        )


class ClaimUpload(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stored file, not yet part of any message (Messages claims, "Uploading Attachments").

    Attributes:
        file_name: The name to pass to `claims.send(attachments=[…])`.
        filename: The same name in another spelling of the API; copied to `file_name`.
        user_id: The user who uploaded the file.
    """

    file_name: str = ""
    filename: str | None = None
    user_id: int | None = None

    def __post_init__(self) -> None:
        """Copy `filename` to `file_name`. Reject a response that names no file."""
        if not self.file_name:
            if not self.filename:
                raise ValueError("the response names no file")
            msgspec.structs.force_setattr(self, "file_name", self.filename)


class ClaimSent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The result of a claim message that the API accepted (Messages claims, "Create a Message …").

    An accepted message is not yet delivered: moderation may reject it afterwards.

    Attributes:
        status_code: The HTTP status, 200 to 299.
        id: An id, if the response has one. The document shows a text instead.
    """

    status_code: int
    id: str | None = None
