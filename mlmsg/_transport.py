"""The aiohttp adapter: a `Request` goes out, an open `Reply` comes in.

The only client file that names aiohttp. What aiohttp raises, a `TransportError` says; what a source
raises comes back unchanged; and nothing is held after an error or a cancellation.
"""

import asyncio
import os
import re
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import TypeVar

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import StreamWriter
from yarl import URL

from ._streams import Block, settled
from ._wire import ERROR_LIMIT, Reply, Request, Traffic
from .errors import RequestLine, TimedOut, TransportError, UnsafeRedirect, UsageError
from .policy import Effect, Timeouts
from .rules import is_loopback
from .uploads import Multipart

try:
    import fcntl
    import termios
except ImportError:  # not on Windows
    termios = None  # type: ignore[assignment]

__all__ = ["Transport"]

T = TypeVar("T")

ANSWER_LIMIT = 16 * 1024 * 1024
"""Bytes of the largest answer that is read into memory."""

REDIRECTS = 5
"""Redirects followed for one download."""

DECODED_LIMIT = 64 * 1024 * 1024
"""Bytes of the largest file that a server may compress, which it is asked not to: few bytes on the
line could fill the disk. A file that comes as it is has no limit here."""

_REDIRECT = frozenset({301, 302, 303, 307, 308})


class Transport:
    """Connections, and the exchanges over them.

    Must be made inside a running event loop, and closed there.

    Args:
        timeouts: The limits of each phase.
        user_agent: The `User-Agent` header.
        connections: How many exchanges run at the same time, and how many downloads beside them.
    """

    def __init__(self, timeouts: Timeouts, user_agent: str, connections: int) -> None:
        self._write_timeout = timeouts.write
        # The semaphore bounds the connections, not aiohttp's pool: there the wait for a free
        # one would count as time to connect, though it is no fault of the network.
        self._slots = asyncio.Semaphore(connections)
        # Open downloads have slots of their own: a call inside of one, such as the upload that it
        # feeds, would wait for ever for a slot that the download itself holds.
        self._downloads = asyncio.Semaphore(connections)
        self._bodies: set[_Body] = set()
        self._open_responses: set[aiohttp.ClientResponse] = set()
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": user_agent},
            timeout=aiohttp.ClientTimeout(
                total=timeouts.total, connect=timeouts.connect, sock_read=timeouts.read
            ),
        )
        # aiohttp would send a GET again by itself, past the retry policy and its count.
        self._http._retry_connection = False  # noqa: SLF001

    async def close(self) -> None:
        """Closes every connection; calls that are under way end with an error."""
        for body in self._bodies:
            body.abort()  # an orderly end would wait until the server has read what was written
        for response in self._open_responses:
            response.close()
        await self._http.close()
        # Who waits for a slot finds the session closed, and passes the slot on to the next.
        self._slots.release()
        self._downloads.release()

    async def exchange(
        self, request: Request[T], url: str, headers: Mapping[str, str], traffic: Traffic
    ) -> Reply:
        """Sends `request` and reads the answer, all but the body of a streamed success.

        Bytes are counted in `traffic` as they go and come.

        Raises:
            TransportError: There is no answer, or no whole one.
            Exception: Whatever the source of an upload raised, unchanged.
        """
        if request.streamed:
            return await self._open(request, url, headers, traffic)
        if request.upload is not None:
            return await self._upload(request, request.upload, url, headers, traffic)
        await self._slots.acquire()
        try:
            self._check_open()
            traffic.up = len(request.body or b"")
            response = await self._http.request(
                request.method,
                URL(url, encoded=True),
                data=request.body,
                headers=headers,
                allow_redirects=False,
            )
            return await _answer(response, request, traffic)
        except _FAILURES as error:
            failure = self._explained(error, request.line)
            traffic.up = traffic.up if failure.sent else 0
        finally:
            self._slots.release()
        # Raised out here, as everywhere below: aiohttp's error would come along as its context,
        # and that holds the request's headers and what the server made of them.
        raise failure

    async def _open(
        self, request: Request[T], url: str, headers: Mapping[str, str], traffic: Traffic
    ) -> Reply:
        """A reply whose body is still to come; it keeps its slot until it is closed."""
        release = self._downloads.release
        await self._downloads.acquire()
        try:
            self._check_open()
            response = await self._http.request(
                request.method, URL(url, encoded=True), headers=headers, allow_redirects=False
            )
            if response.status in _REDIRECT:
                response = await self._follow(response, headers, request.line)
            if not _is_success(response):
                return await _answer(response, request, traffic)
            if response.status == 206:
                response.close()
                part = "a part of the file was answered where all of it was asked for"
                raise TransportError(part, request=request.line)
            self._open_responses.add(response)
            explained = partial(self._explained, line=request.line)
            stream = _Stream(response, explained, self._let_go, traffic)
            release = _nothing
            return Reply(response.status, response.headers, stream=stream)
        except _FAILURES as error:
            failure = self._explained(error, request.line)
        finally:
            release()
        raise failure

    async def _upload(
        self,
        request: Request[T],
        upload: Multipart,
        url: str,
        headers: Mapping[str, str],
        traffic: Traffic,
    ) -> Reply:
        """A reply to a body that is written while the answer is awaited."""
        body = _Body(upload, self._write_timeout, traffic)
        await self._slots.acquire()
        self._bodies.add(body)
        try:
            self._check_open()
            response = await self._http.request(
                request.method,
                URL(url, encoded=True),
                data=body,
                headers=headers,
                allow_redirects=False,
            )
            if not _is_success(response) or await body.gone(response):
                return await _answer(response, request, traffic)
            early = "the server answered before it had the whole body"
            failure = TransportError(early, request=request.line)
        except _FAILURES as error:
            failure = self._explained(error, request.line)
        finally:
            try:
                await body.settled()
            finally:
                self._bodies.discard(body)
                self._slots.release()
        raise body.failure or failure

    def _check_open(self) -> None:
        if self._http.closed:
            raise UsageError("the client was closed while this call waited for a connection")

    def _let_go(self, response: aiohttp.ClientResponse) -> None:
        self._open_responses.discard(response)
        response.close()
        self._downloads.release()

    def _explained(self, error: Exception, line: RequestLine) -> TransportError:
        if self._http.closed:
            return TransportError(
                "the client was closed while this call was under way", request=line
            )
        return _explained(error, line)

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
        raise UnsafeRedirect(f"more than {REDIRECTS} redirects", request=line)


class _Stream:
    """The body of a response, and the slot and connection that it holds until `close`."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        explained: Callable[[Exception], TransportError],
        let_go: Callable[[aiohttp.ClientResponse], None],
        traffic: Traffic,
    ) -> None:
        self._response = response
        self._traffic = traffic
        self._explained = explained
        self._let_go = let_go
        self.closed = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The bytes as they arrive, decoded if the server compressed them."""
        try:
            async for chunk in self._response.content.iter_any():
                self._traffic.down += len(chunk)
                self._check_size()
                yield chunk
            _check_end(self._response)
        except (*_FAILURES, RuntimeError) as error:  # the latter when the client is closed
            failure = self._explained(error)
        else:
            return
        raise failure

    def _check_size(self) -> None:
        if self._traffic.down > DECODED_LIMIT and "Content-Encoding" in self._response.headers:
            raise TransportError(f"a compressed file of more than {DECODED_LIMIT} bytes")

    def close(self) -> None:
        """Gives the slot back; a connection with unread bytes on it is closed."""
        if not self.closed:
            self.closed = True
            self._let_go(self._response)


def _outstanding(writer: StreamWriter) -> int:
    """Bytes written that the peer has not acknowledged: in our buffer, and in the system's.

    The system's alone can hold megabytes, and takes nothing more for as long as they need.
    """
    transport = writer.transport
    if transport is None:
        return 0
    size = transport.get_write_buffer_size()
    connection = transport.get_extra_info("socket")
    if connection is not None and termios is not None:
        queue = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
        size += int.from_bytes(queue, sys.byteorder)
    return size


class _SourceFailed(Exception):
    """Stands in for the error of a source on its way through aiohttp."""


def _nothing() -> None:
    """In place of a release that has happened, or is somebody else's by now."""


def _is_success(response: aiohttp.ClientResponse) -> bool:
    return 200 <= response.status < 300


async def _answer(response: aiohttp.ClientResponse, request: Request[T], traffic: Traffic) -> Reply:
    """The reply with its body: whole, if it is a success that has to be read.

    Of an error, what arrives of the first 64 KiB is kept. So it is of a send's success: that is
    one by its status alone, whatever becomes of the body.
    """
    strict = _is_success(response) and request.effect is not Effect.SEND
    limit = ANSWER_LIMIT if strict else ERROR_LIMIT
    content = response.content
    chunks: list[bytes] = []
    try:
        while traffic.down <= limit and not content.at_eof():
            chunks.append(await content.readany())
            traffic.down += len(chunks[-1])
        _check_end(response)
    except _FAILURES:
        if strict:
            raise
    finally:
        if not response.closed:  # at the end of its body aiohttp closes it by itself
            response.close()
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    return Reply(
        response.status, response.headers, body[:limit], cut=strict and traffic.down > limit
    )


def _check_end(response: aiohttp.ClientResponse) -> None:
    """Raises what ended a body that has no length of its own, unless it ended in order.

    The end of the connection is its end, and aiohttp takes a reset for that.
    """
    headers = response.headers
    if "Content-Length" not in headers and "Transfer-Encoding" not in headers:
        protocol = getattr(response, "_protocol", None)
        lost = protocol.exception() if protocol is not None else None
        if isinstance(lost, OSError):
            raise lost


class _Body(aiohttp.payload.Payload):
    """A multipart body as aiohttp takes one: it writes what `Multipart` yields, and counts on it.

    Attributes:
        failure: What the source raised, unchanged, or None.
        complete: Whether the closing boundary was handed to the socket.
    """

    def __init__(self, upload: Multipart, timeout: float | None, traffic: Traffic) -> None:
        super().__init__(upload, content_type=upload.content_type)
        self._traffic = traffic
        self._size = upload.length
        self._upload = upload
        self._timeout = timeout
        self._ended: asyncio.Future[None] | None = None
        self._writer: StreamWriter | None = None
        self._network: OSError | None = None
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
        assert isinstance(writer, StreamWriter)  # noqa: S101  (for its transport)
        self._ended = asyncio.get_running_loop().create_future()
        self._writer = writer
        try:
            async with aclosing(self._upload.blocks()) as blocks:
                async for block in blocks:
                    await self._send(writer, block)
        except Exception as error:
            if error is self._network:
                raise
            # aiohttp gets an error of ours: it would write its own causes into the source's.
            self.failure = error
            raise _SourceFailed from None
        finally:
            self._ended.set_result(None)

    def abort(self) -> None:
        """Ends the connection at once, and with it the writing."""
        if self._writer is not None and self._writer.transport is not None:
            self._writer.transport.abort()

    async def gone(self, response: aiohttp.ClientResponse) -> bool:
        """Whether the whole body went out; waits until it did or never will.

        aiohttp stops writing when an answer ends early. A success that comes before the server
        has everything is none.
        """
        try:
            await self._begun()
            if self._ended is not None:
                await asyncio.shield(self._ended)
        except asyncio.CancelledError:
            response.close()
            raise
        if not self.complete:
            response.close()
        return self.complete

    async def settled(self) -> None:
        """Returns when the source is closed; aiohttp has finished or cancelled its writer."""
        await self._begun()
        if self._ended is not None:
            await settled(self._ended)

    async def _begun(self) -> None:
        # aiohttp's writer is a task: one turn of the loop lets it begin, or not begin at all.
        if self._ended is None:
            await asyncio.sleep(0)

    async def _send(self, writer: StreamWriter, block: Block) -> None:
        try:
            await writer.write(block, drain=False)
            self._traffic.up += len(block)
            # Not only when all is drained: the answer may come first, and ends the writing.
            self.complete = self._traffic.up == self._size
            await self._drained(writer)
        except OSError as error:
            self._network = error
            raise

    async def _drained(self, writer: StreamWriter) -> None:
        """Waits while the peer takes something of what was written, however slowly."""
        # A task, because aiohttp's drain cannot be awaited again once it was cancelled.
        draining = asyncio.ensure_future(writer.drain())
        try:
            while True:
                left = _outstanding(writer)
                await asyncio.wait({draining}, timeout=self._timeout)
                if draining.done():
                    return await draining
                if _outstanding(writer) >= left:
                    raise TimeoutError
        finally:
            draining.cancel()


_FAILURES = (aiohttp.ClientError, OSError)
"""What aiohttp and the system raise when the network fails; `TimeoutError` is an `OSError`."""


def _explained(error: BaseException, line: RequestLine) -> TransportError:
    """What happened, in words of ours: aiohttp's may repeat what the server sent."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return TimedOut("no connection in time", sent=False, request=line)
        case aiohttp.ClientConnectorError():
            return TransportError(f"no connection: {error.os_error}", sent=False, request=line)
        case TimeoutError():
            return TimedOut(
                "the time for the next bytes, or for the whole call, is over", request=line
            )
        case aiohttp.ClientResponseError():
            return TransportError("the server does not speak HTTP", request=line)
        case aiohttp.ClientPayloadError():
            return TransportError("the answer was cut", request=line)
    number = error.errno if isinstance(error, OSError) else None
    reason = os.strerror(number) if number else type(error).__name__
    return TransportError(f"the connection was lost ({reason})", request=line)


def _redirected(response: aiohttp.ClientResponse, line: RequestLine) -> URL:
    """Where a redirect leads; a place where the file could be read by others is refused."""
    location = response.headers.get("Location")
    if not location:
        raise UnsafeRedirect("a redirect that does not say where to", request=line)
    try:
        # What is written properly is kept to the letter: a signature may hang on it.
        written = re.fullmatch(r"[!-~]+", location) is not None
        target = response.url.join(URL(location, encoded=written))
        plain = response.url.scheme == "http" and is_loopback(target.host or "")
        safe = target.scheme == "https" or (target.scheme == "http" and plain)
    except ValueError:
        safe, target = False, response.url
    if not safe or target.user or target.password or not target.host:
        raise UnsafeRedirect("a redirect to a place that is not safe", request=line)
    return target
