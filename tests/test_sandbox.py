"""The sandbox over real sockets, with a bare aiohttp session: endpoints, refusals, record, life."""

import ast
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import FunctionType

import anyio
import msgspec
import pytest
from aiohttp import ClientConnectionError, ClientSession, ClientTimeout
from blockbuster import blockbuster_ctx
from yarl import URL

import mlmsg.sandbox
from mlmsg.sandbox import Fault, Market, Sandbox, SendAnswer, server

MUG = "2000007001000011"
PACKS = "/marketplace/messages/packs/"
FILES = "/marketplace/messages/attachments"
DOWNLOAD = {"tag": "post_sale", "site_id": "MLM"}
# Only so that a fault of the sandbox fails a test instead of hanging it.
TIMEOUT = ClientTimeout(total=10)


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


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[ClientSession]:
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    async with ClientSession(sandbox.url, headers=headers, timeout=TIMEOUT) as session:
        yield session


async def page(http: ClientSession, query: str = "", pack: str = MUG) -> Page:
    async with http.get(f"{PACKS}{pack}{query}") as answer:
        assert answer.status == 200
        assert answer.content_type == "application/json"
        return msgspec.json.decode(await answer.read(), type=Page)


def error(status: int, message: str, word: str | None = "bad_request") -> dict[str, object]:
    """The shape of the two error bodies that seed 000 shows."""
    return {"message": message, "error": word, "status": status, "cause": []}


# --- reading -------------------------------------------------------------------------------


async def test_a_page_holds_ten_messages_unless_asked_otherwise(http: ClientSession) -> None:
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
async def test_the_cap_on_limit_is_told_by_the_answer(
    http: ClientSession, sandbox: Sandbox, cap: int | None, asked: int | None, applied: int
) -> None:
    sandbox.max_limit = cap
    answer = await page(http, "" if asked is None else f"?limit={asked}")
    assert answer.paging.limit == applied
    assert len(answer.messages) == min(applied, 14)


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
    """The example of seed 000, made with the public face of the market."""
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
    async with seeded.get(f"{PACKS}2315686468?limit=1&offset=0") as answer:
        body = await answer.read()
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
    # The bytes, not the values: the order of the fields is the document's as well.
    assert body == msgspec.json.encode(expected)


async def test_a_message_comes_in_an_envelope_without_paging(seeded: ClientSession) -> None:
    async with seeded.get(f"/marketplace/messages/{SEED_MESSAGE['id']}") as answer:
        body = await answer.read()
    expected = {"paging": None, "conversation_status": None, "messages": [SEED_MESSAGE]}
    assert body == msgspec.json.encode(expected)


async def test_a_buyers_first_message_that_was_read(seeded: ClientSession) -> None:
    async with seeded.get(f"{PACKS}2315686468?offset=1") as answer:
        (message,) = (await answer.json())["messages"]
    assert message["conversation_first_message"] is True
    assert message["message_attachments"] is None
    assert message["text_translated"] is None
    assert message["client_id"] is None
    assert (message["from"]["user_id"], message["to"]["user_id"]) == (441782523, 523132944)
    assert message["message_date"]["notified"] == "2020-03-13T15:14:10.000Z"
    assert message["message_date"]["read"] == "2020-03-13T15:14:11Z"


# --- downloads -----------------------------------------------------------------------------


async def test_every_attachment_of_the_market_can_be_downloaded(
    http: ClientSession, sandbox: Sandbox
) -> None:
    for stored in sandbox.market.files.values():
        async with http.get(f"{FILES}/{stored.id}", params=DOWNLOAD) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == stored.content_type
            assert answer.headers["Content-Length"] == str(stored.size)
            assert await answer.read() == stored.data


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 256 * 1024 + 1, 3_000_000])
async def test_downloads_of_any_size_are_whole(
    http: ClientSession, sandbox: Sandbox, size: int
) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    stored = sandbox.market.add_file(data[:size], "blob.bin")
    async with http.get(f"{FILES}/{stored.id}", params=DOWNLOAD) as answer:
        assert answer.headers["Content-Length"] == str(size)
        assert await answer.read() == data[:size]


async def test_a_file_that_is_gone_answers_the_seeds_500(
    http: ClientSession, sandbox: Sandbox
) -> None:
    lost, _ = sandbox.market.files.popitem()
    async with http.get(f"{FILES}/{lost}", params=DOWNLOAD) as answer:
        assert answer.status == 500
        assert await answer.json() == error(500, "File can not be accessed, try it later", None)


# --- sending -------------------------------------------------------------------------------


async def test_a_sent_message_is_the_newest_of_its_pack(
    http: ClientSession, sandbox: Sandbox
) -> None:
    body = {"text": "Hola", "text_translated": "Hi", "attachments": None}
    async with http.post(PACKS + MUG, json=body) as answer:
        assert answer.status == 201
        sent = await answer.json()
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
    async with http.post(PACKS + MUG, json={"text": "fotos", "attachments": ids}) as answer:
        assert answer.status == 201
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
    async with http.post(PACKS + MUG, json={"text": kind}) as answer:
        body = await answer.read()
        assert answer.status == status
    assert body.startswith(before)
    assert body.endswith(after)
    assert bool(body) is (kind != "empty")
    assert sandbox.market.packs[MUG].messages[0].text == kind


async def test_ids_repeat_from_run_to_run_but_not_within_one() -> None:
    first, second = Market(), Market()
    made = []
    for market in (first, second):
        packs = [market.add_pack(), market.add_pack()]
        files = [market.add_file(b"x", "a.png") for _ in range(3)]
        sent = [market.add_message(pack.id, "x") for pack in packs for _ in range(3)]
        made.append([p.id for p in packs] + [f.id for f in files] + [m.id for m in sent])
    assert made[0] == made[1]
    assert len(set(made[0])) == 11


# --- refusals ------------------------------------------------------------------------------

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
    ("GET", "/users/me", None, 404, "Unknown resource: /users/me"),
    ("DELETE", f"{PACKS}{MUG}", None, 404, f"Unknown resource: {PACKS}{MUG}"),
    ("GET", f"{PACKS}{MUG}/x", None, 404, f"Unknown resource: {PACKS}{MUG}/x"),
]


@pytest.mark.parametrize(("method", "target", "body", "status", "message"), REFUSALS)
async def test_refusals(
    sandbox: Sandbox, *, method: str, target: str, body: bytes | None, status: int, message: str
) -> None:
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    # A long query needs no more than the server's own limit for a line, which is 8190 bytes.
    async with (
        ClientSession(sandbox.url, headers=headers) as http,
        http.request(method, target, data=body) as answer,
    ):
        assert answer.status == status
        word = "not_found" if status == 404 else "bad_request"
        assert await answer.json() == error(status, message, word)
    assert len(sandbox.market.packs[MUG].messages) == 14


@pytest.mark.parametrize(
    "body",
    [b"", b"text=Hola", b'"Hola"', b'{"text":7}', b'{"text":"\xff"}', b'{"attachments":"a"}'],
)
async def test_a_send_that_is_not_the_documented_json(
    http: ClientSession, sandbox: Sandbox, body: bytes
) -> None:
    async with http.post(PACKS + MUG, data=body) as answer:
        assert answer.status == 400
        assert (await answer.json())["message"].startswith("Invalid body: ")
    assert len(sandbox.market.packs[MUG].messages) == 14


ROUTES = [
    ("GET", PACKS + MUG),
    ("POST", PACKS + MUG),
    ("GET", "/marketplace/messages/abc"),
    ("POST", f"{FILES}?site_id=MLM"),
    ("GET", f"{FILES}/a.png?tag=post_sale&site_id=MLM"),
    ("GET", "/nowhere"),
]


@pytest.mark.parametrize(("method", "target"), ROUTES)
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
        http.request(method, target, headers=headers) as answer,
    ):
        assert answer.status == status
        word = "unauthorized" if status == 401 else "bad_request"
        assert await answer.json() == error(status, message, word)


async def test_tokens_can_be_replaced_while_it_runs(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.tokens |= {"second"}
    sandbox.expired |= {sandbox.token}
    for token, status in ((sandbox.token, 401), ("second", 200)):
        headers = {"Authorization": f"bearer {token}"}
        async with http.get(PACKS + MUG, headers=headers) as answer:
            assert answer.status == status


async def test_the_token_does_not_look_like_a_real_one(sandbox: Sandbox) -> None:
    assert sandbox.token in sandbox.tokens
    assert not (sandbox.tokens & sandbox.expired)
    for token in sandbox.tokens | sandbox.expired:
        assert token.startswith("sandbox-")


# --- the record ----------------------------------------------------------------------------


async def test_requests_are_recorded(http: ClientSession, sandbox: Sandbox) -> None:
    async with http.get(f"{PACKS}{MUG}?limit=2&offset=1", headers={"X-Mine": "1"}):
        pass
    async with http.post("/marketplace/messages/packs/%C3%B1", data=b'{"text":"x"}'):
        pass
    async with http.get(URL(f"{sandbox.url}/%7e?q=%2f%61", encoded=True)):
        pass
    read, sent, odd = sandbox.requests
    assert (odd.path, odd.query, odd.target) == ("/~", {"q": "/a"}, "/%7e?q=%2f%61")
    assert (read.method, read.path, read.status, read.body_size) == ("GET", PACKS + MUG, 200, 0)
    assert read.query == {"limit": "2", "offset": "1"}
    assert read.target == f"{PACKS}{MUG}?limit=2&offset=1"
    assert read.headers["x-mine"] == "1"
    assert (sent.method, sent.status, sent.body_size) == ("POST", 404, 12)
    assert (sent.path, sent.target) == (f"{PACKS}ñ", f"{PACKS}%C3%B1")


async def test_the_record_shows_no_token(http: ClientSession, sandbox: Sandbox) -> None:
    async with http.get("/"):
        pass
    assert sandbox.requests[0].headers["Authorization"] == f"Bearer {sandbox.token}"
    assert sandbox.token not in repr(sandbox.requests)


async def test_the_record_is_bounded(
    http: ClientSession, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_MAX_REQUESTS", 3)
    for number in range(5):
        async with http.get(f"/{number}"):
            pass
    assert [request.path for request in sandbox.requests] == ["/2", "/3", "/4"]


# --- its life ------------------------------------------------------------------------------


async def test_two_run_side_by_side() -> None:
    async with Sandbox() as one, Sandbox(market=Market()) as two:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", one.url)
        assert one.url != two.url
        headers = {"Authorization": f"Bearer {one.token}"}
        async with ClientSession(headers=headers) as http:
            for sandbox, status in ((one, 200), (two, 404)):
                async with http.get(f"{sandbox.url}{PACKS}{MUG}") as answer:
                    assert answer.status == status
        assert len(one.requests) == len(two.requests) == 1


async def test_it_starts_and_stops_by_hand_and_again() -> None:
    sandbox = Sandbox()
    with pytest.raises(RuntimeError, match="not running"):
        assert sandbox.url
    await sandbox.stop()
    for _ in range(2):
        await sandbox.start()
        with pytest.raises(RuntimeError, match="already running"):
            await sandbox.start()
        url = sandbox.url
        async with ClientSession() as http, http.get(url) as answer:
            assert answer.status == 400
        await sandbox.stop()
        with pytest.raises(RuntimeError, match="not running"):
            assert sandbox.url
        with pytest.raises(OSError, match="onnect"):
            await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2]))


async def test_it_stops_at_once_with_connections_open(sandbox: Sandbox) -> None:
    sandbox.inject(Fault(path="/slow", delay=60))
    async with (
        ClientSession(sandbox.url) as idle,
        ClientSession(sandbox.url) as busy,
        anyio.create_task_group() as tasks,
    ):
        async with idle.get("/"):
            pass
        tasks.start_soon(_is_disconnected, busy)
        with anyio.fail_after(5):
            await sandbox.received(2)
        with anyio.fail_after(1):
            await sandbox.stop()


async def _is_disconnected(http: ClientSession) -> None:
    # A POST: a GET would be sent again by aiohttp itself.
    with pytest.raises(ClientConnectionError):
        await http.post("/slow")


@pytest.mark.parametrize("leaves", ["while waiting", "while sending", "while receiving"])
async def test_a_client_that_leaves_is_no_error(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, leaves: str
) -> None:
    stored = sandbox.market.add_file(bytes(20_000_000), "big.bin")
    if leaves == "while waiting":
        sandbox.inject(Fault(delay=60))
    request, headers = {
        "while waiting": (b"GET / HTTP/1.1", b""),
        "while sending": (
            b"POST " + (PACKS + MUG).encode() + b" HTTP/1.1",
            b"Content-Length: 9\r\n",
        ),
        "while receiving": (
            f"GET {FILES}/{stored.id}?tag=post_sale&site_id=MLM HTTP/1.1".encode(),
            b"",
        ),
    }[leaves]
    token = f"Authorization: Bearer {sandbox.token}\r\n".encode()
    host, port = sandbox.url.removeprefix("http://").split(":")
    async with await anyio.connect_tcp(host, int(port)) as stream:
        await stream.send(request + b"\r\nHost: x\r\n" + token + headers + b"\r\n")
        with anyio.fail_after(5):
            await sandbox.received(1)
        if leaves == "while receiving":
            await stream.receive()
    async with ClientSession(sandbox.url) as http, http.get("/") as answer:
        assert answer.status == 400
    await sandbox.stop()
    assert caplog.messages == []


async def test_nothing_in_it_blocks_the_event_loop(caplog: pytest.LogCaptureFixture) -> None:
    with blockbuster_ctx():
        async with Sandbox() as sandbox:
            stored = next(iter(sandbox.market.files))
            routes = [*ROUTES, ("GET", f"{FILES}/{stored}?tag=post_sale&site_id=MLM")]
            headers = {"Authorization": f"Bearer {sandbox.token}"}
            async with ClientSession(sandbox.url, headers=headers, timeout=TIMEOUT) as http:
                for method, target in routes:
                    async with http.request(method, target, data=b"{}") as answer:
                        await answer.read()
    # aiohttp makes a logged 500 of its own of what is raised in a handler, blocking included.
    assert [request.status for request in sandbox.requests] == [200, 400, 404, 400, 500, 404, 200]
    assert caplog.messages == []


# --- the room ------------------------------------------------------------------------------

SOURCES = sorted(Path(mlmsg.sandbox.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_it_knows_nothing_of_the_client(source: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module or "")
    ours = {name for name in imported if name.partition(".")[0] == "mlmsg"}
    assert all(name == "mlmsg.sandbox" or name.startswith("mlmsg.sandbox.") for name in ours)


def test_everything_public_is_there_and_says_what_it_is() -> None:
    public = [getattr(mlmsg.sandbox, name) for name in mlmsg.sandbox.__all__]
    # The others are aliases of Literal, which cannot hold a docstring.
    documented = [value for value in public if isinstance(value, type | FunctionType)]
    assert len(documented) == len(public) - 3
    assert [value for value in documented if not value.__doc__] == []
