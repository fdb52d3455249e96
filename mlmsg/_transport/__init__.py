"""Send a `Request` over aiohttp and return its `Response`.

This package and the sandbox are the only code that names aiohttp. Errors of aiohttp become
`TransportError`; errors of an upload's source propagate unchanged. Connections and slots are
released on error and on cancellation.
"""

import asyncio
import ssl as ssl_module
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Final, TypeVar

import aiohttp
import msgspec
from yarl import URL

from mlmsg._version import __version__
from mlmsg._wire import Request, Response, TransferCounter
from mlmsg.errors import RequestLine, TransportError, UnsafeRedirect, UsageError
from mlmsg.policy import Timeouts

from ._connector import Connector, ExchangeConnections
from ._decompression import BadCompression
from ._errors import NETWORK_ERRORS, ErrorTranslator, SingleAttemptResponse
from ._payload import MultipartPayload, SourceFailed
from ._proxies import Proxies
from ._redirects import MAX_REDIRECTS, headers_for, is_redirect, redirect_target
from ._running import RunningExchanges
from ._slots import ConnectionSlots, Slot
from ._stream import ResponseStream, discard, is_success, read_response, response_headers

__all__ = ["Transport", "TransportOptions"]

T = TypeVar("T")

USER_AGENT: Final = f"mlmsg/{__version__}"
"""The `User-Agent` header of every request."""


class TransportOptions(msgspec.Struct, frozen=True):
    """Settings of the network.

    Attributes:
        timeouts: The time limits of each phase.
        max_connections: Exchanges that run at the same time.
        proxy: The URL of an HTTP proxy, or None.
        trust_env: True to use the proxies of the environment.
        ssl: The TLS context, or None for the default one.
    """

    timeouts: Timeouts
    max_connections: int
    proxy: str | None = None
    trust_env: bool = False
    ssl: ssl_module.SSLContext | None = None


class Transport:
    """The connections of one client, and the exchanges over them.

    Must be created inside a running event loop, and closed in the same one.
    """

    def __init__(self, options: TransportOptions) -> None:
        timeouts = options.timeouts
        self._options = options
        self._errors = ErrorTranslator(timeouts)
        self._proxies = Proxies(options.proxy, trust_env=options.trust_env)
        # Our own slots bound the connections, not aiohttp's pool: there the wait for a free one
        # would count as time to connect, although the network is not at fault.
        self._slots = ConnectionSlots(options.max_connections)
        self._is_closed = False
        self._running = RunningExchanges(timeouts.read)
        self._streams: set[ResponseStream] = set()
        self._connector = Connector(limit=0, ssl=options.ssl or True)
        self._http = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate"},
            auto_decompress=False,
            response_class=SingleAttemptResponse,
        )
        new_timeout = partial(aiohttp.ClientTimeout, timeouts.total, timeouts.connect)
        self._timeout = new_timeout(timeouts.read)
        self._without_read = new_timeout()

    async def close(self) -> None:
        """Close every connection. Calls that are running end with an error."""
        self._is_closed = True
        self._running.abort()
        for stream in self._streams.copy():
            stream.abort()
        await self._http.close()
        # Wake everyone who waits for a slot: they find the session closed, and raise.
        self._slots.admit_all()

    def abandon(self) -> None:
        """Abort the connections of a client that was never closed; aiohttp then logs nothing."""
        self._http.detach()
        self._connector.abandon()

    async def exchange(
        self, request: Request[T], url: str, headers: Mapping[str, str], counter: TransferCounter
    ) -> Response:
        """Send `request` and return its response; the body of a streamed success is still unread.

        Bytes are counted in `counter` as they are sent and received.

        Raises:
            TransportError: There is no response, or no complete one.
            BaseException: Any exception of the source of an upload, unchanged.
        """
        slot = self._slots.begin()
        if not slot.is_held:
            await self._slots.wait(slot)
        # For files, whose slow consumers and sources do not count, aiohttp has the exact timer.
        is_timed = request.upload is None and not request.is_streamed
        connections = ExchangeConnections(is_timed=is_timed)
        self._running.add(connections)
        keeps_slot = False
        failure: BaseException
        try:
            response = await self._exchange(request, url, headers, slot, counter, connections)
            keeps_slot = response.stream is not None
        except (*NETWORK_ERRORS, BadCompression, UnicodeError) as error:
            connections.abort()
            failure = translated = self._translate(request.line, error)
            if not translated.sent:
                counter.bytes_sent = 0
        except TransportError as error:
            connections.abort()
            failure = error.with_traceback(None)
        except SourceFailed as carrier:
            connections.abort()
            failure = carrier.error
        except BaseException as error:
            _abort_cancelled(connections, counter)
            if not self._is_cancelled_by_close(error):
                raise
            failure = self._translate(request.line, error)
        else:
            connections.finish()
            return response
        finally:
            self._running.discard(connections)
            if not keeps_slot:
                self._slots.release(slot)
        # Raised outside of the `except` block, and without the frames below: they and aiohttp's
        # error contain the headers of the request and what the server sent.
        raise failure

    def _is_cancelled_by_close(self, error: BaseException) -> bool:
        """Return True if `close` has cancelled aiohttp's work, and nobody this task."""
        task = asyncio.current_task()
        is_cancellation = isinstance(error, asyncio.CancelledError) and self._is_closed
        return is_cancellation and task is not None and not task.cancelling()

    async def _exchange(
        self,
        request: Request[T],
        url: str,
        headers: Mapping[str, str],
        slot: Slot,
        counter: TransferCounter,
        connections: ExchangeConnections,
    ) -> Response:
        if self._is_closed:
            raise UsageError("the client was closed while this call waited for a connection")
        target = URL(url, encoded=True)
        if request.upload is not None:
            body = MultipartPayload(request.upload, self._options.timeouts.write, slot, counter)
            return await self._upload(request, body, target, headers, counter)
        counter.bytes_sent = len(request.body or b"")
        if not request.is_streamed:
            sending = self._request(
                request.method, target, headers, request.body, self._without_read
            )
            return await read_response(await sending, request, counter, connections)
        response = await self._request(request.method, target, headers, request.body)
        if is_redirect(response):
            response = await self._follow_redirects(response, headers, request.line)
        if not is_success(response):
            return await read_response(response, request, counter)
        return self._open_stream(response, request, slot, counter)

    def _request(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: bytes | MultipartPayload | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> Awaitable[aiohttp.ClientResponse]:
        return self._http.request(
            method,
            url,
            data=body,
            headers=headers,
            allow_redirects=False,
            proxy=None if self._proxies.is_direct else self._proxies.find(url),
            timeout=timeout or self._timeout,
        )

    def _open_stream(
        self,
        response: aiohttp.ClientResponse,
        request: Request[T],
        slot: Slot,
        counter: TransferCounter,
    ) -> Response:
        """Return a response whose body is unread. Its stream holds the slot until it is closed."""
        if response.status == 206:
            discard(response)
            text = "the server sent a part of the file, but the whole file was requested"
            raise TransportError(text, request=request.line)
        translate = partial(self._translate, request.line)
        stream = ResponseStream(response, translate, slot, self._streams.discard, counter)
        self._streams.add(stream)
        return Response(response.status, response_headers(response), stream=stream)

    async def _upload(
        self,
        request: Request[T],
        body: MultipartPayload,
        url: URL,
        headers: Mapping[str, str],
        counter: TransferCounter,
    ) -> Response:
        """Return the response to a body that is written while the response is awaited."""
        early = "the server responded before it had the whole body"
        failure = TransportError(early, request=request.line)
        try:
            response = await self._request(request.method, url, headers, body)
            if not is_success(response) or await _is_sent(body, response):
                return await read_response(response, request, counter)
        except (*NETWORK_ERRORS, SourceFailed):
            if body.source_error is None:
                raise
        finally:
            await body.wait_written()
        raise failure if body.source_error is None else SourceFailed(body.source_error)

    def _translate(self, line: RequestLine, error: BaseException) -> TransportError:
        if self._is_closed:
            return TransportError("the client was closed during this call", request=line)
        if isinstance(error, BadCompression):
            return TransportError(str(error), request=line)
        if isinstance(error, UnicodeError):
            return TransportError("the host name of the URL is not valid", sent=False, request=line)
        return self._errors.translate(error, line)

    async def _follow_redirects(
        self, response: aiohttp.ClientResponse, headers: Mapping[str, str], line: RequestLine
    ) -> aiohttp.ClientResponse:
        """Return the response at the end of the redirects."""
        origin = response.url.origin()
        for _ in range(MAX_REDIRECTS):
            response.release()
            target = redirect_target(response, line)
            headers = headers_for(target, origin, headers)
            response = await self._request("GET", target, headers)
            if not is_redirect(response):
                return response
        response.release()
        raise UnsafeRedirect(f"more than {MAX_REDIRECTS} redirects", request=line)


async def _is_sent(body: MultipartPayload, response: aiohttp.ClientResponse) -> bool:
    """Return True if the whole body was sent. Otherwise the response is discarded."""
    is_complete = False
    try:
        is_complete = await body.wait_sent()
    finally:
        if not is_complete:
            discard(response)
    return is_complete


def _abort_cancelled(connections: ExchangeConnections, counter: TransferCounter) -> None:
    """Abort the connections. Count no byte as sent if there was no connection yet."""
    if not connections.is_connected:
        counter.bytes_sent = 0
    connections.abort()
