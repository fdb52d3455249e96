"""Apply an async function to the items of an async generator, a few at the same time."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import TypeVar

__all__ = ["map_ahead"]

T = TypeVar("T")
R = TypeVar("R")


async def map_ahead(
    items: AsyncGenerator[T, None],
    function: Callable[[T], Coroutine[object, object, R]],
    concurrency: int,
) -> AsyncGenerator[R, None]:
    """Yield the results in the order of the items.

    At most `concurrency` calls run, or have a result that waits for the reader. When the generator
    is closed, or a call fails, the other calls are cancelled and `items` is closed.
    """
    # Plain tasks, not a task group: a generator may be left at any `yield`.
    tasks = deque[asyncio.Task[R]]()
    try:
        async with aclosing(items):
            async for item in items:
                tasks.append(asyncio.create_task(function(item)))
                if len(tasks) >= concurrency:
                    yield await _result_of_first(tasks)
        while tasks:
            yield await _result_of_first(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _result_of_first(tasks: deque[asyncio.Task[R]]) -> R:
    await asyncio.wait({tasks[0]})  # a cancellation leaves the task in the queue
    return tasks.popleft().result()
