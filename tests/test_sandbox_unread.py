"""The sandbox's unread counts with a bare aiohttp session: roles, the cap, refusals."""

import msgspec
import pytest
from aiohttp import ClientSession
from sandboxes import (
    LAMP,
    MUG,
    SELLER,
    SHOES,
    UNREAD,
    error_body,
    get_body,
    thread,
    two_sided_market,
    unread_counts,
)

from mlmsg.sandbox import Market, Sandbox, example_market


async def test_unread_messages_are_counted_by_pack(http: ClientSession) -> None:
    expected = {
        "user_id": SELLER,
        "results": [
            {"resource": f"/packs/{SHOES}/sellers/{SELLER}", "count": 1},
            {"resource": f"/packs/{LAMP}/sellers/{SELLER}", "count": 1},
        ],
    }
    assert await get_body(http, f"{UNREAD}?role=seller&tag=post_sale") == msgspec.json.encode(
        expected
    )


async def test_the_empty_answer_names_the_user_as_a_text(
    http: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.market.packs.clear()
    assert await get_body(http, UNREAD) == b'{"user_id":"700100200","results":[]}'


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
async def test_seller_and_buyer_select_and_other_roles_do_not(
    http: ClientSession, sandbox: Sandbox, query: str, resources: dict[str, int]
) -> None:
    sandbox.market = two_sided_market()
    assert await unread_counts(http, query) == resources


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
async def test_the_count_of_one_conversation(
    http: ClientSession, sandbox: Sandbox, *, resource: str, count: int, query: str
) -> None:
    sandbox.market = two_sided_market()
    expected = {resource: count} if count else {}
    assert await unread_counts(http, resource + query) == expected


async def test_a_new_message_of_the_buyer_counts_and_one_of_the_seller_does_not(
    http: ClientSession, sandbox: Sandbox
) -> None:
    resource = f"/packs/{MUG}/sellers/{SELLER}"
    sandbox.market.add_message(MUG, "Enviado", author="seller")
    assert await unread_counts(http, resource) == {}
    sandbox.market.add_message(MUG, "¿Ya?", author="buyer")
    sandbox.market.add_message(MUG, "leído", author="buyer", read="2024-09-16T15:20:36Z")
    assert await unread_counts(http, resource) == {resource: 1}
    sandbox.market.add_message(MUG, "¿Hola?", author="buyer")
    assert await unread_counts(http, resource) == {resource: 2}


async def test_an_answer_holds_a_thousand_conversations(
    http: ClientSession, sandbox: Sandbox
) -> None:
    market = sandbox.market = Market()
    for number in range(1, 1002):
        market.add_message(market.add_pack(number).id, "Hola", author="buyer")
    resources = [f"/packs/{number}/sellers/{SELLER}" for number in range(1, 1002)]
    assert list(await unread_counts(http)) == resources[:1000]
    assert await unread_counts(http, resources[1000]) == {resources[1000]: 1}
    market.mark_as_read(1)
    assert list(await unread_counts(http)) == resources[1:]


async def test_marking_makes_room_for_conversations_past_the_cap(
    http: ClientSession, sandbox: Sandbox
) -> None:
    market = sandbox.market = Market()
    sandbox.unread_cap = 2
    for number in range(5):
        market.add_message(market.add_pack(number).id, "Hola", author="buyer")
    seen = []
    while found := await unread_counts(http):
        seen.append(list(found))
        for resource in found:
            await get_body(http, f"/messages{resource}")
    packs = [[resource.split("/")[2] for resource in found] for found in seen]
    assert packs == [["0", "1"], ["2", "3"], ["4"]]


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
    async with http.get(target) as response:
        assert response.status == status
        assert await response.json() == error_body(status, message)
    assert sandbox.market.packs[SHOES] == example_market().packs[SHOES]


@pytest.mark.parametrize("target", [UNREAD, f"{UNREAD}/packs/1/sellers/2", thread(SHOES)])
async def test_a_put_is_refused(http: ClientSession, target: str) -> None:
    # Seed 002 has -X PUT once; its own example and seed 003 have a GET.
    async with http.put(target) as response:
        assert response.status == 404
        assert await response.json() == error_body(404, f"Unknown resource: {target}")


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
    async with ClientSession(sandbox.url) as http, http.get(target, headers=headers) as response:
        assert response.status == status
        assert await response.json() == error_body(status, message)
    assert sandbox.market.packs == example_market().packs
