"""The JSON of "Post-sale messages", field by field in the order of its examples.

Dates are texts in the two formats of that document: `2020-03-13T15:14:10Z` and, for `notified`,
`2021-09-26T04:48:25.000Z`.
"""

from msgspec import Struct, field

__all__ = [
    "Attachment",
    "ConversationStatus",
    "Message",
    "MessageDate",
    "Moderation",
    "Paging",
    "Person",
    "Resource",
    "ThreadPage",
]


class Person(Struct, frozen=True):
    """The `from` or `to` of a message; `name` may be empty."""

    user_id: int
    name: str


class MessageDate(Struct, frozen=True):
    """The dates on which a message was received, available, notified, created and read."""

    received: str
    available: str | None
    notified: str | None
    created: str
    read: str | None


class Moderation(Struct, frozen=True):
    """The `message_moderation` of a message."""

    status: str
    reason: str | None
    source: str
    moderation_date: str | None


class Attachment(Struct, frozen=True):
    """An entry of `message_attachments`; `filename` is the id of the download, `size` is bytes."""

    filename: str
    original_filename: str
    type: str
    size: int
    potential_security_threat: bool
    creation_date: str


class Resource(Struct, frozen=True):
    """An entry of `message_resources`: the id of the pack or of the seller."""

    id: str
    name: str


class Message(Struct, frozen=True):
    """A message; `sender` and `recipient` are `from` and `to` in JSON."""

    id: str
    site_id: str
    client_id: int | None
    sender: Person = field(name="from")
    recipient: Person = field(name="to")
    status: str
    subject: str | None
    text: str
    message_date: MessageDate
    message_moderation: Moderation
    message_attachments: list[Attachment] | None
    message_resources: list[Resource]
    conversation_first_message: bool
    text_translated: str | None


class ConversationStatus(Struct, frozen=True):
    """The `conversation_status` of a thread page."""

    claim_ids: list[int] | None
    shipping_id: int | None
    status: str
    status_date: str
    status_update_allowed: bool
    substatus: str | None


class Paging(Struct, frozen=True):
    """The `paging` of a thread page; `limit` is the one that was applied."""

    limit: int
    offset: int
    total: int


class ThreadPage(Struct, frozen=True):
    """A page of a thread; `paging` and the status are null around a single message."""

    paging: Paging | None
    conversation_status: ConversationStatus | None
    messages: list[Message]
