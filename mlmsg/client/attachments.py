"""The files of packs' threads (Post-sale messages)."""

import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from mlmsg import _operations
from mlmsg._multipart import Multipart
from mlmsg._session import Session
from mlmsg.downloads import Download, Saved
from mlmsg.models import Upload
from mlmsg.rules import POST_SALE_FILES, check_site_id
from mlmsg.uploads import Progress, Source, SourceLike, open_source

from ._shared import download_with, open_download, save_download, upload_all

__all__ = ["Attachments"]

R = TypeVar("R")


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
        return await upload_all(files, POST_SALE_FILES, lambda file: self._upload(file, site))

    def open(self, attachment_id: int | str, site_id: str) -> AbstractAsyncContextManager[Download]:
        """A file's bytes as a `Download`, inside an `async with` block.

        Args:
            attachment_id: `filename` of one of `message.attachments`, not `original_filename`.
            site_id: The order's site, such as `"MLM"`.
        """
        request = _operations.download(attachment_id, check_site_id(site_id))
        return open_download(self._session, request, str(attachment_id))

    async def download_with(
        self,
        attachment_id: int | str,
        handler: Callable[[Download], Awaitable[R]],
        *,
        site_id: str,
    ) -> R:
        """What `handler` makes of a file; tried again if the network fails on the way.

        Args:
            attachment_id: `filename` of one of `message.attachments`, not `original_filename`.
            handler: Called with the `Download`, again and with a new one for each attempt,
                and has to begin anew then; what it raises on its own account ends the tries.
            site_id: The order's site, such as `"MLM"`.

        Raises:
            IncompleteDownload: The file goes on arriving short, empty or cut.
        """
        request = _operations.download(attachment_id, check_site_id(site_id))
        return await download_with(self._session, request, str(attachment_id), handler)

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
            progress: Called with the bytes so far and all of them (None: not known); from 0 again
                if it is retried.

        Raises:
            TargetExists: The file is there, and `overwrite` is false.
            IncompleteDownload: The file goes on arriving short, empty or cut.
            OSError: The file cannot be written.
        """
        request = _operations.download(attachment_id, check_site_id(site_id))
        return await save_download(
            self._session,
            request,
            str(attachment_id),
            to,
            overwrite=overwrite,
            progress=progress,
        )

    async def _upload(
        self, source: Source, site_id: str, progress: Progress | None = None
    ) -> Upload:
        file = Multipart.from_source(source, progress)
        return await self._session.send(_operations.upload(site_id, file))
