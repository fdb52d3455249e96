"""The seller thread of the domestic edition, in the spelling of "Post-sale messages".

`conversation_status` has a `path` and `claim_ids`; users are as in `mlmsg.sandbox.schemas.packs`.
"""

from msgspec import Struct

from mlmsg.sandbox.schemas.packs import ConversationStatus, Message, Paging

__all__ = ["SellerThreadPage", "SellerThreadStatus", "seller_thread_page"]


class SellerThreadStatus(Struct, frozen=True):
    """The `conversation_status` of a page."""

    path: str
    status: str
    substatus: str | None
    status_date: str
    status_update_allowed: bool
    claim_ids: list[int] | None
    shipping_id: int | None


class SellerThreadPage(Struct, frozen=True, omit_defaults=True):
    """A page of the thread of a seller; a maximum length that is None is omitted."""

    paging: Paging
    conversation_status: SellerThreadStatus
    messages: list[Message]
    seller_max_message_length: int | None = None
    buyer_max_message_length: int | None = None


def seller_thread_page(
    path: str,
    status: ConversationStatus,
    paging: Paging,
    messages: list[Message],
    *,
    seller_max_message_length: int | None = None,
    buyer_max_message_length: int | None = None,
) -> SellerThreadPage:
    """Return a page of the thread at `path`; a maximum length that is None is omitted."""
    return SellerThreadPage(
        paging=paging,
        conversation_status=SellerThreadStatus(
            path=path,
            status=status.status,
            substatus=status.substatus,
            status_date=status.status_date,
            status_update_allowed=status.status_update_allowed,
            claim_ids=status.claim_ids,
            shipping_id=status.shipping_id,
        ),
        messages=messages,
        seller_max_message_length=seller_max_message_length,
        buyer_max_message_length=buyer_max_message_length,
    )
