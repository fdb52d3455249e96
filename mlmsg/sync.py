"""The bulk attachment job: mirrors the attachments of packs into a folder.

`packs/{pack}/{filename}` below the folder, where `filename` is the attachment's own id, so that two
files never share a name. What is there with the right size is not fetched again; one lost file or
thread costs only itself.
"""

import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

from ._streams import in_thread
from .client import Client
from .errors import MlmsgError
from .models import Attachment, Message
from .rules import check_site_id, safe_filename

__all__ = ["Failure", "SyncEvent", "SyncReport", "sync_attachments"]

PackIds: TypeAlias = Iterable[int | str] | AsyncIterable[int | str]


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be mirrored.

    Attributes:
        pack_id: The pack.
        filename: The attachment, or None when the thread itself could not be read to its end.
        error: Why.
    """

    pack_id: str
    filename: str | None
    error: Exception


@dataclass(frozen=True, slots=True)
class SyncEvent:
    """One step of the job, told as it happens.

    Attributes:
        kind: `"thread"` (a thread was walked), `"downloaded"`, `"skipped"` or `"failed"`.
        pack_id: The pack.
        filename: The attachment, or None for a thread.
        size: Bytes of the file, 0 where there is none.
    """

    kind: str
    pack_id: str
    filename: str | None = None
    size: int = 0


@dataclass(slots=True)
class SyncReport:
    """What the job did.

    Attributes:
        threads: Threads that were walked to their end.
        downloaded: Files that were fetched.
        skipped: Files that were there already.
        failed: What could not be mirrored, and why.
        bytes: Bytes of the files that were fetched.
    """

    threads: int = 0
    downloaded: int = 0
    skipped: int = 0
    failed: list[Failure] = field(default_factory=list)
    bytes: int = 0


async def sync_attachments(
    client: Client,
    *,
    packs: PackIds,
    to: str | os.PathLike[str],
    site_id: str,
    on_event: Callable[[SyncEvent], object] | None = None,
) -> SyncReport:
    """Mirrors every attachment of `packs` below the folder `to`, and says what it did.

    Args:
        client: Whose packs they are.
        packs: The ids; any iterable, also an asynchronous one, drawn one at a time.
        to: The folder; made if it is not there.
        site_id: The site of the packs, such as `"MLM"`; a message that names its own site goes
            by that.
        on_event: Told of each thread and file.

    Raises:
        RuleError: `site_id` is none. What goes wrong with one pack is in `report.failed`.
        OSError: The folder cannot be written.
    """
    job = _Job(client, Path(to), check_site_id(site_id), on_event or (lambda _: None))
    async for pack_id in _each(packs):
        await job.mirror(str(pack_id))
    return job.report


@dataclass(slots=True)
class _Job:
    client: Client
    folder: Path
    site_id: str
    on_event: Callable[[SyncEvent], object]
    report: SyncReport = field(default_factory=SyncReport)

    async def mirror(self, pack_id: str) -> None:
        """Walks one thread and fetches what it finds."""
        try:
            async for message in self.client.packs.messages(pack_id):
                for attachment in message.attachments:
                    await self._keep(pack_id, message, attachment)
        except MlmsgError as error:
            self._failed(pack_id, None, error)
        else:
            self.report.threads += 1
            self.on_event(SyncEvent("thread", pack_id))

    async def _keep(self, pack_id: str, message: Message, attachment: Attachment) -> None:
        name = attachment.filename
        if not name:
            return
        target = self.folder / "packs" / safe_filename(pack_id) / safe_filename(name)
        if await in_thread(partial(_size, target)) == (attachment.size or -1):
            self.report.skipped += 1
            self.on_event(SyncEvent("skipped", pack_id, name, attachment.size or 0))
            return
        # `CBT` is the seller's account, and no site that files are kept at.
        site = self.site_id if message.site_id in {None, "", "CBT"} else message.site_id
        try:
            saved = await self.client.attachments.download(
                name, target, site_id=site or self.site_id, overwrite=True
            )
        except MlmsgError as error:
            self._failed(pack_id, name, error)
            return
        self.report.downloaded += 1
        self.report.bytes += saved.size
        self.on_event(SyncEvent("downloaded", pack_id, name, saved.size))

    def _failed(self, pack_id: str, filename: str | None, error: MlmsgError) -> None:
        self.report.failed.append(Failure(pack_id, filename, error))
        self.on_event(SyncEvent("failed", pack_id, filename))


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


async def _each(ids: PackIds) -> AsyncIterator[int | str]:
    if isinstance(ids, AsyncIterable):
        async for one in ids:
            yield one
    else:
        for one in ids:
            yield one
