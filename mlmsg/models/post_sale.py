"""The responses of the document "Post-sale messages": threads, messages and their files.

The document "Pending messages" shows threads in an older spelling. These structs read both.
"""

from datetime import datetime
from typing import ClassVar

import msgspec

from mlmsg._html import Bubble, count_text, file_lines, render_thread, status_remarks
from mlmsg._numbers import whole_number

from ._base import UtcStruct
from ._blocked import Advice, guidance_for
from ._flat_message import unflatten
from ._moderation import moderation_hint

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
    """The position of a page in its thread (Post-sale messages, "Paging object").

    Attributes:
        limit: The largest number of messages in this page. It may be lower than requested.
        offset: The number of skipped messages.
        total: The number of messages in the whole thread, or None if the response has none.
    """

    limit: int | None = None
    offset: int = 0
    total: int | None = None


class ConversationStatus(UtcStruct, frozen=True, kw_only=True, gc=False):
    """The state of a thread (Post-sale messages, "Conversation Status object").

    Attributes:
        status: `active`, `blocked`, …
        substatus: The reason of the status, such as `blocked_by_time`, or None.
        status_date: The time of the last change; aware, UTC if the API gave no zone.
        status_update_allowed: True if the status can be changed.
        shipping_id: The shipment of the order, or None.
        path: The path of the thread in the older spelling (Pending messages), or None.
        claim_ids: The value of the API: null, one id or a list. `claims` reads all forms.
        claim_id: The older spelling of `claim_ids` (Pending messages).
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
    def advice(self) -> Advice:
        """The next step: `reply`, `reason`, `wait`, `claim`, `later`, `final` or `unknown`."""
        return guidance_for(self.status, self.substatus).advice

    @property
    def hint(self) -> str:
        """The advice in words; `""` for an open conversation."""
        return guidance_for(self.status, self.substatus).hint

    @property
    def claims(self) -> list[int]:
        """The ids of the claims on this thread, from both keys and in all forms."""
        ids: list[int | str | None] = []
        for value in (self.claim_ids, self.claim_id):
            ids += value if isinstance(value, list) else [value]
        numbers = (whole_number(str(claim)) for claim in ids)
        return list(dict.fromkeys(number for number in numbers if number is not None))


class User(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The sender or the receiver of a message (Post-sale messages, "from / to").

    Attributes:
        user_id: The user's id.
        name: The user's name. It may be `""`.
        email: The user's address; only in the older spelling (Pending messages).
    """

    user_id: int | None = None
    name: str | None = None
    email: str | None = None


class MessageDate(UtcStruct, frozen=True, kw_only=True, gc=False):
    """The times of a message (Post-sale messages, "Message Date object").

    All are aware, UTC if the API gave no zone.

    Attributes:
        created: The time of creation.
        received: The time at which the API received the message.
        available: The time at which the message became available, or None.
        notified: The time at which the recipient was notified, or None.
        read: The time at which the recipient read the message; None while it is unread.
    """

    created: datetime | None = None
    received: datetime | None = None
    available: datetime | None = None
    notified: datetime | None = None
    read: datetime | None = None


class Moderation(UtcStruct, frozen=True, kw_only=True, gc=False):
    """The result of moderation for a message (Post-sale messages, "Message Moderation object").

    Attributes:
        status: `clean`, `blocked`, `pending`, `rejected`, `NON_MODERATED`, …
        reason: The reason, or None, `""` or `"none"`.
        source: The place of moderation (`online`, …). `by` is copied to it.
        by: The older spelling of `source` (Pending messages).
        moderation_date: The time of moderation; aware, UTC if the API gave no zone.
    """

    status: str | None = None
    reason: str | None = None
    source: str | None = None
    by: str | None = None
    moderation_date: datetime | None = None

    def __post_init__(self) -> None:
        """Copy `by` to `source`."""
        super().__post_init__()
        if self.source is None and self.by is not None:
            msgspec.structs.force_setattr(self, "source", self.by)

    @property
    def rejected(self) -> bool:
        """True if moderation rejected the message: the buyer does not get it."""
        return (self.status or "").lower() in {"rejected", "blocked"}

    @property
    def pending(self) -> bool:
        """True if moderation has not decided yet: the buyer does not see the message."""
        return (self.status or "").lower() == "pending"

    @property
    def hint(self) -> str:
        """The advice for the reason; `""` without a reason."""
        return moderation_hint(self.reason)


class Attachment(UtcStruct, frozen=True, kw_only=True, gc=False):
    """A file of a message (Post-sale messages, "Message Attachments array").

    Attributes:
        filename: The name given by the API, which is the id. Pass it to `attachments.download`.
        original_filename: The name at upload. It cannot be used for a download.
        type: The MIME type. It may be `application/octet-stream`.
        size: The size in bytes.
        potential_security_threat: True if the API flagged the file as potentially harmful.
        creation_date: The time of the upload; aware, UTC if the API gave no zone.
    """

    filename: str | None = None
    original_filename: str | None = None
    type: str | None = None
    size: int | None = None
    potential_security_threat: bool | None = None
    creation_date: datetime | None = None


class Resource(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An owner of a message: a pack or a seller (Post-sale messages, `message_resources`).

    Attributes:
        id: The id of the pack or the seller.
        name: `packs`, `sellers` or `seller`, …
    """

    id: str | None = None
    name: str | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message of a pack's thread (Post-sale messages, "Messages array").

    Attributes:
        id: The id of the message.
        site_id: `MLM`, `MLB`, `MCO`, `MLC`, …
        client_id: The application that sent the message, or None.
        from_: The sender.
        to: The recipient; None in the older spelling (Pending messages).
        status: `available`, `blocked`, `moderated`, `IN_MODERATION`, …
        subject: The subject; None in every documented response.
        text: The text as written.
        text_translated: The text in the reader's language.
        message_date: The times.
        message_moderation: The result of moderation.
        message_attachments: The files; None or `[]` if there are none. See `attachments`.
        message_resources: The pack and the seller of the thread.
        conversation_first_message: True if the message opened the conversation.
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

    _reshape: ClassVar = staticmethod(unflatten)

    @property
    def attachments(self) -> list[Attachment]:
        """The files; an empty list if there are none."""
        return self.message_attachments or []

    @property
    def pack_id(self) -> int | None:
        """The pack in `message_resources`, or the order; None if it names none."""
        return self._resource_id("pack") or self._resource_id("order")

    @property
    def seller_id(self) -> int | None:
        """The seller in `message_resources`; None if it names none."""
        return self._resource_id("seller")

    def _resource_id(self, name: str) -> int | None:
        """Return the id of a resource whose name is `name` in the singular or plural."""
        for resource in self.message_resources or ():
            is_named = (resource.name or "").lower() in {name, f"{name}s"}
            number = whole_number(resource.id or "")
            if is_named and number is not None:
                return number
        return None

    def _bubble(self) -> Bubble:
        sender = self.from_
        user_id = sender.user_id if sender else None
        name = sender.name if sender else None
        return Bubble(
            author=name or str(user_id or "unknown"),
            is_mine=user_id is not None and user_id == self.seller_id,
            at=self.message_date.created if self.message_date else None,
            text=self.text or "",
            translation=self.text_translated or "",
            files=file_lines(self.attachments),
            notes=status_remarks(self.status, self.message_moderation),
        )

    def _repr_html_(self) -> str:
        return render_thread(f"Message {self.id}", [self._bubble()])


class ThreadPage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One page of a pack's thread (Post-sale messages, "Get messages by pack").

    Attributes:
        messages: The messages of this page. Every documented example is newest first.
        paging: The position of the page, or None.
        conversation_status: The state of the thread, or None.
        seller_max_message_length: The largest length of a text of the seller, or None.
        buyer_max_message_length: The largest length of a text of the buyer, or None.
    """

    messages: list[Message]
    paging: Paging | None = None
    conversation_status: ConversationStatus | None = None
    seller_max_message_length: int | None = None
    buyer_max_message_length: int | None = None

    @property
    def items(self) -> list[Message]:
        """The messages. `mlmsg.paging` reads them under this name."""
        return self.messages

    @property
    def total(self) -> int | None:
        """The number of messages in the whole thread, or None if the response has none."""
        return self.paging.total if self.paging else None

    def __repr__(self) -> str:
        total = "" if self.total is None else f" of {self.total}"
        state = self.conversation_status.status if self.conversation_status else None
        return f"<ThreadPage: {len(self.messages)}{total} messages, {state or 'no state'}>"

    def _repr_html_(self) -> str:
        return _thread_html(self.messages, self.total, self.conversation_status)


class Conversation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A whole thread: all messages and the state.

    Attributes:
        messages: All messages, in the server's order. Every documented example is newest first.
        status: The state of the thread, from its first page.
    """

    messages: list[Message]
    status: ConversationStatus | None = None

    def __repr__(self) -> str:
        state = self.status.status if self.status else None
        return f"<Conversation: {len(self.messages)} messages, {state or 'no state'}>"

    def _repr_html_(self) -> str:
        return _thread_html(self.messages, None, self.status)


class Upload(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stored file, not yet part of any message (Post-sale messages, "Upload attachment").

    Attributes:
        id: The id to pass to `packs.send(attachments=[…])`.
    """

    id: str


_REJECTED = frozenset({"moderated", "rejected", "blocked"})
_PENDING = frozenset({"in_moderation", "pending", "pending_translation"})


class Sent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The result of a send that the API accepted.

    An accepted message is not yet delivered: moderation may reject it. `message` shows the result
    of moderation if the response contains the message. No document shows this response.

    Attributes:
        status_code: The HTTP status, 200 to 299.
        message: The message in the response, or None if the response contains none.
    """

    status_code: int
    message: Message | None = None

    @property
    def id(self) -> str | None:
        """The id of the new message, or None if the response contains none."""
        return self.message.id if self.message else None

    @property
    def rejected(self) -> bool:
        """True if moderation rejected the message: the buyer does not get it."""
        if self.message is None:
            return False
        moderation = self.message.message_moderation
        is_rejected = moderation is not None and moderation.rejected
        return is_rejected or (self.message.status or "").lower() in _REJECTED

    @property
    def pending(self) -> bool:
        """True if moderation or translation is not finished: the buyer does not see it yet."""
        if self.message is None or self.rejected:
            return False
        moderation = self.message.message_moderation
        is_pending = moderation is not None and moderation.pending
        return is_pending or (self.message.status or "").lower() in _PENDING


def _thread_html(
    messages: list[Message], total: int | None, status: ConversationStatus | None
) -> str:
    """Return a thread for a notebook."""
    packs = {message.pack_id for message in messages}
    pack_id = packs.pop() if len(packs) == 1 else None
    notes = [f"pack {pack_id}" if pack_id else "", status.hint if status else ""]
    title = [count_text(len(messages), total, "message")]
    if status is not None and status.status:
        title.append(status.substatus or status.status)
    bubbles = [message._bubble() for message in messages]  # noqa: SLF001  (of this module)
    return render_thread(" · ".join(title), bubbles, " · ".join(filter(None, notes)))
