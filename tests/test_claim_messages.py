"""The document "Messages claims" (001), from its first heading to its last."""

import json
from pathlib import Path
from typing import Final, Literal

import msgspec
import pytest
from calls import MIB, connect_in_turn, download_of_claim
from rawserver import answers
from seeds import (
    assert_holds,
    read_sample,
    request_lines,
    sample_fault,
    sample_object,
    sample_value,
)

from mlmsg import (
    ActionNotAvailable,
    ApiError,
    AuthenticationError,
    Client,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    RuleError,
)
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.uploads import SourceLike

CLAIM = 5294629673
JPG = b"\xff\xd8\xff\xe0 a photo"
PNG = b"\x89PNG\r\n\x1a\n a picture"
PDF = b"%PDF-1.4 an invoice"

SAMPLE = "claim_messages.create_a_message"


# "Retrieve all messages of a claim" ---------------------------------------------------------


@pytest.mark.parametrize("claim_id", [CLAIM, str(CLAIM)], ids=["int", "str"])
async def test_the_messages_are_requested_as_in_the_example(
    client: Client, sandbox: Sandbox, claim_id: int | str
) -> None:
    sandbox.inject(sample_fault("claim_messages.retrieve_all_messages_of_a_claim"))
    messages = await client.claims.messages(claim_id)
    assert request_lines(sandbox) == ["GET /marketplace/v2/claims/5294629673/messages"]
    assert_holds(
        messages, sample_value("claim_messages.retrieve_all_messages_of_a_claim"), "messages"
    )


async def test_each_field_of_each_message_is_held(client: Client, sandbox: Sandbox) -> None:
    claim = sandbox.market.add_claim()
    file = sandbox.market.add_claim_file(claim.id, PNG, "Captura 4.12.28 p.m..png", "image/png")
    sandbox.market.add_claim_message(claim.id, "imagen", attachments=[file.file_name])
    sandbox.market.add_claim_message(claim.id, "Hola", sender="respondent")
    found = await client.claims.messages(claim.id)
    assert_holds(found, [msgspec.to_builtins(one) for one in claim.messages], "messages")
    assert [one.message for one in found] == ["Hola", "imagen"]


# "Response Fields" --------------------------------------------------------------------------


async def test_the_status_of_a_message(client: Client, sandbox: Sandbox) -> None:
    words = ["available", "moderated", "rejected", "pending_translation"]
    sandbox.inject(Fault(status=200, body=[{"status": word} for word in words]))
    assert [one.status for one in await client.claims.messages(CLAIM)] == words


@pytest.mark.parametrize("word", ["clean", "rejected", "pending", "non_moderated"])
async def test_the_result_of_the_moderation(client: Client, sandbox: Sandbox, word: str) -> None:
    """`reason`: OUT_OF_PLACE_LANGUAGE. `source`: online. `date_moderated`: when."""
    verdict = {"status": word, "reason": "OUT_OF_PLACE_LANGUAGE", "source": "online"}
    verdict["date_moderated"] = "2024-08-22T21:31:36Z"
    sandbox.inject(Fault(status=200, body=[{"message_moderation": verdict, "repeated": True}]))
    (message,) = await client.claims.messages(CLAIM)
    assert_holds(message.message_moderation, verdict, "message_moderation")
    assert message.repeated is True


# "Replying to Messages and Attaching Files" -------------------------------------------------

ACCEPTED: Final[dict[str, tuple[str, bytes]]] = {
    "JPG": ("photo.jpg", JPG),
    "JPEG in capitals": ("PHOTO.JPEG", JPG),
    "PNG": ("picture.png", PNG),
    "PDF": ("invoice.pdf", PDF),
    "5 MB": ("photo.jpg", JPG.ljust(5 * MIB)),
    "125 characters": ("a" * 121 + ".jpg", JPG),
    "every character": ("aZ09._-.png", PNG),
}
REFUSED: Final[dict[str, tuple[str, bytes, str]]] = {
    "empty": ("photo.jpg", b"", "size of a claim file"),
    "over 5 MB": ("photo.jpg", JPG.ljust(5 * MIB + 1), "size of a claim file"),
    "126 characters": ("a" * 122 + ".jpg", JPG, "length of a claim file name"),
    "a space": ("a b.jpg", JPG, "characters of a claim file name"),
    "an accent": ("pérdida.jpg", JPG, "characters of a claim file name"),
    "a slash": ("a/b.jpg", JPG, "characters of a claim file name"),
    "a colon": ("Captura 4:12.png", PNG, "characters of a claim file name"),
    "GIF": ("moving.gif", b"GIF89a", "kind of a claim file"),
    "text": ("notes.txt", b"notes", "kind of a claim file"),
    "no ending": ("photo", JPG, "kind of a claim file"),
    "PNG named JPG": ("photo.jpg", PNG, "kind of a claim file"),
    "JPG named PDF": ("photo.pdf", JPG, "kind of a claim file"),
    "program named PDF": ("invoice.pdf", b"MZ\x90\x00", "kind of a claim file"),
}


@pytest.mark.parametrize(("name", "data"), ACCEPTED.values(), ids=ACCEPTED)
async def test_a_file_that_keeps_the_rules_is_accepted(
    client: Client, sandbox: Sandbox, name: str, data: bytes
) -> None:
    claim = sandbox.market.add_claim().id
    upload = await client.claims.upload(claim, data, filename=name)
    assert await download_of_claim(client, claim, upload.file_name) == data


async def test_a_pdf_may_begin_in_its_first_kilobyte(client: Client, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(status=201, body={"file_name": "a.pdf"}))
    upload = await client.claims.upload(CLAIM, b"\n" * 1000 + PDF, filename="invoice.pdf")
    assert upload.file_name == "a.pdf"


@pytest.mark.parametrize("way", ["bytes", "path", "stream"])
@pytest.mark.parametrize(("name", "data", "rule"), REFUSED.values(), ids=REFUSED)
async def test_any_other_file_is_refused_before_sending(
    client: Client, sandbox: Sandbox, tmp_path: Path, name: str, data: bytes, rule: str, way: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    stream = iter([data[:3], data[3:]])
    ways: dict[str, SourceLike] = {"bytes": data, "path": path, "stream": stream}
    with pytest.raises(RuleError) as caught:
        await client.claims.upload(CLAIM, ways[way], filename=name)
    assert caught.value.rule == rule
    with pytest.raises(RuleError):
        await client.claims.send(CLAIM, "Hola", receiver_role="mediator", files=[PNG, path])
    assert sandbox.requests == []


async def test_the_error_of_an_invalid_name_shows_a_valid_one(client: Client) -> None:
    with pytest.raises(RuleError, match=r"'Captura_de_pantalla_4.12.28_p.m.png'") as caught:
        await client.claims.upload(CLAIM, PNG, filename="Captura de pantalla 4.12.28\u202fp.m..png")
    assert "a-z, A-Z, 0-9" in caught.value.limit


BY_CONTENT: Final = {"attachment.jpg": JPG, "attachment.png": PNG, "attachment.pdf": PDF}


@pytest.mark.parametrize("name", BY_CONTENT)
async def test_bytes_without_a_name_get_one_from_their_content(
    client: Client, sandbox: Sandbox, name: str
) -> None:
    claim = sandbox.market.add_claim().id
    upload = await client.claims.upload(claim, BY_CONTENT[name])
    info = await client.claims.attachment(claim, upload.file_name)
    assert info.original_filename == name


# "Uploading Attachments" --------------------------------------------------------------------


async def test_an_upload_is_the_form_of_the_example(tmp_path: Path) -> None:
    """The POST should be performed as form.data with file = file location."""
    path = tmp_path / "file.jpg"
    path.write_bytes(JPG)
    answer = read_sample("claim_messages.uploading_attachments")
    async with connect_in_turn(answers(201, answer)) as (client, server):
        upload = await client.claims.upload(CLAIM, path)
    head, body = server.received[0].split(b"\r\n\r\n", 1)
    assert head.startswith(b"POST /marketplace/v2/claims/5294629673/attachments HTTP/1.1\r\n")
    assert b"content-type: multipart/form-data; boundary=" in head.lower()
    assert f"content-length: {len(body)}".encode() in head.lower()
    assert body.count(b"Content-Disposition") == 1
    assert b'form-data; name="file"; filename="file.jpg"' in body
    assert_holds(upload, sample_value("claim_messages.uploading_attachments"), "upload")


@pytest.mark.parametrize("key", ["file_name", "filename"])
async def test_the_name_of_an_upload_is_what_a_message_takes(
    client: Client, sandbox: Sandbox, key: Literal["file_name", "filename"]
) -> None:
    sandbox.claim_upload_key = key
    claim = sandbox.market.add_claim().id
    upload = await client.claims.upload(claim, PDF, filename="invoice.pdf")
    await client.claims.send(claim, "Factura", receiver_role="complainant", attachments=[upload])
    (attachment,) = (await client.claims.messages(claim))[0].attachments or []
    assert (attachment.filename, attachment.original_filename) == (upload.file_name, "invoice.pdf")
    assert await download_of_claim(client, claim, upload.file_name) == PDF


# "Create a Message with the Uploaded File" --------------------------------------------------

ACTIONS: Final = [
    ("send_message_to_complainant", "respondent", "complainant", "claim"),
    ("send_message_to_respondent", "complainant", "respondent", "claim"),
    ("send_message_to_mediator", "respondent", "mediator", "dispute"),
]


@pytest.mark.parametrize(("action", "sender", "receiver", "stage"), ACTIONS)
async def test_each_action_of_the_table_lets_a_message_through(
    client: Client, sandbox: Sandbox, action: str, sender: str, receiver: str, stage: str
) -> None:
    """To verify it, the player must check the `available_actions` in the Claim details."""
    seller = {"role": sender, "type": "seller", "available_actions": [{"action": action}]}
    others = [{"type": "buyer", "available_actions": None}, {"role": "warehouse_dispatcher"}]
    sandbox.inject(Fault(status=200, body={"stage": stage, "players": [seller, *others]}))
    sandbox.inject(sample_fault(f"{SAMPLE}_with_attachment_response", 201))
    await client.claims.send(CLAIM, "Hola", receiver_role=receiver, check=True, sender_role=sender)
    path = "/marketplace/v2/claims/5294629673"
    assert request_lines(sandbox) == [f"GET {path}", f"POST {path}/actions/send-message"]


Stage = Literal["claim", "dispute"]
OPEN: Final[dict[Stage, str]] = {"claim": "complainant", "dispute": "mediator"}


@pytest.mark.parametrize("stage", OPEN)
async def test_the_stage_determines_whom_the_seller_may_write_to(
    client: Client, sandbox: Sandbox, stage: Stage
) -> None:
    claim = sandbox.market.add_claim(stage=stage)
    await client.claims.send(claim.id, "Hola", receiver_role=OPEN[stage], check=True)
    assert claim.messages[0].receiver_role == OPEN[stage]


@pytest.mark.parametrize(
    ("stage", "role"), [("claim", "respondent"), ("claim", "mediator"), ("dispute", "complainant")]
)
async def test_a_message_to_anyone_else_is_refused_before_sending(
    client: Client, sandbox: Sandbox, stage: Stage, role: str
) -> None:
    """Only if they have the action assigned to their profile: another player's do not count."""
    claim = sandbox.market.add_claim(stage=stage)
    with pytest.raises(ActionNotAvailable, match=f"send_message_to_{role}") as caught:
        await client.claims.send(claim.id, "Hola", receiver_role=role, files=[PNG], check=True)
    assert caught.value.action == f"send_message_to_{role}"
    assert caught.value.open_roles == (OPEN[stage],)
    assert request_lines(sandbox) == [f"GET /marketplace/v2/claims/{claim.id}"]


@pytest.mark.parametrize("sender", ["respondant", "", None, 5])
async def test_an_unknown_role_of_the_sender_is_refused(
    client: Client, sandbox: Sandbox, sender: str
) -> None:
    with pytest.raises(RuleError, match="`sender_role`"):
        await client.claims.send(
            CLAIM, "Hola", receiver_role="complainant", check=True, sender_role=sender
        )
    assert not sandbox.requests


async def test_a_role_that_the_claim_does_not_have_may_write_to_nobody(
    client: Client, sandbox: Sandbox
) -> None:
    action = {"action": "send_message_to_complainant"}
    players = [{"role": "respondent", "available_actions": [action]}]
    sandbox.inject(Fault(status=200, body={"players": players}))
    with pytest.raises(ActionNotAvailable) as caught:
        await client.claims.send(
            CLAIM, "Hola", receiver_role="complainant", check=True, sender_role="mediator"
        )
    assert caught.value.open_roles == ()
    assert len(sandbox.requests) == 1


async def test_a_closed_claim_takes_no_message_at_all(client: Client, sandbox: Sandbox) -> None:
    claim = sandbox.market.add_claim(status="closed")
    with pytest.raises(ActionNotAvailable, match="no message at all") as caught:
        await client.claims.send(claim.id, "Hola", receiver_role="complainant", check=True)
    assert caught.value.open_roles == ()


async def test_a_claim_has_its_players_and_their_actions(client: Client, sandbox: Sandbox) -> None:
    served = sandbox.market.add_claim(stage="dispute")
    claim = await client.claims.get(served.id)
    assert (claim.stage, claim.status) == ("dispute", "opened")
    assert_holds(claim.players, [msgspec.to_builtins(one) for one in served.players], "players")
    assert claim.available_actions == {"send_message_to_mediator"}


@pytest.mark.parametrize("name", ["with_attachment", "without_attachment"])
async def test_a_message_is_sent_as_in_the_example(name: str) -> None:
    body = sample_object(f"{SAMPLE}_{name}")
    attachments = msgspec.convert(body["attachments"], list[str])
    async with connect_in_turn(answers(201, read_sample(f"{SAMPLE}_{name}_response"))) as (
        client,
        server,
    ):
        text, role = str(body["message"]), str(body["receiver_role"])
        sent = await client.claims.send(CLAIM, text, receiver_role=role, attachments=attachments)
    head, written = server.received[0].split(b"\r\n\r\n", 1)
    path = b"/marketplace/v2/claims/5294629673/actions/send-message"
    assert head.startswith(b"POST " + path + b" HTTP/1.1\r\n")
    assert b"content-type: application/json" in head.lower()
    assert json.loads(written) == body
    assert (sent.status_code, sent.id) == (201, None)


@pytest.mark.parametrize("kind", ["seed", "plain", "object", "empty"])
async def test_a_message_is_sent_once_whatever_the_response_looks_like(
    client: Client, sandbox: Sandbox, kind: Literal["seed", "plain", "object", "empty"]
) -> None:
    sandbox.claim_send_answer = kind
    claim = sandbox.market.add_claim().id
    sent = await client.claims.send(claim, "¡Hola!", receiver_role="complainant")
    assert sent.status_code == 201
    assert (sent.id is not None) == (kind == "object")
    assert len(sandbox.requests) == 1
    newest = (await client.claims.messages(claim))[0]
    assert (newest.message, newest.receiver_role) == ("¡Hola!", "complainant")


async def test_files_are_uploaded_and_attached_in_their_order(
    client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "guide.pdf"
    path.write_bytes(PDF)
    claim = sandbox.market.add_claim().id
    first = await client.claims.upload(claim, PNG)
    await client.claims.send(
        claim, "Hola", receiver_role="complainant", attachments=[first], files=[path, JPG]
    )
    listed = (await client.claims.messages(claim))[0].attachments or []
    assert [await download_of_claim(client, claim, one.filename or "") for one in listed] == [
        PNG,
        PDF,
        JPG,
    ]


@pytest.mark.parametrize(
    ("text", "role"),
    [("", "mediator"), ("Hola", ""), ("Hola", "buyer"), ("Hola", "warehouse_dispatcher")],
)
async def test_a_message_that_breaks_a_rule_is_refused_before_sending(
    client: Client, sandbox: Sandbox, text: str, role: str
) -> None:
    """`message`: cannot be empty. `receiver_role`: must be a valid role."""
    with pytest.raises(RuleError, match=r"`text` of a message|`receiver_role`.*'mediator'"):
        await client.claims.send(CLAIM, text, receiver_role=role, files=[PNG], check=True)
    assert sandbox.requests == []


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(action="drop")], ids=["500", "lost"])
async def test_a_message_is_never_sent_twice(
    client: Client, sandbox: Sandbox, fault: Fault
) -> None:
    sandbox.inject(fault)
    with pytest.raises(OutcomeUnknown):
        await client.claims.send(CLAIM, "Hola", receiver_role="complainant")
    assert len(sandbox.requests) == 1


# "Download the file" ------------------------------------------------------------------------

FILE = "1517482146_31489bf8-95e3-4a2d-bcff-3c57771fb7c4.png"


async def test_a_file_is_requested_as_in_the_call(
    client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The call names /marketplace/v2; its example /post-purchase/v1, see the older claims."""
    sandbox.inject(Fault(status=200, body=PNG, headers={"Content-Type": "image/png"}, times=2))
    saved = await client.claims.download(CLAIM, FILE, tmp_path)
    assert saved.path == tmp_path / FILE
    assert saved.path.read_bytes() == await download_of_claim(client, CLAIM, FILE) == PNG
    target = f"/marketplace/v2/claims/5294629673/attachments/{FILE}/download"
    assert request_lines(sandbox) == [f"GET {target}"] * 2


# "Get file information" ---------------------------------------------------------------------


async def test_the_information_of_a_file_is_requested_as_in_the_example(
    client: Client, sandbox: Sandbox
) -> None:
    sandbox.inject(sample_fault("claim_messages.get_file_information"))
    info = await client.claims.attachment(CLAIM, "example.png")
    assert request_lines(sandbox) == [
        "GET /post-purchase/v1/claims/5294629673/attachments/example.png"
    ]
    assert_holds(info, sample_value("claim_messages.get_file_information"), "info")


# "Error Responses" --------------------------------------------------------------------------

DENIED = "PA_UNAUTHORIZED_RESULT_FROM_POLICIES", "At least one policy returned UNAUTHORIZED."
ERRORS: Final = {
    "error_401_missing_authorization_header": (
        401, AuthenticationError, "unauthorized_request_error", "Invalid caller.id",
    ),
    "error_400_malformed_access_token": (
        400, AuthenticationError, "bad_request", "Malformed access_token: ***",
    ),
    "error_403_policy_agent_denied_access": (403, PermissionDenied, *DENIED),
    "error_404_claim_not_found": (
        404, NotFound, "not_found_error", "Claim not found. claimId: 9999999999999",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
async def test_each_example_of_an_error_has_its_class(
    client: Client, sandbox: Sandbox, name: str
) -> None:
    """A token that is echoed is not repeated."""
    status, kind, code, message = ERRORS[name]
    sandbox.inject(sample_fault(f"claim_messages.{name}", status))
    with pytest.raises(ApiError) as caught:
        await client.claims.messages(CLAIM)
    assert type(caught.value) is kind
    found = caught.value.status, caught.value.code, caught.value.message
    assert found == (status, code, message)
    assert "INVALID_TOKEN" not in f"{caught.value!r} {caught.value.body!r}"
    assert len(sandbox.requests) == 1


async def test_what_the_seller_may_not_see_or_is_not_there(
    client: Client, sandbox: Sandbox
) -> None:
    """403: User not authorized, or PolicyAgent denied the request. 404: does not exist."""
    sandbox.market.denied.add(CLAIM)
    with pytest.raises(PermissionDenied, match="At least one policy"):
        await client.claims.get(CLAIM)
    with pytest.raises(NotFound, match="claimId: 1"):
        await client.claims.messages(1)
    claim = sandbox.market.add_claim()
    with pytest.raises(NotFound, match=r"gone\.png"):
        await download_of_claim(client, claim.id, "gone.png")
