"""The server: a socket on loopback, the routes, the faults, the rate limit, the record."""

import asyncio
from collections.abc import Iterable
from typing import NoReturn, Self

from aiohttp import typedefs, web

from mlmsg.sandbox._http.access import check_token
from mlmsg.sandbox._http.exchange import (
    BlockedAnswer,
    ClaimSendAnswer,
    ClaimUploadKey,
    EmptyThread,
    Exchange,
    Language,
    MessageSpelling,
    RangeBounds,
    RecordedRequest,
    Route,
    SendAnswer,
    ThreadSpelling,
)
from mlmsg.sandbox._http.inputs import check_encoding
from mlmsg.sandbox._http.responses import ErrorResponse, Response
from mlmsg.sandbox._routes import ROUTES
from mlmsg.sandbox.arguments import check_int, refuse
from mlmsg.sandbox.clock import Clock
from mlmsg.sandbox.example import example_market
from mlmsg.sandbox.faults import Fault, FaultQueue
from mlmsg.sandbox.grants import Grant
from mlmsg.sandbox.market import Market
from mlmsg.sandbox.rates import RateLimit
from mlmsg.sandbox.sites import GLOBAL_SELLING

__all__ = ["Sandbox"]

_MAX_REQUESTS = 1000
_MAX_PORT = 65_535
_VALID_BEARER = "sandbox-token-0001"
_EXPIRED_BEARER = "sandbox-token-expired"
# The time that an open request has to end when the sandbox stops. Not zero: aiohttp takes zero
# for no limit.
_SHUTDOWN_SECONDS = 0.02
# The time that a client has to finish sending after an early response.
_LINGERING_SECONDS = 0.5


class Sandbox:
    """An in-process Mercado Libre on 127.0.0.1; several can run side by side.

    Every request needs a token of `tokens`. A missing or unknown token is a 400, a token of
    `expired` a 401; claims respond to a missing token with a 401 as well. Only the login needs
    none: `GET /authorization` sends the browser of a seller back with a code, and
    `POST /oauth/token` exchanges the code, or the refresh token of one of `grants`. An unknown
    path is a 404 in JSON. All attributes may be changed while the sandbox runs.

    Args:
        market: The packs, files and claims.
        port: The port to listen at; 0 for a free one.

    Attributes:
        market: The packs, files and claims; `example_market()` by default. Every accepted token
            belongs to its `user_id`, the seller.
        token: An accepted token.
        grants: The grants that can be refreshed; at first only that of `token`. The grants of
            several sellers may share an application, but not a refresh token.
        clock: The clock of issued tokens and of `rate`: real time, unless it is advanced.
            Replace it before the first request.
        rate: The rate limit; None, the default, for none. It applies after the faults and before
            the check of the token; a request that a fault answers or drops does not count.
        order_rate: The rate limit of the search of orders of Global Selling, which the API gives
            as 100 requests a minute: `RateLimit(reads=100)`. None, the default, for none. It
            counts the requests that `rate` accepted.
        requests: The last 1000 requests, oldest first; each is added on its arrival.
        max_limit: The server's own cap on `limit`, shown in the `paging.limit` of responses.
            None for no cap: the real one is not documented.
        send_answer: The body of the response to a send. None is documented; the default is the
            bare message. The others: `{"messages": [...]}`, an array, `{}`, an empty body.
        send_status: The status of that response, 201 by default; integrators saw 200 as well.
        unread_cap: The largest number of conversations in one response with unread counts.
        claim_send_answer: The body of the 201 to send-message. `seed`, the default, is the text
            of the document byte for byte, with its quotes, as text/plain: not a JSON object. The
            others: `plain`, the same without quotes, which is not JSON; `object`,
            `{"id": ...}`; `empty`, an empty body.
        claim_upload_key: The key of the file name in the response to a claim upload:
            `file_name`, or `filename` as in the domestic edition.
        thread_spelling: The spelling of the seller thread: `legacy`, the default of a Global
            Selling market, is that of "Pending messages"; `current`, the default of a domestic
            one, is that of "Post-sale messages".
        message_spelling: The spelling of a message by its id, and of the message in the response
            to a send: `current`, or `flat` as in another edition of the documentation.
        blocked_answer: The text of the 403 to a send on a blocked thread: `documented`, or
            `substatus` for that of the thread, as integrators saw it.
        send_rejection: The reason, such as `OUT_OF_PLACE_LANGUAGE`, for which the moderation
            rejects every message of the seller; None for none.
        language: The language of the errors of the action guide, `en` or `pt`: the documentation
            has both. Whether the API translates them is not verified.
        range_bounds: The bounds of a range of the search of claims: `exclusive`, the default,
            leaves out a claim whose date is a bound, `inclusive` does not. Which of them is true
            is not verified.
        empty_thread: The response to a GET of a thread without messages: `page`, the default, is
            an empty page, `not_found` a 404, as integrators saw it.
        names_pack: The error `order_belong_pack` of a thread names the pack in `cause`. That it
            does so on the paths of messages is not verified.
        missing_content: The header `X-Content-Missing`, such as `payments`, of orders that are
            answered with 206; None, the default, for a 200.
        has_permission: The application may communicate with buyers; without the permission the
            PolicyAgent responds 403.
        is_model_6: The seller is a "Model 6" seller of Global Selling, whose messages and claims
            under /marketplace are a 403. That the domestic paths stay open is not verified.

    Raises:
        TypeError: `market` is not a `Market`, or `port` is not an int.
        ValueError: There is no such port.
    """

    def __init__(self, *, market: Market | None = None, port: int = 0) -> None:
        if market is not None and not isinstance(market, Market):
            refuse("market", "a Market, such as example_market() returns, or None", market)
        check_int("port", port)
        if not 0 <= port <= _MAX_PORT:
            raise ValueError(f"port must be 0 to {_MAX_PORT}, not {port}")
        self._port = port
        self.market: Market = example_market() if market is None else market
        self.token: str = _VALID_BEARER
        self._tokens = {_VALID_BEARER}
        self._expired = {_EXPIRED_BEARER}
        self.grants: list[Grant] = [Grant(access_token=_VALID_BEARER)]
        self.clock: Clock = Clock()
        self.rate: RateLimit | None = None
        self.order_rate: RateLimit | None = None
        self.requests: list[RecordedRequest] = []
        self.max_limit: int | None = None
        self.send_answer: SendAnswer = "message"
        self.send_status = 201
        self.unread_cap = 1000
        self.claim_send_answer: ClaimSendAnswer = "seed"
        self.claim_upload_key: ClaimUploadKey = "file_name"
        is_domestic = self.market.site_id != GLOBAL_SELLING
        self.thread_spelling: ThreadSpelling = "current" if is_domestic else "legacy"
        self.message_spelling: MessageSpelling = "current"
        self.blocked_answer: BlockedAnswer = "documented"
        self.send_rejection: str | None = None
        self.language: Language = "en"
        self.range_bounds: RangeBounds = "exclusive"
        self.empty_thread: EmptyThread = "page"
        self.names_pack: bool = True
        self.missing_content: str | None = None
        self.has_permission: bool = True
        self.is_model_6: bool = False
        self._faults = FaultQueue()
        self._arrival = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """The base URL, `http://127.0.0.1:PORT` without a slash at the end.

        Raises:
            RuntimeError: The sandbox is not running.
        """
        if self._url is None:
            raise RuntimeError("the sandbox is not running: use `async with Sandbox() as sandbox`")
        return self._url

    @property
    def tokens(self) -> set[str]:
        """All accepted tokens; a refresh adds the new one.

        Change the set in place, or assign any iterable of tokens.
        """
        return self._tokens

    @tokens.setter
    def tokens(self, tokens: Iterable[str]) -> None:
        """Replace the accepted tokens."""
        self._tokens = _set_of_tokens("tokens", tokens)

    @property
    def expired(self) -> set[str]:
        """The tokens that are answered with 401, even if they are in `tokens`.

        Change the set in place, or assign any iterable of tokens.
        """
        return self._expired

    @expired.setter
    def expired(self, tokens: Iterable[str]) -> None:
        """Replace the expired tokens."""
        self._expired = _set_of_tokens("expired", tokens)

    @property
    def grant(self) -> Grant:
        """The first of `grants`."""
        return self.grants[0]

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The injected faults that have not occurred yet."""
        return self._faults.pending()

    def inject(self, fault: Fault) -> None:
        """Let the next matching request meet this fault; faults injected earlier come first.

        Raises:
            TypeError: The argument is not a Fault.
        """
        if not isinstance(fault, Fault):
            raise TypeError(f"inject takes a Fault, not {type(fault).__name__}")
        self._faults.add(fault)

    def clear_faults(self) -> None:
        """Remove the injected faults that have not occurred yet."""
        self._faults.clear()

    def expire(self, token: str | None = None) -> None:
        """Answer this token with 401 from now on; None expires every token accepted so far."""
        self._expired |= self._tokens if token is None else {token}

    async def received(self, count: int) -> None:
        """Wait until `requests` contains that many requests, answered or not.

        Raises:
            TypeError: `count` is not an int.
            ValueError: `count` is negative, or more than the 1000 requests that are kept.
        """
        check_int("count", count)
        if count < 0:
            raise ValueError(f"count must be 0 or more, not {count}")
        if count > _MAX_REQUESTS:
            raise ValueError(
                f"count must be at most {_MAX_REQUESTS}, the number of kept requests, not {count}"
            )
        while len(self.requests) < count:
            await self._arrival.wait()

    async def start(self) -> None:
        """Listen at the port, or at a free one; `async with` calls it.

        Raises:
            RuntimeError: The sandbox is already running.
            OSError: Another program listens at the port.
        """
        if self._runner is not None:
            raise RuntimeError("the sandbox is already running")
        application = web.Application()
        for route in (*ROUTES, _UNKNOWN_PATH):
            application.router.add_route(
                route.method, route.path, self._make_handler(route), expect_handler=_handle_expect
            )
        self._runner = web.AppRunner(
            application,
            access_log=None,
            auto_decompress=False,  # so that uploads are checked as they arrived
            handler_cancellation=True,  # a client that disconnects ends the delay of its fault
            lingering_time=_LINGERING_SECONDS,
            shutdown_timeout=_SHUTDOWN_SECONDS,
        )
        try:
            await self._runner.setup()
            await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        except BaseException:
            # Not only an OSError: a cancelled start must not leave a runner behind either.
            await self.stop()
            raise
        self._url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close the port and every connection; do nothing if the sandbox is not running."""
        runner, self._runner, self._url = self._runner, None, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def __enter__(self) -> NoReturn:
        raise TypeError("the sandbox is asynchronous: use `async with Sandbox() as sandbox`")

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        """Exist, so that a plain `with` calls `__enter__`."""

    def _make_handler(self, route: Route) -> typedefs.Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            exchange = Exchange(request, self, self._record(request))
            fault = self._faults.take(request.method, exchange.record.target)
            if fault is not None:
                return await _apply_fault(exchange, route, fault)
            return await exchange.write(await _respond(exchange, route))

        return handle

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
        # Replaced on each arrival: `received` counts, and waits for the next event if need be.
        self._arrival.set()
        self._arrival = asyncio.Event()
        return record


def _set_of_tokens(name: str, tokens: object) -> set[str]:
    if isinstance(tokens, str) or not isinstance(tokens, Iterable):
        refuse(name, "an iterable of tokens", tokens)
    return set(tokens)


async def _handle_expect(request: web.Request) -> None:
    # aiohttp's own handler refuses other expectations, and fails if they are not UTF-8.
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # aiohttp counts these bytes as a begun response otherwise.
        request.writer.output_size = 0


async def _respond(exchange: Exchange, route: Route) -> Response:
    rejection = _check_rates(exchange, route)
    response = await _call_handler(exchange, route) if rejection is None else rejection
    if not response.early:
        await exchange.drain()
    return response


def _check_rates(exchange: Exchange, route: Route) -> Response | None:
    settings = exchange.settings
    for rate, applies in (
        (settings.rate, route.limited),
        (settings.order_rate, route.counts_as_order),
    ):
        if rate is None or not applies:
            continue
        if not rate.admit(exchange.record.method, settings.clock.now()):
            return rate.response()
    return None


async def _call_handler(exchange: Exchange, route: Route) -> Response:
    try:
        check_encoding(exchange)
        route.check(exchange)
        return await route.handler(exchange)
    except ErrorResponse as error:
        return error.response


async def _apply_fault(exchange: Exchange, route: Route, fault: Fault) -> web.StreamResponse:
    if fault.action in {"answer", "drop"}:
        response = fault.response()
        if not fault.early:
            await exchange.drain()
    else:
        response = await _respond(exchange, route)
    await asyncio.sleep(fault.delay)
    if fault.action in {"drop", "lose"}:
        return exchange.disconnect()
    return await exchange.write(response, cut=fault.action == "cut")


async def _refuse_unknown_path(exchange: Exchange) -> Response:
    raise ErrorResponse(404, f"Unknown resource: {exchange.request.path}")


_UNKNOWN_PATH = Route("*", "/{path:.*}", _refuse_unknown_path, check_token)
