"""The sandbox's claims with a bare aiohttp session: every path, its twin, and every refusal."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from itertools import pairwise
from typing import Literal

import anyio
import msgspec
import pytest
from aiohttp import ClientSession

from mlmsg.sandbox import (
    AvailableAction,
    Claim,
    ClaimFile,
    ClaimMessage,
    Market,
    Sandbox,
    example_market,
)
from mlmsg.sandbox.schemas.claims import Role, Stage

V2 = "/marketplace/v2/claims/"
V1 = "/post-purchase/v1/claims/"
MUGS = "5204000011"
DISPUTE = "5204000022"
OLD = "5204000033"
SELLER = 700100200
TYPE = {"Content-Type": "multipart/form-data; boundary=B0undary"}
JPG = b"\xff\xd8\xff\xe0 a picture"
PNG = b"\x89PNG\r\n\x1a\n a picture"
PDF = b"%PDF-1.4 a document"
MEGABYTES_5 = 5 * 1024 * 1024
EXAMPLE = example_market()


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[ClientSession]:
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    async with ClientSession(sandbox.url, headers=headers) as session:
        yield session


@pytest.fixture(params=[V2, V1], ids=["v2", "v1"])
def base(request: pytest.FixtureRequest) -> str:
    """Both twins of a path."""
    return str(request.param)


async def body(http: ClientSession, target: str) -> bytes:
    async with http.get(target) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read()


def error(status: int, message: str) -> dict[str, object]:
    """The shape of seed 001's 400, with the words of seed 000 for the others."""
    words = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found"}
    return {"message": message, "error": words[status], "status": status, "cause": []}


def claim_error(status: int, message: str) -> dict[str, object]:
    """The shape of seed 001's 401 and 404."""
    words = {401: "unauthorized_request_error", 404: "not_found_error"}
    return {"code": status, "error": words[status], "message": message, "cause": None}


POLICY_AGENT = {
    "code": "PA_UNAUTHORIZED_RESULT_FROM_POLICIES",
    "blocked_by": "PolicyAgent",
    "message": "At least one policy returned UNAUTHORIZED.",
    "status": 403,
}


# --- the claim -----------------------------------------------------------------------------


async def test_a_claim_shows_its_players_and_what_they_may_do(
    http: ClientSession, base: str
) -> None:
    due = "2024-08-25T17:31:37.000-04:00"
    answer = {"action": "send_message_to_complainant", "mandatory": True, "due_date": due}
    insist = {"action": "send_message_to_respondent", "mandatory": False, "due_date": None}
    expected = {
        "id": 5204000011,
        "type": "mediations",
        "stage": "claim",
        "status": "opened",
        "players": [
            {
                "role": "complainant",
                "type": "buyer",
                "user_id": 700200055,
                "available_actions": [insist],
            },
            {
                "role": "respondent",
                "type": "seller",
                "user_id": SELLER,
                "available_actions": [answer],
            },
        ],
        "site_id": "MLM",
        "date_created": "2024-08-22T17:31:37.000-04:00",
        "last_updated": "2024-08-22T18:36:48.000-04:00",
    }
    assert await body(http, base + MUGS) == msgspec.json.encode(expected)


ACTIONS: dict[tuple[Stage, Role], list[str]] = {
    ("claim", "complainant"): ["send_message_to_respondent"],
    ("claim", "respondent"): ["send_message_to_complainant"],
    ("claim", "mediator"): ["send_message_to_complainant", "send_message_to_respondent"],
    ("dispute", "complainant"): ["send_message_to_mediator"],
    ("dispute", "respondent"): ["send_message_to_mediator"],
    ("dispute", "mediator"): [],
}


@pytest.mark.parametrize(("stage", "role"), ACTIONS)
async def test_the_actions_are_those_of_the_seeds_table(
    http: ClientSession, sandbox: Sandbox, stage: Stage, role: Role
) -> None:
    claim = sandbox.market.add_claim(stage=stage, mediator_id=9)
    async with http.get(V2 + claim.id) as answer:
        details = await answer.json()
    assert details["stage"] == stage
    (player,) = [player for player in details["players"] if player["role"] == role]
    actions = player["available_actions"]
    assert [action["action"] for action in actions] == ACTIONS[stage, role]
    assert {action["mandatory"] for action in actions} <= {role == "respondent"}


async def test_a_claim_that_becomes_a_dispute(http: ClientSession, sandbox: Sandbox) -> None:
    claim = sandbox.market.add_claim(at="2024-09-12T09:15:00.000-04:00")
    claim.enter("dispute")
    claim.add_player("mediator", 9)
    async with http.get(V2 + claim.id) as answer:
        details = await answer.json()
    assert details["stage"] == "dispute"
    assert details["last_updated"] == details["date_created"] == "2024-09-12T09:15:00.000-04:00"
    actions = [player["available_actions"] for player in details["players"]]
    assert [[one["action"] for one in some] for some in actions] == [
        ["send_message_to_mediator"],
        ["send_message_to_mediator"],
        [],
    ]
    assert actions[1][0]["due_date"] == "2024-09-15T09:15:00.000-04:00"


async def test_nobody_may_do_anything_in_a_closed_claim(
    http: ClientSession, sandbox: Sandbox
) -> None:
    claim = sandbox.market.add_claim(status="closed", mediator_id=9)
    async with http.get(V2 + claim.id) as answer:
        details = await answer.json()
    assert details["status"] == "closed"
    assert [player["available_actions"] for player in details["players"]] == [[], [], []]


# --- messages ------------------------------------------------------------------------------

SEED_FILE = {
    "filename": "1517482146_31489bf8-95e3-4a2d-bcff-3c57771fb7c4.png",
    "original_filename": "Captura de pantalla 2024-08-22 a la(s) 4.12.28?p.m..png",
    "size": 1669,
    "date_created": "2024-08-22T18:13:09.000-04:00",
    "type": "image/png",
}


def seed_message(
    sender: str, text: str, translated: str | None, at: str, moderated: str, **others: object
) -> dict[str, object]:
    receiver = {"complainant": "respondent", "respondent": "complainant"}[sender]
    date = f"2024-08-22T{at}.000-04:00"
    message: dict[str, object] = {
        "sender_role": sender,
        "receiver_role": receiver,
        "message": text,
        "translated_message": translated,
        "date_created": date,
        "last_updated": date,
        "message_date": date,
        "date_read": None,
        "attachments": [],
        "status": "available",
        "stage": "claim",
        "message_moderation": {
            "status": "clean",
            "reason": "",
            "source": "online",
            "date_moderated": f"2024-08-22T{moderated}Z",
        },
        "repeated": False,
    }
    return message | others


SEED_MESSAGES = [
    seed_message(
        "complainant",
        "No estoy de acuerdo\n",
        "I don't agree",
        "18:36:48",
        "22:36:48",
        date_read="2024-11-04T19:01:48Z",
    ),
    seed_message("respondent", "Este es un mensaje", None, "18:21:20", "22:21:20"),
    seed_message(
        "complainant",
        "imagen",
        "picture",
        "18:13:09",
        "22:13:09",
        date_read="2024-08-22T22:13:15Z",
        attachments=[SEED_FILE],
    ),
]


def seed_market() -> Market:
    """A part of seed 001's example, made with the public face of the market."""
    now = datetime(2024, 8, 22, 22, 21, 20, 987654, tzinfo=UTC)
    market = Market(now=lambda: now)
    claim = market.add_claim(5294629673)
    stored = market.add_claim_file(
        claim.id,
        bytes(1669),
        "Captura de pantalla 2024-08-22 a la(s) 4.12.28?p.m..png",
        "image/png",
        file_name="1517482146_31489bf8-95e3-4a2d-bcff-3c57771fb7c4.png",
        at="2024-08-22T18:13:09.000-04:00",
    )
    market.add_claim_message(
        claim.id,
        "imagen",
        translated_message="picture",
        attachments=[stored.file_name],
        at="2024-08-22T18:13:09.000-04:00",
        read="2024-08-22T22:13:15Z",
    )
    market.add_claim_message(5294629673, "Este es un mensaje", sender="respondent")
    market.add_claim_message(
        claim.id,
        "No estoy de acuerdo\n",
        translated_message="I don't agree",
        at="2024-08-22T18:36:48.000-04:00",
        read="2024-11-04T19:01:48Z",
    )
    return market


async def test_messages_are_the_bare_array_of_seed_001_field_by_field(
    http: ClientSession, sandbox: Sandbox, base: str
) -> None:
    sandbox.market = seed_market()
    async with http.get(f"{base}5294629673/messages") as answer:
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        # The bytes, not the values: the order of the fields is the document's as well.
        assert await answer.read() == msgspec.json.encode(SEED_MESSAGES)


async def test_a_claim_without_messages_is_an_empty_array(
    http: ClientSession, sandbox: Sandbox
) -> None:
    claim = sandbox.market.add_claim(1)
    assert await body(http, f"{V2}{claim.id}/messages") == b"[]"


async def test_limit_and_offset_are_nothing_to_claims(http: ClientSession) -> None:
    whole = await body(http, f"{V2}{MUGS}/messages")
    assert await body(http, f"{V2}{MUGS}/messages?limit=1&offset=1") == whole
    assert len(msgspec.json.decode(whole)) == 5


async def test_reading_does_not_mark(http: ClientSession, sandbox: Sandbox) -> None:
    await body(http, f"{V2}{MUGS}/messages")
    assert sandbox.market.claims == EXAMPLE.claims
    assert sandbox.market.claims[MUGS].messages[0].date_read is None


# --- files ---------------------------------------------------------------------------------


async def test_file_information_is_the_one_of_the_seed(
    http: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.market = seed_market()
    path = f"{V1}5294629673/attachments/{SEED_FILE['filename']}"
    assert await body(http, path) == msgspec.json.encode(SEED_FILE)


async def test_file_information_has_no_v2_path(http: ClientSession) -> None:
    path = f"{V2}{MUGS}/attachments/{next(iter(EXAMPLE.claims[MUGS].files))}"
    async with http.get(path) as answer:
        assert answer.status == 404
        assert await answer.json() == error(404, f"Unknown resource: {path}")


async def test_every_file_of_a_claim_can_be_downloaded(http: ClientSession, base: str) -> None:
    for claim_id in (MUGS, DISPUTE):
        for stored in EXAMPLE.claims[claim_id].files.values():
            path = f"{base}{claim_id}/attachments/{stored.file_name}/download"
            async with http.get(path) as answer:
                assert answer.status == 200
                assert answer.headers["Content-Type"] == stored.content_type
                assert answer.headers["Content-Length"] == str(stored.size)
                assert await answer.read() == stored.data


@pytest.mark.parametrize("tail", ["", "/download"])
async def test_a_file_that_is_not_there(http: ClientSession, sandbox: Sandbox, tail: str) -> None:
    lost, _ = sandbox.market.claims[MUGS].files.popitem()
    elsewhere = next(iter(sandbox.market.claims[DISPUTE].files))
    for name in (lost, elsewhere, "nope.png"):
        async with http.get(f"{V1}{MUGS}/attachments/{name}{tail}") as answer:
            assert answer.status == 404
            message = f"Attachment not found. attachmentId: {name}"
            assert await answer.json() == claim_error(404, message)


# --- uploads -------------------------------------------------------------------------------


def framed(data: bytes = JPG, filename: str = "a.jpg", mime: str = "image/jpeg") -> bytes:
    head = (
        f'--B0undary\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        f"Content-Type: {mime}\r\n\r\n"
    )
    return head.encode() + data + b"\r\n--B0undary--\r\n"


async def upload(http: ClientSession, target: str, content: bytes) -> dict[str, object]:
    async with http.post(target, data=BytesIO(content), headers=TYPE) as answer:
        assert answer.status == 201, await answer.text()
        return msgspec.json.decode(await answer.read(), type=dict[str, object])


def stored_as(sandbox: Sandbox, uploaded: object, claim_id: str = MUGS) -> ClaimFile:
    return sandbox.market.claims[claim_id].files[str(uploaded)]


async def refused(http: ClientSession, content: bytes, headers: dict[str, str]) -> str:
    target = f"{V2}{MUGS}/attachments"
    async with http.post(target, data=BytesIO(content), headers=headers) as answer:
        assert answer.status == 400
        message = str((await answer.json())["message"])
        assert await answer.json() == error(400, message)
    return message


@pytest.mark.parametrize(
    ("data", "filename", "mime", "content_type"),
    [
        (JPG, "a.jpg", "image/jpeg", "image/jpeg"),
        (JPG, "A.JPEG", "image/jpeg", "image/jpeg"),
        (PNG, "a_b-c.d.png", "image/png", "image/png"),
        (PDF, "1.pdf", "application/pdf", "application/pdf"),
        (PDF, "1.PDF", "application/octet-stream", "application/pdf"),
        (JPG, "n" * 121 + ".jpg", "image/jpeg", "image/jpeg"),
        (JPG, ".jpg", "image/jpeg", "image/jpeg"),
    ],
)
async def test_files_of_the_three_kinds_are_taken(
    http: ClientSession,
    sandbox: Sandbox,
    base: str,
    *,
    data: bytes,
    filename: str,
    mime: str,
    content_type: str,
) -> None:
    uploaded = await upload(http, f"{base}{MUGS}/attachments", framed(data, filename, mime))
    assert list(uploaded) == ["user_id", "file_name"]
    assert uploaded["user_id"] == SELLER
    stored = stored_as(sandbox, uploaded["file_name"])
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.\w+)?", stored.file_name)
    assert (stored.data, stored.original_filename) == (data, filename)
    assert stored.content_type == content_type
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000-04:00", stored.date_created)


async def test_the_domestic_answer_can_be_chosen(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.claim_upload_key = "filename"
    uploaded = await upload(http, f"{V2}{MUGS}/attachments", framed())
    assert list(uploaded) == ["user_id", "filename"]
    assert stored_as(sandbox, uploaded["filename"]).data == JPG


async def test_exactly_5_megabytes_are_taken(http: ClientSession, sandbox: Sandbox) -> None:
    data = JPG + bytes(MEGABYTES_5 - len(JPG))
    uploaded = await upload(http, f"{V2}{MUGS}/attachments", framed(data))
    assert stored_as(sandbox, uploaded["file_name"]).size == MEGABYTES_5


BAD_NAME = "File name must have 1 to 125 characters of a-zA-Z0-9._-"
BAD_KIND = "File must be a JPG, PNG or PDF, by its extension and by its content"

BAD_FILES = {
    "an empty file": (framed(b""), "Attachment empty or null"),
    "one byte too many": (
        framed(JPG + bytes(MEGABYTES_5 - len(JPG) + 1)),
        "File size exceeds 5 Mb",
    ),
    "no name": (framed(filename=""), BAD_NAME),
    "a long name": (framed(filename="n" * 122 + ".jpg"), BAD_NAME),
    "a space": (framed(filename="a b.jpg"), BAD_NAME),
    "an accent": (framed(filename="caña.jpg"), BAD_NAME),
    "a slash": (framed(filename="a/b.jpg"), BAD_NAME),
    "a percent": (framed(filename="a%20b.jpg"), BAD_NAME),
    "a line break": (framed(filename="a.jpg%0A"), BAD_NAME),
    "no extension": (framed(filename="jpg"), BAD_KIND),
    "another extension": (framed(filename="a.gif"), BAD_KIND),
    "an extension inside": (framed(filename="a.jpg.exe"), BAD_KIND),
    "a PNG under .jpg": (framed(PNG), BAD_KIND),
    "a JPG under .png": (framed(JPG, "a.png", "image/png"), BAD_KIND),
    "a JPG under .pdf": (framed(JPG, "a.pdf", "application/pdf"), BAD_KIND),
    "a text under .pdf": (framed(b"text", "a.pdf", "application/pdf"), BAD_KIND),
    "the start of a JPG": (framed(b"\xff\xd8"), BAD_KIND),
    "another part name": (
        framed().replace(b'"file"', b'"image"'),
        "Malformed multipart: the part is not named file",
    ),
    "not closed": (
        framed().removesuffix(b"\r\n--B0undary--\r\n"),
        "Malformed multipart: no CRLF and boundary after the data",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)
async def test_files_that_are_refused(
    http: ClientSession, sandbox: Sandbox, content: bytes, message: str
) -> None:
    assert await refused(http, content, TYPE) == message
    assert sandbox.market.claims == EXAMPLE.claims


async def test_an_upload_that_is_not_multipart(http: ClientSession) -> None:
    message = await refused(http, JPG, {"Content-Type": "image/jpeg"})
    assert message.startswith("Malformed multipart: the Content-Type is not multipart/form-data")


@pytest.mark.parametrize(
    ("header", "status", "message"),
    [
        (f"Content-Length: {MEGABYTES_5 + 20_000}", b"400", b'"File size exceeds 5 Mb"'),
        ("Transfer-Encoding: chunked", b"411", b'"Content-Length is required"'),
    ],
)
async def test_what_is_refused_before_it_is_sent(
    sandbox: Sandbox, header: str, status: bytes, message: bytes
) -> None:
    lines = [
        f"POST {V2}{MUGS}/attachments HTTP/1.1",
        "Host: sandbox",
        f"Authorization: Bearer {sandbox.token}",
        f"Content-Type: {TYPE['Content-Type']}",
        header,
    ]
    host, port = sandbox.url.removeprefix("http://").split(":")
    received = b""
    with anyio.fail_after(5):
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send("\r\n".join([*lines, "", ""]).encode())
            async for chunk in stream:
                received += chunk
    assert received.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nConnection: close\r\n" in received
    assert message in received
    assert sandbox.requests[0].body_size == 0


# --- sending -------------------------------------------------------------------------------


async def test_from_upload_to_message_to_download(
    http: ClientSession, sandbox: Sandbox, base: str
) -> None:
    uploaded = await upload(http, f"{base}{MUGS}/attachments", framed(PDF, "factura.pdf"))
    name = uploaded["file_name"]
    sent = {"receiver_role": "complainant", "message": "Va la factura", "attachments": [name]}
    async with http.post(f"{base}{MUGS}/actions/send-message", json=sent) as answer:
        assert answer.status == 201
    newest = msgspec.json.decode(
        await body(http, f"{base}{MUGS}/messages"), type=list[ClaimMessage]
    )[0]
    assert newest == sandbox.market.claims[MUGS].messages[0]
    assert (newest.sender_role, newest.receiver_role) == ("respondent", "complainant")
    assert (newest.message, newest.translated_message) == ("Va la factura", None)
    assert (newest.stage, newest.status, newest.date_read) == ("claim", "available", None)
    (attachment,) = newest.attachments
    assert (attachment.original_filename, attachment.size) == ("factura.pdf", len(PDF))
    path = f"{base}{MUGS}/attachments/{attachment.filename}/download"
    assert await body(http, path) == PDF
    async with http.get(base + MUGS) as answer:
        assert (await answer.json())["last_updated"] == newest.date_created


@pytest.mark.parametrize("attachments", [{}, {"attachments": []}, {"attachments": None}])
async def test_a_message_needs_no_attachments(
    http: ClientSession, sandbox: Sandbox, attachments: dict[str, object]
) -> None:
    sent = {"receiver_role": "complainant", "message": "Hola", **attachments}
    async with http.post(f"{V2}{MUGS}/actions/send-message", json=sent) as answer:
        assert answer.status == 201
    assert sandbox.market.claims[MUGS].messages[0].attachments == []


@pytest.mark.parametrize(
    ("kind", "content", "content_type"),
    [
        ("seed", rb'"status 201 created"', "text/plain"),
        ("plain", rb"status 201 created", "text/plain"),
        ("object", rb'\{"id":5204000011006\}', "application/json"),
        ("empty", rb"", "text/plain"),
    ],
)
async def test_the_answer_to_a_send_can_be_chosen(
    http: ClientSession,
    sandbox: Sandbox,
    kind: Literal["seed", "plain", "object", "empty"],
    content: bytes,
    content_type: str,
) -> None:
    assert sandbox.claim_send_answer == "seed"
    sandbox.claim_send_answer = kind
    sent = {"receiver_role": "complainant", "message": kind}
    async with http.post(f"{V2}{MUGS}/actions/send-message", json=sent) as answer:
        assert answer.status == 201
        assert answer.content_type == content_type
        assert re.fullmatch(content, await answer.read())
    assert sandbox.market.claims[MUGS].messages[0].message == kind


ROLES: tuple[Role, ...] = ("complainant", "respondent", "mediator")


def of_seller(market: Market, role: Role, stage: Stage) -> Claim:
    """A claim in which the user has this role."""
    ids: dict[Role, int] = {"complainant": 1, "respondent": 2, "mediator": 3}
    ids[role] = market.user_id
    return market.add_claim(
        stage=stage,
        complainant_id=ids["complainant"],
        respondent_id=ids["respondent"],
        mediator_id=ids["mediator"],
    )


@pytest.mark.parametrize("receiver", ROLES)
@pytest.mark.parametrize(("stage", "role"), ACTIONS)
async def test_only_available_actions_can_be_done(
    http: ClientSession, sandbox: Sandbox, *, stage: Stage, role: Role, receiver: Role
) -> None:
    claim = of_seller(sandbox.market, role, stage)
    sent = {"receiver_role": receiver, "message": "Hola"}
    action = f"send_message_to_{receiver}"
    async with http.post(f"{V2}{claim.id}/actions/send-message", json=sent) as answer:
        if action in ACTIONS[stage, role]:
            assert answer.status == 201
            (message,) = claim.messages
            assert (message.sender_role, message.receiver_role) == (role, receiver)
            assert message.stage == stage
        else:
            assert answer.status == 403
            message_403 = f"The action {action} is not available for the {role}"
            assert await answer.json() == error(403, message_403)
            assert claim.messages == []


async def test_a_test_may_change_the_actions(http: ClientSession, sandbox: Sandbox) -> None:
    seller = sandbox.market.claims[MUGS].player("respondent")
    sent = {"receiver_role": "mediator", "message": "Hola"}
    target = f"{V2}{MUGS}/actions/send-message"
    seller.available_actions = [AvailableAction("send_message_to_mediator", False, None)]
    async with http.post(target, json=sent) as answer:
        assert answer.status == 201
    seller.available_actions.clear()
    async with http.post(target, json=sent) as answer:
        assert answer.status == 403


BAD_ROLE = "Receiver role must be one of complainant, respondent, mediator"

BAD_SENDS = [
    (b'{"receiver_role":"complainant"}', 400, "Message cannot be empty"),
    (b'{"receiver_role":"complainant","message":""}', 400, "Message cannot be empty"),
    (b'{"receiver_role":"complainant","message":null}', 400, "Message cannot be empty"),
    (b"{}", 400, "Message cannot be empty"),
    (b'{"message":"Hola"}', 400, BAD_ROLE),
    (b'{"receiver_role":null,"message":"Hola"}', 400, BAD_ROLE),
    (b'{"receiver_role":"","message":"Hola"}', 400, BAD_ROLE),
    (b'{"receiver_role":"buyer","message":"Hola"}', 400, BAD_ROLE),
    (b'{"receiver_role":"Complainant","message":"Hola"}', 400, BAD_ROLE),
    (
        b'{"receiver_role":"complainant","message":"Hola","attachments":["a.png"]}',
        400,
        "The attachment a.png does not exist",
    ),
    (
        b'{"receiver_role":"mediator","message":"Hola"}',
        403,
        "The action send_message_to_mediator is not available for the respondent",
    ),
]


@pytest.mark.parametrize(("content", "status", "message"), BAD_SENDS)
async def test_sends_that_are_refused(
    http: ClientSession, sandbox: Sandbox, *, content: bytes, status: int, message: str
) -> None:
    async with http.post(f"{V2}{MUGS}/actions/send-message", data=content) as answer:
        assert answer.status == status
        assert await answer.json() == error(status, message)
    assert sandbox.market.claims == EXAMPLE.claims


@pytest.mark.parametrize(
    "content", [b"", b"message=Hola", b"[]", b'{"message":7}', b'{"message":"\xff"}']
)
async def test_a_send_that_is_not_the_documented_json(
    http: ClientSession, sandbox: Sandbox, content: bytes
) -> None:
    async with http.post(f"{V2}{MUGS}/actions/send-message", data=content) as answer:
        assert answer.status == 400
        assert (await answer.json())["message"].startswith("Invalid body: ")
    assert sandbox.market.claims == EXAMPLE.claims


# --- who may read it -----------------------------------------------------------------------


def paths(base: str, claim_id: str, file: str = "a.png") -> Iterator[tuple[str, str]]:
    """The method and target of every path of a claim."""
    claim = base + claim_id
    yield "GET", claim
    yield "GET", f"{claim}/messages"
    yield "POST", f"{claim}/attachments"
    yield "POST", f"{claim}/actions/send-message"
    yield "GET", f"{claim}/attachments/{file}/download"
    if base == V1:
        yield "GET", f"{claim}/attachments/{file}"


def both(claim_id: str) -> list[tuple[str, str]]:
    return [*paths(V2, claim_id), *paths(V1, claim_id)]


@pytest.mark.parametrize(("method", "target"), both("9999999999999"))
async def test_a_claim_that_is_not_there(http: ClientSession, method: str, target: str) -> None:
    async with http.request(method, target, data=framed()) as answer:
        assert answer.status == 404
        message = "Claim not found. claimId: 9999999999999"
        assert await answer.read() == msgspec.json.encode(claim_error(404, message))


@pytest.mark.parametrize("denied", [MUGS, int(MUGS), 404404])
async def test_a_denied_claim_is_hidden_whether_it_exists_or_not(
    http: ClientSession, sandbox: Sandbox, denied: int | str
) -> None:
    sandbox.market.denied.add(denied)
    for method, target in both(str(denied)):
        async with http.request(method, target, data=framed()) as answer:
            assert answer.status == 403
            assert await answer.read() == msgspec.json.encode(POLICY_AGENT)
    assert await body(http, V2 + DISPUTE)
    sandbox.market.denied.clear()
    async with http.get(f"{V2}{denied}") as answer:
        assert answer.status == (404 if denied == 404404 else 200)


async def test_a_claim_between_others_is_denied(http: ClientSession, sandbox: Sandbox) -> None:
    claim = sandbox.market.add_claim(respondent_id=5)
    for method, target in both(claim.id):
        async with http.request(method, target) as answer:
            assert answer.status == 403
            assert await answer.json() == POLICY_AGENT


@pytest.mark.parametrize(("method", "target"), [*paths(V2, OLD)])
async def test_v2_refuses_a_claim_of_version_1(
    http: ClientSession, sandbox: Sandbox, method: str, target: str
) -> None:
    async with http.request(method, target, data=framed(), headers=TYPE) as answer:
        assert answer.status == 401
        message = f"Claim {OLD} is not available here, it belongs to Claims 1.0"
        assert await answer.json() == claim_error(401, message)
    assert sandbox.market.claims == EXAMPLE.claims


async def test_every_twin_answers_for_a_claim_of_version_1(
    http: ClientSession, sandbox: Sandbox
) -> None:
    claim = sandbox.market.claims[OLD]
    (stored,) = claim.files.values()
    assert msgspec.json.decode(await body(http, V1 + OLD)) == msgspec.to_builtins(claim.details())
    messages = await body(http, f"{V1}{OLD}/messages")
    assert msgspec.json.decode(messages, type=list[ClaimMessage]) == claim.messages
    path = f"{V1}{OLD}/attachments/{stored.file_name}"
    assert await body(http, path) == msgspec.json.encode(stored.attachment())
    assert await body(http, f"{path}/download") == stored.data
    uploaded = await upload(http, f"{V1}{OLD}/attachments", framed(PNG, "a.png"))
    name = uploaded["file_name"]
    sent = {"receiver_role": "complainant", "message": "Hola", "attachments": [name]}
    async with http.post(f"{V1}{OLD}/actions/send-message", json=sent) as answer:
        assert answer.status == 201
    assert claim.messages[0].attachments == [stored_as(sandbox, name, OLD).attachment()]


@pytest.mark.parametrize(("method", "target"), [*both(MUGS), *both(OLD), *both("404")])
@pytest.mark.parametrize(
    ("header", "status", "expected"),
    [
        (None, 401, claim_error(401, "Invalid caller.id")),
        ("", 401, claim_error(401, "Invalid caller.id")),
        ("Bearer ", 401, claim_error(401, "Invalid caller.id")),
        ("Bearer INVALID_TOKEN", 400, error(400, "Malformed access_token: INVALID_TOKEN")),
        ("Basic dTpw", 400, error(400, "Malformed access_token: Basic dTpw")),
        ("Bearer sandbox-token-expired", 401, error(401, "The access token has expired")),
    ],
)
async def test_every_route_checks_the_token(
    sandbox: Sandbox,
    *,
    method: str,
    target: str,
    header: str | None,
    status: int,
    expected: dict[str, object],
) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with (
        ClientSession(sandbox.url) as http,
        http.request(method, target, headers=headers) as answer,
    ):
        assert answer.status == status
        assert await answer.read() == msgspec.json.encode(expected)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", V2),
        ("GET", f"{V2}{MUGS}/"),
        ("POST", f"{V2}{MUGS}/messages"),
        ("GET", f"{V2}{MUGS}/attachments"),
        ("GET", f"{V2}{MUGS}/actions/send-message"),
        ("POST", f"{V2}{MUGS}/actions/send_message"),
        ("GET", f"/marketplace/v1/claims/{MUGS}"),
        ("GET", f"/marketplace/claims/{MUGS}"),
        ("GET", f"/post-purchase/v2/claims/{MUGS}"),
    ],
)
async def test_paths_that_are_not_there(http: ClientSession, method: str, target: str) -> None:
    async with http.request(method, target) as answer:
        assert answer.status == 404
        assert await answer.json() == error(404, f"Unknown resource: {target}")


# --- the market ----------------------------------------------------------------------------


def test_a_claim_is_between_a_buyer_and_the_user_unless_told_otherwise() -> None:
    now = datetime(2024, 8, 22, 22, 21, 20, 987654, tzinfo=timezone(timedelta(hours=2)))
    market = Market(user_id=5, now=lambda: now)
    claim = market.add_claim()
    assert market.claims == {claim.id: claim}
    assert (claim.stage, claim.status, claim.version_1) == ("claim", "opened", False)
    assert claim.date_created == "2024-08-22T16:21:20.000-04:00"
    assert [player.role for player in claim.players] == ["complainant", "respondent"]
    assert claim.player_of(5) is claim.player("respondent")
    assert claim.player_of(6) is None
    with pytest.raises(KeyError):
        claim.player("mediator")
    dispute = market.add_claim("5200000099", stage="dispute", site_id="MLB")
    assert dispute.player("mediator").type == "internal"
    assert (dispute.id, dispute.details().id, dispute.site_id) == ("5200000099", 5200000099, "MLB")
    with pytest.raises(ValueError, match="already has a mediator"):
        dispute.add_player("mediator", 7)


def test_a_message_says_who_wrote_it_to_whom_and_when() -> None:
    now = datetime(2024, 8, 22, 22, 21, 20, tzinfo=UTC)
    market = Market(now=lambda: now)
    claim = market.add_claim(1, stage="dispute")
    first = market.add_claim_message(1, "a", sender="mediator", receiver="complainant")
    second = market.add_claim_message(
        "1", "b", sender="mediator", stage="claim", status="moderated"
    )
    assert claim.messages == [second, first]
    assert (first.sender_role, first.receiver_role) == ("mediator", "complainant")
    assert (first.stage, first.status) == ("dispute", "available")
    assert (second.receiver_role, second.stage, second.status) == (
        "respondent",
        "claim",
        "moderated",
    )
    assert first.date_created == "2024-08-22T18:21:20.000-04:00"
    assert first.message_moderation.date_moderated == "2024-08-22T22:21:20Z"


def test_what_the_market_does_not_know_is_refused() -> None:
    market = Market()
    market.add_claim(1)
    with pytest.raises(KeyError):
        market.add_claim_message(2, "Hola")
    with pytest.raises(KeyError):
        market.add_claim_file(2, JPG, "a.jpg")
    with pytest.raises(KeyError):
        market.add_claim_message(1, "Hola", attachments=["a.jpg"])
    with pytest.raises(ValueError, match="a date with a zone"):
        market.add_claim_message(1, "Hola", at="2024-08-22T18:21:20")
    with pytest.raises(ValueError, match="a date with a zone"):
        market.add_claim(at="2024-08-22T18:21:20")
    with pytest.raises(ValueError, match="invalid literal"):
        market.add_claim("abc")
    assert market.claims["1"].messages == []
    assert list(market.claims) == ["1"]


def test_ids_repeat_from_run_to_run_but_not_within_one() -> None:
    made = []
    for market in (Market(), Market()):
        claims = [market.add_claim(), market.add_claim(stage="dispute")]
        files = [market.add_claim_file(claim.id, JPG, "a.jpg") for claim in claims * 2]
        made.append([claim.id for claim in claims] + [file.file_name for file in files])
    assert made[0] == made[1]
    assert len(set(made[0])) == 6


# --- the example ---------------------------------------------------------------------------


def test_the_example_has_what_its_docstring_says() -> None:
    text = example_market.__doc__ or ""
    assert f"{len(EXAMPLE.claims)} claims" in text
    rows = re.findall(r"\| (\d{10}) \| (claim|dispute)([^|]*)\| (\d+)\b[^|]*\| ([^|]*) \|", text)
    assert [row[0] for row in rows] == list(EXAMPLE.claims)
    for claim, (_, stage, version, count, files) in zip(EXAMPLE.claims.values(), rows, strict=True):
        kinds = [file.content_type.partition("/")[2].upper() for file in claim.files.values()]
        assert (claim.stage, len(claim.messages)) == (stage, int(count))
        assert claim.version_1 == ("Claims 1.0" in version)
        told = {kind: int(number) for number, kind in re.findall(r"(\d) (\w+)", files)}
        assert {kind: kinds.count(kind) for kind in kinds} == told
    unread = {count.resource.split("/")[2]: count.count for count in EXAMPLE.unread("seller")}
    assert unread == dict.fromkeys(list(EXAMPLE.packs)[-2:], 1)


def test_the_example_is_the_same_each_time_but_not_shared() -> None:
    other = example_market()
    assert other.claims == EXAMPLE.claims
    other.claims[MUGS].messages.clear()
    other.claims[MUGS].player("respondent").available_actions.clear()
    other.denied.add(MUGS)
    again = example_market()
    assert again.claims == EXAMPLE.claims
    assert again.denied == set()


@pytest.mark.parametrize("claim", EXAMPLE.claims.values(), ids=EXAMPLE.claims)
def test_claims_of_the_example_belong_together(claim: Claim) -> None:
    newest, *others = claim.messages
    assert newest.date_read is None
    assert all(message.date_read for message in others)
    for newer, older in pairwise(claim.messages):
        assert datetime.fromisoformat(newer.date_created) > datetime.fromisoformat(
            older.date_created
        )
        assert newer.stage == older.stage or (older.stage, newer.stage) == ("claim", "dispute")
        assert datetime.fromisoformat(older.date_read or "") == datetime.fromisoformat(
            newer.date_created
        )
    roles = {player.role for player in claim.players}
    for message in claim.messages:
        assert {message.sender_role, message.receiver_role} <= roles
        # What the seller wrote needs no translation, what came to the seller has one.
        assert (message.translated_message is None) == (message.sender_role == "respondent")
    listed = [file for message in reversed(claim.messages) for file in message.attachments]
    assert listed == [file.attachment() for file in claim.files.values()]
    assert all(1000 < file.size <= 30_000 for file in claim.files.values())


def test_the_example_names_a_file_as_the_seed_does() -> None:
    names = [file.original_filename for file in EXAMPLE.claims[MUGS].files.values()]
    assert SEED_FILE["original_filename"] in names
