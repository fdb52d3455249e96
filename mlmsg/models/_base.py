"""The base class of structs with dates."""

from datetime import UTC, datetime, timedelta

import msgspec

__all__ = ["UtcStruct"]


_EARLIEST = datetime.min.replace(tzinfo=UTC) + timedelta(days=1)
_LATEST = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)


class UtcStruct(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of structs with dates. A date without a zone is read as UTC.

    The first and the last day of the calendar do not exist in every time zone: `astimezone` would
    raise an `OverflowError`. A date of these days (`0001-01-01`, `9999-12-31`) is read as None.
    """

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value.__class__ is datetime and (value.tzinfo is None or not 1 < value.year < 9999):
                msgspec.structs.force_setattr(self, name, _as_aware(value))


def _as_aware(date: datetime) -> datetime | None:
    """Return an aware date, or None for one that some time zone does not have."""
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return date if _EARLIEST <= date <= _LATEST else None
