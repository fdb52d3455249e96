"""Read files and other blocking sources in threads, in chunks of about one mebibyte.

Before a file is closed after a cancellation, the thread that still reads it must finish.

A read that may never return, such as one from a silent pipe, must not be waited for: neither by a
cancellation, nor by the end of the process. It gets a daemon thread of its own, a `SourceThread`.
"""

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from contextvars import copy_context
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar, cast

import msgspec

from ._worker_threads import WorkerThreads, wait_until_done

__all__ = [
    "CHUNK_BYTES",
    "Buffer",
    "coalesce",
    "fsync_directory",
    "read_ahead",
    "read_silent",
    "run_detached",
]

CHUNK_BYTES = 1024 * 1024
"""Bytes read or written per thread hop."""

_CANNOT_BE_FLUSHED = frozenset({errno.EBADF, errno.EINVAL})
"""Errors of `fsync` for a folder of a file system that flushes only files."""

GRACE_SECONDS = 0.2
"""Seconds that a cancellation waits for a read that may never return."""

Buffer = bytes | bytearray | memoryview

T = TypeVar("T")
B = TypeVar("B", bound=Buffer)


async def read_ahead(
    read: Callable[[], Buffer], is_at_end: Callable[[], bool] = lambda: False
) -> AsyncGenerator[Buffer, None]:
    """Yield chunks from `read` up to the first empty one. The next is read while one is in use.

    Args:
        read: Returns the next chunk. Called in a worker thread.
        is_at_end: Returns True if the last chunk was read: then `read` is not called again.
    """
    threads = WorkerThreads.of_loop()
    pending = threads.submit(read)
    try:
        while chunk := await asyncio.shield(pending):
            if is_at_end():
                yield chunk
                return
            pending = threads.submit(read)
            yield chunk
    finally:
        await wait_until_done(pending)


class SourceThread:
    """A daemon thread that runs blocking calls one after the other.

    The results arrive in futures of the event loop. A thread that is blocked for ever costs its
    memory, and nothing waits for it.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._is_stopped = False
        # The caller's code finds its context variables in the thread, as in a task.
        target = copy_context().run
        Thread(target=target, args=(self._work,), name="mlmsg source", daemon=True).start()

    def submit(self, function: Callable[[], T]) -> "asyncio.Future[_Result[T]]":
        """Run a function after those before it. Its future gets the value or the exception."""
        future: asyncio.Future[_Result[T]] = self._loop.create_future()
        self._jobs.put(lambda: self._run(function, future))
        return future

    def stop(self, last: Callable[[], T]) -> "asyncio.Future[_Result[T]]":
        """End the thread after the current call. Calls that have not begun are dropped.

        Args:
            last: Runs at the end, in the thread.
        """
        self._is_stopped = True
        future: asyncio.Future[_Result[T]] = self._loop.create_future()
        self._jobs.put(lambda: self._finish(last, future))
        self._jobs.put(None)
        return future

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _run(self, function: Callable[[], T], future: "asyncio.Future[_Result[T]]") -> None:
        if not self._is_stopped:
            self._finish(function, future)

    def _finish(self, function: Callable[[], T], future: "asyncio.Future[_Result[T]]") -> None:
        result = _Result.of(function)
        with suppress(RuntimeError):  # the event loop was closed meanwhile
            self._loop.call_soon_threadsafe(_set_result, future, result)


class _Result(msgspec.Struct, Generic[T], frozen=True):
    """The value that a call returned, or the exception that it raised.

    A future must not carry the exception: a task that awaits it throws the exception into its
    coroutine, and a `GeneratorExit` that is thrown closes the coroutine, and leaves an async
    generator in it that counts as running for ever (CPython 3.11, `_gen_throw`).
    """

    value: T | None
    error: BaseException | None

    @classmethod
    def of(cls, function: Callable[[], T]) -> "_Result[T]":
        """Call the function."""
        try:
            return cls(function(), None)
        except StopIteration as error:  # a coroutine cannot raise it
            failure = RuntimeError("a source raised StopIteration")
            failure.__cause__ = error
            return cls(None, failure)
        except BaseException as error:  # noqa: BLE001  (raised by `get`)
            return cls(None, error)

    def get(self) -> T:
        """Return the value, or raise the exception."""
        if self.error is not None:
            raise self.error
        return cast("T", self.value)


def _set_result(future: "asyncio.Future[T]", result: T) -> None:
    if not future.done():
        future.set_result(result)


async def run_detached(function: Callable[[], T]) -> T:
    """Run `function` in a daemon thread, and return its result. A cancellation does not wait."""
    return (await SourceThread().stop(function)).get()


async def read_silent(
    read: Callable[[], Buffer], close: Callable[[], object] | None = None
) -> AsyncGenerator[Buffer, None]:
    """Yield chunks from `read` up to the first empty one, as `read_ahead`, in a daemon thread.

    If the iterator is closed while the source is silent, it waits for `GRACE_SECONDS`, and then
    leaves the thread alone. The thread ends with the read.

    Args:
        read: Returns the next chunk. It may block for ever.
        close: Called in the thread after the last read.
    """
    thread = SourceThread()
    pending = thread.submit(read)
    try:
        while chunk := (await pending).get():
            pending = thread.submit(read)
            yield chunk
    finally:
        pending.cancel()
        closed = thread.stop(close or _close_nothing)
        await asyncio.wait({closed}, timeout=GRACE_SECONDS)
        if closed.done():
            closed.result().get()


def _close_nothing() -> None:
    """Stand in for the `close` of a source that has none."""


async def coalesce(
    chunks: AsyncGenerator[B, None], least: int = CHUNK_BYTES
) -> AsyncGenerator[list[B], None]:
    """Group chunks into lists of at least so many bytes. The last list may be smaller."""
    group: list[B] = []
    size = 0
    async with aclosing(chunks):
        async for chunk in chunks:
            group.append(chunk)
            size += len(chunk)
            if size >= least:
                yield group
                group, size = [], 0
    if group:
        yield group


def fsync_directory(folder: str | Path) -> None:
    """Flush the directory entry to disk, so that a rename survives a crash (POSIX only).

    Do nothing if the system flushes no such folder: only a folder that may be read can be opened,
    and a few file systems flush none. The file has its name then, and to fail would not help.
    """
    if os.name != "posix":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_BE_FLUSHED:
            raise
    finally:
        os.close(descriptor)
