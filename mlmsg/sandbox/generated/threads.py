"""The packs of a generated market with their messages, and the files of these."""

import re
from collections.abc import Iterator

from mlmsg.sandbox.action_guide import ActionGuide, default_options
from mlmsg.sandbox.generated.files import KINDS, make_file
from mlmsg.sandbox.generated.plan import Plan, Sale
from mlmsg.sandbox.generated.texts import buyer_name, message_text
from mlmsg.sandbox.packs import CLIENT_ID, Author, Pack, StoredFile
from mlmsg.sandbox.schemas.dates import add_milliseconds, format_utc, from_milliseconds
from mlmsg.sandbox.schemas.packs import (
    Attachment,
    ConversationStatus,
    Message,
    MessageDate,
    Moderation,
    Resource,
)
from mlmsg.sandbox.sites import GLOBAL_SELLING

__all__ = ["GeneratedFiles", "GeneratedPacks"]

_MESSAGE_ID = re.compile(r"[0-9a-f]{32}")
_FILE_ID = re.compile(r"[0-9]+_([0-9a-f-]{36})\.[a-z]{3}")


class GeneratedPacks:
    """The packs of a plan, the oldest sale first."""

    def __init__(self, plan: Plan, files: "GeneratedFiles", site_id: str, seller_name: str) -> None:
        self._plan = plan
        self._files = files
        self._is_global = site_id == GLOBAL_SELLING
        self._seller_name = seller_name

    def __len__(self) -> int:
        return self._plan.packs

    def __iter__(self) -> Iterator[str]:
        return (str(self._plan.sale(number).thread_id) for number in range(self._plan.packs))

    def __contains__(self, key: object) -> bool:
        return self._sale(str(key)) is not None

    def find(self, key: str) -> Pack | None:
        """Return the pack with this id, or None."""
        sale = self._sale(key)
        return None if sale is None else self._make_pack(sale)

    def pack_of_message(self, message_id: str) -> str | None:
        """Return the id of the pack that may contain this message, or None."""
        if not _MESSAGE_ID.fullmatch(message_id):
            return None
        number, _ = self._plan.position("message", message_id)
        return str(self._plan.sale(number).thread_id) if number < self._plan.packs else None

    def orders_of(self, thread_id: str) -> list[str]:
        """Return the ids of the orders of a thread."""
        sale = self._sale(thread_id)
        return [] if sale is None else [str(order_id) for order_id in sale.order_ids]

    def _sale(self, key: str) -> Sale | None:
        return self._plan.sale_of_thread(int(key)) if key.isdecimal() and key.isascii() else None

    def _make_pack(self, sale: Sale) -> Pack:
        site_id = sale.seller.site_id
        options = default_options(site_id, global_selling=self._is_global)
        pack = Pack(
            id=str(sale.thread_id),
            site_id=site_id,
            seller_id=sale.seller.user_id,
            buyer_id=sale.buyer_id,
            seller_name=self._seller_name,
            buyer_name=buyer_name(sale.bits),
            conversation_status=self._status(sale),
            guide=ActionGuide(options),
        )
        pack.messages += [
            self._make_message(sale, pack, part) for part in reversed(range(self._plan.messages))
        ]
        return pack

    def _status(self, sale: Sale) -> ConversationStatus:
        return ConversationStatus(
            claim_ids=self._plan.claims_of_sale(sale.number) or None,
            shipping_id=sale.shipping_id,
            status="active",
            status_date=format_utc(from_milliseconds(sale.updated)),
            status_update_allowed=False,
            substatus=None,
        )

    def _make_message(self, sale: Sale, pack: Pack, part: int) -> Message:
        """Return a message by its place in the thread, of which 0 is the oldest."""
        author: Author = "buyer" if self._plan.is_from_buyer(part) else "seller"
        bits = self._plan.bits("text", sale.number, part)
        text, english = message_text(author, pack.site_id, bits)
        is_translated = self._is_global and author == "buyer"
        return Message(
            id=f"{self._plan.key('message', sale.number, part):032x}",
            site_id=pack.site_id,
            client_id=CLIENT_ID if author == "seller" else None,
            sender=pack.person(author),
            recipient=pack.person("buyer" if author == "seller" else "seller"),
            status="available",
            subject=None,
            text=text,
            message_date=self._dates(sale, part),
            message_moderation=Moderation(
                "clean", None, "online", _message_date(self._plan, sale, part)
            ),
            message_attachments=self._files.attachments(sale, part) or None,
            message_resources=[
                Resource(pack.id, "packs"),
                Resource(str(pack.seller_id), "sellers"),
            ],
            conversation_first_message=part == 0,
            text_translated=english if is_translated else None,
        )

    def _dates(self, sale: Sale, part: int) -> MessageDate:
        at = _message_date(self._plan, sale, part)
        is_newest = part == self._plan.messages - 1
        is_unread = is_newest and sale.number >= self._plan.packs - self._plan.unread
        read = None if is_unread else _message_date(self._plan, sale, part + (not is_newest))
        return MessageDate(at, at, read and add_milliseconds(at), at, read)


class GeneratedFiles:
    """The files of the messages of a plan; their bytes are made when they are asked for."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def __len__(self) -> int:
        return self._plan.packs * self._plan.files

    def __iter__(self) -> Iterator[str]:
        for number in range(self._plan.packs):
            sale = self._plan.sale(number)
            yield from (self._file_id(sale, part) for part in range(self._plan.files))

    def __contains__(self, key: object) -> bool:
        return self._position(str(key)) is not None

    def find(self, key: str) -> StoredFile | None:
        """Return the file with this id, or None."""
        position = self._position(key)
        if position is None:
            return None
        sale, part = position
        attachment = self._attachment(sale, part)
        extension = key.rpartition(".")[2]
        return StoredFile(
            id=key,
            data=make_file(extension, key, self._plan.file_bytes),
            original_filename=attachment.original_filename,
            content_type=attachment.type,
            creation_date=attachment.creation_date,
        )

    def attachments(self, sale: Sale, message: int) -> list[Attachment]:
        """Return the files of the message at this place of the thread, without their bytes."""
        return [self._attachment(sale, part) for part in self._plan.files_of_message(message)]

    def _attachment(self, sale: Sale, part: int) -> Attachment:
        extension, content_type = KINDS[(sale.number + part) % len(KINDS)]
        message = part % self._plan.messages
        return Attachment(
            filename=self._file_id(sale, part),
            original_filename=f"archivo {part + 1}.{extension}",
            type=content_type,
            size=self._plan.file_bytes,
            potential_security_threat=False,
            creation_date=_message_date(self._plan, sale, message),
        )

    def _file_id(self, sale: Sale, part: int) -> str:
        is_from_buyer = self._plan.is_from_buyer(part % self._plan.messages)
        user_id = sale.buyer_id if is_from_buyer else sale.seller.user_id
        extension, _ = KINDS[(sale.number + part) % len(KINDS)]
        return f"{user_id}_{self._plan.uuid('file', sale.number, part)}.{extension}"

    def _position(self, key: str) -> tuple[Sale, int] | None:
        match = _FILE_ID.fullmatch(key)
        if match is None:
            return None
        number, part = self._plan.position("file", match[1].replace("-", ""))
        if number >= self._plan.packs or part >= self._plan.files:
            return None
        sale = self._plan.sale(number)
        return (sale, part) if self._file_id(sale, part) == key else None


def _message_date(plan: Plan, sale: Sale, part: int) -> str:
    return format_utc(from_milliseconds(plan.message_date(sale.created, sale.updated, part)))
