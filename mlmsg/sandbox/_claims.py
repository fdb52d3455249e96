"""The document "Messages claims": details, messages, upload, send-message, files, download.

Every path exists under `/marketplace/v2` and under `/post-purchase/v1`, except the information
about a file: it has only the latter, as in the seed.

The sandbox's own choices, not documented by the API:

- the order of the checks: token, `Market.denied` (403), existence (404), "Claims 1.0" (401), and
  that the token's user takes part in the claim (403, PolicyAgent as well)
- a refusal with 401 or 404 has the seed's `{code, error, message, cause: null}`; any other but
  the PolicyAgent's has `{message, error, status, cause: []}`, the seed's shape of a 400
- an upload is answered with 201 and `<uuid>.<ext>`, and must be framed strictly, with a
  Content-Length; its kind is told by its first bytes, which the extension must agree with, and
  its Content-Type is not looked at
- a send-message with an attachment never uploaded to this claim: 400
- an action the player does not have: 403
- reading messages does not mark them as read
"""

import re
from collections.abc import Iterator
from typing import get_args

import msgspec

from mlmsg.sandbox._answers import Answer, RefusalError, json_answer
from mlmsg.sandbox._exchange import ClaimSendAnswer, Exchange, Route, check_token, given_token
from mlmsg.sandbox._inputs import check_size, json_body, uploaded_part
from mlmsg.sandbox._multipart import Part
from mlmsg.sandbox.claim_shapes import Player, Role
from mlmsg.sandbox.claims import Claim, ClaimFile

_V2 = "/marketplace/v2/claims/{claim}"
_V1 = "/post-purchase/v1/claims/{claim}"

_ROLES: tuple[Role, ...] = get_args(Role)
_MAX_MEGABYTES = 5
_NAME = re.compile(r"[a-zA-Z0-9._-]{1,125}")
_ERROR_WORDS = {401: "unauthorized_request_error", 404: "not_found_error"}
_POLICY_AGENT = {
    "code": "PA_UNAUTHORIZED_RESULT_FROM_POLICIES",
    "blocked_by": "PolicyAgent",
    "message": "At least one policy returned UNAUTHORIZED.",
    "status": 403,
}

# The type, the extensions and the first bytes of the three kinds of files.
_KINDS = (
    ("image/jpeg", {"jpg", "jpeg"}, b"\xff\xd8\xff"),
    ("image/png", {"png"}, b"\x89PNG\r\n\x1a\n"),
    ("application/pdf", {"pdf"}, b"%PDF-"),
)


class SendBody(msgspec.Struct, frozen=True):
    """The JSON of a send-message; what is missing is refused in words of its own."""

    receiver_role: str | None = None
    message: str | None = None
    attachments: list[str] | None = None


async def details(exchange: Exchange) -> Answer:
    """`GET .../claims/{claim}`: players with their available actions, stage, status."""
    return json_answer(_claim(exchange).details())


async def messages(exchange: Exchange) -> Answer:
    """`GET .../claims/{claim}/messages`: a bare array, newest first."""
    return json_answer(_claim(exchange).messages)


async def upload(exchange: Exchange) -> Answer:
    """`POST .../claims/{claim}/attachments`: multipart, one part `file`."""
    claim = _claim(exchange)
    part = await uploaded_part(exchange, _MAX_MEGABYTES)
    if not _NAME.fullmatch(part.filename):
        raise RefusalError(400, "File name must have 1 to 125 characters of a-zA-Z0-9._-")
    check_size(part, _MAX_MEGABYTES)
    market = exchange.settings.market
    stored = market.add_claim_file(claim.id, part.data, part.filename, _content_type(part))
    key = exchange.settings.claim_upload_key
    return json_answer({"user_id": market.user_id, key: stored.file_name}, 201)


async def send_message(exchange: Exchange) -> Answer:
    """`POST .../claims/{claim}/actions/send-message`: it becomes the newest of the claim."""
    claim = _claim(exchange)
    sender = _own_player(exchange, claim)
    body = await json_body(exchange, SendBody)
    if not body.message:
        raise RefusalError(400, "Message cannot be empty")
    receiver = next((role for role in _ROLES if role == body.receiver_role), None)
    if receiver is None:
        raise RefusalError(400, "Receiver role must be one of complainant, respondent, mediator")
    action = f"send_message_to_{receiver}"
    if action not in {available.action for available in sender.available_actions}:
        raise RefusalError(403, f"The action {action} is not available for the {sender.role}")
    attachments = body.attachments or []
    for name in attachments:
        if name not in claim.files:
            raise RefusalError(400, f"The attachment {name} does not exist")
    exchange.settings.market.add_claim_message(
        claim.id, body.message, sender=sender.role, receiver=receiver, attachments=attachments
    )
    return _sent(exchange.settings.claim_send_answer, claim)


async def file_information(exchange: Exchange) -> Answer:
    """`GET /post-purchase/v1/claims/{claim}/attachments/{file}`: name, size, date and type."""
    return json_answer(_file(exchange).attachment())


async def download(exchange: Exchange) -> Answer:
    """`GET .../claims/{claim}/attachments/{file}/download`: the bytes."""
    stored = _file(exchange)
    return Answer(200, stored.data, {"Content-Type": stored.content_type})


def check_claims_token(exchange: Exchange) -> None:
    """Refuse a missing token with the 401 of "Messages claims", any other as everywhere."""
    if not given_token(exchange):
        raise _refusal(401, "Invalid caller.id")
    check_token(exchange)


def _family(base: str) -> Iterator[Route]:
    for method, path, handler in (
        ("GET", "", details),
        ("GET", "/messages", messages),
        ("POST", "/attachments", upload),
        ("POST", "/actions/send-message", send_message),
        ("GET", "/attachments/{file}/download", download),
    ):
        yield Route(method, base + path, handler, check_claims_token)


ROUTES = (
    *_family(_V2),
    *_family(_V1),
    Route("GET", f"{_V1}/attachments/{{file}}", file_information, check_claims_token),
)


def _refusal(status: int, message: str) -> RefusalError:
    body = {"code": status, "error": _ERROR_WORDS[status], "message": message, "cause": None}
    return RefusalError(status, message, body=body)


def _claim(exchange: Exchange) -> Claim:
    market, claim_id = exchange.settings.market, exchange.request.match_info["claim"]
    if claim_id in map(str, market.denied):
        raise RefusalError(403, "PolicyAgent", body=_POLICY_AGENT)
    claim = market.claims.get(claim_id)
    if claim is None:
        raise _refusal(404, f"Claim not found. claimId: {claim_id}")
    if claim.version_1 and exchange.request.path.startswith("/marketplace/v2/"):
        raise _refusal(401, f"Claim {claim_id} is not available here, it belongs to Claims 1.0")
    _own_player(exchange, claim)
    return claim


def _own_player(exchange: Exchange, claim: Claim) -> Player:
    player = claim.player_of(exchange.settings.market.user_id)
    if player is None:
        raise RefusalError(403, "PolicyAgent", body=_POLICY_AGENT)
    return player


def _file(exchange: Exchange) -> ClaimFile:
    name = exchange.request.match_info["file"]
    stored = _claim(exchange).files.get(name)
    if stored is None:
        raise _refusal(404, f"Attachment not found. attachmentId: {name}")
    return stored


def _content_type(part: Part) -> str:
    _, dot, extension = part.filename.rpartition(".")
    for content_type, extensions, start in _KINDS:
        if dot and extension.lower() in extensions and part.data.startswith(start):
            return content_type
    raise RefusalError(400, "File must be a JPG, PNG or PDF, by its extension and by its content")


def _sent(kind: ClaimSendAnswer, claim: Claim) -> Answer:
    text = {"Content-Type": "text/plain; charset=utf-8"}
    match kind:
        case "seed":
            return Answer(201, b'"status 201 created"', text)
        case "plain":
            return Answer(201, b"status 201 created", text)
        case "object":
            return json_answer({"id": int(f"{claim.id}{len(claim.messages):03}")}, 201)
        case "empty":
            return Answer(201, b"", text)
