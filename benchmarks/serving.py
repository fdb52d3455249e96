"""The servers that the benchmarks talk to, each in a process of its own.

A benchmark measures its own process; a server in the same one would be measured with it.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from mlmsg.sandbox import Market, Sandbox

PAGE = {
    "paging": {"limit": 50, "offset": 0, "total": 1},
    "conversation_status": {"status": "active", "status_date": "2024-08-17T15:02:11Z"},
    "messages": [
        {
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
    ],
}
"""A page with one message: about one kilobyte of JSON."""


@contextmanager
def running(kind: str) -> Iterator[str]:
    """The URL of a server of that kind, which ends with the block."""
    command = [sys.executable, __file__, kind]
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


async def page() -> None:
    """One page of a thread for every request."""
    server = await asyncio.get_running_loop().create_server(_Page, "127.0.0.1", 0)
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


if __name__ == "__main__":
    asyncio.run({"sandbox": sandbox, "page": page, "files": files}[sys.argv[1]]())
