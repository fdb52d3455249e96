"""A server that sends exactly the bytes that a test gives it."""

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress


class Peer:
    """One connection, seen from the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.received = bytearray()

    async def head(self) -> bytes:
        """Read the head of the next request; b"" if the client has closed."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            head = error.partial
        except ConnectionError:
            head = b""
        self.received += head
        return head

    async def body(self, size: int) -> bytes:
        """Read `size` bytes, or fewer if the client closes first."""
        try:
            body = await self._reader.readexactly(size)
        except asyncio.IncompleteReadError as error:
            body = error.partial
        self.received += body
        return body

    async def request(self) -> tuple[bytes, bytes]:
        """Read the next request: its head, and a body of its Content-Length."""
        head = await self.head()
        length = re.search(rb"(?i)content-length: (\d+)", head)
        return head, await self.body(int(length[1])) if length else b""

    async def rest(self) -> bytes:
        """Everything up to the client's end of the connection."""
        rest = b""
        with suppress(ConnectionError):
            rest = await self._reader.read()
        self.received += rest
        return rest

    async def send(self, data: bytes) -> None:
        """Bytes to the client."""
        self._writer.write(data)
        await self._writer.drain()

    async def answer(
        self, status: int, body: bytes = b"", *headers: str, length: int | None = None
    ) -> None:
        """Send a whole response; `length` may contradict the body."""
        lines = [
            f"HTTP/1.1 {status} Some Reason",
            f"Content-Length: {len(body) if length is None else length}",
            *headers,
        ]
        await self.send("\r\n".join([*lines, "", ""]).encode() + body)

    def reset(self) -> None:
        """Reset the connection; data that is in flight is lost."""
        # Without it the system sends a plain end when there is nothing left unread.
        linger = struct.pack("ii", 1, 0)
        own: socket.socket = self._writer.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()

    def end(self) -> None:
        """Close the sending side only."""
        self._writer.write_eof()

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


class RawServer:
    """A running server: its URL, and all connections so far."""

    def __init__(self) -> None:
        self.url = ""
        self.port = 0
        self.peers: list[Peer] = []
        self.errors: list[BaseException] = []
        self.tasks: set[asyncio.Task[None]] = set()

    @property
    def received(self) -> list[bytes]:
        """The bytes that each connection received."""
        return [bytes(peer.received) for peer in self.peers]

    @property
    def requests(self) -> int:
        """The number of requests over all connections; no body may contain a request line."""
        return sum(received.count(b" HTTP/1.1\r\n") for received in self.received)


Step = Callable[[Peer], Awaitable[None]]
"""A coroutine function that serves a connection, or one request."""


def answers(status: int, body: bytes = b"", *headers: str, length: int | None = None) -> Step:
    """Return the step that sends a whole response."""

    async def step(peer: Peer) -> None:
        await peer.answer(status, body, *headers, length=length)

    return step


def sends(data: bytes, *, reset: bool = False) -> Step:
    """Return the step that sends some bytes and closes the connection."""

    async def step(peer: Peer) -> None:
        await peer.send(data)
        if reset:
            peer.reset()
        else:
            await peer.close()

    return step


class Endless:
    """The step that sends until the client closes the connection, and counts the bytes."""

    def __init__(self, start: bytes, block: bytes) -> None:
        self._start = start
        self._block = block
        self.sent = 0

    async def __call__(self, peer: Peer) -> None:
        await peer.send(self._start)
        with suppress(ConnectionError):
            while True:
                await peer.send(self._block)
                self.sent += len(self._block)


def each(step: Step) -> Step:
    """Return a script that answers one request of each connection with the step, then ends."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await step(peer)

    return script


def in_turn(*steps: Step) -> Step:
    """Return a script that answers each request, on any connection, with the next step.

    One request too many fails the test.
    """
    left = list(steps)

    async def script(peer: Peer) -> None:
        while (await peer.request())[0]:
            await left.pop(0)(peer)

    return script


def _listener(*, slow: bool) -> socket.socket:
    listener = socket.socket()
    if slow:
        # Small packets and a small window; otherwise the system buffers megabytes.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.bind(("127.0.0.1", 0))
    return listener


@asynccontextmanager
async def raw_server(
    script: Step, *, slow: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Run `script` once for each connection; an exception of it fails the test at the end.

    With `slow`, the system buffers almost nothing beyond what the script has read. With `tls`, the
    server speaks TLS.
    """
    state = RawServer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        state.tasks.add(task)
        peer = Peer(reader, writer)
        state.peers.append(peer)
        try:
            await script(peer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client has disconnected, or the test is over
        except Exception as error:
            state.errors.append(error)
        finally:
            if tls is not None:
                writer.transport.abort()  # its end in order would wait for the client's
            await peer.close()
            state.tasks.discard(task)

    limit = 4096 if slow else 65536
    server = await asyncio.start_server(serve, sock=_listener(slow=slow), limit=limit, ssl=tls)
    state.port = server.sockets[0].getsockname()[1]
    state.url = f"{'https' if tls else 'http'}://127.0.0.1:{state.port}"
    try:
        yield state
    finally:
        server.close()
        for task in list(state.tasks):
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        await server.wait_closed()
    if state.errors:
        raise state.errors[0]
