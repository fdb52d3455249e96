"""The answers of the document "Pending messages" ("Mensajes pendientes")."""

import re

import msgspec

__all__ = ["Unread", "UnreadResult"]


class UnreadResult(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One conversation with messages that were not read (Pending messages, `results`).

    Attributes:
        resource: Its path, `/packs/{pack}/sellers/{seller}`; other forms of it occur.
        count: How many messages are not read, or None where the API does not say.
        total: A number that some answers give beside or in place of `count`.
    """

    resource: str
    count: int | None = None
    total: int | None = None

    @property
    def pack_id(self) -> int | None:
        """The pack in `resource`, or None."""
        return self._id("packs")

    @property
    def seller_id(self) -> int | None:
        """The seller in `resource`, or None."""
        return self._id("sellers?")

    @property
    def order_id(self) -> int | None:
        """The order in `resource`, in the form `/orders/{order}`, or None."""
        return self._id("orders")

    def _id(self, name: str) -> int | None:
        found = re.search(rf"(?:^|/){name}/([0-9]+)(?:/|$)", self.resource)
        return int(found[1]) if found else None


class Unread(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The conversations of a user with messages that were not read (Pending messages).

    Attributes:
        results: The conversations, at most 1000; there is no paging ("mark some as read and make
            the same request again").
        user_id: The user who asked.
        userId: The Global Selling spelling of `user_id`, which is read into it too.
    """

    results: list[UnreadResult]
    user_id: int | None = None
    userId: int | None = None  # noqa: N815

    def __post_init__(self) -> None:
        """Reads the one spelling into the other."""
        if self.user_id is None and self.userId is not None:
            msgspec.structs.force_setattr(self, "user_id", self.userId)
