"""The servers of the benchmarks, each in its own process, so that only the client is measured."""

import asyncio
import logging
import os
import re
import ssl
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import msgspec

MESSAGE = {
    "id": "869412ae6d15580fa9cb81f288921d24",
    "site_id": "MLM",
    "from": {"user_id": 700100200, "name": "Tienda"},
    "to": {"user_id": 700200011, "name": "Ana"},
    "status": "available",
    "text": "Hola, ¿cuándo llega mi pedido?",
    "message_date": {
        "created": "2024-08-17T15:02:11Z",
        "received": "2024-08-17T15:02:11Z",
        "available": "2024-08-17T15:02:11Z",
        "notified": None,
        "read": None,
    },
    "message_moderation": {"status": "clean", "reason": None, "source": "online"},
    "message_attachments": None,
    "message_resources": [{"id": "2000007001000011", "name": "packs"}],
    "conversation_first_message": False,
}

PAGE = {
    "paging": {"limit": 50, "offset": 0, "total": 1},
    "conversation_status": {"status": "active", "status_date": "2024-08-17T15:02:11Z"},
    "messages": [MESSAGE],
}
"""A page with one message: about one kilobyte of JSON."""


@contextmanager
def serve(kind: str, *arguments: str) -> Iterator[str]:
    """Run a server of that kind in another process; yield its URL."""
    command = [sys.executable, __file__, kind, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


class _Page(asyncio.Protocol):
    """Answers every request with the same page, at the lowest cost possible."""

    body = msgspec.json.encode(PAGE)
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer when the request is complete; a request without a body ends like this."""
        if data.endswith(b"\r\n\r\n"):
            self.transport.write(self.answer % (len(self.body), self.body))


THREAD_SIZE = 200 * 49 + 1
"""The messages of the long thread: 200 pages of 50 that overlap by one."""

LATENCY_SECONDS = 0.02
"""The delay of each page of the long thread."""


class _Thread(_Page):
    """Answers every request with a page of the long thread, after `LATENCY_SECONDS`."""

    messages: ClassVar[list[bytes]] = []

    def data_received(self, data: bytes) -> None:
        """Make each page only when it is due, so that no page waits for another one."""
        query = parse_qs(urlsplit(data.split(b" ", 2)[1].decode()).query)
        limit, offset = int(query["limit"][0]), int(query["offset"][0])
        asyncio.get_running_loop().call_later(LATENCY_SECONDS, self._send, limit, offset)

    def _send(self, limit: int, offset: int) -> None:
        paging = {"limit": limit, "offset": offset, "total": THREAD_SIZE}
        head = msgspec.json.encode({"paging": paging})[:-1]
        body = head + b',"messages":[%s]}' % b",".join(self.messages[offset : offset + limit])
        self.transport.write(self.answer % (len(body), body))


async def page() -> None:
    """Serve one page of a thread for every request."""
    await _serve(_Page)


async def thread() -> None:
    """Serve a thread of `THREAD_SIZE` messages, each page after `LATENCY_SECONDS`."""
    _Thread.messages += [msgspec.json.encode({**MESSAGE, "id": str(n)}) for n in range(THREAD_SIZE)]
    await _serve(_Thread)


async def _serve(protocol: type[asyncio.Protocol], context: ssl.SSLContext | None = None) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=context)
    scheme = "http" if context is None else "https"
    print(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


LARGE_BYTES = 25 * 1024 * 1024
"""Bytes of the large file."""

WRITE_BYTES = 256 * 1024


class _Large(asyncio.Protocol):
    """Answers a GET with the large file, and any other request, once its body is there, with an id.

    It reads into one buffer, and forgets what it reads.
    """

    content = memoryview(os.urandom(LARGE_BYTES))
    id = b'{"id": "700100200_65cacd0f-2551-5fd0-872f-518046bf9333.bin"}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.request = b""
        self.missing = 0
        self.left = memoryview(b"")
        self.is_paused = False

    def data_received(self, data: bytes) -> None:
        """Read a request to its end, and answer it."""
        if self.missing:
            self._take(len(data))
            return
        self.request += data
        head, end, body = self.request.partition(b"\r\n\r\n")
        if not end:
            return
        self.request = b""
        if head.startswith(b"GET "):
            self.transport.write(self.head % (b"application/octet-stream", LARGE_BYTES))
            self.left = self.content
            self._send()
            return
        length = re.search(rb"(?i)\ncontent-length: (\d+)", head)
        assert length is not None
        if b"100-continue" in head:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.missing = int(length[1])
        self._take(len(body))

    def pause_writing(self) -> None:
        """Wait for the client."""
        self.is_paused = True

    def resume_writing(self) -> None:
        """Send more."""
        self.is_paused = False
        self._send()

    def _send(self) -> None:
        while self.left and not self.is_paused:
            chunk, self.left = self.left[:WRITE_BYTES], self.left[WRITE_BYTES:]
            self.transport.write(chunk)

    def _take(self, size: int) -> None:
        self.missing -= size
        if not self.missing:
            self.transport.write(self.head % (b"application/json", len(self.id)) + self.id)


async def large(certificate: str = "") -> None:
    """Serve the large file, and take uploads; over TLS if there is a certificate with its key."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    await _serve(_Large, context)


class _Files(asyncio.Protocol):
    """Answers with any pack, of one message with four files, and any file, of 100,000 bytes."""

    file = bytes(range(256)) * 391
    size = 100_000
    count = 4

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer the path of the first line."""
        path = data.partition(b" ")[2].partition(b"?")[0].decode()
        name = path.rpartition("/")[2]
        if "/packs/" in path:
            files = [{"filename": f"{name}_{n}.jpg", "size": self.size} for n in range(self.count)]
            message = PAGE["messages"][0] | {"id": name, "message_attachments": files}  # type: ignore[index]
            body = msgspec.json.encode(PAGE | {"messages": [message]})
        else:
            body = self.file[: self.size]
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        self.transport.write(body)


class _Small(_Files):
    """Answers with packs of one small file."""

    size = 1_000
    count = 1


async def files() -> None:
    """Serve packs and their files, without end."""
    await _serve(_Files)


async def small() -> None:
    """Serve packs of one small file, without end."""
    await _serve(_Small)


async def bucket() -> None:
    """Serve S3 with moto."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415  (only here)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


MAX_REQUESTS = 500
"""The requests that the limited server allows in a window."""

WINDOW_SECONDS = 3.0


class _Limited(_Files):
    """Answers with the same files, at most `MAX_REQUESTS` times in `WINDOW_SECONDS`."""

    arrivals: ClassVar[deque[float]] = deque()
    counts: ClassVar[list[int]] = [0, 0]

    def data_received(self, data: bytes) -> None:
        """Answer or reject; a rejected request does not count."""
        if b"/counts" in data:
            body = msgspec.json.encode(self.counts)
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            self.transport.write(body)
            return
        now = time.monotonic()
        while self.arrivals and self.arrivals[0] <= now - WINDOW_SECONDS:
            self.arrivals.popleft()
        if len(self.arrivals) >= MAX_REQUESTS:
            self.counts[1] += 1
            self.transport.write(b"HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n")
            return
        self.counts[0] += 1
        self.arrivals.append(now)
        super().data_received(data)


async def limited() -> None:
    """Serve the same files with a rate limit."""
    await _serve(_Limited)


if __name__ == "__main__":
    kinds: dict[str, Callable[..., Coroutine[object, object, None]]]
    kinds = {
        "bucket": bucket,
        "files": files,
        "large": large,
        "limited": limited,
        "page": page,
        "small": small,
        "thread": thread,
    }
    asyncio.run(kinds[sys.argv[1]](*sys.argv[2:]))
