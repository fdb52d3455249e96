"""Checks of arguments that no rule of the API defines: ids, counts, callbacks, URLs, tokens.

Each kind of argument has one check here. A failed check raises a `RuleError` that names the
argument, the value found and what is allowed.
"""

import ipaddress
import math
import operator
import os
import re
from collections.abc import Iterable, Sequence
from inspect import iscoroutinefunction
from os import PathLike
from ssl import SSLContext
from typing import SupportsIndex, TypeVar
from urllib.parse import urlsplit

from ._patterns import LazyPattern
from .errors import InvalidToken, RuleError

__all__ = [
    "FILE_ID_HINT",
    "as_index",
    "check_base_url",
    "check_bool",
    "check_callback",
    "check_content_type",
    "check_id",
    "check_int",
    "check_proxy",
    "check_seconds",
    "check_secret",
    "check_sequence",
    "check_ssl",
    "check_token",
    "closest_hint",
    "expand_user",
    "is_content_type",
    "is_loopback",
    "shorten",
]

T = TypeVar("T")

MAX_REPR = 80
"""Characters of an invalid value that its error repeats."""

ID_LIMIT = "an int of 0 or more, or a str without '/' or spaces"
"""The words of an error for the ids that are allowed."""

FILE_ID_HINT = "The id of a file is `filename` of its attachment, not `original_filename`"
"""Advice about the id of a file."""

_FILE_FIELDS = {"attachment_id": ("filename", "id"), "file_name": ("filename",)}
"""The fields of attachments and uploads that the arguments for a file take."""

_PRINTABLE_ASCII = LazyPattern(r"[\x21-\x7e]+")
_NOT_IN_SEGMENT = LazyPattern(r"[/\\\x00-\x20\x7f-\x9f\ud800-\udfff]")


def check_int(name: str, value: object, minimum: int, maximum: int | None = None) -> int:
    """Return a count as an int from `minimum` to `maximum`.

    It may be an int of another library, such as NumPy's. A bool is not an int here.
    """
    number = as_index(value)
    if number is not None and minimum <= number <= (math.inf if maximum is None else maximum):
        return number
    limit = f"an int of {minimum} or more" if maximum is None else f"{minimum} to {maximum}"
    raise RuleError(name, shorten(value), limit)


def check_seconds(
    name: str, value: object, *, allow_zero: bool = False, allow_none: bool = False
) -> None:
    """Reject a value that is not a finite number of seconds over 0. A bool is not a number here."""
    if value is None and allow_none:
        return
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if 0 < number < math.inf or (allow_zero and number == 0):
        return
    limit = "seconds, 0 or more" if allow_zero else "seconds over 0"
    raise RuleError(name, shorten(value), f"{limit}, or None" if allow_none else limit)


def check_callback(name: str, callback: object, arguments: str) -> None:
    """Reject a callback that cannot be called, or that is async: nobody would await it."""
    if callback is None:
        return
    limit = f"a plain function of {arguments}, or None"
    call = getattr(callback, "__call__", None)  # noqa: B004  (the method itself may be async)
    if call is None:
        raise RuleError(name, type(callback).__name__, limit)
    if iscoroutinefunction(callback) or iscoroutinefunction(call):
        raise RuleError(name, "an async function", limit)


def check_sequence(name: str, values: Sequence[T], limit: str) -> Sequence[T]:
    """Return the values. Reject a single str, bytes or path: its characters would be iterated."""
    is_single = isinstance(values, str | bytes | bytearray | memoryview | PathLike)
    if is_single or not isinstance(values, Sequence):
        raise RuleError(name, f"one {type(values).__name__}", limit)
    return values


def check_id(name: str, value: int | str | SupportsIndex, limit: str = ID_LIMIT) -> str:
    """Return an id as text.

    An id is an int of 0 or more, an object with `__index__`, or a str that is one path segment.
    """
    if isinstance(value, str):
        return _check_segment(name, value, limit)
    number = as_index(value)
    if number is not None and 0 <= number < 10**100:
        return str(number)
    if hint := _attribute_hint(name, value):
        raise RuleError(f"`{name}`", _with_article(type(value).__name__), limit, hint)
    raise RuleError(f"`{name}`", shorten(value), limit)


def _attribute_hint(name: str, value: object) -> str:
    """Return which attribute of an object is the id, such as `.pack_id` of a `PackRef`."""
    is_own = name.removesuffix("_id") in type(value).__name__.lower()
    for attribute in (name, *(["id"] if is_own else []), *_FILE_FIELDS.get(name, ())):
        found = getattr(value, attribute, None)
        if isinstance(found, int | str) and not isinstance(found, bool):
            return f"Use its .{attribute}"
    return ""


def _with_article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def as_index(value: object) -> int | None:
    """Return an int, also for an int of another library, or None. A bool is not an int here."""
    if type(value) is int:  # the usual type first
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return None
    try:
        return int(operator.index(value))
    except TypeError:  # an array of NumPy has the method for the case that it has one element
        return None


def _check_segment(name: str, value: str, limit: str) -> str:
    if not value or value in {".", ".."}:
        raise RuleError(f"`{name}`", shorten(value), limit)
    if found := _NOT_IN_SEGMENT.search(value):
        hint = f"Remove the character {found[0]!r}: pass only the id"
        if name in _FILE_FIELDS:
            hint = FILE_ID_HINT
        raise RuleError(f"`{name}`", shorten(value), limit, hint)
    return str(value)


def expand_user(path: str | PathLike[str]) -> str:
    """Return the path with the home folder in place of a leading `~` or `~user`."""
    return os.path.expanduser(os.fspath(path))  # noqa: PTH111  (Path raises for an unknown user)


def check_base_url(value: str) -> str:
    """Return the base URL without a final slash: `https://`, or `http://` for loopback only."""
    limit = "'https://host' or, on this machine only, 'http://127.0.0.1:port'"
    if (
        not isinstance(value, str)
        or not re.fullmatch(r"(?i:https?)://[!-~]+", value)
        or set(value) & set("@?#\\")
    ):
        found = re.sub(r"//.*@", "//…@", value) if isinstance(value, str) else value
        raise RuleError("`base_url`", shorten(found), limit, "Use only scheme, host, port and path")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise RuleError("`base_url`", f"{shorten(value)}: {error}", limit) from None
    if not parts.hostname or port == 0:
        raise RuleError("`base_url`", shorten(value), limit, "Add the host, and a port over 0")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        hint = "With http the access token would travel unencrypted"
        raise RuleError("`base_url`", shorten(value), limit, hint)
    return value.rstrip("/")


def check_proxy(name: str, value: str) -> str:
    """Return the URL of an HTTP proxy. The error for an invalid one never repeats a password."""
    if _is_proxy_url(value):
        return value
    limit = "'http://host:port' or 'https://host:port'; 'user:password@' may precede the host"
    raise RuleError(name, _describe_url(value), limit)


def _is_proxy_url(value: str) -> bool:
    if not isinstance(value, str) or not re.fullmatch(r"(?i:https?)://[!-~]+", value):
        return False
    try:
        parts = urlsplit(value)
        is_complete = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_complete and parts.path in {"", "/"} and not parts.query and not parts.fragment


def _describe_url(value: object) -> str:
    """Return what an error may say about a URL that may contain a password."""
    if not isinstance(value, str):
        return type(value).__name__
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)", value)
    return "an invalid URL" if scheme is None else f"an invalid URL, {scheme[0]}://…"


def check_ssl(value: SSLContext | None) -> None:
    """Reject a value that is not an `ssl.SSLContext` or None."""
    if value is not None and not isinstance(value, SSLContext):
        hint = "To trust a CA, pass ssl.create_default_context(cafile=...)"
        raise RuleError("`ssl`", shorten(value), "an ssl.SSLContext, or None", hint)


def check_bool(name: str, value: object) -> None:
    """Reject a value that is not True or False."""
    if not isinstance(value, bool):
        raise RuleError(name, shorten(value), "True or False")


def is_loopback(host: str) -> bool:
    """Return True if `host` is this machine, as a name or as an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_token(token: str) -> str:
    """Return the access token. The error for an invalid one never repeats it."""
    limit = "the access token alone: printable ASCII without spaces"
    if not isinstance(token, str):
        raise InvalidToken("access token", type(token).__name__, limit)
    if token.lower().startswith("bearer "):
        raise InvalidToken("access token", "a token after 'Bearer '", limit, "Remove 'Bearer '")
    if not _PRINTABLE_ASCII.fullmatch(token):
        found = "an empty str" if not token else "a space or a character that is not ASCII"
        raise InvalidToken("access token", found, limit)
    return token


def check_secret(name: str, value: str) -> str:
    """Return a client secret or refresh token. The error for an invalid one never repeats it."""
    if not isinstance(value, str) or not _PRINTABLE_ASCII.fullmatch(value):
        is_text = isinstance(value, str)
        found = "an empty str, or other characters" if is_text else type(value).__name__
        raise RuleError(name, found, "printable ASCII without spaces")
    return value


def check_content_type(value: str) -> None:
    """Reject a value that is not a MIME type, for example one that would end its header line."""
    if not is_content_type(value):
        raise RuleError("`content_type` of a file", shorten(value), "a MIME type, 'image/png'")


def is_content_type(value: object) -> bool:
    """Return True for a MIME type, with parameters or without."""
    token = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105
    parameter = rf"""[ \t]*;[ \t]*{token}=({token}|"[\x20-\x21\x23-\x5b\x5d-\x7e]*")"""
    pattern = rf"{token}/{token}({parameter})*"
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def closest_hint(value: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return "Did you mean …?" for a value that resembles a known one, otherwise `""`."""
    import difflib  # noqa: PLC0415  (few programs need it, and it takes long)

    text = value.strip().lower() if isinstance(value, str) else ""
    close = difflib.get_close_matches(text, known, 1, cutoff)
    return f"Did you mean {close[0]!r}?" if close else ""


def shorten(value: object) -> str:
    """Return the `repr()` of a value, shortened for an error text."""
    text = repr(value)
    return text if len(text) <= MAX_REPR else f"{text[:MAX_REPR]}…"
