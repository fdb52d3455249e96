"""Read the body of a response: whole into memory, or chunk by chunk."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from typing import TypeVar

import aiohttp
from multidict import CIMultiDict

from mlmsg._wire import ERROR_BODY_BYTES, Request, Response, TransferCounter
from mlmsg.errors import TransportError
from mlmsg.policy import Effect

from ._connector import ExchangeConnections
from ._decompression import (
    PIECE_BYTES,
    BadCompression,
    Decompressor,
    is_compressed,
    new_decompressor,
)
from ._errors import NETWORK_ERRORS
from ._slots import Slot

__all__ = ["ResponseStream", "discard", "is_success", "read_response", "response_headers"]

T = TypeVar("T")

MAX_JSON_BYTES = 16 * 1024 * 1024
"""Bytes of the largest response that is read into memory."""

MAX_DECOMPRESSED_BYTES = 64 * 1024 * 1024
"""Bytes of the largest file that a server may compress, although it is asked not to: a few bytes
could fill the disk. A file that is not compressed has no limit here."""


def is_success(response: aiohttp.ClientResponse) -> bool:
    """Return True for a status of 200 to 299."""
    return 200 <= response.status < 300


def response_headers(response: aiohttp.ClientResponse) -> Mapping[str, str]:
    """Return the headers as valid text: a replacement character stands for invalid UTF-8."""
    headers = response.headers
    for value in headers.values():
        if not value.isascii():
            return CIMultiDict((name, _valid_text(text)) for name, text in headers.items())
    return headers


def _valid_text(value: str) -> str:
    # aiohttp keeps bytes that are not UTF-8 as lone surrogates, which nothing can encode again.
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def discard(response: aiohttp.ClientResponse) -> None:
    """Close a response. If its body was not read to the end, abort the connection."""
    connection = response.connection
    transport = None if connection is None else connection.transport
    if transport is not None:
        transport.abort()  # before `close`, after which a TLS transport may forget its connection
    response.close()


async def read_response(
    response: aiohttp.ClientResponse,
    request: Request[T],
    counter: TransferCounter,
    connections: ExchangeConnections | None = None,
) -> Response:
    """Return the response with its body. Each chunk is noted in `connections`, if they are given.

    The body of a success must be complete. Of an error, the part of the first 64 KiB that arrives
    is kept. A successful send is read like an error: its status alone shows that it succeeded.
    """
    is_strict = 200 <= response.status < 300 and request.effect is not Effect.SEND
    limit = MAX_JSON_BYTES if is_strict else ERROR_BODY_BYTES
    chunks: list[bytes] = []
    size = 0
    read = open_body(response)
    if connections is not None:
        connections.content, connections.waiting_since = response.content, time.monotonic()
    try:
        while size <= limit and (chunk := await read()):
            chunks.append(chunk)
            size += len(chunk)
            counter.bytes_received = size
            if connections is not None:
                connections.waiting_since = time.monotonic()
    except (*NETWORK_ERRORS, BadCompression):
        if is_strict:
            raise
    finally:
        if response.connection is not None:  # aiohttp releases it at the end of the body
            discard(response)
    whole = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    is_truncated = is_strict and size > limit
    headers = response_headers(response)
    return Response(response.status, headers, whole[:limit], is_truncated=is_truncated)


class ResponseStream:
    """The body of a successful download. It holds a slot and a connection until `close`."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        translate: Callable[[BaseException], TransportError],
        slot: Slot,
        on_close: Callable[["ResponseStream"], None],
        counter: TransferCounter,
    ) -> None:
        self._response = response
        self._translate = translate
        self._slot = slot
        self._on_close = on_close
        self._read_bytes = open_body(response)
        self._is_compressed = is_compressed(response.headers.get("Content-Encoding", ""))
        self._counter = counter
        self.closed = False

    async def chunks(self, *, lends: bool = True) -> AsyncGenerator[bytes, None]:
        """Yield the bytes as they arrive, decompressed if the server compressed them.

        Args:
            lends: True to lend the slot whenever a chunk is yielded, because code of the caller
                decides when the next one is read.
        """
        was_lent = self._slot.is_lent
        self._slot.take_back()
        try:
            while chunk := await self._read():
                if lends:
                    self._slot.lend()
                yield chunk
                self._slot.take_back()
        except (*NETWORK_ERRORS, BadCompression, RuntimeError) as error:
            failure = self._translate(error)  # a RuntimeError if the client was closed
            chunk = b""  # not for a traceback
        else:
            return
        finally:
            if was_lent:
                self._slot.lend()
        raise failure

    def lend(self) -> None:
        """Lend the slot while code of the caller runs."""
        self._slot.lend()

    def close(self) -> None:
        """Release the slot. If bytes are unread, abort the connection."""
        if not self.closed:
            self.closed = True
            # The counter is the state of the call, which references this stream. Without it no
            # cycle is left, and the memory is free at once. A read that still waits needs one.
            self._counter = TransferCounter()
            discard(self._response)
            self._slot.release()
            self._on_close(self)

    def abort(self) -> None:
        """Abort the connection, so that the reader of the body gets an error."""
        discard(self._response)

    async def _read(self) -> bytes:
        chunk = await self._read_bytes()
        self._counter.bytes_received += len(chunk)
        if self._is_compressed and self._counter.bytes_received > MAX_DECOMPRESSED_BYTES:
            raise BadCompression(f"a compressed file of over {MAX_DECOMPRESSED_BYTES} bytes")
        return chunk


def open_body(response: aiohttp.ClientResponse) -> Callable[[], Awaitable[bytes]]:
    """Return the function that reads the next plain bytes, or `b""` at the end.

    It raises `BadCompression` if the body is compressed, and damaged or incomplete. If the network
    fails, it raises a `ClientError` or an `OSError`.
    """
    headers = response.headers
    has_end = "Content-Length" in headers or "Transfer-Encoding" in headers
    if has_end and "Content-Encoding" not in headers:
        return response.content.readany
    return _Body(response, has_end=has_end).read


class _Body:
    """The body of a response that is compressed, or that ends with the connection."""

    def __init__(self, response: aiohttp.ClientResponse, *, has_end: bool) -> None:
        self._content = response.content
        self._encoding = response.headers.get("Content-Encoding", "")
        self._is_compressed = is_compressed(self._encoding)
        self._decompressor: Decompressor | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._surplus = 0  # compressed bytes that arrived, less the plain bytes that they became
        # Taken before the body is read: afterwards aiohttp has given the connection back.
        connection = None if has_end else response.connection
        self._protocol = None if connection is None else connection.protocol

    async def read(self) -> bytes:
        while True:
            for piece in self._pieces:
                self._surplus -= len(piece)
                return piece
            chunk = await self._content.readany()
            if not chunk:
                self._check_end()
                return b""
            if not self._is_compressed:
                return chunk
            if self._decompressor is None:
                self._decompressor = new_decompressor(self._encoding)
            self._surplus += len(chunk)
            if self._surplus > PIECE_BYTES:
                raise BadCompression("the compressed response has too many bytes without content")
            self._pieces = self._decompressor.feed(chunk)

    def _check_end(self) -> None:
        """Raise what ended the body early. aiohttp takes a reset of the connection for its end."""
        lost = None if self._protocol is None else self._protocol.exception()
        if isinstance(lost, OSError):
            raise lost
        if self._decompressor is not None:
            self._decompressor.finish()
