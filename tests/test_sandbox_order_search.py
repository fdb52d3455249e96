"""The search of orders with a bare aiohttp session: both families, dates, pages, refusals."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import ClientSession
from sandboxes import SELLER, error_body

from mlmsg.sandbox import Market, MarketplaceSeller, RateLimit, Sandbox
from mlmsg.sandbox.schemas.dates import format_claim_date

NOW = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
DOMESTIC = f"/orders/search?seller={SELLER}"
GLOBAL = "/marketplace/orders/search?site=MLM"
both = pytest.mark.parametrize("base", [DOMESTIC, GLOBAL], ids=["domestic", "global"])

DATES = {
    DOMESTIC: ("order.date_created", "order.date_last_updated", "order.date_closed"),
    GLOBAL: ("date_created", "last_updated", "date_closed"),
}


def at(**ago: float) -> str:
    """The date of an order, so long ago."""
    return format_claim_date(NOW - timedelta(**ago))


def empty_market() -> Market:
    return Market(now=lambda: NOW)


def market_of(count: int) -> Market:
    """A market with an order in each hour, the last one an hour ago; its id is that number."""
    market = empty_market()
    for number in range(1, count + 1):
        market.add_order(
            number,
            at=at(hours=number),
            date_closed=at(hours=number - 0.5),
            last_updated=at(hours=(number * 7) % count),
        )
    return market


async def get(
    http: ClientSession, target: str, params: Mapping[str, object] | None = None
) -> dict[str, object]:
    texts = {name: str(value) for name, value in (params or {}).items()}
    async with http.get(target, params=texts) as response:
        assert response.status == 200, await response.text()
        body: dict[str, object] = await response.json()
        return body


async def ids(
    http: ClientSession, target: str, params: Mapping[str, object] | None = None
) -> list[int]:
    results = (await get(http, target, params))["results"]
    assert isinstance(results, list)
    return [result["id"] for result in results]


async def test_a_domestic_page(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.market = market = empty_market()
    order = market.add_order(11, pack_id=22, buyer_id=5, shipping_id=6, at=at(days=1))
    order.mediations.append(77)
    market.add_order(12, buyer_id=7, at=at(days=2))
    body = await get(http, DOMESTIC)
    sort = {"id": "date_asc", "name": "date asc"}
    assert body == {
        "query": "",
        "results": [
            {
                "id": 12,
                "pack_id": None,
                "status": "paid",
                "date_created": "2026-06-29T08:30:00.000-04:00",
                "date_closed": "2026-06-29T08:30:00.000-04:00",
                "last_updated": "2026-06-29T08:30:00.000-04:00",
                "tags": ["paid", "not_delivered"],
                "seller": {"id": SELLER},
                "buyer": {"id": 7},
                "shipping": {"id": None},
                "mediations": [],
                "context": {"site": "MLM"},
            },
            {
                "id": 11,
                "pack_id": 22,
                "status": "paid",
                "date_created": "2026-06-30T08:30:00.000-04:00",
                "date_closed": "2026-06-30T08:30:00.000-04:00",
                "last_updated": "2026-06-30T08:30:00.000-04:00",
                "tags": ["paid", "not_delivered"],
                "seller": {"id": SELLER},
                "buyer": {"id": 5},
                "shipping": {"id": 6},
                "mediations": [{"id": 77}],
                "context": {"site": "MLM"},
            },
        ],
        "sort": sort,
        "available_sorts": [sort, {"id": "date_desc", "name": "date desc"}],
        "filters": [],
        "paging": {"limit": 50, "offset": 0, "total": 2},
        "display": "complete",
    }


async def test_a_page_of_global_selling(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.market = market = empty_market()
    market.marketplaces = [MarketplaceSeller(31, "MLM", "remote")]
    market.add_order(11, pack_id=22, seller_id=31, buyer_id=5, shipping_id=6, at=at(days=3))
    market.add_order(12, pack_id=22, at=at(days=3)).mediations.append(77)
    market.add_order(13, pack_id=23, seller_id=31, buyer_id=7, at=at(days=2))
    market.add_order(14, buyer_id=8, at=at(days=1))
    market.add_order(15, seller_id=9, at=at(days=1))

    def order(number: int, seller: int, *mediations: int) -> dict[str, object]:
        return {
            "id": number,
            "items": None,
            "payments": [],
            "mediations": [{"id": mediation} for mediation in mediations],
            "seller": {"id": seller},
        }

    body = await get(http, "/marketplace/orders/search")
    assert body["results"] == [
        {
            # A cart has the id of its pack, but no row has a pack_id.
            "id": 22,
            "buyer": {"id": 5},
            "config": {"items": 2},
            "orders": [order(11, 31), order(12, 31, 77)],
            "shipment": {"id": 6},
        },
        {
            "id": 13,
            "buyer": {"id": 7},
            "config": {"items": 1},
            "orders": [order(13, 31)],
            "shipment": {"id": None},
        },
        {
            "id": 14,
            "buyer": {"id": 8},
            "config": {"items": 1},
            "orders": [order(14, SELLER)],
            "shipment": {"id": None},
        },
    ]
    assert body["paging"] == {"total": 3, "limit": 50}
    assert body["sort"] == {"id": "date_asc", "name": "date asc"}
    sorts = body["available_sorts"]
    assert isinstance(sorts, list)
    assert [sort["id"] for sort in sorts] == [
        "date_asc",
        "date_desc",
        "updated_asc",
        "updated_desc",
        "closed_asc",
        "closed_desc",
    ]


@both
async def test_the_default_market_has_orders(http: ClientSession, base: str) -> None:
    site = {} if base == DOMESTIC else {"site": "MLB"}
    target = base.replace("?site=MLM", "")
    found = await ids(http, target, site)
    assert len(found) == (5 if base == DOMESTIC else 1)


# The order n was made n hours before 12:30, so its dates in the ranges are 12 - n o'clock, 30.
BOUNDS = [
    ("2026-07-01T09:00:00.000-00:00", "2026-07-01T11:00:00.000-00:00", [2, 3]),
    # Minutes are thrown away.
    ("2026-07-01T09:59:59.999Z", "2026-07-01T11:59:59Z", [2, 3]),
    ("2026-07-01T05:10:00.000-0400", "2026-07-01T07:10:00.000-0400", [2, 3]),
    ("2026-07-01T09:00:00Z", None, [1, 2, 3]),
    (None, "2026-07-01T09:00:00Z", [4, 5]),
    ("2026-07-01T10:40:00Z", "2026-07-01T10:50:00Z", []),
    ("2026-07-01T11:00:00Z", "2026-07-01T09:00:00Z", []),
]


@both
@pytest.mark.parametrize(("first", "last", "expected"), BOUNDS)
async def test_dates_are_cut_to_the_hour(
    http: ClientSession,
    sandbox: Sandbox,
    *,
    base: str,
    first: str | None,
    last: str | None,
    expected: list[int],
) -> None:
    sandbox.market = market_of(5)
    given = {"from": first, "to": last}
    name = DATES[base][0]
    params = {f"{name}.{side}": text for side, text in given.items() if text is not None}
    assert sorted(await ids(http, base, params)) == expected


@both
async def test_both_bounds_are_inclusive(http: ClientSession, sandbox: Sandbox, base: str) -> None:
    sandbox.market = market = empty_market()
    market.add_order(1, at="2026-06-30T10:00:00.000-00:00")
    name = DATES[base][0]
    params = {f"{name}.from": "2026-06-30T10:59:00Z", f"{name}.to": "2026-06-30T10:01:00Z"}
    assert await ids(http, base, params) == [1]


@both
@pytest.mark.parametrize("date", [0, 1, 2])
async def test_each_date_has_a_range(
    http: ClientSession, sandbox: Sandbox, base: str, date: int
) -> None:
    sandbox.market = market = empty_market()
    dates = [at(days=3), at(days=2), at(days=1)]
    market.add_order(1, at=dates[0], last_updated=dates[1], date_closed=dates[2])
    market.add_order(2, at=at(days=4)).date_closed = None
    name = DATES[base][date]
    day = NOW - timedelta(days=(3, 2, 1)[date])
    params = {f"{name}.from": day.isoformat(), f"{name}.to": (day + timedelta(hours=1)).isoformat()}
    assert await ids(http, base, params) == [1]
    params = {f"{name}.from": (day + timedelta(hours=1)).isoformat()}
    assert await ids(http, base, params) == []


@pytest.mark.parametrize("date", ["2026-06-30", "2026-06-30T10:00:00", "2026-06-30T10:00:00.000"])
async def test_a_date_without_a_zone(http: ClientSession, sandbox: Sandbox, date: str) -> None:
    sandbox.market = market_of(3)
    assert len(await ids(http, GLOBAL, {"date_created.from": date})) == 3
    params = {"order.date_created.from": date}
    async with http.get(DOMESTIC, params=params) as response:
        assert response.status == 400
        assert await response.json() == error_body(400, f"Invalid date: {date}")


SORTS = [
    (DOMESTIC, None, [3, 1, 2]),
    (DOMESTIC, "date_asc", [3, 1, 2]),
    (DOMESTIC, "date_desc", [2, 1, 3]),
    (GLOBAL, None, [3, 2, 1]),
    (GLOBAL, "date_asc", [3, 2, 1]),
    (GLOBAL, "date_desc", [1, 2, 3]),
    (GLOBAL, "updated_asc", [2, 3, 1]),
    (GLOBAL, "updated_desc", [1, 3, 2]),
    (GLOBAL, "closed_asc", [3, 1, 2]),
    (GLOBAL, "closed_desc", [2, 1, 3]),
]


@pytest.mark.parametrize(("base", "sort", "expected"), SORTS)
async def test_the_orders_of_a_search(
    http: ClientSession, sandbox: Sandbox, *, base: str, sort: str | None, expected: list[int]
) -> None:
    sandbox.market = market = empty_market()
    market.add_order(1, at=at(hours=8), last_updated=at(hours=1), date_closed=at(hours=5))
    market.add_order(2, at=at(hours=9), last_updated=at(hours=3), date_closed=at(hours=4))
    # A domestic order that is not closed is sorted by its creation.
    market.add_order(3, at=at(hours=10), last_updated=at(hours=2)).date_closed = None
    params = {} if sort is None else {"sort": sort}
    assert await ids(http, base, params) == expected


@both
async def test_orders_that_the_search_hides(
    http: ClientSession, sandbox: Sandbox, base: str
) -> None:
    sandbox.market = market = empty_market()
    market.add_order(1, at=at(days=364))
    market.add_order(2, at=at(days=366), last_updated=at(days=1))
    market.add_order(3, at=at(days=1), status="cancelled")
    market.add_order(4, at=at(days=1), seller_id=99)
    assert await ids(http, base) == [1]
    assert await ids(http, base, {"order.status": "cancelled"}) == [3]
    assert sorted(await ids(http, base, {"order.status": "paid,cancelled"})) == [1, 3]
    assert await ids(http, base, {"order.status": "confirmed"}) == []
    name = DATES[base][1]
    assert await ids(http, base, {f"{name}.from": "2026-06-01T00:00:00Z"}) == []


async def test_a_cart_shows_the_orders_that_were_asked_for(
    http: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.market = market = empty_market()
    market.add_order(1, pack_id=9, at=at(days=3), last_updated=at(days=3), status="cancelled")
    market.add_order(2, pack_id=9, at=at(days=2), last_updated=at(days=2))

    async def orders(**params: str) -> list[tuple[int, list[int]]]:
        named = {name.replace("__", "."): value for name, value in params.items()}
        results = (await get(http, GLOBAL, named))["results"]
        assert isinstance(results, list)
        return [(sale["id"], [order["id"] for order in sale["orders"]]) for sale in results]

    assert await orders() == [(9, [2])]
    assert await orders(order__status="cancelled") == [(9, [1])]
    assert await orders(order__status="cancelled,paid") == [(9, [1, 2])]
    # The dates of the cart are the earliest creation and the latest update.
    assert await orders(date_created__to="2026-06-29T00:00:00Z") == [(9, [2])]
    assert await orders(last_updated__from="2026-06-29T00:00:00Z") == [(9, [2])]
    assert await orders(last_updated__to="2026-06-29T00:00:00Z") == []


FILTERS = [
    (DOMESTIC, {"tags": "paid"}, [1, 2]),
    (DOMESTIC, {"tags": "paid,mshops"}, [2]),
    (DOMESTIC, {"tags.not": "mshops"}, [1]),
    (DOMESTIC, {"q": 2}, [2]),
    (DOMESTIC, {"q": 50}, [1]),
    (DOMESTIC, {"q": 3}, []),
    (GLOBAL, {"buyer": 7}, [2]),
    (GLOBAL, {"seller.id": SELLER}, [1, 2]),
    (GLOBAL, {"seller.id": 5}, []),
]


@pytest.mark.parametrize(("base", "filters", "expected"), FILTERS)
async def test_filters(
    http: ClientSession,
    sandbox: Sandbox,
    *,
    base: str,
    filters: dict[str, object],
    expected: list[int],
) -> None:
    sandbox.market = market = empty_market()
    market.add_order(1, pack_id=50, at=at(hours=2))
    market.add_order(2, buyer_id=7, at=at(hours=1)).tags.append("mshops")
    assert await ids(http, base, filters) == expected


async def test_the_site_of_global_selling(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.market = market = empty_market()
    market.add_order(1, site_id="MLM", at=at(hours=2))
    market.add_order(2, site_id="MLC", at=at(hours=1))
    target = "/marketplace/orders/search"
    assert await ids(http, target) == [1, 2]
    assert await ids(http, target, {"site": "MLC"}) == [2]


@both
@pytest.mark.parametrize(
    ("limit", "offset", "first", "count"),
    [
        (None, None, 1, 50),
        (50, 0, 1, 50),
        (1, 59, 60, 1),
        (50, 50, 51, 10),
        (50, 60, 0, 0),
        (50, 9950, 0, 0),
        (1, 9999, 0, 0),
    ],
)
async def test_pages(
    http: ClientSession,
    sandbox: Sandbox,
    *,
    base: str,
    limit: int | None,
    offset: int | None,
    first: int,
    count: int,
) -> None:
    sandbox.market = market_of(60)
    given = {"limit": limit, "offset": offset, "sort": "date_desc"}
    params = {name: value for name, value in given.items() if value is not None}
    assert await ids(http, base, params) == list(range(first, first + count))
    paging = (await get(http, base, params))["paging"]
    assert isinstance(paging, dict)
    assert (paging["total"], paging["limit"]) == (60, limit or 50)
    assert paging.get("offset") == ((offset or 0) if base == DOMESTIC else None)


async def test_the_largest_limits(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.market = market_of(60)
    assert len(await ids(http, DOMESTIC, {"limit": 51})) == 51
    for limit in (51, 1000):
        body = await get(http, GLOBAL, {"limit": limit})
        assert body["paging"] == {"total": 60, "limit": 50}


TOO_FAR = "The sum of offset and limit must be at most 10000"
REFUSALS_OF_BOTH = [
    ("limit=0", "The limit param must be a number of at least 1"),
    ("limit=-1", "The limit param must be a number of at least 1"),
    ("limit=ten", "The limit param must be a number of at least 1"),
    ("offset=-1", "The offset param must be a number of at least 0"),
    ("offset=", "The offset param must be a number of at least 0"),
    ("limit=50&offset=9951", TOO_FAR),
    ("offset=9951", TOO_FAR),
    ("limit=1&offset=10000", TOO_FAR),
    ("order.status=pending_cancel", "The order.status param is invalid: pending_cancel"),
    ("order.status=paid,pending_cancel", "The order.status param is invalid: pending_cancel"),
    ("sort=id_asc", "The sort param is invalid"),
    ("sort=date", "The sort param is invalid"),
    ("colour=red", "Unknown param: colour"),
]
REFUSALS = [
    *((base, query, text) for base in (DOMESTIC, GLOBAL) for query, text in REFUSALS_OF_BOTH),
    (DOMESTIC, "limit=52", "Limit must be a lower or equal than 51"),
    (DOMESTIC, "limit=1000", "Limit must be a lower or equal than 51"),
    (DOMESTIC, "sort=updated_asc", "The sort param is invalid"),
    (DOMESTIC, "order.date_created.from=yesterday", "Invalid date: yesterday"),
    (DOMESTIC, "last_updated.from=2026-06-01", "Unknown param: last_updated.from"),
    (DOMESTIC, "q=abc", "The q param must be a number of at least 1"),
    (GLOBAL, "order.date_created.from=2026-06-01", "Unknown param: order.date_created.from"),
    (GLOBAL, "last_updated.to=yesterday", "Invalid date: yesterday"),
    # Not percent-encoded, so that the plus is a space.
    (
        GLOBAL,
        "last_updated.to=2026-06-01T00:00:00+00:00",
        "Invalid date: 2026-06-01T00:00:00 00:00",
    ),
]


@pytest.mark.parametrize(("base", "query", "message"), REFUSALS)
async def test_refused_parameters(http: ClientSession, base: str, query: str, message: str) -> None:
    async with http.get(f"{base}&{query}") as response:
        assert response.status == 400
        assert await response.json() == error_body(400, message)


async def test_a_domestic_search_needs_the_seller(http: ClientSession) -> None:
    async with http.get("/orders/search") as response:
        assert response.status == 400
        assert await response.json() == error_body(400, "The seller param is required")
    async with http.get("/orders/search?seller=5") as response:
        assert response.status == 403
        message = "The seller param is not the user of the token"
        assert await response.json() == error_body(403, message)


async def test_global_selling_has_a_rate_of_its_own(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.order_rate = rate = RateLimit(reads=2, retry_after=9)
    for _ in range(2):
        await get(http, GLOBAL)
    async with http.get(GLOBAL) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "9")
    # It counts nothing but that search.
    await get(http, DOMESTIC)
    await get(http, "/users/me")
    assert rate.accepted == {"reads": 2, "writes": 0}
    assert rate.rejections == {"reads": 1, "writes": 0}
    sandbox.clock.advance(60)
    await get(http, GLOBAL)


async def test_both_rates_count_a_search(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.rate, sandbox.order_rate = RateLimit(reads=2), RateLimit(reads=1)
    await get(http, GLOBAL)
    async with http.get(GLOBAL) as response:
        assert response.status == 429
    async with http.get("/users/me") as response:
        assert response.status == 429
    assert sandbox.order_rate.accepted["reads"] == 1
    assert sandbox.rate.accepted["reads"] == 2


@both
@pytest.mark.parametrize(("token", "status"), [("", 400), ("x", 400), ("Bearer x", 400)])
async def test_a_search_checks_the_token(
    http: ClientSession, base: str, token: str, status: int
) -> None:
    async with http.get(base, headers={"Authorization": token}) as response:
        assert response.status == status


@both
async def test_a_partial_answer_is_a_206(http: ClientSession, sandbox: Sandbox, base: str) -> None:
    sandbox.market = market_of(1)
    sandbox.missing_content = "payments"
    async with http.get(base) as response:
        assert (response.status, response.headers["X-Content-Missing"]) == (206, "payments")
        assert len((await response.json())["results"]) == 1


@both
async def test_a_search_sees_each_change(http: ClientSession, sandbox: Sandbox, base: str) -> None:
    sandbox.market = market = market_of(3)
    assert await ids(http, base, {"sort": "date_desc"}) == [1, 2, 3]
    market.add_order(4)
    market.update_order(2, status="cancelled")
    market.orders["3"].date_created = market.orders["3"].date_closed = at(hours=0.1)
    assert await ids(http, base, {"sort": "date_desc"}) == [4, 3, 1]
    name = DATES[base][1]
    found = await ids(
        http, base, {f"{name}.from": "2026-07-01T12:00:00Z", "order.status": "cancelled"}
    )
    assert found == [2]
    del market.orders["4"]
    assert await ids(http, base, {"sort": "date_desc"}) == [3, 1]
