"""The token endpoint and the clock of the sandbox with a bare aiohttp session."""

import re
from time import monotonic
from urllib.parse import urlencode

import anyio
import msgspec
import pytest
from aiohttp import ClientConnectionError, ClientPayloadError, ClientSession, ClientTimeout
from grants import TOKEN_PATH, Refused
from sandboxes import MUG, MUGS, PACKS, TIMEOUT, V2

from mlmsg.sandbox import Action, Clock, Fault, Grant, Market, Sandbox

FORM = "application/x-www-form-urlencoded"
PACK = PACKS + MUG
CLAIM = V2 + MUGS
FIRST = "sandbox-refresh-0001"
RIGHT = {
    "grant_type": "refresh_token",
    "client_id": "1000000000000001",
    "client_secret": "sandbox-secret",
    "refresh_token": FIRST,
}


class Issued(msgspec.Struct, forbid_unknown_fields=True):
    access_token: str
    token_type: str
    expires_in: int
    scope: str
    user_id: int
    refresh_token: str


async def refresh(anonymous: ClientSession, refresh_token: str = FIRST, **changed: str) -> Issued:
    form = {**RIGHT, "refresh_token": refresh_token, **changed}
    async with anonymous.post(TOKEN_PATH, data=form) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "application/json"
        return msgspec.json.decode(await response.read(), type=Issued)


async def refusal(anonymous: ClientSession, body: bytes, kind: str = FORM) -> Refused:
    async with anonymous.post(TOKEN_PATH, data=body, headers={"Content-Type": kind}) as response:
        assert response.status == 400
        assert response.content_type == "application/json"
        return msgspec.json.decode(await response.read(), type=Refused)


async def too_late(anonymous: ClientSession, refresh_token: str) -> bool:
    body = urlencode({**RIGHT, "refresh_token": refresh_token}).encode()
    return (await refusal(anonymous, body)).error == "invalid_grant"


async def status(anonymous: ClientSession, token: str | None, target: str = PACK) -> int:
    async with anonymous.get(target, headers={"Authorization": f"Bearer {token}"}) as response:
        return response.status


async def test_a_refresh_gives_two_new_tokens(anonymous: ClientSession, sandbox: Sandbox) -> None:
    issued = await refresh(anonymous)
    assert (issued.token_type, issued.expires_in) == ("bearer", 21600)
    assert issued.scope == "offline_access read write"
    assert issued.user_id == sandbox.market.user_id
    assert issued.access_token != sandbox.token
    assert issued.refresh_token != FIRST
    assert await status(anonymous, issued.access_token) == 200
    assert await status(anonymous, issued.access_token, CLAIM) == 200
    grant = sandbox.grant
    assert (grant.access_token, grant.refresh_token) == (issued.access_token, issued.refresh_token)
    assert grant.refreshes == 1
    assert issued.access_token in sandbox.tokens


async def test_the_fields_come_in_the_documents_order(anonymous: ClientSession) -> None:
    async with anonymous.post(TOKEN_PATH, data=RIGHT) as response:
        names = list(await response.json())
    assert names == list(Issued.__struct_fields__)


async def test_a_refresh_token_works_once_and_only_the_newest(
    anonymous: ClientSession, sandbox: Sandbox
) -> None:
    used, newest = [FIRST], FIRST
    for _ in range(3):
        newest = (await refresh(anonymous, newest)).refresh_token
        for old in used:
            assert await too_late(anonymous, old)
        used.append(newest)
    assert len(set(used)) == 4
    assert sandbox.grant.refreshes == 3


async def test_only_one_of_concurrent_refreshes_succeeds(
    anonymous: ClientSession, sandbox: Sandbox
) -> None:
    statuses = []

    async def post() -> None:
        async with anonymous.post(TOKEN_PATH, data=RIGHT) as response:
            statuses.append(response.status)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(post)
    assert sorted(statuses) == [200, 400, 400, 400, 400]
    assert sandbox.grant.refreshes == 1


def test_tokens_repeat_from_run_to_run_but_not_within_one() -> None:
    made = []
    for _ in range(2):
        grants = [Grant(), Grant(refresh_token="sandbox-refresh-0002")]
        tokens = [grant.refresh(0.0) for grant in grants for _ in range(3)]
        made.append(tokens + [grant.refresh_token for grant in grants])
    assert made[0] == made[1]
    assert len(set(made[0])) == 8


def test_a_reused_refresh_token_gives_other_tokens() -> None:
    grant = Grant()
    first = grant.refresh(0.0)
    grant.refresh_token = FIRST
    assert grant.refresh(0.0) != first


async def test_no_token_resembles_a_real_one(anonymous: ClientSession, sandbox: Sandbox) -> None:
    issued = await refresh(anonymous)
    for token in (FIRST, issued.access_token, issued.refresh_token, sandbox.grant.client_secret):
        assert re.fullmatch(r"sandbox-[a-z0-9-]+", token)
    # The number makes a record readable: the first refresh issues the second tokens.
    assert issued.access_token.startswith("sandbox-token-0002-")
    assert issued.refresh_token.startswith("sandbox-refresh-0002-")


async def test_an_authorization_header_is_ignored(anonymous: ClientSession) -> None:
    headers = {"Authorization": "Bearer sandbox-token-expired"}
    async with anonymous.post(TOKEN_PATH, data=RIGHT, headers=headers) as response:
        assert response.status == 200


async def test_it_is_a_post(anonymous: ClientSession, sandbox: Sandbox) -> None:
    assert await status(anonymous, sandbox.token, f"{TOKEN_PATH}?{urlencode(RIGHT)}") == 404
    assert sandbox.grant.refresh_token == FIRST


async def test_an_unknown_field_and_a_charset_are_ignored(anonymous: ClientSession) -> None:
    body = urlencode({**RIGHT, "site": "MLM"}).encode()
    headers = {"Content-Type": f"{FORM}; charset=utf-8"}
    async with anonymous.post(TOKEN_PATH, data=body, headers=headers) as response:
        assert response.status == 200


def without(name: str) -> bytes:
    return urlencode({key: value for key, value in RIGHT.items() if key != name}).encode()


def changed(name: str, value: str) -> bytes:
    return urlencode({**RIGHT, name: value}).encode()


WHOLE = urlencode(RIGHT).encode()
JSON = msgspec.json.encode(RIGHT)
REFUSALS = {
    "nothing": (b"", FORM, "invalid_request"),
    "json": (JSON, "application/json", "invalid_request"),
    "json as a form": (JSON, FORM, "invalid_request"),
    "a form as text": (WHOLE, "text/plain", "invalid_request"),
    "not utf-8": (WHOLE + b"\xff", FORM, "invalid_request"),
    "not utf-8 when decoded": (WHOLE + b"%FF", FORM, "invalid_request"),
    "twice": (WHOLE + b"&client_id=1000000000000001", FORM, "invalid_request"),
    "no grant_type": (without("grant_type"), FORM, "invalid_request"),
    "no client_id": (without("client_id"), FORM, "invalid_request"),
    "no client_secret": (without("client_secret"), FORM, "invalid_request"),
    "no refresh_token": (without("refresh_token"), FORM, "invalid_request"),
    "empty refresh_token": (changed("refresh_token", ""), FORM, "invalid_request"),
    "other grant_type": (
        changed("grant_type", "client_credentials"),
        FORM,
        "unsupported_grant_type",
    ),
    "other grant_type alone": (b"grant_type=password", FORM, "unsupported_grant_type"),
    "wrong client_id": (changed("client_id", "1000000000000002"), FORM, "invalid_client"),
    "wrong client_secret": (changed("client_secret", "sandbox-guess"), FORM, "invalid_client"),
    "wrong refresh_token": (changed("refresh_token", "sandbox-guess"), FORM, "invalid_grant"),
    "an access token": (changed("refresh_token", "sandbox-token-0001"), FORM, "invalid_grant"),
}


@pytest.mark.parametrize(("body", "kind", "word"), REFUSALS.values(), ids=REFUSALS.keys())
async def test_refusals_change_nothing(
    anonymous: ClientSession, sandbox: Sandbox, body: bytes, kind: str, word: str
) -> None:
    before = set(sandbox.tokens)
    refused = await refusal(anonymous, body, kind)
    assert (refused.error, refused.status, refused.cause) == (word, 400, [])
    assert refused.message
    for secret in ("sandbox-", "1000000000000", "client_credentials", "password"):
        assert secret not in refused.message
    assert (sandbox.grant.refreshes, sandbox.grant.refresh_token) == (0, FIRST)
    assert sandbox.tokens == before
    await refresh(anonymous)


async def test_the_error_names_missing_fields(anonymous: ClientSession) -> None:
    refused = await refusal(anonymous, b"client_id=1000000000000001")
    assert refused.message == "Missing: grant_type, client_secret, refresh_token"


@pytest.mark.parametrize(
    ("expires_in", "later", "expected"),
    [(21600, 0, 200), (21600, 21599.9, 200), (21600, 21600, 401), (60, 60, 401), (0, 0, 401)],
)
async def test_an_issued_token_expires(
    anonymous: ClientSession, sandbox: Sandbox, *, expires_in: int, later: float, expected: int
) -> None:
    sandbox.grant.expires_in = expires_in
    issued = await refresh(anonymous)
    assert issued.expires_in == expires_in
    sandbox.clock.advance(later)
    assert await status(anonymous, issued.access_token) == expected
    assert await status(anonymous, issued.access_token, CLAIM) == expected
    assert await status(anonymous, sandbox.token) == 200


async def test_the_answer_to_an_expired_token(anonymous: ClientSession, sandbox: Sandbox) -> None:
    issued = await refresh(anonymous)
    sandbox.clock.advance(issued.expires_in)
    headers = {"Authorization": f"Bearer {issued.access_token}"}
    async with anonymous.get(PACK, headers=headers) as response:
        assert await response.json() == {
            "message": "The access token has expired",
            "error": "unauthorized",
            "status": 401,
            "cause": [],
        }


async def test_a_refreshed_token_works(anonymous: ClientSession, sandbox: Sandbox) -> None:
    first = await refresh(anonymous)
    sandbox.clock.advance(first.expires_in)
    second = await refresh(anonymous, first.refresh_token)
    assert await status(anonymous, first.access_token) == 401
    assert await status(anonymous, second.access_token) == 200


@pytest.mark.parametrize(("revoke_old", "expected"), [(False, 200), (True, 401)])
async def test_revoke_old_selects_the_fate_of_earlier_tokens(
    anonymous: ClientSession, sandbox: Sandbox, *, revoke_old: bool, expected: int
) -> None:
    sandbox.grant.revoke_old = revoke_old
    first = await refresh(anonymous)
    assert await status(anonymous, sandbox.token) == expected
    second = await refresh(anonymous, first.refresh_token)
    assert await status(anonymous, sandbox.token) == expected
    assert await status(anonymous, first.access_token) == expected
    assert await status(anonymous, second.access_token) == 200


def test_revoking_makes_no_token_live_longer() -> None:
    grant = Grant(expires_in=10, revoke_old=True)
    first = grant.refresh(0.0)
    grant.refresh(50.0)
    assert grant.has_expired(first, 10.0)
    assert not grant.has_expired(first, 9.9)


async def test_one_token_can_be_expired_at_once(anonymous: ClientSession, sandbox: Sandbox) -> None:
    issued = await refresh(anonymous)
    sandbox.expire(issued.access_token)
    assert await status(anonymous, issued.access_token) == 401
    assert await status(anonymous, sandbox.token) == 200
    sandbox.expire(sandbox.token)
    assert await status(anonymous, sandbox.token) == 401


async def test_all_tokens_can_be_expired_at_once(
    anonymous: ClientSession, sandbox: Sandbox
) -> None:
    first = await refresh(anonymous)
    sandbox.expire()
    assert await status(anonymous, sandbox.token) == 401
    assert await status(anonymous, first.access_token) == 401
    assert await status(anonymous, "sandbox-token-expired") == 401
    second = await refresh(anonymous, first.refresh_token)
    assert await status(anonymous, second.access_token) == 200


async def test_the_accepted_tokens_can_still_be_replaced(
    anonymous: ClientSession, sandbox: Sandbox
) -> None:
    first = await refresh(anonymous)
    sandbox.tokens = frozenset({"sandbox-mine"})
    assert await status(anonymous, first.access_token) == 400
    assert await status(anonymous, "sandbox-mine") == 200
    second = await refresh(anonymous, first.refresh_token)
    assert sandbox.tokens == {"sandbox-mine", second.access_token}
    assert await status(anonymous, second.access_token) == 200


async def test_sellers_of_one_application(anonymous: ClientSession, sandbox: Sandbox) -> None:
    sandbox.grants.append(Grant(refresh_token="sandbox-other", user_id=42, expires_in=60))
    other = await refresh(anonymous, "sandbox-other")
    assert (other.user_id, other.expires_in) == (42, 60)
    assert await status(anonymous, other.access_token) == 200
    assert (sandbox.grant.refreshes, sandbox.grants[1].refreshes) == (0, 1)
    own = await refresh(anonymous)
    assert own.user_id == sandbox.market.user_id
    sandbox.clock.advance(60)
    assert await status(anonymous, other.access_token) == 401
    assert await status(anonymous, own.access_token) == 200
    assert await too_late(anonymous, "sandbox-other")
    await refresh(anonymous, other.refresh_token)


async def test_one_application_cannot_refresh_the_grant_of_another(
    anonymous: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.grants.append(Grant("2", "sandbox-secret-2", "sandbox-other"))
    assert await too_late(anonymous, "sandbox-other")
    mixed = {**RIGHT, "client_id": "2", "refresh_token": "sandbox-other"}
    assert (await refusal(anonymous, urlencode(mixed).encode())).error == "invalid_client"
    await refresh(anonymous, "sandbox-other", client_id="2", client_secret="sandbox-secret-2")


async def test_without_a_grant_every_client_is_unknown(
    anonymous: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.grants.clear()
    assert (await refusal(anonymous, WHOLE)).error == "invalid_client"
    assert await status(anonymous, sandbox.token) == 200


async def test_a_grant_can_be_withdrawn(anonymous: ClientSession, sandbox: Sandbox) -> None:
    sandbox.grant.refresh_token = "sandbox-another"
    assert await too_late(anonymous, FIRST)


async def test_the_seller_is_the_markets() -> None:
    async with (
        Sandbox(market=Market(user_id=7)) as sandbox,
        ClientSession(sandbox.url, timeout=TIMEOUT) as anonymous,
    ):
        assert (await refresh(anonymous)).user_id == 7


async def test_two_sandboxes_share_no_grant() -> None:
    one, two = Sandbox(), Sandbox()
    one.grant.refresh(0.0)
    assert two.grant.refreshes == 0


def test_a_negative_lifetime_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or more seconds, not -1"):
        Grant(expires_in=-1)


@pytest.mark.parametrize("action", ["answer", "drop", "cut", "lose", "pass"])
async def test_some_actions_rotate_the_grant(
    anonymous: ClientSession, sandbox: Sandbox, action: Action
) -> None:
    sandbox.inject(Fault(status=503, path=TOKEN_PATH, action=action))
    try:
        async with anonymous.post(TOKEN_PATH, data=RIGHT) as response:
            await response.read()
            assert response.status == (
                200 if action == "pass" else 503 if action == "answer" else 0
            )
    except (ClientConnectionError, ClientPayloadError):
        assert action in {"drop", "cut", "lose"}
    rotated = action in {"cut", "lose", "pass"}
    assert sandbox.grant.refreshes == int(rotated)
    assert (sandbox.grant.refresh_token != FIRST) is rotated
    assert len(sandbox.tokens) == 1 + int(rotated)
    assert sandbox.faults == ()


async def test_a_lost_answer_loses_the_refresh_token(
    anonymous: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(path=TOKEN_PATH, action="lose"))
    with pytest.raises(ClientConnectionError):
        await anonymous.post(TOKEN_PATH, data=RIGHT)
    assert sandbox.requests[0].status is None
    assert await too_late(anonymous, FIRST)


@pytest.mark.parametrize("early", [False, True])
async def test_an_early_fault_leaves_the_form_unread(
    anonymous: ClientSession, sandbox: Sandbox, *, early: bool
) -> None:
    sandbox.inject(Fault(status=503, path=TOKEN_PATH, early=early))
    async with anonymous.post(TOKEN_PATH, data=RIGHT) as response:
        assert response.status == 503
    assert sandbox.requests[0].body_size == (0 if early else len(WHOLE))


async def test_a_refresh_is_executed_before_the_delay(
    anonymous: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.inject(Fault(path=TOKEN_PATH, action="pass", delay=60))
    with pytest.raises(TimeoutError):
        await anonymous.post(TOKEN_PATH, data=RIGHT, timeout=ClientTimeout(total=0.2))
    assert sandbox.grant.refreshes == 1


async def test_neither_the_record_nor_a_repr_shows_a_secret(
    anonymous: ClientSession, sandbox: Sandbox
) -> None:
    issued = await refresh(anonymous)
    (request,) = sandbox.requests
    assert (request.method, request.path, request.status) == ("POST", TOKEN_PATH, 200)
    assert request.body_size == len(WHOLE)
    kept = [getattr(request, name) for name in request.__slots__]
    shown = repr([kept, dict(request.headers), sandbox.requests, sandbox.grants])
    for secret in (FIRST, "sandbox-secret", issued.refresh_token, issued.access_token):
        assert secret not in shown


def test_a_clock_goes_on_by_itself_and_on_demand() -> None:
    clock = Clock()
    before = monotonic()
    assert before <= clock.now() <= monotonic()
    clock.advance(3600)
    assert before + 3600 <= clock.now() <= monotonic() + 3600


def test_a_clock_over_another() -> None:
    clock = Clock(lambda: 5.0)
    clock.advance(1.5)
    clock.advance(0)
    assert clock.now() == 6.5


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_a_clock_does_not_go_back(seconds: float) -> None:
    clock = Clock(lambda: 5.0)
    with pytest.raises(ValueError, match=f"0 or more seconds, not {seconds}"):
        clock.advance(seconds)
    assert clock.now() == 5.0
