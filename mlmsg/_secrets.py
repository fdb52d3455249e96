"""Keep tokens and other secrets out of errors, tracebacks and logs.

Read this module to audit what may leak. `Secret` hides a value from `repr()` and tracebacks.
`redact` removes secrets from text that the server echoed.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from typing import SupportsIndex, TypeVar

from ._patterns import LazyPattern
from ._text_encoding import decode_text, decode_unmarked_utf_16

__all__ = [
    "REDACTED",
    "Secret",
    "SecretBytes",
    "as_secret",
    "redact",
    "redact_bytes",
]

T = TypeVar("T")

REDACTED = "***"
"""Text that replaces a secret."""

MIN_SECRET_LENGTH = 4
"""Characters of the shortest secret that is redacted. A shorter one would occur in any text."""

MAX_CACHED_PATTERNS = 16
"""Secrets whose patterns are kept. Building one takes longer than all else that an error needs."""

# JSON inside JSON doubles the backslashes, and a URL inside a URL encodes the percent signs again.
# The bounds keep the time linear for a body that consists of these characters alone.
_BACKSLASHES, _PERCENT = r"\\{1,8}", r"%(?:25){0,3}"


def _spellings(character: str) -> str:
    """Return a pattern for one character: plain, or escaped in JSON, in a URL or in HTML."""
    number = ord(character)
    code = f"{number:02x}"
    return (
        rf"(?:(?:{_BACKSLASHES})?{re.escape(character)}|{_BACKSLASHES}u00(?i:{code})"
        rf"|{_PERCENT}(?i:{code})|&#(?:0{{0,4}}{number}|(?i:x0{{0,4}}{code}));)"
    )


_DASH, _LINE = _spellings("-"), _spellings("_")
_TOKEN_LIKE = LazyPattern(
    rf"(?i)(?:APP{_LINE}USR|(?:(?<![a-z])|(?<=\\[bfnrt])|(?<=%[0-9a-f]{{2}}))TG){_DASH}"
    rf"(?:\w|{_DASH}|{_LINE}){{8,}}"
    rf"|(?:(?<=access_token: )|(?<=access_token:)(?! ))[\x00-\x20]{{0,8}}"
    rf"(?:{_BACKSLASHES}[bfnrt]){{0,8}}(?:{_BACKSLASHES}u[0-9a-f]{{4}}|[^\s\"',;<}}\\])+"
)
"""Text that begins like an access or refresh token, or that the API echoes as a malformed one."""


class Secret(str):
    """A str that hides its value: `repr()` and tracebacks show `Secret('…')`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('…')"

    def __getitem__(self, index: SupportsIndex | slice) -> "Secret":
        return Secret(super().__getitem__(index))  # a traceback may show a slice of it, too


class SecretBytes(bytes):
    """Bytes that hide their value, for the body of a token request."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SecretBytes(b'…')"


def as_secret(value: T) -> T | Secret:
    """Return a str as a `Secret`, and any other value unchanged."""
    return Secret(value) if isinstance(value, str) else value


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with `***` in place of every secret and of what looks like a token."""
    for secret in secrets:
        if len(secret) >= MIN_SECRET_LENGTH:
            text = _pattern_for(secret).sub(REDACTED, text)
    return _TOKEN_LIKE.sub(REDACTED, text) if _may_hold_token(text) else text


def _may_hold_token(text: str) -> bool:
    """Return False if `_TOKEN_LIKE` matches nowhere. It takes a hundred times as long to say so."""
    lower = text.lower()
    return "app" in lower or "tg" in lower or "token:" in lower


@lru_cache(MAX_CACHED_PATTERNS)
def _pattern_for(secret: str) -> re.Pattern[str]:
    return re.compile("".join(map(_spellings, secret)))


def redact_bytes(body: bytes, secrets: Sequence[str], limit: int) -> bytes:
    """Return the first `limit` bytes of a body, redacted; as UTF-8 if another encoding was."""
    data, is_cut = body[:limit], len(body) >= limit
    # A byte order mark may be wrong, so no reading of the bytes may show a secret.
    utf_8 = partial(str, encoding="utf-8", errors="surrogateescape")
    for decode in (utf_8, decode_text, decode_unmarked_utf_16):
        original = text = decode(data)
        text = redact(text, secrets)
        for secret in secrets if is_cut else ():
            text = _without_partial_secret(text, secret)
        data = data if text == original else text.encode("utf-8", "surrogateescape")
    return data


def _without_partial_secret(text: str, secret: str) -> str:
    """Remove the beginning of a secret from the end of a text that was cut there."""
    sizes = range(len(secret) - 1, MIN_SECRET_LENGTH - 1, -1)
    beginnings = (str(secret[:size]) for size in sizes)
    return text.removesuffix(next((part for part in beginnings if text.endswith(part)), ""))
