"""The API on one screen: one pure function per endpoint, from arguments to a `Request`.

Each names its document and heading. `_decoders` reads the responses.
"""

from urllib.parse import quote, urlencode

from msgspec.structs import replace

from . import _decoders as decoders
from ._multipart import Multipart
from ._request_builders import download_request, form_request, get_request, post_request
from ._wire import Request, Response
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
from .models._token import TokenResponse
from .rules import check_resource

Id = int | str

MESSAGES = "/marketplace/messages"
PACK = MESSAGES + "/packs/{pack_id}"
FILES = MESSAGES + "/attachments"
UNREAD = "/messages/unread"
THREAD = "/messages/packs/{pack_id}/sellers/{seller_id}"
CLAIM = "/marketplace/v2/claims/{claim_id}"
CLAIM_V1 = "/post-purchase/v1/claims/{claim_id}"
CLAIM_FILE = "/attachments/{file_name}"
TOKEN = "/oauth/token"  # noqa: S105  (a path)

# Post-sale messages


def pack_page(pack_id: Id, limit: int, offset: int) -> Request[ThreadPage]:
    """Post-sale messages, "Get messages by pack"."""
    query = f"limit={limit}&offset={offset}"
    return get_request("packs.page", PACK, decoders.thread_page, query, pack_id=pack_id)


def message(message_id: Id) -> Request[Message]:
    """Post-sale messages, "Get message by ID"."""
    path = MESSAGES + "/{message_id}"
    return get_request("messages.get", path, decoders.one_message, message_id=message_id)


def send_to_pack(pack_id: Id, text: str, translated: str | None, files: list[str]) -> Request[Sent]:
    """Post-sale messages, "Create message"; what is left out is not sent as null."""
    body = {"text": text, "text_translated": translated, "attachments": files}
    body = {key: value for key, value in body.items() if value}
    return post_request("packs.send", PACK, decoders.sent, body, pack_id=pack_id)


def upload(site_id: str, file: Multipart) -> Request[Upload]:
    """Post-sale messages, "Upload attachment"."""
    return post_request(
        "attachments.upload", FILES, decoders.upload, file, urlencode({"site_id": site_id})
    )


def download(attachment_id: Id, site_id: str) -> Request[Response]:
    """Post-sale messages, "Get attachment"."""
    path, query = FILES + "/{id}", urlencode({"tag": "post_sale", "site_id": site_id})
    return download_request("attachments.download", path, query, id=attachment_id)


# Pending messages


def unread(role: str | None) -> Request[Unread]:
    """Pending messages, "Messages pending reading"."""
    query = urlencode({"role": role, "tag": "post_sale"} if role else {"tag": "post_sale"})
    return get_request("unread.list", UNREAD, decoders.unread, query)


def unread_of(resource: str) -> Request[Unread]:
    """Pending messages, "Pending messages filtered by resource"."""
    segments = (quote(segment, safe="") for segment in check_resource(resource))
    path = "/".join([UNREAD, *segments])
    request = get_request("unread.get", UNREAD + "/{resource}", decoders.unread, "tag=post_sale")
    return replace(request, path=path)


def seller_thread(
    pack_id: Id, seller_id: Id, limit: int | None, offset: int, *, mark_as_read: bool
) -> Request[ThreadPage]:
    """Pending messages, "Mark messages as read": the GET marks, unless it is told not to."""
    query = "tag=post_sale" + ("" if mark_as_read else "&mark_as_read=false")
    if limit is not None:
        query += f"&limit={limit}&offset={offset}"
    return get_request(
        "unread.page", THREAD, decoders.thread_page, query, pack_id=pack_id, seller_id=seller_id
    )


# Messages claims; the v1 path serves the claims of "Claims 1.0"


def claim(claim_id: Id) -> Request[Claim]:
    """Messages claims, "the Claim details", which the document names and does not show."""
    return get_request("claims.get", CLAIM, decoders.claim, v1_template=CLAIM_V1, claim_id=claim_id)


def claim_messages(claim_id: Id) -> Request[list[ClaimMessage]]:
    """Messages claims, "Retrieve all messages of a claim"."""
    path, v1 = CLAIM + "/messages", CLAIM_V1 + "/messages"
    return get_request(
        "claims.messages", path, decoders.claim_messages, v1_template=v1, claim_id=claim_id
    )


def claim_upload(claim_id: Id, file: Multipart) -> Request[ClaimUpload]:
    """Messages claims, "Uploading Attachments"."""
    path, v1 = CLAIM + "/attachments", CLAIM_V1 + "/attachments"
    return post_request(
        "claims.upload", path, decoders.claim_upload, file, v1_template=v1, claim_id=claim_id
    )


def send_to_claim(claim_id: Id, text: str, role: str, files: list[str]) -> Request[ClaimSent]:
    """Messages claims, "Create a Message with the Uploaded File"."""
    body = {"receiver_role": role, "message": text, "attachments": files}
    path, v1 = CLAIM + "/actions/send-message", CLAIM_V1 + "/actions/send-message"
    return post_request(
        "claims.send", path, decoders.claim_sent, body, v1_template=v1, claim_id=claim_id
    )


def claim_file(claim_id: Id, file_name: str) -> Request[ClaimAttachment]:
    """Messages claims, "Get file information"."""
    path = CLAIM_V1 + CLAIM_FILE
    return get_request(
        "claims.attachment", path, decoders.claim_file, claim_id=claim_id, file_name=file_name
    )


def claim_download(claim_id: Id, name: str) -> Request[Response]:
    """Messages claims, "Download the file"."""
    path, v1 = (base + CLAIM_FILE + "/download" for base in (CLAIM, CLAIM_V1))
    return download_request(
        "claims.download", path, v1_template=v1, claim_id=claim_id, file_name=name
    )


# The token


def refresh(client_id: str, client_secret: str, refresh_token: str) -> Request[TokenResponse]:
    """Refresh an access token: described in the authorization guide, not in the documents."""
    fields = {
        "grant_type": "refresh_token",
        "client_id": client_id,
        "client_secret": client_secret,
        "refresh_token": refresh_token,
    }
    return form_request(
        "auth.refresh", TOKEN, decoders.token_response, fields, "client_secret", "refresh_token"
    )
