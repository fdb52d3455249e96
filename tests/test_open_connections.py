"""A connection is closed at once, whatever happened to its transport before."""

import asyncio
import socket

import pytest
from rawserver import Peer, raw_server
from tls import client_context, server_context

from mlmsg._transport._open_connection import OpenConnection


@pytest.mark.parametrize("closes", [0, 1, 2, 3])
@pytest.mark.parametrize("is_tls", [False, True])
async def test_an_abort_does_not_wait_for_the_peer(closes: int, *, is_tls: bool) -> None:
    connected = asyncio.Event()

    async def read_nothing(_: Peer) -> None:
        connected.set()
        await asyncio.Event().wait()

    context = client_context() if is_tls else None
    async with (
        asyncio.timeout(5),
        raw_server(read_nothing, slow=True, tls=server_context() if is_tls else None) as server,
    ):
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(
            asyncio.Protocol, "127.0.0.1", server.port, ssl=context
        )
        await connected.wait()
        client: socket.socket = transport.get_extra_info("socket")
        connection = OpenConnection(transport)
        transport.write(bytes(25 * 1024 * 1024))
        assert is_tls or connection.has_unsent_bytes()
        for _ in range(closes):
            transport.close()
        connection.abort()
        for _ in range(20):
            await asyncio.sleep(0)
        assert client.fileno() == -1
