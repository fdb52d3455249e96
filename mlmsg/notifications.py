"""Notifications: from the bytes that a receiver gets to a typed value, and nothing else.

The documented flow for new messages is the notification, then a GET of what it names; unread
messages are the check that none was lost. A receiver has to answer 200 within 500 ms, so it parses,
puts the value aside and answers. Notifications carry no signature: the `resource` is never followed
as an address, only the id is taken out of it.
"""

import re
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from . import _lenient
from .errors import NotificationError
from .models._base import UtcStruct

__all__ = ["Kind", "Notification", "parse"]

Kind: TypeAlias = Literal["message", "claim"]
"""What a notification is about."""


class Notification(UtcStruct, frozen=True, kw_only=True):
    """Something happened to a message or a claim of a user.

    Attributes:
        topic: `messages`, `marketplace_messages`, `post_purchase` or `marketplace_claims`.
        kind: `"message"`: read it with `client.messages.get(id)`. `"claim"`: read it with
            `client.claims.messages(id)`.
        id: The id of the message or the claim.
        user_id: The user it is for, the seller.
        resource: The path it came with.
        notification_id: The notification's own id, the same when it is sent again; or None.
        application_id: The application it was sent to, or None.
        actions: What happened; empty where it does not say.
        attempts: How often it was sent, or None.
        sent: When; aware, UTC where no zone was given.
        received: When; aware, UTC where no zone was given.
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
    """The body as it is sent, in all its spellings."""

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


_MESSAGE = r"[A-Za-z0-9_-]+"
_TOPICS: dict[str, tuple[Kind, re.Pattern[str]]] = {
    "messages": ("message", re.compile(rf"(?:/?messages/)?({_MESSAGE})")),
    "marketplace_messages": ("message", re.compile(rf"/?marketplace/messages/({_MESSAGE})")),
    "post_purchase": ("claim", re.compile(r"/?post-purchase/v1/claims/([0-9]+)")),
    "marketplace_claims": ("claim", re.compile(r"/?marketplace/claims/([0-9]+)")),
}


def parse(body: bytes | bytearray | str) -> Notification:
    """The notification in the body of a request.

    Raises:
        NotificationError: It is no JSON, lacks its topic, resource or user, is of a topic that is
            neither about messages nor about claims, or names something else than its topic says.
    """
    limit = "a JSON object with `topic`, `resource` and `user_id`"
    if not isinstance(body, bytes | bytearray | str):
        raise NotificationError("body of a notification", type(body).__name__, limit)
    try:
        raw = body.encode() if isinstance(body, str) else bytes(body)
        envelope = _lenient.convert(_lenient.parse(raw), _Envelope)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise NotificationError("body of a notification", str(error), limit) from None
    if envelope.topic not in _TOPICS:
        known = ", ".join(_TOPICS)
        raise NotificationError("topic of a notification", repr(envelope.topic[:80]), known)
    kind, pattern = _TOPICS[envelope.topic]
    named = pattern.fullmatch(envelope.resource)
    if named is None:
        limit = f"the path of a {kind}"
        raise NotificationError("resource of a notification", repr(envelope.resource[:80]), limit)
    return Notification(
        topic=envelope.topic,
        kind=kind,
        id=named[1],
        user_id=envelope.user_id,
        resource=envelope.resource,
        notification_id=envelope.underscored or envelope.plain,
        application_id=envelope.application_id,
        actions=envelope.actions or [],
        attempts=envelope.attempts,
        sent=envelope.sent,
        received=envelope.received or envelope.recieved,
    )
