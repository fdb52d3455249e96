"""The domestic paths of the sandbox: seller threads, sends with their refusals, files, agents."""

import re
from collections.abc import AsyncIterator

import msgspec
import pytest
from aiohttp import ClientSession
from sandboxes import MULTIPART, TIMEOUT, error_body, framed

from mlmsg.sandbox import Sandbox, example_market
from mlmsg.sandbox.characters import is_supported
from mlmsg.sandbox.sites import AGENTS, OTHER_AGENT

SELLER = 700400300
OPEN = "2000007002000011"
MEDIATED = "2000007002000022"
SILENT = "2000007002000033"
BUYER = 700500011
AGENT = 3037675074
FILES = "/messages/attachments"
QUERY = "tag=post_sale&site_id=MLB"
DOMESTIC = example_market(site_id="MLB")
BLOCKED = {
    pack.id: pack.conversation_status.substatus
    for pack in DOMESTIC.packs.values()
    if pack.conversation_status.status == "blocked"
}


@pytest.fixture
async def domestic() -> AsyncIterator[Sandbox]:
    async with Sandbox(market=example_market(site_id="MLB")) as running:
        yield running


@pytest.fixture
async def http(domestic: Sandbox) -> AsyncIterator[ClientSession]:
    headers = {"Authorization": f"Bearer {domestic.token}"}
    async with ClientSession(domestic.url, headers=headers, timeout=TIMEOUT) as session:
        yield session


def thread(pack: str, seller: int | str = SELLER, query: str = "?tag=post_sale") -> str:
    return f"/messages/packs/{pack}/sellers/{seller}{query}"


def message(to: int | str = BUYER, text: str | None = "Oi", **others: object) -> dict[str, object]:
    return {"from": {"user_id": str(SELLER)}, "to": {"user_id": to}, "text": text, **others}


async def send(http: ClientSession, pack: str, body: object, status: int = 201) -> object:
    async with http.post(thread(pack), json=body) as response:
        assert response.status == status, await response.text()
        answer: object = await response.json()
        return answer


async def test_the_thread_is_a_page_in_the_current_spelling(
    http: ClientSession, domestic: Sandbox
) -> None:
    async with http.get(thread(OPEN, query="?tag=post_sale&mark_as_read=false")) as response:
        page = await response.json()
    pack = domestic.market.packs[OPEN]
    assert list(page) == [
        "paging",
        "conversation_status",
        "messages",
        "seller_max_message_length",
        "buyer_max_message_length",
    ]
    assert page["conversation_status"] == {
        "path": f"/packs/{OPEN}/sellers/{SELLER}",
        "status": "active",
        "substatus": None,
        "status_date": "2026-02-01T08:00:00Z",
        "status_update_allowed": False,
        "claim_ids": None,
        "shipping_id": None,
    }
    assert page["messages"] == msgspec.to_builtins(pack.messages)
    assert [one["from"]["user_id"] for one in page["messages"]] == [BUYER, SELLER]
    assert (page["seller_max_message_length"], page["buyer_max_message_length"]) == (350, 3500)
    assert domestic.market.packs == DOMESTIC.packs


async def test_the_legacy_spelling_can_be_chosen(http: ClientSession, domestic: Sandbox) -> None:
    domestic.thread_spelling = "legacy"
    async with http.get(thread(MEDIATED)) as response:
        page = await response.json()
    path = f"/packs/{MEDIATED}/seller/{SELLER}/conversations/agent"
    assert page["conversation_status"]["path"] == path
    assert page["messages"][0]["from"]["user_id"] == str(AGENT)


async def test_the_current_spelling_can_be_chosen_for_global_selling(sandbox: Sandbox) -> None:
    assert sandbox.thread_spelling == "legacy"
    sandbox.thread_spelling = "current"
    pack = next(iter(sandbox.market.packs.values()))
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    async with (
        ClientSession(sandbox.url, headers=headers) as http,
        http.get(thread(pack.id, pack.seller_id)) as response,
    ):
        page = await response.json()
    assert page["messages"] == msgspec.to_builtins(pack.messages[:10])


@pytest.mark.parametrize("kind", [int, str])
async def test_a_sent_message_is_the_newest(
    http: ClientSession, domestic: Sandbox, kind: type[int] | type[str]
) -> None:
    stored = domestic.market.add_file(b"x", "a.png")
    body = message(kind(BUYER), "Olá, tudo certo 😀", attachments=[stored.id])
    body["from"] = {"user_id": kind(SELLER)}
    sent = await send(http, OPEN, body)
    newest = domestic.market.packs[OPEN].messages[0]
    assert sent == msgspec.to_builtins(newest)
    assert (newest.sender.user_id, newest.recipient.user_id) == (SELLER, BUYER)
    assert newest.text == "Olá, tudo certo 😀"
    assert [file.filename for file in newest.message_attachments or []] == [stored.id]


LONG = "The message content is too long, max characters allowed are 350"
UNSUPPORTED = "The text has character/s that is/are not supported."
NO_ATTACHMENT = "The attachment id: 1_2.png does not exist"

REFUSED = {
    "wrong recipient": (message(1), f"The user 1 does not belong to pack {OPEN}"),
    "the agent on a thread not migrated": (
        message(AGENT),
        f"The user {AGENT} does not belong to pack {OPEN}",
    ),
    "the seller as recipient": (
        message(SELLER),
        f"The user {SELLER} does not belong to pack {OPEN}",
    ),
    "another sender": (
        message() | {"from": {"user_id": "5"}},
        f"The user 5 does not belong to pack {OPEN}",
    ),
    "too long": (message(text="x" * 351), LONG),
    "a long text of emoji": (message(text="😀" * 351), LONG),
    "unsupported characters": (message(text="你好"), UNSUPPORTED),
    "one unsupported character": (message(text="2 € ok"), UNSUPPORTED),
    "no text": (message(text=None), "Text is required"),
    "an empty text": (message(text=""), "Text is required"),
    "an unknown attachment": (message(attachments=["1_2.png"]), NO_ATTACHMENT),
    "too many attachments": (
        message(attachments=["a"] * 26),
        "Message exceeds allowed number of attachments: 25",
    ),
}


@pytest.mark.parametrize(("body", "text"), REFUSED.values(), ids=REFUSED)
async def test_refused_sends(
    http: ClientSession, domestic: Sandbox, body: dict[str, object], text: str
) -> None:
    assert await send(http, OPEN, body, 400) == error_body(400, text)
    assert domestic.market.packs == DOMESTIC.packs


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": "Oi"},
        {"text": "Oi", "from": {"user_id": "1"}},
        {"text": "Oi", "from": {"user_id": "1"}, "to": {}},
        message("12a"),
        message(""),
        message("9" * 5000),
        message() | {"to": "1"},
    ],
)
async def test_sends_that_are_not_the_documented_json(
    http: ClientSession, domestic: Sandbox, body: object
) -> None:
    error = await send(http, OPEN, body, 400)
    assert isinstance(error, dict)
    assert error["message"].startswith("Invalid body: ")
    assert domestic.market.packs == DOMESTIC.packs


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        (thread("404"), 404, "Order do not exists"),
        (thread(OPEN, 5), 404, "Order do not exists"),
        (thread(OPEN, query=""), 400, "The tag param must be post_sale"),
        (thread(OPEN, query="?tag=pre_sale"), 400, "The tag param must be post_sale"),
        (thread("7", 5), 403, "User access token invalid for resource 7"),
        (thread("8", 5), 403, "Can not identify the user"),
    ],
)
async def test_threads_that_take_no_send(
    http: ClientSession, domestic: Sandbox, target: str, status: int, text: str
) -> None:
    domestic.market.add_pack(7, seller_id=5)
    domestic.market.add_pack(8, seller_id=5, buyer_id=SELLER)
    async with http.post(target, json=message()) as response:
        assert response.status == status
        assert await response.json() == error_body(status, text)


async def test_the_longest_text_is_that_of_the_thread(
    http: ClientSession, domestic: Sandbox
) -> None:
    domestic.market.packs[OPEN].seller_max_message_length = 3500
    await send(http, OPEN, message(text="x" * 3500))
    text = "The message content is too long, max characters allowed are 3500"
    assert await send(http, OPEN, message(text="x" * 3501), 400) == error_body(400, text)
    domestic.market.packs[OPEN].seller_max_message_length = None
    await send(http, OPEN, message(text="x" * 3501))


@pytest.mark.parametrize(
    ("text", "supported"),
    [
        ("¿Ñandú? ÿ", True),
        ("¡Olá! \u00a0", True),
        ("👍🏽 ❤️ 🇧🇷 👨‍👩‍👧 ☎️ ✅", True),
        ("1️⃣", True),
        ("€", False),
        ("“quotes”", False),
        ("Привет", False),
        ("你好", False),
        ("Ā", False),
    ],
)
def test_the_characters_are_latin_1_and_emoji(text: str, *, supported: bool) -> None:
    assert is_supported(text) is supported


async def test_a_message_can_be_read_by_its_id(http: ClientSession, domestic: Sandbox) -> None:
    (stored, _) = domestic.market.packs[OPEN].messages
    for query in ("?tag=post_sale", ""):
        async with http.get(f"/messages/{stored.id}{query}") as response:
            assert response.status == 200
            page = await response.json()
        assert page == {
            "paging": None,
            "conversation_status": None,
            "messages": [msgspec.to_builtins(stored)],
        }
    async with http.get(f"/messages/{stored.id}?tag=x") as response:
        assert response.status == 400
    async with http.get("/messages/nope?tag=post_sale") as response:
        text = "The message with id: nope could not be retrieved from storage"
        assert await response.json() == error_body(404, text)
    assert domestic.market.packs == DOMESTIC.packs


async def test_from_upload_to_message_to_download(http: ClientSession, domestic: Sandbox) -> None:
    headers = {"Content-Type": MULTIPART}
    async with http.post(f"{FILES}?{QUERY}", data=framed(b"bytes"), headers=headers) as response:
        assert response.status == 200
        file_id = (await response.json())["id"]
    assert re.fullmatch(rf"{SELLER}_[0-9a-f-]{{36}}\.png", file_id)
    await send(http, OPEN, message(attachments=[file_id]))
    async with http.get(f"{FILES}/{file_id}?{QUERY}") as response:
        assert response.headers["Content-Type"] == "image/png"
        assert await response.read() == b"bytes"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("site_id=MLB", "The tag param must be post_sale"),
        ("tag=x&site_id=MLB", "The tag param must be post_sale"),
        ("tag=post_sale", "The site_id param is required, and never CBT"),
        ("tag=post_sale&site_id=CBT", "The site_id param is required, and never CBT"),
        ("tag=post_sale&site_id=MLX", "The site_id param is unknown: MLX"),
    ],
)
async def test_files_need_a_tag_and_a_site(http: ClientSession, query: str, text: str) -> None:
    headers = {"Content-Type": MULTIPART}
    async with http.post(f"{FILES}?{query}", data=framed(), headers=headers) as response:
        assert response.status == 400
        assert await response.json() == error_body(400, text)
    async with http.get(f"{FILES}/1_2.png?{query}") as response:
        assert response.status == 400
        assert await response.json() == error_body(400, text)


async def test_a_lost_file_is_a_500(http: ClientSession) -> None:
    async with http.get(f"{FILES}/1_2.png?{QUERY}") as response:
        assert response.status == 500
        text = "File can not be accessed, try it later"
        assert await response.json() == error_body(500, text)


async def test_an_agent_takes_the_place_of_the_buyer(
    http: ClientSession, domestic: Sandbox
) -> None:
    async with http.get(thread(MEDIATED, query="?tag=post_sale&mark_as_read=false")) as response:
        page = await response.json()
    path = f"/packs/{MEDIATED}/sellers/{SELLER}/conversations/agent"
    assert page["conversation_status"]["path"] == path
    assert page["messages"][0]["from"]["user_id"] == AGENT
    await send(http, MEDIATED, message(AGENT))
    assert domestic.market.packs[MEDIATED].messages[0].recipient.user_id == AGENT


@pytest.mark.parametrize("pack", [MEDIATED, SILENT])
async def test_a_message_to_the_buyer_of_a_mediated_thread_reaches_nobody(
    http: ClientSession, domestic: Sandbox, pack: str
) -> None:
    buyer = domestic.market.packs[pack].buyer_id
    sent = await send(http, pack, message(buyer))
    assert isinstance(sent, dict)
    assert sent["text"] == "Oi"
    assert domestic.market.packs == DOMESTIC.packs


async def test_a_mediated_thread_refuses_strangers(http: ClientSession) -> None:
    text = f"The user 1 does not belong to pack {MEDIATED}"
    assert await send(http, MEDIATED, message(1), 400) == error_body(400, text)


@pytest.mark.parametrize("site_id", [*AGENTS, "MPE", "MEC"])
def test_each_site_has_its_agent(site_id: str) -> None:
    pack = example_market(site_id=site_id).packs[SILENT]
    assert pack.agent_id == AGENTS.get(site_id, OTHER_AGENT)


def test_a_thread_that_migrates_keeps_its_messages() -> None:
    market = example_market(site_id="MLB")
    market.migrate(OPEN, "ai")
    market.add_message(OPEN, "Oi", author="buyer")
    pack = market.packs[OPEN]
    assert [one.sender.user_id for one in pack.messages] == [AGENT, BUYER, SELLER]
    assert pack.path() == f"/packs/{OPEN}/sellers/{SELLER}/conversations/ai"


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


async def test_claims_live_under_post_purchase(http: ClientSession) -> None:
    async with http.get("/post-purchase/v1/claims/5204000044") as response:
        assert response.status == 200
        assert (await response.json())["site_id"] == "MLB"
    async with http.get("/post-purchase/v1/claims/5204000044/messages") as response:
        assert len(await response.json()) == 1


async def test_unread_counts_are_those_of_the_example(http: ClientSession) -> None:
    async with http.get("/messages/unread?role=seller&tag=post_sale") as response:
        unread = await response.json()
    packs = [one["resource"].split("/")[2] for one in unread["results"]]
    assert packs == [OPEN, MEDIATED, "2000007002000055", "2000007002000066"]
