"""Blocked threads of the sandbox, the moderation, and sellers who may not use messages."""

import pytest
from aiohttp import ClientSession
from domestic import DOMESTIC, OPEN, message, send, thread
from sandboxes import error_body

from mlmsg.sandbox import Sandbox, example_market

BLOCKED = {
    pack.id: pack.conversation_status.substatus
    for pack in DOMESTIC.packs.values()
    if pack.conversation_status.status == "blocked"
}


@pytest.fixture
def sandbox(domestic: Sandbox) -> Sandbox:
    """The sandbox of the shared session."""
    return domestic


REASON = "blocked_by_conversation_initiated_by_seller_limited"


USE_MESSAGES = "blocked_by_conversation_use_message_api"


FORBIDDEN = "blocked_conversation_send_message_forbidden"


@pytest.mark.parametrize(("pack", "substatus"), BLOCKED.items(), ids=BLOCKED.values())
@pytest.mark.parametrize("answer", ["documented", "substatus"])
async def test_blocked_threads_by_substatus(
    http: ClientSession, domestic: Sandbox, *, pack: str, substatus: str, answer: str
) -> None:
    domestic.blocked_answer = "documented" if answer == "documented" else "substatus"
    buyer = domestic.market.packs[pack].buyer_id
    if substatus == USE_MESSAGES:
        await send(http, pack, message(buyer))
        assert domestic.market.packs[pack].conversation_status.status == "active"
        assert domestic.market.packs[pack].conversation_status.substatus is None
        return
    text = FORBIDDEN if answer == "documented" else substatus
    if substatus == REASON:
        text = "blocked_by_conversation_started_by_seller"
    body = {"status_code": 403, "code": "forbidden", "message": text}
    assert await send(http, pack, message(buyer), 403) == body
    assert domestic.market.packs == DOMESTIC.packs
    async with http.get(thread(pack, query="?tag=post_sale&mark_as_read=false")) as response:
        status = (await response.json())["conversation_status"]
    assert (status["status"], status["substatus"]) == ("blocked", substatus)


@pytest.mark.parametrize("substatus", ["blocked_by_guest_shops", "blocked_by_something_new"])
async def test_every_substatus_blocks(
    http: ClientSession, domestic: Sandbox, substatus: str
) -> None:
    domestic.market.block(OPEN, substatus)
    body = {"status_code": 403, "code": "forbidden", "message": FORBIDDEN}
    assert await send(http, OPEN, message(), 403) == body
    domestic.market.unblock(OPEN)
    await send(http, OPEN, message())


async def test_blocked_threads_of_global_selling(http: ClientSession, domestic: Sandbox) -> None:
    path = f"/marketplace/messages/packs/{OPEN}"
    domestic.market.block(OPEN, "blocked_by_time")
    async with http.post(path, json={"text": "Oi"}) as response:
        assert response.status == 403
        body = {"status_code": 403, "code": "forbidden", "message": FORBIDDEN}
        assert await response.json() == body
    domestic.market.block(OPEN, USE_MESSAGES)
    async with http.post(path, json={"text": "Oi"}) as response:
        assert response.status == 201


async def test_a_thread_that_the_seller_starts_takes_one_message_in_global_selling(
    http: ClientSession, domestic: Sandbox
) -> None:
    (pack,) = (pack for pack, substatus in BLOCKED.items() if substatus == REASON)
    path = f"/marketplace/messages/packs/{pack}"
    async with http.post(path, json={"text": "Oi"}) as response:
        assert response.status == 201
    async with http.post(path, json={"text": "Oi"}) as response:
        assert response.status == 403
        text = "You are not allowed to execute the option OTHER again"
        assert await response.json() == error_body(403, text)
    domestic.market.add_message(pack, "Oi", author="buyer")
    async with http.post(path, json={"text": "Oi"}) as response:
        assert response.status == 201


@pytest.mark.parametrize(
    ("substatus", "reopens"),
    [
        ("blocked_by_time", True),
        ("blocked_by_refund", True),
        ("blocked_by_buyer", True),
        (REASON, True),
        (USE_MESSAGES, True),
        ("blocked_by_conversation_initiated_by_seller", True),
        ("blocked_by_payment", False),
        ("blocked_by_mediation", False),
        ("blocked_by_cancelled_order", False),
    ],
)
def test_the_buyer_opens_some_threads(substatus: str, *, reopens: bool) -> None:
    market = example_market(site_id="MLB")
    market.block(OPEN, substatus)
    market.add_message(OPEN, "Oi")
    assert market.packs[OPEN].conversation_status.status == "blocked"
    market.add_message(OPEN, "Oi", author="buyer")
    status = "active" if reopens else "blocked"
    assert market.packs[OPEN].conversation_status.status == status


@pytest.mark.parametrize(
    ("substatus", "count"),
    [
        ("blocked_by_conversation_expired", 0),
        ("blocked_by_cancelled_order_by_fraud", 0),
        ("blocked_by_time", 2),
    ],
)
async def test_some_blocked_threads_show_no_messages(
    http: ClientSession, domestic: Sandbox, substatus: str, count: int
) -> None:
    domestic.market.block(OPEN, substatus)
    for target in (thread(OPEN), f"/marketplace/messages/packs/{OPEN}"):
        async with http.get(target) as response:
            page = await response.json()
        assert (len(page["messages"]), page["paging"]["total"]) == (count, count)
        assert page["conversation_status"]["substatus"] == substatus


async def test_the_moderation_can_reject_a_message(http: ClientSession, domestic: Sandbox) -> None:
    domestic.send_rejection = "OUT_OF_PLACE_LANGUAGE"
    sent = await send(http, OPEN, message())
    assert isinstance(sent, dict)
    assert sent["status"] == "moderated"
    moderation = sent["message_moderation"]
    assert (moderation["status"], moderation["reason"]) == ("rejected", "OUT_OF_PLACE_LANGUAGE")
    assert sent["message_date"]["available"] is None
    for spelling in ("legacy", "current"):
        domestic.thread_spelling = "legacy" if spelling == "legacy" else "current"
        async with http.get(thread(OPEN)) as response:
            shown = (await response.json())["messages"][0]
        assert shown["status"] == "moderated"
        assert shown["message_date"]["available"] is None


async def test_without_the_permission_the_policy_agent_refuses(
    http: ClientSession, domestic: Sandbox
) -> None:
    domestic.has_permission = False
    for target in (
        thread(OPEN),
        "/messages/unread?role=seller&tag=post_sale",
        f"/marketplace/messages/packs/{OPEN}",
        f"/messages/action_guide/packs/{OPEN}",
        "/post-purchase/v1/claims/5204000044",
    ):
        async with http.get(target) as response:
            assert response.status == 403
            assert (await response.json())["blocked_by"] == "PolicyAgent"
    async with http.get("/users/me") as response:
        assert response.status == 200


async def test_a_model_6_seller_is_refused(http: ClientSession, domestic: Sandbox) -> None:
    domestic.is_model_6 = True
    forbidden = {"message": "Forbidden", "error": "Forbidden", "status": 403, "cause": []}
    of_claims = {
        "code": 403,
        "error": "forbidden_error",
        "message": "Forbidden for CBT model 6 sellers.",
        "cause": None,
    }
    for target, body in (
        (f"/marketplace/messages/packs/{OPEN}", forbidden),
        (f"/marketplace/messages/action_guide/packs/{OPEN}", forbidden),
        ("/marketplace/v2/claims/5204000044", of_claims),
    ):
        async with http.get(target) as response:
            assert response.status == 403
            assert await response.json() == body
    async with http.get(thread(OPEN)) as response:
        assert response.status == 200
