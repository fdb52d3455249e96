"""The server of the sandbox: tokens, the record of requests, starting and stopping, imports."""

import ast
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FunctionType
from typing import Any, cast

import anyio
import pytest
from aiohttp import ClientConnectionError, ClientSession
from blockbuster import blockbuster_ctx
from sandboxes import FILES, MUG, PACKS, POST_SALE_ROUTES, TIMEOUT, exchange_bytes
from yarl import URL

import mlmsg.sandbox
from mlmsg.sandbox import Fault, Market, Sandbox, server


async def test_tokens_can_be_replaced_while_it_runs(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.tokens |= {"second"}
    sandbox.expired |= {sandbox.token}
    for token, status in ((sandbox.token, 401), ("second", 200)):
        headers = {"Authorization": f"bearer {token}"}
        async with http.get(PACKS + MUG, headers=headers) as response:
            assert response.status == status


async def test_the_sets_of_tokens_can_be_changed_in_place(
    http: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.tokens.add("second")
    sandbox.tokens.discard(sandbox.token)
    sandbox.expired.add("third")
    statuses = {sandbox.token: 400, "second": 200, "third": 401, "sandbox-token-expired": 401}
    for token, status in statuses.items():
        async with http.get(PACKS + MUG, headers={"Authorization": f"Bearer {token}"}) as response:
            assert response.status == status
    sandbox.expired.clear()
    async with http.get(PACKS + MUG, headers={"Authorization": "Bearer third"}) as response:
        assert response.status == 400


@pytest.mark.parametrize("kind", [set, frozenset, list, tuple])
async def test_the_sets_of_tokens_can_be_assigned(
    http: ClientSession, sandbox: Sandbox, kind: Callable[[list[str]], Iterable[str]]
) -> None:
    sandbox.tokens = kind(["first", "second"])
    sandbox.expired = kind(["first"])
    sandbox.tokens.add("third")
    sandbox.expired.add("fourth")
    statuses = {"first": 401, "second": 200, "third": 200, "fourth": 401, sandbox.token: 400}
    for token, status in statuses.items():
        async with http.get(PACKS + MUG, headers={"Authorization": f"Bearer {token}"}) as response:
            assert response.status == status


async def test_the_token_does_not_resemble_a_real_one(sandbox: Sandbox) -> None:
    assert sandbox.token in sandbox.tokens
    assert not (sandbox.tokens & sandbox.expired)
    for token in sandbox.tokens | sandbox.expired:
        assert token.startswith("sandbox-")


async def test_requests_are_recorded(http: ClientSession, sandbox: Sandbox) -> None:
    async with http.get(f"{PACKS}{MUG}?limit=2&offset=1", headers={"X-Mine": "1"}):
        pass
    async with http.post("/marketplace/messages/packs/%C3%B1", data=b'{"text":"x"}'):
        pass
    async with http.get(URL(f"{sandbox.url}/%7e?q=%2f%61", encoded=True)):
        pass
    read, sent, odd = sandbox.requests
    assert (odd.path, odd.query, odd.target) == ("/~", {"q": "/a"}, "/%7e?q=%2f%61")
    assert (read.method, read.path, read.status, read.body_size) == ("GET", PACKS + MUG, 200, 0)
    assert read.query == {"limit": "2", "offset": "1"}
    assert read.target == f"{PACKS}{MUG}?limit=2&offset=1"
    assert read.headers["x-mine"] == "1"
    assert (sent.method, sent.status, sent.body_size) == ("POST", 404, 12)
    assert (sent.path, sent.target) == (f"{PACKS}ñ", f"{PACKS}%C3%B1")


async def test_the_record_shows_no_token(http: ClientSession, sandbox: Sandbox) -> None:
    async with http.get("/"):
        pass
    assert sandbox.requests[0].headers["Authorization"] == f"Bearer {sandbox.token}"
    assert sandbox.token not in repr(sandbox.requests)


async def test_the_record_is_bounded(
    http: ClientSession, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_MAX_REQUESTS", 3)
    for number in range(5):
        async with http.get(f"/{number}"):
            pass
    assert [request.path for request in sandbox.requests] == ["/2", "/3", "/4"]


async def test_the_record_has_room_for_a_thousand_requests(sandbox: Sandbox) -> None:
    count = 1001
    close = "Connection: close\r\n"
    requests = [
        f"GET /{number} HTTP/1.1\r\nHost: x\r\n{close if number == count else ''}\r\n"
        for number in range(1, count + 1)
    ]
    await exchange_bytes(sandbox, "".join(requests).encode())
    paths = [request.path for request in sandbox.requests]
    assert paths == [f"/{number}" for number in range(2, count + 1)]
    with anyio.fail_after(1):
        await sandbox.received(1000)
        with pytest.raises(ValueError, match="at most 1000, the number of kept requests, not 1001"):
            await sandbox.received(1001)


async def test_two_run_side_by_side() -> None:
    async with Sandbox() as one, Sandbox(market=Market()) as two:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", one.url)
        assert one.url != two.url
        headers = {"Authorization": f"Bearer {one.token}"}
        async with ClientSession(headers=headers) as http:
            for sandbox, status in ((one, 200), (two, 404)):
                async with http.get(f"{sandbox.url}{PACKS}{MUG}") as response:
                    assert response.status == status
        assert len(one.requests) == len(two.requests) == 1


async def test_start_and_stop_can_be_repeated() -> None:
    sandbox = Sandbox()
    with pytest.raises(RuntimeError, match="not running"):
        assert sandbox.url
    await sandbox.stop()
    for _ in range(2):
        await sandbox.start()
        with pytest.raises(RuntimeError, match="already running"):
            await sandbox.start()
        url = sandbox.url
        async with ClientSession() as http, http.get(url) as response:
            assert response.status == 400
        await sandbox.stop()
        with pytest.raises(RuntimeError, match="not running"):
            assert sandbox.url
        with pytest.raises(OSError, match="onnect"):
            await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2]))


async def test_a_start_at_an_occupied_port_can_be_repeated() -> None:
    async with Sandbox() as first:
        port = int(first.url.rpartition(":")[2])
        second = Sandbox(port=port)
        for _ in range(2):
            with pytest.raises(OSError, match="while attempting to bind"):
                await second.start()
            with pytest.raises(RuntimeError, match="not running"):
                assert second.url
    async with second, ClientSession(second.url) as http, http.get("/") as response:
        assert response.status == 400
        assert second.url == f"http://127.0.0.1:{port}"


async def test_a_cancelled_start_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = Sandbox()
    with monkeypatch.context() as patched, anyio.CancelScope() as scope:
        patched.setattr("aiohttp.web.TCPSite.start", lambda _: anyio.sleep_forever())
        scope.cancel()
        await sandbox.start()
    async with sandbox, ClientSession(sandbox.url) as http, http.get("/") as response:
        assert response.status == 400


async def test_it_stops_at_once_with_connections_open(sandbox: Sandbox) -> None:
    sandbox.inject(Fault(path="/slow", delay=60))
    async with (
        ClientSession(sandbox.url) as idle,
        ClientSession(sandbox.url) as busy,
        anyio.create_task_group() as tasks,
    ):
        async with idle.get("/"):
            pass
        tasks.start_soon(_is_disconnected, busy)
        with anyio.fail_after(5):
            await sandbox.received(2)
        with anyio.fail_after(1):
            await sandbox.stop()


async def _is_disconnected(http: ClientSession) -> None:
    # Not a GET, because aiohttp repeats one by itself.
    with pytest.raises(ClientConnectionError):
        await http.post("/slow")


@pytest.mark.parametrize("leaves", ["while waiting", "while sending", "while receiving"])
async def test_a_client_that_disconnects_is_no_error(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, leaves: str
) -> None:
    stored = sandbox.market.add_file(bytes(20_000_000), "big.bin")
    if leaves == "while waiting":
        sandbox.inject(Fault(delay=60))
    request, headers = {
        "while waiting": (b"GET / HTTP/1.1", b""),
        "while sending": (
            b"POST " + (PACKS + MUG).encode() + b" HTTP/1.1",
            b"Content-Length: 9\r\n",
        ),
        "while receiving": (
            f"GET {FILES}/{stored.id}?tag=post_sale&site_id=MLM HTTP/1.1".encode(),
            b"",
        ),
    }[leaves]
    token = f"Authorization: Bearer {sandbox.token}\r\n".encode()
    host, port = sandbox.url.removeprefix("http://").split(":")
    async with await anyio.connect_tcp(host, int(port)) as stream:
        await stream.send(request + b"\r\nHost: x\r\n" + token + headers + b"\r\n")
        with anyio.fail_after(5):
            await sandbox.received(1)
        if leaves == "while receiving":
            await stream.receive()
    async with ClientSession(sandbox.url) as http, http.get("/") as response:
        assert response.status == 400
    await sandbox.stop()
    assert caplog.messages == []


async def test_nothing_in_it_blocks_the_event_loop(caplog: pytest.LogCaptureFixture) -> None:
    with blockbuster_ctx():
        async with Sandbox() as sandbox:
            stored = next(iter(sandbox.market.files))
            routes = [*POST_SALE_ROUTES, ("GET", f"{FILES}/{stored}?tag=post_sale&site_id=MLM")]
            headers = {"Authorization": f"Bearer {sandbox.token}"}
            async with ClientSession(sandbox.url, headers=headers, timeout=TIMEOUT) as http:
                for method, target in routes:
                    async with http.request(method, target, data=b"{}") as response:
                        await response.read()
    # aiohttp logs an exception of a handler, such as that of a blocking call, and responds 500.
    assert [request.status for request in sandbox.requests] == [200, 400, 404, 400, 500, 404, 200]
    assert caplog.messages == []


SOURCES = sorted(Path(mlmsg.sandbox.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_sandbox_imports_nothing_of_the_client(source: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module or "")
    ours = {name for name in imported if name.partition(".")[0] == "mlmsg"}
    assert all(name == "mlmsg.sandbox" or name.startswith("mlmsg.sandbox.") for name in ours)


def test_all_public_names_exist_and_have_docstrings() -> None:
    public = [getattr(mlmsg.sandbox, name) for name in mlmsg.sandbox.__all__]
    # The others are aliases of Literal, which have no docstring.
    documented = [value for value in public if isinstance(value, type | FunctionType)]
    assert len(documented) == len(public) - 3
    assert [value for value in documented if not value.__doc__] == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"market": 5}, "market must be a Market, such as example_market"),
        ({"port": "x"}, "port must be an int, not 'x'"),
        ({"port": True}, "port must be an int, not True"),
    ],
    ids=repr,
)
def test_an_argument_of_a_wrong_type_is_refused_at_once(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        Sandbox(**wrong)


async def test_wrong_values_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="port must be 0 to 65535, not 65536"):
        Sandbox(port=65_536)
    sandbox, text = Sandbox(), cast(Any, "x")
    with pytest.raises(TypeError, match="count must be an int, not 'x'"):
        await sandbox.received(text)
    with pytest.raises(ValueError, match="count must be 0 or more, not -1"):
        await sandbox.received(-1)
    for name in ("tokens", "expired"):
        with pytest.raises(TypeError, match=f"{name} must be an iterable of tokens, not 'x'"):
            setattr(sandbox, name, text)


def test_a_plain_with_says_what_to_write() -> None:
    with pytest.raises(TypeError, match="use `async with Sandbox"), Sandbox():
        pass
