"""How the answers of the endpoints are read, each by the name of what it answers."""

import msgspec

from . import _lenient
from ._wire import JsonAnswer, Reply
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

thread_page = JsonAnswer(ThreadPage)
upload = JsonAnswer(Upload)
unread = JsonAnswer(Unread)
claim = JsonAnswer(Claim)
claim_messages = JsonAnswer(list[ClaimMessage])
claim_upload = JsonAnswer(ClaimUpload)
claim_file = JsonAnswer(ClaimAttachment)
granted = JsonAnswer(Granted)
_flat_message = JsonAnswer(Message)


def one_message(reply: Reply) -> Message:
    """From an envelope with one message, or from the message alone."""
    try:
        messages = thread_page(reply).messages
    except msgspec.ValidationError:
        return _flat_message(reply)
    if not messages:
        raise msgspec.ValidationError("the answer holds no message")
    return messages[0]


def sent(reply: Reply) -> Sent:
    """Whatever the API answers to a send; a success is never an error for its body."""
    value = _any(reply)
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        value = value["messages"]
    if isinstance(value, list) and value:
        value = value[0]
    try:
        message = _lenient.convert(value, Message)
    except msgspec.ValidationError:
        message = None
    return Sent(status_code=reply.status, message=message)


def claim_sent(reply: Reply) -> ClaimSent:
    """Whatever the API answers to a claim message: in the document a text, elsewhere an object."""
    value = _any(reply)
    found = value.get("id") if isinstance(value, dict) else None
    known = isinstance(found, str | int) and not isinstance(found, bool)
    return ClaimSent(status_code=reply.status, id=str(found) if known else None)


def _any(reply: Reply) -> object:
    try:
        return _lenient.parse(reply.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
