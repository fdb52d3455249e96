"""Checks of the arguments that a test passes to the sandbox. Plain values, no I/O."""

from typing import NoReturn

__all__ = ["check_bool", "check_int", "check_number", "check_optional_text", "refuse"]

_MAX_REPR = 60


def check_int(name: str, value: object) -> None:
    """Raise TypeError for anything but an int."""
    if not isinstance(value, int) or isinstance(value, bool):
        refuse(name, "an int", value)


def check_number(name: str, value: object) -> None:
    """Raise TypeError for anything but an int or a float."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        refuse(name, "a number", value)


def check_bool(name: str, value: object) -> None:
    """Raise TypeError for anything but True and False."""
    if not isinstance(value, bool):
        refuse(name, "True or False", value)


def check_optional_text(name: str, value: object) -> None:
    """Raise TypeError for anything but a str and None."""
    if value is not None and not isinstance(value, str):
        refuse(name, "a str or None", value)


def refuse(name: str, allowed: str, value: object) -> NoReturn:
    """Raise a TypeError that says what is allowed, and what was found."""
    found = repr(value)
    if len(found) > _MAX_REPR:
        found = f"{found[:_MAX_REPR]}…"
    raise TypeError(f"{name} must be {allowed}, not {found} ({type(value).__name__})")
