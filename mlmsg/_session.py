"""The send loop: rate limit, token, one attempt, decision; then the value, an error, or once more.

One attempt returns or raises. The loop classifies what was raised, once, and `policy` decides what
follows. `_wire` knows what the bytes mean, and `_transport` is the network.
"""

import asyncio
import logging
import random
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Literal, NoReturn, TypeVar, overload

from ._arguments import check_token
from ._secrets import Secret
from ._transport import Transport, TransportOptions
from ._wire import (
    Request,
    Response,
    TransferCounter,
    as_v1_request,
    decode,
    error_from_response,
    is_token_rejected,
    prepare,
    request_id,
)
from .auth import TokenProvider
from .budget import RateBudget, RateLimiter
from .errors import (
    CertificateError,
    MlmsgError,
    OutcomeUnknown,
    TransportError,
    UnsafeRedirect,
    UsageError,
)
from .events import AttemptEvent, EventEmitter, OnEvent
from .policy import (
    Accept,
    Effect,
    Fail,
    Outcome,
    Retry,
    RetryPolicy,
    Verdict,
    http_date,
    retry_after,
)

__all__ = ["Session"]

T = TypeVar("T")
R = TypeVar("R")

_EARLIEST_DATE = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
_LATEST_DATE = datetime(2200, 1, 1, tzinfo=UTC).timestamp()
"""The bounds of a `Date` that a server's clock can have."""

logger: logging.Logger = logging.getLogger("mlmsg")

_WRONG_FAMILY = {403, 404}
"""Statuses that the paths of the wrong family of sellers can cause."""

_NO_TOKEN = Secret()
_ACCEPT, _FAIL = Accept(), Fail()


class _CallState(TransferCounter):
    """State of one call across its attempts.

    Attributes:
        attempt: The number of the current attempt, from 1.
        uncounted_attempts: Attempts that do not count against the limit: repeated after a 401 with
            a new token or on the v1 path.
        started: Monotonic time at which the first attempt started.
        attempt_started: Monotonic time at which the current attempt started.
        token: The token of the current attempt.
        rejected_token: The token that was answered with 401, or None.
        waited: Seconds that the current attempt waited for the rate limit.
        response: The response of the current attempt, or None.
        error: The error of the last attempt, or None.
    """

    __slots__ = (
        "attempt",
        "attempt_started",
        "error",
        "rejected_token",
        "response",
        "started",
        "token",
        "uncounted_attempts",
        "waited",
    )

    def __init__(self) -> None:
        super().__init__()
        self.attempt = 0
        self.uncounted_attempts = 0
        self.started = 0.0
        self.waited = 0.0
        self.rejected_token: str | None = None
        self.error: MlmsgError | None = None

    def start_attempt(self, token: Secret) -> None:
        """Reset everything that belongs to one attempt."""
        self.attempt += 1
        self.attempt_started = time.monotonic()
        self.started = self.started or self.attempt_started
        self.token = token
        self.response: Response | None = None
        self.bytes_sent = self.bytes_received = 0


class Session:
    """Sends the requests of one client, each until it succeeds or the policy gives up.

    Connections open with the first request, in the event loop of that request. From then on the
    session belongs to that event loop.

    Attributes:
        account_hint: The hint of errors that the wrong family of sellers can cause; `""` for none.
    """

    _transport: Transport | None = None
    _closed = False
    account_hint = ""

    def __init__(
        self,
        tokens: TokenProvider,
        base_url: str,
        retry: RetryPolicy,
        budget: RateBudget,
        emitter: EventEmitter,
        options: TransportOptions,
        owner: str,
    ) -> None:
        """Keep the settings. `owner` describes the client, for the reprs of its groups."""
        self._owner = owner
        self._tokens = tokens
        self._base_url = base_url
        self._retry = retry
        self._budget = budget
        self._emitter = emitter
        self._options = options
        self._loop: asyncio.AbstractEventLoop | None = None
        self._checked_token: Secret | None = None
        self._last_date: str | None = None
        self._clock_offset: float | None = None
        self._own_limits: dict[str, RateLimiter] = {}

    def __del__(self) -> None:
        if self._transport is not None and not self._closed:
            text = "a Client was never closed; use `async with Client(...)`, or `await aclose()`"
            self._transport.abandon()
            warnings.warn(text, ResourceWarning, source=self, stacklevel=2)

    def listen(self, listener: OnEvent) -> AbstractContextManager[None]:
        """Pass the events of all calls to `listener`, until the end of the block."""
        return self._emitter.listen(listener)

    def limit(self, operation: str, limiter: RateLimiter) -> None:
        """Let the calls of one operation pass a limiter of their own, beside the rate budget."""
        self._own_limits[operation] = limiter

    @property
    def waiting(self) -> int:
        """The number of calls that wait for a rate limit now."""
        own = sum(limiter.waiting for limiter in self._own_limits.values())
        return own + self._budget.waiting

    @property
    def owner(self) -> str:
        """The description of the client: where its API is, which family, open or closed."""
        return f"{self._owner}, {'closed' if self._closed else 'open'}"

    @overload
    def send(self, request: Request[T]) -> Coroutine[object, object, T]: ...

    @overload
    def send(
        self, request: Request[T], process: Callable[[T], Awaitable[R]]
    ) -> Coroutine[object, object, R]: ...

    def send(
        self, request: Request[T], process: Callable[[T], Awaitable[R]] | None = None
    ) -> Coroutine[object, object, T | R]:
        """Return the value of the operation, or the result of `process` for it.

        `process` is part of the attempt: if the network fails while it runs, the request is sent
        again and `process` is called again.

        Raises:
            ApiError: The API answered with an error, also after the retries.
            TransportError: The network failed, also after the retries.
            OutcomeUnknown: A send may or may not have been executed.
            DecodeError: The response cannot be read.
        """
        return self._send(request, process, _CallState())

    async def _send(
        self,
        request: Request[T],
        process: Callable[[T], Awaitable[R]] | None,
        state: _CallState,
    ) -> T | R:
        while True:
            transport = self._transport_for_loop()  # a closed client waits for nothing
            token = await self._admit(request, state)
            # Closed meanwhile: the transport would say that the outcome is unknown.
            self._check_open()
            state.start_attempt(token)
            try:
                value = await self._attempt(transport, request, state)
                result = value if process is None else await process(value)
            except BaseException as error:  # noqa: BLE001  (raised again below, or repeated)
                verdict = self._decide(request, state, error)
                self._emit(request, state, verdict, error)
                if isinstance(error, asyncio.CancelledError):
                    _explain_cancellation(request, state, error)
                if not isinstance(verdict, Retry):
                    _raise_final(request, verdict, error)
            else:
                is_over = process is not None or not request.is_streamed
                if is_over and self._emitter.enabled:
                    self._emit(request, state, _ACCEPT)
                return result
            request = _next_request(request, state.response)
            await asyncio.sleep(verdict.delay)

    async def _admit(self, request: Request[T], state: _CallState) -> Secret:
        """Wait for the rate limit, and return the token of the next attempt."""
        if request.secrets:
            return _NO_TOKEN
        state.waited = 0.0
        if request.operation in self._own_limits:
            await _acquire(self._own_limits[request.operation], state)
        limiter = self._budget.limiter(request.effect)
        if not limiter.try_acquire():
            await _acquire(limiter, state)
        token = await self._tokens.get_token(self.send)
        if self._checked_token is None or token != self._checked_token:
            self._checked_token = Secret(check_token(token))
        if state.error is not None and token == state.rejected_token:
            raise state.error  # the provider has no other token
        return self._checked_token

    async def _attempt(self, transport: Transport, request: Request[T], state: _CallState) -> T:
        """Send the request once. Return the value, or raise the error of this attempt."""
        url, headers = prepare(request, self._base_url, state.token)
        response = state.response = await transport.exchange(request, url, headers, state)
        date = response.headers.get("Date")
        # Of the responses of one second, only the first is compared. A file may come from a server
        # with another clock.
        if date != self._last_date and date is not None and not request.is_streamed:
            self._compare_clocks(date)
        if not 200 <= response.status < 300:
            error = error_from_response(request, response, state.token, state.attempt)
            if self.account_hint and response.status in _WRONG_FAMILY:
                error.add_hint(self.account_hint)
            raise error
        return decode(request, response, state.token)

    @asynccontextmanager
    async def open(self, request: Request[Response]) -> AsyncIterator[Response]:
        """Yield a response whose body is unread. It is closed at the end of the block."""
        state = _CallState()
        response = await self._send(request, None, state)
        error: BaseException | None = None
        try:
            yield response
        except BaseException as raised:
            error = raised
            raise
        finally:
            response.close()
            self._emit(request, state, _ACCEPT if error is None else _FAIL, error)

    async def close(self) -> None:
        """Close every connection. The session cannot be used again."""
        loop = self._loop or asyncio.get_running_loop()
        if self._transport is not None and loop is not asyncio.get_running_loop():
            if not loop.is_closed():
                raise UsageError("close a client in the event loop that it was used in")
            self._transport.abandon()  # its connections ended with their event loop
            self._transport = None
        self._closed = True
        try:
            await self._tokens.wait_refreshed()
        finally:
            if self._transport is not None:
                await self._transport.close()

    def clock_offset(self) -> float | None:
        """Return the seconds by which the server's clock is ahead of ours; None if unknown."""
        return self._clock_offset

    def _compare_clocks(self, date: str) -> None:
        """Remember the clock offset. A date that cannot be true changes nothing."""
        self._last_date = date
        moment = http_date(date)
        # A clock of the year 1 or 9999 would move every span of time out of the calendar.
        if moment is not None and _EARLIEST_DATE <= moment < _LATEST_DATE:
            self._clock_offset = moment - time.time()

    def server_time(self) -> datetime:
        """Return the present time of the server, or ours until a response has shown its clock."""
        return datetime.now(UTC) + timedelta(seconds=self.clock_offset() or 0.0)

    def _decide(self, request: Request[T], state: _CallState, error: BaseException) -> Verdict:
        """Classify the error of an attempt, and return what follows from it."""
        outcome = self._classify(request, state, error)
        if outcome is None or not isinstance(error, MlmsgError):
            return _FAIL
        state.error = error
        counted = state.attempt - state.uncounted_attempts
        elapsed = time.monotonic() - state.started
        verdict = self._retry.decide(outcome, counted, elapsed, random.random())  # noqa: S311
        if outcome.alternative and isinstance(verdict, Retry):
            state.uncounted_attempts += 1
        if outcome.status == 429 and not request.secrets:
            self._pause_limiter(request, outcome, verdict)
        return verdict

    def _classify(
        self, request: Request[T], state: _CallState, error: BaseException
    ) -> Outcome | None:
        """Return how the attempt ended; None for an error that no repetition can mend."""
        if isinstance(error, TransportError):
            return _outcome_of_error(request, error)
        if state.response is None or state.response.is_success:
            return None  # raised by the decoder or by the caller's own code, or a cancellation
        return self._outcome_of_response(request, state.response, state)

    def _outcome_of_response(
        self, request: Request[T], response: Response, state: _CallState
    ) -> Outcome:
        headers, is_refused = response.headers, request.proves_not_executed
        alternative = as_v1_request(request, response) is not None
        if state.rejected_token is None and is_token_rejected(request, response):
            state.rejected_token = state.token
            alternative = self._tokens.reject(state.token)
        return Outcome(
            effect=request.effect,
            status=response.status,
            repeatable=request.is_repeatable,
            retry_after=retry_after(headers.get("Retry-After"), time.time(), headers.get("Date")),
            alternative=alternative,
            not_executed=is_refused is not None and is_refused(response),
        )

    def _pause_limiter(self, request: Request[T], outcome: Outcome, verdict: Verdict) -> None:
        """Pause the shared limiter, so that other calls do not run into the same 429."""
        pause = self._retry.base if outcome.retry_after is None else outcome.retry_after
        if isinstance(verdict, Retry):
            pause = verdict.delay
        elif pause > self._retry.max_retry_after:
            return  # do not block other calls for so long: each will receive its own 429
        self._budget.limiter(request.effect).pause_for(pause)

    def _emit(
        self,
        request: Request[T],
        state: _CallState,
        verdict: Verdict,
        error: BaseException | None = None,
    ) -> None:
        if not self._emitter.enabled:
            return
        response = state.response
        self._emitter.emit(
            AttemptEvent(
                operation=request.operation,
                method=request.method,
                template=request.template,
                status=response.status if response is not None else None,
                attempt=state.attempt,
                elapsed=time.monotonic() - state.attempt_started,
                sent=state.bytes_sent,
                received=state.bytes_received,
                request_id=(
                    request_id(request, response, state.token) if response is not None else None
                ),
                verdict=_verdict_label(verdict, error),
                delay=verdict.delay if isinstance(verdict, Retry) else 0.0,
                waited=state.waited,
                error=type(error).__name__ if error is not None else None,
            )
        )

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("this client is closed; create a new Client")

    def _transport_for_loop(self) -> Transport:
        loop = asyncio.get_running_loop()
        self._check_open()
        if self._transport is None:
            self._transport, self._loop = Transport(self._options), loop
        elif self._loop is not loop:
            raise UsageError(
                "this client belongs to another event loop; create one Client for each loop, "
                "inside the coroutine that runs there"
            )
        return self._transport


async def _acquire(limiter: RateLimiter, state: _CallState) -> None:
    asked = time.monotonic()
    await limiter.acquire()
    state.waited += time.monotonic() - asked


def _outcome_of_error(request: Request[T], error: TransportError) -> Outcome:
    # If nothing was sent, the source was not opened either.
    can_repeat = request.is_repeatable or not error.sent
    can_repeat = can_repeat and not isinstance(error, UnsafeRedirect | CertificateError)
    return Outcome(effect=request.effect, status=None, sent=error.sent, repeatable=can_repeat)


def _next_request(request: Request[T], response: Response | None) -> Request[T]:
    """Return the request of the next attempt: the same one, or the same on its v1 path."""
    return request if response is None else as_v1_request(request, response) or request


def _raise_final(request: Request[T], verdict: Verdict, error: BaseException) -> NoReturn:
    """Raise the error of a call that is not repeated."""
    if verdict == Fail(unknown=True):
        raise OutcomeUnknown(str(error), request.line) from error
    raise error


def _explain_cancellation(
    request: Request[T], state: _CallState, error: asyncio.CancelledError
) -> None:
    """Say with a cancelled send that its message may have been delivered, if so.

    It stays a cancellation. `asyncio.timeout` makes it the cause of its `TimeoutError`.
    """
    if request.effect is Effect.SEND and not request.secrets and state.bytes_sent:
        error.__cause__ = OutcomeUnknown("the send was cancelled", request.line)
        error.add_note("the message may have been delivered: read the thread before you send again")
        logger.warning("a send was cancelled; its message may have been delivered")


def _verdict_label(
    verdict: Verdict, error: BaseException | None
) -> Literal["accept", "retry", "fail", "unknown", "cancel"]:
    match verdict:
        case Accept():
            return "accept"
        case Retry():
            return "retry"
        case Fail(unknown=True):
            return "unknown"
    return "cancel" if isinstance(error, asyncio.CancelledError) else "fail"
