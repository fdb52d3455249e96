"""The response of the token endpoint."""

import msgspec

__all__ = ["TokenResponse"]


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

    def __repr__(self) -> str:
        return f"<TokenResponse to user {self.user_id}>"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("user_id", self.user_id)]
