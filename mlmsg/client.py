"""The client and its groups of operations: rules first, then a request, then the session."""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from types import TracebackType
from typing import NoReturn, Self, TypeAlias, TypeVar

from . import _operations
from ._session import Session
from ._streams import in_thread
from ._wire import Reply
from .auth import TokenLike, token_source
from .downloads import Download, Saved, check_target
from .errors import RuleError, UsageError
from .models import Message, Sent, ThreadPage, Upload
from .policy import RetryPolicy, Timeouts
from .rules import (
    POST_SALE_FILES,
    check_attachment_count,
    check_base_url,
    check_id,
    check_page,
    check_site_id,
    check_text,
)
from .uploads import Multipart, Progress, Source, SourceLike, open_source

__all__ = ["Attachments", "Client", "Messages", "Packs"]

T = TypeVar("T")

AttachmentLike: TypeAlias = str | Upload
"""The id of an uploaded file, or what the upload answered."""


class Client:
    """Mercado Libre's post-sale messaging, for one seller's token.

    Connections open with the first call and belong to its event loop. Use it as
    `async with Client(...) as client`, or call `aclose()` when done. Calls may run side by side.

    Attributes:
        packs: The threads of packs.
        messages: Single messages.
        attachments: Files of packs' threads.
    """

    def __init__(
        self,
        token: TokenLike,
        *,
        base_url: str = "https://api.mercadolibre.com",
        timeout: float | Timeouts | None = 30.0,
        retry: RetryPolicy | None = None,
        max_connections: int = 100,
    ) -> None:
        """Opens nothing yet.

        Args:
            token: An access token, an async function that returns one, or a token source.
            base_url: Where the API is; `http://` only on this machine.
            timeout: Seconds without progress, or `Timeouts` for each phase, or None.
            retry: How often, and after how long, to try again.
            max_connections: Calls and open downloads that run at the same time; more wait.

        Raises:
            RuleError: The token or the base URL cannot be one.
        """
        if max_connections < 1:
            raise RuleError("`max_connections`", str(max_connections), "1 or more")
        self._base_url = check_base_url(base_url)
        self._session = Session(
            token_source(token),
            self._base_url,
            Timeouts.of(timeout),
            RetryPolicy() if retry is None else retry,
            f"mlmsg/{_VERSION}",
            max_connections,
        )
        self.attachments = Attachments(self._session)
        self.packs = Packs(self._session, self.attachments)
        self.messages = Messages(self._session)

    def __repr__(self) -> str:
        return f"<mlmsg.Client {self._base_url}>"

    async def aclose(self) -> None:
        """Closes every connection; the client cannot be used again."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __enter__(self) -> NoReturn:
        raise UsageError("this client is asynchronous; write `async with Client(...) as client:`")

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        """There so that a plain `with` reaches `__enter__` and its explanation."""


class Packs:
    """The threads of packs (Post-sale messages)."""

    def __init__(self, session: Session, attachments: "Attachments") -> None:
        self._session = session
        self._attachments = attachments

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
            OutcomeUnknown: It may or may not have been delivered; read the thread before
                sending again.
        """
        check_text(text)
        if text_translated is not None:
            check_text(text_translated, "text_translated")
        ids = [_attachment_id(one) for one in _several("attachments", attachments)]
        check_attachment_count(len(ids) + len(_several("files", files)))
        check_id("pack_id", pack_id)
        if files:
            ids += [one.id for one in await self._attachments.upload_all(files, site_id)]
        request = _operations.send_to_pack(pack_id, text, text_translated, ids)
        return await self._session.send(request)


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


class Attachments:
    """Files of packs' threads (Post-sale messages)."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def upload(
        self,
        source: SourceLike,
        *,
        site_id: str,
        filename: str | None = None,
        content_type: str | None = None,
        length: int | None = None,
        progress: Progress | None = None,
    ) -> Upload:
        """Stores a file for a later message; the file is streamed, never held in memory.

        Args:
            source: A path, bytes, an open binary file, a synchronous or asynchronous iterable of
                bytes, or an open `Download`. A file of the caller's is not closed, and is read
                from where it stands.
            site_id: The order's site, such as `"MLM"`; never `"CBT"`.
            filename: The name the buyer sees, 200 characters at most; from the source if it has
                one.
            content_type: The MIME type; guessed from the name if left out.
            length: The bytes that the source will yield. Without it, a source that cannot tell
                is first copied to a temporary file, to be measured.
            progress: Called with the bytes sent and all of them; from 0 again if it is retried.

        Raises:
            RuleError: A rule is broken; nothing was sent.
            LengthMismatch: The source held more or fewer bytes than it said.
        """
        site_id = check_site_id(site_id)
        async with open_source(
            source,
            POST_SALE_FILES,
            filename=filename,
            content_type=content_type,
            length=length,
        ) as opened:
            return await self._upload(opened, site_id, progress)

    async def upload_all(self, files: Sequence[SourceLike], site_id: str | None) -> list[Upload]:
        """Stores several files side by side, in the order given; all rules are checked first.

        Raises:
            RuleError: A rule is broken by any of them; nothing was sent.
        """
        site = check_site_id(site_id)
        async with AsyncExitStack() as stack:
            sources = [
                await stack.enter_async_context(open_source(file, POST_SALE_FILES))
                for file in files
            ]
            return await _side_by_side([self._upload(one, site) for one in sources])

    @asynccontextmanager
    async def open(self, attachment_id: int | str, site_id: str) -> AsyncIterator[Download]:
        """A file's bytes as a `Download`, inside an `async with` block.

        Args:
            attachment_id: `filename` of one of `message.attachments`, not `original_filename`.
            site_id: The order's site, such as `"MLM"`.
        """
        request = _operations.download(attachment_id, check_site_id(site_id))
        async with self._session.open(request) as reply:
            yield Download(reply, str(attachment_id))

    async def download(
        self,
        attachment_id: int | str,
        to: str | os.PathLike[str],
        *,
        site_id: str,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Saved:
        """Saves a file, whole or not at all; tried again if the network fails on the way.

        Args:
            attachment_id: `filename` of one of `message.attachments`, not `original_filename`.
            to: A folder or a file path, as `Download.save` takes it.
            site_id: The order's site, such as `"MLM"`.
            overwrite: Whether an existing file may be replaced.
            progress: Called with the bytes so far and all of them (None: not known).

        Raises:
            TargetExists: The file is there, and `overwrite` is false.
            IncompleteDownload: The file goes on arriving short, empty or cut.
            OSError: The file cannot be written.
        """
        name = str(attachment_id)
        request = _operations.download(attachment_id, check_site_id(site_id))
        await in_thread(partial(check_target, to, overwrite=overwrite))

        async def save(reply: Reply) -> Saved:
            try:
                download = Download(reply, name)
                return await download.save(to, overwrite=overwrite, progress=progress)
            finally:
                reply.close()

        return await self._session.send(request, save)

    async def _upload(
        self, source: Source, site_id: str, progress: Progress | None = None
    ) -> Upload:
        file = Multipart.of(source, progress)
        return await self._session.send(_operations.upload(site_id, file))


async def _side_by_side(calls: Sequence[Coroutine[object, object, T]]) -> list[T]:
    """All results in order; the first failure cancels the rest and is raised as it is."""
    tasks: list[asyncio.Task[T]] = []
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as errors:
        failure = errors.exceptions[0]
    if failure is not None:
        raise failure
    return [task.result() for task in tasks]


def _several(name: str, values: Sequence[T]) -> Sequence[T]:
    """Refuses one value in place of several: a text would be taken for its characters."""
    if isinstance(values, str | bytes | bytearray | memoryview | os.PathLike | Upload):
        raise RuleError(f"`{name}`", f"one {type(values).__name__}", "a list of them")
    return values


def _attachment_id(one: AttachmentLike) -> str:
    if isinstance(one, Upload):
        return one.id
    return check_id("attachments", one)


_VERSION = version("mlmsg")
