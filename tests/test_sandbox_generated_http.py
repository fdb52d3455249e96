"""A sandbox with a generated market, with a bare aiohttp session."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import ClientSession
from sandboxes import TIMEOUT, thread

from mlmsg.sandbox import Market, Sandbox, generated_market

END = datetime(2026, 7, 1, 12, tzinfo=UTC)
SITES = ["CBT", "MLB"]

NEW_MESSAGE: dict[str, object] = {"text": "Hola"}

Found = dict[str, object]


@pytest.fixture(params=SITES)
async def generated(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    """A sandbox with a generated market of each family."""
    market = generated_market(
        120,
        60,
        2,
        site_id=request.param,
        end=END,
        now=lambda: END + timedelta(hours=1),
    )
    async with Sandbox(market=market) as running:
        yield running


@pytest.fixture
async def session(generated: Sandbox) -> AsyncIterator[ClientSession]:
    headers = {"Authorization": f"Bearer {generated.token}"}
    async with ClientSession(generated.url, headers=headers, timeout=TIMEOUT) as opened:
        yield opened


async def get(session: ClientSession, target: str, **params: object) -> Found:
    texts = {name.replace("__", "."): str(value) for name, value in params.items()}
    async with session.get(target, params=texts) as response:
        assert response.status == 200, await response.text()
        body: Found = await response.json()
        return body


def rows_of(body: Found, name: str) -> list[dict[str, object]]:
    rows = body[name]
    assert isinstance(rows, list)
    return rows


def kept(market: Market) -> int:
    """The number of values that the market keeps in memory."""
    packs, claims = len(market.packs.kept), len(market.claims.kept)
    return packs + claims + len(market.orders.kept) + len(market.files.kept)


def is_global(market: Market) -> bool:
    return market.site_id == "CBT"


async def find_claims(session: ClientSession, market: Market, **params: object) -> list[str]:
    """The ids of all claims that a walk over both roles finds."""
    roles = [None] if is_global(market) else ["complainant", "respondent"]
    found: list[str] = []
    for role in roles:
        base = f"/marketplace/v2/claims/search?user_id={market.user_id}"
        if role is not None:
            player = f"players.user_id={market.user_id}&players.role={role}"
            base = f"/post-purchase/v1/claims/search?{player}"
        offset = 0
        while rows := rows_of(await get(session, base, offset=offset, limit=25, **params), "data"):
            found += [str(row["id"]) for row in rows]
            offset += 25
    return found


async def find_orders(session: ClientSession, market: Market, **params: object) -> list[str]:
    """The ids of all orders that a walk finds."""
    base = "/marketplace/orders/search?" if is_global(market) else "/orders/search?"
    base += "" if is_global(market) else f"seller={market.user_id}"
    found: list[str] = []
    offset = 0
    while rows := rows_of(await get(session, base, offset=offset, limit=40, **params), "results"):
        for row in rows:
            orders = row["orders"] if is_global(market) else [row]
            assert isinstance(orders, list)
            found += [str(order["id"]) for order in orders]
        offset += 40
    return found


async def test_walks_find_everything_and_nothing_is_kept(
    session: ClientSession, generated: Sandbox
) -> None:
    market = generated.market
    claims = await find_claims(session, market, sort="date_created:asc")
    assert sorted(claims) == sorted(market.claims)
    orders = await find_orders(session, market)
    orders += await find_orders(session, market, order__status="cancelled")
    assert sorted(orders) == sorted(market.orders)
    marketplace = "/marketplace" if is_global(market) else ""
    threads = set()
    for order_id in orders:
        order = await get(session, f"{marketplace}/orders/{order_id}")
        threads.add(str(order["pack_id"] or order["id"]))
    assert threads == set(market.packs)
    assert kept(market) == 0


async def test_reading_a_whole_thread_keeps_nothing(
    session: ClientSession, generated: Sandbox
) -> None:
    market = generated.market
    for pack_id in list(market.packs)[:8]:
        pack = market.packs.peek(pack_id)
        assert pack is not None
        path = f"{thread(pack_id, pack.seller_id)}?tag=post_sale&mark_as_read=false"
        base = "/messages/attachments"
        if is_global(market):
            path, base = f"/marketplace/messages/packs/{pack_id}", "/marketplace" + base
        messages = rows_of(await get(session, path), "messages")
        assert [message["id"] for message in messages] == [one.id for one in pack.messages]
        for message in pack.messages:
            for file in message.message_attachments or []:
                target = f"{base}/{file.filename}?tag=post_sale&site_id={pack.site_id}"
                async with session.get(target) as response:
                    assert response.status == 200
                    assert response.headers["Content-Type"] == file.type
                    assert len(await response.read()) == file.size
            prefix = "/marketplace/messages/" if is_global(market) else "/messages/"
            single = rows_of(await get(session, prefix + message.id), "messages")
            assert single[0]["text"] == message.text
    assert kept(market) == 0


async def test_reading_a_claim_keeps_nothing(session: ClientSession, generated: Sandbox) -> None:
    market = generated.market
    base = "/post-purchase/v1/claims/"
    for claim_id in list(market.claims)[:8]:
        claim = market.claims.peek(claim_id)
        assert claim is not None
        details = await get(session, base + claim_id)
        assert (details["id"], details["status"]) == (int(claim_id), claim.status)
        await get(session, f"{base}{claim_id}/detail")
        for name, file in claim.files.items():
            path = f"{base}{claim_id}/attachments/{name}"
            assert (await get(session, path))["size"] == file.size
            async with session.get(f"{path}/download") as response:
                assert await response.read() == file.data
    assert market.claims.kept == {}


async def test_a_thread_is_marked_as_read(session: ClientSession, generated: Sandbox) -> None:
    market = generated.market
    unread = market.unread("seller")
    assert len(unread) == 10
    assert (await get(session, "/messages/unread?role=seller&tag=post_sale"))["results"] == [
        {"resource": one.resource, "count": 1} for one in unread
    ]
    resource = unread[3].resource
    page = await get(session, f"/messages{resource}?tag=post_sale")
    newest = rows_of(page, "messages")[0]
    dates = newest["message_date"]
    assert isinstance(dates, dict)
    assert dates["read"] is not None
    assert market.unread("seller") == [one for one in unread if one.resource != resource]
    assert len(market.packs.kept) == 1
    # A second read marks nothing, and neither does one of another thread that was read.
    await get(session, f"/messages{resource}?tag=post_sale")
    (oldest, *_) = market.packs
    pack = market.packs.peek(oldest)
    assert pack is not None
    await get(session, f"/messages{pack.resource}?tag=post_sale")
    assert len(market.packs.kept) == 1


async def test_messages_are_added(session: ClientSession, generated: Sandbox) -> None:
    market = generated.market
    (pack_id, other, *_) = reversed(market.packs)
    pack = market.packs[pack_id]
    added = market.add_message(pack_id, "Una más", author="buyer")
    assert pack.messages[0] == added
    assert market.message(added.id) == added
    assert market.message(pack.messages[1].id) == pack.messages[1]
    counts = {one.resource: one.count for one in market.unread("seller")}
    assert counts[pack.resource] == 2
    target, body = f"/marketplace/messages/packs/{other}", NEW_MESSAGE
    if not is_global(market):
        people = {
            "from": {"user_id": pack.seller_id},
            "to": {"user_id": market.packs[other].buyer_id},
        }
        target, body = f"{thread(other, pack.seller_id)}?tag=post_sale", {**people, **NEW_MESSAGE}
    async with session.post(target, json=body) as response:
        assert response.status == 201, await response.text()
    assert market.packs[other].messages[0].text == "Hola"
    assert len(market.packs[other].messages) == 4


async def test_a_removed_file_is_lost(session: ClientSession, generated: Sandbox) -> None:
    market = generated.market
    (name, *_) = market.files
    base = "/marketplace/messages" if is_global(market) else "/messages"
    target = f"{base}/attachments/{name}?tag=post_sale&site_id=MLM"
    async with session.get(target) as response:
        assert response.status == 200
    del market.files[name]
    async with session.get(target) as response:
        assert response.status == 500
    assert len(market.files) == 239


async def test_claims_change_while_they_are_searched(
    session: ClientSession, generated: Sandbox
) -> None:
    market = generated.market
    before = await find_claims(session, market, status="opened")
    changed, closed, removed = before[1], before[-2], before[0]
    market.add_claim_message(changed, "Hola")
    market.update_claim(closed, status="closed")
    del market.claims[removed]
    added = market.add_claim()
    opened = await find_claims(session, market, status="opened")
    assert sorted(opened) == sorted({*before, added.id} - {closed, removed})
    assert closed in await find_claims(session, market, status="closed")
    recent = "last_updated:after:2026-07-01T12:30:00.000+00:00"
    newest = await find_claims(session, market, range=recent)
    assert sorted(newest) == sorted([changed, closed, added.id])
    assert set(market.claims.kept) == {changed, closed, added.id}


async def test_orders_change_while_they_are_searched(
    session: ClientSession, generated: Sandbox
) -> None:
    market = generated.market
    before = await find_orders(session, market)
    cart = next(pack_id for pack_id in market.packs if len(market.peek_sale(pack_id)) > 1)
    first, *others = (order.id for order in market.peek_sale(cart))
    market.update_order(first, status="cancelled")
    added = market.add_order()
    joined = market.add_order(pack_id=cart)
    after = await find_orders(session, market)
    assert sorted(after) == sorted({*before, added.id, joined.id} - {first})
    cancelled = await find_orders(session, market, order__status="cancelled")
    assert first in cancelled
    assert not set(others) & set(cancelled)
    base = "/marketplace/orders/pack/" if is_global(market) else "/packs/"
    pack = await get(session, base + cart)
    ids = sorted(str(order["id"]) for order in rows_of(pack, "orders"))
    assert ids == sorted([first, *others, joined.id])


async def test_a_message_of_an_order_in_the_place_of_its_pack(
    session: ClientSession, generated: Sandbox
) -> None:
    market = generated.market
    order = next(
        order for order in map(market.orders.peek, market.orders) if order and order.pack_id
    )
    path = f"/marketplace/messages/packs/{order.id}"
    if not is_global(market):
        path = f"{thread(order.id, order.seller_id)}?tag=post_sale&mark_as_read=false"
    async with session.get(path) as response:
        assert response.status == 400
        body = await response.json()
    assert (body["error"], body["cause"]) == ("order_belong_pack", [order.pack_id])
    assert market.orders.kept == {}


@pytest.mark.parametrize("site_id", SITES)
@pytest.mark.slow
async def test_a_market_of_25_000(site_id: str) -> None:
    market = generated_market(25_000, 25_000, 2, site_id=site_id, end=END, now=lambda: END)
    async with Sandbox(market=market) as sandbox:
        headers = {"Authorization": f"Bearer {sandbox.token}"}
        async with ClientSession(sandbox.url, headers=headers, timeout=TIMEOUT) as session:
            base = f"/post-purchase/v1/claims/search?site_id={site_id}"
            if is_global(market):
                base = f"/marketplace/v2/claims/search?user_id={market.user_id}"
            body = await get(session, base, limit=100, offset=9899)
            assert body["paging"] == {"limit": 100, "offset": 9899, "total": 25_000}
            assert len(rows_of(body, "data")) == 100
            for offset in (9900, 15_000):
                async with session.get(base, params={"limit": 100, "offset": offset}) as response:
                    assert response.status == 400
            domestic = f"/orders/search?seller={market.user_id}"
            orders = "/marketplace/orders/search" if is_global(market) else domestic
            body = await get(session, orders, limit=50, offset=9950)
            paging = body["paging"]
            assert isinstance(paging, dict)
            assert paging["total"] > 24_000
            assert len(rows_of(body, "results")) == 50
            async with session.get(orders, params={"limit": 50, "offset": 9951}) as response:
                assert response.status == 400
    assert kept(market) == 0
