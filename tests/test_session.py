"""The session: what is tried again and what never, tokens, connections, cancellation."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from calls import (
    PAGE,
    TOKEN,
    Call,
    answer_page,
    as_coroutine,
    cancel,
    connect,
    download,
    open_client,
    read_page,
    send,
)
from rawserver import Peer, RawServer, Step, answers, each, in_turn, raw_server, sends

from mlmsg import (
    ApiError,
    MlmsgError,
    OutcomeUnknown,
    RateLimited,
    RetryPolicy,
    ServerError,
    Timeouts,
    TransportError,
)


async def reset(peer: Peer) -> None:
    peer.reset()


CUT_BODY = b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"messages": ['
CUT_CHUNK = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"mess'

LOST = {
    "reset": reset,
    "closed without an answer": sends(b""),
    "cut in the status line": sends(b"HTTP/1.1 20"),
    "cut in the headers": sends(b"HTTP/1.1 200 OK\r\nContent-Type: application/js"),
    "no HTTP at all": sends(b"220 mail.example ESMTP\r\n\r\n"),
}

# --- what is tried again -------------------------------------------------------------------

PASSING = {
    **LOST,
    "500": answers(500),
    "429": answers(429, b"slow down", "Retry-After: 0"),
    "body cut": sends(CUT_BODY),
    "chunks cut": sends(CUT_CHUNK),
}


@pytest.mark.parametrize("step", PASSING.values(), ids=PASSING)
async def test_a_read_is_retried(step: Step) -> None:
    async with raw_server(in_turn(step, answer_page)) as server, open_client(server) as client:
        thread = await client.packs.page(1)
    assert [message.id for message in thread.messages] == ["m1"]
    assert server.requests == 2


async def test_a_read_raises_its_last_failure() -> None:
    script = in_turn(answers(500), sends(CUT_BODY), answers(502))
    retry = RetryPolicy(attempts=3, base=0)
    async with raw_server(script) as server, open_client(server, retry=retry) as client:
        with pytest.raises(ServerError) as caught:
            await client.packs.page(1)
    assert (caught.value.status, caught.value.attempts) == (502, 3)


@pytest.mark.parametrize("step", LOST.values(), ids=LOST)
async def test_one_attempt_of_a_read_is_one_request(step: Step) -> None:
    once = RetryPolicy(attempts=1)
    async with raw_server(each(step)) as server, open_client(server, retry=once) as client:
        with pytest.raises(TransportError):
            await client.packs.page(1)
    assert server.requests == 1


def in_an_hour() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


@pytest.mark.parametrize("call", [read_page, send], ids=["read", "send"])
@pytest.mark.parametrize(
    ("asked", "deadline"),
    [("61", None), ("11", 10.0), (in_an_hour(), None)],
    ids=["over the cap", "over the deadline", "a date"],
)
async def test_a_wait_that_is_too_long_is_not_begun(
    asked: str, deadline: float | None, call: Call
) -> None:
    """It fails with the first answer: a wait of no length would have met the second one."""
    retry = RetryPolicy(base=0, max_retry_after=60, deadline=deadline)
    script = in_turn(answers(429, b"", f"Retry-After: {asked}"), answer_page)
    async with raw_server(script) as server, open_client(server, retry=retry) as client:
        with pytest.raises(RateLimited) as caught:
            await call(client)
    assert caught.value.headers["retry-after"] == asked
    assert server.requests == 1


@pytest.mark.parametrize("asked", ["0", "0.0", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", ""])
@pytest.mark.parametrize("call", [read_page, send], ids=["read", "send"])
async def test_no_delay_is_requested(asked: str, call: Call) -> None:
    script = in_turn(answers(429, b"", f"Retry-After: {asked}"), answers(200, PAGE))
    async with raw_server(script) as server, open_client(server) as client:
        await call(client)
    assert server.requests == 2


# --- a send --------------------------------------------------------------------------------


@pytest.mark.parametrize("step", LOST.values(), ids=LOST)
async def test_a_send_whose_answer_is_lost_is_never_repeated(step: Step) -> None:
    async with raw_server(in_turn(step)) as server, open_client(server) as client:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.packs.send(1, "Hola")
    assert isinstance(caught.value.__cause__, TransportError)
    assert caught.value.__cause__.sent
    assert server.requests == 1


async def test_a_send_whose_answer_does_not_come_in_time_is_never_repeated() -> None:
    brief = Timeouts(read=0.05)
    async with raw_server(in_turn(silence)) as server, open_client(server, timeout=brief) as client:
        with pytest.raises(OutcomeUnknown, match="time"):
            await client.packs.send(1, "Hola")
    assert server.requests == 1


async def silence(peer: Peer) -> None:
    await peer.rest()


@pytest.mark.parametrize("call", [read_page, send], ids=["read", "send"])
async def test_a_refused_connection_is_tried_again(call: Call) -> None:
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        await peer.request()
        await peer.answer(200, PAGE)
        await peer.rest()
        await peer.close()

    async def token() -> str:
        nonlocal asked
        asked += 1
        if asked == 3:
            await server.start_serving()
        return TOKEN

    # Bound, but not listening until the third attempt.
    server = await asyncio.start_server(serve, "127.0.0.1", 0, start_serving=False)
    state = RawServer()
    state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, open_client(state, token) as client:
        await call(client)
    assert asked == 3


async def test_a_send_under_way_when_the_client_closes_has_an_unknown_outcome() -> None:
    step = Reached()
    async with raw_server(each(step)) as server, open_client(server) as client:
        task = asyncio.create_task(client.packs.send(1, "Hola"))
        await step.event.wait()
        await client.aclose()
        with pytest.raises(OutcomeUnknown):
            await task


async def test_a_send_that_never_left_says_so() -> None:
    async with raw_server(reset) as server:
        pass
    async with open_client(server) as client:
        with pytest.raises(TransportError) as caught:
            await client.packs.send(1, "Hola")
    assert not caught.value.sent


GARBAGE = {
    "body cut": sends(CUT_BODY),
    "chunks cut": sends(CUT_CHUNK),
    "no JSON": answers(201, b"status 201 created"),
    "not UTF-8": answers(201, b'{"id": "\xff"}'),
    "another shape": answers(200, b'[{"id": [1]}, 2]'),
    "an empty array": answers(200, b"[]"),
    "no gzip": answers(201, b"plain", "Content-Encoding: gzip"),
    "nested too deep": answers(201, b"[" * 60_000),
    "larger than what is read": answers(201, b"x" * 1_000_000),
}


@pytest.mark.parametrize("step", GARBAGE.values(), ids=GARBAGE)
async def test_an_accepted_send_is_sent_whatever_its_body(step: Step) -> None:
    async with raw_server(in_turn(step, answer_page)) as server, open_client(server) as client:
        sent = await client.packs.send(1, "Hola")
        assert sent.status_code in {200, 201}
        assert sent.id is None
        await client.packs.page(1)


# --- connections and cancellation ----------------------------------------------------------


async def test_no_more_calls_than_connections_run_at_the_same_time() -> None:
    here: list[Peer] = []
    full, gate = asyncio.Event(), asyncio.Event()

    async def held(peer: Peer) -> None:
        here.append(peer)
        if len(here) == 3:
            full.set()
        await gate.wait()
        await peer.answer(200, PAGE)

    async with (
        raw_server(in_turn(*[held] * 8)) as server,
        raw_server(in_turn(answer_page)) as other,
        open_client(server, max_connections=3) as client,
        open_client(other) as aside,
    ):
        calls = asyncio.gather(*(client.packs.page(n) for n in range(8)))
        await full.wait()
        await aside.packs.page(1)  # time enough for a fourth call to arrive
        assert len(here) == 3
        gate.set()
        await calls
    assert len(server.peers) == 3


FAILING = {**LOST, "404": answers(404), "no JSON": answers(200, b"no"), "body cut": sends(CUT_BODY)}


@pytest.mark.parametrize("call", [read_page, send, download], ids=["read", "send", "download"])
@pytest.mark.parametrize("step", FAILING.values(), ids=FAILING)
async def test_a_failed_call_gives_its_slot_back(step: Step, call: Call) -> None:
    once = RetryPolicy(attempts=1)
    failing = True

    async def script(peer: Peer) -> None:
        while (await peer.request())[0]:
            await (step if failing else answer_page)(peer)

    async with raw_server(script) as server, open_client(server, retry=once) as client:
        with suppress(MlmsgError):
            await call(client)
        failing = False
        await client.packs.page(1)


class Reached:
    """A step that says when it was reached, after some bytes, and then leaves the client alone."""

    def __init__(self, data: bytes = b"") -> None:
        self.event = asyncio.Event()
        self._data = data

    async def __call__(self, peer: Peer) -> None:
        await peer.send(self._data)
        self.event.set()
        await peer.rest()


@pytest.mark.parametrize("call", [read_page, send, download], ids=["read", "send", "download"])
@pytest.mark.parametrize(
    "data",
    [b"", b"HTTP/1.1 20", CUT_BODY, CUT_CHUNK],
    ids=["no answer yet", "in the headers", "in the body", "in a chunk"],
)
async def test_a_call_that_is_cancelled_on_the_way_leaves_nothing(data: bytes, call: Call) -> None:
    step = Reached(data)
    async with raw_server(in_turn(step, answer_page)) as server, open_client(server) as client:
        task = asyncio.create_task(as_coroutine(call(client)))
        await step.event.wait()
        await cancel(task)
        await client.packs.page(1)
    assert len(server.peers) == 2  # the first connection is of no use any more


async def test_a_call_that_is_cancelled_while_it_waits_for_a_slot_leaves_nothing() -> None:
    step, asked = Reached(), asyncio.Event()

    async def token() -> str:
        if step.event.is_set():
            asked.set()
        return TOKEN

    async with (
        raw_server(in_turn(step, answer_page)) as server,
        open_client(server, token) as client,
    ):
        first = asyncio.create_task(as_coroutine(client.packs.page(1)))
        await step.event.wait()
        waiting = asyncio.create_task(as_coroutine(client.packs.page(2)))
        await asked.wait()
        await cancel(waiting)
        third = asyncio.create_task(as_coroutine(client.packs.page(3)))
        assert await asyncio.wait({third}, timeout=0.05) == (set(), {third})
        assert server.requests == 1  # there is no slot more than before
        await cancel(first)
        await third
    assert server.requests == 2


async def test_a_call_that_is_cancelled_while_it_connects_leaves_nothing() -> None:
    hello = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.body(1)  # of a TLS handshake that is never answered
        hello.set()
        await peer.rest()

    once = RetryPolicy(attempts=1)
    async with raw_server(script) as server:
        server.url = server.url.replace("http:", "https:")
        async with open_client(server, retry=once, timeout=0.2) as client:
            task = asyncio.create_task(as_coroutine(client.packs.page(1)))
            await hello.wait()
            await cancel(task)
            with pytest.raises(TransportError) as caught:
                await client.packs.send(1, "Hola")
    assert not caught.value.sent


async def test_a_call_that_is_cancelled_between_two_attempts_leaves_nothing() -> None:
    patient = RetryPolicy(base=60, cap=60)
    script = in_turn(answers(503), answer_page)
    async with raw_server(script) as server, open_client(server, retry=patient) as client:
        task = asyncio.create_task(as_coroutine(client.packs.page(1)))
        assert await asyncio.wait({task}, timeout=0.1) == (set(), {task})
        await cancel(task)
        await client.packs.page(1)
    assert server.requests == 2


async def test_the_error_has_the_retry_after_of_the_server() -> None:
    script = each(answers(429, b"", "Retry-After: 4000"))
    async with connect(script) as (one, _):
        with pytest.raises(RateLimited) as caught:
            await one.packs.page(1)
    assert caught.value.retry_after == "4000"
    assert isinstance(caught.value, ApiError)
