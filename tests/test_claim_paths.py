"""The paths of claims: ids that stay one segment, and claims that answer under an older path.

Some claims refuse the v2 path with a 401 and a text containing "Claims 1.0",
which is no expired token; the `/post-purchase/v1/claims/...` twin of the path answers for them.
"""

import re
from pathlib import Path
from typing import Final

import msgspec
import pytest
from calls import TOKEN, Call, connect_in_turn, download_of_claim
from rawserver import answers, in_turn, raw_server
from seeds import sample_fault

from mlmsg import AuthenticationError, Client, RetryPolicy, RuleError
from mlmsg.sandbox import Fault, Sandbox

PNG = b"\x89PNG\r\n\x1a\n a picture"


# Ids ----------------------------------------------------------------------------------------

LEAVING: Final[dict[str, Call]] = {
    "claim": lambda client: client.claims.messages("1/../2"),
    "claim to read": lambda client: client.claims.get(".."),
    "claim to send to": lambda client: client.claims.send("1/2", "a", receiver_role="mediator"),
    "claim to upload to": lambda client: client.claims.upload("1\\2", PNG),
    "file": lambda client: client.claims.attachment(1, ".."),
    "file to save": lambda client: client.claims.download(1, "a/b.png", "/dev/null/never"),
}


@pytest.mark.parametrize("call", LEAVING.values(), ids=LEAVING)
async def test_an_id_that_would_leave_its_segment_is_refused_before_sending(
    client: Client, sandbox: Sandbox, call: Call
) -> None:
    with pytest.raises(RuleError):
        await call(client)
    assert sandbox.requests == []


# The older path -----------------------------------------------------------------------------

OLD = b'{"message": "This claim must be read with Claims 1.0", "status": 401}'
V1_CALLS: Final[dict[str, tuple[Call, str, bytes]]] = {
    "messages": (lambda client: client.claims.messages(1), "/messages", b"[]"),
    "get": (lambda client: client.claims.get(1), "", b'{"players": []}'),
    "open": (
        lambda client: download_of_claim(client, 1, "a.png"),
        "/attachments/a.png/download", PNG,
    ),
    "upload": (lambda client: client.claims.upload(1, PNG), "/attachments", b'{"filename": "a"}'),
    "send": (
        lambda client: client.claims.send(1, "Hola", receiver_role="mediator"),
        "/actions/send-message", b'"status 201 created"',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "path", "answer"), V1_CALLS.values(), ids=V1_CALLS)
async def test_a_v1_claim_is_requested_at_its_v1_path(call: Call, path: str, answer: bytes) -> None:
    """This 401 does not mean an expired token: the same token is sent again."""
    async with connect_in_turn(answers(401, OLD), answers(200, answer)) as (client, server):
        await call(client)
    (received,) = server.received
    asked_for = re.findall(rb"(?:GET|POST) (/\S+) HTTP/1.1\r\n", received)
    newer, older = f"/marketplace/v2/claims/1{path}", f"/post-purchase/v1/claims/1{path}"
    assert asked_for == [newer.encode(), older.encode()]
    assert received.count(f"Bearer {TOKEN}\r\n".encode()) == 2


async def test_the_file_of_a_v1_claim_is_saved_from_its_v1_path(tmp_path: Path) -> None:
    async with connect_in_turn(answers(401, OLD), answers(200, PNG)) as (client, _):
        saved = await client.claims.download(1, "a.png", tmp_path)
    assert saved.path.read_bytes() == PNG


async def test_a_v1_claim_gets_the_same_bytes_and_the_same_message() -> None:
    async with connect_in_turn(
        answers(401, OLD), answers(200, b'{"file_name": "a.png"}'),
        answers(401, OLD), answers(201),
    ) as (client, server):  # fmt: skip
        upload = await client.claims.upload(1, iter([PNG]), filename="a.png")
        await client.claims.send(1, "Hola", receiver_role="mediator", attachments=[upload])
    (received,) = server.received
    assert received.count(PNG) == 2
    message = b'{"receiver_role":"mediator","message":"Hola","attachments":["a.png"]}'
    assert received.count(message) == 2


@pytest.mark.parametrize(("call", "path", "answer"), V1_CALLS.values(), ids=V1_CALLS)
async def test_any_other_401_is_an_authentication_error_at_once(
    client: Client, sandbox: Sandbox, call: Call, path: str, answer: bytes
) -> None:
    sandbox.inject(sample_fault("claim_messages.error_401_missing_authorization_header", 401))
    with pytest.raises(AuthenticationError):
        await call(client)
    assert len(sandbox.requests) == 1


async def test_an_older_path_that_refuses_too_ends_it(client: Client, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(status=401, body=OLD, times=5))
    with pytest.raises(AuthenticationError) as caught:
        await client.claims.messages(1)
    assert len(sandbox.requests) == 2
    assert caught.value.request is not None
    assert caught.value.request.path == "/post-purchase/v1/claims/1/messages"


async def test_a_v1_claim_supports_every_call(
    client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    claim = sandbox.market.add_claim(version_1=True)
    upload = await client.claims.upload(claim.id, PNG)
    await client.claims.send(
        claim.id, "Hola", receiver_role="complainant", attachments=[upload], check=True
    )
    (message,) = await client.claims.messages(claim.id)
    assert message.message == "Hola"
    info = await client.claims.attachment(claim.id, upload.file_name)
    assert [info] == message.attachments
    saved = await client.claims.download(claim.id, upload.file_name, tmp_path)
    assert (
        saved.path.read_bytes()
        == await download_of_claim(client, claim.id, upload.file_name)
        == PNG
    )
    newer = [one for one in sandbox.requests if one.path.startswith("/marketplace/v2/")]
    assert {one.status for one in newer} == {401}


async def test_the_v1_path_of_a_claim_costs_no_attempt() -> None:
    old = msgspec.json.encode({"message": "Claims 1.0 are not supported", "status": 401})
    script = in_turn(answers(401, old), answers(500), answers(200, b"[]"))
    retry = RetryPolicy(attempts=2, base=0)
    async with raw_server(script) as server, Client(TOKEN, base_url=server.url, retry=retry) as one:
        assert await one.claims.messages(5) == []
