"""Run many small blocking functions in a few threads, at little cost to the event loop.

A wake-up of the event loop costs more than writing a small file. So results are delivered in
batches: a thread wakes the event loop only if no other result is waiting there already.
"""

import asyncio
import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from mlmsg._streams import wait_until_done

__all__ = ["WorkerThreads"]

T = TypeVar("T")


class WorkerThreads:
    """A few threads that belong to one event loop. They start with the first function."""

    def __init__(self, count: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._finished: deque[_Job] = deque()
        self._is_scheduled = False
        self._count = count
        self._started = 0

    async def run(self, function: Callable[[], T], /) -> T:
        """Return the result of `function`, which runs in one of the threads.

        A cancellation is raised only when the thread has finished, so the caller may close
        everything that the thread used.
        """
        task = _Task(function, self._loop.create_future())
        if self._started < self._count:
            self._start()
        self._tasks.put(task)
        try:
            return await asyncio.shield(task.future)
        finally:
            if not task.future.done():
                await wait_until_done(task.future)

    def close(self) -> None:
        """Let the threads end. They are idle when no call of `run` is running."""
        for _ in range(self._started):
            self._tasks.put(None)

    def _start(self) -> None:
        self._started += 1
        name = f"mlmsg-sync-{os.getpid()}-{self._started}"
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task.call()
            self._finished.append(task)
            # `_deliver` resets the flag before it takes the results. So if the flag is set here,
            # the result that was just added is still going to be taken.
            if not self._is_scheduled:
                self._is_scheduled = True
                self._loop.call_soon_threadsafe(self._deliver)
            del task

    def _deliver(self) -> None:
        self._is_scheduled = False
        while self._finished:
            self._finished.popleft().deliver()


class _Job(Protocol):
    """A `_Task` of any result."""

    def call(self) -> None: ...

    def deliver(self) -> None: ...


class _Task(Generic[T]):
    """A function, its result, and the future that waits for it."""

    def __init__(self, function: Callable[[], T], future: "asyncio.Future[T]") -> None:
        self.future = future
        self._function = function
        self._result: T | None = None
        self._error: BaseException | None = None

    def call(self) -> None:
        """Call the function. Runs in a worker thread."""
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001  (raised again by `run`)
            self._error = error

    def deliver(self) -> None:
        """Complete the future. Runs in the event loop."""
        if self.future.done():
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result)  # type: ignore[arg-type]
