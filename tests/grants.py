"""The grant of a sandbox: sources of tokens, their stores, and the requests that they cause."""

import asyncio
from collections.abc import Awaitable

import msgspec
import pytest
from calls import AT_ONCE

from mlmsg import Client, RefreshingToken, Timeouts, Token, TokenStore, TokenUnavailable
from mlmsg.auth import TokenLike
from mlmsg.sandbox import Sandbox

TOKEN_PATH = "/oauth/token"
FIRST_REFRESH_TOKEN = "sandbox-refresh-0001"
FIRST_ACCESS_TOKEN = "sandbox-token-0001"
EXPIRED = "sandbox-token-expired"
FRESH = b'{"access_token": "fresh-0001", "expires_in": 21600, "refresh_token": "next-0001"}'


class Refused(msgspec.Struct, forbid_unknown_fields=True):
    """The error body of the token endpoint."""

    message: str
    error: str
    status: int
    cause: list[str]


class MemoryStore:
    """A store that announces each write."""

    def __init__(self, token: Token | None = None) -> None:
        self.token = token
        self.saved = asyncio.Event()
        self._lock = asyncio.Lock()

    async def load(self) -> Token | None:
        return self.token

    async def save(self, token: Token) -> None:
        self.token = token
        self.saved.set()

    def lock(self) -> asyncio.Lock:
        return self._lock


class Ready:
    """A token source that returns these tokens in turn, then the last one for good."""

    def __init__(self, *tokens: str) -> None:
        self._left = list(tokens)

    async def token(self) -> str:
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]


def source_of(
    sandbox: Sandbox,
    access_token: str | None = None,
    store: TokenStore | None = None,
    refresh_token: str | None = None,
) -> RefreshingToken:
    """Return a source of the sandbox's grant that follows the sandbox's clock."""
    grant, clock = sandbox.grant, sandbox.clock
    newest = refresh_token or grant.refresh_token
    secret = grant.client_secret
    return RefreshingToken(grant.client_id, secret, newest, access_token, store, clock=clock.now)


def first_source(
    refresh_token: str = FIRST_REFRESH_TOKEN, store: TokenStore | None = None
) -> RefreshingToken:
    """Return a source of the grant that every sandbox starts with."""
    return RefreshingToken("1000000000000001", "sandbox-secret", refresh_token, store=store)


async def unavailable(call: Awaitable[object]) -> TokenUnavailable:
    """Return the error of a call for which no access token could be refreshed."""
    with pytest.raises(TokenUnavailable, match="could not be refreshed: ") as caught:
        await call
    return caught.value


def client_of(url: str, token: TokenLike, timeout: float | Timeouts = 5.0) -> Client:
    return Client(token, base_url=url, retry=AT_ONCE, timeout=timeout, budget=None)


def traffic(sandbox: Sandbox) -> str:
    """Return a letter for each request.

    T is a refresh, t a refresh that failed, x a 401, and a dot anything else.
    """
    return "".join(
        ("T" if request.status == 200 else "t")
        if request.path == TOKEN_PATH
        else ("x" if request.status == 401 else ".")
        for request in sandbox.requests
    )
