"""The API's answers as structs: the documented examples, and every form that varies."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

import msgspec
import pytest
from seeds import MISSING, Place, assert_holds, read_sample, replace_at, sample_object

from mlmsg import _operations
from mlmsg._wire import Response, decode
from mlmsg.errors import DecodeError
from mlmsg.models import (
    ConversationStatus,
    Message,
    MessageDate,
    Paging,
    Sent,
    ThreadPage,
    Upload,
    User,
)

PAGES = [
    "post_sale_messages.get_messages_by_pack",
    "post_sale_messages.get_message_by_id",
    "pending_messages.mark_messages_as_read",
]


def read(value: object) -> ThreadPage:
    """Return the page that the client reads from `value`."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return decode(_operations.pack_page(1, 50, 0), Response(200, {}, body))


def message(**fields: object) -> Message:
    """Return the message that the client reads from these keys."""
    return read({"messages": [{"id": "m1", **fields}]}).messages[0]


def status(**fields: object) -> ConversationStatus:
    found = read({"messages": [], "conversation_status": fields}).conversation_status
    assert found is not None
    return found


def created(value: object) -> datetime | None:
    date = message(message_date={"created": value}).message_date
    assert date is not None
    return date.created


@pytest.mark.parametrize("name", PAGES)
def test_a_documented_page_is_held_value_by_value(name: str) -> None:
    assert_holds(read(sample_object(name)), sample_object(name), "page")


def test_the_documented_upload_is_held() -> None:
    body = read_sample("post_sale_messages.upload_attachment")
    answer = msgspec.json.decode(body, type=Upload)
    assert_holds(answer, sample_object("post_sale_messages.upload_attachment"), "upload")


def test_an_attachment_is_opened_by_its_filename() -> None:
    (one,) = read(sample_object(PAGES[0])).messages[0].attachments
    assert one.filename == "471826944_ba20cdf4-26b4-4c21-a689-5eabe271ddb3.png"
    assert one.original_filename == "FileName.png"


IDS: Final[dict[str, tuple[object, int | None]]] = {
    "int": (415458330, 415458330),
    "digits": ("415458330", 415458330),
    "null": (None, None),
    "empty": ("", None),
    "letters": ("me", None),
    "object": ({"id": 1}, None),
}


@pytest.mark.parametrize(("value", "user_id"), IDS.values(), ids=IDS)
def test_a_user_id_is_an_int_in_every_form(value: object, user_id: int | None) -> None:
    found = message(**{"from": {"user_id": value, "name": "Ana", "email": "a@example.com"}})
    assert found.from_ == User(user_id=user_id, name="Ana", email="a@example.com")


USERS: Final[dict[str, tuple[object, User | None]]] = {
    "id and name": ({"user_id": 1, "name": "Ana"}, User(user_id=1, name="Ana")),
    "name empty": ({"user_id": 1, "name": ""}, User(user_id=1, name="")),
    "name missing": ({"user_id": 1}, User(user_id=1)),
    "with email": ({"user_id": 1, "email": "a@b"}, User(user_id=1, email="a@b")),
    "unknown key": ({"user_id": 1, "nickname": "x"}, User(user_id=1)),
    "null": (None, None),
    "text": ("415458330", None),
}


@pytest.mark.parametrize("key", ["from", "to"])
@pytest.mark.parametrize(("value", "user"), USERS.values(), ids=USERS)
def test_sender_and_reader_take_every_form(value: object, user: User | None, key: str) -> None:
    found = message(**{key: value, "text": "Hola"})
    assert (found.from_ if key == "from" else found.to) == user
    assert found.text == "Hola"


@pytest.mark.parametrize(("value", "client_id"), [(None, None), (123, 123), ("123", 123)])
def test_a_client_id_is_an_int_or_none(value: object, client_id: int | None) -> None:
    assert message(client_id=value).client_id == client_id


CLAIMS: Final[dict[str, tuple[object, list[int]]]] = {
    "null": (None, []),
    "int": (5, [5]),
    "digits": ("5", [5]),
    "list": ([5, 6], [5, 6]),
    "list of digits": (["5", "6"], [5, 6]),
    "mixed list": (["5", 6], [5, 6]),
    "twice": ([5, "5"], [5]),
    "empty list": ([], []),
    "word": ("none", []),
    "object": ({"id": 5}, []),
}


@pytest.mark.parametrize("key", ["claim_ids", "claim_id"])
@pytest.mark.parametrize(("value", "claims"), CLAIMS.values(), ids=CLAIMS)
def test_claims_are_read_under_both_keys_in_every_form(
    value: object, claims: list[int], key: str
) -> None:
    found = status(status="active", **{key: value})
    assert found.claims == claims
    assert found.status == "active"
    assert status(claim_ids=value, claim_id=value).claims == claims


@pytest.mark.parametrize("value", [5, "5", [5, 6], ["5"], [5, "6"], None], ids=ascii)
def test_claim_ids_are_held_as_sent_beside_an_odd_value_too(value: object) -> None:
    assert status(claim_ids=value).claim_ids == value
    assert status(claim_ids=value, status_date="soon").claim_ids == value


@pytest.mark.parametrize(
    "path",
    [None, "/packs/1/seller/2", "/packs/1/sellers/2", "/packs/1/conversations/mediation"],
)
def test_a_thread_path_is_held_as_sent(path: str | None) -> None:
    assert status(path=path).path == path


@pytest.mark.parametrize(
    "word",
    ["available", "blocked", "moderated", "rejected", "pending_translation", "IN_MODERATION", "x"],
)
def test_words_of_the_api_are_an_open_set(word: str) -> None:
    found = message(status=word, message_moderation={"status": word, "reason": word})
    assert found.status == word
    assert found.message_moderation is not None
    assert (found.message_moderation.status, found.message_moderation.reason) == (word, word)


@pytest.mark.parametrize(
    ("keys", "source"),
    [
        ({"source": "online"}, "online"),
        ({"by": "none"}, "none"),
        ({"source": "online", "by": "other"}, "online"),
        ({"source": None, "by": "other"}, "other"),
        ({"source": {"odd": 1}, "by": "other"}, "other"),
        ({}, None),
    ],
)
def test_the_older_spelling_of_a_moderation_source_is_read(
    keys: dict[str, object], source: str | None
) -> None:
    found = message(message_moderation={"status": "clean", "extra": 1, **keys}).message_moderation
    assert found is not None
    assert found.source == source
    assert found.status == "clean"


@pytest.mark.parametrize("reason", [None, "", "none"])
def test_a_moderation_reason_is_held_as_sent(reason: str | None) -> None:
    found = message(message_moderation={"reason": reason, "moderation_date": None})
    assert found.message_moderation is not None
    assert found.message_moderation.reason == reason
    assert found.message_moderation.moderation_date is None


MINUS_4 = timezone(timedelta(hours=-4))
SECOND = datetime(2024, 8, 22, 18, 36, 48, tzinfo=UTC)
DATES: Final[dict[str, tuple[object, datetime | None]]] = {
    "Z": ("2024-08-22T18:36:48Z", SECOND),
    ".000Z": ("2024-08-22T18:36:48.000Z", SECOND),
    "-04:00": ("2024-08-22T18:36:48-04:00", SECOND.replace(tzinfo=MINUS_4)),
    "-0400": ("2024-08-22T18:36:48.000-0400", SECOND.replace(tzinfo=MINUS_4)),
    "no zone": ("2024-08-22T18:36:48", SECOND),
    "no zone, fraction": ("2024-08-22T18:36:48.500", SECOND.replace(microsecond=500_000)),
    "null": (None, None),
    "empty": ("", None),
    "word": ("yesterday", None),
    "object": ({"date": 1}, None),
    "month 13": ("2024-13-22T18:36:48Z", None),
    **{
        f"{digits} digits": (
            f"2024-08-22T18:36:48.{'123456000'[:digits]}Z",
            SECOND.replace(microsecond=int("123456"[:digits].ljust(6, "0"))),
        )
        for digits in range(1, 10)
    },
}


@pytest.mark.parametrize(("value", "date"), DATES.values(), ids=DATES)
def test_a_date_is_aware_in_every_form(value: object, date: datetime | None) -> None:
    found = created(value)
    assert found == date
    assert found is None or found.tzinfo is not None


def test_dates_of_all_forms_in_one_object_can_be_compared() -> None:
    forms = {
        "created": "2024-08-22T18:36:46",
        "received": "2024-08-22T14:36:47-0400",
        "available": "2024-08-22T14:36:48.000-04:00",
        "notified": "2024-08-22T18:36:49.000000001Z",
        "read": "2024-08-22T18:36:50",
    }
    date = message(message_date=forms).message_date
    assert date is not None
    found = [date.created, date.received, date.available, date.notified, date.read]
    known = [one for one in found if one is not None]
    assert known == sorted(known)
    assert len(known) == 5


def test_every_dated_struct_takes_a_date_without_zone_as_utc() -> None:
    bare, aware = "2024-08-22T18:36:48", "2024-08-22T18:36:48Z"
    found = message(
        message_moderation={"moderation_date": bare},
        message_attachments=[{"filename": "a", "creation_date": bare}],
    )
    assert found == message(
        message_moderation={"moderation_date": aware},
        message_attachments=[{"filename": "a", "creation_date": aware}],
    )
    assert status(status_date=bare).status_date == SECOND


@pytest.mark.parametrize("text", ["123", "null", "", "true", "1e3", "2024-08-22T18:36:48Z", "[]"])
@pytest.mark.parametrize("odd", [{}, {"client_id": "odd"}], ids=["strict", "lenient"])
def test_a_text_stays_a_text(text: str, odd: dict[str, object]) -> None:
    named = {"user_id": 1, "name": text}
    found = message(text=text, text_translated=text, subject=text, **{"from": named}, **odd)
    assert (found.text, found.text_translated, found.subject) == (text, text, text)
    assert found.from_ == User(user_id=1, name=text)


@pytest.mark.parametrize("value", [None, []], ids=["null", "empty list"])
def test_no_attachments_are_an_empty_list(value: object) -> None:
    assert message(message_attachments=value).attachments == []
    assert message(message_attachments=value).message_attachments == value
    assert message().attachments == []


def test_attachments_keep_their_order_and_forms() -> None:
    found = message(
        message_attachments=[
            {"filename": "b", "type": "application/octet-stream", "size": 1},
            {"filename": "a", "date_created": "2024-08-22T18:36:48Z", "size": "2"},
        ]
    )
    assert [(one.filename, one.size) for one in found.attachments] == [("b", 1), ("a", 2)]


@pytest.mark.parametrize("odd", [None, "a.png", 17, []], ids=ascii)
def test_an_odd_attachment_costs_only_itself(odd: object) -> None:
    found = message(message_attachments=[{"filename": "a"}, odd, {"filename": "b"}])
    assert [one.filename for one in found.attachments] == ["a", "b"]


def test_only_an_id_and_the_list_of_messages_are_required() -> None:
    assert read({"messages": [{"id": "m1"}]}) == ThreadPage(messages=[Message(id="m1")])
    assert read({"messages": []}) == ThreadPage(messages=[])
    assert message(message_date={}).message_date == MessageDate()


def test_an_id_that_came_as_a_number_is_a_text() -> None:
    assert read({"messages": [{"id": 2315686468}]}).messages[0].id == "2315686468"
    found = message(message_resources=[{"id": 2315686468, "name": "packs"}]).message_resources
    assert found is not None
    assert found[0].id == "2315686468"


def test_unknown_keys_are_ignored_and_the_length_limits_are_read() -> None:
    extra = {"seller_max_message_length": 350, "buyer_max_message_length": "3500", "data": {"a": 1}}
    page = read({"messages": [{"id": "m1", "new": [1]}], "paging": {"next": 2}, **extra})
    assert page.messages == [Message(id="m1")]
    assert page.paging == Paging()
    assert (page.seller_max_message_length, page.buyer_max_message_length) == (350, 3500)


@pytest.mark.parametrize(
    "value",
    [{}, {"messages": None}, {"messages": {}}, {"messages": [None]}, {"messages": [{"text": "x"}]},
     {"messages": [{"id": None}]}, {"messages": [{"id": ["m1"]}]}, [], None, "text"],
    ids=ascii,
)  # fmt: skip
def test_a_page_without_what_identifies_it_is_a_decode_error(value: object) -> None:
    with pytest.raises(DecodeError):
        read(value)


def keys(value: object, path: Place = ()) -> Iterator[tuple[Place, object]]:
    """Every key in `value`, at any depth, with what it holds."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key), inner
            yield from keys(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from keys(inner, (*path, index))


OPTIONAL: Final = [
    pytest.param(name, place, value, id=f"{name.partition('.')[0]} {'.'.join(map(str, place))}")
    for name in (PAGES[0], PAGES[2])
    for place, value in keys(sample_object(name))
    if place != ("messages",) and place[2:] != ("id",)
]


@pytest.mark.parametrize(("name", "place", "value"), OPTIONAL)
def test_one_odd_value_costs_only_that_value(name: str, place: Place, value: object) -> None:
    """It reads like the same page without the key."""
    odd = 17 if isinstance(value, dict | list) else {"odd": 1}
    page = sample_object(name)
    assert read(replace_at(page, place, odd)) == read(replace_at(page, place, MISSING))


def test_a_text_cut_inside_an_emoji_costs_only_that_text() -> None:
    body = rb'{"messages": [{"id": "m1", "text": "Hola \ud83d"}, {"id": "m2", "text": "Adios"}]}'
    one, other = read(body).messages
    assert (one.id, one.text) == ("m1", "Hola ?")
    assert (other.id, other.text) == ("m2", "Adios")


def test_a_sent_message_has_its_id_if_there_is_one() -> None:
    assert Sent(status_code=201).id is None
    assert Sent(status_code=201, message=Message(id="m1")).id == "m1"
