"""The example of a support inbox: nothing is lost, and nobody is answered twice."""

import asyncio
import importlib.util
import json
import os
import random
import signal
import sqlite3
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from types import ModuleType

import pytest
from aiohttp import ClientConnectionError, ClientSession, ServerDisconnectedError, web
from aiohttp.test_utils import TestServer, unused_port

from mlmsg import Client, Message
from mlmsg.sandbox import Fault, Sandbox

PATH = Path(__file__).parent.parent / "examples" / "inbox_service.py"
SEND = "/marketplace/messages/packs/"


@pytest.fixture(scope="module")
def service() -> ModuleType:
    spec = importlib.util.spec_from_file_location("inbox_service", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def notification(message_id: str, user_id: int = 1) -> dict[str, object]:
    resource = f"/marketplace/messages/{message_id}"
    return {"topic": "marketplace_messages", "resource": resource, "user_id": user_id}


def handled(database: Path) -> set[str]:
    with closing(sqlite3.connect(database)) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM handled")}


def answers(sandbox: Sandbox, pack_id: str) -> list[bool]:
    """Return, for each message of the thread from the oldest on, if it is the seller's."""
    seller = sandbox.market.user_id
    newest_first = sandbox.market.packs[pack_id].messages
    return [message.sender.user_id == seller for message in reversed(newest_first)]


class Handled:
    """A handler that keeps its messages, and fails the first `failures` times."""

    def __init__(self, failures: int = 0) -> None:
        self.messages: list[Message] = []
        self.failures = failures

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)
        if len(self.messages) <= self.failures:
            raise LookupError("the help desk is down")


async def test_a_notification_is_answered_in_time_however_slow_the_api_is(
    service: ModuleType, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mercado Libre gives a receiver of notifications 500 ms."""
    sandbox.inject(Fault(action="pass", delay=30, times=1000))
    client = Client(sandbox.token, base_url=sandbox.url)
    monkeypatch.setattr(service, "GRACE_SECONDS", 0.0)
    inbox = service.Inbox(client, service.Store(tmp_path / "a.sqlite3"), Handled(), 5)
    async with TestServer(service.make_app(inbox)) as server, ClientSession() as http:
        async with asyncio.timeout(0.5 * 5):
            url = server.make_url("/notifications")
            came = [(await http.post(url, json=notification(f"m{n}"))).status for n in range(5)]
            bad = await http.post(url, data=b"{}")
    assert came == [200] * 5
    assert bad.status == 400


async def test_a_failed_message_is_handled_later_and_a_handled_one_never_again(
    service: ModuleType, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "FIRST_RETRY_SECONDS", 0.0)
    pack_id = next(iter(sandbox.market.packs))
    database = tmp_path / "inbox.sqlite3"
    handler = Handled(failures=2)
    for text in ("first", "second"):
        message = sandbox.market.add_message(pack_id, text, author="buyer")
        client = Client(sandbox.token, base_url=sandbox.url, budget=None)
        inbox = service.Inbox(client, service.Store(database), handler, sandbox.grant.client_id)
        async with inbox.running():
            await inbox.idle()
            for _ in range(3):
                await inbox.accept(json.dumps(notification(message.id)).encode())
            await inbox.idle()
    calls = [message.text for message in handler.messages]
    assert len(calls) == 4 + 2  # two messages were unread before; two calls failed
    assert calls[-1] == "second"
    assert handled(database) == {message.id for message in handler.messages}
    async with Client(sandbox.token, base_url=sandbox.url) as client:
        assert (await client.unread.list()).results == []


async def test_notifications_of_another_seller_of_the_application_are_left_out(
    service: ModuleType, sandbox: Sandbox, tmp_path: Path
) -> None:
    pack_id, other, database = next(iter(sandbox.market.packs)), 2, tmp_path / "inbox.sqlite3"
    own = sandbox.market.user_id
    messages = [sandbox.market.add_message(pack_id, "Hola", author="buyer") for _ in range(2)]
    sandbox.market.add_missed_feed("messages", messages[0].id)
    sandbox.market.add_missed_feed("messages", "not-ours-1", user_id=other)
    client, store = (
        Client(sandbox.token, base_url=sandbox.url, budget=None),
        service.Store(database),
    )
    inbox = service.Inbox(client, store, Handled(), sandbox.grant.client_id, [own, 3])
    async with inbox.running():
        await inbox.accept(json.dumps(notification("not-ours-2", other)).encode())
        await inbox.accept(json.dumps(notification(messages[1].id, own)).encode())
        await inbox.idle()
    assert {message.id for message in messages} <= handled(database)
    assert not [request for request in sandbox.requests if "not-ours" in request.path]


@asynccontextmanager
async def running(sandbox: Sandbox, database: Path, port: int) -> AsyncIterator[Process]:
    """Run the service in another process, until it listens; kill it at the end."""
    grant = sandbox.grant
    environment = {
        **os.environ,
        "MLMSG_CLIENT_ID": str(grant.client_id),
        "MLMSG_CLIENT_SECRET": grant.client_secret,
        "MLMSG_REFRESH_TOKEN": grant.refresh_token,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONUNBUFFERED": "1",  # the first line says that it listens
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PATH), "--port", str(port), "--database", str(database),
        "--base-url", sandbox.url, env=environment, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        await process.stdout.readuntil(b"Running on")
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


async def received(sandbox: Sandbox, method: str, path: str, after: int = 0) -> None:
    """Wait until such a request has arrived at the sandbox, after so many others."""
    number = after
    while True:
        number += 1
        await sandbox.received(number)
        request = sandbox.requests[number - 1]
        if request.method == method and path in request.path:
            return


async def deliver(http: ClientSession, port: int, message_id: str) -> None:
    """Send a notification until the service accepts it, as Mercado Libre does."""
    url = f"http://127.0.0.1:{port}/notifications"
    while True:
        with suppress(ClientConnectionError, ServerDisconnectedError):
            response = await http.post(url, json=notification(message_id))
            if response.status == web.HTTPOk.status_code:
                return
        await asyncio.sleep(0.05)  # between two attempts


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_service_that_is_killed_at_any_moment_loses_nothing(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    database, port = tmp_path / "inbox.sqlite3", unused_port()
    chance = random.Random()  # noqa: S311  (any moment will do)
    sent: dict[str, str] = {}
    async with ClientSession() as http, asyncio.TaskGroup() as mercado_libre:
        for moment in ("POST", "GET", "any", "any"):
            async with running(sandbox, database, port):
                before = len(sandbox.requests)
                for pack_id in range(1000 + before, 1003 + before):
                    sandbox.market.add_pack(pack_id)
                    message = sandbox.market.add_message(pack_id, "¿Ya salió?", author="buyer")
                    sent[message.id] = str(pack_id)
                    mercado_libre.create_task(deliver(http, port, message.id))
                # A kill during the first refresh would lose the single-use refresh token.
                if moment == "any":
                    await sandbox.received(before + chance.randrange(20))
                else:
                    await received(sandbox, moment, SEND, before)
        async with running(sandbox, database, port) as process:
            while not sent.keys() <= handled(database):  # noqa: ASYNC110  (in another process)
                await asyncio.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    for pack in sent.values():
        assert answers(sandbox, pack) == [False, True]


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("path", [SEND, "/oauth/token"])
async def test_a_send_and_a_refresh_under_way_are_finished_at_the_end(
    path: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    database, port = tmp_path / "inbox.sqlite3", unused_port()
    sandbox.inject(Fault(action="pass", delay=0.5, method="POST", path=path))
    async with running(sandbox, database, port) as process:
        await received(sandbox, "POST", path)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    grant = json.loads(database.with_suffix(".grant.json").read_bytes())
    assert grant["refresh_token"] == sandbox.grant.refresh_token
    if "packs" in path:
        (pack_id,) = {r.path.rpartition("/")[2] for r in sandbox.requests if r.status == 201}
        assert answers(sandbox, pack_id)[-1]
        assert len(handled(database)) == 1
