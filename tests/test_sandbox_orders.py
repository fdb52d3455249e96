"""Orders and packs of orders with a bare aiohttp session, and their threads."""

from datetime import UTC, datetime

import pytest
from aiohttp import ClientSession
from sandboxes import LAMP, SELLER, error_body, thread

from mlmsg.sandbox import Market, MarketplaceSeller, Sandbox, UnreadCount, example_market

NOW = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
OLDER = "2026-06-01T08:30:00.000-04:00"
NEWER = "2026-06-02T08:30:00.000-04:00"
ORDER_PATHS = ["/orders/{}", "/marketplace/orders/{}"]
PACK_PATHS = ["/packs/{}", "/marketplace/orders/pack/{}"]


@pytest.fixture
def market(sandbox: Sandbox) -> Market:
    """A market with a cart, an order in a pack, and one without a pack."""
    sandbox.market = market = Market(now=lambda: NOW)
    market.add_order(11, pack_id=100, buyer_id=5, shipping_id=6, at=NEWER)
    market.add_order(12, pack_id=100, at=OLDER)
    market.add_order(13, pack_id=101, at=OLDER)
    market.add_order(14, at=OLDER)
    return market


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize("path", ORDER_PATHS)
@pytest.mark.parametrize(("number", "pack_id"), [(11, 100), (12, 100), (13, 101), (14, None)])
async def test_an_order_names_its_pack(
    http: ClientSession, *, path: str, number: int, pack_id: int | None
) -> None:
    async with http.get(path.format(number)) as response:
        assert response.status == 200
        order = await response.json()
    assert (order["id"], order["pack_id"], order["seller"]) == (number, pack_id, {"id": SELLER})
    assert order["date_created"] == (NEWER if number == 11 else OLDER)


@pytest.mark.parametrize("path", PACK_PATHS)
async def test_a_pack_names_its_orders(http: ClientSession, market: Market, path: str) -> None:
    expected: dict[str, object] = {
        "id": 100,
        "status": "released",
        "status_detail": None,
        "buyer": {"id": 5},
        "shipment": {"id": 6},
        "orders": [{"id": 11}, {"id": 12}],
        "date_created": OLDER,
        "last_updated": NEWER,
    }
    if path.startswith("/marketplace"):
        expected["family_pack_id"] = None
    async with http.get(path.format(100)) as response:
        assert response.status == 200
        assert await response.json() == expected
    for number in (11, 12):
        market.update_order(number, status="cancelled")
    async with http.get(path.format(100)) as response:
        pack = await response.json()
    assert (pack["status"], pack["last_updated"]) == ("cancelled", "2026-07-01T08:30:00.000-04:00")


@pytest.mark.parametrize("path", PACK_PATHS)
async def test_a_pack_shows_the_own_orders_only(
    http: ClientSession, market: Market, path: str
) -> None:
    market.add_order(15, pack_id=100, seller_id=9, buyer_id=8)
    async with http.get(path.format(100)) as response:
        assert (await response.json())["orders"] == [{"id": 11}, {"id": 12}]


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize(
    ("path", "number", "what"),
    [
        *((path, 404, "order") for path in ORDER_PATHS),
        *((path, 100, "order") for path in ORDER_PATHS),
        *((path, 404, "pack") for path in PACK_PATHS),
        *((path, 11, "pack") for path in PACK_PATHS),
        # The order without a pack has a thread, but is no pack.
        *((path, 14, "pack") for path in PACK_PATHS),
    ],
)
async def test_unknown_orders_and_packs(
    http: ClientSession, *, path: str, number: int, what: str
) -> None:
    async with http.get(path.format(number)) as response:
        assert response.status == 404
        message = f"The {what} with id: {number} does not exist"
        assert await response.json() == error_body(404, message)


@pytest.mark.parametrize("path", [*ORDER_PATHS, *PACK_PATHS])
async def test_orders_of_others_are_refused(http: ClientSession, market: Market, path: str) -> None:
    number = 300 if path in PACK_PATHS else 30
    market.add_order(30, pack_id=300, seller_id=9, buyer_id=8)
    async with http.get(path.format(number)) as response:
        assert response.status == 403
        message = f"User access token invalid for resource {number}"
        assert await response.json() == error_body(403, message)
    # A buyer is part of it.
    market.orders["30"].buyer_id = SELLER
    async with http.get(path.format(number)) as response:
        assert response.status == 200


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize("path", [*ORDER_PATHS, *PACK_PATHS])
async def test_the_token_is_checked(http: ClientSession, path: str) -> None:
    async with http.get(path.format(100), headers={"Authorization": ""}) as response:
        assert response.status == 400


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize("path", ORDER_PATHS)
async def test_a_partial_order_is_a_206(http: ClientSession, sandbox: Sandbox, path: str) -> None:
    sandbox.missing_content = "feedback"
    async with http.get(path.format(11)) as response:
        assert (response.status, response.headers["X-Content-Missing"]) == (206, "feedback")
        assert (await response.json())["id"] == 11


def paths_of_a_thread(number: int) -> list[tuple[str, str]]:
    guide = f"messages/action_guide/packs/{number}"
    return [
        ("GET", f"/marketplace/messages/packs/{number}"),
        ("POST", f"/marketplace/messages/packs/{number}"),
        ("GET", f"{thread(str(number))}?tag=post_sale"),
        ("POST", f"{thread(str(number))}?tag=post_sale"),
        ("GET", f"/{guide}?tag=post_sale"),
        ("GET", f"/marketplace/{guide}"),
        ("GET", f"/marketplace/{guide}/caps_available"),
        ("POST", f"/marketplace/{guide}/option"),
    ]


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize("number", [11, 12, 13])
@pytest.mark.parametrize("names_pack", [True, False])
async def test_an_order_in_the_place_of_its_pack(
    http: ClientSession, sandbox: Sandbox, *, number: int, names_pack: bool
) -> None:
    sandbox.names_pack = names_pack
    for method, target in paths_of_a_thread(number):
        async with http.request(method, target, json={}) as response:
            assert response.status == 400
            assert await response.json() == {
                "message": f"The order {number} belongs to a pack",
                "error": "order_belong_pack",
                "status": 400,
                "cause": [] if not names_pack else ["101" if number == 13 else "100"],
            }


async def test_an_order_without_a_pack_is_its_thread(http: ClientSession, market: Market) -> None:
    market.add_message(14, "Hola", author="buyer")
    async with http.get("/marketplace/messages/packs/14") as response:
        assert response.status == 200
        page = await response.json()
    assert [message["text"] for message in page["messages"]] == ["Hola"]
    async with http.post("/marketplace/messages/packs/14", json={"text": "¿Qué tal?"}) as response:
        assert response.status == 201
    assert [message.text for message in market.packs["14"].messages] == ["¿Qué tal?", "Hola"]


@pytest.mark.parametrize("number", [100, 14])
async def test_a_thread_without_messages(
    http: ClientSession, sandbox: Sandbox, market: Market, number: int
) -> None:
    gets = [
        f"/marketplace/messages/packs/{number}",
        f"{thread(str(number))}?tag=post_sale&mark_as_read=false",
    ]
    for target in gets:
        async with http.get(target) as response:
            assert response.status == 200
            assert (await response.json())["messages"] == []
    sandbox.empty_thread = "not_found"
    for target in gets:
        async with http.get(target) as response:
            assert response.status == 404
            assert await response.json() == error_body(404, "Order do not exists")
    # Only the thread cannot be read: a message starts it.
    target = f"/marketplace/messages/packs/{number}"
    async with http.post(target, json={"text": "Hola"}) as response:
        assert response.status == 201
    async with http.get(target) as response:
        assert response.status == 200
    assert len(market.packs[str(number)].messages) == 1


def test_an_order_takes_its_defaults_from_its_pack() -> None:
    market = Market(now=lambda: NOW)
    pack = market.add_pack(7, site_id="MLB", buyer_id=70, shipping_id=71)
    market.add_message(7, "Oi", author="buyer")
    order = market.add_order(1, pack_id="7")
    assert market.packs["7"] is pack
    assert (order.id, order.pack_id, order.thread_id, order.site_id) == ("1", "7", "7", "MLB")
    assert (order.seller_id, order.buyer_id, order.shipping_id) == (market.user_id, 70, 71)
    assert order.date_created == order.date_closed == "2026-07-01T08:30:00.000-04:00"
    assert market.sale(7) == [order]
    domestic = Market(site_id="MLC").add_order()
    assert (domestic.site_id, domestic.pack_id) == ("MLC", None)
    with pytest.raises(KeyError):
        market.update_order(2)


def test_an_earlier_date_does_not_move_the_last_change_of_an_order_back() -> None:
    market = Market(now=lambda: NOW)
    order = market.add_order(1)
    now, later = "2026-07-01T08:30:00.000-04:00", "2026-07-01T12:31:00.000-00:00"
    for earlier in ("2026-07-01T08:29:59.000-04:00", "2026-07-01T12:29:00.000-00:00"):
        assert market.update_order(1, status="cancelled", at=earlier) is order
        assert (order.status, order.last_updated) == ("cancelled", now)
    assert market.update_order(1, at=later).last_updated == later
    # The same moment in another zone is not a change.
    market.update_order(1, at="2026-07-01T08:31:00.000-04:00")
    assert order.last_updated == later


def test_an_order_adds_its_thread() -> None:
    market = Market()
    order = market.add_order(seller_id=3, buyer_id=4, site_id="MLA", shipping_id=5)
    pack = market.packs[order.id]
    assert (pack.seller_id, pack.buyer_id, pack.site_id) == (3, 4, "MLA")
    assert pack.conversation_status.shipping_id == 5
    assert pack.messages == []


@pytest.mark.parametrize("site_id", ["CBT", "MLB"])
def test_each_pack_of_the_example_has_an_order(site_id: str) -> None:
    market = example_market(site_id=site_id)
    orders = list(market.orders.values())
    assert {order.pack_id for order in orders} == set(market.packs)
    assert len(orders) == len(market.packs) + (site_id == "CBT")
    for order in orders:
        pack = market.packs[order.thread_id]
        assert (order.seller_id, order.buyer_id) == (pack.seller_id, pack.buyer_id)
        assert datetime.fromisoformat(order.date_created) < market.now()
    cancelled = [order.pack_id for order in orders if order.is_cancelled]
    assert cancelled == ([] if site_id == "CBT" else ["2000007002000099"])


async def test_the_sellers_of_a_global_account_are_the_user(
    http: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.market = market = Market()
    market.marketplaces = [MarketplaceSeller(31, "MLM", "remote")]
    pack = market.add_pack(1, seller_id=31)
    market.add_pack(2, seller_id=32)
    for number in (1, 2):
        market.add_message(number, "Hola", author="buyer")
    expected = [UnreadCount("/packs/1/sellers/31", 1)]
    assert market.unread("seller") == market.unread() == expected
    assert market.unread("buyer") == []
    async with http.get(f"{thread('1', 31)}?tag=post_sale") as response:
        assert response.status == 200
    assert pack.messages[0].message_date.read is not None
    async with http.get(f"{thread('2', 32)}?tag=post_sale") as response:
        assert response.status == 403
    assert LAMP not in market.packs
