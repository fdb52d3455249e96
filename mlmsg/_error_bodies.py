"""Read the API's error bodies, choose the exception and add a hint.

The hints follow the table of solutions in the document "Post-sale messages".
"""

import re
from collections.abc import Mapping

import msgspec

from . import _lenient
from .errors import (
    ApiError,
    AuthenticationError,
    BadRequest,
    NotFound,
    PermissionDenied,
    RateLimited,
    RequestLine,
    ServerError,
)

__all__ = ["ErrorBody", "api_error", "hint_for", "read_error_body"]

MAX_TEXT_LENGTH = 500
"""Characters that are kept as the message of a body that is not JSON (plain text, HTML)."""


class ErrorBody(msgspec.Struct, frozen=True):
    """The readable parts of an error body of any shape.

    Attributes:
        code: The API's code for the error, or None.
        message: The API's own text, or `""`.
        cause: The values under `cause`; always a tuple.
    """

    code: str | None = None
    message: str = ""
    cause: tuple[object, ...] = ()


_MESSAGE_KEYS = ("message", "error_description", "error", "cause", "code")
"""Keys whose first non-empty text becomes the message of the error."""

_STATUS_CLASSES: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: AuthenticationError,
    403: PermissionDenied,
    404: NotFound,
    429: RateLimited,
}


def api_error(
    status: int,
    body: bytes,
    headers: Mapping[str, str],
    request: RequestLine,
    attempts: int,
) -> ApiError:
    """Return the error for an unsuccessful response, of the class that belongs to its status."""
    server_side = ServerError if 500 <= status <= 599 else ApiError
    found = read_error_body(body)
    message = found.message or str(status)
    return _STATUS_CLASSES.get(status, server_side)(
        status, found.code, message, found.cause, body, headers, request, attempts,
        hint_for(message),
    )  # fmt: skip


def read_error_body(body: bytes) -> ErrorBody:
    """Read any error body. Never raises.

    Reads JSON objects with the keys `message`, `error`, `code`, `cause` and `error_description`,
    each of which may be missing, null or of another type; and plain text and HTML.
    """
    try:
        value = _lenient.parse(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ErrorBody(message=_plain_text(body))
    if not isinstance(value, dict):
        return ErrorBody(message=_plain_text(body))
    texts = [value.get(key) for key in _MESSAGE_KEYS]
    message = next((text.strip() for text in texts if isinstance(text, str) and text.strip()), "")
    return ErrorBody(code=_code(value), message=message, cause=_cause(value.get("cause")))


def _code(value: Mapping[str, object]) -> str | None:
    # `code` repeats the HTTP status in one key set, and is the code itself in the others.
    codes = (value.get("code"), value.get("error"))
    return next(
        (code for code in codes if isinstance(code, str) and code and not code.isdecimal()), None
    )


def _cause(cause: object) -> tuple[object, ...]:
    if isinstance(cause, list):
        return tuple(cause)
    return () if cause is None or cause == "" else (cause,)


def _plain_text(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    if "<" in text:
        text = re.sub(r"(?is)<(script|style)\b.*?(</\1>|$)|<[^<>]*>", " ", text)
    return " ".join(text.split())[:MAX_TEXT_LENGTH]


_HINTS = tuple(
    (re.compile(pattern, re.IGNORECASE), hint)
    for pattern, hint in (
        (r"attachment empty or null", "Attach a file that is not empty"),
        (r"file name cannot include", "Remove / and \\ from the file name"),
        (r"file size exceeds", "Send a file of at most 25 MB"),
        (r"exceeds allowed number of attachments", "Attach at most 25 files"),
        (r"messages id empty or invalid", "Pass the id of a message"),
        (r"specified message id: .* does not exist", "Check the id in the thread of its pack"),
        (r"messages from multiple orders", "Request messages of one order at a time"),
        (r"limit param must be greater", "Pass a limit greater than 0"),
        (r"invalid offset or limit", "Pass a limit and an offset that are whole numbers"),
        (r"access token is required", "Pass an access token to the Client"),
        (r"malformed access_token", "Pass the unchanged access token, without 'Bearer '"),
        (r"text is required", "Pass a text that is not empty"),
        (
            r"access token invalid for resource",
            "Use the token of a user with access to this resource",
        ),
        (r"can not identify the user", "Use the token of the seller of this order"),
        (r"option other again", "The message limit is reached: wait for the buyer to answer"),
        (r"could not be retrieved from storage", "Try again in a few seconds, or check the id"),
        (r"order do not exist", "Check the pack id"),
        (r"(requested file could not be obtained|file can not be accessed)", "Try again later"),
        (r"file can not be saved", "Upload it again"),
    )
)


def hint_for(message: str) -> str:
    """Return the advice of the documents for a message of the API, or `""`."""
    return next((hint for pattern, hint in _HINTS if pattern.search(message)), "")
