"""The lenient reading of responses: one row for each form of each field."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, NamedTuple, TypeVar, get_args

import msgspec
import pytest
from seeds import MISSING, Place, places, replace_at, sample_value
from sources import empty_form

from mlmsg import DecodeError, _operations, models
from mlmsg._wire import Request, Response, decode
from mlmsg.models._base import UtcStruct

T = TypeVar("T")
Reader = Callable[[object], object]
Forms = Sequence[tuple[object, object]]
"""Pairs of the value that the API sends and the value that is read."""


def answer_to(request: Request[T]) -> Reader:
    """Return a function that reads a value as the response to this request."""
    return lambda value: decode(request, Response(200, {}, json.dumps(value).encode()))


THREAD = answer_to(_operations.pack_page(1, 50, 0))
SELLER_THREAD = answer_to(_operations.seller_thread(1, 2, None, 0, mark_as_read=True))
MESSAGE = answer_to(_operations.message("m1"))
UPLOAD = answer_to(_operations.upload("MLM", empty_form()))
UNREAD = answer_to(_operations.unread("seller"))
CLAIM = answer_to(_operations.claim(1))
CLAIM_MESSAGES = answer_to(_operations.claim_messages(1))
CLAIM_UPLOAD = answer_to(_operations.claim_upload(1, empty_form()))
CLAIM_FILE = answer_to(_operations.claim_file(1, "a.png"))


HERE = object()
"""The place of the value under test in a body."""


class Field(NamedTuple):
    """A field of a response: its reader, the response's body, and the field's path."""

    read: Reader
    body: object
    path: str

    def of(self, value: object) -> object:
        """Return what is read if the API sends `value`, or leaves the key out (`MISSING`)."""
        return at(self.read(put(self.body, value)), self.path)


def put(body: object, value: object) -> object:
    if isinstance(body, dict):
        pairs = ((key, put(inner, value)) for key, inner in body.items())
        return {key: inner for key, inner in pairs if inner is not MISSING}
    if isinstance(body, list):
        return [put(inner, value) for inner in body]
    return value if body is HERE else body


def at(found: object, path: str) -> object:
    """Return the value at a path such as `messages.0.from_.user_id`."""
    for name in path.split("."):
        found = found[int(name)] if isinstance(found, list) else getattr(found, name)
    return found


def message(path: str, read: Reader = THREAD, /, **keys: object) -> Field:
    """A field of the one message of a page."""
    return Field(read, {"messages": [{"id": "m1", **keys}]}, f"messages.0.{path}")


def moderation(key: str) -> Field:
    return message(f"message_moderation.{key}", message_moderation={"x": [1], key: HERE})


def page(key: str) -> Field:
    return Field(THREAD, {"messages": [], key: HERE}, key)


def status(key: str, path: str, read: Reader = THREAD) -> Field:
    body = {"messages": [], "conversation_status": {key: HERE}}
    return Field(read, body, f"conversation_status.{path}")


def unread(key: str, path: str, **keys: object) -> Field:
    return Field(UNREAD, {"user_id": 1, "results": [{key: HERE, **keys}]}, f"results.0.{path}")


def said(key: str) -> Field:
    """A field of a claim's one message."""
    return Field(CLAIM_MESSAGES, [{key: HERE}], f"0.{key}")


def judged(key: str) -> Field:
    """A field of what moderation made of a claim's message."""
    return Field(
        CLAIM_MESSAGES, [{"message_moderation": {key: HERE}}], f"0.message_moderation.{key}"
    )


def same(*values: object) -> Forms:
    """Forms that are held as they are."""
    return [(value, value) for value in values]


FILES = [{"filename": "b", "type": "application/octet-stream"}, {"filename": "a"}]
NUMBER: Final[Forms] = [(41, 41), ("41", 41)]
CLAIMS: Final[Forms] = [(None, []), (MISSING, []), (5, [5]), ("5", [5]), ([5, "6"], [5, 6])]
SENDER = message("from_.user_id", **{"from": {"user_id": HERE}})
TO_NAME = message("to.name", to={"user_id": 1, "name": HERE})
ATTACHMENTS = message("attachments", message_attachments=HERE)
ACTIONS = Field(CLAIM, {"players": [{"available_actions": HERE}]}, "available_actions")
RESOURCE = unread("resource", "resource")

ROWS: Final[list[tuple[str, Field, Forms]]] = [
    ("from.user_id", SENDER, [*NUMBER, (None, None), (MISSING, None)]),
    ("to.user_id", message("to.user_id", SELLER_THREAD, to={"user_id": HERE}), NUMBER),
    ("unread user_id", Field(UNREAD, {"user_id": HERE, "results": []}, "user_id"), NUMBER),
    ("unread userId", Field(UNREAD, {"userId": HERE, "results": []}, "user_id"), NUMBER),
    ("player user_id", Field(CLAIM, {"players": [{"user_id": HERE}]}, "players.0.user_id"), NUMBER),
    ("upload user_id", Field(CLAIM_UPLOAD, {"user_id": HERE, "filename": "a"}, "user_id"), NUMBER),
    ("resource", RESOURCE, same("/packs/1/sellers/2", "/x/1")),
    ("its pack", unread("resource", "pack_id"),
     [("/packs/12/sellers/34", 12), ("/packs/12", 12), ("/orders/12", None)]),
    ("its seller", unread("resource", "seller_id"),
     # A row without a seller belongs to the user of the response.
     [("/packs/12/sellers/34", 34), ("/packs/12", 1), ("/orders/12", 1)]),
    ("its order", unread("resource", "order_id"), [("/orders/12", 12), ("/packs/12", None)]),
    ("count", unread("count", "count", resource="/packs/1"), [(3, 3), (MISSING, None)]),
    ("total", unread("total", "total", resource="/packs/1"), [(3, 3), (MISSING, None)]),
    ("name", TO_NAME, [("Ana", "Ana"), ("", ""), (MISSING, None)]),
    ("email", message("from_.email", **{"from": {"email": HERE}}), same("a@b.c")),
    ("to", message("to", to=HERE), [(MISSING, None), (None, None)]),
    ("client_id", message("client_id", client_id=HERE), same(123, None)),
    ("claim_ids", status("claim_ids", "claims"), CLAIMS),
    ("claim_id", status("claim_id", "claims", SELLER_THREAD), CLAIMS),
    ("path", status("path", "path"),
     same("/packs/1/seller/2", "/packs/1/sellers/2", "/packs/1/conversations/x", None)),
    ("status", message("status", status=HERE),
     same("available", "blocked", "moderated", "rejected", "pending_translation",
          "IN_MODERATION", "of_tomorrow")),
    ("source", moderation("source"), same("online", None)),
    ("by", message("message_moderation.source", message_moderation={"by": HERE}), same("none")),
    ("moderation_date", moderation("moderation_date"), same(None)),
    ("reason", moderation("reason"), same(None, "", "none", "PERSONAL_DATA")),
    ("moderation status", moderation("status"),
     same("clean", "rejected", "pending", "non_moderated", "NON_MODERATED", "blocked", "new")),
    ("attachments", ATTACHMENTS, [(None, []), ([], []), (MISSING, [])]),
    ("attachment type", message("attachments.0.type", message_attachments=HERE),
     [(FILES, "application/octet-stream")]),
    ("attachment order", message("attachments.1.filename", message_attachments=HERE),
     [(FILES, "a")]),
    ("seller's longest", page("seller_max_message_length"), [(350, 350), (MISSING, None)]),
    ("buyer's longest", page("buyer_max_message_length"), [(3500, 3500), (MISSING, None)]),
    ("data", Field(THREAD, {"messages": [], "data": HERE}, "messages"), [({"x": 1}, [])]),
    ("paging", page("paging"), same(None)),
    ("conversation_status", page("conversation_status"), same(None)),
    ("limit", Field(THREAD, {"messages": [], "paging": {"limit": HERE}}, "paging.limit"), same(10)),
    ("one message", Field(MESSAGE, {"paging": None, "messages": [{"id": HERE}]}, "id"), same("m1")),
    ("flat message", Field(MESSAGE, {"id": HERE, "text": "Hola"}, "id"), same("m1")),
    ("message", said("message"), [("Hola", "Hola"), (None, None), (MISSING, None)]),
    ("hash", said("hash"), [("5d41402a", "5d41402a"), (MISSING, None)]),
    ("receiver_role", said("receiver_role"), same("mediator")),
    ("stage", said("stage"), same("dispute", "new")),
    ("claim status", said("status"), same("pending_translation")),
    ("claim reason", judged("reason"), same(None, "")),
    ("date_moderated", judged("date_moderated"), same(None)),
    ("claim attachments", said("attachments"), same(None, [])),
    ("file_name", Field(CLAIM_UPLOAD, {"file_name": HERE}, "file_name"), same("a.png")),
    ("filename", Field(CLAIM_UPLOAD, {"filename": HERE}, "file_name"), same("a.png")),
    ("actions", ACTIONS, [([{"action": "x"}], {"x"}), (None, set()), (MISSING, set())]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        pytest.param(field, *form, id=f"{name}, {'missing' if form[0] is MISSING else form[0]}")
        for name, field, forms in ROWS
        for form in forms
    ],
)
def test_each_form_of_each_field_is_read(field: Field, value: object, expected: object) -> None:
    found = field.of(value)
    assert (type(found), found) == (type(expected), expected)


# Dates --------------------------------------------------------------------------------------

MOMENT = datetime(2024, 8, 22, 22, 36, 48, tzinfo=UTC)
DATES: Final[dict[str, tuple[object, datetime | None]]] = {
    "Z": ("2024-08-22T22:36:48Z", MOMENT),
    ".000Z": ("2024-08-22T22:36:48.000Z", MOMENT),
    "-04:00": ("2024-08-22T18:36:48.000-04:00", MOMENT),
    "-0400": ("2024-08-22T18:36:48-0400", MOMENT),
    "no zone": ("2024-08-22T22:36:48", MOMENT),
    "no zone, fraction": ("2024-08-22T22:36:48.250", MOMENT + timedelta(milliseconds=250)),
    "null": (None, None),
    "missing": (MISSING, None),
    "empty": ("", None),
    "odd": ("soon", None),
    "the first day of the calendar": ("0001-01-01T00:00:00Z", None),
    "before it in UTC": ("0001-01-01T00:00:00+05:00", None),
    "the last day": ("9999-12-31T23:59:59.999Z", None),
    "after it in UTC": ("9999-12-31T23:59:59-05:00", None),
    "the last day, no zone": ("9999-12-31T23:59:59", None),
    "of year 1": ("0001-01-03T00:00:00Z", datetime(1, 1, 3, tzinfo=UTC)),
    "of year 9999": ("9999-12-29T00:00:00Z", datetime(9999, 12, 29, tzinfo=UTC)),
    "a day alone": ("2024-08-22", MOMENT.replace(hour=0, minute=0, second=0)),
    "no minutes in the zone": ("2024-08-22T18:36:48-04", MOMENT),
    "no seconds": ("2024-08-22T22:36Z", MOMENT.replace(second=0)),
    "a blank between": ("2024-08-22 22:36:48", MOMENT),
    "blanks around": (" 2024-08-22T22:36:48Z ", MOMENT),
    "milliseconds": (1724366208000, MOMENT),
    "milliseconds in a text": ("1724366208000", MOMENT),
    "seconds": (1724366208, MOMENT),
    "too many milliseconds": (10**19, None),
    "too many digits": ("9" * 5000, None),
    **{
        f"{digits} digits": (
            f"2024-08-22T22:36:48.{'2' + '0' * (digits - 1)}Z",
            MOMENT + timedelta(milliseconds=200),
        )
        for digits in range(1, 10)
    },
}
DATED: Final = {
    "message": message("message_date.created", message_date={"created": HERE}),
    "moderation": moderation("moderation_date"),
    "creation_date": message(
        "attachments.0.creation_date", message_attachments=[{"creation_date": HERE}]
    ),
    "conversation": status("status_date", "status_date"),
    "claim message": said("date_created"),
    "date_created": Field(
        CLAIM_MESSAGES, [{"attachments": [{"date_created": HERE}]}], "0.attachments.0.date_created"
    ),
    "claim moderation": judged("date_moderated"),
    "claim file": Field(CLAIM_FILE, {"date_created": HERE}, "date_created"),
    "action": Field(
        CLAIM,
        {"players": [{"available_actions": [{"due_date": HERE}]}]},
        "players.0.available_actions.0.due_date",
    ),
}


@pytest.mark.parametrize(("text", "expected"), DATES.values(), ids=DATES)
@pytest.mark.parametrize("field", DATED.values(), ids=DATED)
def test_each_form_of_a_date_is_an_aware_moment(
    field: Field, text: object, expected: datetime | None
) -> None:
    found = field.of(text)
    assert found == expected
    if isinstance(found, datetime):
        assert found.tzinfo is not None
        for hours in (-14, 14):  # in every zone, for a reader or a data frame
            assert found.astimezone(timezone(timedelta(hours=hours))) == expected


STRUCTS = [
    one for name in models.__all__ if issubclass(one := getattr(models, name), msgspec.Struct)
]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_struct_with_a_date_makes_it_aware(struct: type[msgspec.Struct]) -> None:
    hints = msgspec.structs.fields(struct)
    dated = [one.name for one in hints if datetime in (one.type, *get_args(one.type))]
    assert issubclass(struct, UtcStruct) or not dated


def test_dates_of_all_forms_in_one_object_can_be_compared() -> None:
    """As they stand in one claim message: with a zone, without one, with another."""
    dates = {
        "date_created": "2024-08-22T18:36:47.000-04:00",
        "message_date": "2024-08-22T22:36:48",
        "last_updated": "2024-08-22T18:36:49-0400",
        "date_read": "2024-08-22T22:36:50.000000001Z",
    }
    found = CLAIM_MESSAGES([dates])
    known = [one for name in dates if isinstance(one := at(found, f"0.{name}"), datetime)]
    assert len(known) == 4
    assert known == sorted(known)


# Texts --------------------------------------------------------------------------------------

TEXTS = ("123", "null", "", "true", "1e3", "2024-08-22T18:36:48Z", "[]")
SPOKEN: Final = {
    "text": message("text", text=HERE),
    "text_translated": message("text_translated", text_translated=HERE),
    "subject": message("subject", subject=HERE),
    "name": TO_NAME,
    "reason": moderation("reason"),
    "flat message": Field(MESSAGE, {"id": "m1", "text": HERE}, "text"),
    "claim message": said("message"),
    "translated_message": said("translated_message"),
    "file": Field(CLAIM_MESSAGES, [{"attachments": [{"type": HERE}]}], "0.attachments.0.type"),
    "text beside an odd value": message("text", text=HERE, client_id="odd"),
    "said beside an odd value": Field(
        CLAIM_MESSAGES, [{"message": HERE, "repeated": "odd"}], "0.message"
    ),
}


@pytest.mark.parametrize("text", TEXTS, ids=repr)
@pytest.mark.parametrize("field", SPOKEN.values(), ids=SPOKEN)
def test_a_text_stays_the_text_it_is(field: Field, text: str) -> None:
    assert field.of(text) == text


# Odd values ---------------------------------------------------------------------------------

REQUIRED = {"messages", "id", "results", "resource", "players", "file_name"}
ACTION = {"action": "x", "mandatory": False, "due_date": "2024-08-26T21:46:00.000-04:00"}
PLAYER = {"role": "respondent", "type": "seller", "user_id": 41, "available_actions": [ACTION]}
WHOLE: Final[dict[str, tuple[Reader, object]]] = {
    "thread": (THREAD, sample_value("post_sale_messages.get_messages_by_pack")),
    "seller thread": (SELLER_THREAD, sample_value("pending_messages.mark_messages_as_read")),
    "message": (MESSAGE, sample_value("post_sale_messages.get_message_by_id")),
    "unread": (UNREAD, sample_value("pending_messages.use_modes")),
    "claim messages": (
        CLAIM_MESSAGES,
        sample_value("claim_messages.retrieve_all_messages_of_a_claim"),
    ),
    "claim file": (CLAIM_FILE, sample_value("claim_messages.get_file_information")),
    "claim upload": (CLAIM_UPLOAD, sample_value("claim_messages.uploading_attachments")),
    "claim": (CLAIM, {"stage": "claim", "status": "opened", "players": [PLAYER]}),
}
each_optional_key = pytest.mark.parametrize(
    ("read", "value", "place", "inner"),
    [
        pytest.param(read, value, place, inner, id=f"{name} {'.'.join(map(str, place))}")
        for name, (read, value) in WHOLE.items()
        for place, inner in places(value)
        if place[-1] not in REQUIRED or "message_resources" in place
    ],
)


@each_optional_key
def test_one_odd_value_costs_only_that_value(
    read: Reader, value: object, place: Place, inner: object
) -> None:
    """Check that an odd value reads like a missing key."""
    odd = 17 if isinstance(inner, dict | list) else {"odd": 1}
    assert read(replace_at(value, place, odd)) == read(replace_at(value, place, MISSING))


@each_optional_key
def test_each_optional_key_may_be_null_or_missing(
    read: Reader, value: object, place: Place, inner: object
) -> None:
    assert read(replace_at(value, place, None)) == read(replace_at(value, place, MISSING))


def widened(value: object) -> object:
    """A copy of `value` with one more key in each of its objects."""
    if isinstance(value, dict):
        return {**{key: widened(inner) for key, inner in value.items()}, "of_tomorrow": [{"x": 1}]}
    return [widened(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("read", "value"), WHOLE.values(), ids=WHOLE)
def test_unknown_keys_are_ignored_everywhere(read: Reader, value: object) -> None:
    assert read(widened(value)) == read(value)


LISTS: Final[dict[str, tuple[Field, object]]] = {
    "attachments": (ATTACHMENTS, {"filename": "a"}),
    "resources": (message("message_resources", message_resources=HERE), {"id": "1"}),
    "claims": (status("claim_ids", "claims"), 5),
    "claim attachments": (said("attachments"), {"filename": "a"}),
    "actions": (ACTIONS, {"action": "send_message_to_complainant"}),
}


@pytest.mark.parametrize(("field", "item"), LISTS.values(), ids=LISTS)
@pytest.mark.parametrize("odd", [None, ["x"]], ids=["null", "list"])
def test_one_odd_item_of_an_optional_list_costs_only_that_item(
    field: Field, item: object, odd: object
) -> None:
    assert field.of([odd, item]) == field.of([item])


NAMELESS: Final[dict[str, tuple[Reader, object]]] = {
    "no messages": (THREAD, {"paging": {}}),
    "a message without its id": (THREAD, {"messages": [{"text": "Hola"}]}),
    "an envelope with nothing in it": (MESSAGE, {"messages": []}),
    "no upload id": (UPLOAD, {}),
    "no results": (UNREAD, {"user_id": 1}),
    "a result without its resource": (UNREAD, {"results": [{"count": 1}]}),
    "claim messages that are no list": (CLAIM_MESSAGES, {"messages": []}),
    "a claim upload without a name": (CLAIM_UPLOAD, {"user_id": 1}),
    "a claim upload with an empty name": (CLAIM_UPLOAD, {"file_name": ""}),
    "a claim without players": (CLAIM, {"stage": "claim"}),
}


@pytest.mark.parametrize(("read", "value"), NAMELESS.values(), ids=NAMELESS)
def test_an_answer_without_what_identifies_it_is_a_decode_error(
    read: Reader, value: object
) -> None:
    with pytest.raises(DecodeError):
        read(value)


def test_a_decode_error_says_what_is_missing_and_where() -> None:
    """In a page of fifty messages, `Expected str, got null` alone does not help."""
    with pytest.raises(DecodeError, match="id") as missing:
        THREAD({"messages": [{"id": "m1"}, {"text": "Hola"}]})
    with pytest.raises(DecodeError, match="id") as odd:
        THREAD({"messages": [{"id": "m1"}, {"id": None}]})
    assert "messages" in missing.value.message
    assert "messages" in odd.value.message
