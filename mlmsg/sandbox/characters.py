"""The characters that the API supports in domestic messages."""

__all__ = ["is_supported"]

# The document supports ISO-8859-1 and the emoji of one library. The ranges below contain those
# emoji, and a few symbols more: the exact list is not reproduced.
_EMOJI_RANGES = (
    (0x200D, 0x200D),  # zero width joiner
    (0x203C, 0x203C),
    (0x2049, 0x2049),
    (0x20E3, 0x20E3),  # keycap
    (0x2122, 0x2122),
    (0x2139, 0x2139),
    (0x2194, 0x21AA),
    (0x231A, 0x23FF),
    (0x24C2, 0x24C2),
    (0x25AA, 0x25FE),
    (0x2600, 0x27BF),
    (0x2934, 0x2935),
    (0x2B05, 0x2B55),
    (0x3030, 0x3030),
    (0x303D, 0x303D),
    (0x3297, 0x3299),
    (0xFE0F, 0xFE0F),  # variation selector of emoji
    (0x1F000, 0x1FAFF),
    (0xE0020, 0xE007F),  # tags of flags
)


def is_supported(text: str) -> bool:
    """Return True if all characters are of ISO-8859-1 or emoji."""
    return all(
        code <= 0xFF or any(first <= code <= last for first, last in _EMOJI_RANGES)
        for code in map(ord, text)
    )
