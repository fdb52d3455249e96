"""Count the waits of a call and of its tasks, and cancel the call at one of them."""

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import Context, ContextVar
from typing import Literal, TypeVar

T = TypeVar("T")
Moment = Literal["as it begins", "as it ends", "again and again"]
"""When a call is cancelled, relative to the wait."""

MAX_CANCELLATIONS = 6
"""Cancellations of one run, so that "again and again" has an end."""


class Watch:
    """Counts the waits of one call and of every task that it starts; cancels the call at one."""

    def __init__(self, at: int | None = None, moment: Moment = "as it begins") -> None:
        self.at = at
        self.moment = moment
        self.waits = self.cancelled = 0
        self.tasks: list[asyncio.Task[object]] = []

    async def run(self, call: Coroutine[object, object, object]) -> object:
        """Run the call; return its result or the exception that it raised."""
        asyncio.get_running_loop().set_task_factory(_make_task)
        mark = WATCH.set(self)
        root = asyncio.create_task(call)
        WATCH.reset(mark)
        if self.at == 0:
            self._cancel()
        return (await asyncio.gather(root, return_exceptions=True))[0]

    def record_wait(self, awaited: object) -> None:
        """Count a wait that begins, and cancel the call if it is the chosen one."""
        self.waits += 1
        if self.cancelled:
            if self.moment == "again and again" and asyncio.current_task() is self.tasks[0]:
                self._cancel()
        elif self.waits == self.at:
            if self.moment != "as it ends":
                self._cancel()
            elif isinstance(awaited, asyncio.Future):
                awaited.add_done_callback(lambda _: self._cancel())
            else:
                asyncio.get_running_loop().call_soon(self._cancel)

    def is_over(self) -> bool:
        """Return True if all tasks are done."""
        return all(task.done() for task in self.tasks)

    def _cancel(self) -> None:
        if self.cancelled < MAX_CANCELLATIONS:
            self.cancelled += self.tasks[0].cancel()


WATCH: ContextVar[Watch | None] = ContextVar("watch", default=None)


class Watched(Coroutine[object, object, T]):
    """A coroutine that reports each wait to its watch."""

    def __init__(self, inner: Coroutine[object, object, T], watch: Watch) -> None:
        self._inner = inner
        self._watch = watch

    def send(self, value: object, /) -> object:
        """Run to the next wait."""
        awaited = self._inner.send(value)
        self._watch.record_wait(awaited)
        return awaited

    def throw(self, error: type[BaseException] | BaseException, *_: object) -> object:
        """Raise an error inside, and run to the next wait."""
        awaited = self._inner.throw(error if isinstance(error, BaseException) else error())
        self._watch.record_wait(awaited)
        return awaited

    def close(self) -> None:
        """Close the coroutine."""
        self._inner.close()

    def __await__(self) -> Generator[object, None, T]:
        return self._inner.__await__()


def _make_task(
    loop: asyncio.AbstractEventLoop,
    call: Coroutine[object, object, T] | Generator[object, None, T],
    context: Context | None = None,
    **_: object,
) -> asyncio.Task[T]:
    assert isinstance(call, Coroutine)
    watch = WATCH.get()
    if watch is None:
        return asyncio.Task(call, loop=loop, context=context)
    task = asyncio.Task(Watched(call, watch), loop=loop, context=context)
    watch.tasks.append(task)
    return task
