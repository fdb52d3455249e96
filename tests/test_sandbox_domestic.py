"""The domestic paths of the sandbox: seller threads, sends with their refusals, files, agents."""

import re

import msgspec
import pytest
from aiohttp import ClientSession
from domestic import BUYER, DOMESTIC, OPEN, SELLER, message, send, thread
from sandboxes import MULTIPART, error_body, framed

from mlmsg.sandbox import Sandbox, example_market
from mlmsg.sandbox.characters import is_supported
from mlmsg.sandbox.sites import AGENTS, OTHER_AGENT

MEDIATED = "2000007002000022"


SILENT = "2000007002000033"


AGENT = 3037675074


FILES = "/messages/attachments"


QUERY = "tag=post_sale&site_id=MLB"


@pytest.fixture
def sandbox(domestic: Sandbox) -> Sandbox:
    """The sandbox of the shared session."""
    return domestic


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


FLAT = [
    *("message_id", "date_received", "date", "date_available", "date_notified", "date_read"),
    *("from", "to", "subject", "text", "attachments", "attachments_validations", "site_id"),
    *("resource", "resource_id", "status", "moderation"),
]


async def test_the_flat_spelling_can_be_chosen(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.message_spelling = "flat"
    attached = sandbox.market.add_file(b"x", "a.png").attachment()
    sent = await send(http, OPEN, message(attachments=[attached.filename]))
    newest = sandbox.market.packs[OPEN].messages[0]
    for path in (f"/messages/{newest.id}", f"/marketplace/messages/{newest.id}"):
        async with http.get(path) as response:
            assert await response.json() == sent
    assert isinstance(sent, dict)
    assert list(sent) == FLAT
    assert (sent["message_id"], sent["text"]) == (newest.id, {"plain": "Oi"})
    assert (sent["from"]["user_id"], sent["to"][0]["user_id"]) == (SELLER, BUYER)
    assert (sent["resource"], sent["resource_id"]) == ("packs", OPEN)
    assert sent["attachments"] == [msgspec.to_builtins(attached)]


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


async def test_a_blocked_thread_is_checked_before_the_people(
    http: ClientSession, domestic: Sandbox
) -> None:
    domestic.market.block(OPEN, "blocked_by_time")
    text = "blocked_conversation_send_message_forbidden"
    error = {"status_code": 403, "code": "forbidden", "message": text}
    for body in (message(1), message() | {"from": {"user_id": "5"}}):
        assert await send(http, OPEN, body, 403) == error


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
