"""Keep the tokens of one OAuth grant: find the newest, refresh it, and store the new pair.

Nothing here guards against concurrency: `_refreshing` runs one `refresh` at a time.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TypeAlias

from ._arguments import check_token
from ._operations import refresh
from ._refresh_backoff import REFRESH_RETRY_DELAY, RefreshBackoff, requested_pause
from ._secrets import Secret
from ._wire import Request
from .errors import (
    ApiError,
    InvalidToken,
    MlmsgError,
    OutcomeUnknown,
    RateLimited,
    ReauthorizationRequired,
    RuleError,
    UsageError,
)
from .models._token import TokenResponse
from .token_store import Token, TokenStore

__all__ = ["Grant", "SendTokenRequest", "check_store", "token_from_response"]

REFRESH_AHEAD = 300.0
"""Seconds before its end from which a token is refreshed; at most half of its life."""

MAX_RATE_LIMIT_WAIT = 60.0
"""Seconds that one refresh waits in all for the pauses that a 429 asks for."""

MIN_RATE_LIMIT_PAUSE = 1.0
"""Seconds of the shortest of these pauses, whatever the 429 asks for."""

MIN_LIFE, MAX_LIFE = 1.0, 366 * 86400.0
"""Seconds of a plausible `expires_in`. Any other value counts as unknown."""

SendTokenRequest: TypeAlias = Callable[[Request[TokenResponse]], Awaitable[TokenResponse]]
"""Sends a token request once, with the retries of the client's own policy."""


class Grant:
    """The known tokens of a grant, and the store that keeps them.

    Attributes:
        client_id: The application's id.
        client_secret: The application's secret.
        initial: The tokens that the caller passed.
        store: The store that keeps the newest tokens, or None.
        token: The tokens in use; None before the first ones were found.
        access_token: The access token in use, or `""`.
        refresh_at: Seconds since the epoch from which `token` has to be refreshed.
        is_sending: True while a token request is under way, until its result is stored.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        initial: Token,
        store: TokenStore | None,
        clock: Callable[[], float],
    ) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.initial = initial
        self.store = store
        self.token: Token | None = None
        self.access_token = Secret()
        self.refresh_at = -math.inf
        self.is_sending = False
        self._clock = clock
        self._backoff = RefreshBackoff(clock)
        self._issued_at = -math.inf  # of the newest token that was requested here
        self._unsaved: Token | None = None
        self._rejected_token = ""
        self._spent: set[str] = set()
        self._last_refusal: ApiError | None = None

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Return the lock of the store. Hold it during `refresh`."""
        return nullcontext() if self.store is None else self.store.lock()

    def is_usable(self) -> bool:
        """Return True if the access token in use has not ended and was not rejected."""
        return self.token is not None and self._is_valid(self.token)

    def is_due(self) -> bool:
        """Return True if the tokens in use have to be refreshed."""
        return self.token is None or self._clock() >= self.refresh_at

    def reject(self, access_token: str) -> None:
        """Never use this access token again; refresh it if it is the one in use."""
        token = self.token
        if token is None or access_token != token.access_token:
            return
        if access_token == self._rejected_token:
            return
        self._rejected_token, self.refresh_at = access_token, -math.inf
        if self._clock() - self._issue_time(token) < REFRESH_RETRY_DELAY:
            self._backoff.record_rejection(token.refresh_token)

    def postpone(self, seconds: float) -> None:
        """Postpone the refresh, but not beyond the end of the access token."""
        expires_at = None if self.token is None else self.token.expires_at
        end = math.inf if expires_at is None else expires_at
        self.refresh_at = min(self._clock() + seconds, end)

    async def refresh(self, send: SendTokenRequest) -> None:
        """Use the newest stored tokens; request new ones if those have to be refreshed.

        Raises:
            ReauthorizationRequired: The API accepts none of the known refresh tokens.
            TokenUnavailable: The last refresh failed, and its pause has not ended.
            MlmsgError: The API refused the refresh, or the network failed.
        """
        if self._unsaved is not None:
            await self._retry_save(self._unsaved)
        while (token := await self._newest()) is not None:
            if self._clock() < self._refresh_time(token):
                self._use(token)
                return
            self._backoff.check(token.refresh_token)
            try:
                await self._exchange(token, send)
            except ApiError as error:
                if error.code != "invalid_grant":
                    raise
                # Another process may have used this one, and stored a newer one meanwhile.
                self._spent.add(token.refresh_token)
                self._last_refusal = error
            else:
                return
        raise ReauthorizationRequired from self._last_refusal

    async def _newest(self) -> Token | None:
        """Return the newest tokens that can be used, or refreshed as far as is known."""
        stored = await self._load()
        known = (token for token in (stored, self.token, self.initial) if token is not None)
        return next((token for token in known if self._is_promising(token)), None)

    def _is_promising(self, token: Token) -> bool:
        if token.refresh_token:
            return token.refresh_token not in self._spent
        return self._clock() < self._refresh_time(token)  # without one there is no next token

    async def _load(self) -> Token | None:
        stored = None if self.store is None else await self.store.load()
        if stored is not None and not isinstance(stored, Token):
            raise RuleError("result of a token store", type(stored).__name__, "a Token or None")
        return stored

    async def _exchange(self, old: Token, send: SendTokenRequest) -> None:
        """Exchange a refresh token for a new pair of tokens, and store them."""
        try:
            response = await self._request_patiently(old, send)
        except UsageError:
            raise  # the client is closed: nothing was sent
        except MlmsgError as error:
            self._backoff.record(old.refresh_token, error)
            raise
        try:
            self._issued_at = self._clock()
            token = token_from_response(response, old, self._issued_at)
            if old.refresh_token != token.refresh_token:
                self._spent.add(old.refresh_token)
            await self._save_and_use(token)
        finally:
            self.is_sending = False
        if (invalid := _invalid_token(response)) is not None:
            self._backoff.record(token.refresh_token, invalid)
            raise invalid
        self._backoff.clear()
        if token.access_token == self._rejected_token:  # the API issued the same one again
            self._backoff.record_rejection(token.refresh_token)

    async def _request_patiently(self, old: Token, send: SendTokenRequest) -> TokenResponse:
        """Send the token request. After a 429 wait as long as it asks, and send it again."""
        request = refresh(self.client_id, self.client_secret, Secret(old.refresh_token))
        waited = 0.0
        while True:
            self.is_sending = True
            try:
                return await _await_response(send(request))
            except BaseException as error:
                self.is_sending = False
                pause = requested_pause(error) if isinstance(error, RateLimited) else None
                if pause is None or waited + pause > MAX_RATE_LIMIT_WAIT:
                    raise
            pause = max(pause, MIN_RATE_LIMIT_PAUSE)
            waited += pause
            await asyncio.sleep(pause)

    async def _save_and_use(self, token: Token) -> None:
        """Store the tokens, then use them. If that fails, `_unsaved` keeps them."""
        self._unsaved = token
        if self.store is not None:
            await self.store.save(token)
        self._unsaved = None
        self._use(token)

    async def _retry_save(self, token: Token) -> None:
        """Store tokens whose first save failed, unless the store contains other tokens by now."""
        stored = await self._load()
        if stored is None or stored.refresh_token in self._spent:
            await self._save_and_use(token)
        else:
            self._unsaved = None

    def _use(self, token: Token) -> None:
        self.token, self.access_token = token, Secret(token.access_token)
        self.refresh_at = self._refresh_time(token)

    def _refresh_time(self, token: Token) -> float:
        """Return the time from which the tokens have to be refreshed, in seconds since epoch."""
        if not self._is_valid(token):
            return -math.inf
        if token.expires_at is None:
            return math.inf
        life = math.inf if token.expires_in is None else token.expires_in
        return token.expires_at - min(REFRESH_AHEAD, life / 2)

    def _issue_time(self, token: Token) -> float:
        if token.expires_at is not None and token.expires_in is not None:
            return token.expires_at - token.expires_in
        return self._issued_at

    def _is_valid(self, token: Token) -> bool:
        has_ended = token.expires_at is not None and self._clock() >= token.expires_at
        return not has_ended and token.access_token not in {"", self._rejected_token}


def check_store(name: str, store: TokenStore | None) -> None:
    """Reject a value that is neither a token store nor None."""
    methods = ("load", "save", "lock")
    is_store = all(callable(getattr(store, method, None)) for method in methods)
    if store is not None and (isinstance(store, type) or not is_store):
        limit = "a token store, such as FileTokenStore(path)"
        raise RuleError(name, type(store).__name__, limit)


def token_from_response(response: TokenResponse, old: Token, now: float) -> Token:
    """Return the tokens of a response.

    An invalid access token becomes `""`, and an implausible lifetime becomes None: the refresh
    token beside them has to be kept in any case. A missing refresh token means that the old one is
    still valid.
    """
    life = response.expires_in
    life = life if life is not None and MIN_LIFE <= life <= MAX_LIFE else None
    return Token(
        access_token=response.access_token if _invalid_token(response) is None else "",
        refresh_token=response.refresh_token or old.refresh_token,
        expires_at=None if life is None else now + life,
        expires_in=life,
        user_id=response.user_id or old.user_id,
    )


def _invalid_token(response: TokenResponse) -> InvalidToken | None:
    """Return the error of an unusable access token in a response, or None."""
    try:
        check_token(response.access_token)
    except InvalidToken as error:
        return InvalidToken("access token of the response", error.found, error.limit)
    return None


async def _await_response(pending: Awaitable[TokenResponse]) -> TokenResponse:
    """Await the token response. If the outcome is unknown, raise the underlying error.

    A refresh has no thread to reconcile with.
    """
    failure: BaseException
    try:
        return await pending
    except OutcomeUnknown as error:
        failure = error.__cause__ or error
    raise failure
