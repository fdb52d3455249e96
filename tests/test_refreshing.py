"""RefreshingToken: when it refreshes, what a refresh that fails costs, and who waits for it."""

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
from calls import AT_ONCE, PACK_ID, Call, answer_page, download, read_page, send
from grants import (
    EXPIRED,
    FIRST_REFRESH_TOKEN,
    FRESH,
    TOKEN_PATH,
    MemoryStore,
    Ready,
    client_of,
    source_of,
    traffic,
    unavailable,
)
from rawserver import Peer, answers, in_turn

from mlmsg import (
    AttemptEvent,
    AuthenticationError,
    BadRequest,
    Client,
    DecodeError,
    MlmsgError,
    RateLimited,
    ReauthorizationRequired,
    RefreshingToken,
    ServerError,
    TimedOut,
    Timeouts,
    Token,
    TransportError,
)
from mlmsg.auth import TokenLike
from mlmsg.sandbox import Clock, Fault, Sandbox


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    """Stop the sandbox's clock; only a test moves it."""
    sandbox.clock = Clock(lambda: 0.0)
    return sandbox


@pytest.fixture
async def refreshing(sandbox: Sandbox) -> AsyncIterator[Client]:
    """Open a client with a grant and without an access token."""
    async with client_of(sandbox.url, source_of(sandbox)) as client:
        yield client


EXAMPLE_FILE = "700200011_c2e991cb-9a89-5356-8010-0c577a85c8d8.png"

CALLS: dict[str, Call] = {
    "read": read_page,
    "send": send,
    "upload": lambda client: client.attachments.upload(b"a,b", site_id="MLM", filename="a.csv"),
    "open": lambda client: download(client, EXAMPLE_FILE),
}


# --- when ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"), [(None, "T.."), ("sandbox-token-0001", ".."), (EXPIRED, "xT..")]
)
async def test_it_refreshes_when_there_is_no_good_token(
    sandbox: Sandbox, given: str | None, expected: str
) -> None:
    async with client_of(sandbox.url, source_of(sandbox, given)) as client:
        await read_page(client)
        await read_page(client)
    assert traffic(sandbox) == expected


async def test_a_token_of_unknown_lifetime_is_used_until_the_api_rejects_it(
    sandbox: Sandbox,
) -> None:
    async with client_of(sandbox.url, source_of(sandbox, sandbox.token)) as client:
        sandbox.clock.advance(10.0**7)
        await read_page(client)
        sandbox.expire()
        await read_page(client)
    assert traffic(sandbox) == ".xT."


@pytest.mark.parametrize(
    ("life", "age", "refreshed"),
    [
        (21600, 21299, False),
        (21600, 21300, True),
        (21600, 21599, True),
        (21600, 21600, True),
        (601, 300, False),
        (601, 301, True),
        (100, 49, False),
        (100, 50, True),
        (100, 100, True),
    ],
)
async def test_it_refreshes_ahead_of_the_end(
    sandbox: Sandbox, life: int, age: int, refreshed: bool
) -> None:
    """By five minutes, or by half the life of a token that lives for less than ten."""
    sandbox.grant.expires_in = life
    async with client_of(sandbox.url, source_of(sandbox)) as client:
        await read_page(client)
        sandbox.clock.advance(age)
        await read_page(client)
    assert traffic(sandbox) == ("T.T." if refreshed else "T..")


DOWN = {
    "500": (Fault(path=TOKEN_PATH), ServerError),
    "no answer": (Fault(path=TOKEN_PATH, action="drop"), TransportError),
    "no answer in time": (Fault(path=TOKEN_PATH, action="drop", delay=60), TimedOut),
    "another refusal": (Fault(path=TOKEN_PATH, status=400), BadRequest),
}


@pytest.mark.parametrize("name", ["500", "no answer", "another refusal"])
async def test_while_the_token_is_valid_a_failed_refresh_costs_nothing(
    sandbox: Sandbox, refreshing: Client, name: str
) -> None:
    """The next attempt comes after half a minute."""
    await read_page(refreshing)
    sandbox.inject(DOWN[name][0])
    for seconds in (21300, 0, 29, 1):
        sandbox.clock.advance(seconds)
        await read_page(refreshing)
    assert traffic(sandbox) == "T.t...T."


async def test_a_dead_grant_is_used_to_its_end(sandbox: Sandbox, refreshing: Client) -> None:
    await read_page(refreshing)
    sandbox.grant.refresh_token = "another"
    sandbox.clock.advance(21300)
    await read_page(refreshing)
    sandbox.clock.advance(299)
    await read_page(refreshing)
    sandbox.clock.advance(1)
    with pytest.raises(ReauthorizationRequired):
        await read_page(refreshing)
    assert traffic(sandbox) == "T.t.."


async def test_an_expired_token_is_not_used_after_a_failed_refresh(
    sandbox: Sandbox, refreshing: Client
) -> None:
    sandbox.grant.expires_in = 40
    await read_page(refreshing)
    sandbox.clock.advance(20)
    sandbox.inject(Fault(path=TOKEN_PATH))
    await read_page(refreshing)
    sandbox.clock.advance(20)
    await read_page(refreshing)
    assert traffic(sandbox) == "T.t.T."


# --- what fails ----------------------------------------------------------------------------


@pytest.mark.parametrize(("fault", "error"), DOWN.values(), ids=DOWN)
async def test_a_failed_refresh_is_repeated_only_by_the_next_call(
    sandbox: Sandbox, fault: Fault, error: type[MlmsgError]
) -> None:
    """The server executed nothing: the refresh token is still valid."""
    source, brief = source_of(sandbox, EXPIRED), Timeouts(read=0.05)
    sandbox.inject(fault)
    async with (
        client_of(sandbox.url, source, brief if fault.delay else 5) as first,
        client_of(sandbox.url, source) as client,
    ):
        failure = await unavailable(read_page(first))
        assert type(failure.__cause__) is error
        assert traffic(sandbox) == "xt"
        if error is BadRequest:  # a refusal of the API is not repeated for half a minute
            sandbox.clock.advance(30)
        await read_page(client)
    assert traffic(sandbox) == "xtT."


LOST = {
    "the answer is lost": (Fault(path=TOKEN_PATH, action="lose"), TransportError, "t"),
    "the answer is cut": (Fault(path=TOKEN_PATH, action="cut"), DecodeError, "T"),
}


@pytest.mark.parametrize(("fault", "error", "seen"), LOST.values(), ids=LOST)
async def test_a_grant_whose_response_was_lost_is_dead(
    sandbox: Sandbox, refreshing: Client, fault: Fault, error: type[MlmsgError], seen: str
) -> None:
    """The next call finds out; later calls fail without a request."""
    sandbox.inject(fault)
    failure = await unavailable(read_page(refreshing))
    assert isinstance(failure.__cause__, error)
    assert traffic(sandbox) == seen
    for _ in range(3):
        with pytest.raises(ReauthorizationRequired):
            await read_page(refreshing)
    assert traffic(sandbox) == f"{seen}t"
    assert sandbox.grant.refreshes == 1


async def test_a_wrong_secret_is_rejected_by_the_api(sandbox: Sandbox) -> None:
    grant, clock = sandbox.grant, sandbox.clock.now
    source = RefreshingToken(grant.client_id, "wrong", grant.refresh_token, clock=clock)
    async with client_of(sandbox.url, source) as client:
        for tries in (1, 2):
            failure = await unavailable(read_page(client))
            assert isinstance(failure.__cause__, BadRequest)
            assert failure.__cause__.code == "invalid_client"
            assert traffic(sandbox) == "t" * tries
            sandbox.clock.advance(30)


@pytest.mark.parametrize(("times", "expected"), [(1, "tT."), (3, "tttT."), (4, "tttt")])
async def test_a_429_proves_that_nothing_was_done_and_is_repeated(
    sandbox: Sandbox, refreshing: Client, times: int, expected: str
) -> None:
    sandbox.inject(Fault(status=429, path=TOKEN_PATH, times=times))
    if times < AT_ONCE.attempts:
        await read_page(refreshing)
    else:
        failure = await unavailable(read_page(refreshing))
        assert type(failure.__cause__) is RateLimited
    assert traffic(sandbox) == expected


async def test_a_failed_connection_is_retried() -> None:
    script = in_turn(answers(200, FRESH), answer_page)
    events: list[AttemptEvent] = []
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        await script(peer)
        await peer.close()

    def listen(event: AttemptEvent) -> None:
        events.append(event)
        if len(events) == 2:
            tasks.append(asyncio.create_task(server.start_serving()))

    # Bound, but not listening until the second attempt has failed.
    server = await asyncio.start_server(serve, "127.0.0.1", 0, start_serving=False)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        source = RefreshingToken(1, "secret", "refresh")
        async with Client(source, base_url=url, retry=AT_ONCE, on_event=listen) as client:
            await read_page(client)
    assert [event.verdict for event in events] == ["retry", "retry", "accept", "accept"]
    assert [event.operation for event in events] == ["auth.refresh"] * 3 + ["packs.page"]


# --- a 401 ---------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_after_a_401_a_call_is_repeated_once_with_a_new_token(
    sandbox: Sandbox, call: Call
) -> None:
    async with client_of(sandbox.url, source_of(sandbox, EXPIRED)) as client:
        await call(client)
    assert traffic(sandbox) == "xT."
    sent = [one.headers.get("Authorization") for one in sandbox.requests]
    assert sent == [f"Bearer {EXPIRED}", None, f"Bearer {sandbox.grant.access_token}"]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_second_401_is_raised(sandbox: Sandbox, call: Call) -> None:
    sandbox.inject(Fault(status=401, path="/marketplace", times=2))
    async with client_of(sandbox.url, source_of(sandbox, sandbox.token)) as client:
        with pytest.raises(AuthenticationError) as caught:
            await call(client)
        assert caught.value.attempts == 2
        assert traffic(sandbox) == "xTx"
        await call(client)
    assert traffic(sandbox) == "xTx."


async def test_an_upload_that_cannot_be_repeated_fails_and_the_next_call_refreshes(
    sandbox: Sandbox,
) -> None:
    async with client_of(sandbox.url, source_of(sandbox, EXPIRED)) as client:
        with pytest.raises(AuthenticationError):
            await client.attachments.upload(
                iter([b"a,b"]), site_id="MLM", filename="a.csv", length=3
            )
        await read_page(client)
    assert traffic(sandbox) == "xT."


async def test_a_401_comes_before_the_retries_and_counts_as_none(
    sandbox: Sandbox, refreshing: Client
) -> None:
    await read_page(refreshing)
    sandbox.expire()
    sandbox.inject(Fault(status=503, path="/packs", times=2))
    sandbox.inject(Fault(action="pass", path="/packs"))
    sandbox.inject(Fault(status=503, path="/packs"))
    await read_page(refreshing)
    assert traffic(sandbox) == "T...xT.."


OTHERS: list[tuple[Callable[[], TokenLike], str]] = [
    (lambda: EXPIRED, "x"),
    (lambda: Ready(EXPIRED), "x"),
    (lambda: Ready(EXPIRED).token, "x"),
    (lambda: Ready(EXPIRED, "sandbox-token-0001"), "x."),
    (lambda: Ready(EXPIRED, "sandbox-token-0001").token, "x."),
    (lambda: Ready(EXPIRED, "bad", "sandbox-token-0001"), "xx"),
]


@pytest.mark.parametrize(("make", "expected"), OTHERS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_only_another_token_is_worth_another_request(
    sandbox: Sandbox, call: Call, make: Callable[[], TokenLike], expected: str
) -> None:
    sandbox.expire("bad")
    async with client_of(sandbox.url, make()) as client:
        if expected.endswith("."):
            await call(client)
        else:
            with pytest.raises(AuthenticationError) as caught:
                await call(client)
            assert caught.value.attempts == len(expected)
    assert traffic(sandbox) == expected


# --- what the API answers ------------------------------------------------------------------

Answer = dict[str, object]
ANSWERS: list[tuple[Answer, Answer]] = [
    ({}, {}),
    ({"expires_in": "60", "user_id": "7"}, {"expires_at": 60.0, "expires_in": 60.0, "user_id": 7}),
    ({"refresh_token": "next", "expires_in": "soon", "scope": []}, {"refresh_token": "next"}),
    ({"refresh_token": None, "expires_in": None, "user_id": {}}, {}),
]


@pytest.mark.parametrize(("more", "expected"), ANSWERS)
async def test_an_answer_may_lack_all_but_the_token(
    sandbox: Sandbox, more: Answer, expected: Answer
) -> None:
    store, body = MemoryStore(), {"access_token": sandbox.token, **more}
    sandbox.inject(Fault(path=TOKEN_PATH, status=200, body=body))
    async with client_of(sandbox.url, source_of(sandbox, store=store)) as client:
        least = Token(access_token=sandbox.token, refresh_token=sandbox.grant.refresh_token)
        await read_page(client)
        await read_page(client)
        assert store.token == msgspec.structs.replace(least, **expected)
        assert traffic(sandbox) == "T.."
        if "refresh_token" not in expected:  # then the old one is used once more
            sandbox.expire()
            await read_page(client)
            assert traffic(sandbox) == "T..xT."


@pytest.mark.parametrize(
    "body", [b"", b"<html>0001</html>", b'["0001"]', FRESH[:30],
             b'{"another_token": "fresh-0001", "refresh_token": null}', b'{"access_token": ""}']
)  # fmt: skip
async def test_an_answer_without_a_token_cannot_be_read_and_is_not_kept(
    sandbox: Sandbox, refreshing: Client, body: bytes
) -> None:
    sandbox.inject(Fault(path=TOKEN_PATH, status=200, body=body))
    failure = await unavailable(read_page(refreshing))
    assert isinstance(failure.__cause__, DecodeError)
    assert failure.__cause__.body == b""
    assert "0001" not in f"{failure!r} {failure} {failure.__cause__!r} {failure.__cause__}"
    assert traffic(sandbox) == "T"


@pytest.mark.slow
async def test_a_slow_refresh_ahead_of_time_delays_no_call_for_long(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlmsg._refreshing.REFRESH_AHEAD_WAIT", 0.05)
    now = 0.0
    grant = sandbox.grant
    secret, pack = grant.client_secret, PACK_ID
    source = RefreshingToken(grant.client_id, secret, FIRST_REFRESH_TOKEN, clock=lambda: now)
    async with Client(source, base_url=sandbox.url, budget=None) as client:
        await client.packs.page(pack)
        now = 21_400.0  # 200 s before the end
        sandbox.inject(Fault(action="pass", path="/oauth/token", delay=0.5))
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await client.packs.page(pack)
        assert loop.time() - begun < 0.4
    assert grant.refreshes == 2
