"""Ids and numbers in answers: ASCII digits, as many as an id may have, and nothing raises."""

import json
from collections.abc import Callable
from typing import Final

import pytest

from mlmsg import Client, RuleError, _operations
from mlmsg._error_bodies import read_error_body
from mlmsg._numbers import whole_number
from mlmsg._wire import Response, decode
from mlmsg.errors import NotificationError
from mlmsg.models import Claim, ConversationStatus, Message, Resource, UnreadResult
from mlmsg.models._flat_message import unflatten
from mlmsg.notifications import parse

NUMBERS: Final = {"0": 0, "12": 12, "007": 7, "18446744073709551615": 18446744073709551615}
NO_NUMBERS: Final = {
    "of another script": "١٢",
    "superscript": "²",
    "full width": "\uff11\uff12",
    "more than an id has": "9" * 21,
    "more than Python converts": "9" * 5000,
    "a sign": "-1",
    "a fraction": "1.0",
    "spaces": " 1",
    "a line end": "1\n",
    "nothing": "",
}
each_odd_number = pytest.mark.parametrize("text", NO_NUMBERS.values(), ids=NO_NUMBERS)


@pytest.mark.parametrize("text", NUMBERS)
def test_digits_are_a_number(text: str) -> None:
    assert whole_number(text) == NUMBERS[text]


@each_odd_number
def test_other_texts_are_no_number(text: str) -> None:
    assert whole_number(text) is None


def claim(**keys: object) -> Claim:
    body = json.dumps({"id": 1, **keys}).encode()
    return decode(_operations.claim(1), Response(200, {}, body))


READERS: Final[dict[str, Callable[[str], object]]] = {
    "claims of a thread": lambda text: ConversationStatus(claim_ids=[text]).claims,
    "pack of a message": lambda text: (
        Message(id="m", message_resources=[Resource(id=text, name="packs")]).pack_id
    ),
    "pack of a flat message": lambda text: unflatten({"resource": f"/packs/{text}"}).get(
        "message_resources"
    ),
    "pack of an unread row": lambda text: UnreadResult(resource=f"/packs/{text}").pack_id,
    "seller of an unread row": lambda text: (
        UnreadResult(resource=f"/packs/1/sellers/{text}").seller_id
    ),
}


@each_odd_number
@pytest.mark.parametrize("name", READERS)
def test_an_odd_number_in_an_answer_names_nothing(name: str, text: str) -> None:
    assert READERS[name](text) in (None, [])


@pytest.mark.parametrize("text", ["١٢", "9" * 5000, "9" * 21])
def test_an_odd_id_of_a_claim_stays_a_text(text: str) -> None:
    found = claim(resource_id=text, parent_id=text)
    assert (found.resource_id, found.parent_id) == (text, text)


@each_odd_number
def test_an_odd_number_of_a_claim_is_no_claim(text: str) -> None:
    resource = f"/post-purchase/v1/claims/{text}"
    with pytest.raises(NotificationError):
        parse(json.dumps({"topic": "post_purchase", "user_id": 1, "resource": resource}))


def test_a_status_under_code_is_no_code() -> None:
    assert read_error_body(b'{"code": "404", "message": "no"}').code is None
    assert read_error_body('{"code": "٤٠٤", "message": "no"}'.encode()).code == "٤٠٤"


@pytest.mark.parametrize("text", ["١٢", "9" * 5000, "x"])
async def test_an_odd_id_of_a_user_is_refused(text: str) -> None:
    with pytest.raises(RuleError, match=r"`user_id`.*digits"):
        Client("stand-in", global_selling=False, user_id=text)
