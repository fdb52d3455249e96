"""The threads of packs, and single messages (Post-sale messages)."""

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import TypeAlias

from mlmsg import _operations
from mlmsg._session import Session
from mlmsg.models import Conversation, Message, Sent, ThreadPage, Upload
from mlmsg.paging import walk
from mlmsg.rules import check_attachment_count, check_id, check_page, check_text
from mlmsg.uploads import SourceLike

from ._deliveries import Deliveries, pack_look
from ._shared import several
from .attachments import Attachments

__all__ = ["Messages", "Packs"]

AttachmentLike: TypeAlias = str | Upload
"""The id of an uploaded file, or what the upload answered."""


class Packs:
    """The threads of packs (Post-sale messages)."""

    def __init__(self, session: Session, attachments: "Attachments") -> None:
        self._session = session
        self._attachments = attachments
        self._deliveries = Deliveries[Message](session)

    async def page(self, pack_id: int | str, limit: int = 50, offset: int = 0) -> ThreadPage:
        """One page of a thread; reading it marks nothing as read.

        Args:
            pack_id: The pack.
            limit: Messages wanted, 1 or more. The server may give fewer: `paging.limit` tells.
            offset: Messages to skip, 0 or more.

        Raises:
            RuleError: An argument is out of range; nothing was sent.
            NotFound: There is no such pack.
        """
        check_page(limit, offset)
        return await self._session.send(_operations.pack_page(pack_id, limit, offset))

    async def messages(
        self, pack_id: int | str, *, page_size: int = 50
    ) -> AsyncGenerator[Message, None]:
        """Every message of a thread, page after page, each once; reading marks nothing as read.

        Args:
            pack_id: The pack.
            page_size: Messages asked for at a time; a server that gives fewer is followed.
        """
        check_page(page_size, 0)
        async for message in walk(partial(self._fetch, pack_id), _message_id, limit=page_size):
            yield message

    async def conversation(self, pack_id: int | str, *, page_size: int = 50) -> Conversation:
        """A whole thread: all its messages, and its state; reading marks nothing as read.

        Args:
            pack_id: The pack.
            page_size: Messages asked for at a time; a server that gives fewer is followed.

        Raises:
            NotFound: There is no such pack.
        """
        check_page(page_size, 0)
        pages: list[ThreadPage] = []

        async def fetch(offset: int, limit: int) -> ThreadPage:
            pages.append(await self.page(pack_id, limit, offset))
            return pages[-1]

        messages = [message async for message in walk(fetch, _message_id, limit=page_size)]
        return Conversation(messages=messages, status=pages[0].conversation_status)

    async def send(
        self,
        pack_id: int | str,
        text: str,
        *,
        text_translated: str | None = None,
        attachments: Sequence[AttachmentLike] = (),
        files: Sequence[SourceLike] = (),
        site_id: str | None = None,
    ) -> Sent:
        """Sends a message to the buyer, once.

        All rules are checked first; then `files` are uploaded side by side; then the message is
        sent. Accepted is not delivered: moderation may hold it back, see `Sent`.

        Args:
            pack_id: The pack.
            text: What to say; not empty.
            text_translated: The same in the buyer's language.
            attachments: Files that were uploaded before, 25 at most together with `files`.
            files: Files to upload now: paths, bytes, open files, … as `attachments.upload` takes.
            site_id: The order's site, such as `"MLM"`; needed for `files`.

        Raises:
            RuleError: A rule is broken; nothing was sent.
            OutcomeUnknown: It may or may not have been delivered; `await error.reconcile()`
                answers with the delivered `Message`, or None.
        """
        check_text(text)
        if text_translated is not None:
            check_text(text_translated, "text_translated")
        ids = [_attachment_id(one) for one in several("attachments", attachments)]
        check_attachment_count(len(ids) + len(several("files", files)))
        check_id("pack_id", pack_id)
        if files:
            ids += [one.id for one in await self._attachments.upload_all(files, site_id)]
        request = _operations.send_to_pack(pack_id, text, text_translated, ids)
        sending, thread = self._session.send(request), partial(self.messages, pack_id)
        return await self._deliveries.watch(sending, str(pack_id), text, ids, thread, pack_look)

    async def _fetch(self, pack_id: int | str, offset: int, limit: int) -> ThreadPage:
        return await self.page(pack_id, limit, offset)


class Messages:
    """Single messages (Post-sale messages)."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, message_id: int | str) -> Message:
        """One message by its id; reading it marks nothing as read.

        Raises:
            NotFound: There is no such message. The documents advise to try again after some
                seconds: a new one may not be stored yet.
        """
        return await self._session.send(_operations.message(message_id))


def _message_id(message: Message) -> str:
    return message.id


def _attachment_id(one: AttachmentLike) -> str:
    return one.id if isinstance(one, Upload) else check_id("attachments", one)
