"""Refresh an OAuth grant for all the calls that need its token.

A refresh is one shared, shielded task, not a lock. With single-use refresh tokens, cancelling the
holder of a lock would lose the grant.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from ._arguments import check_id, check_secret, check_token
from ._grant import Grant, SendTokenRequest, check_store
from ._refresh_backoff import REFRESH_RETRY_DELAY, token_unavailable
from ._secrets import as_secret
from ._worker_threads import wait_until_done
from .errors import MlmsgError, TokenUnavailable, UsageError
from .token_store import Token, TokenStore

__all__ = ["RefreshingToken"]

logger = logging.getLogger("mlmsg")

REFRESH_AHEAD_WAIT = 2.0
"""Seconds from the start of a refresh for which calls wait while the old token is still valid."""


class RefreshingToken:
    """An OAuth grant: an access token, and the refresh token used to obtain the next one.

    - The access token is refreshed from five minutes before its end (a short-lived one: in the
      second half of its life), and after a 401. While the old one is still valid, a failed refresh
      fails no call, and a slow refresh delays calls only for its first two seconds.
    - A refresh is one task, and all calls that need a token wait for it. Cancelling a call or
      closing a client does not cancel the refresh: refresh tokens are single-use, and losing the
      newest one means losing access.
    - New tokens are stored before their first use. Before every refresh the store is locked and
      read again: several processes can share one grant, and each uses the tokens that another one
      obtained.
    - A failed refresh fails the calls that wait for it with `TokenUnavailable`. The next calls do
      not send a token request each: they read the store, and raise the error again until its pause
      has ended. The pause is 30 seconds after a refusal of the API. After a failure whose outcome
      is unknown, the next call may try again at once; if that fails too, the pauses grow from 1 to
      30 seconds. After a 429 all calls wait as long as it asks, up to one minute.
    - Whatever the API answers, its refresh token is stored. An `expires_in` that cannot be true
      counts as unknown, and the access token is then used until the API rejects it.

    The end of the event loop ends a refresh too, for example when `asyncio.run` returns while calls
    are under way. Close the client before.

    Pass it to a `Client`, which sends the request with its own `base_url` and timeouts. Several
    clients of one event loop can share it. With a store it can be pickled, secrets included, and
    each copy shares the grant. Without a store it cannot: each copy would use up the refresh token
    of the others.
    """

    __module__ = "mlmsg.auth"

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
        """Keep the grant. No request is sent yet.

        Args:
            client_id: The application's id.
            client_secret: The application's secret.
            refresh_token: The newest refresh token that you have. The token in the store is used
                first; this one is used if the API refuses that one.
            access_token: A valid access token, if you have one. It is used until the API rejects
                it.
            store: The store that keeps the grant. Without one the newest refresh token is lost with
                the process.
            clock: Returns the seconds since the epoch; for tests.

        Raises:
            RuleError: An argument is invalid. The error never repeats it.
        """
        client_id = check_id("client_id", client_id)
        check_store("`store` of a RefreshingToken", store)
        client_secret, refresh_token = as_secret(client_secret), as_secret(refresh_token)
        access_token = as_secret(access_token)
        initial = Token(
            access_token=check_token(access_token) if access_token else "",
            refresh_token=check_secret("refresh token", refresh_token),
        )
        secret = check_secret("client secret", client_secret)
        self._grant = Grant(client_id, secret, initial, store, clock)
        self._task: asyncio.Task[str] | None = None
        self._started = 0.0  # time of the task's event loop

    def __repr__(self) -> str:
        return "<RefreshingToken>"

    def __reduce__(self) -> tuple[type["RefreshingToken"], tuple[str | TokenStore | None, ...]]:
        grant = self._grant
        if grant.store is None:
            raise UsageError("a RefreshingToken can be pickled only with a store to share")
        refresh_token = str(grant.initial.refresh_token)
        access_token = str(grant.initial.access_token) or None
        secret = str(grant.client_secret)
        return RefreshingToken, (grant.client_id, secret, refresh_token, access_token, grant.store)

    async def get_token(self, send: SendTokenRequest) -> str:
        """Return the access token to send now. A refresh sends its request with `send`.

        Raises:
            ReauthorizationRequired: The API accepts none of the known refresh tokens.
            TokenUnavailable: The refresh failed for another reason.
            UsageError: Another event loop is refreshing the token now.
            Exception: An error of your own store, unchanged.
        """
        while self._grant.is_due():
            task, is_new = self._join_refresh(send)
            if self._grant.is_usable():
                elapsed = asyncio.get_running_loop().time() - self._started
                await asyncio.wait({task}, timeout=max(REFRESH_AHEAD_WAIT - elapsed, 0.0))
                break
            try:
                return await asyncio.shield(task)
            except UsageError:
                if is_new:
                    raise
            except asyncio.CancelledError:
                caller = asyncio.current_task()
                if not task.cancelled() or caller is None or caller.cancelling():
                    raise
            # The client whose call started the refresh is closed: start it with our own `send`.
        return self._grant.access_token

    def reject(self, token: str) -> bool:
        """Mark the token as rejected. Return True: another token may always be available."""
        self._grant.reject(token)
        return True

    async def wait_refreshed(self) -> None:
        """Wait for the refresh of this event loop; cancel it if its request was not sent yet."""
        task = self._task
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            if not self._grant.is_sending:
                task.cancel()
            await wait_until_done(task)

    def _join_refresh(self, send: SendTokenRequest) -> tuple["asyncio.Task[str]", bool]:
        """Return the task of the running refresh, or of a new one; True for a new one."""
        task = self._task
        if task is None or task.done() or task.get_loop().is_closed():
            self._started = asyncio.get_running_loop().time()
            task = self._task = asyncio.create_task(self._refresh(send))
            task.add_done_callback(_retrieve_exception)
            return task, True
        if task.get_loop() is not asyncio.get_running_loop():
            raise UsageError("another event loop refreshes this token; use one source per loop")
        return task, False

    async def _refresh(self, send: SendTokenRequest) -> str:
        """Return the access token after reading the store, and after a refresh if needed."""
        try:
            async with self._grant.lock():
                await self._grant.refresh(send)
        except Exception as error:
            if not self._grant.is_usable():
                if isinstance(error, UsageError | TokenUnavailable):
                    raise
                if isinstance(error, MlmsgError):
                    raise token_unavailable(error) from error
                raise  # an error of the caller's store, or of the disk
            logger.warning("the access token is not refreshed yet: %s", type(error).__name__)
            self._grant.postpone(REFRESH_RETRY_DELAY)
        return self._grant.access_token


def _retrieve_exception(task: "asyncio.Task[str]") -> None:
    """Retrieve the exception, so that asyncio reports none if no call waits for it any more."""
    if not task.cancelled():
        task.exception()
