"""The market of a sandbox: packs, their files, and claims. Plain values, no I/O."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import PurePosixPath
from uuid import UUID, uuid5

from msgspec.structs import replace

from mlmsg.sandbox.action_guide import ActionGuide, default_options
from mlmsg.sandbox.claims import Claim, ClaimFile
from mlmsg.sandbox.conversations import reopens_by_buyer
from mlmsg.sandbox.packs import Author, Pack, StoredFile
from mlmsg.sandbox.schemas.claims import ClaimMessage, ClaimModeration, Role, Stage
from mlmsg.sandbox.schemas.dates import (
    add_milliseconds,
    format_claim_date,
    format_utc,
    parse_date,
)
from mlmsg.sandbox.schemas.packs import (
    ConversationStatus,
    Message,
    MessageDate,
    Moderation,
    Resource,
)
from mlmsg.sandbox.schemas.unread import UnreadCount
from mlmsg.sandbox.schemas.users import MarketplaceSeller
from mlmsg.sandbox.sites import AGENTS, GLOBAL_SELLING, OTHER_AGENT

__all__ = ["Market"]

# Ids derive from a counter, so that the same steps give the same ids in every run.
_IDS = UUID("6d6c6d73-6700-5000-8000-73616e64626f")
_CLIENT_ID = 7001002003004005
_MAX_EXTENSION = 10


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Market:
    """All packs, files and claims of one sandbox; change them at any time.

    Default ids are the same in every run, for the same steps.

    Args:
        user_id: The account whose tokens are accepted.
        site_id: The site of the account: `CBT` for Global Selling, any other for domestic.
        nickname: The nickname of the account.
        now: The clock of every date that is not given.

    Attributes:
        packs: The packs by id.
        files: The files of messages by id. The download of a removed file fails as that of a
            lost file does.
        claims: The claims by id.
        tags: The tags of the account.
        marketplaces: The sellers of a Global Selling account.
        denied: The ids of claims that the PolicyAgent denies to the seller, existing or not.
    """

    def __init__(
        self,
        *,
        user_id: int = 700100200,
        site_id: str = GLOBAL_SELLING,
        nickname: str = "TIENDA_EJEMPLO",
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.user_id: int = user_id
        self.site_id = site_id
        self.nickname = nickname
        self.tags: list[str] = ["normal", "test_user"]
        self.marketplaces: list[MarketplaceSeller] = []
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
            client_id=_CLIENT_ID if author == "seller" else None,
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
        """Return the message with this id in any pack, or None."""
        # Without an index, because tests change the lists of messages directly.
        threads = (pack.messages for pack in self.packs.values())
        return next((m for thread in threads for m in thread if m.id == message_id), None)

    def unread(self, role: str | None = None) -> list[UnreadCount]:
        """Return the conversations with unread messages to the user, in the order of `packs`.

        Args:
            role: `seller` for the packs that the user sold, `buyer` for those that the user
                bought; any other value for all.
        """
        counts = (
            UnreadCount(pack.resource, pack.unread(self.user_id))
            for pack in self.packs.values()
            if not (role == "seller" and pack.seller_id != self.user_id)
            if not (role == "buyer" and pack.buyer_id != self.user_id)
        )
        return [unread for unread in counts if unread.count]

    def mark_as_read(self, pack_id: int | str, *, at: str | None = None) -> int:
        """Set a read date on the unread messages to the user; return their number.

        Raises:
            KeyError: The market has no such pack.
        """
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
        """Add a claim without messages, and return it.

        Args:
            claim_id: The id, in digits; the JSON of the claim has an int.
            stage: A `dispute` has a mediator, a `claim` only with a `mediator_id`.
            status: The status, an open set; players have actions only in `opened`.
            site_id: The site of the sale.
            complainant_id: The buyer.
            respondent_id: The seller; the market's `user_id` by default.
            mediator_id: The mediator.
            version_1: The claim is of "Claims 1.0": the v2 paths refuse it.
            at: The date of the claim, such as `2024-08-22T17:31:37.000-04:00`; now by default.
        """
        serial = next(self._serial)
        claim = Claim(
            id=str(int(5200000000 + serial if claim_id is None else claim_id)),
            site_id=site_id,
            stage=stage,
            status=status,
            date_created=at or format_claim_date(self._now()),
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
        """Add the newest message of a claim, and return it; add the oldest message first.

        Args:
            claim_id: The id of a claim of this market.
            message: The text.
            sender: The role of the author. Its available actions are not checked.
            receiver: The role of the receiver: by default the respondent, or the complainant
                for a message of the respondent.
            translated_message: The text in the language of the receiver.
            attachments: The names of files of this claim.
            at: The date of the message, such as `2024-08-22T17:31:37.000-04:00`; now by
                default.
            read: The read date, such as `2024-08-22T21:32:21Z`.
            stage: The stage of the message; the claim's by default.
            status: The status, an open set; `available` by default.

        Raises:
            KeyError: The market has no such claim, or the claim no such file.
        """
        claim = self.claims[str(claim_id)]
        at = at or format_claim_date(self._now())
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
            message_moderation=ClaimModeration("clean", "", "online", format_utc(parse_date(at))),
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
        """Store a file of a claim under `<uuid>.<ext>`, or `file_name`, and return it.

        Raises:
            KeyError: The market has no such claim.
        """
        stored = ClaimFile(
            file_name=file_name or f"{self._uuid('claim file')}{_extension(original_filename)}",
            data=data,
            original_filename=original_filename,
            content_type=content_type,
            date_created=at or format_claim_date(self._now()),
        )
        self.claims[str(claim_id)].files[stored.file_name] = stored
        return stored

    def date(self) -> str:
        """Return the present time in the format of the API, such as `2020-03-13T15:14:10Z`."""
        return format_utc(self._now())

    def _uuid(self, kind: str) -> UUID:
        return uuid5(_IDS, f"{kind} {next(self._serial)}")


def _extension(filename: str) -> str:
    suffix = PurePosixPath(filename).suffix
    plain = suffix.isascii() and suffix[1:].isalnum() and len(suffix) <= _MAX_EXTENSION
    return suffix if plain else ""
