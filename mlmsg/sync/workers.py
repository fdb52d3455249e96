"""Draw ids, read threads and fetch files, all at the same time.

There are two pools of workers of the same size, with a short channel before each:

    ids → walkers: read a thread and find missing files → fetchers: fetch them

A full channel blocks its senders, so a million ids take no more memory than ten. The last task to
release a thread, its walker or a fetcher of one of its files, writes its manifest.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream as Receive
from anyio.streams.memory import MemoryObjectSendStream as Send

from mlmsg.client import Client, OrdersUnreadable
from mlmsg.errors import IncompleteDownload, MlmsgError, RuleError
from mlmsg.models import Message

from .ids import Id, Ids, Thread, thread_of
from .keys import MANIFEST
from .listing import SiteUnknown, fetch, list_attachments
from .manifest import Listed, ManifestEntry
from .mirror import Mirror
from .outage import FAILURES_IN_A_ROW, OutageDetector
from .report import EventKind, SyncEvent, SyncReport, ThreadId, ThreadKind
from .target import Target

__all__ = ["Workers"]

logger: logging.Logger = logging.getLogger("mlmsg.sync")


@dataclass(slots=True, eq=False)
class _Thread:
    """A thread in progress. Its walker releases it, and so does the fetcher of each queued file.

    Attributes:
        failure: The error that its files have in common, or None.
        found: False if the API answered 404.
    """

    id: ThreadId
    site_id: str | None
    mirror: Mirror
    holders: int = 1
    has_response: bool = False
    is_walked: bool = False
    is_loaded: bool = False
    seen: set[str] = field(default_factory=set)
    in_quarantine: list[Listed] = field(default_factory=list)
    newest: datetime | None = None
    failure: RuleError | None = None
    found: bool = True

    def note_not_found(self) -> None:
        """Remember that the API answered 404."""
        self.found = False

    def note_date(self, message: Message) -> None:
        """Remember the time of the newest message."""
        moment = message.message_date.created if message.message_date else None
        if moment is not None and (self.newest is None or moment > self.newest):
            self.newest = moment


@dataclass(frozen=True, slots=True)
class _FetchTask:
    """A file that may have to be fetched."""

    thread: _Thread
    file: Listed


@dataclass(slots=True)
class Workers:
    """Both pools of one job.

    Attributes:
        listeners: Called with each event. One that raises is not called again.
        report: The report, which grows while the job runs.
    """

    client: Client
    target: Target
    site_id: str | None
    verify: bool
    listeners: list[Callable[[SyncEvent], object]]
    report: SyncReport
    open: set[ThreadId] = field(default_factory=set)
    outage: OutageDetector = field(default_factory=OutageDetector)

    async def run(self, ids: dict[ThreadKind, Ids], concurrency: int) -> None:
        """Run to the end. Raise the first error that concerns more than one file or thread."""
        failure: BaseException | None = None
        with ExitStack() as streams:  # a task cancelled before its first step closes none
            to_walk, drawn = anyio.create_memory_object_stream[Thread](0)
            to_fetch, wanted = anyio.create_memory_object_stream[_FetchTask](concurrency)
            streams.enter_context(drawn)
            streams.enter_context(wanted)
            try:
                async with asyncio.TaskGroup() as group:
                    with to_walk, to_fetch:  # each task has its own clone
                        for kind, values in ids.items():
                            out = streams.enter_context(to_walk.clone())
                            group.create_task(self._draw_all(kind, values, out))
                        for _ in range(concurrency):
                            out_files = streams.enter_context(to_fetch.clone())
                            group.create_task(self._walk_all(drawn, out_files))
                            group.create_task(self._fetch_all(wanted))
            except BaseExceptionGroup as errors:
                failure = errors.exceptions[0]
        if failure is not None:
            raise failure

    def fail(self, thread: ThreadId, error: MlmsgError) -> None:
        """Report a thread that cannot even be begun."""
        self._emit(SyncEvent("failed", thread, error=error))

    async def _draw_all(self, kind: ThreadKind, ids: Ids, out: Send[Thread]) -> None:
        with out:
            try:
                async with aclosing(_each(ids)) as values:
                    async for value in values:
                        await out.send(thread_of(kind, value, self.site_id))
            except OrdersUnreadable as error:
                for order_id, reason in error.errors.items():
                    self.fail(ThreadId(kind, str(order_id)), reason)

    async def _walk_all(self, drawn: Receive[Thread], wanted: Send[_FetchTask]) -> None:
        with wanted:
            async for id_, site_id in drawn:
                if id_ not in self.open:  # otherwise the id was given twice
                    self.open.add(id_)
                    thread = _Thread(id_, site_id, Mirror(self.target, id_))
                    await self._walk(thread, wanted)

    async def _walk(self, thread: _Thread, wanted: Send[_FetchTask]) -> None:
        try:
            listed = list_attachments(
                self.client, thread.id, thread.site_id, thread.note_date, thread.note_not_found
            )
            async with aclosing(listed) as files:
                async for file in files:
                    self._note_response(thread)
                    await self._queue_if_missing(thread, file, wanted)
            self._note_response(thread)
            thread.is_walked = True
            for file in thread.in_quarantine:
                await self._queue(thread, file, wanted)
        except _OWN_FAILURES as error:
            self._fail(thread, None, error)
        await self._release(thread)

    def _note_response(self, thread: _Thread) -> None:
        # Once for a thread: its other files are yielded later, but arrived with the same response.
        if not thread.has_response:
            thread.has_response = True
            self.outage.note_response()

    async def _queue_if_missing(
        self, thread: _Thread, file: Listed, wanted: Send[_FetchTask]
    ) -> None:
        """Queue a file that has no valid copy. A file that is listed twice is queued once."""
        if not file.filename:
            error = RuleError("`filename` of an attachment", "none", "what to fetch it by")
            self._fail(thread, file.original_filename or "(no name)", error)
            return
        if file.potential_security_threat:
            thread.mirror.flag(file)
        if file.filename in thread.seen:
            return
        thread.seen.add(file.filename)
        if not thread.is_loaded:
            thread.is_loaded = True
            if damage := await thread.mirror.load():
                self._emit(SyncEvent("manifest", thread.id, MANIFEST, error=damage))
        if thread.mirror.is_quarantined(file):
            thread.in_quarantine.append(file)  # it stays there if a later message flags it
        else:
            await self._queue(thread, file, wanted)

    async def _queue(self, thread: _Thread, file: Listed, wanted: Send[_FetchTask]) -> None:
        entry = thread.mirror.mirrored_entry(file)
        if entry is not None and not self.verify:
            self._emit(_file_event("skipped", thread, entry))
            return
        thread.holders += 1
        await wanted.send(_FetchTask(thread, file))

    async def _fetch_all(self, wanted: Receive[_FetchTask]) -> None:
        async for task in wanted:
            thread, name = task.thread, task.file.filename
            try:
                await self._fetch(thread, task.file)
            except SiteUnknown as error:
                thread.failure = error  # the same one for all of its files
            except _OWN_FAILURES as error:
                self._fail(thread, name, error)
            await self._release(thread)

    async def _fetch(self, thread: _Thread, file: Listed) -> None:
        existing = await thread.mirror.find(file, verify=self.verify)
        if existing is not None:
            self._emit(_file_event("skipped", thread, existing))
            return
        entry = await fetch(self.client, thread.id, file, partial(thread.mirror.keep, file))
        self.outage.note_response()
        await thread.mirror.record(entry)
        if file.listed_size not in {None, entry.size}:
            text = f"{entry.size} bytes arrived, but the message lists {file.listed_size}"
            self._emit(_file_event("mismatch", thread, entry, IncompleteDownload(text)))
        self._emit(_file_event("downloaded", thread, entry))

    async def _release(self, thread: _Thread) -> None:
        thread.holders -= 1
        if thread.holders:
            return
        try:
            await thread.mirror.save()
        except RuleError as error:  # a later version has written the manifest meanwhile
            self._fail(thread, None, error)
        else:
            if thread.is_walked and thread.failure is not None:
                self._fail(thread, None, thread.failure)
            elif thread.is_walked:
                self._emit(SyncEvent("thread", thread.id, newest=thread.newest, found=thread.found))
        self.open.discard(thread.id)

    def _fail(self, thread: _Thread, filename: str | None, error: Exception) -> None:
        if isinstance(error, MlmsgError):
            if error.ends_job:
                raise error
            if self.outage.note_failure(error, is_thread=filename is None):
                error.add_note(f"{FAILURES_IN_A_ROW} threads and files failed in a row")
                raise error
        self._emit(SyncEvent("failed", thread.id, filename, error=error))

    def _emit(self, event: SyncEvent) -> None:
        self.report.add(event)
        for listener in tuple(self.listeners):
            try:
                listener(event)
            except Exception:
                logger.exception("`on_event` raised and is not called again; the job continues")
                self.listeners.remove(listener)


_OWN_FAILURES = (MlmsgError, UnicodeError, msgspec.MsgspecError)
"""Errors that cost their own thread or file. Any other one comes from code of the caller."""


async def _each(ids: Ids) -> AsyncGenerator[Id, None]:
    """Yield the ids. A generator is closed at the end, also if the job fails."""
    if isinstance(ids, AsyncGenerator):
        async with aclosing(ids):
            async for value in ids:
                yield value
    elif isinstance(ids, AsyncIterable):
        async for value in ids:
            yield value
    else:
        for value in ids:
            yield value


def _file_event(
    kind: EventKind, thread: _Thread, entry: ManifestEntry, error: Exception | None = None
) -> SyncEvent:
    return SyncEvent(kind, thread.id, entry.filename, entry.path, entry.size, error)
