"""Notifications: every envelope that occurs is read, and anything else is refused."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import ANY_JSON

from mlmsg import MlmsgError, notifications
from mlmsg.errors import NotificationError
from mlmsg.notifications import Notification, parse

MESSAGE_ID = "2d45a5ad186041659e9a608f0c109dff"


def envelope(**keys: object) -> dict[str, object]:
    return {"topic": "messages", "resource": MESSAGE_ID, "user_id": 523132944, **keys}


def read(**keys: object) -> Notification:
    """Parse an envelope with these keys."""
    return parse(json.dumps(envelope(**keys)).encode())


def refused(value: object) -> NotificationError:
    """Return the error of `parse` for this body."""
    body = value if isinstance(value, bytes | str) else json.dumps(value)
    with pytest.raises(NotificationError) as caught:
        parse(body)
    return caught.value


# The subject ---------------------------------------------------------------------------

RESOURCES: Final = [
    ("messages", MESSAGE_ID, "message", MESSAGE_ID),
    ("messages", f"/messages/{MESSAGE_ID}", "message", MESSAGE_ID),
    ("marketplace_messages", f"/marketplace/messages/{MESSAGE_ID}", "message", MESSAGE_ID),
    ("post_purchase", "/post-purchase/v1/claims/5294629673", "claim", "5294629673"),
    ("post_purchase", "post-purchase/v1/claims/5294629673", "claim", "5294629673"),
    ("marketplace_claims", "/marketplace/claims/5294629673", "claim", "5294629673"),
]


@pytest.mark.parametrize(("topic", "resource", "kind", "found"), RESOURCES)
def test_the_id_is_extracted_from_the_resource(
    topic: str, resource: str, kind: str, found: str
) -> None:
    notification = read(topic=topic, resource=resource)
    assert (notification.topic, notification.resource) == (topic, resource)
    assert (notification.kind, notification.id) == (kind, found)


# The envelope -------------------------------------------------------------------------------

WHEN = datetime(2024, 8, 22, 22, 36, 48, tzinfo=UTC)
TEXT = "2024-08-22T22:36:48.000Z"
FORMS: Final[dict[str, tuple[dict[str, object], str, object]]] = {
    "_id": ({"_id": "abc"}, "notification_id", "abc"),
    "id": ({"id": "abc"}, "notification_id", "abc"),
    "id that is a number": ({"id": 77}, "notification_id", "77"),
    "no id": ({}, "notification_id", None),
    "user_id, int": ({"user_id": 41}, "user_id", 41),
    "user_id, digits": ({"user_id": "41"}, "user_id", 41),
    "actions": ({"actions": ["created", "read"]}, "actions", ["created", "read"]),
    "no actions": ({}, "actions", []),
    "actions null": ({"actions": None}, "actions", []),
    "application_id": ({"application_id": 818828848883}, "application_id", 818828848883),
    "application_id, digits": ({"application_id": "818"}, "application_id", 818),
    "no application": ({}, "application_id", None),
    "attempts": ({"attempts": 3}, "attempts", 3),
    "no attempts": ({}, "attempts", None),
    "sent": ({"sent": TEXT}, "sent", WHEN),
    "sent, no zone": ({"sent": TEXT.removesuffix("Z")}, "sent", WHEN),
    "sent, odd": ({"sent": "soon"}, "sent", None),
    "not sent": ({}, "sent", None),
    "received": ({"received": TEXT}, "received", WHEN),
    "recieved": ({"recieved": TEXT}, "received", WHEN),
    "recieved, no zone": ({"recieved": TEXT.removesuffix("Z")}, "received", WHEN),
    "not received": ({}, "received", None),
    "unknown keys": ({"version": 2, "data": {"x": [1]}}, "id", MESSAGE_ID),
}


@pytest.mark.parametrize(("keys", "name", "expected"), FORMS.values(), ids=FORMS)
def test_each_form_of_the_envelope_is_read(
    keys: dict[str, object], name: str, expected: object
) -> None:
    found = getattr(read(**keys), name)
    assert (type(found), found) == (type(expected), expected)


def test_times_with_and_without_a_zone_can_be_compared() -> None:
    found = read(sent="2024-08-22T22:36:47", received="2024-08-22T18:36:48-0400")
    assert found.sent is not None
    assert found.received is not None
    assert found.sent < found.received


def test_a_body_is_bytes_or_text() -> None:
    text = json.dumps(envelope(actions=["léído"]))
    assert parse(text) == parse(text.encode()) == parse(bytearray(text.encode()))


# Invalid bodies ----------------------------------------------------------------------------

FOREIGN: Final = [
    ("messages", "https://evil.example/messages/1"),
    ("messages", "//evil.example/messages/1"),
    ("messages", "/messages/../x"),
    ("messages", "/messages/.."),
    ("messages", ".."),
    ("messages", "/messages/"),
    ("messages", ""),
    ("messages", "/messages/a/b"),
    ("messages", "/messages/a?x=1"),
    ("messages", "/messages/a#x"),
    ("messages", "/messages/a%2Fb"),
    ("messages", "/messages/a b"),
    ("messages", "/messages/a\n"),
    ("messages", "\n/messages/a"),
    ("messages", "/messages/\u0661"),
    ("messages", "/marketplace/messages/a"),
    ("messages", "/packs/1/sellers/2"),
    ("marketplace_messages", "https://evil.example/marketplace/messages/1"),
    ("marketplace_messages", "/messages/a"),
    ("marketplace_messages", "/marketplace/messages/packs/1"),
    ("marketplace_messages", "/marketplace/messages/../x"),
    ("post_purchase", "https://evil.example/post-purchase/v1/claims/1"),
    ("post_purchase", "/post-purchase/v1/claims/"),
    ("post_purchase", "/post-purchase/v1/claims/a"),
    ("post_purchase", "/post-purchase/v1/claims/1/../messages"),
    ("post_purchase", "/post-purchase/v1/returns/1"),
    ("post_purchase", "/marketplace/claims/1"),
    ("post_purchase", "/post-purchase/v1/claims/\u0661"),
    ("marketplace_claims", "/marketplace/claims/../1"),
    ("marketplace_claims", "/marketplace/claims/x"),
]


@pytest.mark.parametrize(("topic", "resource"), FOREIGN, ids=ascii)
def test_a_resource_that_is_something_else_is_refused(topic: str, resource: str) -> None:
    error = refused(envelope(topic=topic, resource=resource))
    assert "resource" in error.rule
    assert error.found == repr(resource)


@pytest.mark.parametrize("topic", ["items", "orders_v2", "Messages", "", "claims_x"])
def test_another_topic_is_refused_by_its_name(topic: str) -> None:
    error = refused(envelope(topic=topic))
    assert "topic" in error.rule
    assert error.found == repr(topic)
    assert "messages" in error.limit


@pytest.mark.parametrize("name", ["topic", "resource", "user_id"])
def test_what_is_missing_is_named(name: str) -> None:
    body = envelope()
    del body[name]
    assert name in refused(body).found


@pytest.mark.parametrize("name", ["topic", "resource", "user_id"])
@pytest.mark.parametrize("value", [None, {}, ["a"], True], ids=repr)
def test_what_is_odd_is_named(name: str, value: object) -> None:
    assert name in refused(envelope(**{name: value})).found


BODIES: Final[dict[str, bytes | str]] = {
    "nothing": b"",
    "no JSON": b"topic=messages",
    "HTML": b"<h1>Hola</h1>",
    "cut": b'{"topic": "messages"',
    "list": b"[]",
    "text": b'"messages"',
    "null": b"null",
    "no UTF-8": b'{"topic": "\xff"}',
    "half a character": '{"topic": "\ud83d"}',
    "deep": b"[" * 100_000,
    "deep inside": b'{"topic":' * 100_000,
    "endless number": b'{"topic":"messages","resource":"a","user_id":' + b"9" * 5000 + b"}",
    "infinite number": b'{"topic":"messages","resource":"a","user_id":1e999}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_envelope_is_refused(body: bytes | str) -> None:
    error = refused(body)
    assert "body" in error.rule
    assert isinstance(error, MlmsgError)
    assert isinstance(error, ValueError)


def test_a_refusal_repeats_little_of_what_came() -> None:
    assert len(str(refused(envelope(resource="/" * 100_000)))) < 500
    assert len(str(refused(envelope(topic="x" * 100_000)))) < 500


def test_the_module_gives_out_what_a_receiver_needs() -> None:
    assert set(notifications.__all__) == {"Kind", "Notification", "parse"}


# Anything at all ----------------------------------------------------------------------------

KEYS = ("_id", "id", "topic", "resource", "user_id", "actions", "attempts", "sent", "received")
LIKELY = st.sampled_from(["messages", "post_purchase", "/messages/a", "41", 41, "../x"])


def read_or_refused(body: bytes | str) -> None:
    """Whatever is read of it names one id, in one segment."""
    try:
        found = parse(body)
    except NotificationError:
        return
    assert found.id.replace("-", "").replace("_", "").isalnum()
    if found.kind == "message":
        assert f"/{found.resource}".endswith(f"/{found.id}")
        return
    _, _, rest = found.resource.partition(f"claims/{found.id}")
    assert f"claims/{found.id}" in found.resource
    assert "." not in rest
    assert not rest or rest.startswith("/")


@given(st.binary() | st.text())
@example(b"\xef\xbb\xbf{}")
@example('{"topic":"messages","resource":"a","user_id":1,"sent":1e300}')
@example('{"topic":"messages","resource":"a","user_id":1,"sent":"9999-12-31T23:59:59-23:59"}')
@example('{"topic":"messages","resource":"a","user_id":1,"actions":["\\ud83d"]}')
def test_no_bytes_raise_anything_else(body: bytes | str) -> None:
    read_or_refused(body)


@pytest.mark.slow
@given(ANY_JSON | st.dictionaries(st.sampled_from(KEYS), LIKELY | ANY_JSON))
def test_no_json_raises_anything_else(value: object) -> None:
    read_or_refused(json.dumps(value))


@given(st.text(max_size=20), st.sampled_from([one[1] for one in RESOURCES]), st.integers(0, 40))
def test_an_id_is_one_segment_wherever_something_is_added(
    more: str, resource: str, place: int
) -> None:
    for topic in ("messages", "marketplace_messages", "post_purchase", "marketplace_claims"):
        odd = resource[:place] + more + resource[place:]
        read_or_refused(json.dumps(envelope(topic=topic, resource=odd)))


@pytest.mark.parametrize("body", [None, 5, {}, {"topic": "messages"}, 1.5])
def test_a_notification_that_is_no_body_is_refused_with_its_type(body: object) -> None:
    refused: Callable[[object], object] = parse  # type: ignore[assignment]
    with pytest.raises(NotificationError, match=f"found {type(body).__name__}"):
        refused(body)
