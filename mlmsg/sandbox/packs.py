"""Packs with their threads, and the files of their messages. Plain values, no I/O."""

from dataclasses import dataclass, field
from typing import Literal

from msgspec.structs import replace

from mlmsg.sandbox.action_guide import ActionGuide
from mlmsg.sandbox.conversations import hides_messages
from mlmsg.sandbox.schemas.dates import add_milliseconds
from mlmsg.sandbox.schemas.packs import Attachment, ConversationStatus, Message, Person

__all__ = ["CLIENT_ID", "Author", "Pack", "StoredFile"]

CLIENT_ID = 7001002003004005
"""The `client_id` of the messages of the seller."""

Author = Literal["seller", "buyer"]
"""The author of a message."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An uploaded file; `id` is `<user>_<uuid>.<ext>` as in "Post-sale messages"."""

    id: str
    data: bytes = field(repr=False)
    original_filename: str
    content_type: str
    creation_date: str
    potential_security_threat: bool = False

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self.data)

    def attachment(self) -> Attachment:
        """Return the file as a message lists it."""
        return Attachment(
            filename=self.id,
            original_filename=self.original_filename,
            type=self.content_type,
            size=self.size,
            potential_security_threat=self.potential_security_threat,
            creation_date=self.creation_date,
        )


@dataclass(slots=True)
class Pack:
    """A pack and its thread; `messages` is newest first, as served.

    Attributes:
        seller_max_message_length: The longest text of the seller in characters, as the seller
            thread shows it; None omits it.
        buyer_max_message_length: The longest text of the buyer, in the same way.
        conversation_type: The last part of `conversation_status.path` in a thread that an agent
            mediates; None in any other thread. The values are not documented.
        agent_id: The user id of the messaging agent, who takes the buyer's place in new messages
            and as the recipient; None without an agent. Set it to migrate the thread.
        guide: The reasons by which the seller starts the conversation.
    """

    id: str
    site_id: str
    seller_id: int
    buyer_id: int
    seller_name: str
    buyer_name: str
    conversation_status: ConversationStatus
    messages: list[Message] = field(default_factory=list)
    seller_max_message_length: int | None = 350
    buyer_max_message_length: int | None = 3500
    conversation_type: str | None = None
    agent_id: int | None = None
    guide: ActionGuide = field(default_factory=ActionGuide)

    @property
    def resource(self) -> str:
        """The resource of the unread counts: `/packs/{pack}/sellers/{seller}`."""
        return f"/packs/{self.id}/sellers/{self.seller_id}"

    @property
    def counterpart_id(self) -> int:
        """The user id to which the seller writes: the agent, or else the buyer."""
        return self.buyer_id if self.agent_id is None else self.agent_id

    @property
    def visible_messages(self) -> list[Message]:
        """The messages that the pages of the thread contain."""
        return [] if hides_messages(self.conversation_status) else self.messages

    def path(self, sellers: str = "sellers") -> str:
        """Return `conversation_status.path`; the legacy spelling has `seller` for `sellers`."""
        path = f"/packs/{self.id}/{sellers}/{self.seller_id}"
        if self.conversation_type is None:
            return path
        return f"{path}/conversations/{self.conversation_type}"

    def was_answered(self) -> bool:
        """Return True if the thread contains a message of the buyer or of an agent."""
        return any(message.sender.user_id != self.seller_id for message in self.messages)

    def person(self, author: Author) -> Person:
        """Return the seller or the buyer as a new message shows them."""
        if author == "seller":
            return Person(self.seller_id, self.seller_name)
        return Person(self.counterpart_id, self.buyer_name)

    def unread(self, user_id: int) -> int:
        """Return the number of messages to this user without a read date."""
        return sum(_is_unread(user_id, message) for message in self.messages)

    def mark_as_read(self, user_id: int, at: str) -> int:
        """Set the read date `at` on every unread message to this user; return their number."""
        count = self.unread(user_id)
        # In place: callers may hold the list.
        self.messages[:] = [
            _with_read_date(message, at) if _is_unread(user_id, message) else message
            for message in self.messages
        ]
        return count


def _is_unread(user_id: int, message: Message) -> bool:
    return message.recipient.user_id == user_id and message.message_date.read is None


def _with_read_date(message: Message, at: str) -> Message:
    dates = message.message_date
    # A message that was read was also notified, at the latest when it was created.
    notified = dates.notified or add_milliseconds(dates.created)
    return replace(message, message_date=replace(dates, notified=notified, read=at))
