"""The resources around a claim with a bare aiohttp session: texts, histories, reputation."""

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import ClientSession
from sandboxes import CLAIM_V1, DISPUTE, MUGS, V1, V2, both_families, claim_error_body

from mlmsg.sandbox import Market, Sandbox
from mlmsg.sandbox.schemas.claims import ExpectedResolution, Reputation, Resolution

SUFFIXES = (
    "detail",
    "actions-history",
    "status-history",
    "expected-resolutions",
    "affects-reputation",
)
OPENED = "2026-03-01T08:00:00.000-04:00"
LATER = "2026-03-02T09:30:00.000-04:00"


async def get(http: ClientSession, target: str) -> object:
    async with http.get(target) as response:
        assert response.status == 200, await response.text()
        return await response.json()


@both_families
async def test_the_texts_of_a_claim(http: ClientSession, base: str) -> None:
    detail = await get(http, f"{base}{MUGS}/detail")
    assert detail == {
        "due_date": "2024-08-25T17:31:37.000-04:00",
        "action_responsible": "seller",
        "title": "Reclamo por un producto con un problema",
        "description": "Responde al comprador antes de la fecha indicada.",
        "problem": "El producto no es como el comprador lo esperaba",
    }
    detail = await get(http, f"{base}{DISPUTE}/detail")
    assert isinstance(detail, dict)
    assert detail["action_responsible"] == "mediator"
    assert detail["title"] == "Reclamação de um produto com problema"


async def test_a_closed_claim_has_no_due_date(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.market.update_claim(MUGS, status="closed")
    detail = await get(http, f"{V2}{MUGS}/detail")
    assert isinstance(detail, dict)
    assert detail["due_date"] is None


@both_families
async def test_the_histories_of_a_claim(http: ClientSession, sandbox: Sandbox, base: str) -> None:
    now = datetime(2026, 3, 2, 13, 30, tzinfo=UTC)
    sandbox.market = market = Market(now=lambda: now)
    market.add_claim(1, at=OPENED)
    assert await get(http, f"{base}1/actions-history") == []
    opened = {"stage": "claim", "status": "opened", "date": OPENED, "change_by": "complainant"}
    assert await get(http, f"{base}1/status-history") == [opened]
    market.add_claim_message(1, "Hola", at="2026-03-02T09:00:00.000-04:00")
    market.update_claim(1, stage="dispute", changed_by="respondent")
    assert await get(http, f"{base}1/actions-history") == [
        {
            "action_name": "send_message_to_respondent",
            "player_role": "complainant",
            "action_reason_id": None,
            "claim_stage": "claim",
            "claim_status": "opened",
            "date_created": "2026-03-02T09:00:00.000-04:00",
        }
    ]
    disputed = {"stage": "dispute", "status": "opened", "date": LATER, "change_by": "respondent"}
    assert await get(http, f"{base}1/status-history") == [opened, disputed]


@both_families
async def test_resolutions_and_reputation(http: ClientSession, sandbox: Sandbox, base: str) -> None:
    assert await get(http, f"{base}{MUGS}/expected-resolutions") == []
    reputation = {"affects_reputation": "not_applies", "has_incentive": False, "due_date": None}
    assert await get(http, f"{base}{MUGS}/affects-reputation") == reputation
    claim = sandbox.market.claims[MUGS]
    claim.reputation = Reputation("affected", True, LATER)
    claim.expected_resolutions.append(
        ExpectedResolution("complainant", 5, "refund", [], OPENED, LATER, "pending")
    )
    assert await get(http, f"{base}{MUGS}/expected-resolutions") == [
        {
            "player_role": "complainant",
            "user_id": 5,
            "expected_resolution": "refund",
            "details": [],
            "date_created": OPENED,
            "last_updated": LATER,
            "status": "pending",
        }
    ]
    reputation = {"affects_reputation": "affected", "has_incentive": True, "due_date": LATER}
    assert await get(http, f"{base}{MUGS}/affects-reputation") == reputation


@pytest.mark.parametrize("suffix", SUFFIXES)
async def test_access_is_that_of_the_claim(http: ClientSession, suffix: str) -> None:
    async with http.get(f"{V2}404/{suffix}") as response:
        assert response.status == 404
        message = "Claim not found. claimId: 404"
        assert await response.json() == claim_error_body(404, message)
    async with http.get(f"{V2}{CLAIM_V1}/{suffix}") as response:
        assert response.status == 401
    async with http.get(f"{V1}{CLAIM_V1}/{suffix}") as response:
        assert response.status == 200
    async with http.get(f"{V2}{MUGS}/{suffix}", headers={"Authorization": ""}) as response:
        assert response.status == 401


def test_an_update_moves_the_dates_of_a_claim() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    market = Market(now=lambda: now)
    claim = market.add_claim(1)
    assert claim.last_updated == claim.date_created == OPENED
    now += timedelta(hours=25, minutes=30)
    resolution = Resolution("item_returned", LATER, "mediator")
    assert market.update_claim("1", status="closed", resolution=resolution) is claim
    assert (claim.status, claim.last_updated, claim.resolution) == ("closed", LATER, resolution)
    assert [player.available_actions for player in claim.players] == [[], []]
    # An earlier date does not move it back.
    market.add_claim_message(1, "Hola", at="2026-03-01T10:00:00.000-04:00")
    assert (claim.last_updated, claim.date_created) == (LATER, OPENED)
    market.update_claim(1, at="2026-03-03T10:00:00.000-04:00")
    assert claim.last_updated == "2026-03-03T10:00:00.000-04:00"
    assert len(claim.statuses) == 2
    with pytest.raises(KeyError):
        market.update_claim(2)


def test_a_claim_of_the_seller_has_the_types_of_its_players() -> None:
    market = Market(user_id=5)
    claim = market.add_claim(claim_type="cancel_sale", complainant_id=5, respondent_id=6)
    assert [(player.role, player.type, player.user_id) for player in claim.players] == [
        ("complainant", "seller", 5),
        ("respondent", "buyer", 6),
    ]


@pytest.mark.parametrize(
    ("resource", "resource_id", "order_id", "expected"),
    [
        ("order", None, 7, (7, 7)),
        ("order", "7", None, (7, 7)),
        ("order", 7, 8, (7, 8)),
        ("shipment", 7, None, (7, None)),
        ("shipment", 7, "8", (7, 8)),
        ("order", None, None, (2000003000000001, 2000003000000001)),
        ("payment", None, None, (2000003000000001, None)),
    ],
)
def test_the_resource_of_a_claim(
    resource: str,
    resource_id: int | str | None,
    order_id: int | str | None,
    expected: tuple[int, int | None],
) -> None:
    claim = Market().add_claim(resource=resource, resource_id=resource_id, order_id=order_id)
    assert claim.resource == resource
    assert (claim.resource_id, claim.order_id) == expected
