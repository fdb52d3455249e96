"""The API on two screens: one pure function per endpoint, from arguments to a `Request`.

The table holds one row per endpoint and two paths per row: Global Selling, and domestic. Each
function names its document and heading. `_decoders` reads the responses.
"""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

import msgspec
from msgspec.structs import replace

from . import _decoders as decoders
from ._error_bodies import explain_file
from ._multipart import Multipart
from ._reason_errors import proves_not_executed, refine_reason_error, refine_used_up
from ._request_builders import download_request, form_request, get_request, post_request
from ._token_errors import explain_exchange, explain_refresh
from ._wire import Request, Response
from .models import (
    Claim,
    ClaimAttachment,
    ClaimDetail,
    ClaimMessages,
    ClaimPage,
    ClaimSent,
    ClaimUpload,
    MarketplaceSeller,
    Me,
    Message,
    Reason,
    Sent,
    ThreadPage,
    Unread,
    Upload,
)
from .models._orders import Order, OrderPage
from .models._token import TokenResponse
from .rules import Family, check_resource

Id = int | str

GLOBAL = Family.GLOBAL_SELLING

# Each row: the path of Global Selling, the path of a domestic seller.
_DOMESTIC_THREAD = "/messages/packs/{pack_id}/sellers/{seller_id}?tag=post_sale"
PACK = ("/marketplace/messages/packs/{pack_id}", _DOMESTIC_THREAD)
MESSAGE = ("/marketplace/messages/{message_id}", "/messages/{message_id}?tag=post_sale")
FILES = ("/marketplace/messages/attachments", "/messages/attachments?tag=post_sale")
FILE = (
    "/marketplace/messages/attachments/{id}?tag=post_sale",
    "/messages/attachments/{id}?tag=post_sale",
)
_REASONS = "/messages/action_guide/packs/{pack_id}"
REASONS = ("/marketplace" + _REASONS, _REASONS + "?tag=post_sale")
REASON_CAPS = (
    "/marketplace" + _REASONS + "/caps_available",  # not verified
    _REASONS + "/caps_available?tag=post_sale",
)
REASON_SEND = (
    "/marketplace" + _REASONS + "/option",  # not verified
    _REASONS + "/option?tag=post_sale",
)
CLAIM = ("/marketplace/v2/claims/{claim_id}", "/post-purchase/v1/claims/{claim_id}")
CLAIM_V1 = CLAIM[Family.DOMESTIC]
"""The path of claims that the v2 path refuses ("Claims 1.0")."""

CLAIM_SEARCH = ("/marketplace/v2/claims/search", "/post-purchase/v1/claims/search")
ORDER_SEARCH = ("/marketplace/orders/search", "/orders/search")
ORDER = ("/marketplace/orders/{order_id}", "/orders/{order_id}")

# These paths are the same for both families.
UNREAD = "/messages/unread"
ME = "/users/me"
MISSED_FEEDS = "/missed_feeds"
MARKETPLACE_USER = "/marketplace/users/{user_id}"
TOKEN = "/oauth/token"  # noqa: S105  (a path)

# Post-sale messages


def pack_page(pack_id: Id, limit: int, offset: int) -> Request[ThreadPage]:
    """Post-sale messages, "Get messages by pack"; domestic sellers use `seller_thread`."""
    query = f"limit={limit}&offset={offset}"
    return get_request("packs.page", PACK[GLOBAL], decoders.thread_page, query, pack_id=pack_id)


def message(message_id: Id, *, family: Family = GLOBAL) -> Request[Message]:
    """Post-sale messages, "Get message by ID"."""
    path = MESSAGE[family]
    return get_request("messages.get", path, decoders.one_message, message_id=message_id)


def send_to_pack(pack_id: Id, text: str, translated: str | None, files: list[str]) -> Request[Sent]:
    """Post-sale messages, "Create message". Empty values are left out, not sent as null."""
    body = _without_empty(text=text, text_translated=translated, attachments=files)
    request = post_request("packs.send", PACK[GLOBAL], decoders.sent, body, pack_id=pack_id)
    # The document lists "OTHER again" (403) here: the message may run through that option.
    return replace(request, refine_error=refine_used_up)


def send_as_seller(
    pack_id: Id, seller_id: int, recipient_id: int, text: str, files: list[str]
) -> Request[Sent]:
    """Send a message of a domestic seller ("Mensajería post venta")."""
    body = _without_empty(text=text, attachments=files)
    body |= {"from": {"user_id": str(seller_id)}, "to": {"user_id": str(recipient_id)}}
    path, decoder = PACK[Family.DOMESTIC], decoders.sent
    return post_request("packs.send", path, decoder, body, pack_id=pack_id, seller_id=seller_id)


def upload(site_id: str, file: Multipart, *, family: Family = GLOBAL) -> Request[Upload]:
    """Post-sale messages, "Upload attachment"."""
    query = urlencode({"site_id": site_id})
    return post_request("attachments.upload", FILES[family], decoders.upload, file, query)


def download(attachment_id: Id, site_id: str, *, family: Family = GLOBAL) -> Request[Response]:
    """Post-sale messages, "Get attachment"."""
    query = urlencode({"site_id": site_id})
    request = download_request("attachments.download", FILE[family], query, id=attachment_id)
    return replace(request, refine_error=explain_file)


# Action guide


def reasons(pack_id: Id, *, family: Family = GLOBAL) -> Request[list[Reason]]:
    """List the options of a pack (Action guide, "Available options")."""
    request = get_request("reasons.list", REASONS[family], decoders.reasons, pack_id=pack_id)
    return replace(request, refine_error=refine_reason_error)


def reason_caps(pack_id: Id, *, family: Family = GLOBAL) -> Request[dict[str, int]]:
    """List the caps of the options (Action guide); not verified for Global Selling."""
    path, decoder = REASON_CAPS[family], decoders.reason_caps
    request = get_request("reasons.caps", path, decoder, pack_id=pack_id)
    return replace(request, refine_error=refine_reason_error)


def send_reason(
    pack_id: Id,
    option_id: str,
    text: str | None,
    template_id: str | None,
    variables: Mapping[str, int | float] | None,
    *,
    family: Family = GLOBAL,
) -> Request[Sent]:
    """Send a message by option (Action guide); not verified for Global Selling."""
    pairs = [{"id": name, "value": value} for name, value in (variables or {}).items()]
    body = _without_empty(option_id=option_id, template_id=template_id, vars=pairs, text=text)
    request = post_request(
        "reasons.send", REASON_SEND[family], decoders.sent, body, pack_id=pack_id
    )
    return replace(
        request, proves_not_executed=proves_not_executed, refine_error=refine_reason_error
    )


# Pending messages


def unread(role: str | None) -> Request[Unread]:
    """Pending messages, "Messages pending reading"."""
    query = urlencode({"role": role, "tag": "post_sale"} if role else {"tag": "post_sale"})
    return get_request("unread.list", UNREAD, decoders.unread, query)


def unread_of(resource: str) -> Request[Unread]:
    """Pending messages, "Pending messages filtered by resource"."""
    request = get_request("unread.get", UNREAD, decoders.unread, "tag=post_sale")
    segments = (quote(segment, safe="") for segment in check_resource(resource))
    path = "/".join([request.path, *segments])
    return replace(request, path=path, template=request.template + "/{resource}")


def seller_thread(
    pack_id: Id,
    seller_id: Id,
    limit: int | None,
    offset: int,
    *,
    mark_as_read: bool,
    operation: str = "unread.page",
) -> Request[ThreadPage]:
    """Pending messages, "Mark messages as read": the GET marks, unless it says not to."""
    mark = "" if mark_as_read else "mark_as_read=false"
    window = "" if limit is None else f"limit={limit}&offset={offset}"
    query = "&".join(filter(None, (mark, window)))
    path, decoder = PACK[Family.DOMESTIC], decoders.thread_page
    return get_request(operation, path, decoder, query, pack_id=pack_id, seller_id=seller_id)


# Messages claims


def claim(claim_id: Id, *, family: Family = GLOBAL) -> Request[Claim]:
    """Messages claims, "the Claim details", which the document names but does not show."""
    path, v1 = _claim_paths("", family)
    return get_request("claims.get", path, decoders.claim, v1_template=v1, claim_id=claim_id)


def claim_messages(claim_id: Id, *, family: Family = GLOBAL) -> Request[ClaimMessages]:
    """Messages claims, "Retrieve all messages of a claim"."""
    path, v1 = _claim_paths("/messages", family)
    decoder = decoders.claim_messages
    return get_request("claims.messages", path, decoder, v1_template=v1, claim_id=claim_id)


def claim_upload(claim_id: Id, file: Multipart, *, family: Family = GLOBAL) -> Request[ClaimUpload]:
    """Messages claims, "Uploading Attachments"."""
    path, v1 = _claim_paths("/attachments", family)
    decoder = decoders.claim_upload
    return post_request("claims.upload", path, decoder, file, v1_template=v1, claim_id=claim_id)


def send_to_claim(
    claim_id: Id, text: str, role: str, files: list[str], *, family: Family = GLOBAL
) -> Request[ClaimSent]:
    """Messages claims, "Create a Message with the Uploaded File"."""
    body = {"receiver_role": role, "message": text, "attachments": files}
    path, v1 = _claim_paths("/actions/send-message", family)
    decoder = decoders.claim_sent
    return post_request("claims.send", path, decoder, body, v1_template=v1, claim_id=claim_id)


def claim_file(claim_id: Id, file_name: str) -> Request[ClaimAttachment]:
    """Messages claims, "Get file information": one path for both families."""
    path, decoder = CLAIM_V1 + "/attachments/{file_name}", decoders.claim_file
    request = get_request(
        "claims.attachment", path, decoder, claim_id=claim_id, file_name=file_name
    )
    return replace(request, refine_error=explain_file)


def claim_download(claim_id: Id, name: str, *, family: Family = GLOBAL) -> Request[Response]:
    """Messages claims, "Download the file"."""
    path, v1 = _claim_paths("/attachments/{file_name}/download", family)
    request = download_request(
        "claims.download", path, v1_template=v1, claim_id=claim_id, file_name=name
    )
    return replace(request, refine_error=explain_file)


def claim_search(query: Mapping[str, str], *, family: Family = GLOBAL) -> Request[ClaimPage]:
    """Claims, "Search"."""
    return get_request("claims.search", CLAIM_SEARCH[family], decoders.claim_page, urlencode(query))


def claim_detail(claim_id: Id, *, family: Family = GLOBAL) -> Request[ClaimDetail]:
    """Claims, "Detail"."""
    path, v1 = _claim_paths("/detail", family)
    decoder = decoders.claim_detail
    return get_request("claims.detail", path, decoder, v1_template=v1, claim_id=claim_id)


# Orders and missed notifications


def order_search(query: Mapping[str, str], *, family: Family = GLOBAL) -> Request[OrderPage]:
    """Orders, "Search"."""
    return get_request("orders.search", ORDER_SEARCH[family], decoders.order_page, urlencode(query))


def order(order_id: Id, *, family: Family = GLOBAL) -> Request[Order]:
    """Orders, "Get an order"."""
    return get_request("orders.get", ORDER[family], decoders.order, order_id=order_id)


def missed_feeds(
    app_id: Id, topic: str | None, limit: int, offset: int
) -> Request[list[msgspec.Raw]]:
    """List the notifications that could not be delivered (Notifications, "Missed feeds")."""
    fields = {"app_id": str(app_id), "topic": topic, "limit": limit, "offset": offset}
    query = urlencode({name: value for name, value in fields.items() if value is not None})
    return get_request("notifications.missed", MISSED_FEEDS, decoders.missed_feeds, query)


# Accounts and tokens


def me() -> Request[Me]:
    """Return the account of the token (Authorization guide, "Users")."""
    return get_request("account.me", ME, decoders.me)


def marketplace_sellers(user_id: Id) -> Request[list[MarketplaceSeller]]:
    """Return the sellers of a Global Selling account, one for each site."""
    decoder = decoders.marketplace_sellers
    return get_request("account.sellers", MARKETPLACE_USER, decoder, user_id=user_id)


def refresh(client_id: str, client_secret: str, refresh_token: str) -> Request[TokenResponse]:
    """Refresh an access token: described in the authorization guide, not in the documents."""
    fields = {
        "grant_type": "refresh_token",
        "client_id": client_id,
        "client_secret": client_secret,
        "refresh_token": refresh_token,
    }
    request = form_request(
        "auth.refresh", TOKEN, decoders.token_response, fields, "client_secret", "refresh_token"
    )
    return replace(request, refine_error=explain_refresh)


def exchange_code(
    client_id: str, client_secret: str, code: str, redirect_uri: str, verifier: str
) -> Request[TokenResponse]:
    """Exchange the code of a login: described in the authorization guide."""
    fields = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "client_secret": client_secret,
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    secret_fields = ("client_secret", "code", "code_verifier")
    request = form_request("auth.login", TOKEN, decoders.token_response, fields, *secret_fields)
    return replace(request, refine_error=explain_exchange)


def _claim_paths(suffix: str, family: Family) -> tuple[str, str]:
    """Return the path of a claim, and the v1 path that may answer in its place, or `""`."""
    v1 = CLAIM_V1 + suffix if family is GLOBAL else ""
    return CLAIM[family] + suffix, v1


def _without_empty(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value}
