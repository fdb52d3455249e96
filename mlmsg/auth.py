"""Accept every form of access token that a client takes.

A client takes a token, an async function that returns one, a `TokenSource`, or a `RefreshingToken`,
which holds an OAuth grant and refreshes it.
"""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Protocol, TypeAlias, runtime_checkable

from ._arguments import check_token
from ._grant import SendTokenRequest
from ._refreshing import RefreshingToken
from ._secrets import as_secret
from .errors import InvalidToken, MlmsgError, RuleError, TokenUnavailable, UsageError

__all__ = [
    "RefreshingToken",
    "SendTokenRequest",
    "TokenLike",
    "TokenProvider",
    "TokenSource",
    "token_provider",
]


@runtime_checkable
class TokenSource(Protocol):
    """An object that the client asks for a token before each attempt."""

    async def token(self) -> str:
        """Return the access token to send now."""
        ...


class TokenProvider(Protocol):
    """The form in which a session uses every kind of token."""

    async def get_token(self, send: SendTokenRequest, /) -> str:
        """Return the access token to send now. A refresh sends its request with `send`."""
        ...

    def reject(self, token: str, /) -> bool:
        """Mark the token as rejected. Return True if another token may be available."""
        ...

    async def wait_refreshed(self) -> None:
        """Wait until no token request is under way."""
        ...


class _StaticToken:
    """A provider of one token that never changes."""

    def __init__(self, token: str) -> None:
        self._token = check_token(token)

    async def get_token(self, _send: SendTokenRequest) -> str:
        return self._token

    def reject(self, _token: str) -> bool:
        return False

    async def wait_refreshed(self) -> None:
        return


class _CallableTokens:
    """A provider that calls the caller's function before each attempt."""

    def __init__(self, function: Callable[[], Awaitable[str]]) -> None:
        self._function = function

    async def get_token(self, _send: SendTokenRequest) -> str:
        try:
            return as_secret(await self._call())
        except (InvalidToken, TokenUnavailable, UsageError):
            raise
        except MlmsgError as error:
            # Raised by a client that the function uses. It must not look like this call's error.
            raise TokenUnavailable(f"the token source failed: {error}") from error

    def _call(self) -> Awaitable[str]:
        result = as_secret(self._function())
        if not isawaitable(result):
            limit = "an async function that returns the token"
            raise InvalidToken("access token", "a function that returns no awaitable", limit)
        return result

    def reject(self, _token: str) -> bool:
        return True  # the function may return a newer token by now

    async def wait_refreshed(self) -> None:
        return


TokenLike: TypeAlias = str | TokenSource | RefreshingToken | Callable[[], Awaitable[str]]
"""An access token, a token source, or an async function that returns the token."""


def token_provider(token: TokenLike) -> TokenProvider:
    """Return the provider for a token of any accepted form.

    Raises:
        RuleError: It has another form, or cannot be a token. The error never repeats it.
    """
    token = as_secret(token)
    if isinstance(token, str):
        return _StaticToken(token)
    if isinstance(token, RefreshingToken):
        return token
    if not isinstance(token, type):
        if isinstance(token, TokenSource) and callable(token.token):
            return _CallableTokens(token.token)
        if callable(token):
            return _CallableTokens(token)
    limit = "a str, an async function that returns one, or a token source"
    raise RuleError("access token", type(token).__name__, limit)
