"""The answer to a refresh of the access token."""

import msgspec

__all__ = ["TokenResponse"]


class TokenResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A new access token, and the refresh token for the next one.

    Attributes:
        access_token: What calls are sent with.
        expires_in: Seconds that it lives; None where the API does not say.
        refresh_token: Works once; None where the API gives none out.
        user_id: Whose grant it is.
    """

    access_token: str
    expires_in: float | None = None
    refresh_token: str | None = None
    user_id: int | None = None

    def __repr__(self) -> str:
        return f"<TokenResponse to user {self.user_id}>"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("user_id", self.user_id)]
