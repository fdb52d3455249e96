"""Closing a client ends every wait, and calls inside an open download never wait for each other."""

import asyncio
import gc
import subprocess
import sys
import threading
import warnings

import pytest
from rawserver import Peer, raw_server

from mlmsg import Client, RetryPolicy, Timeouts, TransportError, UsageError
from mlmsg.sandbox import Sandbox

HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + bytes(500)
NEVER = Timeouts(connect=None, read=None, write=None)


async def half_a_file(peer: Peer) -> None:
    await peer.request()
    await peer.send(HALF)
    await asyncio.Event().wait()


async def test_a_call_that_waits_for_a_connection_ends_when_the_client_closes() -> None:
    arrived = asyncio.Event()

    async def silent(peer: Peer) -> None:
        await peer.request()
        arrived.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(5), raw_server(silent) as server:
        client = Client(
            "a-token", base_url=server.url, max_connections=1, retry=RetryPolicy(attempts=1)
        )
        running = asyncio.ensure_future(client.packs.page(1))
        await arrived.wait()
        waiting = [
            asyncio.ensure_future(client.attachments.open("a.png", site_id="MLM").__aenter__()),
            *(asyncio.ensure_future(client.packs.page(1)) for _ in range(2)),
        ]
        await asyncio.sleep(0)
        await client.aclose()
        ended = await asyncio.gather(running, *waiting, return_exceptions=True)
    assert [type(error) for error in ended] == [TransportError] + [UsageError] * 3
    assert {str(error) for error in ended[1:]} == {
        "the client was closed while this call waited for a connection"
    }


async def test_a_reader_ends_when_the_client_closes() -> None:
    begun = asyncio.Event()
    async with asyncio.timeout(5), raw_server(half_a_file) as server:
        client = Client("a-token", base_url=server.url, timeout=NEVER)

        async def read() -> None:
            async with client.attachments.open("a.png", site_id="MLM") as download:
                async for _ in download:
                    begun.set()

        reading = asyncio.create_task(read())
        await begun.wait()
        await client.aclose()
        with pytest.raises(TransportError, match="the client was closed"):
            await reading


async def test_reading_after_the_client_closed_is_an_error_of_ours() -> None:
    async with asyncio.timeout(5), raw_server(half_a_file) as server:
        client = Client("a-token", base_url=server.url, timeout=NEVER)
        async with client.attachments.open("a.png", site_id="MLM") as download:
            await client.aclose()
            with pytest.raises((TransportError, UsageError)):
                await download.read()


async def test_a_saved_download_says_that_the_client_is_closed() -> None:
    begun = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HALF)
        begun.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(5), raw_server(script) as server:
        retry = RetryPolicy(base=0)
        client = Client("a-token", base_url=server.url, timeout=NEVER, retry=retry)
        saving = asyncio.create_task(client.attachments.download("a", "never/", site_id="MLM"))
        await begun.wait()
        await client.aclose()
        with pytest.raises((UsageError, TransportError), match="closed"):
            await saving


async def test_calls_inside_open_downloads_do_not_wait_for_each_other(sandbox: Sandbox) -> None:
    name, pack = next(iter(sandbox.market.files)), next(iter(sandbox.market.packs))
    opening = Client(sandbox.token, base_url=sandbox.url, max_connections=2)
    async with asyncio.timeout(10), opening as client:

        async def copy() -> None:
            async with client.attachments.open(name, site_id="MLM") as download:
                await client.packs.page(pack)
                await client.packs.send(pack, "Hola", files=[download], site_id="MLM")

        await asyncio.gather(*(copy() for _ in range(5)))
    copies = [one for one in sandbox.market.packs[pack].messages if one.text == "Hola"]
    assert len(copies) == 5


async def test_no_more_downloads_are_open_than_connections_are_allowed(sandbox: Sandbox) -> None:
    name = next(iter(sandbox.market.files))
    opening = Client(sandbox.token, base_url=sandbox.url, max_connections=1)
    async with opening as client, client.attachments.open(name, site_id="MLM"):
        second = asyncio.ensure_future(client.attachments.open(name, site_id="MLM").__aenter__())
        await client.packs.page(next(iter(sandbox.market.packs)))
        assert not second.done()
        second.cancel()


def test_a_client_of_a_loop_that_has_ended_closes_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def scenario() -> None:
        client = Client("a-token", base_url="http://127.0.0.1:9", retry=RetryPolicy(attempts=1))

        async def use() -> None:
            with pytest.raises(TransportError):
                await client.packs.page(1)

        asyncio.run(use())
        asyncio.run(client.aclose())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # its sockets ended with the loop
        scenario()
        gc.collect()
    assert "Unclosed" not in caplog.text


async def test_a_client_of_another_living_loop_is_not_closed(
    client: Client, sandbox: Sandbox
) -> None:
    pack = next(iter(sandbox.market.packs))
    await client.packs.page(pack)
    raised: list[Exception] = []

    def elsewhere() -> None:
        try:
            asyncio.run(client.aclose())
        except UsageError as error:
            raised.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    while thread.is_alive():
        await asyncio.to_thread(thread.join, 1)
    assert "in the event loop that it was used in" in str(raised[0])
    await client.packs.page(pack)


FORGOTTEN = """
import asyncio
from mlmsg import Client
from mlmsg.sandbox import Sandbox

async def main():
    async with Sandbox() as sandbox:
        client = Client(sandbox.token, base_url=sandbox.url)
        await client.packs.page(next(iter(sandbox.market.packs)))
        del client

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_client_that_is_never_closed_says_so() -> None:
    """Run in another process, because aiohttp also warns, and late."""
    command = [sys.executable, "-W", "always", "-c", FORGOTTEN]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    first = next(line for line in said.splitlines() if "ResourceWarning" in line)
    assert "ResourceWarning: a Client was never closed; use `async with Client(...)`" in first


async def test_a_client_that_was_closed_or_never_used_says_nothing(sandbox: Sandbox) -> None:
    async def orderly() -> None:
        Client(sandbox.token, base_url=sandbox.url)
        async with Client(sandbox.token, base_url=sandbox.url) as client:
            await client.packs.page(next(iter(sandbox.market.packs)))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await orderly()
        gc.collect()
