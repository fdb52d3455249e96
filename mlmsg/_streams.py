"""Run blocking reads and writes in worker threads, in chunks of about one mebibyte.

A thread cannot be interrupted. anyio's shield protects against its own cancel scopes, but not
against `Task.cancel()`. So before a file is closed after a cancellation, the thread that still uses
it must finish. This module adds that wait to `anyio.to_thread`.
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
    """Run `function` in a worker thread, and return its result.

    A cancellation is raised only when the thread has finished, so the caller may close everything
    that the thread used.
    """
    task = asyncio.ensure_future(to_thread.run_sync(function))
    try:
        return await asyncio.shield(task)
    finally:
        await wait_until_done(task)


async def read_ahead(read: Callable[[], Buffer]) -> AsyncGenerator[Buffer, None]:
    """Yield chunks from `read` up to the first empty one. The next is read while one is in use."""
    pending = asyncio.ensure_future(to_thread.run_sync(read))
    try:
        while chunk := await asyncio.shield(pending):
            pending = asyncio.ensure_future(to_thread.run_sync(read))
            yield chunk
    finally:
        await wait_until_done(pending)


async def coalesce(chunks: AsyncGenerator[B, None]) -> AsyncGenerator[list[B], None]:
    """Group chunks into lists of at least `CHUNK_BYTES`. The last list may be smaller."""
    group: list[B] = []
    size = 0
    async with aclosing(chunks):
        async for chunk in chunks:
            group.append(chunk)
            size += len(chunk)
            if size >= CHUNK_BYTES:
                yield group
                group, size = [], 0
    if group:
        yield group


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
    if not task.cancelled():
        task.exception()  # marks it as retrieved, so that asyncio does not report it
    if cancelled is not None:
        raise cancelled


def fsync_directory(folder: Path) -> None:
    """Flush the directory entry to disk, so that a rename survives a crash (POSIX only)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
