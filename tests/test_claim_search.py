"""Search the claims of a seller, page by page and by date, both families (api-beyond, d)."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pytest
from calls import connect
from rawserver import answers, each

from mlmsg import Client, RetryPolicy, RuleError
from mlmsg._search_queries import claim_query, claim_range, order_query
from mlmsg.rules import Family
from mlmsg.sandbox import Sandbox, example_market

MOMENT: Final = datetime(2026, 3, 19, 12, 31, 54, tzinfo=UTC)


@pytest.fixture(params=["domestic", "global selling"])
async def market(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Sandbox, Client]]:
    is_domestic = request.param == "domestic"
    example = example_market(site_id="MLB") if is_domestic else example_market()
    async with (
        Sandbox(market=example) as sandbox,
        Client(
            sandbox.token,
            global_selling=not is_domestic,
            base_url=sandbox.url,
            retry=RetryPolicy(base=0.0),
            budget=None,
        ) as client,
    ):
        yield sandbox, client


async def test_a_page_lists_the_sellers_claims(market: tuple[Sandbox, Client]) -> None:
    sandbox, client = market
    page = await client.claims.search(status="opened")
    assert page.paging is not None
    assert page.paging.total == len(page.claims) > 0
    ids = {str(claim.id) for claim in page.claims}
    assert ids <= set(sandbox.market.claims)
    assert all(claim.players and claim.last_updated for claim in page.claims)


async def test_all_claims_come_once(market: tuple[Sandbox, Client]) -> None:
    sandbox, client = market
    own = set(sandbox.market.claims)
    found = [str(claim.id) async for claim in client.claims.all(since=date(2020, 1, 1))]
    assert sorted(found) == sorted(own)
    none = client.claims.all(since=date(2010, 1, 1), until=date(2011, 1, 1))
    assert [claim async for claim in none] == []


async def test_the_span_bounds_the_last_update(market: tuple[Sandbox, Client]) -> None:
    _, client = market
    claims = [claim async for claim in client.claims.all(since=date(2020, 1, 1))]
    times = sorted(claim.last_updated for claim in claims if claim.last_updated)
    middle = times[len(times) // 2]
    later = {claim.id async for claim in client.claims.all(since=middle)}
    assert later == {c.id for c in claims if c.last_updated and c.last_updated >= middle}
    earlier = {claim.id async for claim in client.claims.all(since=date(2020, 1, 1), until=middle)}
    assert earlier == {claim.id for claim in claims} - later


async def test_a_claim_is_joined_to_its_order_and_told_in_words(
    market: tuple[Sandbox, Client],
) -> None:
    sandbox, client = market
    claim_id = next(iter(sandbox.market.claims))
    claim = await client.claims.get(claim_id)
    assert (claim.id, claim.resource) == (int(claim_id), "order")
    assert claim.resource_id
    assert claim.site_id
    detail = await client.claims.detail(claim_id)
    assert detail.title
    assert detail.action_responsible in {"seller", "buyer", "mediator"}


REFUSED: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "an unknown filter": ({"stat": "opened"}, "Did you mean 'status'"),
    "a resource id alone": ({"resource_id": 1}, "both of them"),
    "an order and a pack": ({"order_id": 1, "pack_id": 2}, "one of them"),
    "a list": ({"order_id": [1]}, "a str or an int"),
    "no limit": ({"limit": 0}, "1 to 100"),
    "a limit over 100": ({"limit": 101}, "1 to 100"),
    "an offset below 0": ({"offset": -1}, "0 or more"),
    "an unknown role": ({"role": "mediator"}, "'respondent' or 'complainant'"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_the_search_refuses_is_not_sent(
    market: tuple[Sandbox, Client], name: str
) -> None:
    sandbox, client = market
    arguments, words = REFUSED[name]
    with pytest.raises(RuleError, match=words):
        await client.claims.search(**arguments)
    assert not sandbox.requests


async def test_a_domestic_window_ends_below_ten_thousand(market: tuple[Sandbox, Client]) -> None:
    _, client = market
    if "domestic" in repr(client):
        with pytest.raises(RuleError, match=r"found 10000, allowed: under 10000"):
            await client.claims.search(limit=50, offset=9950)
    page = await client.claims.search(limit=50, offset=9949)
    assert page.claims == []


def test_the_owner_is_part_of_the_query() -> None:
    domestic = claim_query(Family.DOMESTIC, 7, "complainant", 30, 0, {"payment_id": 5})
    assert domestic == {
        "players.role": "complainant", "players.user_id": "7", "payment_id": "5",
        "limit": "30", "offset": "0",
    }  # fmt: skip
    other = claim_query(Family.GLOBAL_SELLING, 7, "respondent", 100, 20, {"status": "closed"})
    assert other == {"user_id": "7", "status": "closed", "limit": "100", "offset": "20"}


class Number:
    """A number of another library, such as numpy's."""

    def __index__(self) -> int:
        return 5


def test_a_filter_takes_any_whole_number() -> None:
    query = claim_query(Family.DOMESTIC, 7, "complainant", 30, 0, {"payment_id": Number()})
    assert query["payment_id"] == "5"
    with pytest.raises(RuleError, match="a str or an int"):
        claim_query(Family.DOMESTIC, 7, "complainant", 30, 0, {"payment_id": True})


def test_a_range_has_milliseconds_and_a_zone() -> None:
    text = claim_range("last_updated", MOMENT, MOMENT + timedelta(days=1))
    assert text == (
        "last_updated:after:2026-03-19T12:31:53.999+00:00,before:2026-03-20T12:31:54.001+00:00"
    )
    assert claim_range("date_created", MOMENT, None).count("before") == 0


def test_the_hours_of_an_order_search_hold_the_span() -> None:
    end = MOMENT + timedelta(hours=2)
    query = order_query(Family.DOMESTIC, 7, MOMENT, end, 50, 0)
    assert query["order.date_last_updated.from"] == "2026-03-19T12:00:00.000+00:00"
    assert query["order.date_last_updated.to"] == "2026-03-19T15:00:00.000+00:00"
    assert query["seller"] == "7"
    whole = order_query(Family.GLOBAL_SELLING, 7, MOMENT, MOMENT.replace(minute=0, second=0), 50, 0)
    assert whole["last_updated.to"] == "2026-03-19T12:00:00.000+00:00"


async def test_claims_without_an_id_are_distinguished_by_their_content() -> None:
    rows = b'{"players": [], "stage": "claim"}, {"players": [], "stage": "dispute"}'
    body = b'{"paging": {"total": 2}, "id": 9, "data": [' + rows + b"]}"
    async with connect(each(answers(200, body))) as (client, _):
        found = [
            claim async for claim in client.claims.all(since=date(2020, 1, 1), status="opened")
        ]
    assert [claim.stage for claim in found] == ["claim", "dispute"]
