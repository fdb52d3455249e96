"""Turn the body of a notification into a typed value.

The documented flow for new messages is the notification, then a GET of its resource. The list of
unread messages shows whether a notification was lost. A receiver must answer 200 within 500 ms: it
parses the body, queues the value and answers. Notifications have no signature. For this reason the
`resource` is never used as a URL; only the id is read from it.
"""

import re
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from . import _lenient
from ._patterns import LazyPattern
from .errors import NotificationError
from .models._base import UtcStruct

__all__ = ["Kind", "Notification", "parse"]

Kind: TypeAlias = Literal["message", "claim"]
"""The kind of thing that changed."""


class Notification(UtcStruct, frozen=True, kw_only=True):
    """A change of a message or a claim of a user.

    Attributes:
        topic: `messages`, `marketplace_messages`, `post_purchase` or `marketplace_claims`, or an
            older name of `post_purchase`: `claims` or `claims_actions`.
        kind: `"message"`: read it with `client.messages.get(id)`. `"claim"`: read it with
            `client.claims.messages(id)`.
        id: The id of the message or the claim.
        user_id: The user who receives the notification, the seller.
        resource: The path in the notification.
        notification_id: The id of the notification itself, or None. A repeated delivery has the
            same id.
        application_id: The application that receives the notification, or None.
        actions: The changes, such as `created` or `read`; empty if the notification names none.
        attempts: The number of deliveries so far, or None.
        sent: The time of sending; aware, UTC if the API gave no zone.
        received: The time of receiving; aware, UTC if the API gave no zone.
    """

    topic: str
    kind: Kind
    id: str
    user_id: int
    resource: str
    notification_id: str | None = None
    application_id: int | None = None
    actions: list[str] = msgspec.field(default_factory=list)
    attempts: int | None = None
    sent: datetime | None = None
    received: datetime | None = None


class _Envelope(msgspec.Struct, kw_only=True):
    """The body of a notification, in all spellings."""

    topic: str
    resource: str
    user_id: int
    underscored: str | None = msgspec.field(default=None, name="_id")
    plain: str | None = msgspec.field(default=None, name="id")
    application_id: int | None = None
    actions: list[str] | None = None
    attempts: int | None = None
    sent: datetime | None = None
    received: datetime | None = None
    recieved: datetime | None = None


_ID = r"[A-Za-z0-9_-]+"
_CLAIM = r"(?:v[0-9]+/)?claims/([0-9]{1,20})(?:/[A-Za-z0-9_-]+)*"
"""A claim, and the parts of it that a path may name after its id. No part contains a dot: `..`
would lead to something else."""

_DOMESTIC_CLAIM = LazyPattern(rf"/?(?:post-purchase/)?{_CLAIM}")

_TOPICS: dict[str, tuple[Kind, LazyPattern[str]]] = {
    "messages": ("message", LazyPattern(rf"(?:/?messages/)?({_ID})")),
    "marketplace_messages": ("message", LazyPattern(rf"/?marketplace/messages/({_ID})")),
    "post_purchase": ("claim", _DOMESTIC_CLAIM),
    "claims": ("claim", _DOMESTIC_CLAIM),
    "claims_actions": ("claim", _DOMESTIC_CLAIM),
    "marketplace_claims": ("claim", LazyPattern(rf"/?(?:marketplace/)?{_CLAIM}")),
}


def parse(body: bytes | bytearray | str) -> Notification:
    """Return the notification in the body of a request.

    Raises:
        NotificationError: The body is not JSON; the topic, resource or user is missing; the topic
            is not one of messages or claims; or the resource does not belong to the topic.
    """
    envelope = _read(body)
    if envelope.topic not in _TOPICS:
        known = ", ".join(_TOPICS)
        raise NotificationError("topic of a notification", repr(envelope.topic[:80]), known)
    kind, pattern = _TOPICS[envelope.topic]
    resource, identity = envelope.resource, envelope.underscored or envelope.plain
    match = pattern.fullmatch(resource)
    if identity is not None and "/" in identity and "/" not in resource:
        swapped = pattern.fullmatch(identity)  # as in an example of missed feeds
        if swapped is not None:
            resource, identity, match = identity, resource, swapped
    if match is None:
        limit = f"the path of a {kind}"
        raise NotificationError("resource of a notification", repr(resource[:80]), limit)
    return Notification(
        topic=envelope.topic,
        kind=kind,
        id=match[1],
        user_id=envelope.user_id,
        resource=resource,
        notification_id=_identity(identity, match, envelope, pattern),
        application_id=envelope.application_id,
        actions=envelope.actions or [],
        attempts=envelope.attempts,
        sent=envelope.sent,
        received=envelope.received or envelope.recieved,
    )


def _read(body: bytes | bytearray | str) -> _Envelope:
    """Return the envelope; of a missed feed, the one that was to be delivered."""
    limit = "a JSON object with `topic`, `resource` and `user_id`"
    if not isinstance(body, bytes | bytearray | str):
        raise NotificationError("body of a notification", type(body).__name__, limit)
    try:
        raw = body.encode() if isinstance(body, str) else bytes(body)
        value = _lenient.parse(raw)
        if isinstance(value, dict):
            value |= _undelivered(value)
        return _lenient.convert(value, _Envelope)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise NotificationError("body of a notification", str(error), limit) from None


def _undelivered(element: dict[str, object]) -> dict[str, object]:
    """Return the envelope in `request.data` of a missed feed, or an empty one.

    The element around it may name its own keys differently: an example has `_id` and `resource`
    swapped.
    """
    request = element.get("request")
    data = request.get("data") if isinstance(request, dict) else None
    if isinstance(data, str):
        try:
            data = _lenient.parse(data.encode("utf-8", "replace"))
        except (msgspec.MsgspecError, RecursionError):
            return {}
    is_envelope = isinstance(data, dict) and bool(data.get("topic")) and bool(data.get("resource"))
    if not (isinstance(data, dict) and is_envelope):
        return {}
    return {name: value for name, value in data.items() if value is not None}


def _identity(
    identity: str | None, resource: re.Match[str], envelope: _Envelope, pattern: LazyPattern[str]
) -> str | None:
    """Return an id that no other event has.

    An `_id` that only repeats the resource, or its id, is the same for all events of a claim. The
    time at which the API noticed the event makes it unique. Not verified: that a redelivery repeats
    this time.
    """
    repeated = pattern.fullmatch(identity or "")
    names_resource = identity == resource[1] or (repeated and repeated[1] == resource[1])
    if identity is None or not names_resource:
        return identity
    moment = envelope.received or envelope.recieved or envelope.sent
    if moment is None:
        return identity
    actions = ",".join(envelope.actions or ())
    return f"{resource[0]} {actions} {moment.isoformat()}"
