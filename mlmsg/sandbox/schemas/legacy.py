"""The thread page of "Pending messages", in the legacy spelling of that document.

It differs from "Post-sale messages" in these points:

- `conversation_status` has a `path` and a single `claim_id`
- users have a text as `user_id`, and an `email`
- messages have no `to`
- a moderation names its source `by`, and has the reason `none`
- the resource of the seller is named `seller`
- all dates have milliseconds
"""

from msgspec import Struct, field
from msgspec.structs import replace

from mlmsg.sandbox.schemas.dates import add_milliseconds
from mlmsg.sandbox.schemas.packs import (
    Attachment,
    ConversationStatus,
    Message,
    MessageDate,
    Moderation,
    Paging,
    Person,
    Resource,
)

__all__ = [
    "LegacyMessage",
    "LegacyModeration",
    "LegacyPage",
    "LegacyPerson",
    "LegacyStatus",
    "legacy_page",
]


class LegacyPerson(Struct, frozen=True):
    """The `from` of a message."""

    user_id: str
    email: str
    name: str


class LegacyModeration(Struct, frozen=True):
    """The `message_moderation` of a message."""

    status: str
    reason: str
    by: str
    moderation_date: str | None


class LegacyMessage(Struct, frozen=True):
    """A message; `sender` is `from` in JSON."""

    id: str
    site_id: str
    client_id: int | None
    sender: LegacyPerson = field(name="from")
    status: str
    text: str
    message_date: MessageDate
    message_moderation: LegacyModeration
    message_attachments: list[Attachment] | None
    message_resources: list[Resource]


class LegacyStatus(Struct, frozen=True):
    """The `conversation_status` of a page."""

    path: str
    status: str
    substatus: str | None
    status_date: str
    status_update_allowed: bool
    claim_id: int | None
    shipping_id: int | None


class LegacyPage(Struct, frozen=True, omit_defaults=True):
    """A page of the thread of a seller; a maximum length that is None is omitted."""

    paging: Paging
    conversation_status: LegacyStatus
    messages: list[LegacyMessage]
    seller_max_message_length: int | None = None
    buyer_max_message_length: int | None = None


def legacy_page(
    path: str,
    status: ConversationStatus,
    paging: Paging,
    messages: list[Message],
    *,
    seller_max_message_length: int | None = None,
    buyer_max_message_length: int | None = None,
) -> LegacyPage:
    """Return a page of the thread at `path`, such as `/packs/{pack}/seller/{seller}`.

    The document shows no maximum length, integrators saw it: None omits it.
    """
    return LegacyPage(
        paging=paging,
        conversation_status=_legacy_status(path, status),
        messages=[_legacy_message(message) for message in messages],
        seller_max_message_length=seller_max_message_length,
        buyer_max_message_length=buyer_max_message_length,
    )


def _legacy_status(path: str, status: ConversationStatus) -> LegacyStatus:
    return LegacyStatus(
        path=path,
        status=status.status,
        substatus=status.substatus,
        status_date=add_milliseconds(status.status_date),
        status_update_allowed=status.status_update_allowed,
        claim_id=status.claim_ids[0] if status.claim_ids else None,
        shipping_id=status.shipping_id,
    )


def _legacy_message(message: Message) -> LegacyMessage:
    files = message.message_attachments
    return LegacyMessage(
        id=message.id,
        site_id=message.site_id,
        client_id=message.client_id,
        sender=_legacy_person(message.sender),
        status=message.status,
        text=message.text,
        message_date=_legacy_dates(message.message_date),
        message_moderation=_legacy_moderation(message.message_moderation),
        message_attachments=files and [_legacy_attachment(file) for file in files],
        message_resources=[_legacy_resource(resource) for resource in message.message_resources],
    )


def _legacy_person(person: Person) -> LegacyPerson:
    return LegacyPerson(str(person.user_id), f"user_{person.user_id}@example.com", person.name)


def _legacy_dates(dates: MessageDate) -> MessageDate:
    return MessageDate(
        received=add_milliseconds(dates.received),
        available=dates.available and add_milliseconds(dates.available),
        notified=dates.notified and add_milliseconds(dates.notified),
        created=add_milliseconds(dates.created),
        read=dates.read and add_milliseconds(dates.read),
    )


def _legacy_moderation(moderation: Moderation) -> LegacyModeration:
    date = moderation.moderation_date
    return LegacyModeration(
        status=moderation.status,
        reason=moderation.reason or "none",
        by=moderation.source,
        moderation_date=date and add_milliseconds(date),
    )


def _legacy_attachment(file: Attachment) -> Attachment:
    return replace(file, creation_date=add_milliseconds(file.creation_date))


def _legacy_resource(resource: Resource) -> Resource:
    return Resource(resource.id, "seller") if resource.name == "sellers" else resource
