"""Odd responses of the token endpoint: no refresh token is lost, and none is used up per call."""

import asyncio
import json
from dataclasses import dataclass, field

import msgspec
import pytest
from calls import read_page
from grants import (
    EXPIRED,
    TOKEN_PATH,
    MemoryStore,
    client_of,
    source_of,
    traffic,
    unavailable,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlmsg import AuthenticationError, InvalidToken, RefreshingToken, Token, TokenUnavailable
from mlmsg._wire import Request, Response, decode
from mlmsg.models._token import TokenResponse
from mlmsg.sandbox import Clock, Fault, Sandbox


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    """A sandbox whose time only the test advances."""
    sandbox.clock = Clock(lambda: 0.0)
    return sandbox


UNUSABLE = ["", " ", "a b", "a\n", "\ta", "ñ", "Bearer abc", None, True, ["abc"], {"a": "b"}]
LIVES = [0, -1, -1e300, 1e300, 0.001, float("nan"), float("inf"), True, False, "", "soon", None]


@pytest.mark.parametrize("value", UNUSABLE, ids=repr)
async def test_an_unusable_access_token_is_one_error_and_keeps_the_refresh_token(
    sandbox: Sandbox, value: object
) -> None:
    store = MemoryStore()
    body = {
        "access_token": value,
        "expires_in": 21600,
        "refresh_token": sandbox.grant.refresh_token,
    }
    sandbox.inject(Fault(path=TOKEN_PATH, status=200, body=json.dumps(body)))
    async with client_of(sandbox.url, source_of(sandbox, None, store, "older")) as client:
        for seconds in (0, 0, 29, 1):
            error = await unavailable(read_page(client))
            assert isinstance(error.__cause__, InvalidToken)
            assert traffic(sandbox) == "T"
            sandbox.clock.advance(seconds)
        assert store.token is not None
        assert store.token.refresh_token == sandbox.grant.refresh_token
        assert store.token.access_token == ""
        await read_page(client)
    assert traffic(sandbox) == "TT."


async def test_a_response_without_an_access_token_keeps_its_refresh_token(sandbox: Sandbox) -> None:
    store = MemoryStore()
    body = {"refresh_token": sandbox.grant.refresh_token}
    sandbox.inject(Fault(path=TOKEN_PATH, status=200, body=body))
    async with client_of(sandbox.url, source_of(sandbox, None, store, "older")) as client:
        await unavailable(read_page(client))
        assert store.token == Token(access_token="", refresh_token=sandbox.grant.refresh_token)


@pytest.mark.parametrize(
    "refresh_token", ["", None, 7, 7.5, ["a"], "a\nb", "ñ", "a\ufffd"], ids=ascii
)
async def test_a_damaged_refresh_token_does_not_replace_the_old_one(
    sandbox: Sandbox, refresh_token: object
) -> None:
    store = MemoryStore()
    body = {"access_token": sandbox.token, "refresh_token": refresh_token}
    sandbox.inject(Fault(path=TOKEN_PATH, status=200, body=json.dumps(body)))
    async with client_of(sandbox.url, source_of(sandbox, None, store)) as client:
        await read_page(client)
        assert store.token == Token(
            access_token=sandbox.token, refresh_token=sandbox.grant.refresh_token
        )


@pytest.mark.parametrize("life", LIVES, ids=repr)
async def test_an_implausible_lifetime_counts_as_unknown(sandbox: Sandbox, life: object) -> None:
    """The access token is then used until the API rejects it."""
    store = MemoryStore()
    body = {"access_token": sandbox.token, "expires_in": life, "refresh_token": "next"}
    sandbox.inject(Fault(path=TOKEN_PATH, status=200, body=json.dumps(body)))
    async with client_of(sandbox.url, source_of(sandbox, None, store)) as client:
        for _ in range(20):
            await read_page(client)
            sandbox.clock.advance(3600)
    assert traffic(sandbox) == "T" + "." * 20
    assert store.token == Token(access_token=sandbox.token, refresh_token="next")


@pytest.mark.parametrize("life", [60, 60.0, "60"])
async def test_a_lifetime_is_read_from_a_number_and_from_a_text(
    sandbox: Sandbox, life: object
) -> None:
    store = MemoryStore()
    body = {"access_token": sandbox.token, "expires_in": life, "refresh_token": "next"}
    sandbox.inject(Fault(path=TOKEN_PATH, status=200, body=body))
    async with client_of(sandbox.url, source_of(sandbox, None, store)) as client:
        await read_page(client)
    assert store.token is not None
    assert (store.token.expires_at, store.token.expires_in) == (60.0, 60.0)


async def test_new_tokens_that_the_api_rejects_are_not_requested_for_every_call(
    sandbox: Sandbox,
) -> None:
    sandbox.inject(Fault(path="/marketplace", status=401, times=1000))
    async with client_of(sandbox.url, source_of(sandbox, EXPIRED)) as client:
        for _ in range(50):
            with pytest.raises((AuthenticationError, TokenUnavailable)):
                await read_page(client)
        assert sandbox.grant.refreshes <= 3
        with pytest.raises(TokenUnavailable, match="the API rejects each new one"):
            await read_page(client)


# --- any response ---------------------------------------------------------------------------


@dataclass
class Endpoint:
    """A token endpoint with scripted responses, whose refresh tokens work once.

    Attributes:
        bodies: The responses in turn, without their refresh tokens; the last one repeats.
        rotates: True if the responses contain a new refresh token.
        requests: The number of token requests.
        newest: The only valid refresh token.
    """

    bodies: list[dict[str, object]]
    rotates: bool
    requests: int = 0
    newest: str = "refresh-0"
    replayed: list[str] = field(default_factory=list)

    async def send(self, request: Request[TokenResponse]) -> TokenResponse:
        await asyncio.sleep(0)
        assert request.body is not None
        if f"refresh_token={self.newest}".encode() not in request.body.split(b"&"):
            self.replayed.append("an old refresh token was sent")
        body = dict(self.bodies[min(self.requests, len(self.bodies) - 1)])
        self.requests += 1
        if self.rotates:
            self.newest = body["refresh_token"] = f"refresh-{self.requests}"
        return decode(request, Response(200, {}, json.dumps(body).encode()))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children),
    max_leaves=5,
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "access_token": st.sampled_from(UNUSABLE) | st.just("usable-token") | JSON,
        "expires_in": st.sampled_from(LIVES) | st.floats() | st.integers(0, 30000) | JSON,
        "user_id": JSON,
        "scope": JSON,
    },
)


@pytest.mark.slow
@settings(max_examples=200)
@given(
    bodies=st.lists(BODIES, min_size=1, max_size=5),
    rotates=st.booleans(),
    rejects=st.lists(st.booleans(), max_size=50),
    step=st.sampled_from([0.0, 0.01, 1.0, 40.0]),
)
@example(bodies=[{"access_token": "a", "expires_in": 0}], rotates=True, rejects=[], step=0.0)
@example(bodies=[{"access_token": ""}], rotates=True, rejects=[], step=0.0)
@example(bodies=[{"access_token": "a"}], rotates=True, rejects=[True] * 50, step=0.0)
def test_whatever_the_endpoint_answers_refresh_tokens_are_kept_and_not_used_up(
    bodies: list[dict[str, object]], rotates: bool, rejects: list[bool], step: float
) -> None:
    endpoint, store, now = Endpoint(bodies, rotates), MemoryStore(), [1000.0]

    async def main() -> None:
        source = RefreshingToken(1, "secret", "refresh-0", store=store, clock=lambda: now[0])
        for number in range(100):
            try:
                token = await source.get_token(endpoint.send)
            except TokenUnavailable:
                token = ""
            if token and rejects[number : number + 1] == [True]:
                source.reject(token)
            now[0] += step

    asyncio.run(main())
    assert endpoint.replayed == []
    if rotates:
        assert store.token is not None
        assert store.token.refresh_token == endpoint.newest
    elapsed = now[0] - 1000.0
    assert endpoint.requests <= 4 + 2 * elapsed


@pytest.mark.slow
@given(JSON)
def test_a_body_of_any_shape_raises_only_errors_of_ours(body: object) -> None:
    async def send(request: Request[TokenResponse]) -> TokenResponse:
        return decode(request, Response(200, {}, json.dumps(body).encode()))

    async def main() -> None:
        with pytest.raises(TokenUnavailable):
            await RefreshingToken(1, "secret", "refresh-0").get_token(send)

    asyncio.run(main())


def test_a_token_response_shows_no_token() -> None:
    response = TokenResponse(access_token="secret-1", refresh_token="secret-2", user_id=7)
    assert "secret" not in f"{response} {response!r}"
    assert msgspec.structs.replace(response) == response
