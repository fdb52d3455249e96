"""The document "Messages claims": details, messages, upload, send-message, files, download.

The histories of a claim, its texts and its effect on the reputation are of other documents.

Every path exists under `/marketplace/v2` and under `/post-purchase/v1`, except the information
about a file, which has only the latter, as in the document.

Choices of the sandbox that the API does not document:

- the order of the checks: token, `Market.denied` (403), existence (404), "Claims 1.0" (401), and
  that the user of the token is a player of the claim (403 of the PolicyAgent)
- the 401 without a token or of "Claims 1.0", the 404, and the 403 of a "Model 6" seller have the
  body `{code, error, message, cause: null}`; all other errors have
  `{message, error, status, cause: []}`, except the PolicyAgent's
- the response to an upload is a 201 with `<uuid>.<ext>`; the framing must be strict, with a
  Content-Length; the first bytes of the file decide its kind, the extension must agree with
  them, and its Content-Type is ignored
- a send-message with an attachment that was not uploaded to this claim: 400
- an action that the player does not have: 403
- the type of a player is `buyer`, `seller` or `internal`
- the actions of the seller are mandatory, and due three days after the claim was opened
- `action_responsible` is the mediator of a dispute, and otherwise the seller
- the histories are in the order of time, and the texts of a claim are invented
- reading messages does not mark them as read
"""

import re
from collections.abc import Iterator
from typing import get_args

import msgspec

from mlmsg.sandbox._http.access import POLICY_AGENT, check_permission, check_token, read_token
from mlmsg.sandbox._http.exchange import ClaimSendAnswer, Exchange, Route
from mlmsg.sandbox._http.inputs import check_size, read_json, read_upload
from mlmsg.sandbox._http.multipart import Part
from mlmsg.sandbox._http.responses import ErrorResponse, Response, json_response
from mlmsg.sandbox.claims import Claim, ClaimFile
from mlmsg.sandbox.schemas.claims import Player, Role

_V2 = "/marketplace/v2/claims/{claim}"
_V1 = "/post-purchase/v1/claims/{claim}"

_ROLES: tuple[Role, ...] = get_args(Role)
_MAX_MEGABYTES = 5
_NAME = re.compile(r"[a-zA-Z0-9._-]{1,125}")
_ERROR_CODES = {
    401: "unauthorized_request_error",
    403: "forbidden_error",
    404: "not_found_error",
}
# The MIME type, the extensions and the first bytes of the three accepted kinds of files.
_KINDS = (
    ("image/jpeg", {"jpg", "jpeg"}, b"\xff\xd8\xff"),
    ("image/png", {"png"}, b"\x89PNG\r\n\x1a\n"),
    ("application/pdf", {"pdf"}, b"%PDF-"),
)


class SendBody(msgspec.Struct, frozen=True):
    """The JSON of a send-message; the absence of a field has its own error."""

    receiver_role: str | None = None
    message: str | None = None
    attachments: list[str] | None = None


async def get_claim(exchange: Exchange) -> Response:
    """Handle `GET .../claims/{claim}`: players with their available actions, stage, status."""
    return json_response(_find_claim(exchange).details())


async def get_detail(exchange: Exchange) -> Response:
    """Handle `GET .../claims/{claim}/detail`: the texts of the claim, and who acts next."""
    return json_response(_find_claim(exchange).detail())


async def list_actions(exchange: Exchange) -> Response:
    """Handle `GET .../claims/{claim}/actions-history`: a bare array, oldest first."""
    return json_response(_find_claim(exchange).actions)


async def list_statuses(exchange: Exchange) -> Response:
    """Handle `GET .../claims/{claim}/status-history`: a bare array, oldest first."""
    return json_response(_find_claim(exchange).statuses)


async def list_expected_resolutions(exchange: Exchange) -> Response:
    """Handle `GET .../claims/{claim}/expected-resolutions`: a bare array."""
    return json_response(_find_claim(exchange).expected_resolutions)


async def get_reputation(exchange: Exchange) -> Response:
    """Handle `GET .../claims/{claim}/affects-reputation`."""
    return json_response(_find_claim(exchange).reputation)


async def list_messages(exchange: Exchange) -> Response:
    """Handle `GET .../claims/{claim}/messages`: a bare array, newest first."""
    return json_response(_find_claim(exchange).messages)


async def upload(exchange: Exchange) -> Response:
    """Handle `POST .../claims/{claim}/attachments`: multipart, one part `file`."""
    claim = _find_claim(exchange)
    part = await read_upload(exchange, _MAX_MEGABYTES)
    if not _NAME.fullmatch(part.filename):
        raise ErrorResponse(400, "File name must have 1 to 125 characters of a-zA-Z0-9._-")
    check_size(part, _MAX_MEGABYTES)
    market = exchange.settings.market
    stored = market.add_claim_file(claim.id, part.data, part.filename, _detect_type(part))
    key = exchange.settings.claim_upload_key
    return json_response({"user_id": market.user_id, key: stored.file_name}, 201)


async def send_message(exchange: Exchange) -> Response:
    """Handle `POST .../claims/{claim}/actions/send-message`: add the newest message."""
    claim = _find_claim(exchange)
    sender = _find_own_player(exchange, claim)
    body = await read_json(exchange, SendBody)
    if not body.message:
        raise ErrorResponse(400, "Message cannot be empty")
    receiver = next((role for role in _ROLES if role == body.receiver_role), None)
    if receiver is None:
        raise ErrorResponse(400, "Receiver role must be one of complainant, respondent, mediator")
    action = f"send_message_to_{receiver}"
    if action not in {available.action for available in sender.available_actions}:
        raise ErrorResponse(403, f"The action {action} is not available for the {sender.role}")
    attachments = body.attachments or []
    for name in attachments:
        if name not in claim.files:
            raise ErrorResponse(400, f"The attachment {name} does not exist")
    exchange.settings.market.add_claim_message(
        claim.id, body.message, sender=sender.role, receiver=receiver, attachments=attachments
    )
    return _sent_response(exchange.settings.claim_send_answer, claim)


async def get_file_information(exchange: Exchange) -> Response:
    """Handle `GET /post-purchase/v1/claims/{claim}/attachments/{file}`."""
    return json_response(_find_file(exchange).attachment())


async def download(exchange: Exchange) -> Response:
    """Handle `GET .../claims/{claim}/attachments/{file}/download`."""
    stored = _find_file(exchange)
    return Response(200, stored.data, {"Content-Type": stored.content_type})


def check_claims_token(exchange: Exchange) -> None:
    """Refuse a token or a seller as `check_seller` does, but with the bodies of claims.

    Raises:
        ErrorResponse: 401 without a token, 403 for a "Model 6" seller, and the others.
    """
    if not read_token(exchange):
        raise _claim_error(401, "Invalid caller.id")
    check_token(exchange)
    check_permission(exchange)
    if exchange.settings.is_model_6 and exchange.request.path.startswith("/marketplace/"):
        raise _claim_error(403, "Forbidden for CBT model 6 sellers.")


def _routes_below(base: str) -> Iterator[Route]:
    for method, path, handler in (
        ("GET", "", get_claim),
        ("GET", "/detail", get_detail),
        ("GET", "/actions-history", list_actions),
        ("GET", "/status-history", list_statuses),
        ("GET", "/expected-resolutions", list_expected_resolutions),
        ("GET", "/affects-reputation", get_reputation),
        ("GET", "/messages", list_messages),
        ("POST", "/attachments", upload),
        ("POST", "/actions/send-message", send_message),
        ("GET", "/attachments/{file}/download", download),
    ):
        yield Route(method, base + path, handler, check_claims_token)


ROUTES = (
    *_routes_below(_V2),
    *_routes_below(_V1),
    Route("GET", f"{_V1}/attachments/{{file}}", get_file_information, check_claims_token),
)


def _claim_error(status: int, message: str) -> ErrorResponse:
    body = {"code": status, "error": _ERROR_CODES[status], "message": message, "cause": None}
    return ErrorResponse(status, message, body=body)


def _find_claim(exchange: Exchange) -> Claim:
    market, claim_id = exchange.settings.market, exchange.request.match_info["claim"]
    if claim_id in map(str, market.denied):
        raise ErrorResponse(403, "PolicyAgent", body=POLICY_AGENT)
    claim = exchange.find(market.claims, claim_id)
    if claim is None:
        raise _claim_error(404, f"Claim not found. claimId: {claim_id}")
    if claim.version_1 and exchange.request.path.startswith("/marketplace/v2/"):
        message = f"Claim {claim_id} is not available here, it belongs to Claims 1.0"
        raise _claim_error(401, message)
    _find_own_player(exchange, claim)
    return claim


def _find_own_player(exchange: Exchange, claim: Claim) -> Player:
    player = claim.player_of(exchange.settings.market.user_id)
    if player is None:
        raise ErrorResponse(403, "PolicyAgent", body=POLICY_AGENT)
    return player


def _find_file(exchange: Exchange) -> ClaimFile:
    name = exchange.request.match_info["file"]
    stored = _find_claim(exchange).files.get(name)
    if stored is None:
        raise _claim_error(404, f"Attachment not found. attachmentId: {name}")
    return stored


def _detect_type(part: Part) -> str:
    _, dot, extension = part.filename.rpartition(".")
    for content_type, extensions, start in _KINDS:
        if dot and extension.lower() in extensions and part.data.startswith(start):
            return content_type
    raise ErrorResponse(400, "File must be a JPG, PNG or PDF, by its extension and by its content")


def _sent_response(kind: ClaimSendAnswer, claim: Claim) -> Response:
    plain_text = {"Content-Type": "text/plain; charset=utf-8"}
    match kind:
        case "seed":
            return Response(201, b'"status 201 created"', plain_text)
        case "plain":
            return Response(201, b"status 201 created", plain_text)
        case "object":
            return json_response({"id": int(f"{claim.id}{len(claim.messages):03}")}, 201)
        case "empty":
            return Response(201, b"", plain_text)
