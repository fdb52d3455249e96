"""Draw ids, read threads and fetch files, all at the same time.

There are two pools of workers of the same size, with a short channel before each:

    ids → walkers: read a thread and find missing files → fetchers: fetch them

A full channel blocks its senders, so a million ids take no more memory than ten. The last task to
release a thread, its walker or a fetcher of one of its files, writes its manifest.
"""

import asyncio
import logging
from collections.abc import AsyncIterable, Callable, Iterable
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from functools import partial
from types import UnionType
from typing import TypeAlias

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream as Receive
from anyio.streams.memory import MemoryObjectSendStream as Send

from mlmsg.client import Client
from mlmsg.errors import BadRequest, MlmsgError, RuleError

from .keys import MANIFEST
from .listing import fetch, list_attachments
from .manifest import Listed, ManifestEntry
from .mirror import Mirror
from .report import EventKind, SyncEvent, SyncReport, ThreadId, ThreadKind
from .target import Target

__all__ = ["Ids", "Workers", "check_ids"]

Ids: TypeAlias = Iterable[int | str] | AsyncIterable[int | str]
"""Ids of packs or claims. They are drawn one at a time: there may be millions."""

logger: logging.Logger = logging.getLogger("mlmsg.sync")


def check_ids(name: str, ids: object, kinds: type | UnionType) -> None:
    """Reject a single str in place of an iterable of ids, and anything that is not iterable."""
    if isinstance(ids, str | bytes) or not isinstance(ids, kinds):
        raise RuleError(f"`{name}`", f"one {type(ids).__name__}", "an iterable of ids")


@dataclass(slots=True, eq=False)
class _Thread:
    """A thread in progress. Its walker releases it, and so does the fetcher of each queued file."""

    id: ThreadId
    mirror: Mirror
    holders: int = 1
    walked: bool = False
    loaded: bool = False
    seen: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _FetchTask:
    """A file to fetch. `existing` is the entry of its copy if that only has to be verified."""

    thread: _Thread
    file: Listed
    existing: ManifestEntry | None


@dataclass(slots=True)
class Workers:
    """Both pools of one job.

    Attributes:
        report: The report, which grows while the job runs.
    """

    client: Client
    target: Target
    site_id: str
    verify: bool
    on_event: Callable[[SyncEvent], object] | None
    report: SyncReport = field(default_factory=SyncReport)
    open: set[ThreadId] = field(default_factory=set)

    async def run(self, ids: dict[ThreadKind, Ids], concurrency: int) -> None:
        """Run to the end. Raise the first error that concerns more than one file or thread."""
        failure: BaseException | None = None
        with ExitStack() as streams:  # a task cancelled before its first step closes none
            to_walk, drawn = anyio.create_memory_object_stream[ThreadId](0)
            to_fetch, wanted = anyio.create_memory_object_stream[_FetchTask](concurrency)
            streams.enter_context(drawn)
            streams.enter_context(wanted)
            try:
                async with asyncio.TaskGroup() as group:
                    with to_walk, to_fetch:  # each task has its own clone
                        for kind, values in ids.items():
                            out = streams.enter_context(to_walk.clone())
                            group.create_task(_draw(kind, values, out))
                        for _ in range(concurrency):
                            out_files = streams.enter_context(to_fetch.clone())
                            group.create_task(self._walk_all(drawn, out_files))
                            group.create_task(self._fetch_all(wanted))
            except BaseExceptionGroup as errors:
                failure = errors.exceptions[0]
        if failure is not None:
            raise failure

    async def _walk_all(self, drawn: Receive[ThreadId], wanted: Send[_FetchTask]) -> None:
        with wanted:
            async for id_ in drawn:
                if id_ not in self.open:  # otherwise the id was given twice
                    self.open.add(id_)
                    await self._walk(_Thread(id_, Mirror(self.target, id_)), wanted)

    async def _walk(self, thread: _Thread, wanted: Send[_FetchTask]) -> None:
        try:
            async with aclosing(list_attachments(self.client, thread.id, self.site_id)) as files:
                async for file in files:
                    await self._queue_if_missing(thread, file, wanted)
        except MlmsgError as error:
            self._fail(thread, None, error)
        else:
            thread.walked = True
        await self._release(thread)

    async def _queue_if_missing(
        self, thread: _Thread, file: Listed, wanted: Send[_FetchTask]
    ) -> None:
        """Queue a file that has no valid copy. A file that is listed twice is queued once."""
        if not file.filename:
            error = RuleError("`filename` of an attachment", "none", "what to fetch it by")
            self._fail(thread, file.original_filename or "(no name)", error)
            return
        if file.filename in thread.seen:
            return
        thread.seen.add(file.filename)
        if not thread.loaded:
            thread.loaded = True
            if damage := await thread.mirror.load():
                self._emit(SyncEvent("manifest", thread.id, MANIFEST, error=damage))
        entry = thread.mirror.entry(file)
        if entry is not None and not self.verify:
            self._emit(_file_event("skipped", thread, entry))
            return
        thread.holders += 1
        await wanted.send(_FetchTask(thread, file, entry))

    async def _fetch_all(self, wanted: Receive[_FetchTask]) -> None:
        async for task in wanted:
            thread, name = task.thread, task.file.filename
            try:
                self._emit(await self._fetch(thread, task.file, task.existing))
            except MlmsgError as error:
                self._fail(thread, name, error)
            await self._release(thread)

    async def _fetch(
        self, thread: _Thread, file: Listed, existing: ManifestEntry | None
    ) -> SyncEvent:
        if existing is not None and await thread.mirror.is_intact(existing):
            return _file_event("skipped", thread, existing)
        keep = partial(thread.mirror.keep, file)
        entry = await fetch(self.client, thread.id, file, keep)
        await thread.mirror.record(entry)
        return _file_event("downloaded", thread, entry)

    async def _release(self, thread: _Thread) -> None:
        thread.holders -= 1
        if thread.holders == 0:
            await thread.mirror.save()
            self.open.discard(thread.id)
            if thread.walked:
                self._emit(SyncEvent("thread", thread.id))

    def _fail(self, thread: _Thread, filename: str | None, error: MlmsgError) -> None:
        if error.ends_job or _is_malformed_token(error):
            raise error
        self._emit(SyncEvent("failed", thread.id, filename, error=error))

    def _emit(self, event: SyncEvent) -> None:
        self.report.add(event)
        if self.on_event is not None:
            try:
                self.on_event(event)
            except Exception:
                logger.exception("`on_event` raised and is not called again; the job continues")
                self.on_event = None


async def _draw(kind: ThreadKind, ids: Ids, out: Send[ThreadId]) -> None:
    with out:
        if isinstance(ids, AsyncIterable):
            async for one in ids:
                await out.send(ThreadId(kind, str(one)))
        else:
            for one in ids:
                await out.send(ThreadId(kind, str(one)))


def _file_event(kind: EventKind, thread: _Thread, entry: ManifestEntry) -> SyncEvent:
    return SyncEvent(kind, thread.id, entry.filename, entry.path, entry.size)


def _is_malformed_token(error: MlmsgError) -> bool:
    """Return True for the 400 that answers a malformed token."""
    is_named = isinstance(error, BadRequest) and "access token" in error.message.replace("_", " ")
    return is_named or (isinstance(error, BadRequest) and "Access token" in error.message)
