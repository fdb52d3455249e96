"""The first token: the address of the login page, the final address, and the exchange."""

import asyncio
import logging
import pickle
import re
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from aiohttp import ClientSession
from grants import TOKEN_PATH, MemoryStore, client_of
from hypothesis import given
from hypothesis import strategies as st
from sandboxes import TIMEOUT
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
from mlmsg._login_answer import read_code
from mlmsg.oauth import HOSTS, Authorization, AuthorizationDenied
from mlmsg.sandbox import Fault, Sandbox

BACK = "https://shop.example/after-login"
NO_WAIT = RetryPolicy(attempts=2, base=0.0)
SECRET = re.compile("sandbox-(secret|refresh|token|code)")


@pytest.fixture
async def browser() -> AsyncIterator[ClientSession]:
    async with ClientSession(timeout=TIMEOUT) as session:
        yield session


def authorization_at(url: str, **options: object) -> Authorization:
    client_id = 1000000000000001
    return Authorization(client_id, "sandbox-secret", BACK, base_url=url, **options)  # type: ignore[arg-type]


def verifier_of(authorization: Authorization) -> str:
    return str(vars(authorization)["_verifier"])


async def log_in(browser: ClientSession, authorization: Authorization) -> str:
    """Open the login page as the seller's browser does, and return the final address."""
    async with browser.get(authorization.url, allow_redirects=False) as response:
        assert response.status == 302, await response.text()
        return response.headers["Location"]


# The address of the login page


@pytest.mark.parametrize(
    ("site_id", "host"),
    [
        ("CBT", "global-selling.mercadolibre.com"),
        ("MLA", "auth.mercadolibre.com.ar"),
        ("MLB", "auth.mercadolivre.com.br"),
        ("MLC", "auth.mercadolibre.cl"),
        ("MCR", "auth.mercadolibre.co.cr"),
        ("mlm", "auth.mercadolibre.com.mx"),
    ],
)
def test_the_login_page_is_that_of_the_site(site_id: str, host: str) -> None:
    parts = urlsplit(Authorization(7, "a-secret", BACK, site_id).url)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", host, "/authorization")


def test_every_site_has_one_host() -> None:
    assert len(set(HOSTS.values())) == len(HOSTS) == 19


def test_the_address_asks_for_a_code_with_a_state_and_a_challenge() -> None:
    authorization = Authorization("7", "a-secret", BACK + "?shop=1&x=ñ", "MLB")
    query = parse_qs(urlsplit(authorization.url).query, strict_parsing=True)
    challenge = query.pop("code_challenge")[0]
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", challenge)
    assert query == {
        "response_type": ["code"],
        "client_id": ["7"],
        "redirect_uri": [BACK + "?shop=1&x=ñ"],
        "state": [authorization.state],
        "code_challenge_method": ["S256"],
    }
    assert "secret" not in authorization.url


def test_each_login_has_its_own_state_and_challenge() -> None:
    made = [Authorization(7, "a-secret", BACK).url for _ in range(3)]
    for name in ("state", "code_challenge"):
        assert len({parse_qs(urlsplit(url).query)[name][0] for url in made}) == 3


@pytest.mark.parametrize(
    ("base_url", "begin"),
    [
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/authorization?"),
        ("http://[::1]:8080", "http://[::1]:8080/authorization?"),
        ("https://localhost:8080", "https://localhost:8080/authorization?"),
        ("https://gateway.example/meli", "https://auth.mercadolibre.com.mx/authorization?"),
    ],
)
def test_the_login_page_of_a_sandbox_is_beside_its_api(base_url: str, begin: str) -> None:
    assert Authorization(7, "a-secret", BACK, base_url=base_url).url.startswith(begin)


BAD_ARGUMENTS = {
    "client id": (("a/b", "sandbox-secret", BACK), "client_id"),
    "no secret": ((7, "", BACK), "client secret: found an empty"),
    "a secret of two lines": ((7, "sandbox-secret\n", BACK), "client secret"),
    "no redirect address": ((7, "sandbox-secret", ""), "redirect_uri"),
    "a relative one": ((7, "sandbox-secret", "/after"), "Copy it from the settings"),
    "one without a host": ((7, "sandbox-secret", "https:///after"), "redirect_uri"),
    "one with a space": ((7, "sandbox-secret", BACK + " "), "redirect_uri"),
    "one with a fragment": ((7, "sandbox-secret", BACK + "#"), "redirect_uri"),
    "a broken one": ((7, "sandbox-secret", "https://[::1/"), "redirect_uri"),
    "no text": ((7, "sandbox-secret", None), "redirect_uri.*NoneType"),
    "an unknown site": ((7, "sandbox-secret", BACK, "MLBB"), "Did you mean 'MLB'"),
    "no site": ((7, "sandbox-secret", BACK, None), "Pass site_id=, the site of the account"),
    "plain http": ((7, "sandbox-secret", BACK, "MLM", "http://a.example"), "base_url"),
}


@pytest.mark.parametrize(("arguments", "text"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS.keys())
def test_a_wrong_argument_is_named(arguments: tuple[str, ...], text: str) -> None:
    with pytest.raises(RuleError, match=text) as caught:
        Authorization(*arguments)
    assert SECRET.search(shown_by(caught.value)) is None


# The final address


WAYS = {
    "as it is": "{0}",
    "spaces": "  {0}\r\n",
    "angle brackets": "<{0}>",
    "quotes": "'\"{0}\"'",
    "typographic quotes": "\u201c{0}\u201d",
    "a header": "Location: {0}",
    "a lower-case header": "location:{0}",
    "a fragment": "{0}#_=_",
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
async def test_a_pasted_address_is_understood(
    sandbox: Sandbox, browser: ClientSession, way: str
) -> None:
    authorization = authorization_at(sandbox.url)
    final = await log_in(browser, authorization)
    token = await authorization.exchange(way.format(final))
    assert token.access_token in sandbox.tokens


CHANGED: dict[str, Callable[[str], str]] = {
    "wrapped": lambda final: final[:60] + "\n  " + final[60:],
    "without the scheme": lambda final: final.removeprefix("https://"),
    "another case of the host": lambda final: final.replace("shop.", "SHOP."),
    "a slash more": lambda final: final.replace("login?", "login/?"),
    "another parameter": lambda final: final + "&utm=1",
    "another order": lambda final: re.sub(r"\?(.*)&(.*)", r"?\2&\1", final),
    "the query": lambda final: final.partition("?")[2],
    "the query with its mark": lambda final: "?" + final.partition("?")[2],
    "the bare code": lambda final: parse_qs(urlsplit(final).query)["code"][0],
}


@pytest.mark.parametrize("case", CHANGED)
async def test_a_changed_address_is_understood(
    sandbox: Sandbox, browser: ClientSession, case: str
) -> None:
    authorization = authorization_at(sandbox.url)
    final = CHANGED[case](await log_in(browser, authorization))
    token = await authorization.exchange(final)
    assert token.access_token in sandbox.tokens


BAD_ADDRESSES = {
    "another state": ("{back}?code=sandbox-code-1&state=sandbox-code", "another state"),
    "a state that is not ASCII": ("{back}?code=sandbox-code-1&state=%F0%9F%A4%B7", "another state"),
    "a beginning of the state": ("{back}?code=sandbox-code-1&state={short}", "another state"),
    "no state": ("{back}?code=sandbox-code-1", "no state"),
    "an empty state": ("{back}?code=sandbox-code-1&state=", "no state"),
    "two states": ("{back}?code=sandbox-code-1&state={state}&state=x", "more than one `state`"),
    "two codes": ("{back}?code=sandbox-code-1&code=x&state={state}", "more than one `code`"),
    "no code": ("{back}?state={state}", "no code"),
    "an empty code": ("{back}?code=&state={state}", "code of the login"),
    "a code with a space": ("{back}?code=sandbox-code+1&state={state}", "code of the login"),
    "another place": (
        "https://other.example/?code=sandbox-code-1&state={state}",
        r"found 'https://other.example/', allowed: .*'https://shop.example/after-login'",
    ),
    "another path": ("https://shop.example/?code=sandbox-code-1", "found 'https://shop.example/'"),
    "the login page": ("{url}", "Open it in a browser, log in"),
    "a code of another form": ("sandbox-code/1=", "found no address"),
    "nothing": ("  \n", "an empty text"),
    "a broken address": ("https://[::1/?code=sandbox-code-1", "cannot be read"),
    "no UTF-8": ("{back}?code=sandbox-code-%FF&state={state}", "cannot be read"),
    "a code that is not ASCII": ("sandbox-code-ñ", "code of the login"),
}


@pytest.mark.parametrize(("address", "text"), BAD_ADDRESSES.values(), ids=BAD_ADDRESSES.keys())
async def test_a_wrong_address_is_refused_before_any_request(
    sandbox: Sandbox, address: str, text: str
) -> None:
    authorization = authorization_at(sandbox.url)
    state = authorization.state
    names = {"back": BACK, "state": state, "short": state[:-1], "url": authorization.url}
    store = MemoryStore()
    with pytest.raises(RuleError, match=text) as caught:
        await authorization.exchange(address.format(**names), store)
    assert SECRET.search(shown_by(caught.value)) is None
    assert (sandbox.requests, store.token) == ([], None)


async def test_what_is_no_text_is_refused(sandbox: Sandbox) -> None:
    authorization = authorization_at(sandbox.url)
    with pytest.raises(RuleError, match="found NoneType"):
        await authorization.exchange(None)  # type: ignore[arg-type]
    with pytest.raises(RuleError, match="`store` of a login: found str"):
        await authorization.exchange("sandbox-code-1", "grant.json")  # type: ignore[arg-type]


PIECES = st.sampled_from(
    ["https://", "shop.example", "/after-login", "?", "&", "=", "#", "code", "state", "error", "[",
     "sandbox-code-1", "the-state", "%F0", "%", ":", "//", "@", "\ud800", " ", "<", "\x00"]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_any_paste_is_a_code_or_breaks_a_rule(pasted: str) -> None:
    try:
        shown = repr(read_code(pasted, "the-state", BACK))
    except RuleError as error:
        shown = str(error)
    assert shown.isprintable()
    assert len(shown) < 1000


DENIED = {
    "access_denied": "did not allow the application",
    "invalid_operator_user_id": "Log in with the main account",
    "made_up": "Begin again with a new login",
}


@pytest.mark.parametrize("error", DENIED)
async def test_an_error_in_place_of_a_code_is_explained(
    sandbox: Sandbox, browser: ClientSession, error: str
) -> None:
    sandbox.grant.login_error = error
    authorization = authorization_at(sandbox.url)
    final = await log_in(browser, authorization)
    with pytest.raises(AuthorizationDenied, match=DENIED[error]) as caught:
        await authorization.exchange(final)
    denied = caught.value
    assert (denied.error, denied.description) == (error, "The login was not completed")
    assert str(pickle.loads(pickle.dumps(denied))) == str(denied)  # noqa: S301
    assert len(sandbox.requests) == 1


async def test_the_text_of_an_error_is_one_short_line(sandbox: Sandbox) -> None:
    authorization = authorization_at(sandbox.url)
    text = quote("\x1b[2J\n" + "x" * 500)
    with pytest.raises(AuthorizationDenied) as caught:
        await authorization.exchange(f"{BACK}?error=e&error_description={text}")
    assert str(caught.value).isprintable()
    assert len(caught.value.description) == 200


# The exchange


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


def test_the_repr_names_the_application_and_the_site() -> None:
    authorization = Authorization(7, "sandbox-secret", BACK, "MLB")
    assert repr(authorization) == "<Authorization of the application 7 for MLB>"
    assert "secret" not in repr(authorization.__rich_repr__())


@pytest.mark.slow
def test_the_package_does_not_import_it() -> None:
    code = "import sys, mlmsg; sys.exit('mlmsg.oauth' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
