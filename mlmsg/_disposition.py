"""Read the file name in a `Content-Disposition` header: pure, and never raises.

Servers write the name in the ways of RFC 6266 (`filename`, and `filename*` with a character set),
of RFC 2231 (`filename*0`, `filename*1`, …) and of RFC 2047 (`=?utf-8?B?…?=`).
"""

import re
from email.errors import HeaderParseError
from email.header import decode_header
from urllib.parse import unquote_to_bytes

from ._patterns import LazyPattern

__all__ = ["filename_in"]

_PARAMETER = LazyPattern(r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
_EXTENDED = LazyPattern(r"\A([^']*)'[^']*'(.*)", re.DOTALL)
_CONTINUATION = LazyPattern(r"filename\*([0-9]{1,3})(\*?)")
_ENCODED_WORD = r"=\?[!->@-~]+\?[bBqQ]\?[ ->@-~]*\?="
_ENCODED_WORDS = LazyPattern(rf"{_ENCODED_WORD}(?:\s*{_ENCODED_WORD})*")
"""Neighbours belong together: one character may be divided between them."""


def filename_in(header: str | None) -> str | None:
    """Return the file name, or None if the header has none. It is not safe as a path."""
    if header is None:
        return None
    header = _without_surrogates(header)
    # The first of several parameters of the same name wins.
    found = reversed(_PARAMETER.findall(f";{header}"))
    values = {name.lower(): _unquote(value.strip()) for name, value in found}
    name = ""
    if "filename*" in values:
        name = _decode_extended(values["filename*"])
    name = name or _join_continuations(values)
    # `decode_header` would escape the text beside encoded words, so it never gets it.
    name = name or _ENCODED_WORDS.sub(_decode_words, values.get("filename", ""))
    return _without_surrogates(name) or None  # UTF-7 can encode them, too


def _without_surrogates(text: str) -> str:
    """Return the text with `?` for each half of a surrogate pair, which cannot be encoded."""
    return text.encode("utf-8", "replace").decode()


def _unquote(value: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", value.removeprefix('"').removesuffix('"'))


def _decode_extended(value: str) -> str:
    """Decode `charset'language'name`, where the name is percent-encoded."""
    match = _EXTENDED.fullmatch(value)
    charset, encoded = match.groups() if match is not None else ("utf-8", value)
    return _decode(unquote_to_bytes(encoded), charset)


def _join_continuations(values: dict[str, str]) -> str:
    parts: dict[int, tuple[str, bool]] = {}
    for name, value in values.items():
        if match := _CONTINUATION.fullmatch(name):
            parts[int(match[1])] = value, bool(match[2])
    charset, data = "utf-8", b""
    for number in range(len(parts)):
        if number not in parts:
            break
        value, is_encoded = parts[number]
        if number == 0 and is_encoded and (match := _EXTENDED.fullmatch(value)):
            charset, value = match.groups()
        data += unquote_to_bytes(value) if is_encoded else value.encode()
    return _decode(data, charset)


def _decode_words(match: re.Match[str]) -> str:
    """Decode neighbouring encoded words of RFC 2047."""
    try:
        words = decode_header(match[0])
    except (HeaderParseError, ValueError):
        return match[0]
    return "".join(
        word if isinstance(word, str) else _decode(word, charset) for word, charset in words
    )


def _decode(data: bytes, charset: str | None) -> str:
    try:
        return data.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):  # an unknown character set, or one that is not for text
        return data.decode("utf-8", "replace")
