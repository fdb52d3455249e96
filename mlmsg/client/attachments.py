"""The files of the threads of packs (Post-sale messages)."""

import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from mlmsg import _operations
from mlmsg._arguments import check_id
from mlmsg._misuse import explain_misuse
from mlmsg._multipart import Multipart
from mlmsg._session import Session
from mlmsg._wire import Request, Response
from mlmsg.downloads import Download, Saved
from mlmsg.models import Upload
from mlmsg.pictures import Picture
from mlmsg.rules import POST_SALE_FILES, check_site_id
from mlmsg.uploads import Progress, Source, SourceLike, open_source

from ._seller import Seller
from ._shared import download_with, open_download, save_download, upload_all

__all__ = ["Attachments"]

R = TypeVar("R")


@explain_misuse("client.attachments")
class Attachments:
    """Upload and download the files of the threads of packs (Post-sale messages)."""

    def __init__(self, session: Session, seller: Seller) -> None:
        self._session = session
        self._seller = seller

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
        """Upload a file for a later message. It is streamed, and never whole in memory.

        Args:
            source: A path, bytes, an open binary file, a synchronous or asynchronous iterable of
                bytes, or an open `Download`. An open file is read from its current position and
                stays open.
            site_id: The site of the order, such as `"MLM"`; never `"CBT"`.
            filename: The name that the buyer sees, at most 200 characters. Default: the name of
                the source, if it has one.
            content_type: The MIME type. Default: guessed from the name.
            length: The number of bytes of the source. Without it, a source of unknown length is
                first copied to a temporary file.
            progress: Called with the bytes sent and the total. A retry starts from 0 again.

        Raises:
            RuleError: A rule is broken; nothing was sent.
            LengthMismatch: The source yielded more or fewer bytes than declared.
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
        """Upload files concurrently. Return the results in order. All rules are checked first.

        Raises:
            RuleError: One of the files breaks a rule; nothing was sent.
        """
        site = check_site_id(site_id)
        return await upload_all(files, POST_SALE_FILES, lambda file: self._upload(file, site))

    def open(self, attachment_id: int | str, site_id: str) -> AbstractAsyncContextManager[Download]:
        """Open a file. Use it as `async with client.attachments.open(...) as download:`.

        Args:
            attachment_id: `filename` of one of `message.attachments`, not `original_filename`.
            site_id: The site of the order, such as `"MLM"`.
        """
        request = self._request(attachment_id, site_id)
        return open_download(self._session, request, str(attachment_id))

    async def download_with(
        self,
        attachment_id: int | str,
        handler: Callable[[Download], Awaitable[R]],
        *,
        site_id: str,
    ) -> R:
        """Return the result of `handler` for a file. Retried if the network fails meanwhile.

        Args:
            attachment_id: `filename` of one of `message.attachments`, not `original_filename`.
            handler: An async function that is called with the `Download`. Each attempt calls it
                again with a new one, so it must start from the beginning. Its own exceptions are
                raised unchanged and end the attempts.
            site_id: The site of the order, such as `"MLM"`.

        Raises:
            IncompleteDownload: The file was empty or truncated in every attempt.
        """
        request = self._request(attachment_id, site_id)
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
        """Save a file, completely or not at all. Retried if the network fails meanwhile.

        Args:
            attachment_id: `filename` of one of `message.attachments`, not `original_filename`.
            to: A folder or a file path, as `Download.save` accepts it.
            site_id: The site of the order, such as `"MLM"`.
            overwrite: True to replace an existing file.
            progress: Called with the bytes received and the total (None: unknown). A retry starts
                from 0 again.

        Raises:
            TargetExists: The file exists, and `overwrite` is false.
            IncompleteDownload: The file was empty or truncated in every attempt.
            OSError: The file cannot be written.
        """
        request = self._request(attachment_id, site_id)
        return await save_download(
            self._session,
            request,
            str(attachment_id),
            to,
            overwrite=overwrite,
            progress=progress,
        )

    async def read(self, attachment_id: int | str, *, site_id: str) -> bytes:
        """Return a whole file in memory. Retried if the network fails meanwhile.

        Args:
            attachment_id: `filename` of one of `message.attachments`, not `original_filename`.
            site_id: The site of the order, such as `"MLM"`.

        Raises:
            IncompleteDownload: The file was empty or truncated in every attempt.
        """
        return await self.download_with(attachment_id, Download.read, site_id=site_id)

    async def picture(self, attachment_id: int | str, *, site_id: str) -> Picture:
        """Return an image that a notebook shows.

        Args:
            attachment_id: `filename` of one of `message.attachments`, not `original_filename`.
            site_id: The site of the order, such as `"MLM"`.

        Raises:
            RuleError: The file is not a PNG or JPEG image.
            IncompleteDownload: The file was empty or truncated in every attempt.
        """
        return Picture(await self.read(attachment_id, site_id=site_id))

    def _request(self, attachment_id: int | str, site_id: str) -> Request[Response]:
        check_id("attachment_id", attachment_id)
        site = check_site_id(site_id)
        return _operations.download(attachment_id, site, family=self._seller.family)

    async def _upload(
        self, source: Source, site_id: str, progress: Progress | None = None
    ) -> Upload:
        file = Multipart.from_source(source, progress)
        return await self._session.send(
            _operations.upload(site_id, file, family=self._seller.family)
        )
