"""Read the file name in a `Content-Disposition` header: pure, and never raises.

Servers write the name in the ways of RFC 6266 (`filename`, and `filename*` with a character set),
of RFC 2231 (`filename*0`, `filename*1`, …) and of RFC 2047 (`=?utf-8?B?…?=`).
"""

import re
from email.errors import HeaderParseError
from email.header import decode_header
from urllib.parse import unquote_to_bytes

__all__ = ["filename_in"]

_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
_EXTENDED = re.compile(r"([^']*)'[^']*'(.*)", re.DOTALL)
_CONTINUATION = re.compile(r"filename\*([0-9]{1,3})(\*?)")
_ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[bBqQ]\?[^?]*\?=")


def filename_in(header: str | None) -> str | None:
    """Return the file name, or None if the header has none. It is not safe as a path."""
    if header is None:
        return None
    # The first of several parameters of the same name wins.
    found = reversed(_PARAMETER.findall(f";{header}"))
    values = {name.lower(): _unquote(value.strip()) for name, value in found}
    name = ""
    if "filename*" in values:
        name = _decode_extended(values["filename*"])
    name = name or _join_continuations(values) or _decode_words(values.get("filename", ""))
    # Halves of surrogate pairs cannot be encoded again.
    return name.encode("utf-8", "replace").decode() or None


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
        plain = value.encode("utf-8", "replace")
        data += unquote_to_bytes(value) if is_encoded else plain
    return _decode(data, charset)


def _decode_words(value: str) -> str:
    """Decode the encoded words of RFC 2047. Text that contains none stays as it is."""
    if not _ENCODED_WORD.search(value):
        return value
    try:
        parts = decode_header(value)
    except (HeaderParseError, ValueError):
        return value
    words = (text if isinstance(text, str) else _decode(text, charset) for text, charset in parts)
    return "".join(words)


def _decode(data: bytes, charset: str | None) -> str:
    try:
        return data.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):  # an unknown character set, or one that is not for text
        return data.decode("utf-8", "replace")
