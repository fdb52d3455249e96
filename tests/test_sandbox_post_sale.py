"""The sandbox's "Post-sale messages" with a bare aiohttp session: reading, sending, refusals."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import pytest
from aiohttp import ClientSession
from sandboxes import DOWNLOAD, FILES, MUG, PACKS, POST_SALE_ROUTES, error_body

from mlmsg.sandbox import Market, Sandbox, SendAnswer


class Paging(msgspec.Struct, forbid_unknown_fields=True):
    limit: int
    offset: int
    total: int


class Listed(msgspec.Struct):
    id: str
    text: str
    message_date: dict[str, str | None]


class Page(msgspec.Struct, forbid_unknown_fields=True):
    paging: Paging
    conversation_status: dict[str, str | int | bool | None]
    messages: list[Listed]


async def page(http: ClientSession, query: str = "", pack: str = MUG) -> Page:
    async with http.get(f"{PACKS}{pack}{query}") as response:
        assert response.status == 200
        assert response.content_type == "application/json"
        return msgspec.json.decode(await response.read(), type=Page)


async def test_the_default_limit_is_ten(http: ClientSession) -> None:
    first = await page(http)
    assert first.paging == Paging(limit=10, offset=0, total=14)
    assert len(first.messages) == 10


async def test_pages_are_newest_first_and_together_the_whole_thread(
    http: ClientSession, sandbox: Sandbox
) -> None:
    pages = [await page(http, f"?limit=5&offset={offset}") for offset in (0, 5, 10, 15)]
    messages = [message for one in pages for message in one.messages]
    assert [len(one.messages) for one in pages] == [5, 5, 4, 0]
    assert [m.id for m in messages] == [m.id for m in sandbox.market.packs[MUG].messages]
    created = [m.message_date["created"] or "" for m in messages]
    assert created == sorted(created, reverse=True)


@pytest.mark.parametrize(
    ("cap", "asked", "applied"), [(None, 1000, 1000), (5, 50, 5), (5, 3, 3), (5, None, 5)]
)
async def test_paging_shows_the_cap_on_limit(
    http: ClientSession, sandbox: Sandbox, cap: int | None, asked: int | None, applied: int
) -> None:
    sandbox.max_limit = cap
    first = await page(http, "" if asked is None else f"?limit={asked}")
    assert first.paging.limit == applied
    assert len(first.messages) == min(applied, 14)


SEED_MESSAGE = {
    "id": "2d45a5ad186041659e9a608f0c109dff",
    "site_id": "MLM",
    "client_id": 7001002003004005,
    "from": {"user_id": 523132944, "name": "TESTNICOCBT TESTNICOCBT"},
    "to": {"user_id": 441782523, "name": "Test Test"},
    "status": "available",
    "subject": None,
    "text": "This is a message to buyer",
    "message_date": {
        "received": "2020-03-13T15:14:10Z",
        "available": "2020-03-13T15:14:10Z",
        "notified": None,
        "created": "2020-03-13T15:14:10Z",
        "read": None,
    },
    "message_moderation": {
        "status": "clean",
        "reason": None,
        "source": "online",
        "moderation_date": "2020-03-13T15:14:10Z",
    },
    "message_attachments": [
        {
            "filename": "471826944_ba20cdf4-26b4-4c21-a689-5eabe271ddb3.png",
            "original_filename": "FileName.png",
            "type": "image/png",
            "size": 1234,
            "potential_security_threat": False,
            "creation_date": "2020-03-13T15:14:10Z",
        }
    ],
    "message_resources": [
        {"id": "2315686468", "name": "packs"},
        {"id": "523132944", "name": "sellers"},
    ],
    "conversation_first_message": False,
    "text_translated": "Este es un mensaje para el comprador",
}


def seed_market() -> Market:
    """The example of seed 000, made with the public methods of the market."""
    market = Market(now=lambda: datetime(2020, 3, 13, 15, 14, 10, tzinfo=UTC))
    pack = market.add_pack(
        2315686468,
        seller_id=523132944,
        buyer_id=441782523,
        seller_name="TESTNICOCBT TESTNICOCBT",
        buyer_name="Test Test",
        status_date="2020-02-26T17:37:42Z",
    )
    market.add_message(pack.id, "Hi", author="buyer", read="2020-03-13T15:14:11Z")
    stored = market.add_file(
        bytes(1234),
        "FileName.png",
        "image/png",
        file_id="471826944_ba20cdf4-26b4-4c21-a689-5eabe271ddb3.png",
    )
    market.add_message(
        pack.id,
        "This is a message to buyer",
        text_translated="Este es un mensaje para el comprador",
        attachments=[stored.id],
        message_id="2d45a5ad186041659e9a608f0c109dff",
    )
    return market


@pytest.fixture
async def seeded() -> AsyncIterator[ClientSession]:
    async with Sandbox(market=seed_market()) as sandbox:
        headers = {"Authorization": f"Bearer {sandbox.token}"}
        async with ClientSession(sandbox.url, headers=headers) as session:
            yield session


async def test_a_page_is_the_one_of_seed_000_field_by_field(seeded: ClientSession) -> None:
    async with seeded.get(f"{PACKS}2315686468?limit=1&offset=0") as response:
        body = await response.read()
    expected = {
        "paging": {"limit": 1, "offset": 0, "total": 2},
        "conversation_status": {
            "claim_ids": None,
            "shipping_id": None,
            "status": "active",
            "status_date": "2020-02-26T17:37:42Z",
            "status_update_allowed": False,
            "substatus": None,
        },
        "messages": [SEED_MESSAGE],
    }
    # Compare bytes, because the order of the fields is documented as well.
    assert body == msgspec.json.encode(expected)


async def test_a_message_comes_in_an_envelope_without_paging(seeded: ClientSession) -> None:
    async with seeded.get(f"/marketplace/messages/{SEED_MESSAGE['id']}") as response:
        body = await response.read()
    expected = {"paging": None, "conversation_status": None, "messages": [SEED_MESSAGE]}
    assert body == msgspec.json.encode(expected)


async def test_a_buyers_first_message_that_was_read(seeded: ClientSession) -> None:
    async with seeded.get(f"{PACKS}2315686468?offset=1") as response:
        (message,) = (await response.json())["messages"]
    assert message["conversation_first_message"] is True
    assert message["message_attachments"] is None
    assert message["text_translated"] is None
    assert message["client_id"] is None
    assert (message["from"]["user_id"], message["to"]["user_id"]) == (441782523, 523132944)
    assert message["message_date"]["notified"] == "2020-03-13T15:14:10.000Z"
    assert message["message_date"]["read"] == "2020-03-13T15:14:11Z"


async def test_every_attachment_of_the_market_can_be_downloaded(
    http: ClientSession, sandbox: Sandbox
) -> None:
    for stored in sandbox.market.files.values():
        async with http.get(f"{FILES}/{stored.id}", params=DOWNLOAD) as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == stored.content_type
            assert response.headers["Content-Length"] == str(stored.size)
            assert await response.read() == stored.data


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 256 * 1024 + 1, 3_000_000])
async def test_downloads_of_any_size_are_whole(
    http: ClientSession, sandbox: Sandbox, size: int
) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    stored = sandbox.market.add_file(data[:size], "blob.bin")
    async with http.get(f"{FILES}/{stored.id}", params=DOWNLOAD) as response:
        assert response.headers["Content-Length"] == str(size)
        assert await response.read() == data[:size]


async def test_a_lost_file_is_the_500_of_the_seed(http: ClientSession, sandbox: Sandbox) -> None:
    lost, _ = sandbox.market.files.popitem()
    async with http.get(f"{FILES}/{lost}", params=DOWNLOAD) as response:
        assert response.status == 500
        assert await response.json() == error_body(500, "File can not be accessed, try it later")


async def test_a_sent_message_is_the_newest_of_its_pack(
    http: ClientSession, sandbox: Sandbox
) -> None:
    body = {"text": "Hola", "text_translated": "Hi", "attachments": None}
    async with http.post(PACKS + MUG, json=body) as response:
        assert response.status == 201
        sent = await response.json()
    newest = sandbox.market.packs[MUG].messages[0]
    assert sent == msgspec.to_builtins(newest)
    assert (newest.text, newest.text_translated) == ("Hola", "Hi")
    assert newest.sender.user_id == sandbox.market.packs[MUG].seller_id
    assert newest.recipient.user_id == sandbox.market.packs[MUG].buyer_id
    assert newest.message_attachments is None
    assert newest.message_date.read is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", newest.message_date.created)
    first = await page(http)
    assert (first.messages[0].id, first.paging.total) == (newest.id, 15)


@pytest.mark.parametrize("count", [1, 25])
async def test_a_message_may_carry_25_attachments(
    http: ClientSession, sandbox: Sandbox, count: int
) -> None:
    ids = [sandbox.market.add_file(b"x", f"{n}.png", "image/png").id for n in range(count)]
    async with http.post(PACKS + MUG, json={"text": "fotos", "attachments": ids}) as response:
        assert response.status == 201
    listed = sandbox.market.packs[MUG].messages[0].message_attachments
    assert [attachment.filename for attachment in listed or []] == ids


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("message", b'{"id":', b"}"),
        ("messages", b'{"messages":[{"id":', b"}]}"),
        ("array", b'[{"id":', b"}]"),
        ("object", b"{}", b""),
        ("empty", b"", b""),
    ],
)
@pytest.mark.parametrize("status", [200, 201])
async def test_the_undocumented_answer_to_a_send_can_be_chosen(
    http: ClientSession,
    sandbox: Sandbox,
    *,
    kind: SendAnswer,
    before: bytes,
    after: bytes,
    status: int,
) -> None:
    sandbox.send_answer, sandbox.send_status = kind, status
    async with http.post(PACKS + MUG, json={"text": kind}) as response:
        body = await response.read()
        assert response.status == status
    assert body.startswith(before)
    assert body.endswith(after)
    assert bool(body) is (kind != "empty")
    assert sandbox.market.packs[MUG].messages[0].text == kind


TEXT_REQUIRED = "Text is required"


BAD_WINDOW = "Invalid offset or limit param"


LOST_MESSAGE = "The message with id: nope could not be retrieved from storage"


REFUSALS = [
    ("GET", f"{PACKS}{MUG}?limit=0", None, 400, "The limit param must be greater than 0"),
    ("GET", f"{PACKS}{MUG}?limit=-1", None, 400, "The limit param must be greater than 0"),
    ("GET", f"{PACKS}{MUG}?limit=ten", None, 400, BAD_WINDOW),
    ("GET", f"{PACKS}{MUG}?limit=", None, 400, BAD_WINDOW),
    ("GET", f"{PACKS}{MUG}?limit=1.5", None, 400, BAD_WINDOW),
    ("GET", f"{PACKS}{MUG}?limit=1_0", None, 400, BAD_WINDOW),
    ("GET", f"{PACKS}{MUG}?limit=%EF%BC%95", None, 400, BAD_WINDOW),
    ("GET", f"{PACKS}{MUG}?limit={'9' * 5000}", None, 400, BAD_WINDOW),
    ("GET", f"{PACKS}{MUG}?offset=-1", None, 400, BAD_WINDOW),
    ("GET", f"{PACKS}{MUG}?offset=x", None, 400, BAD_WINDOW),
    ("GET", f"{PACKS}999", None, 404, "Order do not exists"),
    ("POST", f"{PACKS}999", b'{"text":"Hola"}', 404, "Order do not exists"),
    ("GET", "/marketplace/messages/nope", None, 404, LOST_MESSAGE),
    ("POST", f"{PACKS}{MUG}", b"{}", 400, TEXT_REQUIRED),
    ("POST", f"{PACKS}{MUG}", b'{"text":null}', 400, TEXT_REQUIRED),
    ("POST", f"{PACKS}{MUG}", b'{"text":""}', 400, TEXT_REQUIRED),
    (
        "POST",
        f"{PACKS}{MUG}",
        b'{"text":"x","attachments":["' + b'","'.join([b"a"] * 26) + b'"]}',
        400,
        "Message exceeds allowed number of attachments: 25",
    ),
    (
        "POST",
        f"{PACKS}{MUG}",
        b'{"text":"x","attachments":["1_2.png"]}',
        400,
        "The attachment id: 1_2.png does not exist",
    ),
    ("GET", f"{FILES}/a.png?site_id=MLM", None, 400, "The tag param must be post_sale"),
    ("GET", f"{FILES}/a.png?tag=x&site_id=MLM", None, 400, "The tag param must be post_sale"),
    (
        "GET",
        f"{FILES}/a.png?tag=post_sale",
        None,
        400,
        "The site_id param is required, and never CBT",
    ),
    (
        "GET",
        f"{FILES}/a.png?tag=post_sale&site_id=CBT",
        None,
        400,
        "The site_id param is required, and never CBT",
    ),
    ("GET", "/", None, 404, "Unknown resource: /"),
    ("GET", "/users", None, 404, "Unknown resource: /users"),
    ("DELETE", f"{PACKS}{MUG}", None, 404, f"Unknown resource: {PACKS}{MUG}"),
    ("GET", f"{PACKS}{MUG}/x", None, 404, f"Unknown resource: {PACKS}{MUG}/x"),
]


@pytest.mark.parametrize(("method", "target", "body", "status", "message"), REFUSALS)
async def test_refusals(
    sandbox: Sandbox, *, method: str, target: str, body: bytes | None, status: int, message: str
) -> None:
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    # The longest query fits into the limit of aiohttp for a line, 8190 bytes.
    async with (
        ClientSession(sandbox.url, headers=headers) as http,
        http.request(method, target, data=body) as response,
    ):
        assert response.status == status
        assert await response.json() == error_body(status, message)
    assert len(sandbox.market.packs[MUG].messages) == 14


@pytest.mark.parametrize(
    "body",
    [b"", b"text=Hola", b'"Hola"', b'{"text":7}', b'{"text":"\xff"}', b'{"attachments":"a"}'],
)
async def test_a_send_that_is_not_the_documented_json(
    http: ClientSession, sandbox: Sandbox, body: bytes
) -> None:
    async with http.post(PACKS + MUG, data=body) as response:
        assert response.status == 400
        assert (await response.json())["message"].startswith("Invalid body: ")
    assert len(sandbox.market.packs[MUG].messages) == 14


@pytest.mark.parametrize(("method", "target"), POST_SALE_ROUTES)
@pytest.mark.parametrize(
    ("header", "status", "message"),
    [
        (None, 400, "Access token is required"),
        ("", 400, "Access token is required"),
        ("Bearer ", 400, "Access token is required"),
        ("Bearer some-other-text", 400, "Malformed access_token: some-other-text"),
        ("Basic dTpw", 400, "Malformed access_token: Basic dTpw"),
        ("Bearer sandbox-token-expired", 401, "The access token has expired"),
    ],
)
async def test_every_route_checks_the_token(
    sandbox: Sandbox, *, method: str, target: str, header: str | None, status: int, message: str
) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with (
        ClientSession(sandbox.url) as http,
        http.request(method, target, headers=headers) as response,
    ):
        assert response.status == status
        assert await response.json() == error_body(status, message)
