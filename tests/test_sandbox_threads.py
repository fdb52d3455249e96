"""The sandbox's seller threads with a bare aiohttp session: the legacy page and read marks."""

import re
from datetime import UTC, datetime

import msgspec
import pytest
from aiohttp import ClientConnectionError, ClientSession
from sandboxes import (
    LAMP,
    MUG,
    SELLER,
    SHOES,
    UNMARKED,
    UNREAD,
    get_body,
    thread,
    two_sided_market,
    unread_counts,
)

from mlmsg.sandbox import Fault, Market, Sandbox, example_market

LEGACY_MESSAGE = {
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


LEGACY_PAGE = {
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
    "messages": [LEGACY_MESSAGE],
}


def seed_market() -> Market:
    """The example of seeds 002 and 003, made with the public methods of the market."""
    now = datetime(2019, 4, 8, 20, 58, 49, tzinfo=UTC)
    market = Market(user_id=415458330, now=lambda: now)
    pack = market.add_pack(
        2000000089077943,
        site_id="MLA",
        seller_name="Juan Pablo Robledo",
        status_date="2019-04-08T16:36:30Z",
        seller_max_message_length=None,
        buyer_max_message_length=None,
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
    page = await get_body(http, f"{thread('2000000089077943', 415458330)}?limit=1&offset=0{query}")
    # Compare bytes, because the order of the fields is documented as well.
    assert page == msgspec.json.encode(LEGACY_PAGE)


async def test_a_buyers_unread_message_without_files(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.market = seed_market()
    async with http.get(f"{thread('2000000089077943', 415458330)}{UNMARKED}&offset=1") as response:
        (message,) = (await response.json())["messages"]
    buyer = sandbox.market.packs["2000000089077943"].buyer_id
    assert message["from"]["user_id"] == str(buyer)
    assert "to" not in message
    assert message["client_id"] is None
    assert message["message_attachments"] is None
    # Milliseconds are added only to a date in whole seconds of UTC.
    assert message["message_date"]["created"] == "2019-04-08T20:57:18.123-04:00"
    assert message["message_date"]["notified"] is message["message_date"]["read"] is None


@pytest.mark.parametrize(("ids", "shown"), [(None, None), ([], None), ([7], 7), ([8, 7], 8)])
async def test_the_status_shows_one_claim(
    http: ClientSession, sandbox: Sandbox, ids: list[int] | None, shown: int | None
) -> None:
    pack = sandbox.market.packs[MUG]
    pack.conversation_status = msgspec.structs.replace(pack.conversation_status, claim_ids=ids)
    async with http.get(thread(MUG) + UNMARKED) as response:
        assert (await response.json())["conversation_status"]["claim_id"] == shown


async def test_pages_are_newest_first_and_together_the_whole_thread(
    http: ClientSession, sandbox: Sandbox
) -> None:
    ids: list[str] = []
    for offset in (0, 5, 10, 15):
        async with http.get(f"{thread(MUG)}{UNMARKED}&limit=5&offset={offset}") as response:
            page = await response.json()
        assert page["paging"] == {"limit": 5, "offset": offset, "total": 14}
        ids += [message["id"] for message in page["messages"]]
    assert ids == [message.id for message in sandbox.market.packs[MUG].messages]


@pytest.mark.parametrize(
    ("seller", "buyer", "shown"),
    [
        (350, 3500, {"seller_max_message_length": 350, "buyer_max_message_length": 3500}),
        (3500, None, {"seller_max_message_length": 3500}),
        (None, 7, {"buyer_max_message_length": 7}),
        (None, None, {}),
    ],
)
@pytest.mark.parametrize("spelling", ["legacy", "current"])
async def test_a_page_carries_the_longest_texts(
    http: ClientSession,
    sandbox: Sandbox,
    *,
    seller: int | None,
    buyer: int | None,
    shown: object,
    spelling: str,
) -> None:
    sandbox.thread_spelling = "legacy" if spelling == "legacy" else "current"
    pack = sandbox.market.add_pack(
        7, seller_max_message_length=seller, buyer_max_message_length=buyer
    )
    async with http.get(thread(pack.id) + UNMARKED) as response:
        page = await response.json()
    assert {key: page[key] for key in page if key.endswith("_max_message_length")} == shown


async def test_the_default_longest_texts_are_the_documented_ones(
    http: ClientSession, sandbox: Sandbox
) -> None:
    async with http.get(thread(MUG) + UNMARKED) as response:
        page = await response.json()
    assert (page["seller_max_message_length"], page["buyer_max_message_length"]) == (350, 3500)
    sandbox.market.packs[MUG].seller_max_message_length = 3500
    async with http.get(thread(MUG) + UNMARKED) as response:
        assert (await response.json())["seller_max_message_length"] == 3500


@pytest.mark.parametrize(
    ("cap", "asked", "applied"), [(None, "", 10), (None, "&limit=50", 50), (4, "&limit=50", 4)]
)
async def test_the_page_has_the_same_limits_as_the_other_one(
    http: ClientSession, sandbox: Sandbox, cap: int | None, asked: str, applied: int
) -> None:
    sandbox.max_limit = cap
    async with http.get(thread(MUG) + UNMARKED + asked) as response:
        page = await response.json()
    assert page["paging"]["limit"] == applied
    assert len(page["messages"]) == min(applied, 14)


@pytest.mark.parametrize(
    "target",
    [
        f"{thread(SHOES)}?mark_as_read=false",
        f"{thread(SHOES)}{UNMARKED}&limit=1",
        f"/marketplace/messages/packs/{SHOES}",
        f"{UNREAD}/packs/{SHOES}/sellers/{SELLER}",
        UNREAD,
    ],
)
async def test_reading_does_not_mark(http: ClientSession, sandbox: Sandbox, target: str) -> None:
    await get_body(http, target)
    assert sandbox.market.packs == example_market().packs


@pytest.mark.parametrize("query", ["", "?tag=post_sale", "?mark_as_read=true", "?limit=1&offset=4"])
async def test_the_thread_without_mark_as_read_false_marks_all_of_it(
    http: ClientSession, sandbox: Sandbox, query: str
) -> None:
    sandbox.market.add_message(SHOES, "¿Hola?", author="buyer")
    before = {message.id: message for message in sandbox.market.packs[SHOES].messages}
    assert await unread_counts(http, f"/packs/{SHOES}/sellers/{SELLER}")
    await get_body(http, thread(SHOES) + query)
    assert await unread_counts(http) == {f"/packs/{LAMP}/sellers/{SELLER}": 1}
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
    async with http.get(thread(LAMP)) as response:
        shown = [message["message_date"]["read"] for message in (await response.json())["messages"]]
    stored = [message.message_date.read for message in sandbox.market.packs[LAMP].messages]
    assert shown == [read and read.replace("Z", ".000Z") for read in stored]
    assert None not in shown
    # The other family shows the same marks in its own spelling.
    async with http.get(f"/marketplace/messages/packs/{LAMP}") as response:
        page = await response.json()
    assert [message["message_date"]["read"] for message in page["messages"]] == stored


async def test_marking_again_keeps_the_first_date(http: ClientSession, sandbox: Sandbox) -> None:
    assert sandbox.market.mark_as_read(LAMP, at="2024-09-16T16:00:00Z") == 1
    await get_body(http, thread(LAMP))
    assert sandbox.market.packs[LAMP].messages[0].message_date.read == "2024-09-16T16:00:00Z"
    assert sandbox.market.mark_as_read(LAMP) == 0


async def test_the_sellers_own_messages_stay_unread(http: ClientSession, sandbox: Sandbox) -> None:
    await get_body(http, thread(MUG))
    assert sandbox.market.packs[MUG] == example_market().packs[MUG]


async def test_a_buyer_marks_the_messages_of_the_seller(
    http: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.market = two_sided_market()
    await get_body(http, thread("2", 5))
    assert await unread_counts(http) == {"/packs/1/sellers/700100200": 3}
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


async def test_the_current_spelling_can_be_chosen(http: ClientSession, sandbox: Sandbox) -> None:
    assert sandbox.thread_spelling == "legacy"
    sandbox.thread_spelling = "current"
    async with http.get(thread(MUG) + UNMARKED) as response:
        page = await response.json()
    assert page["messages"] == msgspec.to_builtins(sandbox.market.packs[MUG].messages[:10])
    assert page["conversation_status"]["path"] == f"/packs/{MUG}/sellers/{SELLER}"
    assert page["conversation_status"]["claim_ids"] is None
