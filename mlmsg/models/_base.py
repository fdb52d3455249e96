"""The base class of structs with dates."""

from datetime import UTC, datetime

import msgspec

__all__ = ["UtcStruct"]


class UtcStruct(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of structs with dates. A date without a zone is read as UTC."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value.__class__ is datetime and value.tzinfo is None:
                msgspec.structs.force_setattr(self, name, value.replace(tzinfo=UTC))
