"""The API on one screen: one pure function per endpoint, from arguments to a `Request`.

Each names its document and heading. What the endpoints answer is read by `_answers`.
"""

from urllib.parse import urlencode

from msgspec.structs import replace

from . import _answers as read
from ._wire import Reply, Request, download_of, form, get, post
from .models import (
    Claim,
    ClaimAttachment,
    ClaimMessage,
    ClaimSent,
    ClaimUpload,
    Granted,
    Message,
    Sent,
    ThreadPage,
    Unread,
    Upload,
)
from .rules import check_resource
from .uploads import Multipart

Id = int | str

MESSAGES = "/marketplace/messages"
PACK = MESSAGES + "/packs/{pack_id}"
FILES = MESSAGES + "/attachments"
UNREAD = "/messages/unread"
THREAD = "/messages/packs/{pack_id}/sellers/{seller_id}"
CLAIM = "/marketplace/v2/claims/{claim_id}"
OLDER = "/post-purchase/v1/claims/{claim_id}"
CLAIM_FILE = "/attachments/{file_name}"
TOKEN = "/oauth/token"  # noqa: S105  (a path)

# Post-sale messages


def pack_page(pack_id: Id, limit: int, offset: int) -> Request[ThreadPage]:
    """Post-sale messages, "Get messages by pack"."""
    query = f"limit={limit}&offset={offset}"
    return get("packs.page", PACK, read.thread_page, query, pack_id=pack_id)


def message(message_id: Id) -> Request[Message]:
    """Post-sale messages, "Get message by ID"."""
    path = MESSAGES + "/{message_id}"
    return get("messages.get", path, read.one_message, message_id=message_id)


def send_to_pack(pack_id: Id, text: str, translated: str | None, files: list[str]) -> Request[Sent]:
    """Post-sale messages, "Create message"; what is left out is not sent as null."""
    body = {"text": text, "text_translated": translated, "attachments": files}
    body = {key: value for key, value in body.items() if value}
    return post("packs.send", PACK, read.sent, body, pack_id=pack_id)


def upload(site_id: str, file: Multipart) -> Request[Upload]:
    """Post-sale messages, "Upload attachment"."""
    return post("attachments.upload", FILES, read.upload, file, urlencode({"site_id": site_id}))


def download(attachment_id: Id, site_id: str) -> Request[Reply]:
    """Post-sale messages, "Get attachment"."""
    path, query = FILES + "/{id}", urlencode({"tag": "post_sale", "site_id": site_id})
    return download_of("attachments.download", path, query, id=attachment_id)


# Pending messages


def unread(role: str | None) -> Request[Unread]:
    """Pending messages, "Messages pending reading"."""
    query = urlencode({"role": role, "tag": "post_sale"} if role else {"tag": "post_sale"})
    return get("unread.list", UNREAD, read.unread, query)


def unread_of(resource: str) -> Request[Unread]:
    """Pending messages, "Pending messages filtered by resource"."""
    names = dict(zip("abcd", check_resource(resource), strict=False))
    path = UNREAD + "".join(f"/{{{name}}}" for name in names)
    request = get("unread.get", path, read.unread, "tag=post_sale", **names)
    return replace(request, template=UNREAD + "/{resource}")


def seller_thread(pack_id: Id, seller_id: Id, query: str) -> Request[ThreadPage]:
    """Pending messages, "Mark messages as read"; without `mark_as_read=false` the GET does that."""
    query = "tag=post_sale" + query
    return get("unread.page", THREAD, read.thread_page, query, pack_id=pack_id, seller_id=seller_id)


# Messages claims; the older path is that of the same claim in its first version


def claim(claim_id: Id) -> Request[Claim]:
    """Messages claims, "the Claim details", which the document names and does not show."""
    return get("claims.get", CLAIM, read.claim, older=OLDER, claim_id=claim_id)


def claim_messages(claim_id: Id) -> Request[list[ClaimMessage]]:
    """Messages claims, "Retrieve all messages of a claim"."""
    path, older = CLAIM + "/messages", OLDER + "/messages"
    return get("claims.messages", path, read.claim_messages, older=older, claim_id=claim_id)


def claim_upload(claim_id: Id, file: Multipart) -> Request[ClaimUpload]:
    """Messages claims, "Uploading Attachments"."""
    path, older = CLAIM + "/attachments", OLDER + "/attachments"
    return post("claims.upload", path, read.claim_upload, file, older=older, claim_id=claim_id)


def send_to_claim(claim_id: Id, text: str, role: str, files: list[str]) -> Request[ClaimSent]:
    """Messages claims, "Create a Message with the Uploaded File"."""
    body = {"receiver_role": role, "message": text, "attachments": files}
    path, older = CLAIM + "/actions/send-message", OLDER + "/actions/send-message"
    return post("claims.send", path, read.claim_sent, body, older=older, claim_id=claim_id)


def claim_file(claim_id: Id, file_name: str) -> Request[ClaimAttachment]:
    """Messages claims, "Get file information"."""
    path = OLDER + CLAIM_FILE
    return get("claims.attachment", path, read.claim_file, claim_id=claim_id, file_name=file_name)


def claim_download(claim_id: Id, name: str) -> Request[Reply]:
    """Messages claims, "Download the file"."""
    path, older = (base + CLAIM_FILE + "/download" for base in (CLAIM, OLDER))
    return download_of("claims.download", path, older=older, claim_id=claim_id, file_name=name)


# The grant


def refresh(client_id: str, client_secret: str, refresh_token: str) -> Request[Granted]:
    """The refresh of an access token, which the documents leave to the authorization guide."""
    fields = {
        "grant_type": "refresh_token",
        "client_id": client_id,
        "client_secret": client_secret,
        "refresh_token": refresh_token,
    }
    return form("auth.refresh", TOKEN, read.granted, fields, "client_secret", "refresh_token")
