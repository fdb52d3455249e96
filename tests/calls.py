"""Calls that tests make, with the client, the raw server and the token that belong to them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from rawserver import RawServer, Step, answers, in_turn, raw_server

from mlmsg import Client, RetryPolicy, Timeouts
from mlmsg.auth import TokenLike
from mlmsg.errors import RequestLine

TOKEN = "a-token-that-stays-inside"
"""The access token of a client of a raw server; it must never be shown."""

PACK_ID = 2000007001000011
"""A pack of the example market, of 14 messages; raw servers accept any."""

SELLER_ID = 700100200
"""The seller of the example market."""

PAGE = b'{"messages": [{"id": "m1"}]}'
"""The body of a page of one message."""

MIB = 1024 * 1024

REQUEST_LINE = RequestLine("packs.page", "GET", "/marketplace/messages/packs/1")

AT_ONCE = RetryPolicy(base=0.0)
"""Retry as the default policy does, without the waits."""

ONCE = RetryPolicy(attempts=1)
"""Never retry."""

Call = Callable[[Client], Awaitable[object]]

answer_page = answers(200, PAGE)


def read_page(client: Client) -> Awaitable[object]:
    return client.packs.page(PACK_ID)


def send(client: Client) -> Awaitable[object]:
    return client.packs.send(PACK_ID, "Hola")


def upload(client: Client) -> Awaitable[object]:
    return client.attachments.upload(b"data", site_id="MLM", filename="a.bin")


async def download(
    client: Client, attachment_id: int | str = "a.bin", site_id: str = "MLM"
) -> bytes:
    async with client.attachments.open(attachment_id, site_id=site_id) as opened:
        return await opened.read()


async def download_of_claim(client: Client, claim_id: int | str, file_name: str) -> bytes:
    async with client.claims.open(claim_id, file_name) as opened:
        return await opened.read()


async def as_coroutine(call: Awaitable[object]) -> object:
    """Await the call, so that `create_task` accepts any awaitable."""
    return await call


async def cancel(*tasks: asyncio.Task[object]) -> None:
    """Cancel the tasks, and check that each one ends as cancelled."""
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} == {asyncio.CancelledError}


@asynccontextmanager
async def open_client(
    server: RawServer,
    token: TokenLike = TOKEN,
    *,
    retry: RetryPolicy = AT_ONCE,
    timeout: float | Timeouts = 5.0,
    max_connections: int = 1,
) -> AsyncIterator[Client]:
    """Open a client with a single slot, so that a leaked slot is noticed at once; end hangs."""
    async with (
        asyncio.timeout(5),
        Client(
            token,
            base_url=server.url,
            retry=retry,
            timeout=timeout,
            max_connections=max_connections,
        ) as client,
    ):
        yield client


@asynccontextmanager
async def connect(
    script: Step,
    *,
    attempts: int = 1,
    timeout: float | Timeouts = 5.0,
    max_connections: int = 1,
    slow: bool = False,
) -> AsyncIterator[tuple[Client, RawServer]]:
    """Run a raw server with this script, and open a client of it."""
    retry = RetryPolicy(attempts=attempts, base=0.0)
    async with (
        raw_server(script, slow=slow) as server,
        open_client(
            server, retry=retry, timeout=timeout, max_connections=max_connections
        ) as client,
    ):
        yield client, server


def connect_in_turn(*steps: Step) -> AbstractAsyncContextManager[tuple[Client, RawServer]]:
    """Run a raw server that answers its requests with these steps, and open a client of it."""
    return connect(in_turn(*steps), attempts=AT_ONCE.attempts)
