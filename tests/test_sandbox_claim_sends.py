"""The sandbox's messages to claims with a bare aiohttp session: actions and refusals."""

import re
from typing import Literal

import msgspec
import pytest
from aiohttp import ClientSession
from sandboxes import (
    ACTIONS,
    EXAMPLE,
    MUGS,
    PDF,
    V2,
    both_families,
    error_body,
    framed_jpg,
    get_body,
    upload_to_claim,
)

from mlmsg.sandbox import (
    AvailableAction,
    Claim,
    ClaimMessage,
    Market,
    Sandbox,
)
from mlmsg.sandbox.schemas.claims import Role, Stage


@both_families
async def test_from_upload_to_message_to_download(
    http: ClientSession, sandbox: Sandbox, base: str
) -> None:
    uploaded = await upload_to_claim(
        http, f"{base}{MUGS}/attachments", framed_jpg(PDF, "factura.pdf")
    )
    name = uploaded["file_name"]
    sent = {"receiver_role": "complainant", "message": "Va la factura", "attachments": [name]}
    async with http.post(f"{base}{MUGS}/actions/send-message", json=sent) as response:
        assert response.status == 201
    newest = msgspec.json.decode(
        await get_body(http, f"{base}{MUGS}/messages"), type=list[ClaimMessage]
    )[0]
    assert newest == sandbox.market.claims[MUGS].messages[0]
    assert (newest.sender_role, newest.receiver_role) == ("respondent", "complainant")
    assert (newest.message, newest.translated_message) == ("Va la factura", None)
    assert (newest.stage, newest.status, newest.date_read) == ("claim", "available", None)
    (attachment,) = newest.attachments
    assert (attachment.original_filename, attachment.size) == ("factura.pdf", len(PDF))
    path = f"{base}{MUGS}/attachments/{attachment.filename}/download"
    assert await get_body(http, path) == PDF
    async with http.get(base + MUGS) as response:
        assert (await response.json())["last_updated"] == newest.date_created


@pytest.mark.parametrize("attachments", [{}, {"attachments": []}, {"attachments": None}])
async def test_a_message_needs_no_attachments(
    http: ClientSession, sandbox: Sandbox, attachments: dict[str, object]
) -> None:
    sent = {"receiver_role": "complainant", "message": "Hola", **attachments}
    async with http.post(f"{V2}{MUGS}/actions/send-message", json=sent) as response:
        assert response.status == 201
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
    async with http.post(f"{V2}{MUGS}/actions/send-message", json=sent) as response:
        assert response.status == 201
        assert response.content_type == content_type
        assert re.fullmatch(content, await response.read())
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
async def test_a_player_needs_the_action_to_send(
    http: ClientSession, sandbox: Sandbox, *, stage: Stage, role: Role, receiver: Role
) -> None:
    claim = of_seller(sandbox.market, role, stage)
    sent = {"receiver_role": receiver, "message": "Hola"}
    action = f"send_message_to_{receiver}"
    async with http.post(f"{V2}{claim.id}/actions/send-message", json=sent) as response:
        if action in ACTIONS[stage, role]:
            assert response.status == 201
            (message,) = claim.messages
            assert (message.sender_role, message.receiver_role) == (role, receiver)
            assert message.stage == stage
        else:
            assert response.status == 403
            message_403 = f"The action {action} is not available for the {role}"
            assert await response.json() == error_body(403, message_403)
            assert claim.messages == []


async def test_a_test_may_change_the_actions(http: ClientSession, sandbox: Sandbox) -> None:
    seller = sandbox.market.claims[MUGS].player("respondent")
    sent = {"receiver_role": "mediator", "message": "Hola"}
    target = f"{V2}{MUGS}/actions/send-message"
    seller.available_actions = [AvailableAction("send_message_to_mediator", False, None)]
    async with http.post(target, json=sent) as response:
        assert response.status == 201
    seller.available_actions.clear()
    async with http.post(target, json=sent) as response:
        assert response.status == 403


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
async def test_refused_sends(
    http: ClientSession, sandbox: Sandbox, *, content: bytes, status: int, message: str
) -> None:
    async with http.post(f"{V2}{MUGS}/actions/send-message", data=content) as response:
        assert response.status == status
        assert await response.json() == error_body(status, message)
    assert sandbox.market.claims == EXAMPLE.claims


@pytest.mark.parametrize(
    "content", [b"", b"message=Hola", b"[]", b'{"message":7}', b'{"message":"\xff"}']
)
async def test_a_send_that_is_not_the_documented_json(
    http: ClientSession, sandbox: Sandbox, content: bytes
) -> None:
    async with http.post(f"{V2}{MUGS}/actions/send-message", data=content) as response:
        assert response.status == 400
        assert (await response.json())["message"].startswith("Invalid body: ")
    assert sandbox.market.claims == EXAMPLE.claims
