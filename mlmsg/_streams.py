"""Blocking reads and writes in worker threads, and blocks of about one mebibyte.

A thread cannot be interrupted. anyio's shield holds against its own cancel scopes, not against
`Task.cancel()`, so whoever goes on to close a file after a cancellation must first wait for the
thread that is still inside it. That wait is what this module adds to `anyio.to_thread`.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

from anyio import to_thread

__all__ = [
    "CHUNK_BYTES",
    "Buffer",
    "coalesce",
    "fsync_directory",
    "read_ahead",
    "run_in_thread",
    "wait_until_done",
]

CHUNK_BYTES = 1024 * 1024
"""Bytes read or written per thread hop."""

Buffer = bytes | bytearray | memoryview

T = TypeVar("T")
B = TypeVar("B", bound=Buffer)


async def run_in_thread(function: Callable[[], T]) -> T:
    """Runs `function` in a worker thread and returns when the thread is out of it.

    A cancellation is raised only then, so the caller may close at once what the thread used.
    """
    task = asyncio.ensure_future(to_thread.run_sync(function))
    try:
        return await asyncio.shield(task)
    finally:
        await wait_until_done(task)


async def read_ahead(read: Callable[[], Buffer]) -> AsyncGenerator[Buffer, None]:
    """The blocks of `read`, up to the first empty one, each read while the last is in use."""
    pending = asyncio.ensure_future(to_thread.run_sync(read))
    try:
        while block := await asyncio.shield(pending):
            pending = asyncio.ensure_future(to_thread.run_sync(read))
            yield block
    finally:
        await wait_until_done(pending)


async def coalesce(chunks: AsyncGenerator[B, None]) -> AsyncGenerator[list[B], None]:
    """The same chunks in lists of at least one block's bytes, the last one of what is left."""
    held: list[B] = []
    total = 0
    async with aclosing(chunks):
        async for chunk in chunks:
            held.append(chunk)
            total += len(chunk)
            if total >= CHUNK_BYTES:
                yield held
                held, total = [], 0
    if held:
        yield held


async def wait_until_done(task: "asyncio.Future[T]") -> None:
    """Returns when `task` is done, however it ends; a cancellation is raised only then."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if not task.cancelled():
        task.exception()  # looked at, so that asyncio does not report it as forgotten
    if cancelled is not None:
        raise cancelled


def fsync_directory(folder: Path) -> None:
    """Makes the new name itself durable, where folders can be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
