"""The sandbox's pending messages with a bare aiohttp session: counts, read marks, refusals."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import pytest
from aiohttp import ClientConnectionError, ClientSession

from mlmsg.sandbox import Fault, Market, Sandbox, UnreadCount, example_market

MUG = "2000007001000011"
SHOES = "2000007001000033"
LAMP = "2000007001000044"
SELLER = 700100200
UNREAD = "/messages/unread"
QUIET = "?tag=post_sale&mark_as_read=false"


class Unread(msgspec.Struct, forbid_unknown_fields=True):
    user_id: int | str
    results: list[UnreadCount]


def thread(pack: str, seller: int | str = SELLER) -> str:
    return f"/messages/packs/{pack}/sellers/{seller}"


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[ClientSession]:
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    async with ClientSession(sandbox.url, headers=headers) as session:
        yield session


async def body(http: ClientSession, target: str) -> bytes:
    async with http.get(target) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        return await answer.read()


async def counts(http: ClientSession, query: str = "") -> dict[str, int]:
    """How many messages are unread, by resource."""
    unread = msgspec.json.decode(await body(http, UNREAD + query), type=Unread)
    # Seeds 002 and 003: an int, but a text in the empty answer.
    assert unread.user_id == (SELLER if unread.results else str(SELLER))
    return {one.resource: one.count for one in unread.results}


def error(status: int, message: str) -> dict[str, object]:
    words = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found"}
    return {"message": message, "error": words[status], "status": status, "cause": []}


# --- counts --------------------------------------------------------------------------------


async def test_unread_messages_are_counted_by_pack(http: ClientSession) -> None:
    expected = {
        "user_id": SELLER,
        "results": [
            {"resource": f"/packs/{SHOES}/sellers/{SELLER}", "count": 1},
            {"resource": f"/packs/{LAMP}/sellers/{SELLER}", "count": 1},
        ],
    }
    assert await body(http, f"{UNREAD}?role=seller&tag=post_sale") == msgspec.json.encode(expected)


async def test_the_empty_answer_names_the_user_as_a_text(
    http: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.market.packs.clear()
    assert await body(http, UNREAD) == b'{"user_id":"700100200","results":[]}'


def two_sided_market() -> Market:
    """A user who sells in one pack, buys in another, and has nothing to do with a third."""
    market = Market()
    market.add_pack(1)
    market.add_pack(2, seller_id=5, buyer_id=SELLER)
    market.add_pack(3, seller_id=5, buyer_id=6)
    for pack in market.packs:
        for number in range(3):
            market.add_message(pack, f"b{number}", author="buyer")
        for number in range(2):
            market.add_message(pack, f"s{number}", author="seller")
    return market


@pytest.mark.parametrize(
    ("query", "resources"),
    [
        ("?role=seller", {"/packs/1/sellers/700100200": 3}),
        ("?role=buyer", {"/packs/2/sellers/5": 2}),
        ("", {"/packs/1/sellers/700100200": 3, "/packs/2/sellers/5": 2}),
        ("?role=", {"/packs/1/sellers/700100200": 3, "/packs/2/sellers/5": 2}),
        ("?role=admin", {"/packs/1/sellers/700100200": 3, "/packs/2/sellers/5": 2}),
        ("?role=Seller", {"/packs/1/sellers/700100200": 3, "/packs/2/sellers/5": 2}),
        ("?role=seller&tag=post_sale", {"/packs/1/sellers/700100200": 3}),
    ],
)
async def test_the_role_selects_and_any_other_word_does_not(
    http: ClientSession, sandbox: Sandbox, query: str, resources: dict[str, int]
) -> None:
    sandbox.market = two_sided_market()
    assert await counts(http, query) == resources


@pytest.mark.parametrize(
    ("resource", "count"),
    [
        ("/packs/1/sellers/700100200", 3),
        ("/packs/2/sellers/5", 2),
        ("/packs/3/sellers/5", 0),
        ("/packs/1/sellers/5", 0),
        ("/packs/4/sellers/700100200", 0),
    ],
)
@pytest.mark.parametrize("query", ["", "?tag=post_sale"])
async def test_one_conversation_can_be_asked_for(
    http: ClientSession, sandbox: Sandbox, *, resource: str, count: int, query: str
) -> None:
    sandbox.market = two_sided_market()
    expected = {resource: count} if count else {}
    assert await counts(http, resource + query) == expected


async def test_a_new_message_of_the_buyer_counts_and_one_of_the_seller_does_not(
    http: ClientSession, sandbox: Sandbox
) -> None:
    resource = f"/packs/{MUG}/sellers/{SELLER}"
    sandbox.market.add_message(MUG, "Enviado", author="seller")
    assert await counts(http, resource) == {}
    sandbox.market.add_message(MUG, "¿Ya?", author="buyer")
    sandbox.market.add_message(MUG, "leído", author="buyer", read="2024-09-16T15:20:36Z")
    assert await counts(http, resource) == {resource: 1}
    sandbox.market.add_message(MUG, "¿Hola?", author="buyer")
    assert await counts(http, resource) == {resource: 2}


# --- the cap -------------------------------------------------------------------------------


async def test_an_answer_holds_a_thousand_conversations(
    http: ClientSession, sandbox: Sandbox
) -> None:
    market = sandbox.market = Market()
    for number in range(1, 1002):
        market.add_message(market.add_pack(number).id, "Hola", author="buyer")
    resources = [f"/packs/{number}/sellers/{SELLER}" for number in range(1, 1002)]
    assert list(await counts(http)) == resources[:1000]
    assert await counts(http, resources[1000]) == {resources[1000]: 1}
    market.mark_as_read(1)
    assert list(await counts(http)) == resources[1:]


async def test_what_is_past_the_cap_comes_once_some_are_read(
    http: ClientSession, sandbox: Sandbox
) -> None:
    market = sandbox.market = Market()
    sandbox.unread_cap = 2
    for number in range(5):
        market.add_message(market.add_pack(number).id, "Hola", author="buyer")
    seen = []
    while found := await counts(http):
        seen.append(list(found))
        for resource in found:
            await body(http, f"/messages{resource}")
    packs = [[resource.split("/")[2] for resource in found] for found in seen]
    assert packs == [["0", "1"], ["2", "3"], ["4"]]


# --- the thread ----------------------------------------------------------------------------

OLDER_MESSAGE = {
    "id": "2c92808469fea23a0169febf14580001",
    "site_id": "MLA",
    "client_id": 7001002003004005,
    "from": {
        "user_id": "415458330",
        "email": "user_415458330@example.com",
        "name": "Juan Pablo Robledo",
    },
    "status": "IN_MODERATION",
    "text": "Test message ToUserId",
    "message_date": {
        "received": "2019-04-08T20:58:49.000Z",
        "available": "2019-04-08T20:58:49.000Z",
        "notified": "2019-04-08T20:58:49.000Z",
        "created": "2019-04-08T20:58:49.000Z",
        "read": "2019-04-08T20:58:52.000Z",
    },
    "message_moderation": {
        "status": "clean",
        "reason": "none",
        "by": "online",
        "moderation_date": "2019-04-08T20:58:49.000Z",
    },
    "message_attachments": [
        {
            "filename": "415460047_a96d8dea-38cd-4402-938e-80a1c134fc5d.pdf",
            "original_filename": "Ayuda-Memoria-Arduino-ELINSI.pdf",
            "type": "application/octet-stream",
            "size": 5,
            "potential_security_threat": False,
            "creation_date": "2019-04-08T20:58:49.000Z",
        }
    ],
    "message_resources": [
        {"id": "2000000089077943", "name": "packs"},
        {"id": "415458330", "name": "seller"},
    ],
}

OLDER_PAGE = {
    "paging": {"limit": 1, "offset": 0, "total": 2},
    "conversation_status": {
        "path": "/packs/2000000089077943/seller/415458330",
        "status": "active",
        "substatus": None,
        "status_date": "2019-04-08T16:36:30.000Z",
        "status_update_allowed": False,
        "claim_id": None,
        "shipping_id": None,
    },
    "messages": [OLDER_MESSAGE],
}


def seed_market() -> Market:
    """The example of seeds 002 and 003, made with the public face of the market."""
    now = datetime(2019, 4, 8, 20, 58, 49, tzinfo=UTC)
    market = Market(user_id=415458330, now=lambda: now)
    pack = market.add_pack(
        2000000089077943,
        site_id="MLA",
        seller_name="Juan Pablo Robledo",
        status_date="2019-04-08T16:36:30Z",
    )
    market.add_message(pack.id, "Hola", author="buyer", at="2019-04-08T20:57:18.123-04:00")
    stored = market.add_file(
        b"%PDF-",
        "Ayuda-Memoria-Arduino-ELINSI.pdf",
        file_id="415460047_a96d8dea-38cd-4402-938e-80a1c134fc5d.pdf",
    )
    market.add_message(
        pack.id,
        "Test message ToUserId",
        attachments=[stored.id],
        read="2019-04-08T20:58:52Z",
        message_id="2c92808469fea23a0169febf14580001",
        status="IN_MODERATION",
    )
    return market


@pytest.mark.parametrize("query", ["", "&tag=post_sale", "&mark_as_read=false"])
async def test_a_thread_page_is_spelt_as_in_seeds_002_and_003(
    http: ClientSession, sandbox: Sandbox, query: str
) -> None:
    sandbox.market = seed_market()
    page = await body(http, f"{thread('2000000089077943', 415458330)}?limit=1&offset=0{query}")
    # The bytes, not the values: the order of the fields is the document's as well.
    assert page == msgspec.json.encode(OLDER_PAGE)


async def test_a_buyers_unread_message_without_files(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.market = seed_market()
    async with http.get(f"{thread('2000000089077943', 415458330)}{QUIET}&offset=1") as answer:
        (message,) = (await answer.json())["messages"]
    buyer = sandbox.market.packs["2000000089077943"].buyer_id
    assert message["from"]["user_id"] == str(buyer)
    assert "to" not in message
    assert message["client_id"] is None
    assert message["message_attachments"] is None
    # Only a date in whole seconds of UTC gets milliseconds; any other stays as it was given.
    assert message["message_date"]["created"] == "2019-04-08T20:57:18.123-04:00"
    assert message["message_date"]["notified"] is message["message_date"]["read"] is None


@pytest.mark.parametrize(("ids", "shown"), [(None, None), ([], None), ([7], 7), ([8, 7], 8)])
async def test_the_status_shows_one_claim(
    http: ClientSession, sandbox: Sandbox, ids: list[int] | None, shown: int | None
) -> None:
    pack = sandbox.market.packs[MUG]
    pack.conversation_status = msgspec.structs.replace(pack.conversation_status, claim_ids=ids)
    async with http.get(thread(MUG) + QUIET) as answer:
        assert (await answer.json())["conversation_status"]["claim_id"] == shown


async def test_pages_are_newest_first_and_together_the_whole_thread(
    http: ClientSession, sandbox: Sandbox
) -> None:
    ids: list[str] = []
    for offset in (0, 5, 10, 15):
        async with http.get(f"{thread(MUG)}{QUIET}&limit=5&offset={offset}") as answer:
            page = await answer.json()
        assert page["paging"] == {"limit": 5, "offset": offset, "total": 14}
        ids += [message["id"] for message in page["messages"]]
    assert ids == [message.id for message in sandbox.market.packs[MUG].messages]


@pytest.mark.parametrize(
    ("cap", "asked", "applied"), [(None, "", 10), (None, "&limit=50", 50), (4, "&limit=50", 4)]
)
async def test_the_page_has_the_same_limits_as_the_other_one(
    http: ClientSession, sandbox: Sandbox, cap: int | None, asked: str, applied: int
) -> None:
    sandbox.max_limit = cap
    async with http.get(thread(MUG) + QUIET + asked) as answer:
        page = await answer.json()
    assert page["paging"]["limit"] == applied
    assert len(page["messages"]) == min(applied, 14)


# --- read marks ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        f"{thread(SHOES)}?mark_as_read=false",
        f"{thread(SHOES)}{QUIET}&limit=1",
        f"/marketplace/messages/packs/{SHOES}",
        f"{UNREAD}/packs/{SHOES}/sellers/{SELLER}",
        UNREAD,
    ],
)
async def test_reading_does_not_mark(http: ClientSession, sandbox: Sandbox, target: str) -> None:
    await body(http, target)
    assert sandbox.market.packs == example_market().packs


@pytest.mark.parametrize("query", ["", "?tag=post_sale", "?mark_as_read=true", "?limit=1&offset=4"])
async def test_the_thread_without_mark_as_read_false_marks_all_of_it(
    http: ClientSession, sandbox: Sandbox, query: str
) -> None:
    sandbox.market.add_message(SHOES, "¿Hola?", author="buyer")
    before = {message.id: message for message in sandbox.market.packs[SHOES].messages}
    assert await counts(http, f"/packs/{SHOES}/sellers/{SELLER}")
    await body(http, thread(SHOES) + query)
    assert await counts(http) == {f"/packs/{LAMP}/sellers/{SELLER}": 1}
    changed = [m for m in sandbox.market.packs[SHOES].messages if m != before[m.id]]
    assert len(changed) == 2
    for message in changed:
        old = before[message.id].message_date
        read = message.message_date.read
        assert read is not None
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", read)
        assert old.read is None
        notified = old.created.replace("Z", ".000Z")
        dates = msgspec.structs.replace(old, read=read, notified=notified)
        assert message == msgspec.structs.replace(before[message.id], message_date=dates)


async def test_the_page_that_marks_already_shows_the_marks(
    http: ClientSession, sandbox: Sandbox
) -> None:
    async with http.get(thread(LAMP)) as answer:
        shown = [message["message_date"]["read"] for message in (await answer.json())["messages"]]
    stored = [message.message_date.read for message in sandbox.market.packs[LAMP].messages]
    assert shown == [read and read.replace("Z", ".000Z") for read in stored]
    assert None not in shown
    # The other family sees them as well, in its own spelling.
    async with http.get(f"/marketplace/messages/packs/{LAMP}") as answer:
        page = await answer.json()
    assert [message["message_date"]["read"] for message in page["messages"]] == stored


async def test_marking_again_keeps_the_first_date(http: ClientSession, sandbox: Sandbox) -> None:
    assert sandbox.market.mark_as_read(LAMP, at="2024-09-16T16:00:00Z") == 1
    await body(http, thread(LAMP))
    assert sandbox.market.packs[LAMP].messages[0].message_date.read == "2024-09-16T16:00:00Z"
    assert sandbox.market.mark_as_read(LAMP) == 0


async def test_the_sellers_own_messages_stay_unread(http: ClientSession, sandbox: Sandbox) -> None:
    await body(http, thread(MUG))
    assert sandbox.market.packs[MUG] == example_market().packs[MUG]


async def test_a_user_who_buys_marks_what_the_seller_wrote(
    http: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.market = two_sided_market()
    await body(http, thread("2", 5))
    assert await counts(http) == {"/packs/1/sellers/700100200": 3}
    read = [m.text for m in sandbox.market.packs["2"].messages if m.message_date.read]
    assert read == ["s1", "s0"]


@pytest.mark.parametrize(("action", "left"), [("lose", 0), ("drop", 1)])
async def test_a_mark_whose_answer_is_lost_is_made(
    http: ClientSession, sandbox: Sandbox, *, action: str, left: int
) -> None:
    fault = Fault(action="lose" if action == "lose" else "drop", path="/sellers/", times=2)
    sandbox.inject(fault)
    with pytest.raises(ClientConnectionError):
        # aiohttp sends a GET again by itself: both fail.
        await http.get(thread(LAMP))
    assert sandbox.market.packs[LAMP].unread(SELLER) == left


# --- refusals ------------------------------------------------------------------------------

BAD_TAG = "The tag param must be post_sale"
BAD_MARK = "The mark_as_read param must be true or false"
BAD_WINDOW = "Invalid offset or limit param"

REFUSALS = [
    (f"{UNREAD}?tag=", 400, BAD_TAG),
    (f"{UNREAD}?tag=pre_sale", 400, BAD_TAG),
    (f"{UNREAD}/packs/1/sellers/2?tag=x", 400, BAD_TAG),
    (f"{thread(SHOES)}?tag=x", 400, BAD_TAG),
    (f"{thread(SHOES)}?mark_as_read=", 400, BAD_MARK),
    (f"{thread(SHOES)}?mark_as_read=False", 400, BAD_MARK),
    (f"{thread(SHOES)}?mark_as_read=0", 400, BAD_MARK),
    (f"{thread(SHOES)}?limit=0", 400, "The limit param must be greater than 0"),
    (f"{thread(SHOES)}?limit=-1", 400, "The limit param must be greater than 0"),
    (f"{thread(SHOES)}?limit=ten", 400, BAD_WINDOW),
    (f"{thread(SHOES)}?offset=-1", 400, BAD_WINDOW),
    (f"{thread(SHOES)}?offset=", 400, BAD_WINDOW),
    (thread("999"), 404, "Order do not exists"),
    (thread(SHOES, 5), 404, "Order do not exists"),
    (thread("7", 5), 403, "User access token invalid for resource 7"),
    (f"{UNREAD}/", 404, f"Unknown resource: {UNREAD}/"),
    (f"{UNREAD}/packs/1", 404, f"Unknown resource: {UNREAD}/packs/1"),
    (f"{UNREAD}//packs/1/sellers/2", 404, f"Unknown resource: {UNREAD}//packs/1/sellers/2"),
    (f"/messages/packs/{SHOES}", 404, f"Unknown resource: /messages/packs/{SHOES}"),
    ("/marketplace/messages/unread/x", 404, "Unknown resource: /marketplace/messages/unread/x"),
]


@pytest.mark.parametrize(("target", "status", "message"), REFUSALS)
async def test_refusals_mark_nothing(
    http: ClientSession, sandbox: Sandbox, target: str, status: int, message: str
) -> None:
    sandbox.market.add_pack(7, seller_id=5)
    async with http.get(target) as answer:
        assert answer.status == status
        assert await answer.json() == error(status, message)
    assert sandbox.market.packs[SHOES] == example_market().packs[SHOES]


@pytest.mark.parametrize("target", [UNREAD, f"{UNREAD}/packs/1/sellers/2", thread(SHOES)])
async def test_a_put_is_refused(http: ClientSession, target: str) -> None:
    # Seed 002 writes -X PUT once; its own example, and 003, are a GET.
    async with http.put(target) as answer:
        assert answer.status == 404
        assert await answer.json() == error(404, f"Unknown resource: {target}")


@pytest.mark.parametrize("target", [UNREAD, f"{UNREAD}/packs/1/sellers/2", thread(SHOES)])
@pytest.mark.parametrize(
    ("header", "status", "message"),
    [
        (None, 400, "Access token is required"),
        ("Bearer ", 400, "Access token is required"),
        ("Bearer other", 400, "Malformed access_token: other"),
        ("Bearer sandbox-token-expired", 401, "The access token has expired"),
    ],
)
async def test_every_route_checks_the_token(
    sandbox: Sandbox, *, target: str, header: str | None, status: int, message: str
) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with ClientSession(sandbox.url) as http, http.get(target, headers=headers) as answer:
        assert answer.status == status
        assert await answer.json() == error(status, message)
    assert sandbox.market.packs == example_market().packs


# --- the market ----------------------------------------------------------------------------


def test_the_market_counts_and_marks_without_a_server() -> None:
    now = datetime(2024, 9, 20, 12, 30, 15, 999999, tzinfo=UTC)
    market = Market(now=lambda: now)
    pack = market.add_pack(1)
    assert pack.resource == "/packs/1/sellers/700100200"
    assert market.unread() == []
    market.add_message(1, "Hola", author="buyer")
    assert market.unread() == market.unread("seller") == [UnreadCount(pack.resource, 1)]
    assert market.unread("buyer") == []
    assert (pack.unread(market.user_id), pack.unread(pack.buyer_id)) == (1, 0)
    messages = pack.messages
    assert market.mark_as_read(1) == 1
    # The list is the same one: who holds it sees the marks.
    assert messages[0].message_date.read == "2024-09-20T12:30:15Z"
    assert messages[0].message_date.notified == "2024-09-20T12:30:15.000Z"
    assert market.unread() == []


@pytest.mark.parametrize("pack", [2, "2"])
def test_a_pack_that_is_not_there_cannot_be_marked(pack: int | str) -> None:
    with pytest.raises(KeyError):
        Market().mark_as_read(pack)
