"""Rows for data frames: flat dicts with the same keys and real types.

    pandas.DataFrame(rows(thread))
    polars.DataFrame(rows(await client.claims.messages(claim_id)))

It needs neither pandas nor polars.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from ._misuse import reject_unused
from .errors import RuleError
from .models import (
    Attachment,
    Claim,
    ClaimAttachment,
    ClaimMessage,
    ClaimPage,
    Conversation,
    Message,
    ThreadPage,
    Unread,
    UnreadResult,
)
from .sync.report import Failure, SyncReport

__all__ = ["Row", "rows"]

Row: TypeAlias = dict[str, object]
"""A row: the same keys in every row of one kind; datetimes are aware, in UTC."""


def rows(value: object) -> list[Row]:
    """Return one flat dict for each item of an answer.

    Args:
        value: A `ThreadPage`, `Conversation` or `Message`, or messages; an `Unread` or its
            results; claim messages; a `Claim`, a `ClaimPage` or claims; a `SyncReport`, for its
            failed files.

    Returns:
        One row for each message (attachments counted and joined by `, `), unread result, claim,
        claim message or failed file; `[]` for nothing.

    Raises:
        RuleError: The value is none of these.
        UsageError: The value was not awaited.
    """
    reject_unused(value)
    return [_row(item) for item in _items(value)]


def _items(value: object) -> Iterable[object]:
    match value:
        case ThreadPage() | Conversation():
            return value.messages
        case Unread():
            return value.results
        case ClaimPage():
            return value.claims
        case SyncReport():
            return value.failed
        case list() | tuple():
            return value
    return [value]


def _row(item: object) -> Row:
    for kind, make in _MAKERS.items():
        if isinstance(item, kind):
            return make(item)
    limit = "messages, unread results, claim messages, claims, or a sync report"
    raise RuleError("value of `rows`", type(item).__name__, limit)


def _message(message: Message) -> Row:
    date, moderation = message.message_date, message.message_moderation
    return {
        "id": message.id,
        "pack_id": message.pack_id,
        "seller_id": message.seller_id,
        "site_id": message.site_id,
        "from_id": message.from_.user_id if message.from_ else None,
        "from_name": message.from_.name if message.from_ else None,
        "to_id": message.to.user_id if message.to else None,
        "created": _utc(date.created if date else None),
        "read": _utc(date.read if date else None),
        "status": message.status,
        "moderation": moderation.status if moderation else None,
        "moderation_reason": moderation.reason if moderation else None,
        "text": message.text,
        "text_translated": message.text_translated,
        **_files(message.attachments),
    }


def _claim_message(message: ClaimMessage) -> Row:
    moderation = message.message_moderation
    return {
        "hash": message.hash,
        "sender_role": message.sender_role,
        "receiver_role": message.receiver_role,
        "stage": message.stage,
        "created": _utc(message.message_date or message.date_created),
        "read": _utc(message.date_read),
        "status": message.status,
        "moderation": moderation.status if moderation else None,
        "moderation_reason": moderation.reason if moderation else None,
        "text": message.message,
        "text_translated": message.translated_message,
        **_files(message.attachments or ()),
    }


def _claim(claim: Claim) -> Row:
    return {
        "id": claim.id,
        "type": claim.type,
        "stage": claim.stage,
        "status": claim.status,
        "reason_id": claim.reason_id,
        "resource": claim.resource,
        "resource_id": claim.resource_id,
        "site_id": claim.site_id,
        "created": _utc(claim.date_created),
        "updated": _utc(claim.last_updated),
        "roles": ", ".join(player.role for player in claim.players if player.role),
        "actions": ", ".join(sorted(claim.available_actions)),
    }


def _unread(result: UnreadResult) -> Row:
    return {
        "resource": result.resource,
        "pack_id": result.pack_id,
        "order_id": result.order_id,
        "seller_id": result.seller_id,
        "count": result.count,
    }


def _failure(failure: Failure) -> Row:
    return {
        "kind": failure.thread.kind,
        "id": failure.thread.id,
        "filename": failure.filename,
        "error": type(failure.error).__name__,
        "message": str(failure.error),
    }


def _files(files: Sequence[Attachment | ClaimAttachment]) -> Row:
    names = [file.original_filename or file.filename or "" for file in files]
    return {
        "attachments": len(files),
        "attachment_names": ", ".join(names),
        "attachment_bytes": sum(file.size or 0 for file in files),
    }


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


_MAKERS: dict[type, Callable[..., Row]] = {
    Message: _message,
    ClaimMessage: _claim_message,
    Claim: _claim,
    UnreadResult: _unread,
    Failure: _failure,
}
