"""The first token: the address of the login page, and the final address that is pasted."""

import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from aiohttp import ClientSession
from grants import MemoryStore
from hypothesis import given
from hypothesis import strategies as st
from logins import BACK, authorization_at, log_in
from tracebacks import shown_by

from mlmsg import (
    RetryPolicy,
    RuleError,
)
from mlmsg._login_answer import read_code
from mlmsg.oauth import HOSTS, Authorization, AuthorizationDenied
from mlmsg.sandbox import Sandbox

NO_WAIT = RetryPolicy(attempts=2, base=0.0)
SECRET = re.compile("sandbox-(secret|refresh|token|code)")


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


def test_the_repr_names_the_application_and_the_site() -> None:
    authorization = Authorization(7, "sandbox-secret", BACK, "MLB")
    assert repr(authorization) == "<Authorization of the application 7 for MLB>"
    assert "secret" not in repr(authorization.__rich_repr__())


@pytest.mark.slow
def test_the_package_does_not_import_it() -> None:
    code = "import sys, mlmsg; sys.exit('mlmsg.oauth' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
