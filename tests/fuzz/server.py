"""A server that answers every request with a valid or a damaged response to its path."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fuzz.answers import make_answer
from fuzz.samples import body_of

HANG_SECONDS = 0.2
"""The silence of a server, longer than the client's read timeout."""


class Server:
    """The answers of a server.

    Attributes:
        url: The base URL.
        malformed: The number of damaged answers.
        valid: The number of other answers.
        damages: How often each damage was done.
    """

    def __init__(self, seed: int) -> None:
        self.url = ""
        self.malformed = self.valid = 0
        self.damages: Counter[str] = Counter()
        self._random = random.Random(seed)  # noqa: S311

    def answer(self, request_line: str) -> tuple[bytes, str]:
        """Return a response, and what follows it."""
        body = body_of(request_line, self._random)
        data, then, damages = make_answer(body, self.url, self._random)
        self.damages.update(damages)
        self.malformed += bool(damages)
        self.valid += not damages
        return data, then


class Connection(asyncio.Protocol):
    """One connection: answers each request when its last byte has arrived."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer all requests that are complete."""
        self._received += data
        transport = self._transport
        assert transport is not None
        while (size := self._request_size()) is not None and not transport.is_closing():
            line = bytes(self._received.partition(b" HTTP/")[0]).decode("latin-1")
            del self._received[:size]
            answer, then = self._server.answer(line)
            transport.write(answer)
            if then == "close":
                transport.close()
            elif then == "hang":
                asyncio.get_running_loop().call_later(HANG_SECONDS, transport.abort)

    def _request_size(self) -> int | None:
        """Return the size of the first request with its body, or None if it is incomplete."""
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", self._received[:end])
        size = end + 4 + (int(length[1]) if length else 0)
        return size if len(self._received) >= size else None


@asynccontextmanager
async def serve(seed: int) -> AsyncIterator[Server]:
    """Run the server on a free port of this machine."""
    server, loop = Server(seed), asyncio.get_running_loop()
    listener = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
