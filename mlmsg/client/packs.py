"""The threads of packs, and single messages (Post-sale messages)."""

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import TypeAlias

from mlmsg import _operations
from mlmsg._arguments import check_id, check_sequence
from mlmsg._reconcile import SendReconciler, pack_fingerprint
from mlmsg._session import Session
from mlmsg.models import (
    Conversation,
    ConversationStatus,
    Message,
    Sent,
    ThreadPage,
    Upload,
)
from mlmsg.paging import walk
from mlmsg.rules import check_attachment_count, check_page, check_text
from mlmsg.uploads import SourceLike

from .attachments import Attachments

__all__ = ["Messages", "Packs"]

AttachmentLike: TypeAlias = str | Upload
"""The id of an uploaded file, or what the upload answered."""


class Packs:
    """The threads of packs (Post-sale messages)."""

    def __init__(self, session: Session, attachments: "Attachments") -> None:
        self._session = session
        self._attachments = attachments
        self._reconciler = SendReconciler[Message](session.clock_offset)

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

    def messages(
        self, pack_id: int | str, *, page_size: int = 50, concurrency: int = 8
    ) -> AsyncGenerator[Message, None]:
        """Every message of a thread, in the server's order; reading marks nothing as read.

        Each comes once, also when messages come and go meanwhile: whatever is there during the
        whole walk is not missed. Pages are fetched ahead of the loop once the first is used up;
        leaving the loop ends that at once. See `mlmsg.paging`.

        Args:
            pack_id: The pack.
            page_size: Messages asked for at a time; a server that gives fewer is followed.
            concurrency: Pages on their way, or waiting for the loop, at the same time.

        Raises:
            RuleError: An argument is out of range; nothing was sent.
            NotFound: There is no such pack.
        """
        fetch = partial(self._fetch, pack_id)
        return walk(fetch, _message_id, limit=page_size, concurrency=concurrency)

    async def conversation(
        self, pack_id: int | str, *, page_size: int = 50, concurrency: int = 8
    ) -> Conversation:
        """A whole thread: all its messages, and its state; reading marks nothing as read.

        Args:
            pack_id: The pack.
            page_size: Messages asked for at a time; a server that gives fewer is followed.
            concurrency: Pages on their way, or waiting for their turn, at the same time.

        Raises:
            RuleError: An argument is out of range; nothing was sent.
            NotFound: There is no such pack.
        """
        states: list[ConversationStatus | None] = []

        async def fetch(offset: int, limit: int) -> ThreadPage:
            page = await self.page(pack_id, limit, offset)
            states.append(page.conversation_status)
            return page

        pages = walk(fetch, _message_id, limit=page_size, concurrency=concurrency)
        messages = [message async for message in pages]
        return Conversation(messages=messages, status=states[0])  # the first is fetched alone

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
        ids = [_attachment_id(one) for one in check_sequence("`attachments`", attachments)]
        check_attachment_count(len(ids) + len(check_sequence("`files`", files)))
        check_id("pack_id", pack_id)
        if files:
            ids += [one.id for one in await self._attachments.upload_all(files, site_id)]
        request = _operations.send_to_pack(pack_id, text, text_translated, ids)
        sending, thread = self._session.send(request), partial(self.messages, pack_id)
        return await self._reconciler.track(
            sending, str(pack_id), text, ids, thread, pack_fingerprint
        )

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
