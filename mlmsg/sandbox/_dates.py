"""The shapes that dates have in the documents, made from moments and from each other."""

import re
from datetime import UTC, datetime, timedelta, timezone

# "Messages claims" shows a claim's dates in this zone, all year round.
_CLAIMS = timezone(timedelta(hours=-4))
_WHOLE_SECONDS = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z")


def zulu(moment: datetime) -> str:
    """Such as `2020-03-13T15:14:10Z` ("Post-sale messages")."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def with_millis(date: str) -> str:
    """Such as `2019-04-08T20:58:49.000Z` ("Pending messages"), from a `zulu` date."""
    match = _WHOLE_SECONDS.fullmatch(date)
    return date if match is None else f"{match[1]}.000Z"


def claim_date(moment: datetime) -> str:
    """Such as `2024-08-22T18:36:48.000-04:00` ("Messages claims")."""
    return moment.astimezone(_CLAIMS).replace(microsecond=0).isoformat(timespec="milliseconds")


def moment_of(date: str) -> datetime:
    """The moment of a date in any of these shapes; ValueError if it has no zone."""
    moment = datetime.fromisoformat(date)
    if moment.tzinfo is None:
        raise ValueError(f"a date with a zone is needed, not {date!r}")
    return moment
