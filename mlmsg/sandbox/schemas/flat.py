"""The flat spelling of a single message, of another edition of the documentation.

The details of `attachments_validations` are not documented: here it is null.
"""

from msgspec import Struct, field

from mlmsg.sandbox.schemas.packs import Attachment, Message, Person

__all__ = ["FlatMessage", "FlatModeration", "FlatText", "flat_message"]


class FlatText(Struct, frozen=True):
    """The `text` of a message."""

    plain: str


class FlatModeration(Struct, frozen=True):
    """The `moderation` of a message."""

    status: str
    date_moderated: str | None
    source: str


class FlatMessage(Struct, frozen=True):
    """A message; `sender` and `recipients` are `from` and `to` in JSON."""

    message_id: str
    date_received: str
    date: str
    date_available: str | None
    date_notified: str | None
    date_read: str | None
    sender: Person = field(name="from")
    recipients: list[Person] = field(name="to")
    subject: str | None
    text: FlatText
    attachments: list[Attachment]
    attachments_validations: None
    site_id: str
    resource: str
    resource_id: str
    status: str
    moderation: FlatModeration


def flat_message(message: Message) -> FlatMessage:
    """Return a message in the flat spelling."""
    dates, moderation = message.message_date, message.message_moderation
    return FlatMessage(
        message_id=message.id,
        date_received=dates.received,
        date=dates.created,
        date_available=dates.available,
        date_notified=dates.notified,
        date_read=dates.read,
        sender=message.sender,
        recipients=[message.recipient],
        subject=message.subject,
        text=FlatText(message.text),
        attachments=message.message_attachments or [],
        attachments_validations=None,
        site_id=message.site_id,
        resource="packs",
        resource_id=message.message_resources[0].id,
        status=message.status,
        moderation=FlatModeration(moderation.status, moderation.moderation_date, moderation.source),
    )
