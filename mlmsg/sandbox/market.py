"""What the sandbox knows: packs, their files, and claims. Plain values, no I/O."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import PurePosixPath
from uuid import UUID, uuid5

from mlmsg.sandbox._dates import claim_date, moment_of, with_millis, zulu
from mlmsg.sandbox.claim_shapes import ClaimMessage, ClaimModeration, Role, Stage
from mlmsg.sandbox.claims import Claim, ClaimFile
from mlmsg.sandbox.packs import Author, Pack, StoredFile
from mlmsg.sandbox.shapes import (
    ConversationStatus,
    Message,
    MessageDate,
    Moderation,
    Resource,
    UnreadCount,
)

__all__ = ["Market"]

# Ids are derived from a counter, so that the same steps give the same ids in every run.
_IDS = UUID("6d6c6d73-6700-5000-8000-73616e64626f")
_CLIENT_ID = 7001002003004005
_MAX_EXTENSION = 10


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Market:
    """All packs, files and claims of one sandbox, open to change while the server runs.

    `packs`, `files` and `claims` are plain dicts by id: taking a file out of `files` makes its
    download fail as a lost file does. `user_id` is the seller whose tokens are accepted. `now`
    dates what gets no date of its own. Ids that are not given are the same in every run, for the
    same steps.

    Attributes:
        denied: Ids of claims that a PolicyAgent keeps from the seller, whether they exist or not.
    """

    def __init__(self, *, user_id: int = 700100200, now: Callable[[], datetime] = _utc_now) -> None:
        self.user_id = user_id
        self.packs: dict[str, Pack] = {}
        self.files: dict[str, StoredFile] = {}
        self.claims: dict[str, Claim] = {}
        self.denied: set[int | str] = set()
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
            message_date=MessageDate(at, at, read and with_millis(at), at, read),
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

    def unread(self, role: str | None = None) -> list[UnreadCount]:
        """The conversations with messages to the user that have no read date, in market order.

        Args:
            role: `seller` for those the user sold, `buyer` for those the user bought; all of
                them for anything else.
        """
        counts = (
            UnreadCount(pack.resource, pack.unread(self.user_id))
            for pack in self.packs.values()
            if not (role == "seller" and pack.seller_id != self.user_id)
            if not (role == "buyer" and pack.buyer_id != self.user_id)
        )
        return [unread for unread in counts if unread.count]

    def mark_as_read(self, pack_id: int | str, *, at: str | None = None) -> int:
        """Give the messages to the user in this pack a read date; return how many had none."""
        return self.packs[str(pack_id)].mark_as_read(self.user_id, at or self.date())

    def add_claim(
        self,
        claim_id: int | str | None = None,
        *,
        stage: Stage = "claim",
        status: str = "opened",
        site_id: str = "MLM",
        complainant_id: int | None = None,
        respondent_id: int | None = None,
        mediator_id: int | None = None,
        version_1: bool = False,
        at: str | None = None,
    ) -> Claim:
        """Add a claim without messages; its respondent is the market's `user_id` by default.

        Args:
            claim_id: Digits; it is an int in the claim's JSON.
            stage: A `dispute` has a mediator, a `claim` only with a `mediator_id`.
            status: An open set; only in `opened` may anyone do anything.
            site_id: Where it happened.
            complainant_id: The buyer.
            respondent_id: The seller.
            mediator_id: Who decides a dispute.
            version_1: It is of "Claims 1.0": the v2 paths refuse it.
            at: When it was opened, such as `2024-08-22T17:31:37.000-04:00`; now by default.
        """
        serial = next(self._serial)
        claim = Claim(
            id=str(int(5200000000 + serial if claim_id is None else claim_id)),
            site_id=site_id,
            stage=stage,
            status=status,
            date_created=at or claim_date(self._now()),
            version_1=version_1,
        )
        claim.add_player("complainant", complainant_id or 700900000 + serial)
        claim.add_player("respondent", respondent_id or self.user_id)
        if mediator_id is not None or stage == "dispute":
            claim.add_player("mediator", mediator_id or 700800000 + serial)
        self.claims[claim.id] = claim
        return claim

    def add_claim_message(
        self,
        claim_id: int | str,
        message: str,
        *,
        sender: Role = "complainant",
        receiver: Role | None = None,
        translated_message: str | None = None,
        attachments: Sequence[str] = (),
        at: str | None = None,
        read: str | None = None,
        stage: Stage | None = None,
        status: str = "available",
    ) -> ClaimMessage:
        """Add the newest message of a claim and return it; call it oldest message first.

        Args:
            claim_id: A claim of this market (KeyError otherwise).
            message: The text.
            sender: Who wrote it. Nobody checks that they have the action for it.
            receiver: Whom to: by default the respondent, and from the respondent the complainant.
            translated_message: The text in the receiver's language.
            attachments: Names of files of this claim (KeyError otherwise).
            at: When it was written, such as `2024-08-22T17:31:37.000-04:00`; now by default.
            read: When it was read, such as `2024-08-22T21:32:21Z`.
            stage: The stage it was written in; the claim's by default.
            status: An open set; `available` by default.
        """
        claim = self.claims[str(claim_id)]
        at = at or claim_date(self._now())
        added = ClaimMessage(
            sender_role=sender,
            receiver_role=receiver or ("complainant" if sender == "respondent" else "respondent"),
            message=message,
            translated_message=translated_message,
            date_created=at,
            last_updated=at,
            message_date=at,
            date_read=read,
            attachments=[claim.files[name].attachment() for name in attachments],
            status=status,
            stage=stage or claim.stage,
            message_moderation=ClaimModeration("clean", "", "online", zulu(moment_of(at))),
            repeated=False,
        )
        claim.messages.insert(0, added)
        return added

    def add_claim_file(
        self,
        claim_id: int | str,
        data: bytes,
        original_filename: str,
        content_type: str = "application/octet-stream",
        *,
        file_name: str | None = None,
        at: str | None = None,
    ) -> ClaimFile:
        """Store a file of a claim (KeyError otherwise) under `<uuid>.<ext>`, or `file_name`."""
        stored = ClaimFile(
            file_name=file_name or f"{self._uuid('claim file')}{_extension(original_filename)}",
            data=data,
            original_filename=original_filename,
            content_type=content_type,
            date_created=at or claim_date(self._now()),
        )
        self.claims[str(claim_id)].files[stored.file_name] = stored
        return stored

    def date(self) -> str:
        """The present moment in the API's shape, such as `2020-03-13T15:14:10Z`."""
        return zulu(self._now())

    def _uuid(self, kind: str) -> UUID:
        return uuid5(_IDS, f"{kind} {next(self._serial)}")


def _extension(filename: str) -> str:
    suffix = PurePosixPath(filename).suffix
    plain = suffix.isascii() and suffix[1:].isalnum() and len(suffix) <= _MAX_EXTENSION
    return suffix if plain else ""
