"""Where access tokens come from.

A client takes a token, an asynchronous function that returns one, or a `TokenSource`.
"""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Protocol, TypeAlias, runtime_checkable

from ._wire import Secret
from .errors import RuleError
from .rules import check_token

__all__ = ["TokenLike", "TokenSource", "token_source"]


@runtime_checkable
class TokenSource(Protocol):
    """What the client asks for a token before each attempt."""

    async def token(self) -> str:
        """The access token to send now."""
        ...


TokenLike: TypeAlias = str | TokenSource | Callable[[], Awaitable[str]]
"""An access token, a token source, or an asynchronous function that returns the token."""


class _Static:
    """One token for good."""

    def __init__(self, token: str) -> None:
        self._token = Secret(check_token(token))

    async def token(self) -> str:
        return self._token


class _Called:
    """A function of the caller's, asked before each attempt."""

    def __init__(self, function: Callable[[], Awaitable[str]]) -> None:
        self._function = function

    async def token(self) -> str:
        answer = self._function()
        if not isawaitable(answer):
            limit = "an async function that returns the token"
            raise RuleError("access token", "a function that returns no awaitable", limit)
        return await answer


def token_source(token: TokenLike) -> TokenSource:
    """The source behind whatever the caller passed.

    Raises:
        RuleError: It is none of the three, or no possible token. The error never repeats it.
    """
    if isinstance(token, str):
        return _Static(token)
    if isinstance(token, TokenSource):
        return token
    if callable(token):
        return _Called(token)
    limit = "a str, an async function that returns one, or a token source"
    raise RuleError("access token", type(token).__name__, limit)
