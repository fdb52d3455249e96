"""The parts of a send that both families share: attachments, blocked threads, the response."""

from mlmsg.sandbox._http.exchange import Exchange, SendAnswer
from mlmsg.sandbox._http.responses import JSON_HEADERS, ErrorResponse, Response, json_response
from mlmsg.sandbox.conversations import needs_reason
from mlmsg.sandbox.packs import Pack
from mlmsg.sandbox.schemas.flat import flat_message
from mlmsg.sandbox.schemas.packs import Message, Moderation

_MAX_ATTACHMENTS = 25


def check_attachments(exchange: Exchange, attachments: list[str]) -> None:
    """Refuse too many attachments, and one that was never uploaded.

    Raises:
        ErrorResponse: 400; the text of the second case is the sandbox's own choice.
    """
    if len(attachments) > _MAX_ATTACHMENTS:
        text = f"Message exceeds allowed number of attachments: {_MAX_ATTACHMENTS}"
        raise ErrorResponse(400, text)
    for file_id in attachments:
        if file_id not in exchange.settings.market.files:
            raise ErrorResponse(400, f"The attachment id: {file_id} does not exist")


def blocked_error(exchange: Exchange, pack: Pack) -> ErrorResponse:
    """Return the 403 of a send on a blocked thread; see `Sandbox.blocked_answer`."""
    substatus = pack.conversation_status.substatus or ""
    message = "blocked_conversation_send_message_forbidden"
    if needs_reason(pack.conversation_status):
        message = "blocked_by_conversation_started_by_seller"
    elif exchange.settings.blocked_answer == "substatus":
        message = substatus
    body = {"status_code": 403, "code": "forbidden", "message": message}
    return ErrorResponse(403, message, body=body)


def moderation_of(exchange: Exchange) -> Moderation | None:
    """Return the moderation of the next message, or None for a clean one."""
    reason = exchange.settings.send_rejection
    if reason is None:
        return None
    return Moderation("rejected", reason, "online", exchange.settings.market.date())


def add_message(
    exchange: Exchange,
    pack: Pack,
    text: str,
    *,
    text_translated: str | None = None,
    attachments: list[str],
) -> Message:
    """Add the message of the seller, moderated if `Sandbox.send_rejection` says so."""
    moderation = moderation_of(exchange)
    return exchange.settings.market.add_message(
        pack.id,
        text,
        text_translated=text_translated,
        attachments=attachments,
        status="available" if moderation is None else "moderated",
        moderation=moderation,
    )


def sent_response(exchange: Exchange, message: Message) -> Response:
    """Return the response to a send; `Sandbox.send_answer` selects its body."""
    kind: SendAnswer = exchange.settings.send_answer
    status = exchange.settings.send_status
    is_flat = exchange.settings.message_spelling == "flat"
    sent = flat_message(message) if is_flat else message
    match kind:
        case "message":
            return json_response(sent, status)
        case "messages":
            return json_response({"messages": [sent]}, status)
        case "array":
            return json_response([sent], status)
        case "object":
            return json_response({}, status)
        case "empty":
            return Response(status, b"", JSON_HEADERS)
