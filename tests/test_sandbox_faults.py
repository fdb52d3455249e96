"""The faults of the sandbox with a bare aiohttp session: effects, order, matching."""

import re
import time
from collections.abc import Callable

import pytest
from aiohttp import (
    ClientConnectionError,
    ClientPayloadError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
)
from sandboxes import FILES, MUG, PACKS, exchange_bytes

from mlmsg.sandbox import Action, Fault, Sandbox
from mlmsg.sandbox.faults import FaultQueue

PACK = PACKS + MUG


async def status(http: ClientSession, target: str = PACK, method: str = "GET") -> int:
    async with http.request(method, target) as response:
        await response.read()
        return response.status


@pytest.mark.parametrize(
    ("fault", "content_type", "body"),
    [
        (
            Fault(),
            "application/json; charset=utf-8",
            b'{"message":"Internal Server Error","error":null,"status":500,"cause":[]}',
        ),
        (
            Fault(status=599),
            "application/json; charset=utf-8",
            b'{"message":"","error":null,"status":599,"cause":[]}',
        ),
        (
            Fault(status=429, body={"message": "slow"}),
            "application/json; charset=utf-8",
            b'{"message":"slow"}',
        ),
        (Fault(body=[1]), "application/json; charset=utf-8", b"[1]"),
        (Fault(status=503, body="¡luego!"), "text/plain; charset=utf-8", "¡luego!".encode()),
        (Fault(status=502, body=b"\xff"), "text/plain", b"\xff"),
        (Fault(body=b""), "text/plain", b""),
        (
            Fault(status=502, body="<h1>Bad", headers={"content-type": "text/html"}),
            "text/html",
            b"<h1>Bad",
        ),
    ],
)
async def test_an_answer_is_the_one_that_was_injected(
    http: ClientSession, sandbox: Sandbox, fault: Fault, content_type: str, body: bytes
) -> None:
    sandbox.inject(fault)
    async with http.post(PACK, json={"text": "Hola"}) as response:
        assert response.status == fault.status
        assert response.headers.getall("Content-Type") == [content_type]
        assert await response.read() == body
    assert len(sandbox.market.packs[MUG].messages) == 14
    assert sandbox.requests[0].status == fault.status
    assert sandbox.requests[0].body_size == len(b'{"text": "Hola"}')


async def test_headers_of_an_answer(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(status=429, headers={"Retry-After": "7"}))
    async with http.get(PACK) as response:
        assert response.headers["Retry-After"] == "7"


async def test_faults_come_in_order_and_as_often_as_they_say(
    http: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(status=500, times=2))
    sandbox.inject(Fault(status=429))
    assert [fault.times for fault in sandbox.faults] == [2, 1]
    assert await status(http) == 500
    assert [fault.times for fault in sandbox.faults] == [1, 1]
    assert [await status(http) for _ in range(3)] == [500, 429, 200]
    assert sandbox.faults == ()


async def test_a_fault_applies_only_to_matching_requests(
    http: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(status=501, method="post"))
    sandbox.inject(Fault(status=502, path="offset=5"))
    sandbox.inject(Fault(status=503, path="/attachments/", method="GET"))
    assert await status(http) == 200
    assert await status(http, f"{PACK}?offset=5") == 502
    assert await status(http, f"{FILES}/a.png") == 503
    assert await status(http, f"{FILES}/a.png") == 400
    assert await status(http, "/anything", "POST") == 501


async def test_a_fault_comes_before_the_check_of_the_token(sandbox: Sandbox) -> None:
    sandbox.inject(Fault(status=429))
    async with ClientSession(sandbox.url) as http:
        assert [await status(http), await status(http)] == [429, 400]


@pytest.mark.parametrize("action", ["answer", "drop", "cut", "lose", "pass"])
async def test_some_actions_execute_the_request(
    http: ClientSession, sandbox: Sandbox, action: Action
) -> None:
    sandbox.inject(Fault(action=action))
    try:
        async with http.post(PACK, json={"text": "Hola"}) as response:
            await response.read()
    except (ClientConnectionError, ClientPayloadError):
        assert action in {"drop", "cut", "lose"}
    else:
        assert action in {"answer", "pass"}
    newest = sandbox.market.packs[MUG].messages[0]
    assert (newest.text == "Hola") is (action in {"cut", "lose", "pass"})
    assert await status(http) == 200


@pytest.mark.parametrize("action", ["drop", "lose"])
async def test_a_connection_closed_without_an_answer(sandbox: Sandbox, action: Action) -> None:
    sandbox.inject(Fault(action=action))
    assert await exchange_bytes(sandbox, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    assert sandbox.requests[0].status is None


@pytest.mark.parametrize("size", [2, 1000, 3_000_001])
async def test_a_cut_download_is_half_of_it(
    http: ClientSession, sandbox: Sandbox, size: int
) -> None:
    stored = sandbox.market.add_file(bytes(size), "zeros.bin")
    sandbox.inject(Fault(action="cut", path="/attachments/"))
    target = f"{FILES}/{stored.id}?tag=post_sale&site_id=MLM"
    received = bytearray()
    async with http.get(target) as response:
        assert response.status == 200
        assert response.headers["Content-Length"] == str(size)
        assert "Connection" not in response.headers
        with pytest.raises(ClientPayloadError):
            await _read_into(received, response)
    assert len(received) == size // 2
    assert sandbox.requests[0].status == 200


async def _read_into(received: bytearray, response: ClientResponse) -> None:
    async for chunk in response.content.iter_any():
        received += chunk


@pytest.mark.parametrize("action", ["answer", "pass"])
async def test_a_delay_is_silence_before_the_answer(
    http: ClientSession, sandbox: Sandbox, action: Action
) -> None:
    sandbox.inject(Fault(action=action, delay=0.05))
    started = time.monotonic()
    assert await status(http) == (200 if action == "pass" else 500)
    assert time.monotonic() - started >= 0.05


async def test_a_send_is_carried_out_before_the_delay(
    http: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(action="pass", delay=60))
    with pytest.raises(TimeoutError):
        await http.post(PACK, json={"text": "Hola"}, timeout=ClientTimeout(total=0.2))
    assert sandbox.market.packs[MUG].messages[0].text == "Hola"
    assert sandbox.requests[0].status is None


@pytest.mark.slow
@pytest.mark.parametrize("action", ["answer", "drop"])
async def test_an_early_fault_does_not_wait_for_the_body(sandbox: Sandbox, action: Action) -> None:
    sandbox.inject(Fault(status=413, action=action, early=True))
    # The body that these headers promise is never sent.
    head = f"POST {FILES} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    received = await exchange_bytes(sandbox, head.encode())
    assert sandbox.requests[0].body_size == 0
    if action == "drop":
        assert received == b""
    else:
        assert received.startswith(b"HTTP/1.1 413 ")
        assert b"\r\nConnection: close\r\n" in received


def test_a_fault_happens_at_least_once() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        Fault(times=0)


def test_a_request_that_no_fault_matches_takes_none() -> None:
    queue = FaultQueue()
    fault = Fault(method="GET", path="/a")
    queue.add(fault)
    assert queue.take("POST", "/a") is None
    assert queue.take("GET", "/b") is None
    assert queue.pending() == (fault,)
    assert queue.take("GET", "/x/a?b") is fault
    assert queue.take("GET", "/x/a?b") is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"action": "boom"}, "action must be one of answer, drop, cut, lose, pass, not 'boom'"),
        ({"status": 99}, "status must be 200 to 599, not 99"),
        ({"delay": -1.0}, "delay must be 0 or more seconds, not -1.0"),
        ({"times": 0}, "times must be at least 1, not 0"),
    ],
)
def test_invalid_faults_are_refused(wrong: dict[str, object], words: str) -> None:
    make: Callable[..., Fault] = Fault
    with pytest.raises(ValueError, match=re.escape(words)):
        make(**wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"path": 5}, "path must be a str or None, not 5 (int)"),
        ({"method": b"GET"}, "method must be a str or None, not b'GET' (bytes)"),
        ({"headers": 5}, "headers must be a mapping of str to str, not 5 (int)"),
        ({"headers": {"X": 5}}, "the header X must be a str, not 5 (int)"),
        ({"headers": {5: "X"}}, "a name in headers must be a str, not 5 (int)"),
        ({"body": Sandbox}, "body must be bytes, a str, None, or a value that JSON can hold"),
        ({"body": "\ud800"}, "body must be bytes, a str, None, or a value that JSON can hold"),
        ({"status": "500"}, "status must be an int, not '500' (str)"),
        ({"times": True}, "times must be an int, not True (bool)"),
        ({"delay": "1"}, "delay must be a number, not '1' (str)"),
        ({"early": 1}, "early must be True or False, not 1 (int)"),
        ({"path": ["x" * 100]}, f"path must be a str or None, not ['{'x' * 58}… (list)"),
    ],
    ids=repr,
)
def test_arguments_of_a_wrong_type_are_refused_at_once(
    wrong: dict[str, object], words: str
) -> None:
    make: Callable[..., Fault] = Fault
    with pytest.raises(TypeError, match=re.escape(words)):
        make(**wrong)


@pytest.mark.parametrize("headers", [{"X": "a\r\nb"}, {"": "a"}, {"Ñ": "a"}], ids=repr)
def test_headers_that_cannot_be_sent_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="headers must have names in ASCII"):
        Fault(headers=headers)


async def test_the_faults_that_are_left_can_be_cleared(
    http: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(times=3))
    assert await status(http) == 500
    sandbox.clear_faults()
    assert sandbox.faults == ()
    assert await status(http) == 200


@pytest.mark.parametrize(
    ("method", "fault", "first_line"),
    [
        ("HEAD", None, b"HTTP/1.1 404 Not Found"),
        ("HEAD", Fault(status=200, body=b"bytes"), b"HTTP/1.1 200 OK"),
        ("GET", Fault(status=204), b"HTTP/1.1 204 No Content"),
        ("GET", Fault(status=204, body=b"bytes"), b"HTTP/1.1 204 No Content"),
        ("GET", Fault(status=304, body="bytes"), b"HTTP/1.1 304 Not Modified"),
        ("POST", Fault(status=204, body={"id": 1}), b"HTTP/1.1 204 No Content"),
    ],
)
async def test_a_response_without_a_body_leaves_the_connection_usable(
    sandbox: Sandbox, method: str, fault: Fault | None, first_line: bytes
) -> None:
    if fault is not None:
        sandbox.inject(fault)
    token = f"Host: x\r\nAuthorization: Bearer {sandbox.token}\r\n"
    first = f"{method} {PACK}x HTTP/1.1\r\n{token}Content-Length: 0\r\n\r\n"
    second = f"GET /users/me HTTP/1.1\r\n{token}Connection: close\r\n\r\n"
    received = await exchange_bytes(sandbox, (first + second).encode())
    head, _, rest = received.partition(b"\r\n\r\n")
    assert head.startswith(first_line + b"\r\n")
    assert (b"\r\nContent-Length: " in head) == (method == "HEAD")
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
    assert rest.count(b"HTTP/1.1 ") == 1
    assert [request.status for request in sandbox.requests] == [int(first_line.split()[1]), 200]
