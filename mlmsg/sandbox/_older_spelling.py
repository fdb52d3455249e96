"""The thread page of the document "Pending messages", in an older spelling than elsewhere.

What is different: `conversation_status` has a `path` and a single `claim_id`, users have their id
as a text and an `email`, there is no `to`, a moderation names its source `by` and has the reason
`none`, the resource of the seller is called `seller`, and all dates have milliseconds.
"""

from msgspec import Struct, field
from msgspec.structs import replace

from mlmsg.sandbox._dates import with_millis
from mlmsg.sandbox.packs import Pack
from mlmsg.sandbox.shapes import (
    Attachment,
    ConversationStatus,
    Message,
    MessageDate,
    Moderation,
    Paging,
    Person,
    Resource,
)


class OlderPerson(Struct, frozen=True):
    """The `from` of a message."""

    user_id: str
    email: str
    name: str


class OlderModeration(Struct, frozen=True):
    """The `message_moderation` of a message."""

    status: str
    reason: str
    by: str
    moderation_date: str | None


class OlderMessage(Struct, frozen=True):
    """A message; `sender` travels as `from`."""

    id: str
    site_id: str
    client_id: int | None
    sender: OlderPerson = field(name="from")
    status: str
    text: str
    message_date: MessageDate
    message_moderation: OlderModeration
    message_attachments: list[Attachment] | None
    message_resources: list[Resource]


class OlderStatus(Struct, frozen=True):
    """The `conversation_status` of a page."""

    path: str
    status: str
    substatus: str | None
    status_date: str
    status_update_allowed: bool
    claim_id: int | None
    shipping_id: int | None


class OlderPage(Struct, frozen=True):
    """A page of a seller's thread."""

    paging: Paging
    conversation_status: OlderStatus
    messages: list[OlderMessage]


def older_page(pack: Pack, paging: Paging, messages: list[Message]) -> OlderPage:
    """Spell these messages of a pack in the older way."""
    path = f"/packs/{pack.id}/seller/{pack.seller_id}"
    status = _status(path, pack.conversation_status)
    return OlderPage(paging, status, [_message(message) for message in messages])


def _status(path: str, status: ConversationStatus) -> OlderStatus:
    return OlderStatus(
        path=path,
        status=status.status,
        substatus=status.substatus,
        status_date=with_millis(status.status_date),
        status_update_allowed=status.status_update_allowed,
        claim_id=status.claim_ids[0] if status.claim_ids else None,
        shipping_id=status.shipping_id,
    )


def _message(message: Message) -> OlderMessage:
    files = message.message_attachments
    return OlderMessage(
        id=message.id,
        site_id=message.site_id,
        client_id=message.client_id,
        sender=_person(message.sender),
        status=message.status,
        text=message.text,
        message_date=_dates(message.message_date),
        message_moderation=_moderation(message.message_moderation),
        message_attachments=files and [_attachment(file) for file in files],
        message_resources=[_resource(resource) for resource in message.message_resources],
    )


def _person(person: Person) -> OlderPerson:
    return OlderPerson(str(person.user_id), f"user_{person.user_id}@example.com", person.name)


def _dates(dates: MessageDate) -> MessageDate:
    return MessageDate(
        received=with_millis(dates.received),
        available=with_millis(dates.available),
        notified=dates.notified and with_millis(dates.notified),
        created=with_millis(dates.created),
        read=dates.read and with_millis(dates.read),
    )


def _moderation(moderation: Moderation) -> OlderModeration:
    date = moderation.moderation_date
    return OlderModeration(
        status=moderation.status,
        reason=moderation.reason or "none",
        by=moderation.source,
        moderation_date=date and with_millis(date),
    )


def _attachment(file: Attachment) -> Attachment:
    return replace(file, creation_date=with_millis(file.creation_date))


def _resource(resource: Resource) -> Resource:
    return Resource(resource.id, "seller") if resource.name == "sellers" else resource
