"""Unread messages of post-sale threads (document "Pending messages")."""

from collections import Counter
from collections.abc import AsyncGenerator

from mlmsg import _operations
from mlmsg._misuse import explain_misuse
from mlmsg._session import Session
from mlmsg.errors import StillUnread
from mlmsg.models import Message, ThreadPage, Unread, UnreadResult
from mlmsg.paging import walk
from mlmsg.rules import check_page, check_role

__all__ = ["UnreadMessages"]

MAX_YIELDS = 3
"""The number of times that `drain` yields one conversation."""


@explain_misuse("client.unread")
class UnreadMessages:
    """Unread messages of post-sale threads (document "Pending messages").

    A read marks nothing as read unless `mark_as_read=True` is given; the API's own default is the
    opposite.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    async def list(self, role: str | None = "seller") -> Unread:
        """Return the conversations with unread messages, at most 1000 of them.

        The API has no paging here: the document says to mark some as read and to ask again.

        Args:
            role: `"seller"`, `"buyer"`, or None for both.

        Raises:
            RuleError: The role is another one, which the API would treat as both.
        """
        check_role(role)
        return await self._session.send(_operations.unread(role))

    async def drain(self, role: str | None = "seller") -> AsyncGenerator[UnreadResult, None]:
        """Yield every conversation with unread messages, past the 1000 of one answer.

        Mark each conversation as read in the loop when you are done with it. After the last
        conversation of an answer, `drain` asks for the next answer, and it ends when nothing is
        unread. A conversation is yielded again only if its count changed, or if it disappeared from
        an earlier answer and came back (it then has a new message). To read without marking, use
        `list`.

        A conversation is yielded at most three times, so `drain` ends also if the answers come from
        servers that disagree about what was read.

        Args:
            role: `"seller"`, `"buyer"`, or None for both.

        Raises:
            RuleError: The role is another one, which the API would treat as both.
            StillUnread: An answer contains only conversations that were already yielded.
        """
        before: dict[str, UnreadResult] = {}
        times = Counter[str]()  # how often each conversation was yielded
        while results := (await self.list(role)).results:
            unread = {result.resource: result for result in results}
            changed = [result for name, result in unread.items() if before.get(name) != result]
            fresh = [result for result in changed if times[result.resource] < MAX_YIELDS]
            if not fresh:
                withheld = [name for name in times if changed and times[name] >= MAX_YIELDS]
                raise StillUnread(tuple(dict.fromkeys([*unread, *withheld])))
            before = unread
            for result in fresh:
                times[result.resource] += 1
                yield result

    async def get(self, resource: str) -> Unread:
        """Return the number of unread messages of one conversation.

        Args:
            resource: `/packs/{pack}/sellers/{seller}`, as `list` and notifications name it.

        Raises:
            RuleError: `resource` is not the path of a conversation.
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
        """Return one page of a thread, read by its pack and seller.

        Args:
            pack_id: The pack.
            seller_id: The seller.
            limit: Messages to ask for, 1 or more. The server may return fewer: see `paging.limit`.
            offset: Messages to skip, 0 or more.
            mark_as_read: True to mark the messages as read.

        Raises:
            RuleError: An argument is out of range; nothing was sent.
        """
        limit, offset = check_page(limit, offset)
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
        """Yield every message of a thread once, in the server's order, as `packs.messages` does.

        With `mark_as_read=True` no page is fetched ahead, whatever `concurrency` is: a page is
        requested when its first message is needed, so a loop that ends early marks no page that it
        did not reach. The document does not say if a page marks more than its own messages.

        Args:
            pack_id: The pack.
            seller_id: The seller.
            page_size: Messages to ask for at a time. The server may return fewer.
            concurrency: Pages that are requested, or wait to be read, at the same time.
            mark_as_read: True to mark the messages as read.

        Raises:
            RuleError: An argument is out of range; nothing was sent.
        """

        async def fetch(offset: int, limit: int) -> ThreadPage:
            return await self.page(pack_id, seller_id, limit, offset, mark_as_read=mark_as_read)

        pages = 1 if mark_as_read else concurrency
        return walk(fetch, lambda message: message.id, limit=page_size, concurrency=pages)

    async def mark_as_read(self, pack_id: int | str, seller_id: int | str) -> ThreadPage:
        """Mark the messages of a thread as read, and return its first page.

        The API marks by a GET of the thread. The document does not say if it marks messages
        beyond the first page.
        """
        request = _operations.seller_thread(pack_id, seller_id, None, 0, mark_as_read=True)
        return await self._session.send(request)
