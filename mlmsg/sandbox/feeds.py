"""Missed feeds: the notifications that an application did not accept. Plain values, no I/O."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from mlmsg.sandbox.schemas.dates import format_utc_milliseconds
from mlmsg.sandbox.schemas.feeds import FeedEntry, FeedRequest, FeedResponse

__all__ = ["MissedFeed"]

_KEPT = timedelta(days=2)
_TIME_OF_ATTEMPTS = timedelta(hours=1)
_CALLBACK = "https://example.com/notifications"


@dataclass(slots=True)
class MissedFeed:
    """A notification that was not accepted after several attempts.

    Attributes:
        id: The id; a feed with the same id is another attempt of the same notification.
        sent: The time of the last attempt. The API keeps the feed for two days.
        is_swapped: `_id` and `resource` of the entry are swapped, as in an example of Global
            Selling. The envelope inside `request.data` is right in any case.
    """

    id: str
    topic: str
    resource: str
    user_id: int
    application_id: int
    actions: list[str] | None
    attempts: int
    sent: datetime
    is_swapped: bool

    @property
    def received(self) -> datetime:
        """One hour before `sent`; the meaning of the field is not documented."""
        return self.sent - _TIME_OF_ATTEMPTS

    def is_kept(self, now: datetime) -> bool:
        """Return True if the API still lists the feed."""
        return self.sent <= now < self.sent + _KEPT

    def envelope(self) -> dict[str, object]:
        """Return the notification as it was sent; one with actions has `id` in place of `_id`."""
        envelope: dict[str, object] = {
            "_id" if self.actions is None else "id": self.id,
            "resource": self.resource,
            "user_id": self.user_id,
            "topic": self.topic,
            "application_id": self.application_id,
            "attempts": self.attempts,
            "sent": format_utc_milliseconds(self.sent),
            "received": format_utc_milliseconds(self.received),
        }
        return envelope if self.actions is None else {**envelope, "actions": self.actions}

    def entry(self) -> FeedEntry:
        """Return the feed as the API lists it."""
        first, second = self.id, self.resource
        if self.is_swapped:
            first, second = second, first
        headers = {"content-type": "application/json"}
        data = msgspec.json.encode(self.envelope()).decode()
        return FeedEntry(
            id=first,
            resource=second,
            user_id=self.user_id,
            topic=self.topic,
            application_id=self.application_id,
            attempts=self.attempts,
            sent=format_utc_milliseconds(self.sent),
            received=format_utc_milliseconds(self.received),
            request=FeedRequest(_CALLBACK, headers, data),
            response=FeedResponse(501, 500, "", {}),
        )
