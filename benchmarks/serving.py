"""The servers that the benchmarks talk to, each in a process of its own.

A benchmark measures its own process; a server in the same one would be measured with it.
"""

import asyncio
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from mlmsg.sandbox import Market, Sandbox

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
def running(kind: str, *arguments: str) -> Iterator[str]:
    """The URL of a server of that kind, which ends with the block."""
    command = [sys.executable, __file__, kind, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


async def sandbox() -> None:
    """A sandbox without packs, for uploads and downloads."""
    async with Sandbox(market=Market()) as running_sandbox:
        print(running_sandbox.url, flush=True)
        await asyncio.Event().wait()


class _Page(asyncio.Protocol):
    """Answers every request with the same page, at the least cost there is."""

    body = msgspec.json.encode(PAGE)
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the connection."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers once the request is whole; its only body-less kind ends like this."""
        if data.endswith(b"\r\n\r\n"):
            self.transport.write(self.answer % (len(self.body), self.body))


THREAD = 200 * 49 + 1
"""Messages of the long thread: 200 pages of 50 that overlap by one."""

LATENCY = 0.02
"""Seconds from a request for a page of the long thread to its answer."""


class _Thread(_Page):
    """Answers every request with a page of the long thread, after `LATENCY`."""

    messages: ClassVar[list[bytes]] = []

    def data_received(self, data: bytes) -> None:
        """Makes the answer only when it is due: pages side by side wait for no other's."""
        query = parse_qs(urlsplit(data.split(b" ", 2)[1].decode()).query)
        limit, offset = int(query["limit"][0]), int(query["offset"][0])
        asyncio.get_running_loop().call_later(LATENCY, self._send, limit, offset)

    def _send(self, limit: int, offset: int) -> None:
        paging = {"limit": limit, "offset": offset, "total": THREAD}
        head = msgspec.json.encode({"paging": paging})[:-1]
        body = head + b',"messages":[%s]}' % b",".join(self.messages[offset : offset + limit])
        self.transport.write(self.answer % (len(body), body))


async def page() -> None:
    """One page of a thread for every request."""
    await _serve(_Page)


async def thread() -> None:
    """A thread of `THREAD` messages, page by page, each `LATENCY` late."""
    _Thread.messages += [msgspec.json.encode({**MESSAGE, "id": str(n)}) for n in range(THREAD)]
    await _serve(_Thread)


async def _serve(protocol: type[_Page]) -> None:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


class _Files(asyncio.Protocol):
    """Any pack, each with one message that lists four files, and any file, of 100,000 bytes."""

    file = bytes(range(256)) * 391
    size = 100_000

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the connection."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers with what the first line asks for."""
        path = data.partition(b" ")[2].partition(b"?")[0].decode()
        name = path.rpartition("/")[2]
        if "/packs/" in path:
            files = [{"filename": f"{name}_{n}.jpg", "size": self.size} for n in range(4)]
            message = PAGE["messages"][0] | {"id": name, "message_attachments": files}  # type: ignore[index]
            body = msgspec.json.encode(PAGE | {"messages": [message]})
        else:
            body = self.file[: self.size]
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        self.transport.write(body)


async def files() -> None:
    """Packs and their files, without end."""
    server = await asyncio.get_running_loop().create_server(_Files, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


LIMIT, WINDOW = 500, 3.0
"""What the limited server allows: requests, and in how many seconds."""


class _Limited(_Files):
    """The same files, as long as no more than `LIMIT` requests came in the last `WINDOW`."""

    came: ClassVar[deque[float]] = deque()
    counts: ClassVar[list[int]] = [0, 0]

    def data_received(self, data: bytes) -> None:
        """Answers, or refuses; a refused request does not count."""
        if b"/counts" in data:
            body = msgspec.json.encode(self.counts)
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            self.transport.write(body)
            return
        now = time.monotonic()
        while self.came and self.came[0] <= now - WINDOW:
            self.came.popleft()
        if len(self.came) >= LIMIT:
            self.counts[1] += 1
            self.transport.write(b"HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n")
            return
        self.counts[0] += 1
        self.came.append(now)
        super().data_received(data)


async def limited() -> None:
    """The same, with a limit."""
    server = await asyncio.get_running_loop().create_server(_Limited, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    kinds: dict[str, Callable[..., Coroutine[object, object, None]]]
    kinds = {
        "files": files,
        "limited": limited,
        "page": page,
        "sandbox": sandbox,
        "thread": thread,
    }
    asyncio.run(kinds[sys.argv[1]](*sys.argv[2:]))
