"""The walk over the packs of a seller, and the pack of one order."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta
from multiprocessing.reduction import ForkingPickler
from typing import Final, TypeVar

import pytest
from calls import AT_ONCE, PACK_ID

from mlmsg import (
    AuthenticationError,
    Client,
    DecodeError,
    NotFound,
    OrdersUnreadable,
    PackRef,
    PermissionDenied,
    RateBudget,
    RuleError,
)
from mlmsg._map_ahead import map_ahead
from mlmsg.policy import Effect
from mlmsg.sandbox import (
    Fault,
    Market,
    MarketplaceSeller,
    Sandbox,
    example_market,
    generated_market,
)

T = TypeVar("T")

SINCE = date(2025, 1, 1)
both = pytest.mark.parametrize("site_id", ["CBT", "MLB"])


def market_of(site_id: str, packs: int = 60) -> Market:
    end = datetime.now(UTC) - timedelta(days=2)
    return generated_market(packs=packs, claims=0, files=0, site_id=site_id, days=30, end=end)


def client_of(sandbox: Sandbox, budget: RateBudget | None = None) -> Client:
    is_global = sandbox.market.site_id == "CBT"
    url = sandbox.url
    return Client(
        sandbox.token, global_selling=is_global, base_url=url, retry=AT_ONCE, budget=budget
    )


def order_of_a_pack(market: Market) -> tuple[str, str]:
    """Return an order that is alone in its pack, and the pack."""
    for key, order in market.orders.items():
        if order.pack_id is not None and len(market.sale(order.pack_id)) == 1:
            return key, order.pack_id
    raise AssertionError("the market has no such order")


async def collect(items: AsyncGenerator[T, None], found: list[T]) -> None:
    """Append all items, also those that come before an error."""
    async for item in items:
        found.append(item)  # noqa: PERF401


@both
async def test_each_pack_comes_once_and_the_total_is_true_at_the_end(site_id: str) -> None:
    market, totals = market_of(site_id), list[int]()
    async with Sandbox(market=market) as sandbox, client_of(sandbox) as client:
        walk = client.packs.all(since=SINCE, on_total=totals.append)
        found = [str(pack.pack_id) async for pack in walk]
    assert sorted(found) == sorted(market.packs)
    assert totals[-1] == len(found)
    # The search of a domestic seller counts orders. That of Global Selling counts sales.
    assert totals[0] == (len(market.packs) if site_id == "CBT" else len(market.orders))


@both
async def test_an_order_leads_to_its_pack(site_id: str) -> None:
    market = market_of(site_id)
    order_id, pack_id = order_of_a_pack(market)
    alone = next(key for key, order in market.orders.items() if order.pack_id is None)
    async with Sandbox(market=market) as sandbox, client_of(sandbox) as client:
        found = await client.packs.of_order(order_id)
        assert (found.pack_id, found.order_ids) == (int(pack_id), [int(order_id)])
        assert found.site_id == market.orders[order_id].site_id
        assert (await client.packs.of_order(alone)).pack_id == int(alone)
        with pytest.raises(NotFound):
            await client.packs.of_order(1)


async def test_each_pack_has_the_site_that_its_order_names() -> None:
    # One user id for the sellers of four sites: the seller tells no site.
    market = example_market()
    assert len({seller.user_id for seller in market.marketplaces}) == 1
    sites = {int(pack.id): pack.site_id for pack in market.packs.values()}
    async with Sandbox(market=market) as sandbox, client_of(sandbox) as client:
        found = [
            pack async for pack in client.packs.all(since=datetime.now(UTC) - timedelta(days=30))
        ]
        asked = [await client.packs.of_order(pack.order_ids[0]) for pack in found]
        messages = [(await client.packs.page(pack.pack_id)).messages[0] for pack in found]
    assert {pack.pack_id: pack.site_id for pack in found} == sites
    assert len(set(sites.values())) == 4
    assert [pack.site_id for pack in asked] == [pack.site_id for pack in found]
    assert [message.site_id for message in messages] == [pack.site_id for pack in found]


@pytest.mark.parametrize("context", [{}, {"context": None}, {"context": {"site": "CBT"}}])
@pytest.mark.parametrize(("sites", "expected"), [(["MLM", "MLB"], None), (["MLM", "MLM"], "MLM")])
async def test_an_order_without_a_site_has_the_only_one_of_its_seller(
    context: dict[str, object], sites: list[str], expected: str | None
) -> None:
    market = Market()
    market.marketplaces = [MarketplaceSeller(9, site_id, "remote") for site_id in sites]
    body = {"id": 7, "pack_id": 55, "seller": {"id": 9}, **context}
    async with Sandbox(market=market) as sandbox, client_of(sandbox) as client:
        sandbox.inject(Fault(status=200, body=body, path="/orders/7"))
        assert (await client.packs.of_order(7)).site_id == expected


async def test_an_order_whose_error_names_its_pack(sandbox: Sandbox, client: Client) -> None:
    body = {"message": "x", "error": "order_belong_pack", "status": 400, "cause": ["55"]}
    sandbox.inject(Fault(status=400, body=body, path="/orders/7"))
    assert await client.packs.of_order(7) == PackRef(pack_id=55, order_ids=[7])


@pytest.mark.parametrize("value", ["", "x", "1/2", -1, "\uff11"])
async def test_what_is_no_order_is_refused(
    sandbox: Sandbox, client: Client, value: int | str
) -> None:
    with pytest.raises(RuleError, match="order_id"):
        await client.packs.of_order(value)
    assert sandbox.requests == []


async def test_an_unreadable_order_hides_no_other_pack() -> None:
    market = market_of("CBT")
    order_id, pack_id = order_of_a_pack(market)
    found: list[PackRef] = []
    async with Sandbox(market=market) as sandbox, client_of(sandbox) as client:
        sandbox.inject(Fault(status=403, path=f"/marketplace/orders/{order_id}"))
        with pytest.raises(OrdersUnreadable) as caught:
            await collect(client.packs.all(since=SINCE), found)
    assert sorted([*(str(pack.pack_id) for pack in found), pack_id]) == sorted(market.packs)
    assert [*caught.value.errors] == [int(order_id)]
    assert isinstance(caught.value.errors[int(order_id)], PermissionDenied)
    copied = ForkingPickler.loads(ForkingPickler.dumps(caught.value))
    assert str(copied) == str(caught.value)
    assert order_id in str(copied)


UNREADABLE: Final[list[object]] = [None, {}, {"id": None}, {"id": "x"}, "text", [1]]


@both
@pytest.mark.parametrize("row", UNREADABLE, ids=repr)
async def test_an_unreadable_row_hides_no_other_row(site_id: str, row: object) -> None:
    market = market_of(site_id, packs=2)
    ids = [int(order.id) for order in market.orders.values()]
    rows: list[object] = [{"id": ids[0]}, row, {"id": ids[-1]}]
    body = {"results": rows, "paging": {"total": 3, "limit": 50, "offset": 0}}
    empty = {"results": [], "paging": {"total": 0, "limit": 50, "offset": 0}}
    found: list[PackRef] = []
    async with Sandbox(market=market) as sandbox, client_of(sandbox) as client:
        sandbox.inject(Fault(status=200, body=body, path="/orders/search"))
        sandbox.inject(Fault(status=200, body=empty, path="/orders/search", times=100))
        with pytest.raises(OrdersUnreadable) as caught:
            await collect(client.packs.all(since=SINCE), found)
    assert [pack.order_ids for pack in found] == [[ids[0]], [ids[-1]]]
    assert [type(error) for error in caught.value.errors.values()] == [DecodeError]


@both
async def test_a_search_without_any_readable_row_ends_the_walk(site_id: str) -> None:
    rows = [{"number": number} for number in range(30)]
    body = {"results": rows, "paging": {"total": 30, "limit": 50, "offset": 0}}
    async with Sandbox(market=market_of(site_id, packs=1)) as sandbox, client_of(sandbox) as client:
        sandbox.inject(Fault(status=200, body=body, path="/orders/search", times=100))
        with pytest.raises(DecodeError, match="no id"):
            [pack async for pack in client.packs.all(since=SINCE)]


@pytest.mark.parametrize(("status", "kind"), [(403, PermissionDenied), (401, AuthenticationError)])
async def test_a_walk_ends_when_no_order_can_be_read(status: int, kind: type[Exception]) -> None:
    async with Sandbox(market=market_of("CBT")) as sandbox, client_of(sandbox) as client:
        sandbox.inject(Fault(status=status, path="/marketplace/orders/2", times=1000))
        with pytest.raises(kind):
            [pack async for pack in client.packs.all(since=SINCE)]
        reads = [r for r in sandbox.requests if r.path.startswith("/marketplace/orders/2")]
    assert len(reads) <= 20 + 2 * 8


async def test_orders_are_read_side_by_side_and_come_in_order() -> None:
    market = market_of("CBT", packs=20)
    async with Sandbox(market=market) as sandbox, client_of(sandbox) as client:
        plain = [pack.pack_id async for pack in client.packs.all(since=SINCE)]
        sandbox.requests.clear()
        sandbox.inject(Fault(action="pass", path="/marketplace/orders/2", delay=0.05))
        walk = client.packs.all(since=SINCE)
        async with aclosing(walk):
            assert (await anext(walk)).pack_id == plain[0]
            reads = [r for r in sandbox.requests if r.path.startswith("/marketplace/orders/2")]
            assert len(reads) == 8
            assert [pack.pack_id async for pack in walk] == plain[1:]


# The limit of the search ----------------------------------------------------------------------


@pytest.mark.parametrize(("site_id", "count"), [("CBT", 1), ("MLB", 0)])
async def test_all_walks_of_a_client_share_the_limit_of_the_search(
    site_id: str, count: int
) -> None:
    async with Sandbox(market=market_of(site_id, packs=1)) as sandbox:
        async with client_of(sandbox, RateBudget()) as client:
            limits = client._session._own_limits
            assert len(limits) == count
            for _ in range(2):
                [pack async for pack in client.packs.all(since=SINCE)]
            searches = sum(r.path.endswith("/orders/search") for r in sandbox.requests)
            departures = sum(len(limit._departures) for limit in limits.values())
            assert departures == count * searches
            assert client.waiting_calls == 0
        async with client_of(sandbox) as client:
            assert not client._session._own_limits, "budget=None: no limit of our own"


async def test_a_call_that_waits_for_the_budget_is_counted(sandbox: Sandbox) -> None:
    budget = RateBudget(reads=1, per=60.0, burst=1)
    async with client_of(sandbox, budget) as client:
        await client.packs.page(PACK_ID)
        call = asyncio.ensure_future(client.packs.page(PACK_ID))
        await asyncio.sleep(0)  # it runs up to its first wait
        assert (client.waiting_calls, budget.limiter(Effect.READ).waiting) == (1, 1)
        call.cancel()
        await asyncio.wait({call})
        assert client.waiting_calls == 0


# Mapping ahead --------------------------------------------------------------------------------


async def test_mapping_ahead_is_bounded_and_closes_all() -> None:
    running, most, closed = 0, 0, list[str]()

    async def items() -> AsyncGenerator[int, None]:
        try:
            for number in range(100):
                yield number
        finally:
            closed.append("items")

    async def double(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            await asyncio.sleep(0)
            if number == 50:
                raise ValueError(number)
            return 2 * number
        finally:
            running -= 1

    found: list[int] = []
    with pytest.raises(ValueError, match="50"):
        await collect(map_ahead(items(), double, 3), found)
    assert found == [2 * number for number in range(50)]
    assert (most, running, closed) == (3, 0, ["items"])
