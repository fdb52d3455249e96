"""The responses of the document "Pending messages" ("Mensajes pendientes")."""

import re
from typing import ClassVar

import msgspec

from mlmsg._html import count_text, render_table

__all__ = ["Unread", "UnreadResult"]


class UnreadResult(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One conversation with unread messages (Pending messages, `results`).

    Attributes:
        resource: The path, `/packs/{pack}/sellers/{seller}`, `/packs/{pack}` or `/orders/{order}`.
        count: The number of unread messages, or None if the response has none.
        total: A number that some responses have beside `count`, or instead of it.
        user_id: The user of the response, if `resource` names no seller.
    """

    resource: str
    count: int | None = None
    total: int | None = None
    user_id: int | None = None

    _can_be_left_out: ClassVar = True

    @property
    def pack_id(self) -> int | None:
        """The pack in `resource`, or None."""
        return self._id("packs")

    @property
    def seller_id(self) -> int | None:
        """The seller in `resource`, otherwise the user of the response, or None."""
        return self._id("sellers?") or self.user_id

    @property
    def order_id(self) -> int | None:
        """The order in `resource`, in the form `/orders/{order}`, or None."""
        return self._id("orders")

    def _id(self, name: str) -> int | None:
        match = re.search(rf"(?:^|/){name}/([0-9]{{1,20}})(?:/|\Z)", self.resource)
        return int(match[1]) if match else None


class Unread(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The conversations of a user that have unread messages (Pending messages).

    Attributes:
        results: The conversations, at most 1000. There is no paging ("mark some as read and make
            the same request again"). A row that is not an object is left out.
        user_id: The user whose token was used.
        userId: The user id in the Global Selling spelling; copied to `user_id`.
    """

    results: list[UnreadResult]
    user_id: int | None = None
    userId: int | None = None  # noqa: N815

    def __post_init__(self) -> None:
        """Copy `userId` to `user_id`, and `user_id` to the results that name no seller."""
        if self.user_id is None and self.userId is not None:
            msgspec.structs.force_setattr(self, "user_id", self.userId)
        for result in self.results:
            if "/seller" not in result.resource:
                msgspec.structs.force_setattr(result, "user_id", self.user_id)

    def __repr__(self) -> str:
        return f"<Unread: {count_text(len(self.results), None, 'conversation')}>"

    def _repr_html_(self) -> str:
        headers = ("pack", "order", "seller", "unread")
        rows = [(row.pack_id, row.order_id, row.seller_id, row.count) for row in self.results]
        return render_table(
            count_text(len(self.results), None, "unread conversation"), headers, rows
        )
