"""One grant for many: calls, clients, event loops, and processes that share a store."""

import asyncio
import copy
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from calls import answer_page, as_coroutine, cancel, read_page, send
from grants import (
    EXPIRED,
    FIRST_ACCESS_TOKEN,
    FIRST_REFRESH_TOKEN,
    FRESH,
    TOKEN_PATH,
    MemoryStore,
    client_of,
    first_source,
    source_of,
    traffic,
)
from rawserver import Peer, in_turn, raw_server

from mlmsg import (
    BadRequest,
    FileTokenStore,
    ReauthorizationRequired,
    RefreshingToken,
    ServerError,
    ThreadPage,
    Token,
    TokenStore,
    TokenUnavailable,
    UsageError,
)
from mlmsg.sandbox import Clock, Fault, Sandbox


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    """Stop the sandbox's clock; only a test moves it."""
    sandbox.clock = Clock(lambda: 0.0)
    return sandbox


# --- who waits -----------------------------------------------------------------------------


async def test_a_hundred_calls_wait_for_one_refresh(sandbox: Sandbox) -> None:
    async with client_of(sandbox.url, source_of(sandbox)) as client:
        await asyncio.gather(*(read_page(client) for _ in range(100)))
    assert traffic(sandbox) == "T" + "." * 100


async def test_a_hundred_401s_are_one_refresh(sandbox: Sandbox) -> None:
    source = source_of(sandbox, EXPIRED)
    async with client_of(sandbox.url, source) as one, client_of(sandbox.url, source) as another:
        await asyncio.gather(*(read_page(client) for client in (one, another) for _ in range(50)))
    seen = traffic(sandbox)
    assert (seen.count("T"), seen.count(".")) == (1, 100)


async def test_a_hundred_calls_fail_with_one_refresh(sandbox: Sandbox) -> None:
    sandbox.inject(Fault(path=TOKEN_PATH))
    async with client_of(sandbox.url, source_of(sandbox)) as client:
        calls = [read_page(client) for _ in range(100)]
        ended = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(error) for error in ended} == {TokenUnavailable}
    assert {type(error.__cause__) for error in ended if isinstance(error, TokenUnavailable)} == {
        ServerError
    }
    assert traffic(sandbox) == "t"


class Held:
    """A step that says when it was reached, and answers when it may."""

    def __init__(self) -> None:
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self, peer: Peer) -> None:
        self.reached.set()
        await self.go.wait()
        await peer.answer(200, FRESH)


@pytest.mark.parametrize("cancelled", [1, 2, 3])
async def test_a_refresh_continues_when_any_of_its_waiters_is_cancelled(cancelled: int) -> None:
    held, store = Held(), MemoryStore()
    script = in_turn(held, *[answer_page] * (4 - cancelled))
    source = RefreshingToken(1, "secret", "refresh", store=store)
    async with (
        asyncio.timeout(5),
        raw_server(script) as server,
        client_of(server.url, source) as client,
    ):
        tasks = [asyncio.create_task(as_coroutine(read_page(client))) for _ in range(3)]
        await held.reached.wait()
        await cancel(*tasks[:cancelled])
        held.go.set()
        await store.saved.wait()
        await asyncio.gather(*tasks[cancelled:])
        await read_page(client)
    assert store.token is not None
    assert store.token.refresh_token == "next-0001"
    assert server.requests == 5 - cancelled


@pytest.mark.parametrize("impatient", [False, True], ids=["waiting", "cancelled"])
async def test_closing_waits_for_the_refresh(impatient: bool) -> None:
    held, store = Held(), MemoryStore()
    source = RefreshingToken(1, "secret", "refresh", store=store)
    async with asyncio.timeout(5), raw_server(in_turn(held, answer_page)) as server:
        client = client_of(server.url, source)
        call = asyncio.create_task(as_coroutine(read_page(client)))
        await held.reached.wait()
        closing = asyncio.create_task(as_coroutine(client.aclose()))
        assert await asyncio.wait({closing}, timeout=0.02) == (set(), {closing})
        if impatient:
            closing.cancel()
        held.go.set()
        (ended,) = await asyncio.gather(closing, return_exceptions=True)
        assert store.saved.is_set()
        await asyncio.gather(call, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError) is impatient


async def test_a_send_that_waits_for_a_token_is_not_sent_when_the_client_closes() -> None:
    held = Held()
    source = RefreshingToken(1, "secret", "refresh")
    async with asyncio.timeout(5), raw_server(in_turn(held, answer_page)) as server:
        client = client_of(server.url, source)
        call = asyncio.create_task(as_coroutine(send(client)))
        await held.reached.wait()
        closing = asyncio.create_task(as_coroutine(client.aclose()))
        await asyncio.sleep(0)
        held.go.set()
        ended = await asyncio.gather(call, closing, return_exceptions=True)
    assert isinstance(ended[0], UsageError)
    assert server.requests == 1


async def test_closing_one_client_does_not_fail_the_calls_of_another(sandbox: Sandbox) -> None:
    store = MemoryStore()
    source = source_of(sandbox, store=store)
    async with client_of(sandbox.url, source) as one, client_of(sandbox.url, source) as another:
        async with store.lock():
            calls = [
                asyncio.create_task(as_coroutine(read_page(client))) for client in (one, another)
            ]
            await asyncio.sleep(0)
            closing = asyncio.create_task(as_coroutine(one.aclose()))
            await asyncio.sleep(0)
        ended = await asyncio.gather(*calls, closing, return_exceptions=True)
    assert [type(one) for one in ended] == [UsageError, ThreadPage, type(None)]


# --- event loops ---------------------------------------------------------------------------


async def test_a_source_serves_two_event_loops_in_turn(sandbox: Sandbox) -> None:
    source = source_of(sandbox)

    async def main() -> None:
        async with client_of(sandbox.url, source) as client:
            await read_page(client)

    for _ in range(2):
        await asyncio.to_thread(asyncio.run, main())
        sandbox.clock.advance(21600)
    assert traffic(sandbox) == "T.T."


async def test_a_second_event_loop_does_not_wait_for_the_first_one() -> None:
    held = Held()
    source = RefreshingToken(1, "secret", "refresh")

    async def main(url: str) -> None:
        async with client_of(url, source) as client:
            await read_page(client)

    async with raw_server(in_turn(held, answer_page, answer_page)) as server:
        async with client_of(server.url, source) as client:
            first = asyncio.create_task(as_coroutine(read_page(client)))
            await held.reached.wait()
            with pytest.raises(UsageError, match="another event loop refreshes this token"):
                await asyncio.to_thread(asyncio.run, main(server.url))
            held.go.set()
            await first
        await asyncio.to_thread(asyncio.run, main(server.url))
    assert server.requests == 3


# --- stores --------------------------------------------------------------------------------


class Watched(MemoryStore):
    """A store that notes what the sandbox had seen at each `save`, and fails some of them."""

    def __init__(self, sandbox: Sandbox, *failures: Exception, late: bool = False) -> None:
        super().__init__()
        self.seen: list[str] = []
        self._sandbox = sandbox
        self._failures = list(failures)
        self._late = late

    async def save(self, token: Token) -> None:
        self.seen.append(traffic(self._sandbox))
        failure = self._failures.pop(0) if self._failures else None
        if failure is None or self._late:
            await super().save(token)
        if failure is not None:
            raise failure


async def test_a_new_grant_is_in_the_store_before_its_first_use(sandbox: Sandbox) -> None:
    store = Watched(sandbox)
    async with client_of(sandbox.url, source_of(sandbox, store=store)) as client:
        await asyncio.gather(*(read_page(client) for _ in range(20)))
        sandbox.clock.advance(21600)
        await read_page(client)
    assert store.seen == ["T", f"T{'.' * 20}T"]
    assert store.token is not None
    assert store.token.access_token == sandbox.grant.access_token
    assert store.token.refresh_token == sandbox.grant.refresh_token
    assert (store.token.expires_at, store.token.user_id) == (43200.0, sandbox.market.user_id)


@pytest.mark.parametrize("times", [1, 3])
async def test_a_grant_that_could_not_be_saved_is_not_lost(sandbox: Sandbox, times: int) -> None:
    """The call fails; the next one saves it before anything else, and goes on with it."""
    failures = [OSError(28, "No space left on device") for _ in range(times)]
    store = Watched(sandbox, *failures)
    async with client_of(sandbox.url, source_of(sandbox, EXPIRED, store)) as client:
        for failure in failures:
            with pytest.raises(OSError, match="No space") as caught:
                await read_page(client)
            assert caught.value is failure
        assert traffic(sandbox) == "xT"
        await read_page(client)
    assert traffic(sandbox) == "xT."
    assert store.seen == ["xT"] * (times + 1)
    assert store.token is not None
    assert store.token.refresh_token == sandbox.grant.refresh_token


@pytest.mark.parametrize(("others", "expected"), [(False, "T."), (True, "TT..")])
async def test_what_could_not_be_saved_does_not_replace_what_is_newer(
    sandbox: Sandbox, others: bool, expected: str
) -> None:
    """A failed `save` may have succeeded, and another process may have rotated the grant."""
    store = Watched(sandbox, OSError(5, "the answer of the database was lost"), late=True)
    mine, other = source_of(sandbox, store=store), source_of(sandbox, store=store)
    async with client_of(sandbox.url, mine) as one, client_of(sandbox.url, other) as another:
        with pytest.raises(OSError, match="lost"):
            await read_page(one)
        if others:
            sandbox.clock.advance(21600)
            await read_page(another)
        await read_page(one)
    assert traffic(sandbox) == expected
    assert store.token is not None
    assert store.token.refresh_token == sandbox.grant.refresh_token


def kept(access: str, refresh: str, at: float | None = None, life: float | None = None) -> Token:
    return Token(access_token=access, refresh_token=refresh, expires_at=at, expires_in=life)


HELD: dict[str, tuple[Token | None, str | None, str, str]] = {
    # what the store holds, then what the source was given
    "nothing": (None, None, FIRST_REFRESH_TOKEN, "T."),
    "the same": (kept(EXPIRED, FIRST_REFRESH_TOKEN), None, FIRST_REFRESH_TOKEN, "xT."),
    "a newer one": (kept(FIRST_ACCESS_TOKEN, FIRST_REFRESH_TOKEN, 3600.0), EXPIRED, "older", "."),
    "a newer one that has ended": (
        kept(FIRST_ACCESS_TOKEN, FIRST_REFRESH_TOKEN, 0.0),
        None,
        "older",
        "T.",
    ),
    "a newer one that ends soon": (
        kept(FIRST_ACCESS_TOKEN, FIRST_REFRESH_TOKEN, 300.0),
        None,
        "older",
        "T.",
    ),
    "a newer one that ends later": (
        kept(FIRST_ACCESS_TOKEN, FIRST_REFRESH_TOKEN, 301.0),
        None,
        "older",
        ".",
    ),
    "a newer one of a short life": (
        kept(FIRST_ACCESS_TOKEN, FIRST_REFRESH_TOKEN, 51.0, 100.0),
        None,
        "older",
        ".",
    ),
    "a newer one past half of it": (
        kept(FIRST_ACCESS_TOKEN, FIRST_REFRESH_TOKEN, 50.0, 100.0),
        None,
        "older",
        "T.",
    ),
    "a newer one that is refused": (
        kept(EXPIRED, FIRST_REFRESH_TOKEN),
        FIRST_ACCESS_TOKEN,
        "older",
        "xT.",
    ),
    "a dead one": (kept(EXPIRED, "dead", 0.0), None, FIRST_REFRESH_TOKEN, "tT."),
    "a dead one, with a token of our own": (
        kept(EXPIRED, "dead", 0.0),
        FIRST_ACCESS_TOKEN,
        FIRST_REFRESH_TOKEN,
        "t.",
    ),
    "a dead one that is good still": (
        kept(FIRST_ACCESS_TOKEN, "dead"),
        None,
        FIRST_REFRESH_TOKEN,
        ".",
    ),
    "a dead one that is refused": (kept(EXPIRED, "dead"), None, FIRST_REFRESH_TOKEN, "xtT."),
}


@pytest.mark.parametrize(("held", "access", "refresh", "expected"), HELD.values(), ids=HELD)
async def test_the_store_comes_before_what_was_given(
    sandbox: Sandbox, held: Token | None, access: str | None, refresh: str, expected: str
) -> None:
    store = MemoryStore(held)
    source = source_of(sandbox, access, store, refresh)
    async with client_of(sandbox.url, source) as client:
        await read_page(client)
    assert traffic(sandbox) == expected
    assert store.saved.is_set() is ("T" in expected)


async def test_two_dead_grants_are_tried_once_each(sandbox: Sandbox) -> None:
    source = source_of(sandbox, None, MemoryStore(kept(EXPIRED, "dead", 0.0)), "dead-too")
    causes = []
    async with client_of(sandbox.url, source) as client:
        for call in (read_page, send, read_page):
            with pytest.raises(ReauthorizationRequired, match="authorize") as caught:
                await call(client)
            causes.append(type(caught.value.__cause__))
    assert causes == [BadRequest] * 3
    assert traffic(sandbox) == "tt"


async def test_a_new_grant_in_the_store_ends_the_need_to_authorize(sandbox: Sandbox) -> None:
    store = MemoryStore()
    async with client_of(sandbox.url, source_of(sandbox, None, store, "dead")) as client:
        with pytest.raises(ReauthorizationRequired):
            await read_page(client)
        store.token = kept("", FIRST_REFRESH_TOKEN)
        await read_page(client)
    assert traffic(sandbox) == "tT."


class Rotated(MemoryStore):
    """A store that nothing locks: another process writes it between two looks."""

    def __init__(self, *tokens: Token) -> None:
        super().__init__(tokens[-1])
        self._looks = list(tokens)

    async def load(self) -> Token | None:
        return self._looks.pop(0) if self._looks else self.token


@pytest.mark.parametrize(
    ("newer", "expected"),
    [
        (kept(FIRST_ACCESS_TOKEN, FIRST_REFRESH_TOKEN), "t."),
        (kept(FIRST_ACCESS_TOKEN, FIRST_REFRESH_TOKEN, 0.0), "tT."),
    ],
)
async def test_a_grant_that_was_rotated_meanwhile_is_adopted(
    sandbox: Sandbox, newer: Token, expected: str
) -> None:
    store = Rotated(kept(EXPIRED, "used by another", 0.0), newer)
    async with client_of(sandbox.url, source_of(sandbox, None, store, "older")) as client:
        await read_page(client)
    assert traffic(sandbox) == expected


# --- processes -----------------------------------------------------------------------------

StoreAt = Callable[[Path], TokenStore]
STORES = [
    pytest.param(lambda _: MemoryStore(), id="memory"),
    pytest.param(FileTokenStore, id="file"),
]


@pytest.mark.parametrize("store_at", STORES)
async def test_two_sources_on_one_store_share_the_grant(
    sandbox: Sandbox, tmp_path: Path, store_at: StoreAt
) -> None:
    store = store_at(tmp_path / "grant.json")
    mine, other = source_of(sandbox, store=store), source_of(sandbox, store=store)
    async with client_of(sandbox.url, mine) as one, client_of(sandbox.url, other) as another:
        for turn, expected in ((one, "T."), (another, "T.."), (one, "T...")):
            await read_page(turn)
            assert traffic(sandbox) == expected
        sandbox.clock.advance(21600)
        for turn, expected in ((another, "T...T."), (one, "T...T..")):
            await read_page(turn)
            assert traffic(sandbox) == expected
        sandbox.expire()
        await asyncio.gather(*(read_page(turn) for turn in (one, another) for _ in range(10)))
    assert sandbox.grant.refreshes == 3


PROCESS = """
import asyncio, sys
from mlmsg import Client, FileTokenStore, RefreshingToken

async def main(url, path):
    given = "1000000000000001", "sandbox-secret", "sandbox-refresh-0001"
    source = RefreshingToken(*given, store=FileTokenStore(path))
    async with Client(source, base_url=url) as client:
        print("ready", flush=True)
        sys.stdin.readline()
        await asyncio.gather(*(client.packs.page(2000007001000011) for _ in range(5)))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
async def test_several_processes_share_one_refresh(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "grant.json"
    path.write_bytes(
        msgspec.json.encode({"access_token": EXPIRED, "refresh_token": FIRST_REFRESH_TOKEN})
    )
    command = [sys.executable, "-W", "error", "-c", PROCESS, sandbox.url, str(path)]
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(*command, cwd=tmp_path, stdin=pipe, stdout=pipe)
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    await asyncio.gather(*(process.communicate(b"\n") for process in processes))
    assert [process.returncode for process in processes] == [0] * 4
    assert sandbox.grant.refreshes == 1
    assert (traffic(sandbox).count("t"), traffic(sandbox).count(".")) == (0, 20)


# --- pickling ------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_grant_without_a_store_cannot_be_doubled(way: Callable[[object], object]) -> None:
    with pytest.raises(UsageError, match="only with a store"):
        way(first_source())


async def test_pickled_copies_share_the_grant(sandbox: Sandbox, tmp_path: Path) -> None:
    pickled = pickle.dumps(first_source(store=FileTokenStore(tmp_path / "grant.json")))
    for expected in ("T.", "T..", "T..."):
        source = pickle.loads(pickled)  # noqa: S301  (our own)
        assert repr(source) == "<RefreshingToken>"
        async with client_of(sandbox.url, source) as client:
            await read_page(client)
        assert traffic(sandbox) == expected
