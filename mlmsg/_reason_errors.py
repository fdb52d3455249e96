"""Explain the errors of the action guide, and what they prove ("Action guide", errors). Pure.

The Portuguese edition of the document prints the messages in Portuguese, and perhaps the API does
too. So a message is matched in both languages, and only where status and `cause` do not decide.
"""

from ._patterns import LazyPattern
from ._wire import Response
from .errors import (
    ApiError,
    BadRequest,
    ConversationOpen,
    ExceptedCase,
    PermissionDenied,
    ReasonUsedUp,
)

__all__ = ["proves_not_executed", "refine_reason_error", "refine_used_up"]

_LOCKED = 409

_USED_UP = LazyPattern(r"(?i)option\s+\S+\s+again|opç[aã]o\s+\S+\s+(?:outra vez|novamente)")
_USED_UP_HINT = "The message limit is reached: wait for the buyer to answer, then use packs.send"
_IS_OPEN = LazyPattern(r"(?i)check\s+(?:the\s+)?blocked messages|mensagens bloqueadas")
_PAST_DATE = LazyPattern(r"(?i)(?:delivery|entrega)\b.{0,200}\b(?:before|anterior)")
"""The two words in one sentence: without a bound, each `delivery` would read to the end."""

_HINTS = {
    400: "Take the template, its variables and the text from client.reasons.list",
    403: "Read client.packs.page(pack_id).conversation_status.hint for what can be done",
    404: "Read client.reasons.list again: this option is not offered now",
    409: "Another request for this sale is running: try again later",
    451: "The buyer has closed the account: no message can be sent",
}


def refine_reason_error(error: ApiError) -> ApiError:
    """Return the error with the class and the hint that its meaning asks for."""
    if isinstance(error, BadRequest) and "blocked_by_excepted_case" in _words(error):
        return _as(ExceptedCase, error, "This pack needs no reason: use client.packs.send")
    error = refine_used_up(error)
    if isinstance(error, ReasonUsedUp):
        return error
    if isinstance(error, PermissionDenied) and _IS_OPEN.search(error.message):
        return _as(ConversationOpen, error, "The conversation is open: use client.packs.send")
    if error.status == 500 and _PAST_DATE.search(error.message):
        return _as(type(error), error, "Choose a delivery date that is not before today")
    if error.hint or error.status not in _HINTS:
        return error
    return _as(type(error), error, _HINTS[error.status])


def refine_used_up(error: ApiError) -> ApiError:
    """Return a `ReasonUsedUp` if that is what a 403 means, and otherwise the same error."""
    if isinstance(error, PermissionDenied) and _USED_UP.search(error.message):
        return _as(ReasonUsedUp, error, _USED_UP_HINT)
    return error


def proves_not_executed(response: Response) -> bool:
    """Return True if a response proves that the option was not executed.

    Not verified for 409: by the document's explanation the option did not run.
    """
    is_past_date = _PAST_DATE.search(response.body.decode("utf-8", "replace")) is not None
    return response.status == _LOCKED or (response.status == 500 and is_past_date)


def _as(kind: type[ApiError], error: ApiError, hint: str) -> ApiError:
    fields = (error.status, error.code, error.message, error.cause, error.body, error.headers)
    return kind(*fields, error.request, error.attempts, hint)


def _words(error: ApiError) -> str:
    return " ".join(map(str, (error.code, error.message, *error.cause))).lower()
