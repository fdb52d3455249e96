"""Name the characters of a text that a domestic message may not contain. Pure.

The document allows ISO-8859-1 and emoji. The API decides; these functions only explain its refusal.
"""

import unicodedata

__all__ = ["unsupported_characters"]

_EMOJI_PARTS = frozenset("\u200d\ufe0f\u20e3")
"""Characters that join or style emoji: zero-width joiner, variation selector 16, keycap."""


def unsupported_characters(text: str) -> list[str]:
    """Return the characters outside of ISO-8859-1 and emoji, each once, in the order of the text.

    Not verified: the document refers to the emoji of a Java library, and how the API counts
    characters is not known.
    """
    return list(dict.fromkeys(c for c in text if not _is_documented(c)))


def _is_documented(character: str) -> bool:
    is_latin = ord(character) < 0x100
    is_tag = 0xE0020 <= ord(character) <= 0xE007F  # the flags of regions
    is_symbol = ord(character) >= 0x1F000 or unicodedata.category(character) == "So"
    return is_latin or is_symbol or is_tag or character in _EMOJI_PARTS
