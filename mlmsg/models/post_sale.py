"""The answers of the document "Post-sale messages": threads, messages and their files.

Pending messages are read as threads too, in an older spelling that these structs know.
"""

from datetime import datetime

import msgspec

from ._base import UtcStruct

__all__ = [
    "Attachment",
    "Conversation",
    "ConversationStatus",
    "Message",
    "MessageDate",
    "Moderation",
    "Paging",
    "Resource",
    "Sent",
    "ThreadPage",
    "Upload",
    "User",
]


class Paging(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a page stands in its thread (Post-sale messages, "Paging object").

    Attributes:
        limit: The largest number of messages in this page; the server may lower what was asked.
        offset: How many messages were skipped.
        total: How many messages the whole thread holds; None where the server does not say.
    """

    limit: int | None = None
    offset: int = 0
    total: int | None = None


class ConversationStatus(UtcStruct, frozen=True, kw_only=True, gc=False):
    """The state of a thread (Post-sale messages, "Conversation Status object").

    Attributes:
        status: `active`, `blocked`, …
        substatus: More of the same, or None.
        status_date: When the status last changed; aware, UTC where no zone was given.
        status_update_allowed: Whether the status can be changed.
        shipping_id: The shipment of the order, or None.
        path: The thread's own path in the older spelling (Pending messages), or None.
        claim_ids: As sent: null, one id or a list; `claims` reads all forms.
        claim_id: The older spelling of the same (Pending messages).
    """

    status: str | None = None
    substatus: str | None = None
    status_date: datetime | None = None
    status_update_allowed: bool | None = None
    shipping_id: int | None = None
    path: str | None = None
    claim_ids: list[int | str] | int | str | None = None
    claim_id: list[int | str] | int | str | None = None

    @property
    def claims(self) -> list[int]:
        """The ids of the claims on this thread, under whichever key and in whichever form."""
        ids: list[int | str] = []
        for value in (self.claim_ids, self.claim_id):
            ids += value if isinstance(value, list) else [] if value is None else [value]
        return list(dict.fromkeys(int(x) for x in ids if str(x).isdecimal()))


class User(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who sent or received a message (Post-sale messages, "from / to").

    Attributes:
        user_id: The user's id.
        name: The user's name; it may be `""`.
        email: Only in the older spelling (Pending messages).
    """

    user_id: int | None = None
    name: str | None = None
    email: str | None = None


class MessageDate(UtcStruct, frozen=True, kw_only=True, gc=False):
    """The times of a message (Post-sale messages, "Message Date object").

    Attributes:
        created: When it was written. This and the others: aware, UTC where no zone was given.
        received: When the API took it in.
        available: When it became available, or None.
        notified: When the recipient was notified, or None.
        read: When the other side read it; None while unread.
    """

    created: datetime | None = None
    received: datetime | None = None
    available: datetime | None = None
    notified: datetime | None = None
    read: datetime | None = None


class Moderation(UtcStruct, frozen=True, kw_only=True, gc=False):
    """What moderation made of a message (Post-sale messages, "Message Moderation object").

    Attributes:
        status: `clean`, `blocked`, `pending`, `rejected`, `NON_MODERATED`, …
        reason: Why, or None, `""`, `"none"`.
        source: Where it happened (`online`, …); the older spelling `by` is read into it too.
        by: The older spelling of `source` (Pending messages).
        moderation_date: When; aware, UTC where no zone was given.
    """

    status: str | None = None
    reason: str | None = None
    source: str | None = None
    by: str | None = None
    moderation_date: datetime | None = None

    def __post_init__(self) -> None:
        """Reads the older spelling into the newer one."""
        super().__post_init__()
        if self.source is None and self.by is not None:
            msgspec.structs.force_setattr(self, "source", self.by)


class Attachment(UtcStruct, frozen=True, kw_only=True, gc=False):
    """A file of a message (Post-sale messages, "Message Attachments array").

    Attributes:
        filename: The name the system gave it, and its id: what `attachments.download` takes.
        original_filename: The name it was uploaded under; it opens nothing.
        type: The MIME type; it may be `application/octet-stream`.
        size: Bytes.
        potential_security_threat: Whether the API flagged the file as potentially harmful.
        creation_date: When it was uploaded; aware, UTC where no zone was given.
    """

    filename: str | None = None
    original_filename: str | None = None
    type: str | None = None
    size: int | None = None
    potential_security_threat: bool | None = None
    creation_date: datetime | None = None


class Resource(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a message belongs to (Post-sale messages, `message_resources`).

    Attributes:
        id: The id of the pack or the seller.
        name: `packs`, `sellers` or `seller`, …
    """

    id: str | None = None
    name: str | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message of a pack's thread (Post-sale messages, "Messages array").

    Attributes:
        id: The message's own id.
        site_id: `MLM`, `MLB`, `MCO`, `MLC`, …
        client_id: The application that sent it, or None.
        from_: Who sent it.
        to: Who it is for; missing in the older spelling (Pending messages).
        status: `available`, `blocked`, `moderated`, `IN_MODERATION`, …
        subject: None in every documented answer.
        text: The text as written.
        text_translated: The text in the reader's language.
        message_date: Its times.
        message_moderation: What moderation made of it.
        message_attachments: Its files as sent; None where there are none. See `attachments`.
        message_resources: The pack and the seller it belongs to.
        conversation_first_message: Whether it opened the conversation.
    """

    id: str
    site_id: str | None = None
    client_id: int | None = None
    from_: User | None = msgspec.field(default=None, name="from")
    to: User | None = None
    status: str | None = None
    subject: str | None = None
    text: str | None = None
    text_translated: str | None = None
    message_date: MessageDate | None = None
    message_moderation: Moderation | None = None
    message_attachments: list[Attachment] | None = None
    message_resources: list[Resource] | None = None
    conversation_first_message: bool | None = None

    @property
    def attachments(self) -> list[Attachment]:
        """Its files; empty where there are none."""
        return self.message_attachments or []


class ThreadPage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One page of a pack's thread (Post-sale messages, "Get messages by pack").

    Attributes:
        messages: The messages of this page. Every documented example is newest first.
        paging: Where the page stands, or None.
        conversation_status: The state of the thread, or None.
        seller_max_message_length: The longest text the seller may send here, or None.
        buyer_max_message_length: The longest text the buyer may send here, or None.
    """

    messages: list[Message]
    paging: Paging | None = None
    conversation_status: ConversationStatus | None = None
    seller_max_message_length: int | None = None
    buyer_max_message_length: int | None = None

    @property
    def items(self) -> list[Message]:
        """The messages, under the name by which `paging` walks."""
        return self.messages

    @property
    def total(self) -> int | None:
        """How many messages the whole thread holds; None where the server does not say."""
        return self.paging.total if self.paging else None


class Conversation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A whole thread: all its messages, and its state.

    Attributes:
        messages: Every message, in the order of the server: the newest first in its documents.
        status: The state of the thread, as its first page told it.
    """

    messages: list[Message]
    status: ConversationStatus | None = None


class Upload(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stored file, not yet part of any message (Post-sale messages, "Upload attachment").

    Attributes:
        id: What `packs.send(attachments=[…])` takes.
    """

    id: str


class Sent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A send that the API accepted.

    Accepted is not delivered: moderation may hold the message back, which `message` tells where
    the API answers with it. No document says what the answer holds.

    Attributes:
        status_code: The HTTP status, 200 to 299.
        message: The message as the API answered it; None where it answered with none.
    """

    status_code: int
    message: Message | None = None

    @property
    def id(self) -> str | None:
        """The new message's id, where the API answered with it."""
        return self.message.id if self.message else None
