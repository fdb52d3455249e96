"""Idle connections: a clean one is used again, and one with unexpected bytes never."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from calls import ONCE, PAGE
from rawserver import Peer, RawServer, Step, raw_server
from tls import client_context, server_context

from mlmsg import Client, MlmsgError, TransportError

HEAD = b"HTTP/1.1 200 OK\r\n"
ANSWER = b'{"messages": [{"id": "m1"}], "id": "1_a.bin"}'
WRONG = b'{"messages": [{"id": "of nobody"}]}'
SECOND = HEAD + b"Content-Length: %d\r\n\r\n" % len(WRONG) + WRONG

UNEXPECTED = {
    "a second answer": SECOND,
    "two more answers": SECOND * 2,
    "the head of an answer": SECOND[: -len(WRONG)],
    "half a head": HEAD + b"Content-Le",
    "half a status line": b"HTTP/1.1 2",
    "one byte": b"H",
    "an answer without a body": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a hint": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    "nonsense": b"\x00\xff\x16\x03",
    "a timeout": b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
}


@pytest.fixture(params=["plain", "TLS"])
def is_tls(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "TLS")


@asynccontextmanager
async def serve(script: Step, *, tls: bool) -> AsyncIterator[tuple[Client, RawServer]]:
    context = client_context() if tls else None
    async with (
        asyncio.timeout(10),
        raw_server(script, tls=server_context() if tls else None) as server,
        Client("a-token", base_url=server.url, retry=ONCE, ssl=context) as client,
    ):
        yield client, server


async def answer_all(peer: Peer) -> None:
    while (await peer.request())[0]:
        await peer.answer(200, ANSWER)


def answer_and(first: Callable[[Peer], object]) -> Step:
    """A script: the first connection answers and goes on in this way, the others answer."""
    left = [first]

    async def script(peer: Peer) -> None:
        if left:
            await peer.request()
            await left.pop()(peer)  # type: ignore[misc]
            await peer.rest()
        else:
            await answer_all(peer)

    return script


async def uses_another_connection(client: Client, server: RawServer) -> None:
    """Send a message and read a page: both get their own answers, over a second connection."""
    sent = await client.packs.send(1, "Hola")
    assert sent.status_code == 200
    assert [message.id for message in (await client.packs.page(1)).messages] == ["m1"]
    assert len(server.peers) == 2
    assert server.received[0].count(b" HTTP/1.1\r\n") == 1


async def read_first_page(client: Client, data: bytes) -> None:
    """Read a page. Nonsense in one segment with it may cost it; then it is an error."""
    with suppress(*[TransportError] * (data == UNEXPECTED["nonsense"])):
        await client.packs.page(1)


async def test_a_clean_connection_is_used_again(*, is_tls: bool) -> None:
    """TLS 1.3 sends session tickets over an idle connection: they are no unexpected bytes."""
    async with serve(answer_all, tls=is_tls) as (client, server):
        for _ in range(20):
            await client.packs.page(1)
            await asyncio.sleep(0.001)
        await client.packs.send(1, "Hola")
        await client.attachments.upload(bytes(300_000), site_id="MLM", filename="a.bin")
        async with client.attachments.open("a.bin", site_id="MLM") as opened:
            await opened.read()
    assert len(server.peers) == 1


@pytest.mark.parametrize("data", UNEXPECTED.values(), ids=UNEXPECTED)
async def test_bytes_behind_an_answer(data: bytes, *, is_tls: bool) -> None:
    """In one segment with it."""

    async def step(peer: Peer) -> None:
        await peer.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(PAGE) + PAGE + data)

    async with serve(answer_and(step), tls=is_tls) as (client, server):
        await read_first_page(client, data)
        await uses_another_connection(client, server)


@pytest.mark.parametrize("data", UNEXPECTED.values(), ids=UNEXPECTED)
async def test_bytes_behind_an_answer_in_chunks(data: bytes, *, is_tls: bool) -> None:
    async def step(peer: Peer) -> None:
        body = b"%x\r\n" % len(PAGE) + PAGE + b"\r\n0\r\n\r\n"
        await peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body + data)

    async with serve(answer_and(step), tls=is_tls) as (client, server):
        await read_first_page(client, data)
        await uses_another_connection(client, server)


@pytest.mark.parametrize("data", UNEXPECTED.values(), ids=UNEXPECTED)
async def test_bytes_that_come_later(data: bytes, *, is_tls: bool) -> None:
    later, sent = asyncio.Event(), asyncio.Event()

    async def step(peer: Peer) -> None:
        await peer.answer(200, PAGE)
        await later.wait()
        await peer.send(data)
        sent.set()

    async with serve(answer_and(step), tls=is_tls) as (client, server):
        await client.packs.page(1)
        later.set()
        await sent.wait()
        await asyncio.sleep(0.01)  # the bytes are read by the client's event loop, which is ours
        await uses_another_connection(client, server)


@pytest.mark.parametrize("data", [*UNEXPECTED.values(), b""], ids=[*UNEXPECTED, "the end"])
async def test_bytes_that_the_event_loop_has_not_read_yet(data: bytes) -> None:
    """It was blocked: they are in the buffer of the operating system."""
    other_ends: asyncio.Queue[socket.socket] = asyncio.Queue()

    async def step(peer: Peer) -> None:
        await peer.answer(200, PAGE)
        own: socket.socket = peer._writer.get_extra_info("socket")
        await other_ends.put(socket.socket(fileno=socket.dup(own.fileno())))

    async with serve(answer_and(step), tls=False) as (client, server):
        await client.packs.page(1)
        with await other_ends.get() as other_end:
            # Sent outside of the event loop, which then has no turn before the next call.
            other_end.setblocking(True)
            other_end.sendall(data) if data else other_end.shutdown(socket.SHUT_RDWR)
        time.sleep(0.01)  # noqa: ASYNC251  (it is blocked)
        await uses_another_connection(client, server)


@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
async def test_a_connection_at_its_end(*, reset: bool, is_tls: bool) -> None:
    read, over = asyncio.Event(), asyncio.Event()

    async def step(peer: Peer) -> None:
        await peer.answer(200, PAGE)
        await read.wait()
        if reset:
            peer.reset()
        else:
            await peer.close()
        over.set()

    async with serve(answer_and(step), tls=is_tls) as (client, server):
        await client.packs.page(1)
        read.set()
        await over.wait()
        await asyncio.sleep(0.01)
        await uses_another_connection(client, server)


async def test_every_connection_of_a_pool_is_checked() -> None:
    """Ten idle ones, nine of them dirty."""
    full, dirty = asyncio.Barrier(11), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        if len(server.peers) <= 10:
            await full.wait()
            await peer.answer(200, PAGE)
            await dirty.wait()
            if peer is not server.peers[4]:
                await peer.send(SECOND)
        else:
            await peer.answer(200, PAGE)
        await answer_all(peer)

    async with serve(script, tls=False) as (client, server):
        pages = asyncio.gather(*(client.packs.page(1) for _ in range(10)))
        await full.wait()
        await pages
        dirty.set()
        await asyncio.sleep(0.01)
        for _ in range(3):
            page = await client.packs.page(1)
            assert [message.id for message in page.messages] == ["m1"]
        assert len(server.peers) == 10


async def test_an_answer_after_the_request_was_cancelled_is_not_the_next_ones() -> None:
    arrived, late = asyncio.Event(), asyncio.Event()

    async def step(peer: Peer) -> None:
        arrived.set()
        await late.wait()
        await peer.send(SECOND)

    async with serve(answer_and(step), tls=False) as (client, server):
        task = asyncio.create_task(client.packs.page(1))
        await arrived.wait()
        task.cancel()
        with suppress(asyncio.CancelledError, MlmsgError):
            await task
        late.set()
        await uses_another_connection(client, server)


async def test_closed_connections_are_not_remembered(*, is_tls: bool) -> None:
    async def once(peer: Peer) -> None:
        await peer.request()
        await peer.answer(200, PAGE)

    async with serve(once, tls=is_tls) as (client, server):
        for _ in range(5):
            await client.packs.page(1)
        transport = client._session._transport
        assert transport is not None
        for _ in range(100):
            await asyncio.sleep(0.001)  # asyncio closes the connections in turns of the event loop
        assert len(transport._connector._known) <= 1
        assert len(server.peers) == 5
