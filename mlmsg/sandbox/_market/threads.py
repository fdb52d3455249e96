"""The packs of a market, their messages and files."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from mlmsg.sandbox._market.base import MarketBase, Setup, extension
from mlmsg.sandbox.action_guide import ActionGuide, default_options
from mlmsg.sandbox.conversations import reopens_by_buyer
from mlmsg.sandbox.packs import CLIENT_ID, Author, Pack, StoredFile
from mlmsg.sandbox.records import Records
from mlmsg.sandbox.schemas.dates import add_milliseconds
from mlmsg.sandbox.schemas.packs import (
    ConversationStatus,
    Message,
    MessageDate,
    Moderation,
    Resource,
)
from mlmsg.sandbox.schemas.unread import UnreadCount
from mlmsg.sandbox.sites import AGENTS, GLOBAL_SELLING, OTHER_AGENT


class Threads(MarketBase):
    """The packs and files of a market; see `Market`."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.packs: Records[Pack] = Records(setup.archive.packs)
        self.files: Records[StoredFile] = Records(setup.archive.files, keeps=False)

    def add_pack(
        self,
        pack_id: int | str | None = None,
        *,
        site_id: str = "MLM",
        seller_id: int | None = None,
        buyer_id: int | None = None,
        seller_name: str = "",
        buyer_name: str = "",
        shipping_id: int | None = None,
        status_date: str | None = None,
        seller_max_message_length: int | None = 350,
        buyer_max_message_length: int | None = 3500,
        claim_ids: list[int] | None = None,
    ) -> Pack:
        """Add an active pack without messages, and return it.

        Its seller is the market's `user_id` by default.
        """
        serial = next(self._serial)
        status = ConversationStatus(
            claim_ids=claim_ids,
            shipping_id=shipping_id,
            status="active",
            status_date=status_date or self.date(),
            status_update_allowed=False,
            substatus=None,
        )
        pack = Pack(
            id=str(2000007000000000 + serial if pack_id is None else pack_id),
            site_id=site_id,
            seller_id=self.user_id if seller_id is None else seller_id,
            buyer_id=700900000 + serial if buyer_id is None else buyer_id,
            seller_name=seller_name,
            buyer_name=buyer_name,
            conversation_status=status,
            seller_max_message_length=seller_max_message_length,
            buyer_max_message_length=buyer_max_message_length,
            guide=ActionGuide(
                default_options(site_id, global_selling=self.site_id == GLOBAL_SELLING)
            ),
        )
        self.packs[pack.id] = pack
        return pack

    def block(self, pack_id: int | str, substatus: str, *, at: str | None = None) -> None:
        """Block the thread of a pack with a substatus, such as `blocked_by_time`.

        Raises:
            KeyError: The market has no such pack.
        """
        self._set_status(self.packs[str(pack_id)], "blocked", substatus, at)

    def unblock(self, pack_id: int | str, *, at: str | None = None) -> None:
        """Make the thread of a pack active.

        Raises:
            KeyError: The market has no such pack.
        """
        self._set_status(self.packs[str(pack_id)], "active", None, at)

    def migrate(self, pack_id: int | str, conversation_type: str = "agent") -> None:
        """Let the messaging agent of the site mediate the thread of a pack.

        New messages to the seller show the agent as their sender.

        Raises:
            KeyError: The market has no such pack.
        """
        pack = self.packs[str(pack_id)]
        pack.conversation_type = conversation_type
        pack.agent_id = AGENTS.get(pack.site_id, OTHER_AGENT)

    def _set_status(self, pack: Pack, status: str, substatus: str | None, at: str | None) -> None:
        pack.conversation_status = replace(
            pack.conversation_status,
            status=status,
            substatus=substatus,
            status_date=at or self.date(),
        )

    def add_message(
        self,
        pack_id: int | str,
        text: str,
        *,
        author: Author = "seller",
        text_translated: str | None = None,
        attachments: Sequence[str] = (),
        at: str | None = None,
        read: str | None = None,
        message_id: str | None = None,
        status: str = "available",
        moderation: Moderation | None = None,
    ) -> Message:
        """Add the newest message of a pack, and return it; add the oldest message first.

        A message of the buyer opens a thread whose substatus says so, such as `blocked_by_time`.

        Args:
            pack_id: The id of a pack of this market.
            text: The text.
            author: The author; only a message of the seller has a `client_id`.
            text_translated: The text in the language of the receiver.
            attachments: The ids of files of this market.
            at: The date of the message, such as `2020-03-13T15:14:10Z`; now by default.
            read: The read date; a message that was read was also notified.
            message_id: The id; 32 hex digits by default.
            status: The status, an open set; `available` by default.
            moderation: The moderation; clean by default. A rejected message has no date of
                availability.

        Raises:
            KeyError: The market has no such pack or file.
        """
        pack = self.packs[str(pack_id)]
        files = [self.files[file_id].attachment() for file_id in attachments]
        at = at or self.date()
        moderation = moderation or Moderation("clean", None, "online", at)
        available = None if moderation.status == "rejected" else at
        message = Message(
            id=message_id or self._uuid("message").hex,
            site_id=pack.site_id,
            client_id=CLIENT_ID if author == "seller" else None,
            sender=pack.person(author),
            recipient=pack.person("buyer" if author == "seller" else "seller"),
            status=status,
            subject=None,
            text=text,
            message_date=MessageDate(at, available, read and add_milliseconds(at), at, read),
            message_moderation=moderation,
            message_attachments=files or None,
            message_resources=[
                Resource(pack.id, "packs"),
                Resource(str(pack.seller_id), "sellers"),
            ],
            conversation_first_message=not pack.messages,
            text_translated=text_translated,
        )
        pack.messages.insert(0, message)
        if author == "buyer" and reopens_by_buyer(pack.conversation_status):
            self.unblock(pack.id, at=at)
        return message

    def add_file(
        self,
        data: bytes,
        original_filename: str,
        content_type: str = "application/octet-stream",
        *,
        user_id: int | None = None,
        file_id: str | None = None,
        potential_security_threat: bool = False,
        creation_date: str | None = None,
    ) -> StoredFile:
        """Store a file as an upload of `user_id` (the market's by default), and return it."""
        user_id = self.user_id if user_id is None else user_id
        stored = StoredFile(
            id=file_id or f"{user_id}_{self._uuid('file')}{extension(original_filename)}",
            data=data,
            original_filename=original_filename,
            content_type=content_type,
            creation_date=creation_date or self.date(),
            potential_security_threat=potential_security_threat,
        )
        self.files[stored.id] = stored
        return stored

    def message(self, message_id: str) -> Message | None:
        """Return the message with this id in any pack, or None."""
        # Without an index, because tests change the lists of messages directly.
        kept = self.packs.kept.values()
        pack_id = self._archive.pack_of_message(message_id)
        pack = None if pack_id is None else self.packs.peek(pack_id)
        threads = [one.messages for one in (*kept, pack) if one is not None]
        return next((m for thread in threads for m in thread if m.id == message_id), None)

    def unread(self, role: str | None = None) -> list[UnreadCount]:
        """Return the conversations with unread messages to the user.

        Those of packs that were never changed come first, and each part is in its order.

        Args:
            role: `seller` for the packs that the user sold, `buyer` for those that the user
                bought; any other value for all.
        """
        user_ids = self.user_ids
        counts = (
            UnreadCount(pack.resource, pack.unread(self._member_of(pack)))
            for pack in self._packs_to_count()
            if not (role == "seller" and pack.seller_id not in user_ids)
            if not (role == "buyer" and pack.buyer_id not in user_ids)
        )
        return [unread for unread in counts if unread.count]

    def _packs_to_count(self) -> Iterator[Pack]:
        """Yield each pack that can have unread messages, without keeping it."""
        kept = self.packs.kept
        for pack_id in self._archive.unread_packs():
            pack = None if pack_id in kept else self.packs.peek(pack_id)
            if pack is not None:
                yield pack
        yield from kept.values()

    def mark_as_read(self, pack_id: int | str, *, at: str | None = None) -> int:
        """Set a read date on the unread messages to the user; return their number.

        Raises:
            KeyError: The market has no such pack.
        """
        pack = self.packs.peek(str(pack_id))
        if pack is not None and not pack.unread(self._member_of(pack)):
            return 0
        pack = self.packs[str(pack_id)]
        return pack.mark_as_read(self._member_of(pack), at or self.date())

    def _member_of(self, pack: Pack) -> int:
        """Return the id under which the user is part of a pack."""
        return pack.seller_id if pack.seller_id in self.user_ids else self.user_id
