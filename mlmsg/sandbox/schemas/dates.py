"""The date formats of the documents."""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

__all__ = [
    "LAST_MILLISECOND",
    "add_milliseconds",
    "date_to_milliseconds",
    "format_claim_date",
    "format_utc",
    "format_utc_milliseconds",
    "from_milliseconds",
    "later_date",
    "parse_date",
    "to_milliseconds",
]

LAST_MILLISECOND = 2**62
"""A number of milliseconds since 1970 after any date."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

# "Messages claims" shows the dates of a claim in this zone, all year round.
_CLAIM_ZONE = timezone(timedelta(hours=-4))
_WHOLE_SECONDS = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z")


def format_utc(moment: datetime) -> str:
    """Return a date such as `2020-03-13T15:14:10Z` ("Post-sale messages")."""
    # Not strftime, which takes twenty times as long.
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def format_utc_milliseconds(moment: datetime) -> str:
    """Return a date such as `2024-08-22T22:36:47.000Z` (missed feeds)."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='milliseconds')}Z"


def add_milliseconds(date: str) -> str:
    """Return a date such as `2019-04-08T20:58:49.000Z` ("Pending messages").

    Any other format than that of `format_utc` is returned unchanged.
    """
    match = _WHOLE_SECONDS.fullmatch(date)
    return date if match is None else f"{match[1]}.000Z"


def format_claim_date(moment: datetime) -> str:
    """Return a date such as `2024-08-22T18:36:48.000-04:00` ("Messages claims")."""
    local = moment.astimezone(_CLAIM_ZONE).replace(microsecond=0)
    return local.isoformat(timespec="milliseconds")


def parse_date(date: str) -> datetime:
    """Return the aware datetime of a date in any of these formats.

    Raises:
        ValueError: The date has no zone, or is no date.
    """
    moment = datetime.fromisoformat(date)
    if moment.tzinfo is None:
        raise ValueError(f"a date with a zone is needed, not {date!r}")
    return moment


def later_date(first: str, second: str) -> str:
    """Return the later one of two dates, and the first of two dates of the same moment.

    Raises:
        ValueError: A date has no zone, or is no date.
    """
    return second if parse_date(second) > parse_date(first) else first


def to_milliseconds(moment: datetime) -> int:
    """Return the whole milliseconds since 1970 of an aware datetime."""
    return (moment - _EPOCH) // _MILLISECOND


@lru_cache(maxsize=65_536)
def date_to_milliseconds(date: str) -> int:
    """Return the whole milliseconds since 1970 of a date in any of these formats.

    Raises:
        ValueError: The date has no zone, or is no date.
    """
    return to_milliseconds(parse_date(date))


def from_milliseconds(number: int) -> datetime:
    """Return the datetime in UTC of milliseconds since 1970."""
    return _EPOCH + number * _MILLISECOND
