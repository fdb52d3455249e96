"""The aiohttp adapter: a `Request` goes out, an open `Reply` comes in.

The only client file that names aiohttp. What aiohttp raises, a `TransportError` says; what a source
raises comes back unchanged; and nothing is held after an error or a cancellation.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import TypeVar

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import StreamWriter
from yarl import URL

from ._streams import Block, settled
from ._wire import ERROR_LIMIT, Reply, Request
from .errors import DecodeError, RequestLine, TimedOut, TransportError
from .policy import Effect, Timeouts
from .rules import is_loopback
from .uploads import Multipart

__all__ = ["Transport"]

T = TypeVar("T")

ANSWER_LIMIT = 16 * 1024 * 1024
"""Bytes of the largest answer that is read into memory."""

SLICE = 256 * 1024
"""Bytes handed to the socket at a time: little enough that the loop is never held up."""

REDIRECTS = 5
"""Redirects followed for one download."""

_REDIRECT = frozenset({301, 302, 303, 307, 308})


class Transport:
    """Connections, and the exchanges over them.

    Must be made inside a running event loop, and closed there.

    Args:
        timeouts: The limits of each phase.
        user_agent: The `User-Agent` header.
        connections: How many exchanges, open downloads included, run at the same time.
    """

    def __init__(self, timeouts: Timeouts, user_agent: str, connections: int) -> None:
        self._write_timeout = timeouts.write
        # The semaphore bounds the connections, not aiohttp's pool: there the wait for a free
        # one would count as time to connect, though it is no fault of the network.
        self._slots = asyncio.Semaphore(connections)
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": user_agent, "Accept": "application/json, */*"},
            timeout=aiohttp.ClientTimeout(
                total=timeouts.total, connect=timeouts.connect, sock_read=timeouts.read
            ),
        )

    async def close(self) -> None:
        """Closes every connection."""
        await self._http.close()

    async def exchange(self, request: Request[T], url: str, headers: Mapping[str, str]) -> Reply:
        """Sends `request` and reads the answer, all but the body of a streamed success.

        Raises:
            TransportError: There is no answer, or no whole one.
            DecodeError: The answer is larger than any answer of the API.
            Exception: Whatever the source of an upload raised, unchanged.
        """
        body = _Body(request.upload, self._write_timeout) if request.upload else None
        await self._slots.acquire()
        try:
            with _explained(request.line):
                response = await self._http.request(
                    request.method,
                    URL(url, encoded=True),
                    data=request.json if body is None else body,
                    headers=headers,
                    allow_redirects=False,
                )
                if request.streamed and response.status in _REDIRECT:
                    response = await self._follow(response, headers, request.line)
        except BaseException as error:
            self._slots.release()
            if body is not None:
                await body.settled()
            if body is None or body.failure is None or not isinstance(error, TransportError):
                raise
        else:
            stream = _Stream(response, request.line, self._slots.release)
            if request.streamed and stream.ok:
                return Reply(stream.status, stream.headers, stream=stream)
            return await _whole(stream, body, strict=request.effect is not Effect.SEND)
        # Outside of the handler, so that the source's own error carries no trace of aiohttp's.
        raise body.failure

    async def _follow(
        self, response: aiohttp.ClientResponse, headers: Mapping[str, str], line: RequestLine
    ) -> aiohttp.ClientResponse:
        """The answer at the end of the redirects; the token never leaves the API's origin."""
        origin = response.url.origin()
        for _ in range(REDIRECTS):
            response.release()
            target = _redirected(response, line)
            if target.origin() != origin:
                headers = {k: v for k, v in headers.items() if k != "Authorization"}
            response = await self._http.get(target, headers=headers, allow_redirects=False)
            if response.status not in _REDIRECT:
                return response
        response.release()
        raise TransportError(f"more than {REDIRECTS} redirects", request=line)


class _Stream:
    """The body of a response, and the slot and connection that it holds until `close`."""

    def __init__(
        self, response: aiohttp.ClientResponse, line: RequestLine, release: Callable[[], None]
    ) -> None:
        self.status = response.status
        self.headers = response.headers
        self.ok = 200 <= response.status < 300
        self.line = line
        self._response = response
        self._release: Callable[[], None] | None = release

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The bytes as they arrive, decoded if the server compressed them."""
        with _explained(self.line):
            async for chunk in self._response.content.iter_any():
                yield chunk

    async def read(self, *, strict: bool) -> bytes:
        """All of an answer; of an error what arrives of its first 64 KiB.

        A send (`strict=False`) is a success by its status alone, whatever becomes of the body.
        """
        strict = strict and self.ok
        limit = ANSWER_LIMIT if strict else ERROR_LIMIT
        body = bytearray()
        try:
            async with aclosing(self.chunks()) as chunks:
                async for chunk in chunks:
                    body += chunk
                    if len(body) > limit:
                        break
        except TransportError:
            if strict:
                raise
        if strict and len(body) > limit:
            message = f"the answer is larger than {limit} bytes"
            raise DecodeError(message, bytes(body[:ERROR_LIMIT]), self.line)
        return bytes(body[:limit])

    @property
    def closed(self) -> bool:
        """Whether the slot is given back."""
        return self._release is None

    def close(self) -> None:
        """Gives the slot back; a connection with unread bytes on it is closed."""
        self._response.close()
        if self._release is not None:
            self._release()
            self._release = None


async def _whole(stream: _Stream, body: "_Body | None", *, strict: bool) -> Reply:
    """The reply with its body, when what was sent really went out."""
    try:
        if body is not None and stream.ok:
            await body.gone(stream.line)
        return Reply(stream.status, stream.headers, await stream.read(strict=strict))
    finally:
        stream.close()
        if body is not None:
            await body.settled()


class _Body(aiohttp.payload.Payload):
    """A multipart body as aiohttp takes one: it writes what `Multipart` yields, and counts on it.

    Attributes:
        failure: What the source raised, unchanged, or None.
        complete: Whether the closing boundary was handed to the socket.
    """

    def __init__(self, upload: Multipart, timeout: float | None) -> None:
        super().__init__(upload, content_type=upload.content_type)
        self._size = upload.length
        self._upload = upload
        self._timeout = timeout
        self._ended: asyncio.Future[None] | None = None
        self._network: TransportError | OSError | None = None
        self.failure: Exception | None = None
        self.complete = False

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Not to be had: the body exists only while it is sent."""
        raise TypeError("a streamed body has no text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Writes the whole body."""
        await self.write_with_length(writer, None)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Writes the whole body; `Multipart` itself keeps to the length that was announced."""
        self._ended = asyncio.get_running_loop().create_future()
        try:
            async with aclosing(self._upload.blocks()) as blocks:
                async for block in blocks:
                    await self._send(writer, block)
            self.complete = True
        except Exception as error:
            if error is not self._network:
                self.failure = error
            raise
        finally:
            self._ended.set_result(None)

    async def gone(self, line: RequestLine) -> None:
        """Returns when the whole body is out.

        Raises:
            TransportError: The server answered before it had the whole body.
            Exception: What the source raised.
        """
        await self._begun()
        if self._ended is not None:
            await asyncio.shield(self._ended)
        if self.failure is not None:
            raise self.failure
        if not self.complete:
            raise TransportError("the server answered before it had the whole body", request=line)

    async def settled(self) -> None:
        """Returns when the source is closed; aiohttp has finished or cancelled its writer."""
        await self._begun()
        if self._ended is not None:
            await settled(self._ended)

    async def _begun(self) -> None:
        # aiohttp's writer is a task: one turn of the loop lets it begin, or not begin at all.
        if self._ended is None:
            await asyncio.sleep(0)

    async def _send(self, writer: AbstractStreamWriter, block: Block) -> None:
        assert isinstance(writer, StreamWriter)  # noqa: S101  (for its transport)
        view = memoryview(block)
        try:
            for start in range(0, view.nbytes, SLICE):
                await writer.write(view[start : start + SLICE], drain=False)
                await self._drained(writer)
        except OSError as error:
            self._network = error
            raise

    async def _drained(self, writer: StreamWriter) -> None:
        """Waits while the peer takes something of what is buffered, however slowly."""
        while True:
            left = writer.transport.get_write_buffer_size() if writer.transport else 0
            try:
                async with asyncio.timeout(self._timeout):
                    return await writer.drain()
            except TimeoutError:
                now = writer.transport.get_write_buffer_size() if writer.transport else 0
                if now >= left:
                    raise


class _explained:  # noqa: N801  (used as a function)
    """Raises a `TransportError` for what aiohttp and the system raise inside the block."""

    def __init__(self, line: RequestLine) -> None:
        self._line = line

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, aiohttp.ClientError | OSError) and not isinstance(
            error, TransportError
        ):
            raise _explain(error, self._line) from error


def _explain(error: Exception, line: RequestLine) -> TransportError:
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    match error:
        case aiohttp.ConnectionTimeoutError():
            return TimedOut("no connection in time", sent=False, request=line)
        case aiohttp.ClientConnectorError():
            return TransportError(f"no connection: {error.os_error}", sent=False, request=line)
        case TimeoutError():
            return TimedOut("the server made no progress in time", request=line)
        case aiohttp.ClientResponseError():
            return TransportError("the server does not speak HTTP", request=line)
        case aiohttp.ClientPayloadError():
            return TransportError(f"the answer was cut: {what}", request=line)
        case _:
            return TransportError(f"the connection was lost: {what}", request=line)


def _redirected(response: aiohttp.ClientResponse, line: RequestLine) -> URL:
    """Where a redirect leads; a place where the file could be read by others is refused."""
    try:
        target = response.url.join(URL(response.headers.get("Location", "")))
        plain = response.url.scheme == "http" and is_loopback(target.host or "")
        safe = target.scheme == "https" or (target.scheme == "http" and plain)
    except ValueError:
        safe, target = False, response.url
    if not safe or target.user or not target.host:
        raise TransportError("a redirect to a place that is not safe", request=line)
    return target
