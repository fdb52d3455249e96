"""Decode a text whose encoding its first bytes name: UTF-8, UTF-16 or UTF-32."""

import codecs

__all__ = ["decode_text", "decode_unmarked_utf_16"]

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode_text(body: bytes) -> str:
    """Return the text of a body: UTF-8, unless a byte order mark names another encoding.

    Bytes that cannot be decoded become U+FFFD.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return body.decode(encoding, "replace")
    return body.decode("utf-8", "replace")


def decode_unmarked_utf_16(body: bytes) -> str:
    """Return the text of a body in UTF-16 without a byte order mark; `""` if it is not one.

    One of its first two bytes is zero, because JSON and most texts begin with an ASCII character.
    """
    if b"\0" not in body[:2]:
        return ""
    return body.decode("utf-16-be" if body[0] == 0 else "utf-16-le", "replace")
