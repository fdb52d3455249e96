"""A certificate that cannot be verified is an error of its own, and is not tried again."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from calls import PAGE, TOKEN, Call, download, read_page, send, upload
from rawserver import Peer, answers, each, in_turn, raw_server
from relays import relay, serving
from tls import authority, client_context, context_with, server_context

from mlmsg import CertificateError, Client, MlmsgError, RetryPolicy, TransportError

PATIENT = RetryPolicy(attempts=4, base=0)


def expired() -> ssl.SSLContext:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return context_with(authority().issue_cert("127.0.0.1", not_after=yesterday))


def other_authority() -> ssl.SSLContext:
    return context_with(trustme.CA().issue_cert("127.0.0.1"))


def other_host() -> ssl.SSLContext:
    return server_context("api.example")


BAD: dict[str, tuple[Callable[[], ssl.SSLContext], str]] = {
    "expired": (expired, "certificate has expired"),
    "another CA": (other_authority, "(unable to get local issuer|self-signed) certificate"),
    "another host": (other_host, "IP address mismatch"),
}
CALLS = {"page": read_page, "send": send, "upload": upload, "download": download}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(("make", "problem"), BAD.values(), ids=BAD)
async def test_a_bad_certificate(
    make: Callable[[], ssl.SSLContext], problem: str, call: Call
) -> None:
    connections = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        hello = await reader.read(1000)
        assert TOKEN.encode() not in hello
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", server.port)
        there_writer.write(hello)
        await relay(reader, there_writer, there_reader, writer)

    async with raw_server(each(answers(200, PAGE)), tls=make()) as server, serving(count) as port:
        url = f"https://127.0.0.1:{port}"
        async with Client(TOKEN, base_url=url, ssl=client_context(), retry=PATIENT) as client:
            with pytest.raises(CertificateError, match=problem) as caught:
                await call(client)
    assert not caught.value.sent
    assert "pass ssl=" in str(caught.value)
    assert connections == 1
    assert server.requests == 0


async def test_the_system_trusts_no_private_authority() -> None:
    """Without `ssl=` the CA of the tests is an unknown one."""
    async with (
        raw_server(each(answers(200, PAGE)), tls=server_context()) as server,
        Client(TOKEN, base_url=server.url, retry=PATIENT) as client,
    ):
        with pytest.raises(CertificateError):
            await client.packs.page(1)


async def test_a_good_certificate_of_a_private_authority() -> None:
    async with (
        raw_server(in_turn(answers(200, PAGE)), tls=server_context()) as server,
        Client(TOKEN, base_url=server.url, ssl=client_context()) as client,
    ):
        await client.packs.page(1)


async def test_a_redirect_to_a_bad_certificate() -> None:
    async with raw_server(each(answers(200, PAGE)), tls=other_host()) as bad:
        script = in_turn(answers(302, b"", f"Location: {bad.url}/file"))
        async with (
            raw_server(script, tls=server_context()) as server,
            Client(TOKEN, base_url=server.url, ssl=client_context(), retry=PATIENT) as client,
        ):
            with pytest.raises(CertificateError):
                await download(client)
    assert server.requests == 1
    assert bad.requests == 0


async def hang_up(peer: Peer) -> None:
    await peer.body(1)
    peer.reset()


async def plain_http(peer: Peer) -> None:
    await peer.body(1)
    await peer.answer(400)


@pytest.mark.parametrize("script", [hang_up, plain_http])
async def test_a_handshake_that_fails_in_another_way_is_tried_again(
    script: Callable[[Peer], Awaitable[None]],
) -> None:
    async with raw_server(script) as server:
        url = server.url.replace("http:", "https:")
        async with Client(TOKEN, base_url=url, retry=PATIENT) as client:
            with pytest.raises(TransportError, match="no connection") as caught:
                await client.packs.send(1, "Hola")
    assert not caught.value.sent
    assert not isinstance(caught.value, CertificateError)
    assert len(server.peers) == 4


async def test_the_token_waits_for_the_handshake() -> None:
    """Not one byte of a request is sent before the certificate is known."""
    first: list[bytes] = []

    async def script(peer: Peer) -> None:
        first.append(await peer.body(200))

    async with raw_server(script) as server:
        url = server.url.replace("http:", "https:")
        async with Client(TOKEN, base_url=url, retry=RetryPolicy(attempts=1)) as client:
            with pytest.raises(MlmsgError):
                await client.packs.send(1, "Hola")
    assert b"HTTP/1.1" not in first[0]
