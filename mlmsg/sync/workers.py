"""The workers: ids are drawn, threads are walked, files are fetched, all at the same time.

Two pools of as many workers each, with a short channel before each pool:

    ids → walkers: read a thread, see what is there → fetchers: bring what is missing

A full channel stops those who fill it, so that as little is held of a million ids as of ten. The
last to let go of a thread, its walker or a fetcher of one of its files, writes its manifest.
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
from mlmsg.errors import (
    AuthenticationError,
    BadRequest,
    MlmsgError,
    ReauthorizationRequired,
    RuleError,
    UsageError,
)

from .keys import MANIFEST
from .listing import fetch, listed
from .manifest import Listed, ManifestEntry
from .mirror import Mirror
from .report import EventKind, SyncEvent, SyncReport, ThreadId, ThreadKind
from .target import Target, TargetError

__all__ = ["Ids", "Workers", "check_ids"]

Ids: TypeAlias = Iterable[int | str] | AsyncIterable[int | str]
"""Ids of packs or claims, drawn one at a time: there may be millions."""

logger: logging.Logger = logging.getLogger("mlmsg.sync")


def check_ids(name: str, ids: object, kinds: type | UnionType) -> None:
    """Refuses what are no ids, above all one text in place of several."""
    if isinstance(ids, str | bytes) or not isinstance(ids, kinds):
        raise RuleError(f"`{name}`", f"one {type(ids).__name__}", "an iterable of ids")


@dataclass(slots=True, eq=False)
class _Thread:
    """A thread in hand. It is let go by its walker, and once for each file that was queued."""

    id: ThreadId
    mirror: Mirror
    holders: int = 1
    walked: bool = False
    loaded: bool = False
    seen: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _FetchTask:
    """A file for a fetcher; with the entry of the one that is there, if that has to be verified."""

    thread: _Thread
    file: Listed
    there: ManifestEntry | None


@dataclass(slots=True)
class Workers:
    """Both pools, for one job.

    Attributes:
        report: What they did.
    """

    client: Client
    target: Target
    site_id: str
    verify: bool
    on_event: Callable[[SyncEvent], object] | None
    report: SyncReport = field(default_factory=SyncReport)
    open: set[ThreadId] = field(default_factory=set)

    async def run(self, ids: dict[ThreadKind, Ids], concurrency: int) -> None:
        """Runs to the end; the first error that is not only a file's or thread's is raised."""
        failure: BaseException | None = None
        with ExitStack() as streams:  # a task that is cancelled before it began closes none
            to_walk, drawn = anyio.create_memory_object_stream[ThreadId](0)
            to_fetch, wanted = anyio.create_memory_object_stream[_FetchTask](concurrency)
            streams.enter_context(drawn)
            streams.enter_context(wanted)
            try:
                async with asyncio.TaskGroup() as group:
                    with to_walk, to_fetch:  # each task has a clone
                        for kind, some in ids.items():
                            out = streams.enter_context(to_walk.clone())
                            group.create_task(_draw(kind, some, out))
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
                if id_ not in self.open:  # else it was named twice, and is in hand
                    self.open.add(id_)
                    await self._walk(_Thread(id_, Mirror(self.target, id_)), wanted)

    async def _walk(self, thread: _Thread, wanted: Send[_FetchTask]) -> None:
        try:
            async with aclosing(listed(self.client, thread.id, self.site_id)) as files:
                async for file in files:
                    await self._look_at(thread, file, wanted)
        except MlmsgError as error:
            self._failed(thread, None, error)
        else:
            thread.walked = True
        await self._let_go(thread)

    async def _look_at(self, thread: _Thread, file: Listed, wanted: Send[_FetchTask]) -> None:
        """Queues a file that is missing; it is looked at once, however often it is listed."""
        if not file.filename:
            error = RuleError("`filename` of an attachment", "none", "what to fetch it by")
            self._failed(thread, file.original_filename or "(no name)", error)
            return
        if file.filename in thread.seen:
            return
        thread.seen.add(file.filename)
        if not thread.loaded:
            thread.loaded = True
            if damage := await thread.mirror.load():
                self._tell(SyncEvent("manifest", thread.id, MANIFEST, error=damage))
        entry = thread.mirror.entry(file)
        if entry is not None and not self.verify:
            self._tell(_of_file("skipped", thread, entry))
            return
        thread.holders += 1
        await wanted.send(_FetchTask(thread, file, entry))

    async def _fetch_all(self, wanted: Receive[_FetchTask]) -> None:
        async for one in wanted:
            thread, name = one.thread, one.file.filename
            try:
                self._tell(await self._bring(thread, one.file, one.there))
            except MlmsgError as error:
                self._failed(thread, name, error)
            await self._let_go(thread)

    async def _bring(self, thread: _Thread, file: Listed, there: ManifestEntry | None) -> SyncEvent:
        if there is not None and await thread.mirror.intact(there):
            return _of_file("skipped", thread, there)
        keep = partial(thread.mirror.keep, file)
        entry = await fetch(self.client, thread.id, file, keep)
        await thread.mirror.record(entry)
        return _of_file("downloaded", thread, entry)

    async def _let_go(self, thread: _Thread) -> None:
        thread.holders -= 1
        if thread.holders == 0:
            await thread.mirror.save()
            self.open.discard(thread.id)
            if thread.walked:
                self._tell(SyncEvent("thread", thread.id))

    def _failed(self, thread: _Thread, filename: str | None, error: MlmsgError) -> None:
        if _concerns_all(error):
            raise error
        self._tell(SyncEvent("failed", thread.id, filename, error=error))

    def _tell(self, event: SyncEvent) -> None:
        self.report.add(event)
        if self.on_event is not None:
            try:
                self.on_event(event)
            except Exception:
                logger.exception("`on_event` failed, and is not called again; the job goes on")
                self.on_event = None


async def _draw(kind: ThreadKind, ids: Ids, out: Send[ThreadId]) -> None:
    with out:
        if isinstance(ids, AsyncIterable):
            async for one in ids:
                await out.send(ThreadId(kind, str(one)))
        else:
            for one in ids:
                await out.send(ThreadId(kind, str(one)))


def _of_file(kind: EventKind, thread: _Thread, entry: ManifestEntry) -> SyncEvent:
    return SyncEvent(kind, thread.id, entry.filename, entry.path, entry.size)


def _concerns_all(error: MlmsgError) -> bool:
    """Whether every other file and thread would fail in the same way."""
    if isinstance(error, RuleError):
        return error.rule == "access token"
    if isinstance(error, BadRequest):  # which is what a token that can be none is answered with
        return "access token" in error.message.lower().replace("_", " ")
    lasting = TargetError | AuthenticationError | ReauthorizationRequired | UsageError
    return isinstance(error, lasting)
