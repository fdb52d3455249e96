"""The document "Post-sale messages" (000), from its first heading to its last."""

import asyncio
import json
from collections.abc import Awaitable
from pathlib import Path
from typing import Final

import msgspec
import pytest
from calls import MIB, PACK_ID, Call, connect_in_turn, download
from rawserver import answers
from seeds import (
    SOLUTIONS,
    assert_holds,
    read_sample,
    request_lines,
    sample_fault,
    sample_object,
    sample_value,
)

from mlmsg import (
    ApiError,
    AuthenticationError,
    BadRequest,
    Client,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    RuleError,
    ServerError,
)
from mlmsg.sandbox import Fault, Sandbox, SendAnswer

# "How it works" -----------------------------------------------------------------------------


async def test_initiating_contact_may_be_refused_by_the_api(
    client: Client, sandbox: Sandbox
) -> None:
    """Sellers must choose a reason when starting a new conversation."""
    said = "You are not allowed to execute the option OTHER again"
    sandbox.inject(Fault(status=403, body={"message": said, "error": "forbidden", "status": 403}))
    with pytest.raises(PermissionDenied, match="wait for the buyer"):
        await client.packs.send(PACK_ID, "¡Gracias por tu compra!")
    assert len(sandbox.requests) == 1


async def test_responding_needs_no_reason(client: Client, sandbox: Sandbox) -> None:
    """Buyers can contact the seller at any time. The seller can respond normally."""
    sandbox.market.add_message(PACK_ID, "¿Hola?", author="buyer")
    await client.packs.send(PACK_ID, "¡Hola!")
    texts = [one.text for one in sandbox.market.packs[str(PACK_ID)].messages[:2]]
    assert texts == ["¡Hola!", "¿Hola?"]


# "Parameters" -------------------------------------------------------------------------------


@pytest.mark.parametrize("site_id", ["MLM", "MLB", "MCO", "MLC"])
async def test_site_id_goes_with_files(client: Client, sandbox: Sandbox, site_id: str) -> None:
    upload = await client.attachments.upload(b"x", site_id=site_id, filename="a.txt")
    await download(client, upload.id, site_id)
    assert [one.query["site_id"] for one in sandbox.requests] == [site_id, site_id]


@pytest.mark.parametrize("site_id", ["", "CBT", "cbt", "MLM&tag=x"])
async def test_a_site_id_that_cannot_be_is_refused_before_sending(
    client: Client, sandbox: Sandbox, site_id: str
) -> None:
    with pytest.raises(RuleError, match="site_id"):
        await client.attachments.upload(b"x", site_id=site_id, filename="a.txt")
    with pytest.raises(RuleError, match="site_id"):
        await client.packs.send(PACK_ID, "Hola", files=[b"x"], site_id=site_id)
    with pytest.raises(RuleError, match="site_id"):
        await download(client, "1_a.txt", site_id)
    assert sandbox.requests == []


# "Get messages by pack" ---------------------------------------------------------------------


@pytest.mark.parametrize("pack_id", [2315686468, "2315686468"], ids=["int", "str"])
async def test_a_pack_is_requested_as_in_the_example(
    client: Client, sandbox: Sandbox, pack_id: int | str
) -> None:
    sandbox.inject(sample_fault("post_sale_messages.get_messages_by_pack"))
    page = await client.packs.page(pack_id, limit=2, offset=0)
    assert request_lines(sandbox) == ["GET /marketplace/messages/packs/2315686468?limit=2&offset=0"]
    assert sandbox.requests[0].headers["Authorization"] == f"Bearer {sandbox.token}"
    assert_holds(page, sample_value("post_sale_messages.get_messages_by_pack"), "page")


async def test_paging_has_limit_offset_and_total(client: Client, sandbox: Sandbox) -> None:
    """`limit`: the most results to return. The server's own limit may be lower."""
    sandbox.max_limit = 3
    paging = (await client.packs.page(PACK_ID, limit=50, offset=2)).paging
    assert paging is not None
    assert (paging.limit, paging.offset, paging.total) == (3, 2, 14)


@pytest.mark.parametrize("cap", [None, 1, 3, 14])
async def test_a_whole_thread_is_walked_however_the_server_caps_its_pages(
    client: Client, sandbox: Sandbox, cap: int | None
) -> None:
    sandbox.max_limit = cap
    expected = [one.id for one in sandbox.market.packs[str(PACK_ID)].messages]
    assert [one.id async for one in client.packs.messages(PACK_ID)] == expected
    conversation = await client.packs.conversation(PACK_ID, page_size=5)
    assert [one.id for one in conversation.messages] == expected


async def test_a_thread_without_messages_has_a_status_all_the_same(
    client: Client, sandbox: Sandbox
) -> None:
    async with asyncio.timeout(5):
        conversation = await client.packs.conversation(sandbox.market.add_pack().id)
    assert conversation.messages == []
    assert conversation.status is not None


async def test_the_conversation_status_comes_with_a_page_and_with_the_whole_thread(
    client: Client, sandbox: Sandbox
) -> None:
    """`claim_ids`: null if none. `status`: active, blocked. `substatus`: additional detail."""
    pack = sandbox.market.packs[str(PACK_ID)]
    blocked = {"claim_ids": [5294629673], "status": "blocked", "substatus": "by_claim"}
    pack.conversation_status = msgspec.structs.replace(pack.conversation_status, **blocked)
    found = (await client.packs.page(PACK_ID)).conversation_status
    assert found is not None
    assert (found.status, found.substatus, found.claims) == ("blocked", "by_claim", [5294629673])
    assert (await client.packs.conversation(PACK_ID, page_size=3)).status == found


async def test_each_field_of_each_message_is_held(client: Client, sandbox: Sandbox) -> None:
    """Messages array; Message Date, Message Moderation and Message Attachments objects."""
    served = [msgspec.to_builtins(one) for one in sandbox.market.packs[str(PACK_ID)].messages]
    found = (await client.packs.page(PACK_ID)).messages
    assert_holds(found, served, "messages")
    assert any(one.attachments for one in found)
    assert [one.conversation_first_message for one in found] == [False] * 13 + [True]


async def test_a_message_is_unread_as_long_as_read_is_null(client: Client) -> None:
    """`read`: timestamp when the message was read (null if unread)."""
    newest, older = (await client.packs.page(PACK_ID, limit=2)).messages
    assert newest.message_date is not None
    assert newest.message_date.read is None
    assert older.message_date is not None
    assert older.message_date.read is not None


@pytest.mark.parametrize("word", ["clean", "blocked", "pending"])
async def test_moderation_shows_the_state_of_a_message(
    client: Client, sandbox: Sandbox, word: str
) -> None:
    """`status`: moderation result. `source`: online, offline."""
    verdict = {"status": word, "reason": "OUT_OF_PLACE_LANGUAGE", "source": "offline"}
    message = {"id": "m1", "message_moderation": verdict}
    sandbox.inject(Fault(status=200, body={"messages": [message]}))
    found = (await client.packs.page(PACK_ID)).messages[0].message_moderation
    assert_holds(found, verdict, "message_moderation")


# "Get message by ID" ------------------------------------------------------------------------


async def test_a_message_is_requested_as_in_the_example(client: Client, sandbox: Sandbox) -> None:
    sandbox.inject(sample_fault("post_sale_messages.get_message_by_id"))
    message = await client.messages.get("2d45a5ad186041659e9a608f0c109dff")
    assert request_lines(sandbox) == ["GET /marketplace/messages/2d45a5ad186041659e9a608f0c109dff"]
    assert_holds(
        [message], sample_object("post_sale_messages.get_message_by_id")["messages"], "messages"
    )


async def test_a_message_is_the_same_by_its_id_and_in_its_thread(client: Client) -> None:
    for message in (await client.packs.page(PACK_ID)).messages:
        assert await client.messages.get(message.id) == message


# "Upload attachment" ------------------------------------------------------------------------


async def test_an_upload_is_the_form_of_the_example(tmp_path: Path) -> None:
    path = tmp_path / "invoice.jpg"
    path.write_bytes(b"\xff\xd8\xff the invoice")
    answer = read_sample("post_sale_messages.upload_attachment")
    async with connect_in_turn(answers(200, answer)) as (client, server):
        upload = await client.attachments.upload(path, site_id="MLM")
    (request,) = server.received
    head, body = request.split(b"\r\n\r\n", 1)
    assert head.startswith(b"POST /marketplace/messages/attachments?site_id=MLM HTTP/1.1\r\n")
    assert b"content-type: multipart/form-data; boundary=" in head.lower()
    assert f"content-length: {len(body)}".encode() in head.lower()
    assert body.count(b"Content-Disposition") == 1
    assert b'form-data; name="file"; filename="invoice.jpg"' in body
    assert_holds(upload, sample_value("post_sale_messages.upload_attachment"), "upload")


async def test_the_id_of_an_upload_is_what_a_message_takes(
    client: Client, sandbox: Sandbox
) -> None:
    """The response returns a unique file ID that you will use when creating the message."""
    upload = await client.attachments.upload(b"data", site_id="MLM", filename="factura nº 1.txt")
    await client.packs.send(PACK_ID, "Tu factura", attachments=[upload])
    (attachment,) = (await client.packs.page(PACK_ID, limit=1)).messages[0].attachments
    assert (attachment.filename, attachment.original_filename) == (upload.id, "factura nº 1.txt")
    assert (attachment.size, attachment.type) == (4, "text/plain")
    assert await download(client, upload.id) == b"data"


async def test_a_file_of_exactly_25_mb_is_accepted(client: Client, sandbox: Sandbox) -> None:
    upload = await client.attachments.upload(bytes(25 * MIB), site_id="MLM", filename="a.bin")
    assert sandbox.market.files[upload.id].size == 25 * MIB


# "Create message" ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["create_message", "create_message_without_attachments"])
async def test_a_message_is_sent_as_in_the_example(name: str) -> None:
    body = sample_object(f"post_sale_messages.{name}")
    attachments = msgspec.convert(body.get("attachments", []), list[str])
    async with connect_in_turn(answers(201, b"{}")) as (client, server):
        await client.packs.send(
            2315686468,
            str(body["text"]),
            text_translated=str(body["text_translated"]),
            attachments=attachments,
        )
    (request,) = server.received
    head, sent = request.split(b"\r\n\r\n", 1)
    assert head.startswith(b"POST /marketplace/messages/packs/2315686468 HTTP/1.1\r\n")
    assert b"content-type: application/json" in head.lower()
    assert json.loads(sent) == body


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("kind", ["message", "messages", "array", "object", "empty"])
async def test_a_message_is_sent_once_whatever_the_response_looks_like(
    client: Client, sandbox: Sandbox, kind: SendAnswer, status: int
) -> None:
    sandbox.send_answer, sandbox.send_status = kind, status
    sent = await client.packs.send(PACK_ID, "¡Gracias!", text_translated="Thanks!")
    newest = sandbox.market.packs[str(PACK_ID)].messages[0]
    assert (newest.text, newest.text_translated) == ("¡Gracias!", "Thanks!")
    assert sent.status_code == status
    assert sent.id == (None if kind in {"object", "empty"} else newest.id)
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("word", ["moderated", "rejected", "blocked"])
async def test_accepted_is_not_delivered(client: Client, sandbox: Sandbox, word: str) -> None:
    verdict = {"status": "rejected", "reason": "OUT_OF_PLACE_LANGUAGE", "source": "online"}
    held_back = {"id": "m1", "status": word, "text": "…", "message_moderation": verdict}
    sandbox.inject(Fault(status=201, body=held_back))
    sent = await client.packs.send(PACK_ID, "…")
    assert_holds(sent.message, held_back, "message")


async def test_files_are_uploaded_and_attached_in_their_order(
    client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "guide.pdf"
    path.write_bytes(b"second")
    first = await client.attachments.upload(b"first", site_id="MLM", filename="1.txt")
    await client.packs.send(
        PACK_ID, "Hola", attachments=[first], files=[path, b"third"], site_id="MLM"
    )
    listed = (await client.packs.page(PACK_ID, limit=1)).messages[0].attachments
    found = [await download(client, one.filename or "") for one in listed]
    assert found == [b"first", b"second", b"third"]
    assert request_lines(sandbox)[3] == f"POST /marketplace/messages/packs/{PACK_ID}"


async def test_twenty_five_attachments_are_accepted(client: Client, sandbox: Sandbox) -> None:
    upload = await client.attachments.upload(b"x", site_id="MLM", filename="a.txt")
    await client.packs.send(PACK_ID, "Hola", attachments=[upload] * 24, files=[b"y"], site_id="MLM")
    assert len(sandbox.market.packs[str(PACK_ID)].messages[0].message_attachments or []) == 25


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(action="lose")], ids=["500", "lost"])
async def test_a_message_is_never_sent_twice(
    client: Client, sandbox: Sandbox, fault: Fault
) -> None:
    sandbox.inject(fault)
    with pytest.raises(OutcomeUnknown):
        await client.packs.send(PACK_ID, "Hola")
    assert len(sandbox.requests) == 1


# "Get attachment" ---------------------------------------------------------------------------

FILE_ID = "76601286_5946e4c4-168a-45fd-945e-b8f0c306c58d.png"


async def test_an_attachment_is_requested_as_in_the_example(
    client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    """If the request is successful, the endpoint returns the binary file content directly."""
    sandbox.market.add_file(b"\x89PNG\r\n\x1a\n", "FileName.png", "image/png", file_id=FILE_ID)
    saved = await client.attachments.download(FILE_ID, tmp_path, site_id="MLM")
    target = f"/marketplace/messages/attachments/{FILE_ID}?tag=post_sale&site_id=MLM"
    assert request_lines(sandbox) == [f"GET {target}"]
    assert saved.path == tmp_path / FILE_ID
    assert saved.path.read_bytes() == b"\x89PNG\r\n\x1a\n"


async def test_a_file_that_cannot_be_accessed_is_tried_again(
    client: Client, sandbox: Sandbox
) -> None:
    """In case the file cannot be accessed, the server response will be: …"""
    sandbox.market.add_file(b"data", "a.png", file_id=FILE_ID)
    sandbox.inject(sample_fault("post_sale_messages.get_attachment_not_accessible", 500))
    assert await download(client, FILE_ID) == b"data"
    assert len(sandbox.requests) == 2


async def test_a_deleted_file_ends_the_attempts(client: Client, sandbox: Sandbox) -> None:
    with pytest.raises(ServerError, match="Try again later") as caught:
        await download(client, FILE_ID)
    expected = sample_value("post_sale_messages.get_attachment_not_accessible")
    assert json.loads(caught.value.body) == expected
    assert caught.value.attempts == len(sandbox.requests) == 4


async def test_a_missing_token_is_an_authentication_error(client: Client, sandbox: Sandbox) -> None:
    """In case the access token is not sent, the response will be: …"""
    sandbox.inject(sample_fault("post_sale_messages.get_attachment_without_token", 400))
    with pytest.raises(AuthenticationError, match="Pass an access token") as caught:
        await download(client, FILE_ID)
    assert caught.value.code == "bad_request"
    assert caught.value.status == 400
    assert caught.value.message == "Access token is required"


# "Errors" -----------------------------------------------------------------------------------

CLASSES: Final = {400: BadRequest, 403: PermissionDenied, 404: NotFound, 500: ServerError}


@pytest.mark.parametrize(("status", "said", "solution"), SOLUTIONS, ids=[x[1] for x in SOLUTIONS])
async def test_each_error_has_its_class_and_its_solution(
    client: Client, sandbox: Sandbox, status: int, said: str, solution: str
) -> None:
    body: dict[str, object] = {"message": said, "error": None, "status": status, "cause": []}
    sandbox.inject(Fault(status=status, body=body, times=4))
    with pytest.raises(ApiError) as caught:
        await client.packs.page(PACK_ID)
    is_token = "access token is required" in said.lower() or "malformed" in said.lower()
    assert type(caught.value) is (AuthenticationError if is_token else CLASSES[status])
    assert (caught.value.status, caught.value.message) == (status, said)
    assert caught.value.hint, f"{solution} is not told"
    assert caught.value.hint in str(caught.value)
    assert len(sandbox.requests) == (4 if status == 500 else 1)


def uploading(data: bytes, filename: str) -> Call:
    return lambda client: client.attachments.upload(data, site_id="MLM", filename=filename)


def without_token(_client: Client) -> Awaitable[object]:
    return Client("").packs.page(PACK_ID)


REFUSED: Final[dict[str, Call]] = {
    "Attachment empty or null": uploading(b"", "a.txt"),
    "File name cannot include /": uploading(b"x", "a/b.txt"),
    "File name cannot include \\": uploading(b"x", "a\\b.txt"),
    "File size exceeds 25 Mb": uploading(bytes(25 * MIB + 1), "a.bin"),
    "Message exceeds allowed number of attachments: 25": lambda client: client.packs.send(
        PACK_ID, "Hola", attachments=["1_a.png"] * 25, files=[b"x"], site_id="MLM"
    ),
    "Messages id empty or invalid": lambda client: client.messages.get(""),
    "The limit param must be greater than 0": lambda client: client.packs.page(PACK_ID, limit=0),
    "Invalid offset or limit param": lambda client: client.packs.page(PACK_ID, offset=-1),
    "Access token is required": without_token,
    "Text is required": lambda client: client.packs.send(PACK_ID, ""),
}


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
async def test_what_the_api_would_refuse_is_refused_before_sending(
    client: Client, sandbox: Sandbox, call: Call
) -> None:
    with pytest.raises(RuleError) as caught:
        await call(client)
    assert caught.value.rule
    assert caught.value.found in str(caught.value)
    assert caught.value.limit in str(caught.value)
    assert sandbox.requests == []


async def test_what_is_not_there_is_not_found(client: Client) -> None:
    with pytest.raises(NotFound, match="Order do not exists"):
        await client.packs.page(1)
    with pytest.raises(NotFound, match="id: gone could not be retrieved from storage"):
        await client.messages.get("gone")
