"""Servers that misbehave, byte by byte, towards each kind of call.

What a page alone meets is in `test_misbehaviour`. Here a read, a send, an upload, a download and a
refresh of the token meet the same, each behind a client with a single slot that has to work on.
Nothing that is raised or logged shows a secret, though these servers repeat what they were sent.
"""

import asyncio
import logging
import re
import tempfile
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from calls import MIB, Call
from rawserver import Endless, Peer, RawServer, Step, answers, each, raw_server, sends

from mlmsg import (
    BadRequest,
    Client,
    DecodeError,
    MlmsgError,
    OutcomeUnknown,
    RefreshingToken,
    RetryPolicy,
    ServerError,
    TimedOut,
    Timeouts,
    TokenUnavailable,
    TransportError,
)
from mlmsg.auth import TokenLike

TOKEN, SECRET, OLD = "an-access-token-inside", "a-client-secret-inside", "an-old-refresh-inside"
INSIDE = "inside"
"""The end of every secret, and of nothing else."""
ECHO = b"<the secrets of the request>"

GOOD = (
    b'{"messages": [{"id": "m1"}], "id": "1_a.png", "expires_in": 9999, '
    b'"access_token": "a-newer-token-inside", "refresh_token": "a-newer-refresh-inside"}'
)
"""A success of any kind of call."""
HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(GOOD)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"

Reading = Callable[[Peer], Awaitable[object]]
Outcome = tuple[type[MlmsgError] | None, int]
"""The exception that a call raised, and its number of requests."""


async def download(client: Client) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            await client.attachments.download("a.bin", folder, site_id="MLM")
        finally:
            assert [path.read_bytes() for path in Path(folder).iterdir()] in ([], [GOOD])


async def read(client: Client) -> None:
    async with client.attachments.open("a.bin", site_id="MLM") as opened:
        assert GOOD.startswith(await opened.read())


CALLS: dict[str, Call] = {
    "read": lambda client: client.packs.page(1),
    "send": lambda client: client.packs.send(1, "Hola"),
    "upload": lambda client: client.attachments.upload(b"some bytes", site_id="MLM"),
    "download": download,
    "refresh": lambda client: client.packs.page(1),
}
LARGE: dict[str, Call] = {
    "send": lambda client: client.packs.send(1, "Hola" * 80),
    "upload": lambda client: client.attachments.upload(bytes(8 * MIB), site_id="MLM"),
    "refresh": CALLS["refresh"],
}
ONCE = {"send", "refresh"}  # not repeated without proof that it was not executed

each_kind = pytest.mark.parametrize("kind", CALLS)


def at_first(step: Step, reading: Reading = Peer.request) -> Step:
    """Return a script: the step answers the first request once it is read, the others succeed."""
    left = [step]

    async def script(peer: Peer) -> None:
        if left:
            await reading(peer)
            await left.pop()(peer)
        while (await peer.request())[0]:
            await peer.answer(200, GOOD)

    return script


def sends_echo(data: bytes, *, reset: bool = False) -> Step:
    """Return the step that sends bytes and closes; `ECHO` becomes the request's secrets."""

    async def step(peer: Peer) -> None:
        secrets = re.findall(rb"(?<=Bearer |secret=|_token=)[\w-]+inside", peer.received)
        assert secrets
        await sends(data.replace(ECHO, b"; ".join(secrets)), reset=reset)(peer)

    return step


def requests(server: RawServer, kind: str) -> int:
    posts = sum(received.count(b"POST /oauth/token ") for received in server.received)
    return posts if kind == "refresh" else server.requests


async def make_call(
    kind: str, script: Step, call: Call | None = None, *, attempts: int = 2, read: float = 5.0
) -> Outcome:
    """Make a call; return its error and its requests. Check that the next call works."""
    error: BaseException | None = None
    now = [1000.0]
    retry, timeout = RetryPolicy(attempts=attempts, base=0), Timeouts(connect=5, read=read)
    opening = partial(Client, retry=retry, timeout=timeout, max_connections=1)
    async with (
        raw_server(script) as server,
        asyncio.timeout(10),
        opening(token_for(kind, lambda: now[0]), base_url=server.url) as client,
    ):
        try:
            await (call or CALLS[kind])(client)
        except TokenUnavailable as raised:
            assert kind == "refresh"
            error = raised.__cause__
            now[0] += 30  # a refused refresh is not repeated at once
        except MlmsgError as raised:
            error = raised
        came = requests(server, kind)
        thread = await client.packs.page(2)
        assert [message.id for message in thread.messages] == ["m1"]
        if kind == "refresh":  # it is repeated only if it brought nothing
            assert requests(server, kind) == came + (error is not None)
    assert error is None or INSIDE not in shown(error)
    assert error is None or isinstance(error, MlmsgError)
    return type(error) if error else None, came


def token_for(kind: str, clock: Callable[[], float]) -> TokenLike:
    return RefreshingToken(1, SECRET, OLD, clock=clock) if kind == "refresh" else TOKEN


def shown(error: BaseException) -> str:
    """Return everything that an error shows, with the values in its traceback."""
    lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
    return "".join([*lines, str(error), repr(error), repr(vars(error))])


@pytest.fixture(autouse=True)
def nothing_is_logged_of_a_secret(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert INSIDE not in caplog.text


def lost(kind: str) -> Outcome:
    """Return the outcome of a call that may or may not have been executed."""
    if kind in ONCE:
        return OutcomeUnknown if kind == "send" else TransportError, 1
    return None, 2


def refused(kind: str, status: int) -> Outcome:
    """Return the outcome of a call that is answered with that status."""
    if status == 429 or (status >= 500 and kind not in ONCE):
        return None, 2
    if status >= 500:
        return OutcomeUnknown if kind == "send" else ServerError, 1
    return BadRequest, 1


# --- no answer, or none that can be read as one ----------------------------------------------

LOST = {
    "closed without an answer": sends_echo(b""),
    "reset without an answer": sends_echo(b"", reset=True),
    "closed in the status line": sends_echo(b"HTTP/1.1 20"),
    "reset in the headers": sends_echo(HEAD + b"X-Echo: " + ECHO, reset=True),
    "closed in the headers": sends_echo(HEAD + b"X-Echo: " + ECHO + b"\r\n"),
    "another protocol": sends_echo(b"SSH-2.0-" + ECHO + b"\r\n"),
    "nonsense": sends_echo(b"\x00\xff\x16\x03\r\n\r\n\r\n" + ECHO),
    "a status of two digits": sends_echo(b"HTTP/1.1 20 " + ECHO + b"\r\n\r\n"),
    "a header without a colon": sends_echo(HEAD + ECHO + b"\r\n" + LENGTH + GOOD),
    "a header with a zero byte": sends_echo(
        HEAD + b"X-Echo: \x00" + ECHO + b"\r\n" + LENGTH + GOOD
    ),
    "two lengths": sends_echo(HEAD + b"Content-Length: 5\r\n" + LENGTH + GOOD),
    "no number for a length": sends_echo(HEAD + b"Content-Length: " + ECHO + b"\r\n\r\n" + GOOD),
}


@each_kind
@pytest.mark.parametrize("case", LOST)
async def test_an_answer_that_is_lost(case: str, kind: str) -> None:
    assert await make_call(kind, at_first(LOST[case])) == lost(kind)


@each_kind
@pytest.mark.parametrize("size", [0, 20], ids=["at once", "in the request"])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_connection_that_ends_before_the_request_was_read(
    kind: str, size: int, *, reset: bool
) -> None:
    async def reading(peer: Peer) -> None:
        await peer.body(size)

    error, _ = await make_call(kind, at_first(sends(b"", reset=reset), reading))
    assert error is lost(kind)[0]


# --- an answer that is cut -------------------------------------------------------------------

CUT = {
    "reset in the body": sends_echo(HEAD + LENGTH + GOOD[:-9], reset=True),
    "closed in the body": sends_echo(HEAD + LENGTH + GOOD[:-9]),
    "closed before the body": sends_echo(HEAD + LENGTH),
    "closed in a chunk": sends_echo(HEAD + CHUNKED + b"%x\r\n" % len(GOOD) + GOOD[:-9]),
    "closed after a chunk": sends_echo(HEAD + CHUNKED + b"5\r\n" + GOOD[:5] + b"\r\n"),
    "no gzip": answers(200, GOOD, "Content-Encoding: gzip"),
    "reset, no length": sends_echo(HEAD + b"Connection: close\r\n\r\n" + GOOD[:-9], reset=True),
}


@each_kind
@pytest.mark.parametrize("case", CUT)
async def test_a_success_that_is_cut(case: str, kind: str) -> None:
    """A send is one by its status alone; of a refresh there is no knowing what it got."""
    error, came = await make_call(kind, at_first(CUT[case]))
    assert came == (1 if kind in ONCE else 2)
    assert error in ({DecodeError, TransportError} if kind == "refresh" else {None})


@each_kind
@pytest.mark.parametrize("size", [b"5", b"-5", b"five", ECHO], ids=["less", "-5", "five", "none"])
async def test_a_success_in_chunks_that_are_none(size: bytes, kind: str) -> None:
    """The timing of the bytes decides whether the status was read before."""
    chunks = CHUNKED + size + b"\r\n" + GOOD + b"\r\n0\r\n\r\n"
    error, came = await make_call(kind, at_first(sends_echo(HEAD + chunks)))
    assert came == (1 if kind in ONCE else 2)
    assert error in ({lost(kind)[0], DecodeError} if kind == "refresh" else {lost(kind)[0], None})


@pytest.mark.parametrize("kind", sorted(ONCE))
async def test_the_complete_part_of_a_truncated_response_is_used(kind: str) -> None:
    step = sends_echo(HEAD + b"Content-Length: 999\r\n\r\n" + GOOD)
    assert await make_call(kind, at_first(step)) == (None, 1)


@each_kind
@pytest.mark.parametrize("status", [400, 429, 500])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_refusal_that_is_cut(status: int, kind: str, *, reset: bool) -> None:
    start = b"HTTP/1.1 %d No: %s\r\nX-Echo: %s\r\n" % (status, ECHO, ECHO)
    step = sends_echo(start + b"Content-Length: 999\r\n\r\nno: " + ECHO, reset=reset)
    assert await make_call(kind, at_first(step)) == refused(kind, status)


@each_kind
async def test_a_success_that_is_longer_than_announced(kind: str) -> None:
    """Extra bytes never answer the next call; their arrival time decides about this one."""
    call = read if kind == "download" else None
    error, came = await make_call(kind, at_first(answers(200, GOOD, length=5)), call)
    assert error in {None, DecodeError, lost(kind)[0]}
    assert came == 1 or kind not in ONCE


# --- an answer before the request was read ---------------------------------------------------


async def goes_on(peer: Peer) -> None:
    """Read the rest of the request, and serve the next one."""
    (length,) = re.findall(rb"Content-Length: (\d+)", peer.received)
    await peer.body(int(length))


async def ends(peer: Peer) -> None:
    peer.end()
    await peer.rest()


@pytest.mark.parametrize("then", [goes_on, ends, Peer.close], ids=["kept", "ended", "closed"])
@pytest.mark.parametrize("status", [400, 429, 503])
@pytest.mark.parametrize("kind", LARGE)
async def test_a_refusal_before_the_body_was_read(kind: str, status: int, then: Step) -> None:
    """Closing a connection with unread data may lose the response."""

    async def step(peer: Peer) -> None:
        await peer.answer(status, b"no")
        await then(peer)

    fared = await make_call(kind, at_first(step, Peer.head), LARGE[kind])
    assert fared == refused(kind, status) or (then is Peer.close and fared[0] is lost(kind)[0])


# --- endless, slow and stalled ones ----------------------------------------------------------

HEADERS = HEAD, b"X-More: and more\r\n" * 64
JSON = HEAD + b'\r\n{"messages": [', b'{"id": "m1"},' * 5_000


@pytest.mark.parametrize(
    ("kind", "start", "more", "error", "most"),
    [
        ("upload", *HEADERS, TransportError, 8),
        ("refresh", *HEADERS, TransportError, 8),
        ("send", *JSON, None, 8),
        ("upload", *JSON, DecodeError, 40),
        ("refresh", *JSON, DecodeError, 8),
    ],
)
async def test_an_answer_without_end_is_read_up_to_a_limit(
    kind: str, start: bytes, more: bytes, error: type[MlmsgError] | None, most: int
) -> None:
    step = Endless(start, more)
    assert await make_call(kind, at_first(step), attempts=1) == (error, 1)
    assert step.sent < most * MIB


@pytest.mark.slow
@each_kind
async def test_an_answer_that_drips_faster_than_the_timeout(kind: str) -> None:
    async def drip(peer: Peer) -> None:
        for byte in HEAD + LENGTH + GOOD:
            await asyncio.sleep(0.003)  # 0.6 s in all
            await peer.send(bytes([byte]))

    assert await make_call(kind, at_first(drip), read=0.3) == (None, 1)


STALLED = {
    "before the answer": b"",
    "in the headers": HEAD,
    "before the body": HEAD + LENGTH,
    "in the body": HEAD + LENGTH + GOOD[:9],
    "in a chunk": HEAD + CHUNKED + b"99\r\n" + GOOD[:9],
}


@each_kind
@pytest.mark.parametrize("where", STALLED)
async def test_an_answer_that_stops_coming(where: str, kind: str) -> None:
    async def stall(peer: Peer) -> None:
        await peer.send(STALLED[where])
        await peer.rest()

    error, came = await make_call(kind, at_first(stall), read=0.1)
    assert came == lost(kind)[1]
    if where in {"before the answer", "in the headers"}:
        assert error is (TimedOut if kind == "refresh" else lost(kind)[0])
    else:
        assert error in ({TimedOut, DecodeError} if kind == "refresh" else {None})


@each_kind
async def test_hints_before_the_answer_are_none(kind: str) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    assert await make_call(kind, at_first(sends_echo(hints + HEAD + LENGTH + GOOD))) == (None, 1)


# --- a kept connection that dies -------------------------------------------------------------


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("idle", [False, True], ids=["with the next request", "while idle"])
@pytest.mark.parametrize("kind", ["upload", "download", "refresh"])
async def test_a_kept_connection_that_dies(kind: str, *, idle: bool, reset: bool) -> None:
    """The call is sent again where it may; a refresh is left to the next call."""
    answered, dead = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        if not answered.is_set():
            await peer.answer(503 if kind == "refresh" else 200, GOOD)
            await (answered.wait() if idle else peer.request())
            await sends(b"", reset=reset)(peer)
            dead.set()
            return
        await peer.answer(200, GOOD)
        await each(answers(200, GOOD))(peer)

    async def call(client: Client) -> None:
        with suppress(TokenUnavailable):  # the first refresh; after a 503 the next call may try
            await client.packs.page(1)
        answered.set()
        if idle:
            await dead.wait()
        await CALLS[kind](client)

    error, came = await make_call(kind, script, call)
    if kind == "refresh":
        assert error is TransportError or (error is None and idle)
        assert came <= 2
    else:
        assert (error, came) == (None, 2 if idle else 3)
