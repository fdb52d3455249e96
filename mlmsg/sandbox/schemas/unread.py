"""The JSON of the unread counts of "Pending messages"."""

from msgspec import Struct

__all__ = ["Unread", "UnreadCount"]


class UnreadCount(Struct, frozen=True):
    """A conversation with unread messages; `resource` is `/packs/{pack}/sellers/{seller}`."""

    resource: str
    count: int


class Unread(Struct, frozen=True):
    """The conversations of a user; `user_id` is a text when there are none."""

    user_id: int | str
    results: list[UnreadCount]
