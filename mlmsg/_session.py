"""The session layer: token, budget, attempt, verdict; then the answer, an error, or once more.

This is the one loop of the package. What to do after each attempt is decided by `policy`, what the
bytes mean by `_wire`; the network is `_transport`.
"""

import asyncio
import random
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Literal, TypeVar, overload

from ._transport import Transport
from ._wire import (
    Reply,
    Request,
    Secret,
    Traffic,
    decode,
    is_token_refused,
    moved,
    prepare,
    refusal,
    request_id,
)
from .auth import Tokens
from .budget import RateBudget
from .errors import MlmsgError, OutcomeUnknown, TransportError, UnsafeRedirect, UsageError
from .events import AttemptEvent, Teller
from .models import Granted
from .policy import Accept, Fail, Outcome, Retry, RetryPolicy, Timeouts, Verdict, retry_after
from .rules import check_token

__all__ = ["Session"]

T = TypeVar("T")
R = TypeVar("R")

_NO_TOKEN = Secret()


class _Call(Traffic):
    """One call: how often it was tried, and what came of the last time."""

    __slots__ = ("attempt", "begun", "error", "first", "free", "refused", "reply", "token")

    def __init__(self) -> None:
        self.attempt = 0
        self.free = 0  # of these, those that were repeated in another way after a 401
        self.first = 0.0
        self.error: MlmsgError | None = None
        self.refused: str | None = None  # the token that met a 401
        self.token = _NO_TOKEN

    def begin(self) -> None:
        """One more attempt begins."""
        self.attempt += 1
        self.begun = time.monotonic()
        self.first = self.first or self.begun
        self.reply: Reply | None = None
        self.up = self.down = 0


class Session:
    """Sends requests for one client, each until it succeeds or the policy gives up.

    Connections open with the first request, in the event loop that makes it; from then on the
    session belongs to that loop.
    """

    _transport: Transport | None = None
    _closed = False

    def __init__(
        self,
        tokens: Tokens,
        base_url: str,
        timeouts: Timeouts,
        retry: RetryPolicy,
        budget: RateBudget,
        teller: Teller,
        user_agent: str,
        connections: int,
    ) -> None:
        self._tokens = tokens
        self._base_url = base_url
        self._retry = retry
        self._budget = budget
        self._teller = teller
        self._connect = partial(Transport, timeouts, user_agent, connections)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._checked: Secret | None = None
        self._heard: tuple[Mapping[str, str], float] = {}, 0.0

    def __del__(self) -> None:
        if self._transport is not None and not self._closed:
            text = "a Client was never closed; use `async with Client(...)`, or `await aclose()`"
            warnings.warn(text, ResourceWarning, source=self, stacklevel=2)

    @overload
    def send(self, request: Request[T]) -> Coroutine[object, object, T]: ...

    @overload
    def send(
        self, request: Request[T], receive: Callable[[T], Awaitable[R]]
    ) -> Coroutine[object, object, R]: ...

    def send(
        self, request: Request[T], receive: Callable[[T], Awaitable[R]] | None = None
    ) -> Coroutine[object, object, T | R]:
        """What the operation answers, or what `receive` makes of it.

        `receive` belongs to the attempt: when the network fails in it, the request is repeated
        and `receive` called anew.

        Raises:
            ApiError: The API refused, and goes on refusing.
            TransportError: The network failed, and goes on failing.
            OutcomeUnknown: A send may or may not have been executed.
            DecodeError: The answer cannot be read.
        """
        return self._send(request, receive, _Call())

    async def _send(
        self,
        request: Request[T],
        receive: Callable[[T], Awaitable[R]] | None,
        call: _Call,
    ) -> T | R:
        while True:
            self._opened()
            if not request.secrets:
                await self._budget.gate(request.effect).acquire()
            token = call.token = await self._token(request, call)
            transport = self._opened()
            url, headers = prepare(request, self._base_url, token)
            call.begin()
            try:
                reply = call.reply = await transport.exchange(request, url, headers, call)
                verdict = self._decide(self._answered(request, reply, token, call), call)
                if isinstance(verdict, Accept):
                    answer = decode(request, reply, token)
                    result = answer if receive is None else await receive(answer)
                    if receive is not None or not request.streamed:
                        self._tell(request, call, verdict)
                    return result
                call.error = refusal(request, reply, token, call.attempt)
            except TransportError as failure:
                verdict = self._decide(_failed(request, failure), call)
                call.error = failure
            except BaseException as stopped:
                self._tell(request, call, _FAIL, stopped)
                raise
            self._tell(request, call, verdict, call.error)
            self._hold(request, call, verdict)
            if not isinstance(verdict, Retry):
                raise _final(request, verdict, call.error)
            request = _again(request, call.reply)
            await asyncio.sleep(verdict.delay)

    @asynccontextmanager
    async def open(self, request: Request[Reply]) -> AsyncIterator[Reply]:
        """A reply whose body is still on its way; it is let go at the end of the block."""
        call = _Call()
        reply = await self._send(request, None, call)
        error: BaseException | None = None
        try:
            yield reply
        except BaseException as raised:
            error = raised
            raise
        finally:
            reply.close()
            self._tell(request, call, _FAIL if error else _ACCEPT, error)

    async def close(self) -> None:
        """Closes every connection; the session cannot be used again."""
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            if not self._loop.is_closed():
                raise UsageError("close a client in the event loop that it was used in")
            self._transport = None  # its connections ended with their loop
        self._closed = True
        try:
            await self._tokens.settled()
        finally:
            if self._transport is not None:
                await self._transport.close()

    def server_ahead(self) -> float | None:
        """Seconds that the server is ahead of our clock, by its last `Date`; None without one."""
        headers, heard = self._heard
        try:
            return parsedate_to_datetime(headers.get("Date", "")).timestamp() - heard
        except (ValueError, TypeError, OverflowError):
            return None

    async def _token(self, request: Request[T], call: _Call) -> Secret:
        if request.secrets:
            return _NO_TOKEN
        token = await self._tokens.token_by(self._ask)
        checked = self._checked
        if checked is None or token != checked:
            checked = self._checked = Secret(check_token(token))
        if call.error is not None and token == call.refused:
            raise call.error
        return checked

    async def _ask(self, request: Request[Granted]) -> Granted:
        return await self.send(request)

    def _decide(self, outcome: Outcome, call: _Call) -> Verdict:
        elapsed = time.monotonic() - call.first
        tries = call.attempt - call.free
        verdict = self._retry.decide(outcome, tries, elapsed, random.random())  # noqa: S311
        if outcome.other_way and isinstance(verdict, Retry):
            call.free += 1
        return verdict

    def _hold(self, request: Request[T], call: _Call, verdict: Verdict) -> None:
        """After a 429 everyone on this budget would meet the next one, not only this call."""
        if call.reply is None or call.reply.status != 429 or request.secrets:
            return
        asked = retry_after(call.reply.headers.get("Retry-After"), time.time())
        pause = self._retry.base if asked is None else asked
        if isinstance(verdict, Retry):
            pause = verdict.delay
        elif pause > self._retry.max_retry_after:
            return  # nobody waits that long: who calls gets an answer of their own
        self._budget.gate(request.effect).hold(pause)

    def _answered(self, request: Request[T], reply: Reply, token: str, call: _Call) -> Outcome:
        self._heard = (reply.headers, time.time())
        if reply.status < 400:
            return Outcome(effect=request.effect, status=reply.status)
        other_way = moved(request, reply) is not None
        if call.refused is None and is_token_refused(request, reply):
            call.refused = token
            other_way = self._tokens.refused(token)
        return Outcome(
            effect=request.effect,
            status=reply.status,
            repeatable=_repeatable(request),
            retry_after=retry_after(reply.headers.get("Retry-After"), time.time()),
            other_way=other_way,
        )

    def _tell(
        self,
        request: Request[T],
        call: _Call,
        verdict: Verdict,
        error: BaseException | None = None,
    ) -> None:
        if not self._teller.wanted:
            return
        reply = call.reply
        self._teller.tell(
            AttemptEvent(
                operation=request.operation,
                method=request.method,
                template=request.template,
                status=reply.status if reply is not None else None,
                attempt=call.attempt,
                elapsed=time.monotonic() - call.begun,
                sent=call.up,
                received=call.down,
                request_id=request_id(reply, call.token) if reply is not None else None,
                verdict=_word(verdict, error),
                delay=verdict.delay if isinstance(verdict, Retry) else 0.0,
                error=type(error).__name__ if error is not None else None,
            )
        )

    def _opened(self) -> Transport:
        loop = asyncio.get_running_loop()
        if self._closed:
            raise UsageError("this client is closed; make a new Client")
        if self._transport is None:
            self._transport, self._loop = self._connect(), loop
        elif self._loop is not loop:
            raise UsageError(
                "this client belongs to another event loop; make one Client per loop, "
                "inside the coroutine that runs there"
            )
        return self._transport


_ACCEPT, _FAIL = Accept(), Fail()


def _word(
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


def _repeatable(request: Request[T]) -> bool:
    return request.upload is None or request.upload.source.replayable


def _failed(request: Request[T], failure: TransportError) -> Outcome:
    # Where nothing was sent the source was not opened either.
    once_more = _repeatable(request) or not failure.sent
    once_more = once_more and not isinstance(failure, UnsafeRedirect)
    return Outcome(effect=request.effect, status=None, sent=failure.sent, repeatable=once_more)


def _again(request: Request[T], reply: Reply | None) -> Request[T]:
    """What goes out next: the same, or the same on its older path."""
    return request if reply is None else moved(request, reply) or request


def _final(request: Request[T], verdict: Verdict, error: MlmsgError) -> MlmsgError:
    if verdict != Fail(unknown=True):
        return error
    unknown = OutcomeUnknown(str(error), request.line)
    unknown.__cause__ = error
    return unknown
