"""Read the address at which a login ends, as a person pastes it. Pure.

The address contains the code of the login. So no value of it stays in a variable of a function that
raises, except as a `Secret`: a traceback may show all variables.
"""

import secrets
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ._arguments import check_secret, shorten
from ._secrets import Secret, as_secret, redact
from .errors import RuleError

__all__ = ["AuthorizationDenied", "check_redirect_uri", "read_code"]

MAX_DESCRIPTION = 200
"""Characters of a description that an error keeps."""

_RULE = "final address of the login"
_LIMIT = "the whole address at which the browser ended, or the code in it"
_PASTE = "Paste the whole address of the page after the login, unchanged"
_AGAIN = "Begin again with a new login"

_WRAPPERS = "<>()[]\"'`\u2018\u2019\u201c\u201d,;"
"""Characters around a pasted address that are not part of it."""

_PARAMETERS = ("code", "state", "error", "error_description", "client_id")

_DENIED = {
    "access_denied": "The seller did not allow the application to act for the account",
    "invalid_operator_user_id": "Log in with the main account, not with that of a collaborator",
    "invalid_scope": "Check the scopes of the application",
    "unauthorized_client": "Check the settings of the application",
    "invalid_request": "Check the redirect address and PKCE in the settings of the application",
    "server_error": "Try again later",
    "temporarily_unavailable": "Try again later",
}
"""The advice for the `error` of a redirect (RFC 6749, section 4.1.2.1)."""


class AuthorizationDenied(RuleError):
    """The login ended with an error in place of a code. Nothing was sent.

    That the API returns such errors is not verified: they are those of OAuth.

    Attributes:
        error: The error, such as `access_denied`.
        description: The text that came with it, or `""`.
    """

    __module__ = "mlmsg.oauth"

    def __init__(self, error: str, description: str = "") -> None:
        found = f"the error {error!r}{f' ({description})' if description else ''}"
        advice = _DENIED.get(error)
        super().__init__(_RULE, found, "a code", f"{advice}. {_AGAIN}" if advice else _AGAIN)
        self.args: tuple[object, ...] = (error, description)
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True)
class _Answer:
    """The parts of a final address. The code and the state are in `parameters`.

    Attributes:
        place: Host and path, comparable; `""` for a query alone.
        shown: Host and path for an error.
        parameters: The known parameters of the query.
        repeated: The name of a parameter that is there more than once, or `""`.
    """

    place: Secret
    shown: str
    parameters: dict[str, Secret]
    repeated: str


def check_redirect_uri(value: str) -> str:
    """Return the redirect address unchanged: it has to equal the registered one byte for byte."""
    rule, limit = "`redirect_uri`", "the registered address, 'https://host/path'"
    if not isinstance(value, str):
        raise RuleError(rule, type(value).__name__, limit)
    parts = _split(value)
    is_plain = value.isprintable() and " " not in value and "#" not in value
    if not is_plain or parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise RuleError(rule, shorten(value), limit, "Copy it from the settings of the application")
    return value


def read_code(answer: str, state: str, redirect_uri: str) -> Secret:
    """Return the code of a final address whose state is right, or of a bare code.

    Args:
        answer: The final address, its query alone, or the code alone.
        state: The state that was sent to the login page. A bare code has none to compare.
        redirect_uri: The address to which the login returns.

    Raises:
        AuthorizationDenied: The login ended with an error.
        RuleError: It is another address, or has no code or another state. The error never repeats
            the code.
    """
    answer = as_secret(answer)
    if not isinstance(answer, str):
        raise RuleError(_RULE, type(answer).__name__, _LIMIT)
    answer = _unwrap(answer)
    if not answer:
        raise RuleError(_RULE, "an empty text", _LIMIT, _PASTE)
    if not set("/?=&#") & set(answer):
        return Secret(check_secret("code of the login", answer))
    found = _parse(answer, redirect_uri)
    if found is None:
        raise RuleError(_RULE, "an address that cannot be read", _LIMIT, _PASTE)
    _check_place(found, redirect_uri)
    if found.repeated:
        raise RuleError(_RULE, f"more than one `{found.repeated}`", "one", _AGAIN)
    if error := found.parameters.get("error"):
        raise AuthorizationDenied(_clean(error), _clean(found.parameters.get("error_description")))
    if "code" not in found.parameters:
        raise RuleError(_RULE, "no code", _LIMIT, _PASTE)
    _check_state(found, state)
    return Secret(check_secret("code of the login", found.parameters["code"]))


def _check_state(found: _Answer, state: str) -> None:
    given = found.parameters.get("state", Secret())
    if not secrets.compare_digest(given.encode("utf-8", "replace"), state.encode()):
        kind = "another state" if given else "no state"
        hint = "This address belongs to another login. " + _AGAIN
        raise RuleError(_RULE, kind, "the state of this login", hint)


def _check_place(found: _Answer, redirect_uri: str) -> None:
    """Reject an address that is not the redirect address, as far as a browser keeps it."""
    expected = _parse(redirect_uri, redirect_uri)
    if not found.place or expected is None or found.place == expected.place:
        return
    limit = f"an address that begins with {redirect_uri!r}"
    hint = _PASTE
    if "client_id" in found.parameters:
        hint = "This is the address to open. Open it in a browser, log in, and paste where it ends"
    raise RuleError(_RULE, found.shown, limit, hint)


def _unwrap(text: str) -> Secret:
    """Return what was pasted without what surrounds it: spaces, quotes, `Location:`."""
    text = "".join(text.split())  # a terminal may have wrapped it
    text = text.strip(_WRAPPERS)
    if text[:9].lower() == "location:":
        text = text[9:]
    return Secret(text.strip(_WRAPPERS))


def _parse(text: str, redirect_uri: str) -> _Answer | None:
    """Return the parts of an address or of a query alone; None if it cannot be read."""
    pasted = text
    if text.partition("=")[0].lstrip("?") in {"code", "state", "error"}:  # a query alone
        text = "?" + text.lstrip("?")
    elif "://" not in text.partition("?")[0]:  # a browser may hide the scheme
        text = redirect_uri.partition("://")[0] + "://" + text
    parts = _split(text)
    if parts is None:
        return None
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, errors="strict")
    except ValueError:
        return None
    names = [name for name, _ in pairs]
    is_address = "?" in text or "://" in pasted  # otherwise it may be a code of another form
    place = f"{parts.netloc}{unquote(parts.path).rstrip('/')}"
    return _Answer(
        place=Secret(place.lower()),
        shown=redact(shorten(_without_query(parts)), ()) if is_address else "no address",
        parameters={name: Secret(value) for name, value in pairs if name in _PARAMETERS},
        repeated=next((n for n in _PARAMETERS if names.count(n) > 1), ""),
    )


def _split(text: str) -> SplitResult | None:
    """Return the parts of an address; None if it is malformed."""
    try:
        return urlsplit(text)
    except ValueError:
        return None


def _without_query(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _clean(text: str | None) -> str:
    """Return a text of the login page on one line, for an error."""
    line = "".join(c if c.isprintable() else " " for c in text or "")
    return redact(line[:MAX_DESCRIPTION], ())
