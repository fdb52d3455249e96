"""Where access tokens come from.

A client takes a token, an asynchronous function that returns one, a `TokenSource`, or a
`RefreshingToken`, which holds a grant and refreshes it.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from inspect import isawaitable
from typing import Protocol, TypeAlias, runtime_checkable

from ._operations import refresh
from ._streams import settled
from ._wire import Request, concealed
from .errors import ApiError, OutcomeUnknown, ReauthorizationRequired, RuleError, UsageError
from .models import Granted
from .rules import check_secret, check_token
from .token_store import Token, TokenStore

__all__ = ["Ask", "RefreshingToken", "TokenLike", "TokenSource", "Tokens", "token_source"]

logger = logging.getLogger("mlmsg")

AHEAD = 300.0
"""Seconds before its end from which a token is refreshed; half its life, if that is less."""

PAUSE = 30.0
"""Seconds between two tries to refresh a token that is still good."""


@runtime_checkable
class TokenSource(Protocol):
    """What the client asks for a token before each attempt."""

    async def token(self) -> str:
        """The access token to send now."""
        ...


Ask: TypeAlias = Callable[[Request[Granted]], Awaitable[Granted]]
"""Sends the request for a token, once, by the client's own policy."""


class Tokens(Protocol):
    """What a session makes of each of them."""

    async def token_by(self, ask: Ask, /) -> str:
        """The access token to send now."""
        ...

    def refused(self, token: str, /) -> bool:
        """Takes note that the API answered 401 to it; whether there may be another one."""
        ...

    async def settled(self) -> None:
        """Returns when no request for a token is under way."""
        ...


class _Static:
    """One token for good."""

    def __init__(self, token: str) -> None:
        self._token = check_token(token)

    async def token_by(self, _ask: Ask) -> str:
        return self._token

    def refused(self, _token: str) -> bool:
        return False

    async def settled(self) -> None:
        return


class _Called:
    """A function of the caller's, asked before each attempt."""

    def __init__(self, function: Callable[[], Awaitable[str]]) -> None:
        self._function = function

    async def token_by(self, _ask: Ask) -> str:
        answer = self._function()
        if not isawaitable(answer):
            limit = "an async function that returns the token"
            raise RuleError("access token", "a function that returns no awaitable", limit)
        return concealed(await answer)

    def refused(self, _token: str) -> bool:
        return True  # it may have a newer one by now

    async def settled(self) -> None:
        return


class RefreshingToken:
    """A seller's grant: an access token, and the refresh token that the next one is had for.

    - It is refreshed five minutes before its end (earlier than that: half its life), and after a
      401. While the old one is good still, a refresh that fails fails no call.
    - A refresh is one task, and all who need a token wait for it. Cancelling any of them, or
      closing a client, does not end it: a refresh token works once, and who loses the answer has
      nothing.
    - The new grant is in the store before its first use. The store is locked, and read again,
      before every refresh: several processes share one grant, and what another one got is taken
      over.
    - A refresh whose fate is open fails the calls that wait for it. It is not sent again by itself;
      the next call that needs a token reads the store and tries.

    It works inside of a `Client`, which sends the request by its own `base_url` and timeouts, and
    may be passed to several clients of one event loop. With a store it can be pickled, without
    secrets being shown, and each copy shares the grant; without one, each copy would use up the
    refresh token of the others.
    """

    def __init__(
        self,
        client_id: int | str,
        client_secret: str,
        refresh_token: str,
        access_token: str | None = None,
        store: TokenStore | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Sends nothing yet.

        Args:
            client_id: The application's id.
            client_secret: The application's secret.
            refresh_token: The newest one that you have. What the store holds comes before it; this
                one is tried when the API takes that no more.
            access_token: One that is good still, if there is one; used until the API refuses it.
            store: Where the grant is kept. Without one it is lost with the process, and the refresh
                token with it.
            clock: Seconds since the epoch, for tests.

        Raises:
            RuleError: One of them cannot be what it is called. The error never repeats it.
        """
        client_secret, refresh_token = concealed(client_secret), concealed(refresh_token)
        access_token = concealed(access_token)
        self._client_id = str(client_id)
        self._client_secret = check_secret("client secret", client_secret)
        self._given = Token(
            access_token=check_token(access_token) if access_token else "",
            refresh_token=check_secret("refresh token", refresh_token),
        )
        self._store = store
        self._clock = clock
        self._token: Token | None = None
        self._due = -math.inf
        self._unsaved: Token | None = None
        self._refused = ""
        self._spent: set[str] = set()
        self._renewal: asyncio.Task[str] | None = None

    def __repr__(self) -> str:
        return f"<RefreshingToken of application {self._client_id}>"

    def __reduce__(self) -> tuple[type["RefreshingToken"], tuple[str | TokenStore | None, ...]]:
        if self._store is None:
            raise UsageError("a RefreshingToken can be pickled only with a store to share")
        given = (str(self._given.refresh_token), str(self._given.access_token) or None)
        return RefreshingToken, (self._client_id, str(self._client_secret), *given, self._store)

    async def token_by(self, ask: Ask) -> str:
        """The access token to send now; `ask` sends the request for a new one.

        Raises:
            ReauthorizationRequired: The grant is gone.
            ApiError: The API refused to refresh it for another reason.
            TransportError: The network failed.
            UsageError: Another event loop is refreshing it now.
        """
        while self._token is None or self._clock() >= self._due:
            renewal = self._renewal
            if mine := renewal is None or renewal.done() or renewal.get_loop().is_closed():
                renewal = self._renewal = asyncio.create_task(self._renewed(ask))
                renewal.add_done_callback(_looked_at)
            elif renewal.get_loop() is not asyncio.get_running_loop():
                raise UsageError("another event loop refreshes this token; use one source per loop")
            try:
                return await asyncio.shield(renewal)
            except UsageError:
                if mine:
                    raise  # else the client that was to ask is closed, and this one asks
        return self._token.access_token

    def refused(self, token: str) -> bool:
        """Takes note that the API answered 401 to it; there may always be another one."""
        if self._token is not None and token == self._token.access_token:
            self._refused, self._due = token, -math.inf
        return True

    async def settled(self) -> None:
        """Returns when no refresh is under way in this event loop."""
        renewal = self._renewal
        if renewal is not None and renewal.get_loop() is asyncio.get_running_loop():
            await settled(renewal)

    async def _renewed(self, ask: Ask) -> str:
        """The access token after a look into the store, and a refresh if that holds no good one."""
        try:
            async with self._store.lock() if self._store is not None else nullcontext():
                return (await self._renew(ask)).access_token
        except Exception as error:
            if self._token is None or not self._is_good(self._token):
                raise
            logger.warning("the access token is not refreshed yet: %s", type(error).__name__)
            end = math.inf if self._token.expires_at is None else self._token.expires_at
            self._due = min(self._clock() + PAUSE, end)
            return self._token.access_token

    async def _renew(self, ask: Ask) -> Token:
        if self._unsaved is not None and await self._is_ours():
            return await self._keep(self._unsaved)
        refusal: ApiError | None = None
        while (token := await self._newest()) is not None:
            if not self._take(token):
                return token
            try:
                fresh = await self._refresh(token, ask)
                self._spent |= {token.refresh_token} - {fresh.refresh_token}
                return await self._keep(fresh)
            except ApiError as error:
                if error.code != "invalid_grant":
                    raise
                # Another process may have used it, and left a newer one in the store.
                self._spent.add(token.refresh_token)
                refusal = error
        raise ReauthorizationRequired from refusal

    async def _is_ours(self) -> bool:
        """Whether the store still holds what the unsaved token was had for, or nothing."""
        stored = None if self._store is None else await self._store.load()
        return stored is None or stored.refresh_token in self._spent

    async def _newest(self) -> Token | None:
        """The newest grant whose refresh token was not refused yet."""
        stored = None if self._store is None else await self._store.load()
        known = (one for one in (stored, self._token, self._given) if one is not None)
        return next((one for one in known if one.refresh_token not in self._spent), None)

    async def _refresh(self, token: Token, ask: Ask) -> Token:
        now = self._clock()
        request = refresh(self._client_id, self._client_secret, token.refresh_token)
        try:
            granted = await ask(request)
        except OutcomeUnknown as error:
            # There is no thread to look into, only the failure itself to tell.
            raise (error.__cause__ or error) from None
        life = granted.expires_in
        return Token(
            access_token=check_token(concealed(granted.access_token)),
            refresh_token=granted.refresh_token or token.refresh_token,
            expires_at=None if life is None else now + life,
            expires_in=life,
            user_id=granted.user_id or token.user_id,
        )

    async def _keep(self, token: Token) -> Token:
        """Saves it, then uses it; what could not be saved is saved before anything else is done."""
        self._unsaved = token
        if self._store is not None:
            await self._store.save(token)
        self._unsaved = None
        self._take(token)
        return token

    def _take(self, token: Token) -> bool:
        """Uses that token from now on; whether it has to be refreshed first."""
        self._token, self._due = token, math.inf
        if not self._is_good(token):
            self._due = -math.inf
        elif token.expires_at is not None:
            life = math.inf if token.expires_in is None else token.expires_in
            self._due = token.expires_at - min(AHEAD, life / 2)
        return self._clock() >= self._due

    def _is_good(self, token: Token) -> bool:
        in_time = token.expires_at is None or self._clock() < token.expires_at
        return in_time and token.access_token not in {"", self._refused}


def _looked_at(renewal: "asyncio.Task[str]") -> None:
    """So that asyncio does not report a failure as forgotten when nobody waits for it any more."""
    if not renewal.cancelled():
        renewal.exception()


TokenLike: TypeAlias = str | TokenSource | RefreshingToken | Callable[[], Awaitable[str]]
"""An access token, a token source, or an asynchronous function that returns the token."""


def token_source(token: TokenLike) -> Tokens:
    """What a session makes of whatever the caller passed.

    Raises:
        RuleError: It is none of them, or no possible token. The error never repeats it.
    """
    token = concealed(token)
    if isinstance(token, str):
        return _Static(token)
    if isinstance(token, RefreshingToken):
        return token
    if isinstance(token, TokenSource):
        return _Called(token.token)
    if callable(token):
        return _Called(token)
    limit = "a str, an async function that returns one, or a token source"
    raise RuleError("access token", type(token).__name__, limit)
