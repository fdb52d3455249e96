"""The multipart body as aiohttp sends it, with a write timeout and the source's own errors."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import StreamWriter

from mlmsg._multipart import Multipart
from mlmsg._streams import Buffer
from mlmsg._wire import TransferCounter
from mlmsg._worker_threads import wait_until_done

from ._errors import WriteTimedOut
from ._send_queue import bytes_accepted
from ._slots import Slot

__all__ = ["MultipartPayload", "SourceFailed"]

T = TypeVar("T")


class SourceFailed(Exception):
    """Carries the error of a source through aiohttp and through the handlers of network errors.

    Attributes:
        error: The exception of the source or of `progress`, unchanged.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


class MultipartPayload(aiohttp.payload.Payload):
    """A multipart body that counts what it sends.

    aiohttp writes the body in a task of its own while it waits for the response. So the failure of
    the source is stored here, and raised by the exchange.

    Attributes:
        source_error: The exception of the source or of `progress`, unchanged, or None.
        is_complete: True once the closing boundary was handed to the socket.
    """

    def __init__(
        self,
        upload: Multipart,
        timeout: float | None,
        slot: Slot,
        counter: TransferCounter,
    ) -> None:
        super().__init__(upload, content_type=upload.content_type)
        self._counter = counter
        self._size = upload.length
        self._upload = upload
        self._timeout = timeout
        self._slot = slot
        self._lends = not upload.source.is_local
        self._written: asyncio.Future[None] | None = None
        self._network_error: OSError | None = None
        self.source_error: BaseException | None = None
        self.is_complete = False

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Refuse: the body exists only while it is sent."""
        raise TypeError("a streamed body has no text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the whole body."""
        await self.write_with_length(writer, None)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write the whole body. `Multipart` itself keeps to the announced length."""
        assert isinstance(writer, StreamWriter)  # noqa: S101  (for its transport)
        self._written = asyncio.get_running_loop().create_future()
        try:
            await self._write_chunks(writer)
        except BaseException as error:
            if error is self._network_error or _is_cancelled(error):
                raise
            # aiohttp gets another error: it would set its own causes on the source's error.
            self.source_error = error
            raise SourceFailed(error) from None
        finally:
            self._written.set_result(None)

    async def wait_sent(self) -> bool:
        """Wait for the body writer to finish. Return True if the whole body was sent.

        aiohttp stops writing when a response ends early. A success that arrives before the server
        has the whole body is no success.
        """
        await self._wait_started()
        if self._written is not None:
            await asyncio.shield(self._written)
        return self.is_complete

    async def wait_written(self) -> None:
        """Wait until the source is closed. aiohttp has finished or cancelled its writer by then."""
        await self._wait_started()
        if self._written is not None:
            await wait_until_done(self._written)

    async def _wait_started(self) -> None:
        # The writer is a task: after one turn of the event loop it has started, or never will.
        if self._written is None:
            await asyncio.sleep(0)

    async def _write_chunks(self, writer: StreamWriter) -> None:
        chunks = self._upload.chunks()
        try:
            while (chunk := await self._run_source(anext(chunks, None))) is not None:
                await self._send(writer, chunk)
        finally:
            await self._run_source(chunks.aclose())

    async def _run_source(self, step: Awaitable[T]) -> T:
        """Await one step of the source. The slot is lent meanwhile if it is code of the caller."""
        if self._lends:
            self._slot.lend()
        try:
            return await step
        finally:
            self._slot.take_back()

    async def _send(self, writer: StreamWriter, chunk: Buffer) -> None:
        try:
            await writer.write(chunk, drain=False)
            self._counter.bytes_sent += len(chunk)
            # Set before the buffer is drained: the response may arrive first and stop the writer.
            self.is_complete = self._counter.bytes_sent == self._size
            await self._wait_drained(writer)
        except OSError as error:
            self._network_error = error
            raise

    async def _wait_drained(self, writer: StreamWriter) -> None:
        """Wait until the buffer is drained, as long as the peer accepts bytes, however slowly."""
        if _is_drained(writer):
            # The event loop gets its turn, in which a response may arrive.
            return await asyncio.sleep(0)
        # A task, because aiohttp's drain cannot be awaited again after a cancellation.
        draining = asyncio.ensure_future(writer.drain())
        try:
            while True:
                accepted = bytes_accepted(writer)
                await asyncio.wait({draining}, timeout=self._timeout)
                if draining.done():
                    return await draining
                if bytes_accepted(writer) <= accepted:
                    raise WriteTimedOut
        finally:
            draining.cancel()


def _is_drained(writer: StreamWriter) -> bool:
    """Return True if the operating system has all bytes: then there is nothing to wait for.

    Of a TLS connection, the transport does not tell: its bytes wait in the transport below.
    """
    transport = writer.transport
    if transport is None or transport.get_extra_info("sslcontext") is not None:
        return False
    return transport.get_write_buffer_size() == 0


def _is_cancelled(error: BaseException) -> bool:
    """Return True for a cancellation of this task, and False for one that the source raised."""
    task = asyncio.current_task()
    is_cancellation = isinstance(error, asyncio.CancelledError | GeneratorExit)
    return is_cancellation and task is not None and task.cancelling() > 0
