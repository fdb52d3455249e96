"""The session layer: token, attempt, verdict; then the answer, an error, or a wait and once more.

This is the one loop of the package. What to do after each attempt is decided by `policy`, what the
bytes mean by `_wire`; the network is `_transport`.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar, overload

from ._transport import Transport
from ._wire import Reply, Request, Secret, decode, moved, prepare, refusal
from .auth import TokenSource
from .errors import MlmsgError, OutcomeUnknown, TransportError, UnsafeRedirect, UsageError
from .policy import Accept, Fail, Outcome, Retry, RetryPolicy, Timeouts, Verdict, retry_after
from .rules import check_token

__all__ = ["Session"]

T = TypeVar("T")
R = TypeVar("R")


class Session:
    """Sends requests for one client, each until it succeeds or the policy gives up.

    Connections open with the first request, in the event loop that makes it; from then on the
    session belongs to that loop.
    """

    def __init__(
        self,
        tokens: TokenSource,
        base_url: str,
        timeouts: Timeouts,
        retry: RetryPolicy,
        user_agent: str,
        connections: int,
    ) -> None:
        self._tokens = tokens
        self._base_url = base_url
        self._retry = retry
        self._connect = partial(Transport, timeouts, user_agent, connections)
        self._transport: Transport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._checked: Secret | None = None

    @overload
    async def send(self, request: Request[T]) -> T: ...

    @overload
    async def send(self, request: Request[T], receive: Callable[[T], Awaitable[R]]) -> R: ...

    async def send(
        self, request: Request[T], receive: Callable[[T], Awaitable[R]] | None = None
    ) -> T | R:
        """What the operation answers, or what `receive` makes of it.

        `receive` belongs to the attempt: when the network fails in it, the request is repeated
        and `receive` called anew.

        Raises:
            ApiError: The API refused, and goes on refusing.
            TransportError: The network failed, and goes on failing.
            OutcomeUnknown: A send may or may not have been executed.
            DecodeError: The answer cannot be read.
        """
        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            self._opened()
            token = await self._tokens.token()
            if token is not self._checked:
                token = self._checked = Secret(check_token(token))
            transport = self._opened()
            url, headers = prepare(request, self._base_url, token)
            error: MlmsgError
            try:
                reply = await transport.exchange(request, url, headers)
                if (elsewhere := moved(request, reply)) is not None and _repeatable(request):
                    request, attempt = elsewhere, attempt - 1
                    continue
                verdict = self._decide(_answered(request, reply), attempt, started)
                if isinstance(verdict, Accept):
                    answer = decode(request, reply, token)
                    return answer if receive is None else await receive(answer)
                error = refusal(request, reply, token, attempt)
            except TransportError as failure:
                verdict = self._decide(_failed(request, failure), attempt, started)
                error = failure
            if not isinstance(verdict, Retry):
                raise _unknown(request, error) if verdict == Fail(unknown=True) else error
            await asyncio.sleep(verdict.delay)

    @asynccontextmanager
    async def open(self, request: Request[Reply]) -> AsyncIterator[Reply]:
        """A reply whose body is still on its way; it is let go at the end of the block."""
        reply = await self.send(request)
        try:
            yield reply
        finally:
            reply.close()

    async def close(self) -> None:
        """Closes every connection; the session cannot be used again."""
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            if not self._loop.is_closed():
                raise UsageError("close a client in the event loop that it was used in")
            self._transport = None  # its connections ended with their loop
        self._closed = True
        if self._transport is not None:
            await self._transport.close()

    def _decide(self, outcome: Outcome, attempt: int, started: float) -> Verdict:
        elapsed = time.monotonic() - started
        return self._retry.decide(outcome, attempt, elapsed, random.random())  # noqa: S311

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


def _answered(request: Request[T], reply: Reply) -> Outcome:
    if reply.status < 400:
        return Outcome(effect=request.effect, status=reply.status)
    return Outcome(
        effect=request.effect,
        status=reply.status,
        repeatable=_repeatable(request),
        retry_after=retry_after(reply.headers.get("Retry-After"), time.time()),
    )


def _repeatable(request: Request[T]) -> bool:
    return request.upload is None or request.upload.source.replayable


def _failed(request: Request[T], failure: TransportError) -> Outcome:
    # Where nothing was sent the source was not opened either.
    once_more = _repeatable(request) or not failure.sent
    once_more = once_more and not isinstance(failure, UnsafeRedirect)
    return Outcome(effect=request.effect, status=None, sent=failure.sent, repeatable=once_more)


def _unknown(request: Request[T], cause: MlmsgError) -> OutcomeUnknown:
    error = OutcomeUnknown(str(cause), request.line)
    error.__cause__ = cause
    return error
