"""Read whole numbers that a server, or a caller, wrote as text: pure."""

from ._patterns import LazyPattern

__all__ = ["whole_number"]

_WHOLE_NUMBER = LazyPattern(r"[0-9]{1,20}")
"""As many digits as ids of 64 bits have. Python refuses to convert more than 4,300."""


def whole_number(text: str) -> int | None:
    """Return the number that 1 to 20 ASCII digits stand for, or None for any other text.

    Do not test an id with `str.isdecimal`: it also accepts digits of other scripts, such as `٣`.
    """
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else None
