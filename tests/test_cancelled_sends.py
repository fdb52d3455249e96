"""A send that is cancelled says whether its message may have been delivered."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeAlias

import pytest
from calls import TOKEN
from rawserver import Peer, raw_server

from mlmsg import ClaimMessage, Client, Message, OutcomeUnknown
from mlmsg.sandbox import Fault, Sandbox

TEXT: Final = "Sale mañana."
NOTE: Final = "the message may have been delivered: read the thread before you send again"

Send: TypeAlias = Callable[[Client, Sandbox], Awaitable[object]]


def pack_of(sandbox: Sandbox) -> str:
    return next(iter(sandbox.market.packs))


def send_to_pack(client: Client, sandbox: Sandbox) -> Awaitable[object]:
    return client.packs.send(pack_of(sandbox), TEXT)


def send_to_claim(client: Client, sandbox: Sandbox) -> Awaitable[object]:
    claim = next(iter(sandbox.market.claims))
    return client.claims.send(claim, TEXT, receiver_role="complainant")


def send_reason(client: Client, sandbox: Sandbox) -> Awaitable[object]:
    market = sandbox.market
    pack = market.add_pack(site_id="MLM")
    market.block(pack.id, "blocked_by_conversation_initiated_by_seller_limited")
    return client.reasons.send(pack.id, "OTHER", text=TEXT)


SENDS: Final[dict[str, tuple[Send, type]]] = {
    "packs.send": (send_to_pack, Message),
    "claims.send": (send_to_claim, ClaimMessage),
    "reasons.send": (send_reason, Message),
}


async def arrived(sandbox: Sandbox) -> None:
    """Wait until a request has arrived."""
    while not sandbox.requests:  # noqa: ASYNC110  (the sandbox has no event for it)
        await asyncio.sleep(0)


async def cancelled(sending: Awaitable[object], ready: Awaitable[object]) -> BaseException:
    """Cancel a send when `ready` is done, and return its error."""
    task = asyncio.ensure_future(sending)
    await ready
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value


@pytest.mark.parametrize("action", ["pass", "drop"])
@pytest.mark.parametrize("name", SENDS)
async def test_a_cancelled_send_that_was_sent_can_be_reconciled(
    name: str,
    action: Literal["pass", "drop"],
    sandbox: Sandbox,
    client: Client,
    caplog: pytest.LogCaptureFixture,
) -> None:
    send, kind = SENDS[name]
    sandbox.inject(Fault(action=action, method="POST", delay=60))
    with caplog.at_level(logging.WARNING, "mlmsg"):
        error = await cancelled(send(client, sandbox), arrived(sandbox))
    assert type(error) is asyncio.CancelledError
    assert error.__notes__ == [NOTE]
    assert [record.getMessage() for record in caplog.records] == [
        "a send was cancelled; its message may have been delivered"
    ]
    unknown = OutcomeUnknown.find_in(error)
    assert unknown is not None
    found = await unknown.reconcile()
    assert isinstance(found, kind) if action == "pass" else found is None


async def test_a_timeout_leads_to_the_cancellation(sandbox: Sandbox, client: Client) -> None:
    sandbox.inject(Fault(action="pass", method="POST", delay=60))

    async def send() -> None:
        async with asyncio.timeout(None) as limit:
            task = asyncio.ensure_future(send_to_pack(client, sandbox))
            await arrived(sandbox)
            limit.reschedule(asyncio.get_running_loop().time())
            await task

    with pytest.raises(TimeoutError) as caught:
        await send()
    cause = caught.value.__context__  # in later Pythons than 3.11.2 also the cause
    assert isinstance(cause, asyncio.CancelledError)
    assert cause.__notes__ == [NOTE]
    unknown = OutcomeUnknown.find_in(caught.value)
    assert unknown is not None
    assert isinstance(await unknown.reconcile(), Message)


async def test_a_send_that_was_not_sent_says_nothing(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """It waits for the only connection, which another call uses."""
    sandbox.inject(Fault(action="drop", method="GET", delay=60))
    async with Client(sandbox.token, base_url=sandbox.url, max_connections=1) as client:
        reading = asyncio.ensure_future(client.packs.page(pack_of(sandbox)))
        await arrived(sandbox)
        error = await cancelled(send_to_pack(client, sandbox), asyncio.sleep(0))
        reading.cancel()
        await asyncio.wait([reading])
    assert OutcomeUnknown.find_in(error) is None
    assert not hasattr(error, "__notes__")
    assert caplog.records == []


async def test_a_send_that_waits_for_its_connection_says_nothing() -> None:
    """The server accepts the connection, and never answers the handshake of TLS."""
    silent = asyncio.Event()

    async def wait(peer: Peer) -> None:
        silent.set()
        await peer.rest()

    async with raw_server(wait) as server:
        url = server.url.replace("http:", "https:")
        async with Client(TOKEN, base_url=url) as client:
            sending = client.packs.send(1, TEXT)
            error = await cancelled(sending, silent.wait())
    assert OutcomeUnknown.find_in(error) is None
    assert not hasattr(error, "__notes__")


async def test_a_cancelled_read_says_nothing(sandbox: Sandbox, client: Client) -> None:
    sandbox.inject(Fault(action="drop", method="GET", delay=60))
    error = await cancelled(client.packs.page(pack_of(sandbox)), arrived(sandbox))
    assert OutcomeUnknown.find_in(error) is None
    assert not hasattr(error, "__notes__")
