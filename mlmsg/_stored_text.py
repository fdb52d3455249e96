"""Compare the text of a stored message with the text of a send: pure.

Servers change texts. Some changes lose nothing: another Unicode form, HTML escapes, `<br>` for a
line end, trimmed white space, removed control characters. Others lose something: emoji become `?`,
accents are removed, the end is cut. `compare_texts` says how sure the answer is.
"""

import enum
import unicodedata
from functools import partial
from typing import Literal

from ._patterns import LazyPattern

__all__ = ["Likeness", "comparable", "compare_texts"]


class Likeness(enum.IntEnum):
    """The degree to which a stored text is like a sent one."""

    OTHER = 0
    """It is another text."""
    DOUBTFUL = 1
    """It may be the sent text, changed or cut, and it may be another one."""
    SAME = 2
    """It is the sent text."""


MIN_CUT_LENGTH = 20
"""Characters of the shortest text that is taken for a cut one."""

MIN_KEPT_LENGTH = 10
"""Unchanged characters of the shortest text that is recognized although others were replaced."""

MAX_MARKS = 4
"""Question marks that a server may write for one character: one for each byte of its UTF-8."""

MAX_ESCAPES = 4
"""Times that a text may be escaped: a server may escape what another one has escaped already."""

_LINE_END = LazyPattern(r"(?i)<\s{0,8}/?(?:br|p|div)\b[^<>]{0,80}>|\\[nrt]")
"""The marks of servers for a line end or a tab: an element of HTML, or an escaped escape."""

_PLAIN = LazyPattern(r"([!->@-~])")
"""A visible character of ASCII. Every character set has it, so that no server replaces it.

Without `?`, which stands for a replaced character.
"""


def compare_texts(stored: str, sent: str) -> Likeness:
    """Return how sure it is that a server stored `sent` as `stored`."""
    found, expected = comparable(stored), comparable(sent)
    if found == expected:
        return Likeness.SAME
    if _has_replaced_characters(stored, sent):
        kept = _split(expected)[1::2]
        is_long = len(kept) >= MIN_KEPT_LENGTH
        return Likeness.SAME if is_long else Likeness.DOUBTFUL
    beginning = found.rstrip(".")  # a cut text may end in an ellipsis
    is_cut = len(beginning) >= MIN_CUT_LENGTH and expected.startswith(beginning)
    if is_cut or _have_same_letters(stored, sent):
        return Likeness.DOUBTFUL
    return Likeness.OTHER


def comparable(text: str) -> str:
    """Return a text without what servers change: Unicode form, HTML escapes, invisible characters.

    White space is left out: servers trim it, change line ends, and may drop control characters.
    """
    for _ in range(MAX_ESCAPES):
        text = _unescape_once(unicodedata.normalize("NFKC", text))
    text = unicodedata.normalize("NFKC", _LINE_END.sub(" ", text))
    return "".join("".join(c for c in text if not _is_invisible(c)).split())


def _unescape_once(text: str) -> str:
    from html import unescape  # noqa: PLC0415  (few programs need its large table)

    return unescape(text)


def _unescape(text: str) -> str:
    for _ in range(MAX_ESCAPES):
        text = _unescape_once(text)
    return _LINE_END.sub(" ", text)


def _is_invisible(character: str) -> bool:
    """Return True for zero-width, control and formatting characters, and variation selectors."""
    if character.isspace():
        return False
    is_selector = "\ufe00" <= character <= "\ufe0f"
    return is_selector or unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn"}


def _has_replaced_characters(stored: str, sent: str) -> bool:
    """Return True if `stored` may be `sent` with characters replaced by `?`, or left out.

    Both texts are split at the characters that no server replaces. The pieces between them are
    compared one by one. Accents may be characters of their own, or parts of letters.
    """
    stored, sent = _unescape(stored), _unescape(sent)
    for change in (str, partial(unicodedata.normalize, "NFC")):
        found, expected = _split(change(stored)), _split(change(sent))
        is_alike = found[1::2] == expected[1::2]
        if is_alike and all(map(_may_become, expected[::2], found[::2])):
            return True
    return False


def _split(text: str) -> list[str]:
    """Return the text without white space, in pieces; every second piece is a plain character."""
    return _PLAIN.split("".join(text.split()))


def _may_become(sent: str, stored: str) -> bool:
    """Return True if each character of `stored` is one of `sent`, in its order, or a mark."""
    marks = sum(map(stored.count, "?\N{REPLACEMENT CHARACTER}"))
    kept = (c for c in stored if c not in "?\N{REPLACEMENT CHARACTER}" and not _is_invisible(c))
    rest = iter(sent)
    is_in_order = all(character in rest for character in kept)  # each `in` goes on in `rest`
    return is_in_order and marks <= MAX_MARKS * len(sent)


def _have_same_letters(stored: str, sent: str) -> bool:
    """Return True if only accents, case, punctuation or characters outside of ASCII differ."""
    for form in ("NFC", "NFD"):  # without accented letters, and with their base letters
        found, expected = _letters(stored, form), _letters(sent, form)
        if found and found == expected:
            return True
    return False


def _letters(text: str, form: Literal["NFC", "NFD"]) -> str:
    text = unicodedata.normalize(form, _unescape(text))
    return "".join(c for c in text if c.isascii() and c.isalnum()).lower()
