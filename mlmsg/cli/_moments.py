"""Moments on the command line: a date, a time, or how long ago."""

import re
from datetime import UTC, datetime, timedelta

import click

__all__ = ["FORMS", "check_span", "moment"]

FORMS = "a date (2024-08-17), a time (2024-08-17T09:30) or how long ago (30d, 12h)"
"""The forms that an option for a moment takes, for its help."""

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str) -> datetime:
    """Return the moment that an option names, aware. Without a zone it is in the local one.

    Raises:
        BadParameter: The text is neither a date, nor a time, nor a duration.
    """
    text = text.strip()
    try:
        if ago := re.fullmatch(r"([0-9]{1,6})([mhdw])", text):
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        raise click.BadParameter(f"found {text!r}, allowed: {FORMS}") from None


def check_span(since: datetime, until: datetime | None) -> None:
    """Reject a span that ends before it begins.

    Raises:
        UsageError: It does.
    """
    if until is not None and until < since:
        raise click.UsageError("--until is before --since, so the list would be empty")
