"""Every JSON example of the four documents is read, or written, and none of its values is lost."""

import json
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import TypeVar

import msgspec
import pytest
from seeds import (
    EXAMPLES,
    REPAIRED,
    SAMPLES,
    SEEDS,
    SOLUTIONS,
    assert_holds,
    json_examples,
    read_sample,
    sample_object,
    sample_value,
)
from sources import empty_form

from mlmsg import _operations
from mlmsg._error_bodies import api_error, read_error_body
from mlmsg._wire import Request, Response, decode
from mlmsg.errors import RequestLine
from mlmsg.models import ClaimSent, Message

T = TypeVar("T")
Reader = Callable[[str], object]


def answer_to(request: Request[T]) -> Reader:
    """Return a function that reads a sample as the response to this request."""
    return lambda name: decode(request, Response(200, {}, read_sample(name)))


THREAD = answer_to(_operations.pack_page(1, 50, 0))
SELLER_THREAD = answer_to(_operations.seller_thread(1, 2, None, 0, mark_as_read=True))
UNREAD = answer_to(_operations.unread("seller"))
UNREAD_OF_ONE = answer_to(_operations.unread_of("/packs/1234/sellers/2345"))

ANSWERS = {
    "post_sale_messages.get_messages_by_pack": THREAD,
    "post_sale_messages.get_message_by_id": THREAD,
    "post_sale_messages.upload_attachment": answer_to(_operations.upload("MLM", empty_form("a"))),
    "claim_messages.retrieve_all_messages_of_a_claim": answer_to(_operations.claim_messages(1)),
    "claim_messages.uploading_attachments": answer_to(_operations.claim_upload(1, empty_form("a"))),
    "claim_messages.get_file_information": answer_to(_operations.claim_file(1, "a.png")),
    "pending_messages.pending_messages_filtered_by_resource": UNREAD_OF_ONE,
    "pending_messages.use_modes": UNREAD,
    "pending_messages.use_modes_nothing_pending": UNREAD,
    "pending_messages.mark_messages_as_read": SELLER_THREAD,
    "mensajes_pendientes.mensajes_pendientes_de_leer_filtrado_por_resource": UNREAD_OF_ONE,
    "mensajes_pendientes.modos_de_uso": UNREAD,
    "mensajes_pendientes.modos_de_uso_sin_pendientes": UNREAD,
    "mensajes_pendientes.marcar_mensajes_como_leidos": SELLER_THREAD,
}
"""The reader of each example response."""

TEXTS = (
    "claim_messages.create_a_message_with_attachment_response",
    "claim_messages.create_a_message_without_attachment_response",
)
"""Answers that are a text."""

ERRORS = {
    "post_sale_messages.get_attachment_not_accessible": 500,
    "post_sale_messages.get_attachment_without_token": 400,
    "claim_messages.error_401_missing_authorization_header": 401,
    "claim_messages.error_400_malformed_access_token": 400,
    "claim_messages.error_403_policy_agent_denied_access": 403,
    "claim_messages.error_404_claim_not_found": 404,
}
"""The error bodies among the examples, and the status that each comes with."""

POST_SALE_BODIES = (
    "post_sale_messages.create_message_request",
    "post_sale_messages.create_message",
    "post_sale_messages.create_message_without_attachments",
)
CLAIM_BODIES = (
    "claim_messages.create_a_message_call",
    "claim_messages.create_a_message_with_attachment",
    "claim_messages.create_a_message_without_attachment",
)
FORMS = (
    "claim_messages.uploading_attachments_call",
    "claim_messages.uploading_attachments_example",
)


class PostSaleBody(msgspec.Struct):
    text: str
    text_translated: str
    attachments: list[str] = []


class ClaimBody(msgspec.Struct):
    receiver_role: str
    message: str
    attachments: list[str]


# The samples --------------------------------------------------------------------------------


def test_every_sample_is_an_example_and_is_compared_below() -> None:
    listed = [name for names in EXAMPLES.values() for name in names]
    compared = [*ANSWERS, *TEXTS, *ERRORS, *POST_SALE_BODIES, *CLAIM_BODIES, *FORMS]
    assert sorted(listed) == sorted(path.stem for path in SAMPLES.iterdir())
    assert sorted(listed) == sorted(compared)


def test_the_samples_are_the_examples_of_the_documents() -> None:
    """In their order, none left out; broken ones as `REPAIRED` says."""
    if not SEEDS.is_dir():
        pytest.skip("the documents are not here")
    for number, names in EXAMPLES.items():
        (path,) = SEEDS.glob(f"{number}_*")
        seed = path.read_text(encoding="utf-8")
        for name, text in zip(names, json_examples(seed), strict=True):
            if name in REPAIRED:
                assert text == REPAIRED[name][0], name
            else:
                assert json.loads(text) == sample_value(name), name
        if number == "000":
            rows = re.findall(r"(?m)^\| (?:(\d{3}) \| )?(.+?) \| ([^|]+?) \|(?: \|)?$", seed)
            table = rows[-len(SOLUTIONS) :]
            assert [row[1:] for row in table] == [row[1:] for row in SOLUTIONS]
            assert all(
                row[0] in {"", str(s)} for row, (s, *_) in zip(table, SOLUTIONS, strict=True)
            )


@pytest.mark.parametrize("name", REPAIRED)
def test_a_repaired_sample_was_broken(name: str) -> None:
    text, word = REPAIRED[name]
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(text)
    assert word


# Responses -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_held_value_by_value(name: str) -> None:
    assert_holds(ANSWERS[name](name), sample_value(name), name)


def test_the_one_message_of_an_envelope_is_held_value_by_value() -> None:
    name = "post_sale_messages.get_message_by_id"
    found = answer_to(_operations.message("testmessage1123456"))(name)
    assert isinstance(found, Message)
    assert_holds([found], sample_object(name)["messages"], name)


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_in_place_of_an_object_is_a_success(name: str) -> None:
    request = _operations.send_to_claim(1, "Hola", "complainant", [])
    found = decode(request, Response(201, {}, read_sample(name)))
    assert found == ClaimSent(status_code=201)
    assert sample_value(name) == f"status {found.status_code} created"


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_body_is_held_value_by_value(name: str) -> None:
    line = RequestLine("packs.page", "GET", "/marketplace/messages/packs/1")
    body = read_error_body(read_sample(name))
    error = api_error(ERRORS[name], read_sample(name), {}, line, 1)
    assert (error.code, error.message, error.cause) == (body.code, body.message, body.cause)
    for key, value in sample_object(name).items():
        if key == "cause":
            assert value in ([], None)
            assert error.cause == ()
        elif key in {"code", "error"} and not isinstance(value, int):
            assert error.code == value
        elif key in {"code", "status"}:
            assert error.status == value
        elif key == "message":
            assert error.message == value
    assert json.loads(error.body) == sample_value(name)


# Requests -------------------------------------------------------------------------


@pytest.mark.parametrize("name", POST_SALE_BODIES)
def test_a_send_is_written_as_the_example(name: str) -> None:
    body = msgspec.json.decode(read_sample(name), type=PostSaleBody)
    request = _operations.send_to_pack(1, body.text, body.text_translated, body.attachments)
    assert json.loads(request.body or b"") == sample_value(name)


@pytest.mark.parametrize("name", CLAIM_BODIES)
def test_a_claim_message_is_written_as_the_example(name: str) -> None:
    body = msgspec.json.decode(read_sample(name), type=ClaimBody)
    request = _operations.send_to_claim(1, body.message, body.receiver_role, body.attachments)
    assert json.loads(request.body or b"") == sample_value(name)


@pytest.mark.parametrize("name", FORMS)
async def test_a_claim_upload_is_the_form_of_the_example(name: str) -> None:
    ((key, path),) = sample_object(name).items()
    file = empty_form(PurePosixPath(str(path)).name)
    upload = _operations.claim_upload(1, file).upload
    assert upload is file
    sent = b"".join([bytes(block) async for block in file.chunks()])
    assert sent.count(b"Content-Disposition") == 1
    assert f'form-data; name="{key}"; filename="{file.source.filename}"'.encode() in sent
