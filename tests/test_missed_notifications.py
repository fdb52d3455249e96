"""Notifications in the forms that integrators report, and missed feeds (api, 6; api-beyond, f)."""

import json
from typing import Final

import pytest

from mlmsg import Client
from mlmsg.client.notifications import _identity
from mlmsg.errors import NotificationError
from mlmsg.notifications import Notification, parse
from mlmsg.sandbox import Fault, Sandbox

CLAIM: Final = {"topic": "post_purchase", "user_id": 5, "resource": "/post-purchase/v1/claims/12"}


def read(**changes: object) -> Notification:
    return parse(json.dumps(CLAIM | changes))


RESOURCES: Final = [
    # The forms of api, section 6, and of api-beyond, sections f, h and j.
    ("post_purchase", "post-purchase/v1/claims/12"),
    ("post_purchase", "/post-purchase/v1/claims/12"),
    ("post_purchase", "/post-purchase/claims/12"),
    ("post_purchase", "/claims/12"),
    ("post_purchase", "claims/12"),
    ("post_purchase", "/v2/claims/12"),
    ("post_purchase", "/post-purchase/v1/claims/12/messages/5"),
    ("post_purchase", "/post-purchase/v1/claims/12/attachments/A1_b-2"),
    ("post_purchase", "/post-purchase/v1/claims/12/expectedResolutions"),
    ("claims", "/claims/12"),
    ("claims", "claims/12"),
    ("claims", "/v1/claims/12"),
    ("claims", "/post-purchase/v1/claims/12"),
    ("claims_actions", "/claims/12/actions-history"),
    ("claims_actions", "/v1/claims/12"),
    ("claims_actions", "post-purchase/v1/claims/12/actions-history"),
    ("marketplace_claims", "marketplace/claims/12"),
    ("marketplace_claims", "/marketplace/v1/claims/12"),
    ("marketplace_claims", "/marketplace/v2/claims/12/messages/5"),
    ("marketplace_claims", "/claims/12"),
    ("marketplace_claims", "/v1/claims/12"),
    ("post_purchase", "/post-purchase/v1/claims/12/actions-history"),
    ("post_purchase", "post-purchase/v1/claims/12/messages"),
    ("post_purchase", "/post-purchase/v2/claims/12/a/b"),
    ("post_purchase", "/v1/claims/12"),
    ("post_purchase", "v1/claims/12/status-history"),
    ("marketplace_claims", "/marketplace/claims/12"),
    ("marketplace_claims", "/marketplace/v2/claims/12/messages"),
]


@pytest.mark.parametrize("row", RESOURCES, ids=" ".join)
def test_a_claim_is_named_under_every_prefix(row: tuple[str, str]) -> None:
    topic, resource = row
    notification = read(topic=topic, resource=resource)
    assert (notification.kind, notification.id) == ("claim", "12")
    assert (notification.topic, notification.resource) == (topic, resource)


LEAVING: Final = [
    "/post-purchase/v1/claims/12/../x", "/post-purchase/v1/claims/12abc", "/v1/claims/12/",
    "/v1/claims/12?x=1", "/v1/claims/12//x", "/v1/claims/-12", "/v1/claims/", "/x/claims/12",
    "/v1/claims/12/%2e%2e", "https://x.example/v1/claims/12", "/v1/claims/12#a", "/v1/claims/1 2",
    "/v1/claims/12\n", "/v1/claims/٣", "12", "/claims/12abc", "/claims/12/../x", "/claims/12/..",
    "/claims/12/./x", "//claims/12", "/claims//12", "/claims/12/a.b", "/claims/12\\x", "/claims/",
    "/evil/claims/12", "/v/claims/12", "/v1/v2/claims/12", "/orders/12", "/v1/returns/12",
    "/claims/" + "9" * 21,
]  # fmt: skip


@pytest.mark.parametrize("topic", ["post_purchase", "claims", "marketplace_claims"])
@pytest.mark.parametrize("resource", LEAVING, ids=ascii)
def test_what_leaves_the_id_is_refused(topic: str, resource: str) -> None:
    with pytest.raises(NotificationError):
        read(topic=topic, resource=resource)


RECEIVED: Final = "2026-03-01T10:00:00.000Z"


def test_two_events_of_one_claim_are_told_apart() -> None:
    """`_id` may repeat the resource, with or without its slash."""
    one = read(_id="post-purchase/v1/claims/12", received=RECEIVED, sent=RECEIVED, attempts=1)
    two = read(_id=CLAIM["resource"], received="2026-03-01T11:00:00Z", sent=RECEIVED)
    again = read(_id=CLAIM["resource"], received=RECEIVED, sent="2026-03-01T12:00:00Z", attempts=2)
    assert one.notification_id != two.notification_id
    assert one.notification_id == again.notification_id
    assert read(_id="n1", received=RECEIVED).notification_id == "n1"


@pytest.mark.parametrize("repeated", ["12", "/claims/12", "v1/claims/12", CLAIM["resource"]])
def test_an_id_that_repeats_the_claim_in_another_form_is_no_id(repeated: object) -> None:
    found = [read(_id=repeated, received=f"2026-03-01T1{hour}:00:00Z") for hour in (0, 0, 1)]
    ids = [one.notification_id for one in found]
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]


def test_a_message_that_was_created_and_read_has_two_events() -> None:
    keys = {"topic": "messages", "resource": "abc", "_id": "abc", "received": RECEIVED}
    created, seen = read(**keys, actions=["created"]), read(**keys, actions=["read"])
    assert (created.id, seen.id) == ("abc", "abc")
    assert created.notification_id != seen.notification_id


def test_a_swapped_element_is_read() -> None:
    swapped = parse(
        json.dumps(
            {
                "topic": "marketplace_messages",
                "user_id": 5,
                "resource": "5da8f",
                "_id": "/marketplace/messages/2d45a5ad",
            }
        )
    )
    assert (swapped.id, swapped.notification_id) == ("2d45a5ad", "5da8f")
    assert swapped.resource == "/marketplace/messages/2d45a5ad"


def test_the_undelivered_envelope_counts() -> None:
    envelope = {"_id": "e1", "topic": "messages", "resource": "m1", "user_id": 5, "attempts": 1}
    element = {
        "_id": "m1", "resource": "e1", "topic": "messages", "user_id": 5, "attempts": 8,
        "request": {"url": "https://x.example", "data": json.dumps(envelope)},
        "response": {"http_code": 500},
    }  # fmt: skip
    notification = parse(json.dumps(element))
    assert (notification.id, notification.notification_id) == ("m1", "e1")


@pytest.mark.parametrize("data", [None, "", "{", "[]", "{}", '"text"', 5, {"topic": None}])
def test_an_element_without_its_envelope_is_read_by_itself(data: object) -> None:
    assert read(request={"data": data}).id == "12"
    assert read(request=data).id == "12"


def fill(sandbox: Sandbox, count: int) -> list[str]:
    """Add missed notifications of so many messages; return the ids of the messages."""
    for number in range(count):
        sandbox.market.add_missed_feed("messages", f"m{number}")
    return [f"m{number}" for number in range(count)]


async def test_each_missed_notification_comes_once(sandbox: Sandbox, client: Client) -> None:
    application = sandbox.grant.client_id
    messages = fill(sandbox, 25)
    sandbox.market.add_missed_feed("marketplace_messages", "/marketplace/messages/g1")
    sandbox.market.add_missed_feed("items", "/items/MLM1")
    missed = client.notifications.missed(application, page_size=10)
    found = [notification async for notification in missed]
    assert sorted(one.id for one in found) == sorted(["g1", *messages])
    only = client.notifications.missed(application, topic="marketplace_messages")
    assert [notification.id async for notification in only] == ["g1"]


OFFSETS: Final = {
    # elements, the server's own limit -> the offsets of the requests
    "none": (0, None, [0]),
    "one page": (7, None, [0, 7]),
    "a full page": (10, None, [0, 10]),
    "two pages": (13, None, [0, 10, 13]),
    "a server that caps the limit": (13, 4, [0, 4, 8, 12, 13]),
    "one that caps it at one": (3, 1, [0, 1, 2, 3]),
}


@pytest.mark.parametrize("name", OFFSETS)
async def test_a_short_page_is_not_the_last_one(
    sandbox: Sandbox, client: Client, name: str
) -> None:
    count, sandbox.max_limit, offsets = OFFSETS[name]
    messages = fill(sandbox, count)
    missed = client.notifications.missed(sandbox.grant.client_id, page_size=10)
    assert [notification.id async for notification in missed] == messages
    assert [int(request.query["offset"]) for request in sandbox.requests] == offsets


async def test_a_server_that_ignores_the_offset_is_asked_twice(
    sandbox: Sandbox, client: Client
) -> None:
    fill(sandbox, 2)
    body = {"messages": [feed.entry() for feed in sandbox.market.missed_feeds]}
    sandbox.inject(Fault(status=200, body=body, path="/missed_feeds", times=100))
    missed = client.notifications.missed(sandbox.grant.client_id)
    assert [notification.id async for notification in missed] == ["m0", "m1"]
    assert len(sandbox.requests) == 2


def test_a_large_element_of_another_topic_is_not_kept_in_memory() -> None:
    identity = _identity(b'{"topic": "items"}' + bytes(100_000), None)
    assert isinstance(identity, bytes)
    assert len(identity) < 100
