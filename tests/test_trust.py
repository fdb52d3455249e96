"""What readers with fresh eyes found in tokens, budgets and waits, and what must not come back."""

import asyncio
import runpy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from calls import PAGE
from rawserver import answers, in_turn, raw_server

from mlmsg import (
    Client,
    FileTokenStore,
    RateBudget,
    RateLimited,
    ReauthorizationRequired,
    RefreshingToken,
    RetryPolicy,
    RuleError,
    Token,
)
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.sync import sync_attachments


class Row:
    """A store as a user writes one: a row of a database, and no lock but its own."""

    def __init__(self) -> None:
        self.row: bytes | None = None
        self.turn = asyncio.Lock()

    async def load(self) -> Token | None:
        return None if self.row is None else msgspec.json.decode(self.row, type=Token)

    async def save(self, token: Token) -> None:
        self.row = msgspec.json.encode(token)

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        async with self.turn:
            yield


def grant_of(sandbox: Sandbox, store: Row | FileTokenStore) -> RefreshingToken:
    grant = sandbox.grant
    return RefreshingToken(
        grant.client_id, grant.client_secret, "sandbox-refresh-0001", store=store
    )


def first_pack(sandbox: Sandbox) -> str:
    return next(iter(sandbox.market.packs))


async def test_a_store_may_encode_a_token_as_it_likes(sandbox: Sandbox) -> None:
    store = Row()
    async with Client(grant_of(sandbox, store), base_url=sandbox.url) as client:
        await client.packs.page(first_pack(sandbox))
    kept = await store.load()
    assert kept is not None
    assert kept.refresh_token == sandbox.grant.refresh_token


async def test_a_file_that_is_reached_by_a_link_is_the_same_file(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for way in ("real", "link", "real"):
        store = FileTokenStore(tmp_path / way / "grant.json")
        sandbox.expire()
        async with Client(grant_of(sandbox, store), base_url=sandbox.url) as client:
            await client.packs.page(first_pack(sandbox))
    assert sandbox.grant.refreshes == 3
    names = sorted(path.name for path in (tmp_path / "real").iterdir())
    assert names == ["grant.json", "grant.json.lock"]


async def test_closing_does_not_wait_for_a_refresh_that_was_not_sent(sandbox: Sandbox) -> None:
    store = Row()
    client = Client(grant_of(sandbox, store), base_url=sandbox.url)
    async with store.turn, asyncio.timeout(5):  # somebody else holds it
        call = asyncio.create_task(client.packs.page(first_pack(sandbox)))
        await asyncio.sleep(0)
        call.cancel()
        await client.aclose()
        await asyncio.wait({call})
    assert not sandbox.requests


@pytest.mark.slow
async def test_a_token_is_asked_for_when_the_budget_lets_the_call_go() -> None:
    """Else the last of a long queue would leave with a token that has ended meanwhile."""
    asked: list[float] = []
    loop = asyncio.get_running_loop()

    async def token() -> str:
        asked.append(loop.time())
        return "a-token"

    budget = RateBudget(reads=5, writes=5, per=0.5, burst=1)
    script = in_turn(*[answers(200, PAGE)] * 4)
    async with (
        raw_server(script) as server,
        Client(token, base_url=server.url, budget=budget, max_connections=1) as client,
    ):
        await asyncio.gather(*(client.packs.page(1) for _ in range(4)))
    assert asked[-1] - asked[0] >= 0.25


async def test_the_last_429_holds_the_others_a_little_without_a_word_of_how_long() -> None:
    script = in_turn(answers(429), answers(200, PAGE))
    once = RetryPolicy(attempts=1, base=0.2)
    async with (
        raw_server(script) as server,
        Client("a-token", base_url=server.url, budget=None, retry=once) as client,
    ):
        loop = asyncio.get_running_loop()
        with pytest.raises(RateLimited):
            await client.packs.page(1)
        met = loop.time()
        await client.packs.page(1)
        assert loop.time() - met >= 0.15


async def test_an_upload_whose_answer_overtakes_its_end_is_stored_once(sandbox: Sandbox) -> None:
    once = RetryPolicy(attempts=1)
    async with Client(sandbox.token, base_url=sandbox.url, retry=once, budget=None) as client:
        for number in range(150):
            await client.attachments.upload(bytes(20_000), site_id="MLM", filename=f"{number}.bin")
    names = [file.original_filename for file in sandbox.market.files.values()]
    assert sum(name.endswith(".bin") for name in names) == 150


@pytest.mark.parametrize("client_id", [None, True, "", " ", 1.5, b"1"])
def test_what_is_no_client_id_is_refused(client_id: int) -> None:
    with pytest.raises(RuleError, match="`client_id`"):
        RefreshingToken(client_id, "secret", "refresh")


@pytest.mark.parametrize("store", ["grant.json", FileTokenStore, Row, 1])
def test_what_is_no_store_is_refused(store: Row) -> None:
    with pytest.raises(RuleError, match="`store` of a RefreshingToken"):
        RefreshingToken(1, "secret", "refresh", store=store)


@pytest.mark.parametrize("token", [Sandbox, Row, 5])
def test_what_is_no_token_source_is_refused(token: str) -> None:
    with pytest.raises(RuleError, match="access token"):
        Client(token)


async def test_a_sandbox_is_no_token_source(sandbox: Sandbox) -> None:
    with pytest.raises(RuleError, match="access token"):
        Client(sandbox)  # type: ignore[arg-type]


@pytest.mark.slow
async def test_a_slow_refresh_ahead_of_time_holds_no_call_for_long(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlmsg._refreshing.REFRESH_AHEAD_WAIT", 0.05)
    now = 0.0
    grant = sandbox.grant
    secret, pack = grant.client_secret, first_pack(sandbox)
    source = RefreshingToken(grant.client_id, secret, "sandbox-refresh-0001", clock=lambda: now)
    async with Client(source, base_url=sandbox.url, budget=None) as client:
        await client.packs.page(pack)
        now = 21_400.0  # 200 s before the end
        sandbox.inject(Fault(action="pass", path="/oauth/token", delay=0.5))
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await client.packs.page(pack)
        assert loop.time() - begun < 0.4
    assert grant.refreshes == 2


async def test_a_grant_that_is_gone_ends_the_job(sandbox: Sandbox, tmp_path: Path) -> None:
    """Else every one of a million threads would fail in the same way."""
    source = RefreshingToken(sandbox.grant.client_id, sandbox.grant.client_secret, "used-before")
    async with Client(source, base_url=sandbox.url, budget=None) as client:
        with pytest.raises(ReauthorizationRequired):
            await sync_attachments(
                client, packs=list(sandbox.market.packs), to=tmp_path, site_id="MLM"
            )


async def test_the_inbox_answers_in_time_however_slow_the_api_is(sandbox: Sandbox) -> None:
    """Mercado Libre gives a receiver of notifications 500 ms."""
    example = Path(__file__).parent.parent / "examples" / "inbox_service.py"
    inbox_of = runpy.run_path(str(example))["Inbox"]
    sandbox.inject(Fault(action="pass", delay=30, times=1000))
    body = {"topic": "messages", "resource": "m1", "user_id": 1}
    async with Client(sandbox.token, base_url=sandbox.url) as client:
        inbox = inbox_of(client, print)
        async with TestServer(inbox.app()) as server, ClientSession() as http:
            async with asyncio.timeout(0.5):
                came = [
                    (await http.post(server.make_url("/notifications"), json=body)).status
                    for _ in range(20)
                ]
    assert came == [200] * 20
