"""The missed feeds of the sandbox with a bare aiohttp session."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import ClientSession
from sandboxes import SELLER, error_body

from mlmsg.sandbox import Grant, Market, MarketplaceSeller, Sandbox

NOW = datetime(2026, 7, 1, 12, 30, 15, 250000, tzinfo=UTC)
APP = 1000000000000001
TARGET = f"/missed_feeds?app_id={APP}"


@pytest.fixture
def market(sandbox: Sandbox) -> Market:
    sandbox.market = market = Market(now=lambda: NOW)
    return market


async def entries(http: ClientSession, query: str = "") -> list[dict[str, object]]:
    async with http.get(TARGET + query) as response:
        assert response.status == 200, await response.text()
        body = await response.json()
    assert list(body) == ["messages"]
    found: list[dict[str, object]] = body["messages"]
    return found


def envelope(entry: Mapping[str, object]) -> dict[str, object]:
    """The notification inside an entry."""
    request = entry["request"]
    assert isinstance(request, dict)
    inner: dict[str, object] = json.loads(request["data"])
    return inner


async def ids(http: ClientSession, query: str = "") -> list[object]:
    inner = [envelope(entry) for entry in await entries(http, query)]
    return [one.get("_id", one.get("id")) for one in inner]


async def test_an_entry_contains_its_notification(http: ClientSession, market: Market) -> None:
    market.add_missed_feed("messages", "abc", actions=["created"], feed_id="f1")
    (entry,) = await entries(http)
    dates = {"sent": "2026-07-01T12:30:15.250Z", "received": "2026-07-01T11:30:15.250Z"}
    request = entry.pop("request")
    assert entry == {
        "_id": "f1",
        "resource": "abc",
        "user_id": SELLER,
        "topic": "messages",
        "application_id": APP,
        "attempts": 8,
        **dates,
        "response": {"req_time": 501, "http_code": 500, "body": "", "headers": {}},
    }
    assert isinstance(request, dict)
    data = request.pop("data")
    assert request == {
        "url": "https://example.com/notifications",
        "headers": {"content-type": "application/json"},
    }
    assert json.loads(data) == {
        "id": "f1",
        "resource": "abc",
        "user_id": SELLER,
        "topic": "messages",
        "application_id": APP,
        "attempts": 8,
        **dates,
        "actions": ["created"],
    }


@pytest.mark.parametrize(
    ("topic", "is_swapped", "expected"),
    [
        ("marketplace_messages", None, True),
        ("marketplace_claims", None, True),
        ("marketplace_messages", False, False),
        ("messages", None, False),
        ("post_purchase", None, False),
        ("post_purchase", True, True),
    ],
)
async def test_an_entry_may_have_its_id_and_its_resource_swapped(
    http: ClientSession, market: Market, *, topic: str, is_swapped: bool | None, expected: bool
) -> None:
    market.add_missed_feed(topic, "/a/1", feed_id="f1", is_swapped=is_swapped)
    (entry,) = await entries(http)
    outer = ("/a/1", "f1") if expected else ("f1", "/a/1")
    assert (entry["_id"], entry["resource"]) == outer
    inner = envelope(entry)
    assert (inner["_id"], inner["resource"], inner["topic"]) == ("f1", "/a/1", topic)
    assert "actions" not in inner


async def test_pages_have_ten_entries(http: ClientSession, market: Market) -> None:
    for number in range(25):
        market.add_missed_feed("messages", "abc", feed_id=str(number))
    assert await ids(http) == [str(number) for number in range(10)]
    assert await ids(http, "&offset=20") == ["20", "21", "22", "23", "24"]
    assert await ids(http, "&offset=25") == []
    assert len(await ids(http, "&limit=1000")) == 25
    assert await ids(http, "&limit=2&offset=3") == ["3", "4"]
    # A feed is not taken by being read.
    assert await ids(http) == [str(number) for number in range(10)]


async def test_the_server_may_cap_the_limit(
    http: ClientSession, sandbox: Sandbox, market: Market
) -> None:
    for _ in range(25):
        market.add_missed_feed("messages", "abc")
    sandbox.max_limit = 20
    assert len(await entries(http, "&limit=1000")) == 20


async def test_a_feed_is_kept_for_two_days(http: ClientSession, market: Market) -> None:
    for name, ago in {
        "new": timedelta(0),
        "old": timedelta(days=2, seconds=-1),
        "gone": timedelta(days=2),
        "future": timedelta(seconds=-1),
    }.items():
        at = (NOW - ago).isoformat()
        market.add_missed_feed("messages", "abc", feed_id=name, at=at)
    assert await ids(http) == ["new", "old"]


async def test_a_notification_may_have_several_entries(http: ClientSession, market: Market) -> None:
    first = market.add_missed_feed("messages", "abc")
    market.add_missed_feed("messages", "abc", feed_id=first.id, attempts=9)
    assert await ids(http) == [first.id, first.id]


async def test_topics_applications_and_users(
    http: ClientSession, sandbox: Sandbox, market: Market
) -> None:
    sandbox.grants.append(Grant(client_id="2", refresh_token="other"))
    market.marketplaces = [MarketplaceSeller(31, "MLM", "remote")]
    market.add_missed_feed("messages", "a", feed_id="message")
    market.add_missed_feed("post_purchase", "b", feed_id="claim", user_id=31)
    market.add_missed_feed("messages", "c", feed_id="other app", application_id=2)
    market.add_missed_feed("messages", "d", feed_id="other user", user_id=32)
    market.add_missed_feed("items", "e", feed_id="item")
    assert await ids(http) == ["message", "claim", "item"]
    assert await ids(http, "&topic=messages") == ["message"]
    assert await ids(http, "&topic=post_purchase") == ["claim"]
    assert await ids(http, "&topic=questions") == []
    assert await ids(http, "&topic=items&site_id=MLM") == ["item"]
    async with http.get("/missed_feeds?app_id=2") as response:
        (entry,) = (await response.json())["messages"]
    assert entry["_id"] == "other app"


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize(
    ("target", "status", "message"),
    [
        ("/missed_feeds", 400, "The app_id param is required"),
        ("/missed_feeds?app_id=", 400, "The app_id param is required"),
        ("/missed_feeds?app_id=5", 403, "The application 5 has no grant of the user"),
        (f"{TARGET}&topic=items", 400, "The site_id param is required for the topic items"),
        (f"{TARGET}&limit=0", 400, "The limit param must be a number of at least 1"),
        (f"{TARGET}&limit=all", 400, "The limit param must be a number of at least 1"),
        (f"{TARGET}&offset=-1", 400, "The offset param must be a number of at least 0"),
        (f"{TARGET}&from=yesterday", 400, "Unknown param: from"),
        ("/myfeeds?app_id=1", 404, "Unknown resource: /myfeeds"),
    ],
)
async def test_refusals(http: ClientSession, target: str, status: int, message: str) -> None:
    async with http.get(target) as response:
        assert response.status == status
        assert await response.json() == error_body(status, message)


async def test_the_token_is_checked(http: ClientSession) -> None:
    async with http.get(TARGET, headers={"Authorization": ""}) as response:
        assert response.status == 400
