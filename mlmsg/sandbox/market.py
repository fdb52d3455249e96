"""What the sandbox knows: packs with their threads, and the stored files. Plain values, no I/O."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import PurePosixPath
from typing import Literal
from uuid import UUID, uuid5

from mlmsg.sandbox.shapes import (
    Attachment,
    ConversationStatus,
    Message,
    MessageDate,
    Moderation,
    Person,
    Resource,
)

__all__ = ["Author", "Market", "Pack", "StoredFile"]

Author = Literal["seller", "buyer"]
"""Who wrote a message."""

# Ids are derived from a counter, so that the same steps give the same ids in every run.
_IDS = UUID("6d6c6d73-6700-5000-8000-73616e64626f")
_CLIENT_ID = 7001002003004005
_MAX_EXTENSION = 10


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An uploaded file; `id` is `<user>_<uuid>.<ext>`, as seed 000 shows it."""

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
        """The file as it is listed in a message."""
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
    """A pack and its thread; `messages` is newest first, as served."""

    id: str
    site_id: str
    seller_id: int
    buyer_id: int
    seller_name: str
    buyer_name: str
    conversation_status: ConversationStatus
    messages: list[Message] = field(default_factory=list)

    def person(self, author: Author) -> Person:
        """The seller or the buyer, as a message shows them."""
        if author == "seller":
            return Person(self.seller_id, self.seller_name)
        return Person(self.buyer_id, self.buyer_name)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Market:
    """All packs and files of one sandbox, open to change by a test while the server runs.

    `packs` and `files` are plain dicts by id: taking a file out of `files` makes its download
    fail as a lost file does. `now` dates what gets no date of its own. Ids that are not given
    are the same in every run, for the same steps.
    """

    def __init__(self, *, user_id: int = 700100200, now: Callable[[], datetime] = _utc_now) -> None:
        self.user_id = user_id
        self.packs: dict[str, Pack] = {}
        self.files: dict[str, StoredFile] = {}
        self._now = now
        self._serial = count(1)

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
    ) -> Pack:
        """Add an active pack without messages; its seller is the market's `user_id` by default."""
        serial = next(self._serial)
        status = ConversationStatus(
            claim_ids=None,
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
        )
        self.packs[pack.id] = pack
        return pack

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
    ) -> Message:
        """Add the newest message of a pack and return it; call it oldest message first.

        Args:
            pack_id: A pack of this market (KeyError otherwise).
            text: The text.
            author: Who wrote it; only a seller's message carries a `client_id`.
            text_translated: The text in the other side's language.
            attachments: Ids of files of this market (KeyError otherwise).
            at: When it was written, such as `2020-03-13T15:14:10Z`; now by default.
            read: When it was read; a message that was read was also notified.
            message_id: 32 hex digits by default.
            status: An open set; `available` by default.
        """
        pack = self.packs[str(pack_id)]
        files = [self.files[file_id].attachment() for file_id in attachments]
        at = at or self.date()
        message = Message(
            id=message_id or self._uuid("message").hex,
            site_id=pack.site_id,
            client_id=_CLIENT_ID if author == "seller" else None,
            sender=pack.person(author),
            recipient=pack.person("buyer" if author == "seller" else "seller"),
            status=status,
            subject=None,
            text=text,
            message_date=MessageDate(at, at, read and at.replace("Z", ".000Z"), at, read),
            message_moderation=Moderation("clean", None, "online", at),
            message_attachments=files or None,
            message_resources=[
                Resource(pack.id, "packs"),
                Resource(str(pack.seller_id), "sellers"),
            ],
            conversation_first_message=not pack.messages,
            text_translated=text_translated,
        )
        pack.messages.insert(0, message)
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
        """Store a file as if `user_id` (the market's own by default) had uploaded it."""
        user_id = self.user_id if user_id is None else user_id
        stored = StoredFile(
            id=file_id or f"{user_id}_{self._uuid('file')}{_extension(original_filename)}",
            data=data,
            original_filename=original_filename,
            content_type=content_type,
            creation_date=creation_date or self.date(),
            potential_security_threat=potential_security_threat,
        )
        self.files[stored.id] = stored
        return stored

    def message(self, message_id: str) -> Message | None:
        """The message with this id in any pack, or None."""
        # A walk, not an index: tests change the lists of messages directly.
        threads = (pack.messages for pack in self.packs.values())
        return next((m for thread in threads for m in thread if m.id == message_id), None)

    def date(self) -> str:
        """The present moment in the API's shape, such as `2020-03-13T15:14:10Z`."""
        return self._now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def _uuid(self, kind: str) -> UUID:
        return uuid5(_IDS, f"{kind} {next(self._serial)}")


def _extension(filename: str) -> str:
    suffix = PurePosixPath(filename).suffix
    plain = suffix.isascii() and suffix[1:].isalnum() and len(suffix) <= _MAX_EXTENSION
    return suffix if plain else ""
