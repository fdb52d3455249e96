"""Read the API's error bodies, choose the exception and add a hint.

The hints follow the table of solutions in the document "Post-sale messages".
"""

import re
from collections.abc import Mapping

import msgspec

from . import _lenient
from ._arguments import FILE_ID_HINT
from ._numbers import whole_number
from ._patterns import LazyPattern
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
from .models._blocked import SUBSTATUS, guidance_for

__all__ = ["ErrorBody", "api_error", "explain_file", "hint_for", "read_error_body"]

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


_TEXT_KEYS = (
    "message", "errormessage", "errordescription", "description", "detail", "details", "msg",
    "mensaje", "mensagem", "faultstring", "reason", "title",
)  # fmt: skip
"""Keys whose first text becomes the message of the error, best first, as `_fold` writes them."""

_TEXT_KEY = LazyPattern(r"mess|mens|msg|descr|detail|explan|reason|motiv|text|info")
"""Other keys of that sort, such as `userMessage` and `descripcion`."""

_SENTENCE = LazyPattern(r"[^\W\d_]{2} +[^\W\d_]")
"""Two words: no code, date or number."""

_LAST_KEYS = ("error", "errors", "fault", "data", "cause", "code")
"""Keys under which a code may stand as well as a text, or another error."""

MAX_DEPTH = 5
"""Errors inside errors that are opened: the text of one may be the JSON of another."""

MAX_ITEMS = 20
"""Errors of a list of which the first one with a text is taken."""

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
    """Return the error for an unsuccessful response, of the class that its meaning asks for."""
    found = read_error_body(body)
    message = found.message or str(status)
    return _error_class(status, found)(
        status, found.code, message, found.cause, body, headers, request, attempts,
        hint_for(f"{found.code} {message}" if status == 403 else message),
    )  # fmt: skip


def _error_class(status: int, found: ErrorBody) -> type[ApiError]:
    """Return the class for a status. A token that cannot be valid is not always a 401."""
    if 500 <= status <= 599:
        return ServerError
    is_refused_by_policy = (found.code or "").upper().startswith("PA_")
    if status not in _ABOUT_SOMETHING_ELSE and not is_refused_by_policy and _is_bad_token(found):
        return AuthenticationError
    return _STATUS_CLASSES.get(status, ApiError)


_ABOUT_SOMETHING_ELSE = {429}
"""Statuses that are never about the token, whatever the text says."""

_BAD_TOKEN_CODE = LazyPattern(
    r"(?i)(?:invalid|expired|malformed|missing)_(?:access_)?token|(?:access_)?token_expired"
)
_TOKEN = r"(?:(?:access|bearer)[ -]?token|token de ac(?:ceso|esso))"  # noqa: S105
_BAD = (
    r"(?:required|missing|malformed|invalid|expired|not valid|empty"
    r"|requerido|obligatorio|inv[aá]lido|no (?:es )?v[aá]lido|mal ?formado|vencido|expirado"
    r"|caducado"
    r"|obrigat[oó]rio|necess[aá]rio|n[aã]o (?:[eé] )?v[aá]lido|ausente)"
)
_BAD_TOKEN_TEXT = LazyPattern(
    rf"(?i)\b(?:malformed|invalid|expired|missing) (?:{_TOKEN}|token)\b"
    rf"|(?:\b{_TOKEN}|^(?:(?:the|el|o) )?token):? (?:is |has |was |es |est[aá] |é )?{_BAD}\b"
    rf"|\b(?:requiere|falta|necess[aá]rio) (?:el |un |o |um )?{_TOKEN}\b"
    r"|\bauthorization (?:value |header )(?:is )?(?:missing|required|not present)\b"
)
_OF_ANOTHER_USER = LazyPattern(
    r"(?i)\b(?:for|to) (?:this |the )?(?:resource|user|seller|order|pack)"
)
"""A token that is valid, but not for what was asked."""


def _is_bad_token(found: ErrorBody) -> bool:
    """Return True if the API says that the access token is missing, malformed or not valid.

    The texts are English, Spanish and Portuguese: the documents show errors in these languages.
    """
    if found.code is not None and _BAD_TOKEN_CODE.fullmatch(found.code):
        return True
    text = found.message.replace("_", " ")
    return _BAD_TOKEN_TEXT.search(text) is not None and _OF_ANOTHER_USER.search(text) is None


def read_error_body(body: bytes) -> ErrorBody:
    """Read any error body. Never raises.

    Reads JSON objects in which any key may be missing, null or of another type, errors inside of
    errors, plain text and HTML.
    """
    try:
        value = _lenient.parse(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict | list | str):
        value = _plain_text(body)
    return _read_value(value, 0)


def _read_object(value: Mapping[str, object], depth: int) -> ErrorBody:
    """Return the readable parts of one object; those of an error inside of it come first."""
    keys = {_fold(key): inner for key, inner in value.items()}
    own = ErrorBody(_code(keys), "", _cause(keys.get("cause")))
    alike = (inner for key, inner in keys.items() if _TEXT_KEY.search(key))
    others = (inner for inner in keys.values() if _is_sentence_or_nested(inner))
    for inner in (*map(keys.get, _TEXT_KEYS), *alike, *map(keys.get, _LAST_KEYS), *others):
        found = _read_value(inner, depth)
        if found.message:
            return ErrorBody(found.code or own.code, found.message, found.cause or own.cause)
    return own


def _is_sentence_or_nested(value: object) -> bool:
    """Return True for what may be an error's text whatever its key: a sentence, or an object."""
    return isinstance(value, dict | list) or (
        isinstance(value, str) and _SENTENCE.search(value) is not None
    )


def _fold(key: str) -> str:
    """Return a key without case and separators: `errorMessage` is `error_message`."""
    return re.sub(r"[_-]", "", key).lower()


def _read_value(value: object, depth: int) -> ErrorBody:
    """Return what a value says: a text, an error inside of a text, or an error."""
    if isinstance(value, str):
        inner = _inner_error(value) if depth < MAX_DEPTH else None
        found = ErrorBody() if inner is None else _read_value(inner, depth + 1)
        return found if found.message else ErrorBody(message=value.strip())
    if depth >= MAX_DEPTH:
        return ErrorBody()
    if isinstance(value, list):
        items = (_read_value(item, depth + 1) for item in value[:MAX_ITEMS])
        return next((item for item in items if item.message), ErrorBody())
    return _read_object(value, depth + 1) if isinstance(value, dict) else ErrorBody()


def _inner_error(text: str) -> object:
    """Return the JSON in a text, which may follow other words; None if there is none."""
    start, end = text.find("{"), max(text.rfind("}"), text.rfind("]"))
    if text.lstrip().startswith("["):
        start = text.find("[")
    if start < 0 or end < start:
        return None
    try:
        return _lenient.parse(text[start : end + 1].encode("utf-8", "replace"))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _code(value: Mapping[str, object]) -> str | None:
    # `code` repeats the HTTP status in one key set, and is the code itself in the others.
    codes = (value.get("code"), value.get("errorcode"), value.get("error"))
    names = (code for code in codes if isinstance(code, str) and code)
    return next((name for name in names if whole_number(name) is None), None)


def _cause(cause: object) -> tuple[object, ...]:
    if isinstance(cause, list):
        return tuple(cause)
    return () if cause is None or cause == "" else (cause,)


def _plain_text(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    if "<" in text:
        text = re.sub(r"(?is)<(script|style)\b.*?(</\1>|$)|<[^<>]*>", " ", text)
    return " ".join(text.split())[:MAX_TEXT_LENGTH]


_NO_MESSAGING = (
    "The token is not the problem: Model 6 sellers of Global Selling cannot use messages and "
    "claims by the API, and neither can an application without the permission for them"
)
_NO_PERMISSION = (
    "The token is not the problem: the application needs the permission 'pre and post sale "
    "communication', or the claim belongs to somebody else or does not exist"
)
_BLOCKED = (
    "The conversation is blocked: client.packs.page(pack_id).conversation_status.hint says why"
)

_NO_FILE = LazyPattern(r"(?i)requested file could not be obtained|file can not be accessed")

_HINTS = tuple(
    (LazyPattern(pattern, re.IGNORECASE), hint)
    for pattern, hint in (
        (r"cbt model 6|^forbidden forbidden$", _NO_MESSAGING),
        (r"policyagent|\bPA_\w+", _NO_PERMISSION),
        (r"blocked_conversation_send_message_forbidden", _BLOCKED),
        (r"attachment empty or null", "Attach a file that is not empty"),
        (r"file name cannot include", "Remove / and \\ from the file name"),
        (r"file size exceeds", "Send a file of at most 25 MB"),
        (r"exceeds allowed number of attachments", "Attach at most 25 files"),
        (r"messages id empty or invalid", "Pass the id of a message"),
        (
            r"specified message id: .{0,200} does not exist",
            "Check the id in the thread of its pack",
        ),
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


def explain_file(error: ApiError) -> ApiError:
    """Return the error of a file, with advice about its id.

    Not verified: how the API answers an id that does not exist, with a 404 or with the text for a
    file that cannot be accessed.
    """
    if isinstance(error, NotFound) or _NO_FILE.search(error.message):
        error.add_hint(f"If it stays so, check the id. {FILE_ID_HINT}")
    return error


def hint_for(message: str) -> str:
    """Return what the documents advise about a message of the API, or `""`."""
    substatus = SUBSTATUS.search(message)
    if substatus is not None and "excepted_case" not in substatus[0]:
        return guidance_for("blocked", substatus[0]).hint
    return next((hint for pattern, hint in _HINTS if pattern.search(message)), "")
