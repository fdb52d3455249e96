"""Run blocking functions in a few threads, at little cost to the event loop.

A thread cannot be interrupted. So a cancelled call ends only when its thread has finished, and its
caller may close everything that the thread used. The futures here are completed only when their
threads have finished: nobody else knows them. A task in their place would be cancelled by the end
of `asyncio.run`, and the executor of the event loop would be shut down, while a thread still writes
to a file.

A wake-up of the event loop costs more than writing a small file. So results are delivered in
batches: a thread wakes the event loop only if no other result is waiting there already.
"""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["Lane", "WorkerThreads", "mark_retrieved", "run_in_thread", "wait_until_done"]

T = TypeVar("T")

THREADS = 8
"""Threads of one event loop. They wait for the disk most of the time."""

IDLE_SECONDS = 5.0
"""Seconds after which an idle thread ends."""


async def run_in_thread(function: Callable[[], T]) -> T:
    """Run `function` in a thread of this event loop, and return its result.

    A cancellation is raised only when the thread has finished, so the caller may close everything
    that the thread used.
    """
    future = WorkerThreads.of_loop().submit(function)
    try:
        return await asyncio.shield(future)
    finally:
        if not future.done():
            await wait_until_done(future)


async def wait_until_done(task: "asyncio.Future[T]") -> None:
    """Wait until `task` has finished.

    If the caller is cancelled meanwhile, keep waiting, then raise `CancelledError`.
    """
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    mark_retrieved(task)
    if cancelled is not None:
        raise cancelled


def mark_retrieved(future: "asyncio.Future[T]") -> None:
    """Keep asyncio from reporting that nobody retrieved the exception of a future."""
    if not future.cancelled():
        future.exception()


class WorkerThreads:
    """The threads of one event loop. One starts whenever all are busy, up to `THREADS`."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_AnyJob] = queue.SimpleQueue()
        self._finished: deque[_AnyJob] = deque()
        self._is_scheduled = False
        self._lock = threading.Lock()
        self._started = 0
        self._unfinished = 0

    @staticmethod
    def of_loop() -> "WorkerThreads":
        """Return the threads of the running event loop."""
        loop = asyncio.get_running_loop()
        threads = _THREADS_OF_LOOPS.get(loop)
        if threads is None:
            threads = _THREADS_OF_LOOPS[loop] = WorkerThreads()
        return threads

    def submit(self, function: Callable[[], T]) -> "asyncio.Future[T]":
        """Run `function` in a thread. The future gets the result or the exception.

        It must not be cancelled: wait for it behind `asyncio.shield`.
        """
        job = _Job(partial(copy_context().run, function))
        with self._lock:
            if self._started <= self._unfinished and self._started < THREADS:
                self._start_thread()
            self._jobs.put(job)
        self._unfinished += 1
        return job.future

    def _start_thread(self) -> None:
        try:
            threading.Thread(target=self._work, name="mlmsg worker", daemon=True).start()
        except RuntimeError:  # the process may have no more threads
            if not self._started:
                raise
        else:
            self._started += 1

    def _work(self) -> None:
        while (job := self._next_job()) is not None:
            job.run()
            self._finished.append(job)
            # `_deliver` resets the flag before it takes the results. So if the flag is set here,
            # the result that was just added is still going to be taken.
            if not self._is_scheduled:
                self._is_scheduled = True
                try:
                    job.loop.call_soon_threadsafe(self._deliver)
                except RuntimeError:  # the event loop was closed meanwhile
                    self._finished.clear()  # a result would keep the event loop in memory
            del job

    def _next_job(self) -> "_AnyJob | None":
        """Wait for the next job; return None if this thread is to end."""
        with suppress(queue.Empty):
            return self._jobs.get(timeout=IDLE_SECONDS)
        with self._lock:
            if self._jobs.empty():
                self._started -= 1
                return None
        return self._next_job()

    def _deliver(self) -> None:
        self._is_scheduled = False
        while self._finished:
            self._unfinished -= 1
            self._finished.popleft().deliver()


_THREADS_OF_LOOPS: WeakKeyDictionary[asyncio.AbstractEventLoop, WorkerThreads] = WeakKeyDictionary()


class _AnyJob(Protocol):
    """A `_Job` of any result."""

    loop: asyncio.AbstractEventLoop

    def run(self) -> None: ...

    def deliver(self) -> None: ...


class _Job(Generic[T]):
    """A function, its result, and the future that waits for it."""

    def __init__(self, function: Callable[[], T]) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()
        self._function = function
        self._result: T | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Call the function. Runs in a worker thread."""
        try:
            self._result = self._function()
        except StopIteration as error:  # a future refuses it
            self._error = RuntimeError("a function in a thread raised StopIteration")
            self._error.__cause__ = error
        except BaseException as error:  # noqa: BLE001  (raised by whoever awaits the future)
            self._error = error

    def deliver(self) -> None:
        """Complete the future. Runs in the event loop."""
        if self.future.done():
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result)  # type: ignore[arg-type]


class Lane:
    """A queue of calls that run in order, one at a time, in the threads of the event loop.

    No thread is occupied while the queue is empty. After an exception, the calls behind it are
    never made.
    """

    def __init__(self, threads: WorkerThreads) -> None:
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._calls: deque[Callable[[], object]] = deque()
        self._is_working = self._has_failed = False
        self._working: asyncio.Future[None] | None = None
        self._shrunk: asyncio.Future[None] | None = None
        self._limit = 0

    def put(self, call: Callable[[], object]) -> None:
        """Add a call."""
        with self._lock:
            if self._has_failed:
                return
            self._calls.append(call)
            is_idle, self._is_working = not self._is_working, True
        if is_idle:
            self._working = self._threads.submit(self._work)

    async def wait_for_room(self, limit: int) -> None:
        """Wait until at most `limit` calls have not begun. Raise the exception of a call."""
        # Under the lock, or the thread might miss the future, or replace it by None.
        with self._lock:
            shrunk = self._loop.create_future() if len(self._calls) > limit else None
            self._limit, self._shrunk = limit, shrunk
        if shrunk is not None:
            await shrunk
        if self._has_failed:
            await self.finish()

    async def finish(self) -> None:
        """Wait until all calls have returned. Raise the exception of one of them."""
        if self._working is not None:
            await asyncio.shield(self._working)

    async def stop(self) -> None:
        """Drop the calls that have not begun, and wait for the other one."""
        with self._lock:
            self._calls.clear()
        if self._working is not None:
            await wait_until_done(self._working)

    def _work(self) -> None:
        try:
            while (call := self._next_call()) is not None:
                call()
                del call
        except BaseException:
            with self._lock:
                self._has_failed = True
                self._calls.clear()
                self._note_shrunk()
            raise

    def _next_call(self) -> Callable[[], object] | None:
        with self._lock:
            if not self._calls:
                self._is_working = False
                return None
            call = self._calls.popleft()
            self._note_shrunk()
        return call

    def _note_shrunk(self) -> None:
        """Wake `wait_for_room`. The lock is held."""
        shrunk = self._shrunk
        if shrunk is not None and len(self._calls) <= self._limit:
            self._shrunk = None
            with suppress(RuntimeError):  # the event loop was closed meanwhile
                self._loop.call_soon_threadsafe(_complete, shrunk)


def _complete(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
