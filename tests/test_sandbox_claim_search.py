"""The search of claims with a bare aiohttp session: filters, ranges, orders, pages, refusals."""

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import ClientSession
from sandboxes import CLAIM_V1, DISPUTE, MUGS, SELLER, V1, V2, claim_error_body

from mlmsg.sandbox import Market, RateLimit, Sandbox
from mlmsg.sandbox.schemas.dates import format_claim_date

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
BASES = {V1: f"players.user_id={SELLER}&players.role=respondent", V2: f"user_id={SELLER}"}
both = pytest.mark.parametrize("base", BASES, ids=["domestic", "global"])

Body = dict[str, object]


def dated(minutes: int) -> str:
    """A date as a range needs it."""
    return (START + timedelta(minutes=minutes)).isoformat(timespec="milliseconds")


def market_of(count: int) -> Market:
    """A market with a claim in each minute, whose last updates are in the reverse order."""
    market = Market(now=lambda: START + timedelta(days=1))
    for number in range(count):
        market.add_claim(
            1000 + number,
            at=format_claim_date(START + timedelta(minutes=number)),
            last_updated=format_claim_date(START + timedelta(minutes=2 * count - number)),
        )
    return market


async def get(http: ClientSession, target: str, params: dict[str, str] | None = None) -> Body:
    async with http.get(target, params=params) as response:
        assert response.status == 200, await response.text()
        body: Body = await response.json()
        return body


async def search(http: ClientSession, base: str, **params: object) -> Body:
    named = {name.replace("__", "."): str(value) for name, value in params.items()}
    return await get(http, f"{base}search?{BASES[base]}", named)


def ids(body: Body) -> list[int]:
    rows = body["data"]
    assert isinstance(rows, list)
    return [row["id"] for row in rows]


@both
async def test_a_row_is_a_claim_without_three_fields(http: ClientSession, base: str) -> None:
    body = await search(http, base)
    assert list(body) == ["paging", "data"]
    assert body["paging"] == {"limit": 30, "offset": 0, "total": 3}
    # The newest one first.
    assert ids(body) == [int(CLAIM_V1), int(DISPUTE), int(MUGS)]
    rows = body["data"]
    assert isinstance(rows, list)
    for row in rows:
        claim = await get(http, f"{V1}{row['id']}")
        without = {"claim_version", "claimed_quantity", "related_entities"}
        assert {name: value for name, value in claim.items() if name not in without} == row
        assert without <= set(claim)


@both
async def test_a_market_without_claims(http: ClientSession, sandbox: Sandbox, base: str) -> None:
    sandbox.market = Market()
    body = await search(http, base)
    assert body == {"paging": {"limit": 30, "offset": 0, "total": 0}, "data": []}


FILTERS: list[tuple[dict[str, object], list[int]]] = [
    ({"id": 3}, [3]),
    ({"status": "closed"}, [2]),
    ({"status": "opened"}, [1, 3, 4]),
    ({"stage": "dispute"}, [3]),
    ({"type": "cancel_sale"}, [4]),
    ({"reason_id": "PNR1"}, [1]),
    ({"site_id": "MLB"}, [3]),
    ({"resource": "shipment", "resource_id": 77}, [2]),
    ({"resource": "order"}, [1, 3, 4]),
    ({"resource": "order", "resource_id": 77}, []),
    ({"order_id": 501}, [1]),
    ({"pack_id": 900}, [1, 3]),
    ({"pack_id": 900, "status": "opened", "stage": "claim"}, [1]),
    ({"date_created": "2026-03-01T12:02:00.000+00:00"}, [3]),
    ({"date_created": "2026-03-01T08:02:00.000-0400"}, [3]),
    ({"last_updated": "2026-03-01T12:02:00.001Z"}, []),
]


def filtered_market() -> Market:
    market = market_of(0)
    dates = [format_claim_date(START + timedelta(minutes=number)) for number in range(4)]
    market.add_claim(1, order_id=501, pack_id=900, at=dates[0]).reason_id = "PNR1"
    market.add_claim(2, resource="shipment", resource_id=77, status="closed", at=dates[1])
    market.add_claim(3, stage="dispute", site_id="MLB", pack_id="900", at=dates[2])
    cancelled = market.add_claim(
        4, claim_type="cancel_sale", complainant_id=SELLER, respondent_id=8, at=dates[3]
    )
    cancelled.payment_id, cancelled.parent_id = 61, 2
    market.add_claim(5, complainant_id=6, respondent_id=7, at=dates[3])
    return market


@pytest.mark.parametrize(("filters", "expected"), FILTERS, ids=str)
async def test_filters_of_global_selling(
    http: ClientSession, sandbox: Sandbox, filters: dict[str, object], expected: list[int]
) -> None:
    sandbox.market = filtered_market()
    body = await search(http, V2, sort="date_created:asc", **filters)
    assert ids(body) == expected


@pytest.mark.parametrize(("filters", "expected"), FILTERS, ids=str)
@pytest.mark.parametrize("role", ["respondent", "complainant"])
async def test_filters_of_a_domestic_seller(
    http: ClientSession,
    sandbox: Sandbox,
    *,
    filters: dict[str, object],
    expected: list[int],
    role: str,
) -> None:
    sandbox.market = filtered_market()
    params = {name: str(value) for name, value in filters.items()}
    player = f"players.user_id={SELLER}&players.role={role}"
    body = await get(http, f"{V1}search?{player}&sort=date_created:asc", params)
    own = {"respondent": {1, 2, 3}, "complainant": {4}}[role]
    assert ids(body) == [number for number in expected if number in own]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("payment_id=61", [4]),
        ("parent_id=2", [4]),
        ("status=opened", [1, 3, 4]),
        ("players.user_id=8&players.role=respondent", [4]),
        ("players.user_id=8&players.role=complainant", []),
        (f"players.user_id={SELLER}&players.role=mediator", []),
    ],
)
async def test_only_claims_of_the_user_are_found(
    http: ClientSession, sandbox: Sandbox, query: str, expected: list[int]
) -> None:
    sandbox.market = filtered_market()
    body = await get(http, f"{V1}search?sort=date_created:asc&{query}")
    assert ids(body) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"user_id={SELLER}", [1, 2, 3, 4]),
        ("user_id=8", [4]),
        (f"player_user_id={SELLER}", [1, 2, 3, 4]),
        (f"player_user_id={SELLER}&player_role=complainant", [4]),
        (f"player_user_id={SELLER}&player_role=respondent", [1, 2, 3]),
    ],
)
async def test_the_players_of_global_selling(
    http: ClientSession, sandbox: Sandbox, query: str, expected: list[int]
) -> None:
    sandbox.market = filtered_market()
    body = await get(http, f"{V2}search?sort=date_created:asc&{query}")
    assert ids(body) == expected


@both
async def test_a_denied_claim_is_not_found(
    http: ClientSession, sandbox: Sandbox, base: str
) -> None:
    sandbox.market = market_of(3)
    assert ids(await search(http, base)) == [1002, 1001, 1000]
    sandbox.market.denied.add(1001)
    assert ids(await search(http, base)) == [1002, 1000]


@both
@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (None, [1002, 1001, 1000]),
        ("date_created:asc", [1000, 1001, 1002]),
        ("date_created:desc", [1002, 1001, 1000]),
        ("last_updated:asc", [1002, 1001, 1000]),
        ("last_updated:desc", [1000, 1001, 1002]),
    ],
)
async def test_the_orders(
    http: ClientSession, sandbox: Sandbox, *, base: str, sort: str | None, expected: list[int]
) -> None:
    sandbox.market = market_of(3)
    body = await search(http, base, **({} if sort is None else {"sort": sort}))
    assert ids(body) == expected


RANGES = [
    (f"date_created:after:{dated(1)},before:{dated(4)}", [2, 3], [1, 2, 3, 4]),
    (f"date_created:before:{dated(4)},after:{dated(1)}", [2, 3], [1, 2, 3, 4]),
    (f"date_created:after:{dated(3)}", [4, 5], [3, 4, 5]),
    (f"date_created:before:{dated(2)}", [0, 1], [0, 1, 2]),
    (f"date_created:after:{dated(4)},before:{dated(1)}", [], []),
    (f"date_created:after:{dated(2)},before:{dated(2)}", [], [2]),
    (f"last_updated:after:{dated(8)},before:{dated(11)}", [2, 3], [1, 2, 3, 4]),
    ("date_created:after:2026-03-01T08:00:59.999-04:00,before:2026-03-01T12:01:00.001Z", [1], [1]),
]


@both
@pytest.mark.parametrize("sort", ["date_created:asc", "last_updated:desc"])
@pytest.mark.parametrize(("text", "expected", "inclusive"), RANGES)
async def test_a_range(
    http: ClientSession,
    sandbox: Sandbox,
    *,
    base: str,
    sort: str,
    text: str,
    expected: list[int],
    inclusive: list[int],
) -> None:
    sandbox.market = market_of(6)
    body = await search(http, base, range=text, sort=sort)
    assert ids(body) == [1000 + number for number in expected]
    sandbox.range_bounds = "inclusive"
    body = await search(http, base, range=text, sort=sort)
    assert ids(body) == [1000 + number for number in inclusive]


async def test_two_ranges(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.market = market_of(6)
    params = [
        ("user_id", str(SELLER)),
        ("range", f"date_created:after:{dated(1)}"),
        ("range", f"last_updated:after:{dated(8)}"),
        ("sort", "date_created:asc"),
    ]
    async with http.get(f"{V2}search", params=params) as response:
        assert ids(await response.json()) == [1002, 1003]


@both
@pytest.mark.parametrize(
    ("limit", "offset", "shown", "count"),
    [
        (None, None, 30, 30),
        (1, None, 1, 1),
        (100, None, 100, 100),
        (101, None, 100, 100),
        (5000, 40, 100, 80),
        (30, 110, 30, 10),
        (30, 120, 30, 0),
        (100, 9899, 100, 0),
        (5000, 9899, 100, 0),
    ],
)
async def test_pages(
    http: ClientSession,
    sandbox: Sandbox,
    *,
    base: str,
    limit: int | None,
    offset: int | None,
    shown: int,
    count: int,
) -> None:
    sandbox.market = market_of(120)
    asked = {"limit": limit, "offset": offset}
    params = {name: number for name, number in asked.items() if number is not None}
    body = await search(http, base, sort="date_created:asc", **params)
    assert body["paging"] == {"limit": shown, "offset": offset or 0, "total": 120}
    first = 1000 + (offset or 0)
    assert ids(body) == list(range(first, first + count))


PLAYER = f"players.user_id={SELLER}&players.role=respondent"
INVALID_RANGE = "range must be FIELD:after:DATE,before:DATE"
INVALID_DATE = "range needs dates as 2026-03-19T12:31:54.000+00:00"

REFUSALS_OF_BOTH = [
    ("resource_id=1", "resource_id needs resource"),
    ("resource_id=1&status=opened", "resource_id needs resource"),
    ("resource=order", "resource needs resource_id or a player"),
    ("resource=order&status=opened", "resource needs resource_id or a player"),
    ("order_id=1&pack_id=2", "order_id and pack_id exclude each other"),
    ("status=opened&limit=0", "limit must be a number of at least 1"),
    ("status=opened&limit=ten", "limit must be a number of at least 1"),
    ("status=opened&limit=", "limit must be a number of at least 1"),
    ("status=opened&offset=-1", "offset must be a number of at least 0"),
    ("status=opened&offset=1.5", "offset must be a number of at least 0"),
    ("status=opened&offset=9950&limit=50", "offset + limit must be less than 10000"),
    ("status=opened&offset=9970", "offset + limit must be less than 10000"),
    ("status=opened&offset=9900&limit=5000", "offset + limit must be less than 10000"),
    ("status=opened&sort=id:asc", "sort must be date_created or last_updated, :asc or :desc"),
    ("status=opened&sort=date_created", "sort must be date_created or last_updated, :asc or :desc"),
    ("status=opened&range=", INVALID_RANGE),
    ("status=opened&range=date_created", INVALID_RANGE),
    ("status=opened&range=due_date:after:2026-03-19T12:31:54.000Z", INVALID_RANGE),
    ("status=opened&range=date_created:since:2026-03-19T12:31:54.000Z", INVALID_RANGE),
    ("status=opened&range=date_created:after:2026-03-19T12:31:54.000Z,", INVALID_RANGE),
    ("status=opened&range=date_created:after:2026-03-19T12:31:54Z", INVALID_DATE),
    ("status=opened&range=date_created:after:2026-03-19T12:31:54.000", INVALID_DATE),
    ("status=opened&range=date_created:after:2026-03-19", INVALID_DATE),
    ("status=opened&range=date_created:after:2026-13-19T12:31:54.000Z", INVALID_DATE),
    # Not percent-encoded, so that the plus is a space.
    ("status=opened&range=date_created:after:2026-03-19T12:31:54.000+00:00", INVALID_DATE),
    ("date_created=2026-03-19", "date_created needs dates as 2026-03-19T12:31:54.000+00:00"),
    ("order_id=0", "order_id must be a number of at least 1"),
    ("order_id=abc", "order_id must be a number of at least 1"),
    ("status=opened&colour=red", "unknown parameter: colour"),
]
REFUSALS = [
    *((base, query, message) for base in (V1, V2) for query, message in REFUSALS_OF_BOTH),
    (V1, f"players.user_id={SELLER}", "players.user_id needs players.role"),
    (V1, f"players.user_id={SELLER}&status=opened", "players.user_id needs players.role"),
    (V1, "players.role=respondent", "players.role needs players.user_id"),
    (V1, f"user_id={SELLER}", "unknown parameter: user_id"),
    (
        V1,
        f"players.user_id={SELLER}&players.role=seller",
        "players.role must be one of complainant, respondent, mediator",
    ),
    (V2, "player_role=respondent", "player_role needs player_user_id"),
    (V2, PLAYER, "unknown parameter: players.user_id"),
    (V2, "payment_id=1", "unknown parameter: payment_id"),
]


@pytest.mark.parametrize(("base", "query", "message"), REFUSALS)
async def test_refused_parameters(http: ClientSession, base: str, query: str, message: str) -> None:
    async with http.get(f"{base}search?{query}") as response:
        assert response.status == 400
        assert await response.json() == {"error": "invalid_params", "message": message}


@pytest.mark.parametrize("query", ["", "limit=10&offset=0&sort=date_created:asc"])
@both
async def test_a_search_needs_a_filter(http: ClientSession, base: str, query: str) -> None:
    async with http.get(f"{base}search?{query}") as response:
        assert response.status == 400
        body = await response.json()
    assert body["error"] == "invalid_query"
    assert body["message"].startswith("at least any of these filters: ")


@both
async def test_a_resource_with_a_player_needs_no_id(http: ClientSession, base: str) -> None:
    assert len(ids(await search(http, base, resource="order"))) == 3


@both
async def test_a_search_checks_access(http: ClientSession, sandbox: Sandbox, base: str) -> None:
    target = f"{base}search?{BASES[base]}"
    async with http.get(target, headers={"Authorization": ""}) as response:
        assert response.status == 401
        assert await response.json() == claim_error_body(401, "Invalid caller.id")
    sandbox.is_model_6 = True
    async with http.get(target) as response:
        if base == V1:
            assert response.status == 200
        else:
            assert response.status == 403
            assert await response.json() == {
                "code": 403,
                "error": "forbidden_error",
                "message": "Forbidden for CBT model 6 sellers.",
                "cause": None,
            }
    sandbox.has_permission = False
    async with http.get(target) as response:
        assert response.status == 403


async def test_a_search_is_a_read_of_the_rate_limit(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.rate = RateLimit(reads=1)
    await search(http, V2)
    async with http.get(f"{V2}search?{BASES[V2]}") as response:
        assert response.status == 429


@both
async def test_a_change_moves_a_claim(http: ClientSession, sandbox: Sandbox, base: str) -> None:
    sandbox.market = market = market_of(3)
    assert ids(await search(http, base, sort="last_updated:asc")) == [1002, 1001, 1000]
    market.add_claim_message(1002, "Hola")
    assert ids(await search(http, base, sort="last_updated:asc")) == [1001, 1000, 1002]
    market.update_claim(1001, status="closed", at=format_claim_date(START + timedelta(days=2)))
    assert ids(await search(http, base, sort="last_updated:asc")) == [1000, 1002, 1001]
    assert ids(await search(http, base, status="closed")) == [1001]
    # Attributes count too.
    market.claims["1000"].status = "closed"
    market.claims["1000"].last_updated = dated(60 * 24 * 3)
    found = await search(http, base, status="closed", sort="last_updated:asc")
    assert ids(found) == [1001, 1000]
    del market.claims["1001"]
    assert ids(await search(http, base, status="closed")) == [1000]
