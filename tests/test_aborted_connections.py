"""After an exchange that was cancelled, timed out or failed, its socket is closed at once."""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from calls import MIB, ONCE, Call, as_coroutine, cancel, download, read_page, send
from rawserver import Peer, RawServer, Step, answers, in_turn, raw_server
from tls import client_context, server_context

from mlmsg import Client, MlmsgError, Timeouts
from mlmsg._transport._connector import ExchangeConnections
from mlmsg._transport._running import RunningExchanges

LARGE = 25 * MIB
HEAD = b"HTTP/1.1 200 OK\r\n"


def upload(client: Client) -> Awaitable[object]:
    return client.attachments.upload(bytes(LARGE), site_id="MLM", filename="a.bin")


async def upload_stream(client: Client) -> object:
    async def source() -> AsyncIterator[bytes]:
        for _ in range(25):
            yield bytes(MIB)

    attachments = client.attachments
    return await attachments.upload(source(), site_id="MLM", filename="a.bin", length=LARGE)


async def iterate(client: Client) -> object:
    async with client.attachments.open("a.bin", site_id="MLM") as opened:
        return [chunk async for chunk in opened]


async def handle(client: Client) -> object:
    return await client.attachments.download_with("a.bin", lambda file: file.read(), site_id="MLM")


UPLOADS: dict[str, Call] = {"upload": upload, "streamed upload": upload_stream}
READS: dict[str, Call] = {"page": read_page, "send": send}
DOWNLOADS: dict[str, Call] = {"download": download, "iterate": iterate, "handler": handle}


def client_sockets(server: RawServer) -> int:
    """Return how many sockets of this process are connected, or connecting, to the server."""
    found = 0
    for path in Path("/proc/self/fd").iterdir():
        descriptor = int(path.name)
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                with socket.socket(fileno=os.dup(descriptor)) as opened:
                    found += opened.getpeername() == ("127.0.0.1", server.port)
    return found


async def assert_closed(server: RawServer) -> None:
    """Fail if a socket of the client is still open after a few turns of the event loop."""
    for _ in range(20):
        await asyncio.sleep(0)
    assert client_sockets(server) == 0


@pytest.fixture(params=["plain", "TLS"])
def is_tls(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "TLS")


@asynccontextmanager
async def serve(
    script: Step, *, tls: bool, timeout: Timeouts | None = None, slow: bool = True
) -> AsyncIterator[tuple[Client, RawServer]]:
    timeout = timeout or Timeouts(connect=5, read=5, write=5)
    context = client_context() if tls else None
    async with (
        asyncio.timeout(10),
        raw_server(script, slow=slow, tls=server_context() if tls else None) as server,
        Client("a-token", base_url=server.url, retry=ONCE, timeout=timeout, ssl=context) as client,
    ):
        yield client, server


class Reached:
    """A step that sends some bytes, reads no more, and keeps the connection open."""

    def __init__(
        self, data: bytes = b"", reading: Callable[[Peer], Awaitable[object]] = Peer.request
    ) -> None:
        self.event = asyncio.Event()
        self._data = data
        self._reading = reading

    async def __call__(self, peer: Peer) -> None:
        await self._reading(peer)
        await peer.send(self._data)
        self.event.set()
        await asyncio.Event().wait()


async def cancelled(call: Call, step: Reached, *, tls: bool) -> None:
    async with serve(step, tls=tls) as (client, server):
        task = asyncio.create_task(as_coroutine(call(client)))
        await step.event.wait()
        assert client_sockets(server) == 1
        await cancel(task)
        await assert_closed(server)


@pytest.mark.parametrize("call", UPLOADS.values(), ids=UPLOADS)
async def test_a_cancelled_upload_to_a_peer_that_does_not_read(call: Call, *, is_tls: bool) -> None:
    await cancelled(call, Reached(reading=Peer.head), tls=is_tls)


@pytest.mark.parametrize("call", (READS | DOWNLOADS).values(), ids=READS | DOWNLOADS)
async def test_a_cancelled_call_without_an_answer(call: Call, *, is_tls: bool) -> None:
    await cancelled(call, Reached(), tls=is_tls)


@pytest.mark.parametrize("call", (READS | DOWNLOADS).values(), ids=READS | DOWNLOADS)
@pytest.mark.parametrize("status", [b"200 OK", b"400 Bad Request"])
async def test_a_cancelled_call_in_a_body(status: bytes, call: Call, *, is_tls: bool) -> None:
    head = b"HTTP/1.1 " + status + b"\r\nContent-Length: 999\r\n\r\nsome"
    await cancelled(call, Reached(head), tls=is_tls)


@pytest.mark.parametrize("call", DOWNLOADS.values(), ids=DOWNLOADS)
async def test_a_cancelled_call_after_a_redirect(call: Call, *, is_tls: bool) -> None:
    step = Reached()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(302, b"", "Location: /next")
        await step(peer)

    async with serve(script, tls=is_tls) as (client, server):
        task = asyncio.create_task(as_coroutine(call(client)))
        await step.event.wait()
        await cancel(task)
        await assert_closed(server)


async def test_a_call_that_is_cancelled_while_it_connects() -> None:
    step = Reached(reading=lambda peer: peer.body(1))  # of a TLS handshake that is not answered
    async with raw_server(step) as server:
        url = server.url.replace("http:", "https:")
        async with Client("a-token", base_url=url, retry=ONCE) as client:
            task = asyncio.create_task(as_coroutine(read_page(client)))
            await step.event.wait()
            assert client_sockets(server) == 1
            await cancel(task)
            await assert_closed(server)


# --- timeouts and failures -------------------------------------------------------------------

BRIEF = Timeouts(connect=5, read=0.1, write=0.1)


@pytest.mark.parametrize("call", UPLOADS.values(), ids=UPLOADS)
async def test_an_upload_whose_peer_does_not_read_times_out(call: Call, *, is_tls: bool) -> None:
    async with serve(Reached(reading=Peer.head), tls=is_tls, timeout=BRIEF) as (client, server):
        with pytest.raises(MlmsgError, match="write timeout"):
            await call(client)
        await assert_closed(server)


@pytest.mark.parametrize("call", UPLOADS.values(), ids=UPLOADS)
async def test_an_upload_that_takes_longer_than_the_total(call: Call, *, is_tls: bool) -> None:
    brief = Timeouts(read=5, write=5, total=0.2)
    async with serve(Reached(reading=Peer.head), tls=is_tls, timeout=brief) as (client, server):
        with pytest.raises(MlmsgError, match="total timeout"):
            await call(client)
        await assert_closed(server)


@pytest.mark.parametrize("call", (READS | DOWNLOADS).values(), ids=READS | DOWNLOADS)
@pytest.mark.parametrize("data", [b"", HEAD, HEAD + b"Content-Length: 999\r\n\r\nsome"])
async def test_an_answer_that_stops_coming(data: bytes, call: Call, *, is_tls: bool) -> None:
    async with serve(Reached(data), tls=is_tls, timeout=BRIEF) as (client, server):
        with suppress(MlmsgError):
            await call(client)
        await assert_closed(server)


BROKEN = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "a bad chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "no redirect to follow": b"HTTP/1.1 302 Found\r\nContent-Length: 999\r\n\r\n",
    "an unsafe redirect": b"HTTP/1.1 302 Found\r\nLocation: ftp://a/\r\nContent-Length: 9\r\n\r\n",
    "a part": b"HTTP/1.1 206 Partial\r\nContent-Length: 999\r\n\r\nsome",
    "no gzip": HEAD + b"Content-Encoding: gzip\r\nContent-Length: 999\r\n\r\nno gzip",
    "more than the length": HEAD + b"Content-Length: 1\r\n\r\n{}}}}}",
}


@pytest.mark.parametrize("call", DOWNLOADS.values(), ids=DOWNLOADS)
@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
async def test_an_answer_that_cannot_be_read(data: bytes, call: Call, *, is_tls: bool) -> None:
    async with serve(Reached(data), tls=is_tls, timeout=BRIEF) as (client, server):
        with suppress(MlmsgError):
            await call(client)
        await asyncio.sleep(0)
        await call_fails_or_uses_another_connection(client, server)


async def call_fails_or_uses_another_connection(client: Client, server: RawServer) -> None:
    with suppress(MlmsgError):
        await client.packs.page(2)
    assert len(server.peers) == 2
    await assert_closed(server)


@pytest.mark.parametrize("status", [200, 400, 413, 500])
async def test_an_answer_before_the_upload_was_read(status: int, *, is_tls: bool) -> None:
    """The rest of the body must not wait for the peer."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.answer(status, b'{"id": "1_a.png"}')
        await asyncio.Event().wait()

    async with serve(script, tls=is_tls) as (client, server):
        with pytest.raises(MlmsgError):
            await upload(client)
        await assert_closed(server)


@pytest.mark.parametrize("size", [100_000, MIB])
async def test_an_answer_that_overtakes_a_body_that_is_buffered(size: int, *, is_tls: bool) -> None:
    """All was written, but the peer has not read it: such a connection must not become idle."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.answer(400)
        await asyncio.Event().wait()

    async with serve(script, tls=is_tls) as (client, server):
        with pytest.raises(MlmsgError):
            await client.attachments.upload(bytes(size), site_id="MLM", filename="a.bin")
        await assert_closed(server)


async def test_a_failed_exchange_does_not_abort_a_connection_that_another_one_reuses() -> None:
    """The connection of the first hop of a redirect is idle before the second hop fails."""
    holding, failing = asyncio.Event(), asyncio.Event()

    async def hold(peer: Peer) -> None:
        holding.set()
        await failing.wait()
        await peer.answer(200, b'{"messages": [{"id": "m1"}]}')

    async def second_hop(peer: Peer) -> None:
        await peer.request()
        page = asyncio.ensure_future(as_coroutine(client.packs.page(1)))
        pages.append(page)
        await holding.wait()
        peer.reset()

    pages: list[asyncio.Future[object]] = []
    async with raw_server(second_hop) as other:
        script = in_turn(answers(302, b"", f"Location: {other.url}/"), hold)
        async with serve(script, tls=False) as (client, server):
            with pytest.raises(MlmsgError):
                await download(client)
            failing.set()
            await pages[0]
            assert len(server.peers) == 1


async def test_closing_a_client_closes_the_sockets_of_running_calls(*, is_tls: bool) -> None:
    step = Reached(reading=Peer.head)
    async with serve(step, tls=is_tls) as (client, server):
        task = asyncio.create_task(as_coroutine(upload(client)))
        await step.event.wait()
        async with asyncio.timeout(2):
            await client.aclose()
        with pytest.raises(MlmsgError, match="closed"):
            await task
        await assert_closed(server)


async def test_a_finished_exchange_leaves_no_bytes_to_send_on_an_idle_connection() -> None:
    """The system decides how much it buffers, so this test drives the class itself."""
    here, there = socket.socketpair()
    loop = asyncio.get_running_loop()
    with there:
        transport, protocol = await loop.create_connection(lambda: ResponseHandler(loop), sock=here)
        transport.write(bytes(LARGE))
        connections = ExchangeConnections()
        connections.add(protocol)
        connections.finish()
        assert transport.is_closing()
        await asyncio.sleep(0)
        assert here.fileno() == -1


async def test_a_socket_that_does_not_tell_its_times_ends_no_timer() -> None:
    """Not every system answers as Linux does, also where it calls itself so."""
    exchange = ExchangeConnections()
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ExchangeConnections, "get_socket", lambda _: ours)
        running = RunningExchanges(0.05)
        exchange.waiting_since = 0.0
        failed = asyncio.get_running_loop().create_future()
        patch.setattr(ExchangeConnections, "fail", lambda _, error: failed.set_result(error))
        running.add(exchange)
        async with asyncio.timeout(5):
            assert isinstance(await failed, aiohttp.SocketTimeoutError)
        running.discard(exchange)
        running.abort()


async def test_a_read_timeout_shorter_than_its_confirmation_ends_the_call() -> None:
    released = asyncio.Event()

    async def stay_silent(peer: Peer) -> None:
        await peer.request()
        await released.wait()

    timeouts = Timeouts(read=0.001)
    async with raw_server(stay_silent) as server:
        async with Client("t", base_url=server.url, timeout=timeouts, retry=ONCE) as client:
            async with asyncio.timeout(5):
                with pytest.raises(MlmsgError, match="read timeout"):
                    await read_page(client)
        released.set()
