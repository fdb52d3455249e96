"""The sandbox's claims with a bare aiohttp session: details, messages, access."""

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import pytest
from aiohttp import ClientSession
from sandboxes import (
    ACTIONS,
    CLAIM_V1,
    DISPUTE,
    EXAMPLE,
    MUGS,
    MULTIPART,
    PNG,
    POLICY_AGENT,
    SEED_FILE,
    SELLER,
    V1,
    V2,
    both_families,
    claim_error_body,
    claim_file,
    error_body,
    framed_jpg,
    get_body,
    upload_to_claim,
)

from mlmsg.sandbox import (
    ClaimMessage,
    Market,
    Sandbox,
)
from mlmsg.sandbox.schemas.claims import Role, Stage


@both_families
async def test_a_claim_shows_its_players_and_their_actions(http: ClientSession, base: str) -> None:
    due = "2024-08-25T17:31:37.000-04:00"
    respond = {"action": "send_message_to_complainant", "mandatory": True, "due_date": due}
    insist = {"action": "send_message_to_respondent", "mandatory": False, "due_date": None}
    expected = {
        "id": 5204000011,
        "resource": "order",
        "resource_id": EXAMPLE.claims[MUGS].resource_id,
        "status": "opened",
        "type": "mediations",
        "stage": "claim",
        "parent_id": None,
        "reason_id": "PDD9939",
        "fulfilled": True,
        "quantity_type": "total",
        "players": [
            {
                "role": "complainant",
                "type": "buyer",
                "user_id": 700200055,
                "available_actions": [insist],
            },
            {
                "role": "respondent",
                "type": "seller",
                "user_id": SELLER,
                "available_actions": [respond],
            },
        ],
        "resolution": None,
        "site_id": "MLM",
        "date_created": "2024-08-22T17:31:37.000-04:00",
        "last_updated": "2024-08-22T18:36:48.000-04:00",
        "claim_version": 2.0,
        "claimed_quantity": 1,
        "related_entities": [],
    }
    assert await get_body(http, base + MUGS) == msgspec.json.encode(expected)


@pytest.mark.parametrize(("stage", "role"), ACTIONS)
async def test_the_actions_are_those_of_the_seeds_table(
    http: ClientSession, sandbox: Sandbox, stage: Stage, role: Role
) -> None:
    claim = sandbox.market.add_claim(stage=stage, mediator_id=9)
    async with http.get(V2 + claim.id) as response:
        details = await response.json()
    assert details["stage"] == stage
    (player,) = [player for player in details["players"] if player["role"] == role]
    actions = player["available_actions"]
    assert [action["action"] for action in actions] == ACTIONS[stage, role]
    assert {action["mandatory"] for action in actions} <= {role == "respondent"}


async def test_the_actions_of_the_seller_are_mandatory_in_either_role(
    http: ClientSession, sandbox: Sandbox
) -> None:
    market = sandbox.market
    claim = market.add_claim(
        claim_type="cancel_sale",
        complainant_id=SELLER,
        respondent_id=8,
        mediator_id=9,
        at="2024-09-12T09:15:00.000-04:00",
    )
    due = "2024-09-15T09:15:00.000-04:00"
    for _ in range(2):
        async with http.get(V2 + claim.id) as response:
            players = (await response.json())["players"]
        assert [player["type"] for player in players] == ["seller", "buyer", "internal"]
        actions = [player["available_actions"] for player in players]
        mandatory = [[(one["mandatory"], one["due_date"]) for one in some] for some in actions]
        assert mandatory[:2] == [[(True, due)], [(False, None)]]
        assert set(mandatory[2]) <= {(False, None)}
        market.update_claim(claim.id, stage="dispute")


async def test_a_claim_that_becomes_a_dispute(http: ClientSession, sandbox: Sandbox) -> None:
    claim = sandbox.market.add_claim(at="2024-09-12T09:15:00.000-04:00")
    at = "2024-09-13T10:00:00.000-04:00"
    sandbox.market.update_claim(claim.id, stage="dispute", at=at)
    assert [player.role for player in claim.players] == ["complainant", "respondent"]
    claim.add_player("mediator", 9)
    async with http.get(V2 + claim.id) as response:
        details = await response.json()
    assert details["stage"] == "dispute"
    assert details["date_created"] == "2024-09-12T09:15:00.000-04:00"
    assert details["last_updated"] == at
    actions = [player["available_actions"] for player in details["players"]]
    assert [[one["action"] for one in some] for some in actions] == [
        ["send_message_to_mediator"],
        ["send_message_to_mediator"],
        [],
    ]
    assert actions[1][0]["due_date"] == "2024-09-15T09:15:00.000-04:00"


async def test_a_closed_claim_has_no_actions(http: ClientSession, sandbox: Sandbox) -> None:
    claim = sandbox.market.add_claim(status="closed", mediator_id=9)
    async with http.get(V2 + claim.id) as response:
        details = await response.json()
    assert details["status"] == "closed"
    assert [player["available_actions"] for player in details["players"]] == [[], [], []]


def seed_message(
    sender: str, text: str, translated: str | None, at: str, moderated: str, **others: object
) -> dict[str, object]:
    receiver = {"complainant": "respondent", "respondent": "complainant"}[sender]
    date = f"2024-08-22T{at}.000-04:00"
    message: dict[str, object] = {
        "sender_role": sender,
        "receiver_role": receiver,
        "message": text,
        "translated_message": translated,
        "date_created": date,
        "last_updated": date,
        "message_date": date,
        "date_read": None,
        "attachments": [],
        "status": "available",
        "stage": "claim",
        "message_moderation": {
            "status": "clean",
            "reason": "",
            "source": "online",
            "date_moderated": f"2024-08-22T{moderated}Z",
        },
        "repeated": False,
    }
    return message | others


SEED_MESSAGES = [
    seed_message(
        "complainant",
        "No estoy de acuerdo\n",
        "I don't agree",
        "18:36:48",
        "22:36:48",
        date_read="2024-11-04T19:01:48Z",
    ),
    seed_message("respondent", "Este es un mensaje", None, "18:21:20", "22:21:20"),
    seed_message(
        "complainant",
        "imagen",
        "picture",
        "18:13:09",
        "22:13:09",
        date_read="2024-08-22T22:13:15Z",
        attachments=[SEED_FILE],
    ),
]


def seed_market() -> Market:
    """A part of the example of seed 001, made with the public methods of the market."""
    now = datetime(2024, 8, 22, 22, 21, 20, 987654, tzinfo=UTC)
    market = Market(now=lambda: now)
    claim = market.add_claim(5294629673)
    stored = market.add_claim_file(
        claim.id,
        bytes(1669),
        "Captura de pantalla 2024-08-22 a la(s) 4.12.28?p.m..png",
        "image/png",
        file_name="1517482146_31489bf8-95e3-4a2d-bcff-3c57771fb7c4.png",
        at="2024-08-22T18:13:09.000-04:00",
    )
    market.add_claim_message(
        claim.id,
        "imagen",
        translated_message="picture",
        attachments=[stored.file_name],
        at="2024-08-22T18:13:09.000-04:00",
        read="2024-08-22T22:13:15Z",
    )
    market.add_claim_message(5294629673, "Este es un mensaje", sender="respondent")
    market.add_claim_message(
        claim.id,
        "No estoy de acuerdo\n",
        translated_message="I don't agree",
        at="2024-08-22T18:36:48.000-04:00",
        read="2024-11-04T19:01:48Z",
    )
    return market


@both_families
async def test_messages_are_the_bare_array_of_seed_001_field_by_field(
    http: ClientSession, sandbox: Sandbox, base: str
) -> None:
    sandbox.market = seed_market()
    async with http.get(f"{base}5294629673/messages") as response:
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"
        # Compare bytes, because the order of the fields is documented as well.
        assert await response.read() == msgspec.json.encode(SEED_MESSAGES)


async def test_a_claim_without_messages_is_an_empty_array(
    http: ClientSession, sandbox: Sandbox
) -> None:
    claim = sandbox.market.add_claim(1)
    assert await get_body(http, f"{V2}{claim.id}/messages") == b"[]"


async def test_claims_ignore_limit_and_offset(http: ClientSession) -> None:
    whole = await get_body(http, f"{V2}{MUGS}/messages")
    assert await get_body(http, f"{V2}{MUGS}/messages?limit=1&offset=1") == whole
    assert len(msgspec.json.decode(whole)) == 5


async def test_reading_does_not_mark(http: ClientSession, sandbox: Sandbox) -> None:
    await get_body(http, f"{V2}{MUGS}/messages")
    assert sandbox.market.claims == EXAMPLE.claims
    assert sandbox.market.claims[MUGS].messages[0].date_read is None


async def test_file_information_is_the_one_of_the_seed(
    http: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.market = seed_market()
    path = f"{V1}5294629673/attachments/{SEED_FILE['filename']}"
    assert await get_body(http, path) == msgspec.json.encode(SEED_FILE)


def paths(base: str, claim_id: str, file: str = "a.png") -> Iterator[tuple[str, str]]:
    """Yield the method and target of every path of a claim."""
    claim = base + claim_id
    yield "GET", claim
    yield "GET", f"{claim}/messages"
    yield "POST", f"{claim}/attachments"
    yield "POST", f"{claim}/actions/send-message"
    yield "GET", f"{claim}/attachments/{file}/download"
    if base == V1:
        yield "GET", f"{claim}/attachments/{file}"


def both(claim_id: str) -> list[tuple[str, str]]:
    return [*paths(V2, claim_id), *paths(V1, claim_id)]


@pytest.mark.parametrize(("method", "target"), both("9999999999999"))
async def test_an_unknown_claim_is_a_404(http: ClientSession, method: str, target: str) -> None:
    async with http.request(method, target, data=framed_jpg()) as response:
        assert response.status == 404
        message = "Claim not found. claimId: 9999999999999"
        assert await response.read() == msgspec.json.encode(claim_error_body(404, message))


@pytest.mark.parametrize("denied", [MUGS, int(MUGS), 404404])
async def test_a_denied_claim_is_a_403_even_if_it_does_not_exist(
    http: ClientSession, sandbox: Sandbox, denied: int | str
) -> None:
    sandbox.market.denied.add(denied)
    for method, target in both(str(denied)):
        async with http.request(method, target, data=framed_jpg()) as response:
            assert response.status == 403
            assert await response.read() == msgspec.json.encode(POLICY_AGENT)
    assert await get_body(http, V2 + DISPUTE)
    sandbox.market.denied.clear()
    async with http.get(f"{V2}{denied}") as response:
        assert response.status == (404 if denied == 404404 else 200)


async def test_a_claim_between_others_is_denied(http: ClientSession, sandbox: Sandbox) -> None:
    claim = sandbox.market.add_claim(respondent_id=5)
    for method, target in both(claim.id):
        async with http.request(method, target) as response:
            assert response.status == 403
            assert await response.json() == POLICY_AGENT


@pytest.mark.parametrize(("method", "target"), [*paths(V2, CLAIM_V1)])
async def test_v2_refuses_a_claim_of_version_1(
    http: ClientSession, sandbox: Sandbox, method: str, target: str
) -> None:
    async with http.request(
        method, target, data=framed_jpg(), headers={"Content-Type": MULTIPART}
    ) as response:
        assert response.status == 401
        message = f"Claim {CLAIM_V1} is not available here, it belongs to Claims 1.0"
        assert await response.json() == claim_error_body(401, message)
    assert sandbox.market.claims == EXAMPLE.claims


async def test_every_twin_answers_for_a_claim_of_version_1(
    http: ClientSession, sandbox: Sandbox
) -> None:
    claim = sandbox.market.claims[CLAIM_V1]
    (stored,) = claim.files.values()
    assert msgspec.json.decode(await get_body(http, V1 + CLAIM_V1)) == msgspec.to_builtins(
        claim.details()
    )
    messages = await get_body(http, f"{V1}{CLAIM_V1}/messages")
    assert msgspec.json.decode(messages, type=list[ClaimMessage]) == claim.messages
    path = f"{V1}{CLAIM_V1}/attachments/{stored.file_name}"
    assert await get_body(http, path) == msgspec.json.encode(stored.attachment())
    assert await get_body(http, f"{path}/download") == stored.data
    uploaded = await upload_to_claim(http, f"{V1}{CLAIM_V1}/attachments", framed_jpg(PNG, "a.png"))
    name = uploaded["file_name"]
    sent = {"receiver_role": "complainant", "message": "Hola", "attachments": [name]}
    async with http.post(f"{V1}{CLAIM_V1}/actions/send-message", json=sent) as response:
        assert response.status == 201
    assert claim.messages[0].attachments == [claim_file(sandbox, name, CLAIM_V1).attachment()]


@pytest.mark.parametrize(("method", "target"), [*both(MUGS), *both(CLAIM_V1), *both("404")])
@pytest.mark.parametrize(
    ("header", "status", "expected"),
    [
        (None, 401, claim_error_body(401, "Invalid caller.id")),
        ("", 401, claim_error_body(401, "Invalid caller.id")),
        ("Bearer ", 401, claim_error_body(401, "Invalid caller.id")),
        ("Bearer INVALID_TOKEN", 400, error_body(400, "Malformed access_token: INVALID_TOKEN")),
        ("Basic dTpw", 400, error_body(400, "Malformed access_token: Basic dTpw")),
        ("Bearer sandbox-token-expired", 401, error_body(401, "The access token has expired")),
    ],
)
async def test_every_route_checks_the_token(
    sandbox: Sandbox,
    *,
    method: str,
    target: str,
    header: str | None,
    status: int,
    expected: dict[str, object],
) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with (
        ClientSession(sandbox.url) as http,
        http.request(method, target, headers=headers) as response,
    ):
        assert response.status == status
        assert await response.read() == msgspec.json.encode(expected)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", V2),
        ("GET", f"{V2}{MUGS}/"),
        ("POST", f"{V2}{MUGS}/messages"),
        ("GET", f"{V2}{MUGS}/attachments"),
        ("GET", f"{V2}{MUGS}/actions/send-message"),
        ("POST", f"{V2}{MUGS}/actions/send_message"),
        ("GET", f"/marketplace/v1/claims/{MUGS}"),
        ("GET", f"/marketplace/claims/{MUGS}"),
        ("GET", f"/post-purchase/v2/claims/{MUGS}"),
    ],
)
async def test_unknown_paths_are_a_404(http: ClientSession, method: str, target: str) -> None:
    async with http.request(method, target) as response:
        assert response.status == 404
        assert await response.json() == error_body(404, f"Unknown resource: {target}")
