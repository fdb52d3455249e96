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

__all__ = ["BLOCK", "Block", "gathered", "in_thread", "read_ahead", "settled", "sync_folder"]

BLOCK = 1024 * 1024
"""Bytes read or written per thread hop."""

Block = bytes | bytearray | memoryview

T = TypeVar("T")
B = TypeVar("B", bound=Block)


async def in_thread(function: Callable[[], T]) -> T:
    """Runs `function` in a worker thread and returns when the thread is out of it.

    A cancellation is raised only then, so the caller may close at once what the thread used.
    """
    task = asyncio.ensure_future(to_thread.run_sync(function))
    try:
        return await asyncio.shield(task)
    finally:
        await settled(task)


async def read_ahead(read: Callable[[], Block]) -> AsyncGenerator[Block, None]:
    """The blocks of `read`, up to the first empty one, each read while the last is in use."""
    pending = asyncio.ensure_future(to_thread.run_sync(read))
    try:
        while block := await asyncio.shield(pending):
            pending = asyncio.ensure_future(to_thread.run_sync(read))
            yield block
    finally:
        await settled(pending)


async def gathered(chunks: AsyncGenerator[B, None]) -> AsyncGenerator[list[B], None]:
    """The same chunks in lists of at least one block's bytes, the last one of what is left."""
    held: list[B] = []
    total = 0
    async with aclosing(chunks):
        async for chunk in chunks:
            held.append(chunk)
            total += len(chunk)
            if total >= BLOCK:
                yield held
                held, total = [], 0
    if held:
        yield held


async def settled(task: "asyncio.Future[T]") -> None:
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


def sync_folder(folder: Path) -> None:
    """Makes the new name itself durable, where folders can be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
