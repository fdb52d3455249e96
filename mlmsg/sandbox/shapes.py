"""The JSON of post-sale messages, field by field in the order of its examples.

Dates are texts, in the two shapes that document shows: `2020-03-13T15:14:10Z` and, for
`notified`, `2021-09-26T04:48:25.000Z`.
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
    "Unread",
    "UnreadCount",
]


class Person(Struct, frozen=True):
    """The `from` or `to` of a message; `name` may be empty."""

    user_id: int
    name: str


class MessageDate(Struct, frozen=True):
    """When a message was received, made available, notified, created and read."""

    received: str
    available: str
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
    """One of `message_attachments`; `filename` is the id to download it by, `size` is in bytes."""

    filename: str
    original_filename: str
    type: str
    size: int
    potential_security_threat: bool
    creation_date: str


class Resource(Struct, frozen=True):
    """One of `message_resources`: the id of the pack or of the seller."""

    id: str
    name: str


class Message(Struct, frozen=True):
    """A message; `sender` and `recipient` travel as `from` and `to`."""

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
    """The `paging` of a thread page: `limit` is the one that was applied, not the one asked."""

    limit: int
    offset: int
    total: int


class ThreadPage(Struct, frozen=True):
    """A page of a pack's thread; for a single message `paging` and the status are null."""

    paging: Paging | None
    conversation_status: ConversationStatus | None
    messages: list[Message]


class UnreadCount(Struct, frozen=True):
    """A conversation with unread messages; `resource` is `/packs/{pack}/sellers/{seller}`."""

    resource: str
    count: int


class Unread(Struct, frozen=True):
    """The unread messages of a user ("Pending messages"); without any, `user_id` is a text."""

    user_id: int | str
    results: list[UnreadCount]
