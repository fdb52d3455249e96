"""The flat message, wherever a message may stand (api, section 2)."""

import json
from typing import Final

import pytest

from mlmsg import Attachment, Message, _operations
from mlmsg._wire import Response, decode

FLAT: Final[dict[str, object]] = {
    "message_id": "0037f73ab23e4ebf8a35d53a2f3f4f3d",
    "date_received": "2026-02-11T15:40:09.000Z",
    "date": "2026-02-11T15:40:08.000Z",
    "date_available": "2026-02-11T15:40:10Z",
    "date_notified": None,
    "date_read": "2026-02-12T09:00:00.000-04:00",
    "from": {"user_id": 415458330, "name": "BUYER"},
    "to": [{"user_id": 415460047, "email": "x@example.com"}],
    "subject": None,
    "text": {"plain": "Hola"},
    "attachments": [
        {"filename": "415_a.png", "original_filename": "a.png", "size": 5, "type": "image/png"}
    ],
    "attachments_validations": {"invalid_size": []},
    "site_id": "MLM",
    "resource": "packs",
    "resource_id": "2000000089077943",
    "status": "available",
    "moderation": {"status": "clean", "date_moderated": "2026-02-11T15:40:09Z", "source": "online"},
}


FILE: Final = Attachment(filename="415_a.png", original_filename="a.png", size=5, type="image/png")


def read(value: object, request: object = None) -> Message:
    message = decode(_operations.message(1), Response(200, {}, json.dumps(value).encode()))
    assert isinstance(message, Message)
    return message


def test_every_part_of_it_is_read() -> None:
    message = read(FLAT)
    assert message.id == FLAT["message_id"]
    assert message.text == "Hola"
    assert message.from_ is not None
    assert message.to is not None
    assert (message.from_.user_id, message.to.user_id) == (415458330, 415460047)
    dates = message.message_date
    assert dates is not None
    assert str(dates.created) == "2026-02-11 15:40:08+00:00"
    assert str(dates.received) == "2026-02-11 15:40:09+00:00"
    assert str(dates.available) == "2026-02-11 15:40:10+00:00"
    assert dates.notified is None
    assert str(dates.read) == "2026-02-12 09:00:00-04:00"
    assert [(file.filename, file.size) for file in message.attachments] == [("415_a.png", 5)]
    moderation = message.message_moderation
    assert moderation is not None
    assert (moderation.status, moderation.source) == ("clean", "online")
    assert str(moderation.moderation_date) == "2026-02-11 15:40:09+00:00"
    assert message.pack_id == 2000000089077943
    assert message.site_id == "MLM"


VARIANTS: Final[dict[str, tuple[dict[str, object], str, object]]] = {
    "`to` is an object": ({"to": {"user_id": "7"}}, "to.user_id", 7),
    "`to` is an empty list": ({"to": []}, "to", None),
    "`from` is a list": ({"from": [{"user_id": 8}]}, "from_.user_id", 8),
    "the text is a text": ({"text": "Hola"}, "text", "Hola"),
    "the text is null": ({"text": None}, "text", None),
    "no attachments": ({"attachments": []}, "attachments", []),
    "an empty attachment": ({"attachments": [{}]}, "attachments", []),
    "null for attachments": ({"attachments": None}, "attachments", []),
    "an order": ({"resource": "orders", "resource_id": 5}, "pack_id", 5),
    "a pack in the singular": ({"resource": "/pack", "resource_id": 5}, "pack_id", 5),
    "a path": ({"resource": "/packs/1/sellers/2", "resource_id": None}, "pack_id", 1),
    "a path with its seller": ({"resource": "packs/1/sellers/2"}, "seller_id", 2),
    "the text under another key": ({"text": {"text": "Hola"}}, "text", "Hola"),
    "the text as HTML alone": ({"text": {"plain": None, "html": "Hola"}}, "text", "Hola"),
    "a translated text": ({"text_translated": {"plain": "Hi"}}, "text_translated", "Hi"),
    "the id under both keys": ({"id": "m1"}, "attachments", [FILE]),
    "a text beside the id": ({"id": "m1", "text": "Hola"}, "attachments", [FILE]),
    "no resource": ({"resource": None}, "pack_id", None),
    "moderation is null": ({"moderation": None}, "message_moderation", None),
    "another status": ({"status": "IN_MODERATION"}, "status", "IN_MODERATION"),
    "an odd date": ({"date_read": "soon"}, "message_date.read", None),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_its_parts_vary(name: str) -> None:
    changes, path, expected = VARIANTS[name]
    found: object = read(FLAT | changes)
    for part in path.split("."):
        found = getattr(found, part)
    assert found == expected


BODIES: Final = {
    "alone": FLAT,
    "in `messages`": {"messages": [FLAT]},
    "alone in `messages`": {"messages": FLAT},
    "in `message`": {"message": FLAT},
    "in `data`": {"data": FLAT},
    "in `results`": {"results": [FLAT], "paging": None},
    "in an array": [FLAT],
    "after something else": [None, {"status": "ok"}, FLAT],
    "beside other keys": {"paging": None, "conversation_status": None, "messages": [FLAT]},
}


@pytest.mark.parametrize("name", BODIES)
def test_it_is_read_from_the_answer_to_a_send(name: str) -> None:
    body = json.dumps(BODIES[name]).encode()
    for request in (
        _operations.send_to_pack(1, "Hola", None, []),
        _operations.send_as_seller(1, 2, 3, "Hola", []),
        _operations.send_reason(1, "OTHER", "Hola", None, None),
    ):
        sent = decode(request, Response(201, {}, body))
        assert sent.id == FLAT["message_id"]
        assert sent.message == read(FLAT)


@pytest.mark.parametrize("name", BODIES)
def test_it_is_read_from_the_answer_to_its_id(name: str) -> None:
    assert read(BODIES[name]) == read(FLAT)


@pytest.mark.parametrize("text", ["Hola", {"plain": "Hola"}])
@pytest.mark.parametrize("keys", [["id"], ["id", "message_id"], ["message_id"]])
def test_nothing_of_it_is_lost_in_a_page_whatever_the_key_of_its_id(
    keys: list[str], text: object
) -> None:
    """A flat message with an `id` and a plain text fits the documented shape, too."""
    flat = {key: value for key, value in FLAT.items() if key != "message_id"} | {"text": text}
    row = flat | dict.fromkeys(keys, FLAT["message_id"])
    body = json.dumps({"messages": [row]}).encode()
    page = decode(_operations.pack_page(1, 50, 0), Response(200, {}, body))
    assert page.messages == [read(FLAT)]


def test_a_page_may_mix_both_shapes() -> None:
    nested = {"id": "m2", "text": "Hi", "message_date": {"created": "2026-01-01T00:00:00Z"}}
    body = json.dumps({"paging": {"total": 2}, "messages": [FLAT, nested]}).encode()
    page = decode(_operations.pack_page(1, 50, 0), Response(200, {}, body))
    assert page.messages == [read(FLAT), read({"messages": [nested]})]


def test_the_documented_keys_win() -> None:
    both = FLAT | {"id": "m9", "message_date": {"created": "2020-01-01T00:00:00Z"}}
    message = read(both)
    assert message.id == "m9"
    assert message.message_date is not None
    assert str(message.message_date.created) == "2020-01-01 00:00:00+00:00"
