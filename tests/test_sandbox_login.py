"""The login page and the exchange of its code with a bare aiohttp session."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
import pytest
from aiohttp import ClientSession
from grants import TOKEN_PATH, Refused

from mlmsg.sandbox import Fault, Grant, Sandbox

PAGE = "/authorization"
CLIENT = "1000000000000001"
BACK = "https://shop.example/after-login?shop=1"
VERIFIER = "a-verifier-of-forty-three-characters-0000001"
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
PKCE = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
ASKED = {"response_type": "code", "client_id": CLIENT, "redirect_uri": BACK, "state": "a&b=ñ"}
FORM = {
    "grant_type": "authorization_code",
    "client_id": CLIENT,
    "client_secret": "sandbox-secret",
    "redirect_uri": BACK,
    "code_verifier": VERIFIER,
}


class Issued(msgspec.Struct, forbid_unknown_fields=True):
    access_token: str
    token_type: str
    expires_in: int
    scope: str
    user_id: int
    refresh_token: str | None = None


async def location(anonymous: ClientSession, asked: dict[str, str]) -> str:
    async with anonymous.get(PAGE, params=asked, allow_redirects=False) as response:
        assert response.status == 302, await response.text()
        return response.headers["Location"]


async def login(anonymous: ClientSession, **changed: str) -> str:
    """Return the code of a login."""
    final = await location(anonymous, {**ASKED, **PKCE, **changed})
    return parse_qs(urlsplit(final).query)["code"][0]


async def exchange(anonymous: ClientSession, form: dict[str, str]) -> Issued:
    async with anonymous.post(TOKEN_PATH, data=form) as response:
        assert response.status == 200, await response.text()
        return msgspec.json.decode(await response.read(), type=Issued)


async def refusal(anonymous: ClientSession, form: dict[str, str]) -> Refused:
    async with anonymous.post(TOKEN_PATH, data=form) as response:
        assert response.status == 400
        return msgspec.json.decode(await response.read(), type=Refused)


async def accepts(anonymous: ClientSession, token: str) -> bool:
    headers = {"Authorization": f"Bearer {token}"}
    async with anonymous.get("/users/me", headers=headers) as response:
        return response.status == 200


async def test_the_browser_returns_with_a_code_and_the_state(anonymous: ClientSession) -> None:
    final = await location(anonymous, {**ASKED, **PKCE})
    assert final.startswith(BACK + "&code=sandbox-code-0001-")
    assert parse_qs(urlsplit(final).query).keys() == {"shop", "code", "state"}
    assert parse_qs(urlsplit(final).query)["state"] == ["a&b=ñ"]
    without_state = {name: value for name, value in ASKED.items() if name != "state"}
    without_state["redirect_uri"] = "https://shop.example"
    final = await location(anonymous, without_state)
    assert final.startswith("https://shop.example?code=sandbox-code-0002-")
    assert "state" not in final


async def test_a_code_gives_tokens_once(anonymous: ClientSession, sandbox: Sandbox) -> None:
    form = {**FORM, "code": await login(anonymous)}
    issued = await exchange(anonymous, form)
    assert (issued.token_type, issued.expires_in) == ("bearer", 21600)
    assert issued.scope == "offline_access read write"
    assert issued.user_id == sandbox.market.user_id
    assert await accepts(anonymous, issued.access_token)
    grant = sandbox.grant
    assert (grant.access_token, grant.refresh_token) == (issued.access_token, issued.refresh_token)
    assert (grant.logins, grant.refreshes) == (1, 0)
    assert (await refusal(anonymous, form)).error == "invalid_grant"
    assert grant.logins == 1


async def test_each_login_has_its_own_code_and_tokens(
    anonymous: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.grants.append(Grant("2", "sandbox-secret-2", "sandbox-other"))
    codes = [await login(anonymous) for _ in range(3)]
    codes.append(await login(anonymous, client_id="2"))
    assert len(set(codes)) == 4
    tokens = [
        (await exchange(anonymous, {**FORM, "code": code})).access_token for code in codes[:3]
    ]
    other = {**FORM, "client_id": "2", "client_secret": "sandbox-secret-2", "code": codes[3]}
    tokens.append((await exchange(anonymous, other)).access_token)
    assert len(set(tokens)) == 4


async def test_the_tokens_of_a_login_are_refreshed(
    anonymous: ClientSession, sandbox: Sandbox
) -> None:
    issued = await exchange(anonymous, {**FORM, "code": await login(anonymous)})
    refresh = {**FORM, "grant_type": "refresh_token", "refresh_token": issued.refresh_token or ""}
    sandbox.clock.advance(issued.expires_in)
    assert not await accepts(anonymous, issued.access_token)
    newer = await exchange(anonymous, refresh)
    assert await accepts(anonymous, newer.access_token)
    assert newer.access_token.startswith("sandbox-token-0003-")


async def test_a_login_without_offline_access_has_no_refresh_token(
    anonymous: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.grant.offline_access = False
    issued = await exchange(anonymous, {**FORM, "code": await login(anonymous)})
    assert (issued.refresh_token, issued.scope) == (None, "read write")
    assert await accepts(anonymous, issued.access_token)


@pytest.mark.parametrize(("seconds", "is_late"), [(599.0, False), (600.0, True)])
async def test_a_code_lasts_ten_minutes(
    anonymous: ClientSession, sandbox: Sandbox, *, seconds: float, is_late: bool
) -> None:
    form = {**FORM, "code": await login(anonymous)}
    sandbox.clock.advance(seconds)
    if is_late:
        assert (await refusal(anonymous, form)).error == "invalid_grant"
    else:
        await exchange(anonymous, form)


PLAIN = {"code_challenge": VERIFIER, "code_challenge_method": "plain"}
VERIFIERS = {
    "S256": (PKCE, VERIFIER, ""),
    "plain": (PLAIN, VERIFIER, ""),
    "no method is plain": ({"code_challenge": VERIFIER}, VERIFIER, ""),
    "no challenge, no verifier": ({}, None, ""),
    "no challenge": ({}, VERIFIER, ""),
    "another verifier": (PKCE, VERIFIER + "x", "invalid_grant"),
    "the challenge itself": (PKCE, CHALLENGE, "invalid_grant"),
    "another plain one": (PLAIN, "x", "invalid_grant"),
    "no verifier": (PKCE, None, "invalid_request"),
    "an empty verifier": (PKCE, "", "invalid_request"),
}


@pytest.mark.parametrize(("pkce", "verifier", "error"), VERIFIERS.values(), ids=VERIFIERS.keys())
async def test_the_verifier_belongs_to_the_challenge(
    anonymous: ClientSession, pkce: dict[str, str], verifier: str | None, error: str
) -> None:
    final = await location(anonymous, {**ASKED, **pkce})
    form = {**FORM, "code": parse_qs(urlsplit(final).query)["code"][0]}
    del form["code_verifier"]
    if verifier is not None:
        form["code_verifier"] = verifier
    if error:
        refused = await refusal(anonymous, form)
        assert refused.error == error
        assert ("is a required parameter" in refused.message) is not bool(verifier)
    else:
        await exchange(anonymous, form)


CHANGES = {
    "another redirect_uri": ({"redirect_uri": BACK + "/"}, "invalid_grant"),
    "no redirect_uri": ({"redirect_uri": ""}, "invalid_request"),
    "no code": ({"code": ""}, "invalid_request"),
    "another code": ({"code": "sandbox-code-0009"}, "invalid_grant"),
    "another secret": ({"client_secret": "sandbox-guess"}, "invalid_client"),
    "another application": (
        {"client_id": "2", "client_secret": "sandbox-secret-2"},
        "invalid_grant",
    ),
    "another grant_type": ({"grant_type": "code"}, "unsupported_grant_type"),
}


@pytest.mark.parametrize(("changed", "error"), CHANGES.values(), ids=CHANGES.keys())
async def test_a_refused_exchange_changes_nothing(
    anonymous: ClientSession, sandbox: Sandbox, changed: dict[str, str], error: str
) -> None:
    sandbox.grants.append(Grant("2", "sandbox-secret-2", "sandbox-other"))
    form = {**FORM, "code": await login(anonymous)}
    before = set(sandbox.tokens)
    refused = await refusal(anonymous, {**form, **changed})
    assert (refused.error, refused.status, refused.cause) == (error, 400, [])
    assert "sandbox-" not in refused.message
    assert (sandbox.tokens, sandbox.grant.logins) == (before, 0)
    await exchange(anonymous, form)


NO_REDIRECT = {
    "no client_id": ({"client_id": ""}, "invalid_client"),
    "an unknown client_id": ({"client_id": "7"}, "invalid_client"),
    "no redirect_uri": ({"redirect_uri": ""}, "invalid_request"),
    "a relative redirect_uri": ({"redirect_uri": "/back"}, "invalid_request"),
    "a redirect_uri without a host": ({"redirect_uri": "https:///back"}, "invalid_request"),
    "a broken redirect_uri": ({"redirect_uri": "https://[::1/back"}, "invalid_request"),
    "a fragment": ({"redirect_uri": BACK + "#here"}, "invalid_request"),
    "another scheme": ({"redirect_uri": "javascript://x/"}, "invalid_request"),
    "a second header": ({"redirect_uri": "https://a.example/\r\nSet-Cookie: a"}, "invalid_request"),
}


@pytest.mark.parametrize(("changed", "error"), NO_REDIRECT.values(), ids=NO_REDIRECT.keys())
async def test_the_browser_is_not_sent_to_an_unknown_place(
    anonymous: ClientSession, changed: dict[str, str], error: str
) -> None:
    async with anonymous.get(PAGE, params={**ASKED, **changed}, allow_redirects=False) as response:
        assert response.status == 400
        assert "Location" not in response.headers
        refused = msgspec.json.decode(await response.read(), type=Refused)
    assert refused.error == error


async def test_the_registered_address_is_compared_exactly(
    anonymous: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.grant.redirect_uri = BACK
    await login(anonymous)
    for other in (BACK + "/", BACK.upper(), BACK[:-1]):
        asked = {**ASKED, "redirect_uri": other}
        async with anonymous.get(PAGE, params=asked, allow_redirects=False) as response:
            assert response.status == 400


async def test_a_parameter_is_there_once(anonymous: ClientSession) -> None:
    target = f"{PAGE}?{urlencode(ASKED)}&client_id={CLIENT}"
    async with anonymous.get(target, allow_redirects=False) as response:
        assert response.status == 400


RETURNED = {
    "no response_type": ({"response_type": ""}, "unsupported_response_type"),
    "a token": ({"response_type": "token"}, "unsupported_response_type"),
    "another method": (PKCE | {"code_challenge_method": "S512"}, "invalid_request"),
    "an empty challenge": ({"code_challenge": ""}, "invalid_request"),
}


@pytest.mark.parametrize(("changed", "error"), RETURNED.values(), ids=RETURNED.keys())
async def test_the_browser_returns_with_an_error(
    anonymous: ClientSession, changed: dict[str, str], error: str
) -> None:
    answer = parse_qs(urlsplit(await location(anonymous, {**ASKED, **changed})).query)
    assert answer.keys() == {"shop", "error", "error_description", "state"}
    assert (answer["error"], answer["state"]) == ([error], [ASKED["state"]])


async def test_the_application_and_the_seller_may_refuse(
    anonymous: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.grant.requires_pkce = True
    assert "error=invalid_request&" in await location(anonymous, ASKED)
    sandbox.grant.login_error = "access_denied"
    assert "error=access_denied&" in await location(anonymous, {**ASKED, **PKCE})


async def test_a_login_can_meet_a_fault(anonymous: ClientSession, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(status=503, path=PAGE))
    async with anonymous.get(PAGE, params=ASKED, allow_redirects=False) as response:
        assert response.status == 503


async def test_neither_the_record_nor_a_repr_shows_a_secret(
    anonymous: ClientSession, sandbox: Sandbox
) -> None:
    code = await login(anonymous)
    issued = await exchange(anonymous, {**FORM, "code": code})
    shown = repr([sandbox.requests, sandbox.grants])
    for secret in (code, VERIFIER, "sandbox-secret", issued.access_token, issued.refresh_token):
        assert secret is not None
        assert secret not in shown
