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

from ._arguments import check_secret, check_token
from ._operations import refresh
from ._secrets import Secret, as_secret
from ._streams import wait_until_done
from ._wire import Request
from .errors import ApiError, OutcomeUnknown, ReauthorizationRequired, RuleError, UsageError
from .models._token import TokenResponse
from .token_store import Token, TokenStore

__all__ = [
    "RefreshingToken",
    "SendTokenRequest",
    "TokenLike",
    "TokenProvider",
    "TokenSource",
    "token_source",
]

logger: logging.Logger = logging.getLogger("mlmsg")

REFRESH_AHEAD = 300.0
"""Seconds before its end from which a token is refreshed; half its life, if that is less."""

REFRESH_AHEAD_WAIT = 2.0
"""Seconds that a call waits for a refresh while the old token is still good."""

REFRESH_RETRY_DELAY = 30.0
"""Seconds between two tries to refresh a token that is still good."""


@runtime_checkable
class TokenSource(Protocol):
    """What the client asks for a token before each attempt."""

    async def token(self) -> str:
        """The access token to send now."""
        ...


SendTokenRequest: TypeAlias = Callable[[Request[TokenResponse]], Awaitable[TokenResponse]]
"""Sends the request for a token, once, by the client's own policy."""


class TokenProvider(Protocol):
    """What a session makes of each of them."""

    async def get_token(self, send: SendTokenRequest, /) -> str:
        """The access token to send now."""
        ...

    def reject(self, token: str, /) -> bool:
        """Takes note that the API answered 401 to it; whether there may be another one."""
        ...

    async def wait_refreshed(self) -> None:
        """Returns when no request for a token is under way."""
        ...


class _Static:
    """One token for good."""

    def __init__(self, token: str) -> None:
        self._token = check_token(token)

    async def get_token(self, _send: SendTokenRequest) -> str:
        return self._token

    def reject(self, _token: str) -> bool:
        return False

    async def wait_refreshed(self) -> None:
        return


class _CallableTokens:
    """A function of the caller's, asked before each attempt."""

    def __init__(self, function: Callable[[], Awaitable[str]]) -> None:
        self._function = function

    async def get_token(self, _send: SendTokenRequest) -> str:
        answer = as_secret(self._function())
        if not isawaitable(answer):
            limit = "an async function that returns the token"
            raise RuleError("access token", "a function that returns no awaitable", limit)
        return as_secret(await answer)

    def reject(self, _token: str) -> bool:
        return True  # it may have a newer one by now

    async def wait_refreshed(self) -> None:
        return


class RefreshingToken:
    """A seller's grant: an access token, and the refresh token that the next one is had for.

    - It is refreshed from five minutes before its end (of a short one: in the second half of its
      life), and after a 401. While the old one is good still, a refresh that fails fails no call,
      and a slow one holds none for longer than two seconds.
    - A refresh is one task, and all who need a token wait for it. Cancelling any of them, or
      closing a client, does not end it: a refresh token works once, and who loses the answer has
      nothing.
    - The new grant is in the store before its first use. The store is locked, and read again,
      before every refresh: several processes share one grant, and what another one got is taken
      over.
    - A refresh whose fate is open fails the calls that wait for it. It is not sent again by itself;
      the next call that needs a token reads the store and tries.

    What ends the event loop, such as returning from `asyncio.run` while calls are under way, ends a
    refresh too: close the client before.

    It works inside of a `Client`, which sends the request by its own `base_url` and timeouts, and
    may be passed to several clients of one event loop. With a store it can be pickled, secrets and
    all, and each copy shares the grant; without one, each copy would use up the refresh token of
    the others.
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
        _check_grant(client_id, store)
        client_secret, refresh_token = as_secret(client_secret), as_secret(refresh_token)
        access_token = as_secret(access_token)
        self._client_id = str(client_id)
        self._client_secret = check_secret("client secret", client_secret)
        self._given = Token(
            access_token=check_token(access_token) if access_token else "",
            refresh_token=check_secret("refresh token", refresh_token),
        )
        self._store = store
        self._clock = clock
        self._token: Token | None = None
        self._access = Secret()
        self._due = -math.inf
        self._unsaved: Token | None = None
        self._refused = ""
        self._spent: set[str] = set()
        self._refusal: ApiError | None = None
        self._asking = False
        self._renewal: asyncio.Task[str] | None = None

    def __repr__(self) -> str:
        return "<RefreshingToken>"

    def __reduce__(self) -> tuple[type["RefreshingToken"], tuple[str | TokenStore | None, ...]]:
        if self._store is None:
            raise UsageError("a RefreshingToken can be pickled only with a store to share")
        given = (str(self._given.refresh_token), str(self._given.access_token) or None)
        return RefreshingToken, (self._client_id, str(self._client_secret), *given, self._store)

    async def get_token(self, send: SendTokenRequest) -> str:
        """The access token to send now; `send` sends the request for a new one.

        Raises:
            ReauthorizationRequired: The grant is gone.
            ApiError: The API refused to refresh it for another reason.
            TransportError: The network failed.
            UsageError: Another event loop is refreshing it now.
        """
        while self._token is None or self._clock() >= self._due:
            renewal, mine = self._begun(send)
            if self._token is not None and self._is_good(self._token):
                await asyncio.wait({renewal}, timeout=REFRESH_AHEAD_WAIT)
                break
            try:
                return await asyncio.shield(renewal)
            except UsageError:
                if mine:
                    raise
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not renewal.cancelled() or task is None or task.cancelling():
                    raise
            # The client that was to send is closed: this one asks.
        return self._access

    def reject(self, token: str) -> bool:
        """Takes note that the API answered 401 to it; there may always be another one."""
        if self._token is not None and token == self._token.access_token:
            self._refused, self._due = token, -math.inf
        return True

    async def wait_refreshed(self) -> None:
        """Returns when no refresh is under way in this event loop; one not yet sent is not."""
        renewal = self._renewal
        if renewal is not None and renewal.get_loop() is asyncio.get_running_loop():
            if not self._asking:
                renewal.cancel()
            await wait_until_done(renewal)

    def _begun(self, send: SendTokenRequest) -> tuple["asyncio.Task[str]", bool]:
        """The refresh that is under way, or a new one, and whether it is that."""
        renewal = self._renewal
        if renewal is None or renewal.done() or renewal.get_loop().is_closed():
            renewal = self._renewal = asyncio.create_task(self._renewed(send))
            renewal.add_done_callback(_looked_at)
            return renewal, True
        if renewal.get_loop() is not asyncio.get_running_loop():
            raise UsageError("another event loop refreshes this token; use one source per loop")
        return renewal, False

    async def _renewed(self, send: SendTokenRequest) -> str:
        """The access token after a look into the store, and a refresh if that holds no good one."""
        try:
            async with self._store.lock() if self._store is not None else nullcontext():
                await self._renew(send)
        except Exception as error:
            if self._token is None or not self._is_good(self._token):
                raise
            logger.warning("the access token is not refreshed yet: %s", type(error).__name__)
            end = math.inf if self._token.expires_at is None else self._token.expires_at
            self._due = min(self._clock() + REFRESH_RETRY_DELAY, end)
        return self._access

    async def _renew(self, send: SendTokenRequest) -> None:
        if self._unsaved is not None:
            await self._save_again(self._unsaved)
        while (token := await self._newest()) is not None:
            if self._clock() < self._due_of(token):
                self._use(token)
                return
            try:
                await self._exchange(token, send)
            except ApiError as error:
                if error.code != "invalid_grant":
                    raise
                # Another process may have used it, and left a newer one in the store.
                self._spent.add(token.refresh_token)
                self._refusal = error
            else:
                return
        raise ReauthorizationRequired from self._refusal

    async def _newest(self) -> Token | None:
        """The newest grant whose refresh token was not refused yet."""
        stored = None if self._store is None else await self._store.load()
        known = (one for one in (stored, self._token, self._given) if one is not None)
        return next((one for one in known if one.refresh_token not in self._spent), None)

    async def _exchange(self, old: Token, send: SendTokenRequest) -> None:
        """Gets a new grant for the old one, and keeps it."""
        now = self._clock()
        request = refresh(self._client_id, self._client_secret, Secret(old.refresh_token))
        self._asking = True
        try:
            granted = await _told(send(request))
            life = granted.expires_in
            token = Token(
                access_token=granted.access_token,  # whatever it is: first it is kept
                refresh_token=granted.refresh_token or old.refresh_token,
                expires_at=None if life is None else now + life,
                expires_in=life,
                user_id=granted.user_id or old.user_id,
            )
            self._spent |= {old.refresh_token} - {token.refresh_token}
            await self._keep(token)
        finally:
            self._asking = False

    async def _keep(self, token: Token) -> None:
        """Saves it, then uses it; what could not be saved is saved before anything else is done."""
        self._unsaved = token
        if self._store is not None:
            await self._store.save(token)
        self._unsaved = None
        self._use(token)

    async def _save_again(self, token: Token) -> None:
        """Saves what could not be saved, unless the store holds another grant by now."""
        stored = None if self._store is None else await self._store.load()
        if stored is None or stored.refresh_token in self._spent:
            await self._keep(token)
        else:
            self._unsaved = None

    def _use(self, token: Token) -> None:
        self._token, self._access = token, Secret(token.access_token)
        self._due = self._due_of(token)

    def _due_of(self, token: Token) -> float:
        """When it has to be refreshed, in seconds since the epoch."""
        if not self._is_good(token):
            return -math.inf
        if token.expires_at is None:
            return math.inf
        life = math.inf if token.expires_in is None else token.expires_in
        return token.expires_at - min(REFRESH_AHEAD, life / 2)

    def _is_good(self, token: Token) -> bool:
        in_time = token.expires_at is None or self._clock() < token.expires_at
        return in_time and token.access_token not in {"", self._refused}


def _check_grant(client_id: int | str, store: TokenStore | None) -> None:
    if type(client_id) not in {int, str} or not str(client_id).strip():
        raise RuleError("`client_id`", type(client_id).__name__, "the application's id, not empty")
    whole = all(callable(getattr(store, name, None)) for name in ("load", "save", "lock"))
    if store is not None and (isinstance(store, type) or not whole):
        limit = "a token store, such as FileTokenStore(path)"
        raise RuleError("`store` of a RefreshingToken", type(store).__name__, limit)


async def _told(asked: Awaitable[TokenResponse]) -> TokenResponse:
    """What was granted; of a refresh whose fate is open, the failure itself is raised."""
    failure: BaseException
    try:
        return await asked
    except OutcomeUnknown as error:  # there is no thread to look into
        failure = error.__cause__ or error
    raise failure


def _looked_at(renewal: "asyncio.Task[str]") -> None:
    """So that asyncio does not report a failure as forgotten when nobody waits for it any more."""
    if not renewal.cancelled():
        renewal.exception()


TokenLike: TypeAlias = str | TokenSource | RefreshingToken | Callable[[], Awaitable[str]]
"""An access token, a token source, or an asynchronous function that returns the token."""


def token_source(token: TokenLike) -> TokenProvider:
    """What a session makes of whatever the caller passed.

    Raises:
        RuleError: It is none of them, or no possible token. The error never repeats it.
    """
    token = as_secret(token)
    if isinstance(token, str):
        return _Static(token)
    if isinstance(token, RefreshingToken):
        return token
    if not isinstance(token, type):
        if isinstance(token, TokenSource) and callable(token.token):
            return _CallableTokens(token.token)
        if callable(token):
            return _CallableTokens(token)
    limit = "a str, an async function that returns one, or a token source"
    raise RuleError("access token", type(token).__name__, limit)
