"""The JSON of missed feeds; dates are texts such as `2024-08-22T22:36:47.000Z`."""

from msgspec import Struct, field

__all__ = ["FeedEntry", "FeedRequest", "FeedResponse", "Feeds"]


class FeedRequest(Struct, frozen=True):
    """The request of the last attempt; `data` is the JSON text of the notification."""

    url: str
    headers: dict[str, str]
    data: str


class FeedResponse(Struct, frozen=True):
    """The response of the application; `req_time` is milliseconds."""

    req_time: int
    http_code: int
    body: str
    headers: dict[str, str]


class FeedEntry(Struct, frozen=True):
    """A notification that was not accepted; `id` is `_id` in JSON."""

    id: str = field(name="_id")
    resource: str
    user_id: int
    topic: str
    application_id: int
    attempts: int
    sent: str
    received: str
    request: FeedRequest
    response: FeedResponse


class Feeds(Struct, frozen=True):
    """A page of missed feeds; it has no `paging`."""

    messages: list[FeedEntry]
