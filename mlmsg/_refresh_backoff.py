"""Remember a failed refresh, so that the next calls do not send one token request each.

Refresh tokens are single-use and token requests are limited. A refresh that the API refused would
be refused again, so it pauses for a while. A refresh whose outcome is unknown may be repeated once
at once, because only another attempt shows if the API executed it; then the pauses grow.
"""

import math
import time
from collections.abc import Callable

from .errors import (
    ApiError,
    DecodeError,
    InvalidToken,
    MlmsgError,
    RateLimited,
    TokenUnavailable,
)
from .policy import RETRYABLE_STATUSES, retry_after

__all__ = ["REFRESH_RETRY_DELAY", "RefreshBackoff", "requested_pause", "token_unavailable"]

REFRESH_RETRY_DELAY = 30.0
"""Seconds between two refreshes after the API refused the first, and the longest growing pause."""

MAX_REQUESTED_PAUSE = 3600.0
"""Seconds of the longest pause that a 429 can ask for. A server may state any number."""


class RefreshBackoff:
    """The last failed refresh, and the end of the pause after it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._refresh_token = ""
        self._error: MlmsgError | None = None
        self._failures = _Streak()
        self._rejections = _Streak()
        self._failed_at = -math.inf
        self._pause = 0.0

    def check(self, refresh_token: str) -> None:
        """Raise the error of the last refresh again while the pause of this token lasts.

        Raises:
            TokenUnavailable: The pause has not ended.
        """
        elapsed = self._clock() - self._failed_at
        # A clock that was set back must not extend the pause.
        is_paused = -1 < elapsed < self._pause and refresh_token == self._refresh_token
        if is_paused and self._error is not None:
            raise token_unavailable(self._error) from self._error

    def record(self, refresh_token: str, error: MlmsgError) -> None:
        """Record a failed refresh. `refresh_token` is the newest one after it."""
        self._start_pause(refresh_token, error, self._failures)

    def record_rejection(self, refresh_token: str) -> None:
        """Record that the API rejected a new access token.

        The next one will probably be rejected as well, so not every call may use up a refresh
        token.
        """
        reason = "the access token could not be refreshed: the API rejects each new one"
        self._start_pause(refresh_token, TokenUnavailable(reason), self._rejections)

    def clear(self) -> None:
        """End the pause after a successful refresh. It says nothing about rejections."""
        self._error = None
        self._failures = _Streak()

    def _start_pause(self, refresh_token: str, error: MlmsgError, streak: "_Streak") -> None:
        now = self._clock()
        self._refresh_token, self._error, self._failed_at = refresh_token, error, now
        self._pause = _pause_after(error, streak.add(now))


class _Streak:
    """Failures that follow each other within two of the longest growing pauses."""

    def __init__(self) -> None:
        self._count = 0
        self._last = -math.inf

    def add(self, now: float) -> int:
        """Add a failure, and return the length of the streak."""
        self._count = self._count + 1 if abs(now - self._last) < 2 * REFRESH_RETRY_DELAY else 1
        self._last = now
        return self._count


def token_unavailable(error: MlmsgError) -> TokenUnavailable:
    """Return the error to raise for a failed refresh; the given one is its cause."""
    if isinstance(error, TokenUnavailable):
        return TokenUnavailable(error.reason)
    text = str(error)
    if isinstance(error, DecodeError):  # its text would end with the body, which is not kept
        text = f"{error.message} [{error.request}]" if error.request else error.message
    return TokenUnavailable(f"the access token could not be refreshed: {text}")


def requested_pause(error: MlmsgError) -> float | None:
    """Return the seconds that a 429 asks to wait, or None."""
    if not isinstance(error, RateLimited):
        return None
    seconds = retry_after(error.retry_after, time.time(), error.headers.get("date"))
    return None if seconds is None else min(seconds, MAX_REQUESTED_PAUSE)


def _pause_after(error: MlmsgError, failures: int) -> float:
    requested = requested_pause(error)
    if requested is not None:
        return requested
    if _is_refusal(error):
        return REFRESH_RETRY_DELAY
    return 0.0 if failures == 1 else min(2.0 ** (failures - 2), REFRESH_RETRY_DELAY)


def _is_refusal(error: MlmsgError) -> bool:
    """Return True if the API would answer the same to the next request."""
    if isinstance(error, ApiError):
        return 400 <= error.status < 500 and error.status not in RETRYABLE_STATUSES
    return isinstance(error, InvalidToken)
