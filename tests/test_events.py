"""The event of each attempt: exact values, emitted once, and nothing private in any of them.

The bytes sent and received are those of a raw server. test_session covers how calls end.
"""

import asyncio
import gzip
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple, TypeAlias
from unittest.mock import Mock

import msgspec
import pytest
from calls import AT_ONCE, TOKEN, Call
from msgspec.structs import replace
from rawserver import Peer, Step, answers, raw_server

from mlmsg import AttemptEvent, Client, RefreshingToken, RuleError, _session
from mlmsg.auth import TokenLike
from mlmsg.events import OnEvent

Op: TypeAlias = tuple[str, Call]
Log: TypeAlias = pytest.LogCaptureFixture
Patch: TypeAlias = pytest.MonkeyPatch

THREAD, STORED, FILE = b'{"messages": []}', b'{"id": "1_a.pdf"}', b"%PDF-1.4 bytes of a file"
REFRESHED = b'{"access_token": "fresh-token", "refresh_token": "next", "expires_in": 21600}'
PACKED = gzip.compress(THREAD)
MOVED = answers(401, b"This claim must be read with Claims 1.0")


class Exchanges:
    """A script that meets each request with the next step, and the sizes of their bodies."""

    def __init__(self, *steps: Step) -> None:
        self._left = list(steps)
        self.sizes = asyncio.Queue[int]()

    async def __call__(self, peer: Peer) -> None:
        while (request := await peer.request())[0]:
            self.sizes.put_nowait(len(request[1]))
            await self._left.pop(0)(peer)


@asynccontextmanager
async def meeting(
    script: Step, on_event: OnEvent | None, token: TokenLike = TOKEN
) -> AsyncIterator[Client]:
    """Open a client of a raw server; end hangs."""
    async with (
        asyncio.timeout(5),
        raw_server(script) as server,
        Client(token, base_url=server.url, retry=AT_ONCE, on_event=on_event) as client,
    ):
        yield client


async def fate(call: Call, client: Client) -> str | None:
    """Return the name of the call's exception, if any."""
    try:
        await call(client)
    except (Exception, asyncio.CancelledError) as error:
        return type(error).__name__
    return None


def logged(caplog: Log) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "mlmsg"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: Patch) -> None:
    """Change to a folder where files may be saved."""
    monkeypatch.chdir(tmp_path)


def granted(token: str | None = None) -> TokenLike:
    return RefreshingToken("1000", "a-client-secret", "a-refresh-token", token)


def asked(*tokens: str) -> TokenLike:
    """Return a function that returns one token after the other."""
    left = iter(tokens)

    async def token() -> str:
        return next(left)

    return token


class Row(NamedTuple):
    """The expected event of an attempt, without its name, its number and its bytes sent."""

    status: int | None
    received: int
    verdict: str = "accept"
    error: str | None = None
    request_id: str | None = None
    delay: float = 0.0


class Case(NamedTuple):
    operation: Op
    steps: Sequence[Step]
    rows: Sequence[Row]
    token: Callable[[], TokenLike] = lambda: TOKEN


async def read(client: Client) -> None:
    async with client.attachments.open("a.pdf", site_id="MLM") as download:
        await download.read()


async def left(client: Client, error: type[BaseException] | None = None) -> None:
    """Leave an open download after its first bytes."""
    async with client.attachments.open("a.pdf", site_id="MLM") as download:
        await anext(aiter(download))
        if error is not None:
            raise error


async def broken() -> AsyncGenerator[bytes, None]:
    yield FILE
    raise KeyError


async def reset(peer: Peer) -> None:
    peer.reset()


PACK, FILES = "/marketplace/messages/packs/{pack_id}", "/marketplace/messages/attachments"
V1, V2 = "/post-purchase/v1/claims/{claim_id}", "/marketplace/v2/claims/{claim_id}"
PAGE: Op = f"packs.page GET {PACK}", lambda one: one.packs.page(1)
SEND: Op = f"packs.send POST {PACK}", lambda one: one.packs.send(1, "¿Qué tal?")
UPLOAD: Op = (
    f"attachments.upload POST {FILES}",
    lambda one: one.attachments.upload(FILE, site_id="MLM"),
)
BROKEN: Op = UPLOAD[0], lambda one: one.attachments.upload(broken(), site_id="MLM", length=99)
READ: Op = f"attachments.download GET {FILES}/{{id}}", read
LEFT: Op = READ[0], left
FAILED: Op = READ[0], partial(left, error=KeyError)
CANCELLED: Op = READ[0], partial(left, error=asyncio.CancelledError)
SAVE: Op = READ[0], lambda one: one.attachments.download("1", "1.pdf", site_id="MLM")
V1_CLAIM: Op = f"claims.get GET {V2}", lambda one: one.claims.get(1)
REFRESH: Op = "auth.refresh POST /oauth/token", PAGE[1]

# The steps of the server, and the expected events.
thread, stored, file = answers(200, THREAD), answers(200, STORED), answers(200, FILE)
created, claim, nothing = answers(201, b"{}"), answers(200, b'{"players": []}'), answers(200)
busy, again = answers(503, b"busy"), Row(503, 4, "retry", "ServerError")
half, absent = answers(200, b"half", length=9), answers(404, b"no")
slow, slower = (answers(429, b"", f"Retry-After: {seconds}") for seconds in (0.001, 61))
waited = Row(429, 0, "retry", "RateLimited", delay=0.001)
packed = answers(200, PACKED, "Content-Encoding: gzip")
named = answers(503, b"busy", "x-request-id: 1"), answers(200, THREAD, "X-Request-Id: 2")
echo = answers(200, THREAD, f"X-Request-Id: {TOKEN}")
grant_echo = answers(404, b"no", "X-Request-Id: a-refresh-token")
absent_echo = Row(404, 2, "fail", "NotFound", request_id="***")
refused, another = answers(401), Row(401, 0, "retry", "AuthenticationError")
lost, empty = Row(None, 0, "retry", "TransportError"), Row(200, 0, "retry", "IncompleteDownload")

CASES = {
    "sent": Case(SEND, [created], [Row(201, 2)]),
    "read again": Case(PAGE, [busy, thread], [again, Row(200, 16)]),
    "uploaded again": Case(UPLOAD, [busy, stored], [again, Row(200, 17)]),
    "opened again": Case(READ, [busy, file], [again, Row(200, 24)]),
    "saved again": Case(SAVE, [nothing, file], [empty, Row(200, 24)]),
    "lost": Case(PAGE, [busy, reset, thread], [again, lost, Row(200, 16)]),
    "to the end": Case(PAGE, [busy] * 4, [again] * 3 + [again._replace(verdict="fail")]),
    "request id": Case(PAGE, named, [again._replace(request_id="1"), Row(200, 16, request_id="2")]),
    "too many": Case(SEND, [slow, created], [waited, Row(201, 2)]),
    "too late": Case(PAGE, [slower], [Row(429, 0, "fail", "RateLimited")]),
    "no pack": Case(PAGE, [absent], [Row(404, 2, "fail", "NotFound")]),
    "no JSON": Case(PAGE, [nothing], [Row(200, 0, "fail", "DecodeError")]),
    "empty": Case(READ, [nothing], [empty._replace(verdict="fail")]),
    "left": Case(LEFT, [half], [Row(200, 4)]),
    "failed": Case(FAILED, [half], [Row(200, 4, "fail", "KeyError")]),
    "cancelled": Case(CANCELLED, [half], [Row(200, 4, "cancel", "CancelledError")]),
    "source": Case(BROKEN, [reset], [Row(None, 0, "fail", "KeyError")]),
    "token": Case(PAGE, [refused], [another._replace(verdict="fail")]),
    "tokens": Case(SEND, [refused, created], [another, Row(201, 2)], partial(asked, "one", "two")),
    "older": Case(V1_CLAIM, [MOVED, claim], [another._replace(received=39), Row(200, 15)]),
    "refresh": Case(REFRESH, [absent], [Row(404, 2, "fail", "NotFound")], granted),
    "unknown": Case(SEND, [busy], [again._replace(verdict="unknown")]),
    "unknown, lost": Case(SEND, [reset], [lost._replace(verdict="unknown")]),
    "packed": Case(PAGE, [packed], [Row(200, 16)]),  # as it is unpacked
    "echo": Case(PAGE, [echo], [Row(200, 16, request_id="***")]),
    "echo of a secret": Case(REFRESH, [grant_echo], [absent_echo], granted),
    "same token": Case(PAGE, [refused], [another], partial(asked, TOKEN, TOKEN)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("failing", [False, True], ids=["", "failing"])
async def test_each_attempt_emits_one_event(case: Case, failing: bool, caplog: Log) -> None:
    server, events = Exchanges(*case.steps), list[AttemptEvent]()
    name, call = case.operation

    def on_event(event: AttemptEvent) -> None:
        events.append(event)
        if failing:
            raise ZeroDivisionError

    async with meeting(server, on_event, case.token()) as client:
        ended = await fate(call, client)
        sizes = [await server.sizes.get() for _ in events]
    for number, (event, row, size) in enumerate(zip(events, case.rows, sizes, strict=True), 1):
        template = event.template.replace(V1, V2)  # that they differ is another test's
        assert f"{event.operation} {event.method} {template}" == name
        assert event == replace(event, attempt=number, sent=size, **row._asdict())
    _, _, verdict, error, *_ = case.rows[-1]
    if case.operation is REFRESH:
        error = "TokenUnavailable"  # the call's error; the event names that of the attempt
    assert ended == {"accept": None, "unknown": "OutcomeUnknown"}.get(verdict, error)
    lines = [f"on_event failed for {name.split()[0]}"] * len(events) if failing else []
    assert [record.getMessage() for record in logged(caplog)] == lines


async def test_the_event_of_a_v1_claim_has_the_v1_path() -> None:
    events = list[AttemptEvent]()
    async with meeting(Exchanges(MOVED, claim), events.append) as client:
        await client.claims.get(1)
    assert [one.template for one in events] == [V2, V1]


@pytest.mark.parametrize("call", [PAGE[1], SEND[1]], ids=["read", "send"])
async def test_without_a_connection_nothing_went_up(call: Call) -> None:
    async with raw_server(reset) as server:
        pass
    events = list[AttemptEvent]()
    async with Client(TOKEN, base_url=server.url, retry=AT_ONCE, on_event=events.append) as client:
        assert await fate(call, client) == "TransportError"
    assert {(one.status, one.sent, one.received) for one in events} == {(None, 0, 0)}
    assert [one.verdict for one in events] == ["retry", "retry", "retry", "fail"]


async def test_a_cancelled_call_emits_an_event() -> None:
    events = list[AttemptEvent]()

    async def silence(peer: Peer) -> None:
        task.cancel()
        await peer.rest()

    async with meeting(Exchanges(silence), events.append) as client:
        task = asyncio.create_task(fate(PAGE[1], client))
        assert await task == "CancelledError"
    assert [(one.status, one.verdict) for one in events] == [(None, "cancel")]


async def test_what_is_refused_here_is_no_attempt() -> None:
    events = list[AttemptEvent]()
    async with meeting(Exchanges(), events.append) as client:
        with pytest.raises(RuleError):
            await client.packs.page(1, limit=0)
    assert events == []


async def test_the_time_of_an_attempt_ends_with_its_body(monkeypatch: Patch) -> None:
    clock, events = SimpleNamespace(now=1000.0, time=time.time), list[AttemptEvent]()
    clock.monotonic = lambda: clock.now

    async def passed(_: object) -> None:
        clock.now += 10

    async def token() -> str:
        clock.now += 100
        return TOKEN

    async def late(peer: Peer) -> None:
        clock.now += 2
        await (file if events else busy)(peer)

    def progress(*_: object) -> None:
        clock.now += 5

    monkeypatch.setattr(_session, "time", clock)
    monkeypatch.setattr("mlmsg.budget.RateLimiter.acquire", passed)
    async with meeting(Exchanges(late, late, late), events.append, token) as client:
        async with client.attachments.open("a.pdf", site_id="MLM") as download:
            await download.read()
            progress()
            assert len(events) == 1
        await client.attachments.download("1", "1.pdf", site_id="MLM", progress=progress)
    assert [one.elapsed for one in events] == [2, 7, 7]


async def test_events_are_emitted_in_the_context_of_the_call() -> None:
    caller, heard = ContextVar("caller", default="nobody"), list[tuple[str, int, str]]()

    async def answer(peer: Peer) -> None:
        while head := (await peer.request())[0]:
            is_file = head.startswith(b"GET")
            answer = REFRESHED if b"/oauth" in head else FILE if is_file else STORED
            await peer.answer(200, answer)

    def on_event(event: AttemptEvent) -> None:
        heard.append((event.operation, event.attempt, caller.get()))

    async with meeting(answer, on_event, granted()) as client:
        caller.set("us")
        await client.packs.send(1, "Hola", files=[FILE], site_id="MLM")
        await read(client)
    assert heard == [(names.split()[0], 1, "us") for names, _ in (REFRESH, UPLOAD, SEND, READ)]


ID = "7700177001770017"
PRIVATE = f"{TOKEN} secret refresh- {ID} Hola Hello factura MLM %PDF limit=".split()
SPEAKING: dict[str, Call] = {
    "page": lambda one: one.packs.page(ID, limit=37),
    "send": lambda one: one.packs.send(ID, "Hola", text_translated="Hello"),
    "upload": lambda one: one.attachments.upload(FILE, site_id="MLM", filename="factura.pdf"),
    "save": lambda one: one.attachments.download(f"{ID}_factura.pdf", "x/", site_id="MLM"),
    "unread": lambda one: one.unread.get(f"/packs/{ID}/sellers/{ID}"),
    "claim": lambda one: one.claims.attachment(ID, "factura.pdf"),
}
OUTCOMES = {"echo": answers(401, repr(PRIVATE).encode()), "lost": reset, "odd": answers(200, b"[")}


def private(events: Sequence[AttemptEvent], records: Sequence[logging.LogRecord] = ()) -> set[str]:
    """Return every private value in the events, in any form."""
    shown = [logging.Formatter().format(record) + repr(vars(record)) for record in records]
    shown += [repr(one) + msgspec.json.encode(one).decode() for one in events]
    return {word for word in PRIVATE for text in shown if word in text}


@pytest.mark.parametrize("call", SPEAKING.values(), ids=SPEAKING)
@pytest.mark.parametrize("step", OUTCOMES.values(), ids=OUTCOMES)
async def test_no_event_holds_anything_private(step: Step, call: Call, caplog: Log) -> None:
    caplog.set_level(logging.DEBUG, "mlmsg")
    events = list[AttemptEvent]()
    async with meeting(Exchanges(*[step] * 4), events.append, granted(TOKEN)) as client:
        await fate(call, client)
    assert len(events) == len(logged(caplog)) > 0
    assert private(events, logged(caplog)) == set()


async def test_a_callback_that_raises_logs_nothing_private(caplog: Log) -> None:
    async with meeting(Exchanges(OUTCOMES["odd"]), Mock(side_effect=ValueError)) as client:
        assert await fate(SPEAKING["page"], client) == "DecodeError"
    assert private([], logged(caplog)) == set()


async def asynchronous(_: AttemptEvent) -> None: ...


class Asynchronous:
    async def __call__(self, _: AttemptEvent) -> None: ...


@pytest.mark.parametrize("given", [asynchronous, partial(asynchronous), Asynchronous(), "print"])
def test_a_callback_that_cannot_be_called_is_refused(given: OnEvent) -> None:
    with pytest.raises(RuleError) as caught:
        Client(TOKEN, on_event=given)
    found = "an async function" if callable(given) else "str"
    assert (caught.value.rule, caught.value.found) == ("`on_event`", found)


LINES = [
    ("INFO", f"packs.page GET {PACK}: retry (503), attempt 1, 0 bytes up, 4 down"),
    ("DEBUG", f"packs.page GET {PACK}: accept (200), attempt 2, 0 bytes up, 16 down"),
]


@pytest.mark.parametrize(("level", "lines"), [("DEBUG", 2), ("INFO", 1), ("WARNING", 0)])
@pytest.mark.parametrize("on_event", [None, repr], ids=["log", "callback"])
async def test_an_event_is_made_only_for_a_listener(
    level: str, lines: int, on_event: OnEvent | None, caplog: Log, monkeypatch: Patch
) -> None:
    made = Mock(wraps=AttemptEvent)
    monkeypatch.setattr(_session, "AttemptEvent", made)
    caplog.set_level(level, "mlmsg")
    async with meeting(Exchanges(busy, thread), on_event) as client:
        await client.packs.page(1)
    assert made.call_count == (2 if on_event or lines else 0)
    found = [(one.levelname, one.getMessage().rpartition(",")[0]) for one in logged(caplog)]
    assert found == LINES[:lines]
    assert [vars(one)["event"].attempt for one in logged(caplog)] == [1, 2][:lines]
