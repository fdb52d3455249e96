"""Messages that were not read yet (Pending messages)."""

from collections.abc import AsyncGenerator

from mlmsg import _operations
from mlmsg._session import Session
from mlmsg.errors import StillUnread
from mlmsg.models import Message, ThreadPage, Unread, UnreadResult
from mlmsg.paging import walk
from mlmsg.rules import check_page, check_role

__all__ = ["UnreadMessages"]


class UnreadMessages:
    """Messages that were not read yet (Pending messages).

    Reading never marks as read, unless it is asked to: the API's own default is the other way.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    async def list(self, role: str | None = "seller") -> Unread:
        """The conversations with messages that were not read, at most 1000 of them.

        There is no paging: the document says to mark some as read and to ask again.

        Args:
            role: `"seller"`, `"buyer"`, or None for both.

        Raises:
            RuleError: Another role; the API would take it for both.
        """
        check_role(role)
        return await self._session.send(_operations.unread(role))

    async def drain(self, role: str | None = "seller") -> AsyncGenerator[UnreadResult, None]:
        """Every conversation with messages that were not read, past the 1000 of one answer.

        Mark each as read in the loop, once you are done with it: when the conversations of one
        answer were handed out, it asks again, and ends when nothing is left. What an answer
        repeats of the one before is not handed out again, unless its count has changed. What was
        gone and is back has a new message, and is. To look without marking, use `list`.

        Args:
            role: `"seller"`, `"buyer"`, or None for both.

        Raises:
            RuleError: Another role; the API would take it for both.
            StillUnread: An answer holds nothing but what was handed out already.
        """
        before: dict[str, UnreadResult] = {}
        while results := (await self.list(role)).results:
            offered = {one.resource: one for one in results}
            fresh = [one for name, one in offered.items() if before.get(name) != one]
            if not fresh:
                raise StillUnread(tuple(offered))
            before = offered
            for one in fresh:
                yield one

    async def get(self, resource: str) -> Unread:
        """How many messages of one conversation were not read.

        Args:
            resource: `/packs/{pack}/sellers/{seller}`, as `list` and notifications give it.
        """
        return await self._session.send(_operations.unread_of(resource))

    async def page(
        self,
        pack_id: int | str,
        seller_id: int | str,
        limit: int = 50,
        offset: int = 0,
        *,
        mark_as_read: bool = False,
    ) -> ThreadPage:
        """One page of a thread, in the older spelling of the document.

        Args:
            pack_id: The pack.
            seller_id: The seller.
            limit: Messages wanted, 1 or more. The server may give fewer: `paging.limit` tells.
            offset: Messages to skip, 0 or more.
            mark_as_read: Whether the messages count as read from now on.
        """
        check_page(limit, offset)
        request = _operations.seller_thread(
            pack_id, seller_id, limit, offset, mark_as_read=mark_as_read
        )
        return await self._session.send(request)

    def messages(
        self,
        pack_id: int | str,
        seller_id: int | str,
        *,
        page_size: int = 50,
        concurrency: int = 8,
        mark_as_read: bool = False,
    ) -> AsyncGenerator[Message, None]:
        """Every message of a thread, in the server's order, each once, as `packs.messages` does.

        With `mark_as_read=True` nothing is fetched ahead, whatever `concurrency` says: a page is
        asked for when its first message is, so a loop that is left early marks no page that it
        did not reach. The document does not say whether a page marks more than its own messages.

        Args:
            pack_id: The pack.
            seller_id: The seller.
            page_size: Messages asked for at a time; a server that gives fewer is followed.
            concurrency: Pages on their way, or waiting for the loop, at the same time.
            mark_as_read: Whether the messages count as read from now on.

        Raises:
            RuleError: An argument is out of range; nothing was sent.
        """

        async def fetch(offset: int, limit: int) -> ThreadPage:
            return await self.page(pack_id, seller_id, limit, offset, mark_as_read=mark_as_read)

        pages = 1 if mark_as_read else concurrency
        return walk(fetch, lambda message: message.id, limit=page_size, concurrency=pages)

    async def mark_as_read(self, pack_id: int | str, seller_id: int | str) -> ThreadPage:
        """Marks the messages of a thread as read, and answers with its first page."""
        request = _operations.seller_thread(pack_id, seller_id, None, 0, mark_as_read=True)
        return await self._session.send(request)
