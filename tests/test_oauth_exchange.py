"""The exchange of a code: what is stored, what fails, and that no secret is shown."""

import asyncio
import logging
import pickle
import re
from base64 import urlsafe_b64encode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientSession
from grants import TOKEN_PATH, MemoryStore, client_of
from logins import BACK, authorization_at, log_in, verifier_of
from tracebacks import shown_by

from mlmsg import (
    ApiError,
    BadRequest,
    FileTokenStore,
    MlmsgError,
    RateLimited,
    ReauthorizationRequired,
    RefreshingToken,
    RetryPolicy,
    RuleError,
    Timeouts,
    Token,
    TransportError,
    UsageError,
)
from mlmsg.sandbox import Fault, Sandbox

NO_WAIT = RetryPolicy(attempts=2, base=0.0)
SECRET = re.compile("sandbox-(secret|refresh|token|code)")


async def test_the_grant_is_stored_and_refreshes_by_itself(
    sandbox: Sandbox, browser: ClientSession, tmp_path: Path
) -> None:
    store = FileTokenStore(tmp_path / "grant.json")
    authorization = authorization_at(sandbox.url)
    token = await authorization.exchange(await log_in(browser, authorization), store=store)
    assert await store.load() == token
    assert token.refresh_token == sandbox.grant.refresh_token
    assert (token.user_id, token.expires_in) == (sandbox.market.user_id, 21600)
    sandbox.expire()
    grant = RefreshingToken(
        1000000000000001,
        "sandbox-secret",
        token.refresh_token,
        store=FileTokenStore(tmp_path / "grant.json"),
    )
    async with client_of(sandbox.url, grant) as client:
        assert (await client.account.me()).id == token.user_id
    assert sandbox.grant.refreshes == 1


async def test_the_request_is_a_form_without_any_secret_in_its_address(
    sandbox: Sandbox, browser: ClientSession
) -> None:
    authorization = authorization_at(sandbox.url)
    await authorization.exchange(await log_in(browser, authorization))
    page, request = sandbox.requests
    assert (request.method, request.target) == ("POST", TOKEN_PATH)
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in request.headers
    shown = repr([page.target, dict(page.headers), dict(request.headers)])
    assert SECRET.search(shown) is None


async def test_the_challenge_is_that_of_the_verifier(sandbox: Sandbox) -> None:
    """The sandbox checks it, too: here from the other side."""
    authorization = authorization_at(sandbox.url)
    verifier = verifier_of(authorization)
    assert re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", verifier)  # RFC 7636, section 4.1
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert parse_qs(urlsplit(authorization.url).query)["code_challenge"] == [challenge]


async def test_the_code_of_another_login_is_refused(
    sandbox: Sandbox, browser: ClientSession
) -> None:
    """A bare code has no state, but its challenge is that of the other login."""
    stolen = parse_qs(urlsplit(await log_in(browser, authorization_at(sandbox.url))).query)["code"]
    with pytest.raises(BadRequest, match="invalid_grant"):
        await authorization_at(sandbox.url).exchange(stolen[0])
    assert sandbox.grant.logins == 0


async def test_a_code_is_sent_once(sandbox: Sandbox, browser: ClientSession) -> None:
    store = MemoryStore()
    authorization = authorization_at(sandbox.url)
    final = await log_in(browser, authorization)
    results = await asyncio.gather(
        *(authorization.exchange(final, store) for _ in range(3)), return_exceptions=True
    )
    assert [type(result) for result in results] == [Token, UsageError, UsageError]
    store.token = None
    with pytest.raises(UsageError, match="exchanged before"):
        await authorization.exchange(final, store)
    assert store.token is None  # an older grant must not replace a refreshed one
    assert len(sandbox.requests) == 2


async def test_a_second_login_at_the_same_address_has_a_new_code(
    sandbox: Sandbox, browser: ClientSession
) -> None:
    authorization = authorization_at(sandbox.url)
    with pytest.raises(BadRequest, match="invalid_grant"):
        await authorization.exchange("sandbox-code-0009")
    await authorization.exchange(await log_in(browser, authorization))
    assert sandbox.grant.logins == 1


async def test_a_login_waits_in_another_process(sandbox: Sandbox, browser: ClientSession) -> None:
    final = await log_in(browser, authorization := authorization_at(sandbox.url))
    copied = pickle.loads(pickle.dumps(authorization))  # noqa: S301
    assert (copied.url, copied.state) == (authorization.url, authorization.state)
    assert (await copied.exchange(final)).access_token in sandbox.tokens


async def test_without_offline_access_there_is_a_warning(
    sandbox: Sandbox, browser: ClientSession
) -> None:
    sandbox.grant.offline_access = False
    store = MemoryStore()
    authorization = authorization_at(sandbox.url)
    final = await log_in(browser, authorization)
    with pytest.warns(UserWarning, match="`offline_access`") as caught:
        token = await authorization.exchange(final, store)
    assert caught[0].filename == __file__
    assert token.refresh_token == ""
    assert store.token == token
    async with client_of(sandbox.url, token.access_token) as client:
        assert (await client.account.me()).id == token.user_id


HINTS = {
    "invalid_client": "Check the client id and the client secret",
    "invalid_grant": "Log in again",
    "invalid_scope": "scopes",
    "invalid_request": "Check the redirect address",
    "unsupported_grant_type": "Check that the base URL is that of the API",
    "forbidden": "Check that the application is active",
    "unauthorized_client": "Check that the seller has authorized the application",
    "unauthorized_application": "Check that the application is active",
    "invalid_operator_user_id": "Log in with the main account",
}


# A word as common as `forbidden` says nothing in a message.
KEYS = [(key, code) for key in ("error", "message") for code in HINTS]
KEYS.remove(("message", "forbidden"))


@pytest.mark.parametrize(("key", "code"), KEYS)
async def test_a_refusal_of_the_api_is_explained(sandbox: Sandbox, key: str, code: str) -> None:
    sandbox.inject(Fault(status=400, body={key: code, "status": 400}, path=TOKEN_PATH))
    with pytest.raises(ApiError) as caught:
        await authorization_at(sandbox.url).exchange("sandbox-code-0001")
    assert HINTS[code] in caught.value.hint
    assert str(caught.value).endswith(caught.value.hint)
    assert len(sandbox.requests) == 1


async def test_a_429_is_waited_for_and_then_the_code_may_be_sent_again(
    sandbox: Sandbox, browser: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlmsg.oauth.RetryPolicy", lambda: NO_WAIT)
    authorization = authorization_at(sandbox.url)
    final = await log_in(browser, authorization)
    body = {"error": "local_rate_limited", "message": "Slow down"}
    sandbox.inject(Fault(status=429, body=body, headers={"Retry-After": "3600"}, path=TOKEN_PATH))
    with pytest.raises(RateLimited, match="Wait a minute, then try again"):
        await authorization.exchange(final)
    sandbox.inject(Fault(status=429, headers={"Retry-After": "0"}, path=TOKEN_PATH))
    await authorization.exchange(final)
    assert sandbox.grant.logins == 1


async def test_a_code_that_never_left_may_be_sent_again(
    sandbox: Sandbox, browser: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    authorization = authorization_at(sandbox.url)
    final = await log_in(browser, authorization)
    port = int(sandbox.url.rpartition(":")[2])
    await sandbox.stop()
    monkeypatch.setattr("mlmsg.oauth.RetryPolicy", lambda: NO_WAIT)
    with pytest.raises(TransportError) as caught:
        await authorization.exchange(final)
    assert not caught.value.sent
    again = Sandbox(port=port)
    again.grants = sandbox.grants
    async with again:
        assert (await authorization.exchange(final)).access_token in again.tokens


LOST = {
    "no answer": Fault(action="drop"),
    "the answer is lost": Fault(action="lose"),
    "the answer is cut": Fault(action="cut"),
    "not in time": Fault(action="drop", delay=60),
    "a server error": Fault(status=502),
    "HTML": Fault(status=200, body="<p>sandbox-secret</p>"),
    "another shape": Fault(status=200, body={"access_token": ["sandbox-token-0002"]}),
    "no token": Fault(status=200, body={"user_id": 1}),
    "a token that is cut": Fault(status=200, body='{"access_token": "sandbox-token-0002", "refr'),
}


@pytest.mark.parametrize("case", LOST)
async def test_a_lost_answer_asks_for_a_new_login(
    sandbox: Sandbox, browser: ClientSession, case: str
) -> None:
    sandbox.inject(replace(LOST[case], path=TOKEN_PATH))
    timeout = Timeouts(read=0.05 if LOST[case].delay else 5.0)
    authorization = authorization_at(sandbox.url, timeout=timeout)
    store = MemoryStore()
    final = await log_in(browser, authorization)
    with pytest.raises(ReauthorizationRequired, match="Begin again with a new login") as caught:
        await authorization.exchange(final, store)
    assert isinstance(caught.value.__cause__, MlmsgError)
    with pytest.raises(UsageError, match="exchanged before"):
        await authorization.exchange(final, store)
    assert len(sandbox.requests) == 2
    assert store.token is None


async def test_an_invalid_access_token_does_not_cost_the_refresh_token(sandbox: Sandbox) -> None:
    body = {"access_token": "sandbox-token 2", "refresh_token": "sandbox-refresh-2"}
    sandbox.inject(Fault(status=200, body=body, path=TOKEN_PATH))
    store = MemoryStore()
    with pytest.raises(RuleError, match="access token of the response"):
        await authorization_at(sandbox.url).exchange("sandbox-code-0001", store)
    assert store.token == Token(access_token="", refresh_token="sandbox-refresh-2")


class FullStore(MemoryStore):
    """A store that has no room for the first token."""

    is_full = True

    async def save(self, token: Token) -> None:
        if self.is_full:
            self.is_full = False
            raise OSError(28, "No space left on device")
        await super().save(token)


async def test_a_store_that_fails_does_not_cost_the_login(
    sandbox: Sandbox, browser: ClientSession
) -> None:
    store = FullStore()
    authorization = authorization_at(sandbox.url)
    final = await log_in(browser, authorization)
    with pytest.raises(OSError, match="No space left"):
        await authorization.exchange(final, store)
    assert await authorization.exchange(final, store) == store.token
    assert len(sandbox.requests) == 2


async def test_a_store_whose_folder_is_missing_costs_no_code(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    store = FileTokenStore(tmp_path / "none" / "grant.json")
    with pytest.raises(FileNotFoundError):
        await authorization_at(sandbox.url).exchange("sandbox-code-0001", store)
    assert sandbox.requests == []


async def test_a_cancelled_exchange_is_stored(sandbox: Sandbox, browser: ClientSession) -> None:
    store = MemoryStore()
    authorization = authorization_at(sandbox.url)
    final = await log_in(browser, authorization)
    sandbox.inject(Fault(action="pass", delay=0.05, path=TOKEN_PATH))
    task = asyncio.create_task(authorization.exchange(final, store))
    await sandbox.received(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.token is not None
    assert store.token.refresh_token == sandbox.grant.refresh_token


async def test_a_cancelled_exchange_without_a_store_keeps_its_tokens(
    sandbox: Sandbox, browser: ClientSession
) -> None:
    authorization = authorization_at(sandbox.url)
    final = await log_in(browser, authorization)
    sandbox.inject(Fault(action="pass", delay=0.05, path=TOKEN_PATH))
    task = asyncio.create_task(authorization.exchange(final))
    await sandbox.received(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    token = await authorization.exchange(final)
    assert token.refresh_token == sandbox.grant.refresh_token
    assert sandbox.grant.logins == 1
    with pytest.raises(UsageError, match="works once"):
        await authorization.exchange(final)


@pytest.mark.parametrize("grace", [0.01, 60.0])
async def test_a_cancelled_exchange_ends_though_nothing_answers(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, grace: float
) -> None:
    """After the grace, or after a second cancellation."""
    monkeypatch.setattr("mlmsg.oauth.CANCEL_GRACE", grace)
    sandbox.inject(Fault(action="drop", delay=60, path=TOKEN_PATH))
    task = asyncio.create_task(authorization_at(sandbox.url).exchange("sandbox-code-0001"))
    await sandbox.received(1)
    for _ in range(1 if grace < 1 else 2):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task


# Secrets


ECHO = "sandbox-secret sandbox-code-0001"
FAILURES = LOST | {
    "an echo": Fault(status=400, body={"error": "invalid_client", "cause": [ECHO]}),
    "an echo in a header": Fault(status=403, headers={"X-Echo": ECHO}),
    "an echo in a text": Fault(status=500, body=ECHO),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_no_failure_shows_a_secret(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    caplog.set_level(logging.DEBUG)
    sandbox.inject(replace(FAILURES[case], path=TOKEN_PATH))
    authorization = authorization_at(
        sandbox.url, timeout=Timeouts(read=0.05 if FAILURES[case].delay else 5.0)
    )
    with pytest.raises(MlmsgError) as caught:
        await authorization.exchange(f"{BACK}?code=sandbox-code-0001&state={authorization.state}")
    shown = f"{shown_by(caught.value)} {caplog.text} {authorization!r}"
    assert "auth.login" in caplog.text
    assert SECRET.search(shown) is None
    assert verifier_of(authorization) not in shown
