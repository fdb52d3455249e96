"""Failures that leave no access token: one clear error, final for a job, few token requests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from calls import AT_ONCE, ONCE, PAGE, as_coroutine, read_page
from grants import (
    EXPIRED,
    FIRST_REFRESH_TOKEN,
    TOKEN_PATH,
    MemoryStore,
    client_of,
    first_source,
    source_of,
    traffic,
    unavailable,
)
from mirrors import fill
from rawserver import answers, in_turn, raw_server

from mlmsg import (
    ApiError,
    AttemptEvent,
    BadRequest,
    Client,
    DecodeError,
    FileTokenStore,
    InvalidToken,
    MlmsgError,
    PermissionDenied,
    RateLimited,
    RefreshingToken,
    RetryPolicy,
    RuleError,
    ServerError,
    ThreadPage,
    Token,
    TokenUnavailable,
    TransportError,
    UsageError,
)
from mlmsg.auth import TokenLike
from mlmsg.sandbox import Clock, Fault, Sandbox
from mlmsg.sync import sync_attachments


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    """A sandbox whose time only the test advances."""
    sandbox.clock = Clock(lambda: 0.0)
    return sandbox


def refusal(code: str, text: str, status: int = 400, times: int = 1000) -> Fault:
    body = {"error": code, "message": text, "status": status, "cause": []}
    return Fault(path=TOKEN_PATH, status=status, body=body, times=times)


HTML = "<html><body>Maintenance</body></html>"

REFUSALS = {
    "invalid_client": (refusal("invalid_client", "invalid client_id"), BadRequest, "client secret"),
    "unauthorized_client": (refusal("unauthorized_client", "no"), BadRequest, "application"),
    "invalid_scope": (refusal("invalid_scope", "no such scope"), BadRequest, "scopes"),
    "no valid scopes": (refusal("bad_request", "user has no valid scopes"), BadRequest, "scopes"),
    "unknown code": (refusal("never_seen", "why"), BadRequest, "why"),
    "no body": (Fault(path=TOKEN_PATH, status=400, body=b"", times=1000), BadRequest, "400"),
    "401": (refusal("unauthorized", "no", 401), ApiError, "401"),
    "403": (refusal("forbidden", "application is blocked", 403), PermissionDenied, "blocked"),
    "404": (refusal("not_found", "nothing here", 404), ApiError, "404"),
    "451": (refusal("unavailable", "account closed", 451), ApiError, "closed"),
}

OPEN = {
    "500": (Fault(path=TOKEN_PATH, times=1000), ServerError, "500"),
    "503": (Fault(path=TOKEN_PATH, status=503, body=HTML, times=1000), ServerError, "Maintenance"),
    "HTML with 200": (Fault(path=TOKEN_PATH, status=200, body=HTML, times=1000), DecodeError, ""),
    "no token": (Fault(path=TOKEN_PATH, status=200, body={}, times=1000), DecodeError, "no token"),
    "dropped": (Fault(path=TOKEN_PATH, action="drop", times=1000), TransportError, ""),
}

ALL = {**REFUSALS, **OPEN}


@pytest.mark.parametrize(("fault", "cause", "text"), ALL.values(), ids=ALL)
async def test_the_error_names_the_refresh_the_cause_and_the_advice(
    sandbox: Sandbox, fault: Fault, cause: type[MlmsgError], text: str
) -> None:
    sandbox.inject(fault)
    async with client_of(sandbox.url, source_of(sandbox, EXPIRED)) as client:
        error = await unavailable(read_page(client))
    assert isinstance(error.__cause__, cause)
    assert text in str(error)
    assert TOKEN_PATH in str(error)
    assert error.ends_job
    assert "sandbox-" not in f"{error} {error!r} {error.__cause__} {error.__cause__!r}"


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "cause", "text"), ALL.values(), ids=ALL)
async def test_a_job_ends_with_one_error_and_hardly_a_token_request(
    sandbox: Sandbox, tmp_path: Path, fault: Fault, cause: type[MlmsgError], text: str
) -> None:
    """Only a refresh of unknown outcome may be repeated, once, by a call that came later."""
    packs = fill(sandbox.market, 200)
    sandbox.inject(fault)
    source = source_of(sandbox, EXPIRED)
    async with client_of(sandbox.url, source) as client:
        with pytest.raises(TokenUnavailable) as caught:
            await sync_attachments(client, packs=packs, to=tmp_path, site_id="MLM", concurrency=50)
    assert isinstance(caught.value.__cause__, cause)
    requests = [request for request in sandbox.requests if request.path == TOKEN_PATH]
    assert 1 <= len(requests) <= (1 if fault in [row[0] for row in REFUSALS.values()] else 2)


@pytest.mark.parametrize(("fault", "cause", "text"), REFUSALS.values(), ids=REFUSALS)
async def test_a_refused_refresh_is_not_tried_again_before_its_pause_has_ended(
    sandbox: Sandbox, fault: Fault, cause: type[MlmsgError], text: str
) -> None:
    sandbox.inject(fault)
    async with client_of(sandbox.url, source_of(sandbox)) as client:
        for requests, seconds in ((1, 29.9), (1, 0.1), (2, 30.0), (3, 0.0)):
            for _ in range(5):
                error = await unavailable(read_page(client))
                assert isinstance(error.__cause__, cause)
            assert traffic(sandbox) == "t" * requests
            sandbox.clock.advance(seconds)


@pytest.mark.parametrize(("fault", "cause", "text"), OPEN.values(), ids=OPEN)
async def test_a_refresh_of_unknown_outcome_is_tried_again_at_once_and_then_after_growing_pauses(
    sandbox: Sandbox, fault: Fault, cause: type[MlmsgError], text: str
) -> None:
    sandbox.inject(fault)
    tried_at = []
    async with client_of(sandbox.url, source_of(sandbox)) as client:
        for second in range(100):
            for _ in range(3):
                before = len(sandbox.requests)
                error = await unavailable(read_page(client))
                assert isinstance(error.__cause__, cause)
                tried_at += [second] * (len(sandbox.requests) - before)
            sandbox.clock.advance(1)
    assert tried_at == [0, 0, 1, 3, 7, 15, 31, 61, 91]


async def test_a_refresh_that_works_again_ends_the_pause(sandbox: Sandbox) -> None:
    sandbox.inject(refusal("invalid_client", "switched off", times=1))
    async with client_of(sandbox.url, source_of(sandbox)) as client:
        await unavailable(read_page(client))
        sandbox.clock.advance(30)
        await read_page(client)
        sandbox.expire()
        await read_page(client)
    assert traffic(sandbox) == "tT.xT."


async def test_a_clock_that_was_set_back_does_not_extend_the_pause(sandbox: Sandbox) -> None:
    now = [10_000.0]
    grant = sandbox.grant
    source = RefreshingToken(grant.client_id, "wrong", grant.refresh_token, clock=lambda: now[0])
    async with client_of(sandbox.url, source) as client:
        await unavailable(read_page(client))
        now[0] -= 3600
        await unavailable(read_page(client))
    assert traffic(sandbox) == "tt"


async def test_a_new_grant_in_the_store_is_used_during_the_pause(sandbox: Sandbox) -> None:
    """For example after the seller has authorized the application again."""
    store = MemoryStore(Token(access_token="", refresh_token="old"))
    sandbox.inject(refusal("invalid_client", "why", times=1))
    async with client_of(sandbox.url, source_of(sandbox, None, store)) as client:
        await unavailable(read_page(client))
        store.token = Token(access_token=sandbox.token, refresh_token="another")
        await read_page(client)
    assert traffic(sandbox) == "t."


# --- 429 of the token endpoint --------------------------------------------------------------


def limited(times: int, seconds: str | None) -> Fault:
    headers = {} if seconds is None else {"Retry-After": seconds}
    return Fault(path=TOKEN_PATH, status=429, headers=headers, times=times)


async def gather(url: str, source: TokenLike, retry: RetryPolicy, calls: int = 50) -> list[object]:
    async with Client(source, base_url=url, retry=retry, budget=None) as client:
        pending = (read_page(client) for _ in range(calls))
        return await asyncio.gather(*pending, return_exceptions=True)


@pytest.mark.slow
@pytest.mark.parametrize("attempts", [1, 4])
async def test_a_429_holds_all_callers_in_one_wait_and_fails_none(
    sandbox: Sandbox, attempts: int
) -> None:
    sandbox.inject(limited(1, "0.2"))
    start = asyncio.get_running_loop().time()
    retry = RetryPolicy(attempts=attempts)
    results = await gather(sandbox.url, source_of(sandbox), retry)
    assert {type(result) for result in results} == {ThreadPage}
    assert traffic(sandbox) == "tT" + "." * 50
    assert asyncio.get_running_loop().time() - start >= 0.2


@asynccontextmanager
async def waiting_call(sandbox: Sandbox) -> AsyncIterator[tuple[Client, asyncio.Task[object]]]:
    """Start a call that never retries by policy, and wait until its refresh has met a 429."""
    events: asyncio.Queue[AttemptEvent] = asyncio.Queue()
    async with (
        asyncio.timeout(10),
        Client(
            source_of(sandbox), base_url=sandbox.url, retry=ONCE, on_event=events.put_nowait
        ) as client,
    ):
        call = asyncio.create_task(as_coroutine(read_page(client)))
        assert (await events.get()).status == 429
        yield client, call


@pytest.mark.slow
async def test_calls_that_come_during_the_pause_wait_for_its_end(sandbox: Sandbox) -> None:
    sandbox.inject(limited(1, "0.3"))
    async with waiting_call(sandbox) as (client, first):
        await asyncio.gather(first, *(read_page(client) for _ in range(10)))
    assert traffic(sandbox) == "tT" + "." * 11


async def test_a_429_that_asks_for_too_long_fails_once_and_sends_nothing_until_its_end(
    sandbox: Sandbox,
) -> None:
    sandbox.inject(limited(1, "120"))
    async with client_of(sandbox.url, source_of(sandbox)) as client:
        for seconds in (60, 59, 1):
            error = await unavailable(read_page(client))
            assert isinstance(error.__cause__, RateLimited)
            assert traffic(sandbox) == "t"
            sandbox.clock.advance(seconds)
        await read_page(client)
    assert traffic(sandbox) == "tT."


async def test_a_429_that_asks_for_a_year_is_tried_again_after_an_hour(sandbox: Sandbox) -> None:
    sandbox.inject(limited(1, "31536000"))
    async with client_of(sandbox.url, source_of(sandbox)) as client:
        await unavailable(read_page(client))
        sandbox.clock.advance(3600)
        await read_page(client)


async def test_closing_a_client_does_not_wait_for_the_pause(sandbox: Sandbox) -> None:
    sandbox.inject(limited(100, "50"))
    async with waiting_call(sandbox) as (client, call):
        await client.aclose()
        (result,) = await asyncio.gather(call, return_exceptions=True)
    assert isinstance(result, UsageError)
    assert traffic(sandbox) == "t"


# --- stores and token sources ---------------------------------------------------------------


async def mirror(sandbox: Sandbox, tmp_path: Path, token: TokenLike) -> None:
    packs = fill(sandbox.market, 200)
    async with Client(token, base_url=sandbox.url, retry=AT_ONCE, budget=None) as client:
        await sync_attachments(client, packs=packs, to=tmp_path / "mirror", site_id="MLM")


async def test_a_damaged_store_file_ends_the_job(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "grant.json"
    path.write_text('{"access_token": "a')
    source = first_source(store=FileTokenStore(path))
    with pytest.raises(TokenUnavailable, match=r"could not be refreshed: .*grant\.json") as caught:
        await mirror(sandbox, tmp_path, source)
    assert isinstance(caught.value.__cause__, RuleError)
    assert sandbox.requests == []


class OddStore(MemoryStore):
    """A store that does not keep to its type."""

    async def load(self) -> Token | None:
        return {"access_token": "a", "refresh_token": "r"}  # type: ignore[return-value]


async def test_a_store_that_returns_something_else_is_named(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    with pytest.raises(TokenUnavailable, match="token store: found dict, allowed: a Token or None"):
        await mirror(sandbox, tmp_path, first_source(store=OddStore()))


class BrokenStore(MemoryStore):
    """A store whose database is down."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def load(self) -> Token | None:
        raise self.error


async def test_an_error_of_the_callers_store_ends_the_job_unchanged(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    error = ConnectionError("the database is down")
    with pytest.raises(ConnectionError) as caught:
        await mirror(sandbox, tmp_path, first_source(store=BrokenStore(error)))
    assert caught.value is error


@dataclass
class Source:
    """A token source that answers with one result, or raises it."""

    result: object
    calls: int = 0

    async def token(self) -> str:
        self.calls += 1
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result  # type: ignore[return-value]


FORMS: list[Callable[[Source], TokenLike]] = [lambda source: source, lambda source: source.token]
JUNK = ["", " ", "a b", "a\n", "ñ", "Bearer abc", None, 7, b"abc", ["abc"], NotImplemented]


@pytest.mark.parametrize("form", FORMS, ids=["source", "function"])
@pytest.mark.parametrize("result", JUNK, ids=repr)
async def test_a_source_that_returns_no_token_ends_the_job(
    sandbox: Sandbox, tmp_path: Path, form: Callable[[Source], TokenLike], result: object
) -> None:
    with pytest.raises(InvalidToken, match="access token: found"):
        await mirror(sandbox, tmp_path, form(Source(result)))
    assert sandbox.requests == []


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS, ids=["source", "function"])
async def test_an_error_of_a_source_ends_the_job_unchanged(
    sandbox: Sandbox, tmp_path: Path, form: Callable[[Source], TokenLike]
) -> None:
    error = LookupError("no such secret in the vault")
    with pytest.raises(LookupError) as caught:
        await mirror(sandbox, tmp_path, form(Source(error)))
    assert caught.value is error


@pytest.mark.parametrize(
    "error", [ServerError(503, None, "down"), TransportError("lost"), RuleError("a", "b", "c")]
)
async def test_our_own_error_from_a_source_does_not_look_like_that_of_the_call(
    sandbox: Sandbox, tmp_path: Path, error: MlmsgError
) -> None:
    with pytest.raises(TokenUnavailable, match="the token source failed: ") as caught:
        await mirror(sandbox, tmp_path, Source(error))
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [TokenUnavailable("no"), UsageError("closed"), InvalidToken("a", "b", "c")]
)
async def test_a_final_error_from_a_source_is_raised_unchanged(error: MlmsgError) -> None:
    async with raw_server(answers(200, PAGE)) as server, client_of(server.url, Source(error)) as c:
        with pytest.raises(MlmsgError) as caught:
            await read_page(c)
    assert caught.value is error


async def test_a_function_that_is_not_async_is_final(sandbox: Sandbox, tmp_path: Path) -> None:
    def token() -> Awaitable[str]:
        return "abc"  # type: ignore[return-value]

    with pytest.raises(InvalidToken, match="no awaitable"):
        await mirror(sandbox, tmp_path, token)


async def test_a_token_without_a_refresh_token_is_used_to_its_end(sandbox: Sandbox) -> None:
    """An application without the scope `offline_access` receives no refresh token."""
    kept = Token(access_token=sandbox.token, refresh_token="", expires_at=1000.0, expires_in=1000)
    source = source_of(sandbox, None, MemoryStore(kept), "dead")
    async with client_of(sandbox.url, source) as client:
        await read_page(client)
        sandbox.clock.advance(1000)
        await unavailable(read_page(client))
    assert traffic(sandbox) == ".t"


@pytest.mark.slow
async def test_a_slow_refresh_delays_only_the_calls_of_its_first_seconds(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    monkeypatch.setattr("mlmsg._refreshing.REFRESH_AHEAD_WAIT", 0.2)
    async with client_of(sandbox.url, source_of(sandbox)) as client:
        await read_page(client)
        sandbox.clock.advance(21300)
        sandbox.inject(limited(1, "1"))
        loop = asyncio.get_running_loop()
        start = loop.time()
        for _ in range(10):
            await read_page(client)
        assert loop.time() - start < 0.9
    assert traffic(sandbox)[:13].replace("T", "t") == "t." + "t" + "." * 10


async def test_dropped_connections_of_the_token_endpoint_are_bounded() -> None:
    script = in_turn(*[answers(503)] * 50)
    source = RefreshingToken(1, "secret", FIRST_REFRESH_TOKEN)
    async with raw_server(script) as server, client_of(server.url, source) as client:
        for _ in range(200):
            await unavailable(read_page(client))
    assert server.requests <= 3
