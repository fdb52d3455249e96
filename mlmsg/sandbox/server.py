"""The server: a socket on loopback, the routes of all families, faults, limits, the record."""

import asyncio
from typing import Self

from aiohttp import typedefs, web

from mlmsg.sandbox._answers import Answer, RefusalError
from mlmsg.sandbox._claims import ROUTES as CLAIMS
from mlmsg.sandbox._exchange import (
    ClaimSendAnswer,
    ClaimUploadKey,
    Exchange,
    RecordedRequest,
    Route,
    SendAnswer,
)
from mlmsg.sandbox._oauth import ROUTES as OAUTH
from mlmsg.sandbox._pending import ROUTES as PENDING
from mlmsg.sandbox._post_sale import ROUTES as POST_SALE
from mlmsg.sandbox.clock import Clock
from mlmsg.sandbox.example import example_market
from mlmsg.sandbox.faults import Fault, FaultQueue
from mlmsg.sandbox.grants import Grant
from mlmsg.sandbox.market import Market
from mlmsg.sandbox.rates import RateLimit

__all__ = ["Sandbox"]

# A new family of endpoints is a module with ROUTES, and one more entry here.
_ROUTES = (*POST_SALE, *PENDING, *CLAIMS, *OAUTH)
_MAX_REQUESTS = 1000
_ACCEPTED = "sandbox-token-0001"
_EXPIRED = "sandbox-token-expired"
# Seconds: what a request in hand gets at the end, and a client that still sends after an early
# answer. aiohttp takes zero for "without limit".
_SHUTDOWN = 0.02
_LINGERING = 0.5


class Sandbox:
    """An in-process Mercado Libre on 127.0.0.1, at a free port; several can run side by side.

    Every request needs a token of `tokens`: without one it is a 400, with an unknown one a 400,
    with one of `expired` a 401; the claims answer a missing one with a 401 as well. Only
    `POST /oauth/token` needs none: it refreshes one of `grants`. Unknown paths are a 404 in JSON.
    All of these attributes may be changed while it runs.

    Attributes:
        market: The packs, files and claims; `example_market()` by default. Every accepted token
            is one of its `user_id`, the seller.
        token: A token that is accepted.
        tokens: All accepted tokens; what a grant issues is added.
        expired: Tokens that are answered with 401, even if they are also in `tokens`.
        grants: What can be refreshed, the grant of `token` to begin with. Grants of several
            sellers may share an application, but not a refresh token.
        clock: The time by which issued tokens expire and `rate` counts: real time, unless it is
            advanced. Put another one in its place before the first request.
        rate: The rate limit; None, the default, for none. It comes after the faults and before
            the token is checked; a request that a fault answers or drops is not counted.
        requests: The last 1000 requests, oldest first, each there from its arrival.
        max_limit: The server's own cap on `limit`; the answer's `paging.limit` tells it.
            None for no cap: the real one is not documented.
        send_answer: The body of the answer to a send. None is documented; the default is the
            bare message. The others: `{"messages": [...]}`, an array, `{}`, nothing at all.
        send_status: The status of that answer, 201 by default; 200 has been seen as well.
        unread_cap: How many conversations one answer about unread messages holds at most.
        claim_send_answer: The body of the 201 to a claim's send-message. `seed`, the default, is
            the document's text byte for byte, its quotes included, as text/plain: not a JSON
            object. The others: `plain`, the same without quotes, which is no JSON at all;
            `object`, `{"id": ...}`; `empty`, nothing at all.
        claim_upload_key: What the answer to a claim's upload calls the file: `file_name`, or
            `filename` as in the domestic edition.
    """

    def __init__(self, *, market: Market | None = None) -> None:
        self.market = example_market() if market is None else market
        self.token = _ACCEPTED
        self.tokens = frozenset({_ACCEPTED})
        self.expired = frozenset({_EXPIRED})
        self.grants = [Grant(access_token=_ACCEPTED)]
        self.clock = Clock()
        self.rate: RateLimit | None = None
        self.requests: list[RecordedRequest] = []
        self.max_limit: int | None = None
        self.send_answer: SendAnswer = "message"
        self.send_status = 201
        self.unread_cap = 1000
        self.claim_send_answer: ClaimSendAnswer = "seed"
        self.claim_upload_key: ClaimUploadKey = "file_name"
        self._faults = FaultQueue()
        self._arrival = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end; RuntimeError when not running."""
        if self._url is None:
            raise RuntimeError("the sandbox is not running: use `async with Sandbox() as sandbox`")
        return self._url

    @property
    def grant(self) -> Grant:
        """The first of `grants`."""
        return self.grants[0]

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The injected faults that are still to come."""
        return self._faults.waiting()

    def inject(self, fault: Fault) -> None:
        """Let the next request it matches meet this fault; earlier faults come first."""
        if not isinstance(fault, Fault):
            raise TypeError(f"inject takes a Fault, not {type(fault).__name__}")
        self._faults.add(fault)

    def expire(self, token: str | None = None) -> None:
        """Answer this token with 401 from now on; without one, every token accepted so far."""
        self.expired |= self.tokens if token is None else {token}

    async def received(self, count: int) -> None:
        """Wait until `requests` holds that many, whether they are answered yet or not."""
        while len(self.requests) < count:
            await self._arrival.wait()

    async def start(self) -> None:
        """Listen at a free port; `async with` does it too."""
        if self._runner is not None:
            raise RuntimeError("the sandbox is already running")
        application = web.Application()
        for route in (*_ROUTES, _ANY_OTHER):
            application.router.add_route(route.method, route.path, self._serving(route))
        self._runner = web.AppRunner(
            application,
            access_log=None,
            auto_decompress=False,  # an upload is checked as it came
            handler_cancellation=True,  # a client that leaves ends the delay it waited in
            lingering_time=_LINGERING,
            shutdown_timeout=_SHUTDOWN,
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close the port and every connection, idle or not; harmless when not running."""
        runner, self._runner, self._url = self._runner, None, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _serving(self, route: Route) -> typedefs.Handler:
        async def serve(request: web.Request) -> web.StreamResponse:
            exchange = Exchange(request, self, self._record(request))
            fault = self._faults.take(request.method, exchange.record.target)
            if fault is not None:
                return await _misbehave(exchange, route, fault)
            return await exchange.write(await _answer(exchange, route))

        return serve

    def _record(self, request: web.Request) -> RecordedRequest:
        record = RecordedRequest(
            method=request.method,
            path=request.path,
            target=request.raw_path,
            query=dict(request.query),
            headers=request.headers,
        )
        self.requests.append(record)
        del self.requests[:-_MAX_REQUESTS]
        # A new event each time: those who wait for the old one look, and wait for the next.
        self._arrival.set()
        self._arrival = asyncio.Event()
        return record


async def _answer(exchange: Exchange, route: Route) -> Answer:
    rate = exchange.settings.rate if route.limited else None
    if rate is None or rate.admits(exchange.record.method, exchange.settings.clock.now()):
        answer = await _handled(exchange, route)
    else:
        answer = rate.answer()
    if not answer.early:
        await exchange.drain()
    return answer


async def _handled(exchange: Exchange, route: Route) -> Answer:
    try:
        route.check(exchange)
        return await route.handler(exchange)
    except RefusalError as refusal:
        return refusal.answer


async def _misbehave(exchange: Exchange, route: Route, fault: Fault) -> web.StreamResponse:
    if fault.action in {"answer", "drop"}:
        answer = fault.answer()
        if not fault.early:
            await exchange.drain()
    else:
        answer = await _answer(exchange, route)
    await asyncio.sleep(fault.delay)
    if fault.action in {"drop", "lose"}:
        return exchange.hang_up()
    return await exchange.write(answer, cut=fault.action == "cut")


async def _unknown_path(exchange: Exchange) -> Answer:
    raise RefusalError(404, f"Unknown resource: {exchange.request.path}")


_ANY_OTHER = Route("*", "/{path:.*}", _unknown_path)
