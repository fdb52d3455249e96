"""The response of the token endpoint."""

from collections.abc import Mapping
from typing import ClassVar

import msgspec

__all__ = ["TokenResponse"]


def _without_numbers(value: Mapping[str, object]) -> Mapping[str, object]:
    """Leave out tokens that are not text. A token is kept as it came, or not at all."""
    return {
        name: item
        for name, item in value.items()
        if isinstance(item, str) or not name.endswith("_token")
    }


class TokenResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A new access token, and the refresh token for the next one.

    Every value is optional, so that an invalid one never costs the refresh token beside it.

    Attributes:
        access_token: The token for API calls, or `""`.
        expires_in: The lifetime in seconds, or None if the response has none.
        refresh_token: The single-use token for the next refresh, or None.
        user_id: The user who authorized the application, or None.
    """

    access_token: str = ""
    expires_in: float | None = None
    refresh_token: str | None = None
    user_id: int | None = None

    _reshape: ClassVar = staticmethod(_without_numbers)

    def __repr__(self) -> str:
        return f"<TokenResponse to user {self.user_id}>"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("user_id", self.user_id)]
