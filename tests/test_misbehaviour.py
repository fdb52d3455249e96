"""Servers that break the protocol: a clear error, in bounded time and memory."""

import asyncio
import gzip
import socket
import sys
import time
import tracemalloc
from contextlib import nullcontext

import pytest
from calls import MIB, PAGE, TOKEN, Call, as_coroutine, connect, download, read_page, send
from rawserver import Endless, Peer, Step, answers, each, in_turn, sends

from mlmsg import (
    ApiError,
    Client,
    DecodeError,
    MlmsgError,
    OutcomeUnknown,
    ServerError,
    TimedOut,
    Timeouts,
    TransportError,
)

KIB = 1024


HEAD = b"HTTP/1.1 200 OK\r\n"
GOOD_HEAD = HEAD + b"Content-Length: %d\r\n\r\n" % len(PAGE)
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

# --- answers that are cut, or are none -----------------------------------------------------

BROKEN = {
    "reset before the answer": sends(b"", reset=True),
    "reset in the headers": sends(HEAD + b"Content-Ty", reset=True),
    "reset in the body": sends(HEAD + b"Content-Length: 28\r\n\r\n" + PAGE[:9], reset=True),
    "closed in the body": sends(HEAD + b"Content-Length: 28\r\n\r\n" + PAGE[:9]),
    "closed in a chunk": sends(CHUNKED + b"1c\r\n" + PAGE[:9]),
    "closed after a chunk": sends(CHUNKED + b"1c\r\n" + PAGE + b"\r\n"),
    "no size of a chunk": sends(CHUNKED + b"zz\r\n" + PAGE + b"\r\n0\r\n\r\n"),
    "more announced than sent": sends(HEAD + b"Content-Length: 99\r\n\r\n" + PAGE),
    "two lengths": sends(HEAD + b"Content-Length: 28\r\nContent-Length: 5\r\n\r\n" + PAGE),
    "no number for a length": sends(HEAD + b"Content-Length: many\r\n\r\n" + PAGE),
    "a negative length": sends(HEAD + b"Content-Length: -1\r\n\r\n" + PAGE),
    "another protocol": sends(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "a status of two digits": sends(b"HTTP/1.1 20 OK\r\n\r\n"),
    "nonsense": sends(b"\x00\xff\x16\x03\r\n\r\n\r\n"),
    "a header without a colon": sends(HEAD + b"nonsense\r\n\r\n"),
    "no gzip in spite of its header": answers(200, PAGE, "Content-Encoding: gzip"),
}


@pytest.mark.parametrize("step", BROKEN.values(), ids=BROKEN)
async def test_a_broken_answer_to_a_read_is_a_failure_of_the_network(step: Step) -> None:
    async with connect(each(step)) as (client, _server):
        with pytest.raises(TransportError) as caught:
            await client.packs.page(1)
    assert caught.value.request is not None
    assert caught.value.request.operation == "packs.page"
    assert caught.value.sent


@pytest.mark.parametrize("step", BROKEN.values(), ids=BROKEN)
async def test_a_broken_answer_to_a_read_is_made_good_by_the_next(step: Step) -> None:
    failing = True

    async def script(peer: Peer) -> None:
        nonlocal failing
        await peer.request()
        met, failing = (step if failing else answers(200, PAGE)), False
        await met(peer)

    async with connect(script, attempts=2) as (client, _server):
        thread = await client.packs.page(1)
    assert [message.id for message in thread.messages] == ["m1"]


async def test_a_reset_after_the_whole_answer_does_no_harm() -> None:
    async def step(peer: Peer) -> None:
        await peer.answer(200, PAGE)
        await read.wait()
        peer.reset()

    read = asyncio.Event()
    async with connect(each(step), attempts=2) as (client, server):
        for _ in range(2):
            await client.packs.page(1)
            read.set()
    assert server.requests == 2


@pytest.mark.parametrize("length", [0, 5, 27])
async def test_an_answer_that_is_longer_than_announced_is_not_made_up(length: int) -> None:
    script = each(answers(200, PAGE, length=length))
    async with connect(script) as (client, _server):
        # Which of them depends on when the bytes that are too many arrive.
        with pytest.raises((DecodeError, TransportError)):
            await client.packs.page(1)


async def test_an_unsolicited_response_answers_no_call() -> None:
    """Bytes after the end of a response do not answer the next call."""
    stray = b'HTTP/1.1 200 OK\r\nContent-Length: 31\r\n\r\n{"messages": [{"id": "stray"}]}'

    async def script(peer: Peer) -> None:
        await peer.request()
        if len(server.peers) == 1:
            await peer.send(HEAD + b"Content-Length: 28\r\n\r\n" + PAGE + stray)
        else:
            await peer.answer(200, PAGE)
        while (await peer.request())[0]:
            await peer.answer(200, PAGE)

    async with connect(script, attempts=2) as (client, server):
        await client.packs.page(1)
        thread = await client.packs.page(2)
    assert [message.id for message in thread.messages] == ["m1"]


# --- answers without end -------------------------------------------------------------------


@pytest.mark.parametrize("call", [read_page, send, download], ids=["read", "send", "download"])
@pytest.mark.parametrize(
    ("start", "block"),
    [
        (HEAD, b"X-More: and more\r\n" * 64),
        (HEAD + b"X-Long: ", b"x" * KIB),
        (b"HTTP/1.1 200 ", b"x" * KIB),
    ],
    ids=["headers", "one header", "a reason"],
)
async def test_headers_without_end_are_not_read_for_ever(
    start: bytes, block: bytes, call: Call
) -> None:
    step = Endless(start, block)
    async with connect(each(step)) as (client, _server):
        with pytest.raises(OutcomeUnknown if call is send else TransportError):
            await call(client)
    assert step.sent < 8 * MIB


@pytest.mark.parametrize(
    "start", [HEAD + b"\r\n", HEAD + b"Content-Length: 99999999999\r\n\r\n"], ids=["", "announced"]
)
async def test_json_without_end_is_read_up_to_a_limit(start: bytes) -> None:
    step = Endless(start + b'{"messages": [', b'{"id": "m1"},' * 5_000)
    async with connect(each(step)) as (client, _server):
        with pytest.raises(DecodeError, match="larger than") as caught:
            await client.packs.page(1)
    assert len(caught.value.body) == 64 * KIB
    assert step.sent < 40 * MIB


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "status", "kind"),
    [
        (read_page, 200, DecodeError),
        (read_page, 500, ServerError),
        (send, 201, None),
        (send, 400, ApiError),
    ],
    ids=["a page", "an error", "a send", "a refused send"],
)
async def test_a_small_answer_that_unpacks_to_a_huge_one_is_not_unpacked(
    call: Call, status: int, kind: type[MlmsgError] | None
) -> None:
    bomb = gzip.compress(bytes(300 * MIB), 1)
    script = each(answers(status, bomb, "Content-Encoding: gzip"))
    async with connect(script) as (client, _server):
        tracemalloc.start()
        try:
            with pytest.raises(kind) if kind else nullcontext():
                await call(client)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 80 * MIB


@pytest.mark.parametrize("call", [read_page, download], ids=["read", "download"])
@pytest.mark.parametrize("status", [404, 500])
async def test_of_an_error_without_end_the_first_64_kib_are_kept(status: int, call: Call) -> None:
    start = f"HTTP/1.1 {status} No\r\n\r\n".encode()
    step = Endless(start, b"x" * KIB)
    async with connect(each(step)) as (client, _server):
        with pytest.raises(ApiError) as caught:
            await call(client)
    assert caught.value.status == status
    assert caught.value.body == b"x" * 64 * KIB
    assert step.sent < 8 * MIB


@pytest.mark.parametrize("data", [b"", b"partial"], ids=["nothing", "a part"])
async def test_of_an_error_that_is_cut_what_came_is_kept(data: bytes) -> None:
    start = b"HTTP/1.1 404 No\r\nContent-Length: 99\r\n\r\n"
    async with connect(each(sends(start + data))) as (client, _server):
        with pytest.raises(ApiError) as caught:
            await client.packs.page(1)
    assert (caught.value.status, caught.value.body) == (404, data)


# --- slow ones -----------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_response_that_drips_faster_than_the_timeout_is_read() -> None:
    async def drip(peer: Peer) -> None:
        await peer.send(HEAD + b"Content-Length: 28\r\n\r\n")
        for start in range(0, len(PAGE), 2):
            await asyncio.sleep(0.05)
            await peer.send(PAGE[start : start + 2])

    async with connect(each(drip), timeout=Timeouts(connect=5, read=0.4)) as (
        client,
        _server,
    ):  # 0.7 s in all
        thread = await client.packs.page(1)
    assert len(thread.messages) == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when bytes arrived")
@pytest.mark.parametrize("call", [read_page, send, download], ids=["read", "send", "download"])
async def test_a_head_that_drips_faster_than_the_timeout_is_read(call: Call) -> None:
    async def drip(peer: Peer) -> None:
        for byte in HEAD + b"Content-Length: 28\r\n\r\n":
            await asyncio.sleep(0.02)
            await peer.send(bytes([byte]))
        await peer.send(PAGE)

    async with connect(each(drip), timeout=Timeouts(connect=5, read=0.4)) as (client, _server):
        await call(client)  # 0.8 s in all


@pytest.mark.slow
@pytest.mark.parametrize("call", [read_page, send, download], ids=["read", "send", "download"])
async def test_each_call_has_the_whole_timeout(call: Call) -> None:
    """One timer serves the small calls, and none of them is ended with an earlier one."""
    read, loop = 0.2, asyncio.get_running_loop()

    async def silence(peer: Peer) -> None:
        await peer.rest()

    async def seconds(client: Client, delay: float) -> float:
        await asyncio.sleep(delay)
        start = loop.time()
        with pytest.raises((TimedOut, OutcomeUnknown)):
            await call(client)
        return loop.time() - start

    brief = Timeouts(connect=5, read=read)
    async with connect(silence, timeout=brief, max_connections=9) as (client, _server):
        delays = [number * read / 3 for number in range(7)]
        times = await asyncio.gather(*(seconds(client, delay) for delay in delays))
    assert min(times) >= read
    assert max(times) < 10 * read


@pytest.mark.parametrize("size", [0, len(GOOD_HEAD)], ids=["whole", "body"])
async def test_an_answer_that_came_while_the_event_loop_was_blocked_is_read(size: int) -> None:
    """The timeout has passed as well, but nobody could read."""
    answer = GOOD_HEAD + PAGE
    other_ends: asyncio.Queue[socket.socket] = asyncio.Queue()

    async def hand_out(peer: Peer) -> None:
        own: socket.socket = peer._writer.get_extra_info("socket")
        await peer.send(answer[:size])
        await asyncio.sleep(0.01)  # it is read by the client's event loop, which is ours
        await other_ends.put(socket.socket(fileno=socket.dup(own.fileno())))
        await peer.rest()

    async with connect(each(hand_out), timeout=Timeouts(connect=5, read=0.05)) as (client, _server):
        reading = asyncio.create_task(as_coroutine(read_page(client)))
        with await other_ends.get() as other_end:
            other_end.setblocking(True)
            other_end.sendall(answer[size:])
            time.sleep(0.1)  # noqa: ASYNC251  (it is blocked)
            await reading


STALLED = {
    "before the answer": b"",
    "in the headers": HEAD,
    "in the body": HEAD + b"Content-Length: 9\r\n\r\n{",
}


@pytest.mark.parametrize("call", [read_page, send, download], ids=["read", "send", "download"])
@pytest.mark.parametrize("where", STALLED)
async def test_an_answer_that_stops_coming_is_given_up(where: str, call: Call) -> None:
    async def stall(peer: Peer) -> None:
        await peer.send(STALLED[where])
        await peer.rest()

    accepted = call is send and where == "in the body"  # by its status alone
    async with connect(each(stall), timeout=Timeouts(connect=5, read=0.05)) as (client, _server):
        with nullcontext() if accepted else pytest.raises((TimedOut, OutcomeUnknown)) as caught:
            await call(client)
    if caught is not None:
        error = caught.value.__cause__ if call is send else caught.value
        assert isinstance(error, TimedOut)
        assert isinstance(error, TimeoutError)


# --- a kept connection that dies -----------------------------------------------------------


@pytest.mark.parametrize("end", [sends(b""), sends(b"", reset=True)], ids=["closed", "reset"])
@pytest.mark.parametrize("idle", [True, False], ids=["while idle", "with the next request"])
@pytest.mark.parametrize("call", [read_page, send], ids=["read", "send"])
async def test_a_kept_connection_that_dies(end: Step, call: Call, *, idle: bool) -> None:
    """A read works on. A send works or has an unknown outcome, and never happens twice."""
    first, dead, carried_out = asyncio.Event(), asyncio.Event(), 0

    async def script(peer: Peer) -> None:
        nonlocal carried_out
        await peer.request()
        carried_out += first.is_set()
        await peer.answer(200, PAGE)
        if not first.is_set():
            await (first.wait() if idle else peer.request())
            carried_out += not idle
            await end(peer)
            dead.set()

    async with connect(script, attempts=2) as (client, _server):
        await client.packs.page(1)
        first.set()
        if idle:
            await dead.wait()
        unknown = False
        try:
            await call(client)
        except OutcomeUnknown:
            unknown = True
    if call is read_page:
        assert not unknown
    else:
        assert carried_out == 1 or (unknown and carried_out == 0)
        assert unknown or idle


# --- bodies that are not what they should be -----------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html><h1>Login</h1></html>", id="HTML"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"messages": [', id="half of it"),
        pytest.param(b'{"messages": [{"id": "\xe1\xff"}]}', id="not UTF-8"),
        pytest.param(b"[" * 50_000, id="nested too deep"),
        pytest.param(b'{"paging": {}}', id="no messages"),
        pytest.param(b'{"messages": [{"text": "no id"}]}', id="no id"),
    ],
)
async def test_a_page_that_cannot_be_read_keeps_its_body_and_is_not_repeated(body: bytes) -> None:
    script = in_turn(answers(200, body, "Content-Type: text/html"))
    async with connect(script, attempts=4) as (client, server):
        with pytest.raises(DecodeError) as caught:
            await client.packs.page(1)
    assert caught.value.body == body[: 64 * KIB]
    assert caught.value.request is not None
    assert caught.value.request.operation == "packs.page"
    assert server.requests == 1


@pytest.mark.parametrize("body", [b"caf\xe9", b'{"message": "caf\xe9"}', b"\xff\xfe\x00"], ids=repr)
async def test_an_error_that_is_not_utf_8_keeps_its_bytes(body: bytes) -> None:
    async with connect(each(answers(400, body))) as (client, _server):
        with pytest.raises(ApiError) as caught:
            await client.packs.page(1)
    assert caught.value.body == body
    assert "caf" in str(caught.value) or body[0] == 0xFF


async def test_a_response_without_end_is_an_error_without_a_token() -> None:
    endless = b'{"messages":"' + TOKEN.encode() + b"x" * (17 * 1024 * 1024)
    script = each(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + endless))
    async with connect(script) as (one, _):
        with pytest.raises(DecodeError, match="larger than") as caught:
            await one.packs.page(1)
    assert TOKEN.encode() not in caught.value.body
