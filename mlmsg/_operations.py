"""The API on one screen: one pure function per endpoint, from arguments to a `Request`.

Each names its document and heading. What the endpoints answer is read by `_answers`.
"""

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from . import _answers as read
from ._wire import Reply, Request, fill
from .models import (
    Claim,
    ClaimAttachment,
    ClaimMessage,
    ClaimSent,
    ClaimUpload,
    Message,
    Sent,
    ThreadPage,
    Unread,
    Upload,
)
from .policy import Effect
from .rules import check_resource
from .uploads import Multipart

__all__ = [
    "claim",
    "claim_download",
    "claim_file",
    "claim_messages",
    "claim_upload",
    "download",
    "message",
    "pack_page",
    "seller_thread",
    "send_to_claim",
    "send_to_pack",
    "unread",
    "unread_of",
    "upload",
]

T = TypeVar("T")
Id = int | str

MESSAGES = "/marketplace/messages"
PACK = f"{MESSAGES}/packs/{{pack_id}}"
SELLER_THREAD = "/messages/packs/{pack_id}/sellers/{seller_id}"
CLAIM = "/marketplace/v2/claims/{claim_id}"
OLDER_CLAIM = "/post-purchase/v1/claims/{claim_id}"
CLAIM_FILE = "/attachments/{file_name}"

# Post-sale messages -----------------------------------------------------------------------------


def pack_page(pack_id: Id, limit: int, offset: int) -> Request[ThreadPage]:
    """Post-sale messages, "Get messages by pack"."""
    query = f"limit={limit}&offset={offset}"
    return _get("packs.page", PACK, read.thread_page, query, pack_id=pack_id)


def message(message_id: Id) -> Request[Message]:
    """Post-sale messages, "Get message by ID"."""
    template = f"{MESSAGES}/{{message_id}}"
    return _get("messages.get", template, read.one_message, message_id=message_id)


def send_to_pack(
    pack_id: Id, text: str, text_translated: str | None, attachments: list[str]
) -> Request[Sent]:
    """Post-sale messages, "Create message"."""
    body: dict[str, object] = {"text": text}
    if text_translated is not None:
        body["text_translated"] = text_translated
    if attachments:
        body["attachments"] = attachments
    return _send("packs.send", PACK, read.sent, body, pack_id=pack_id)


def upload(site_id: str, file: Multipart) -> Request[Upload]:
    """Post-sale messages, "Upload attachment"."""
    query = urlencode({"site_id": site_id})
    return _upload("attachments.upload", f"{MESSAGES}/attachments", read.upload, file, query)


def download(attachment_id: Id, site_id: str) -> Request[Reply]:
    """Post-sale messages, "Get attachment"."""
    template = f"{MESSAGES}/attachments/{{attachment_id}}"
    query = urlencode({"tag": "post_sale", "site_id": site_id})
    request = _get(
        "attachments.download", template, read.as_it_is, query, attachment_id=attachment_id
    )
    return msgspec.structs.replace(request, streamed=True)


# Pending messages -------------------------------------------------------------------------------


def unread(role: str | None) -> Request[Unread]:
    """Pending messages, "Messages pending reading"."""
    query = urlencode({"role": role, "tag": "post_sale"} if role else {"tag": "post_sale"})
    return _get("unread.list", "/messages/unread", read.unread, query)


def unread_of(resource: str) -> Request[Unread]:
    """Pending messages, "Pending messages filtered by resource"."""
    names = check_resource(resource)
    template = "/messages/unread" + "".join(f"/{{{place}}}" for place in "abcd"[: len(names)])
    ids = dict(zip("abcd", names, strict=False))
    return _get("unread.get", template, read.unread, "tag=post_sale", **ids)


def seller_thread(pack_id: Id, seller_id: Id, query: str) -> Request[ThreadPage]:
    """Pending messages, "Mark messages as read"; without `mark_as_read=false` the GET does that."""
    query = f"tag=post_sale{query}"
    return _get(
        "unread.page",
        SELLER_THREAD,
        read.thread_page,
        query,
        pack_id=pack_id,
        seller_id=seller_id,
    )


# Messages claims --------------------------------------------------------------------------------


def claim(claim_id: Id) -> Request[Claim]:
    """Messages claims, "Claim details"."""
    return _either(_get("claims.get", CLAIM, read.claim, claim_id=claim_id))


def claim_messages(claim_id: Id) -> Request[list[ClaimMessage]]:
    """Messages claims, "Retrieve all messages of a claim"."""
    template = f"{CLAIM}/messages"
    return _either(_get("claims.messages", template, read.claim_messages, claim_id=claim_id))


def claim_upload(claim_id: Id, file: Multipart) -> Request[ClaimUpload]:
    """Messages claims, "Uploading Attachments"."""
    template = f"{CLAIM}/attachments"
    return _either(_upload("claims.upload", template, read.claim_upload, file, claim_id=claim_id))


def send_to_claim(
    claim_id: Id, text: str, receiver_role: str, attachments: list[str]
) -> Request[ClaimSent]:
    """Messages claims, "Create a Message with the Uploaded File"."""
    body = {"receiver_role": receiver_role, "message": text, "attachments": attachments}
    template = f"{CLAIM}/actions/send-message"
    return _either(_send("claims.send", template, read.claim_sent, body, claim_id=claim_id))


def claim_file(claim_id: Id, file_name: str) -> Request[ClaimAttachment]:
    """Messages claims, "Get file information"."""
    template = OLDER_CLAIM + CLAIM_FILE
    return _get(
        "claims.attachment", template, read.claim_file, claim_id=claim_id, file_name=file_name
    )


def claim_download(claim_id: Id, file_name: str) -> Request[Reply]:
    """Messages claims, "Download the file"."""
    template = f"{CLAIM}{CLAIM_FILE}/download"
    request = _get(
        "claims.download", template, read.as_it_is, claim_id=claim_id, file_name=file_name
    )
    return msgspec.structs.replace(_either(request), streamed=True)


# What the endpoints share -----------------------------------------------------------------------


def _get(
    operation: str, template: str, answer: Callable[[Reply], T], query: str = "", **ids: Id
) -> Request[T]:
    return Request(
        operation=operation,
        method="GET",
        template=template,
        path=fill(template, **ids) if ids else template,
        query=query,
        answer=answer,
    )


def _send(
    operation: str, template: str, answer: Callable[[Reply], T], body: object, **ids: Id
) -> Request[T]:
    return Request(
        operation=operation,
        method="POST",
        template=template,
        path=fill(template, **ids),
        answer=answer,
        effect=Effect.SEND,
        json=msgspec.json.encode(body),
    )


def _upload(
    operation: str,
    template: str,
    answer: Callable[[Reply], T],
    file: Multipart,
    query: str = "",
    **ids: Id,
) -> Request[T]:
    return Request(
        operation=operation,
        method="POST",
        template=template,
        path=fill(template, **ids),
        query=query,
        answer=answer,
        effect=Effect.UPLOAD,
        upload=file,
    )


def _either(request: Request[T]) -> Request[T]:
    """The request with the older path of the same claim, for those that answer only there."""
    newer, older = CLAIM.partition("{")[0], OLDER_CLAIM.partition("{")[0]
    return msgspec.structs.replace(request, older=request.path.replace(newer, older, 1))
