"""Upload and download files: the steps that packs and claims have in common."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import partial
from inspect import isasyncgenfunction, isawaitable
from typing import TypeVar

from mlmsg._arguments import check_callback, shorten
from mlmsg._session import Session
from mlmsg._wire import Request, Response
from mlmsg._worker_threads import run_in_thread, wait_until_done
from mlmsg.downloads import Download, Saved, check_target
from mlmsg.errors import RuleError
from mlmsg.rules import FileRules
from mlmsg.uploads import Progress, Source, SourceLike, open_source

__all__ = ["SOURCES", "download_with", "open_download", "save_download", "upload_all"]

T = TypeVar("T")
R = TypeVar("R")

SOURCES = "a list of files, also for one: paths, bytes, open binary files, …"
"""The words of an error for the `files` that a message takes."""

REUSABLE_SOURCES = (str, bytes, bytearray, memoryview, os.PathLike, list, tuple)
"""Types of sources that two uploads can read at the same time."""


async def upload_all(
    files: Sequence[SourceLike],
    rules: FileRules,
    upload: Callable[[Source], Awaitable[T]],
) -> list[T]:
    """Check the rules for all files, then upload them concurrently. Return the results in order."""
    streams = [id(file) for file in files if not isinstance(file, REUSABLE_SOURCES)]
    if len(set(streams)) < len(streams):
        hint = "Two uploads cannot read from one position: open the file once for each of them"
        raise RuleError("`files` of a message", "the same open file twice", "each once", hint)
    async with AsyncExitStack() as stack:
        sources = [await stack.enter_async_context(open_source(file, rules)) for file in files]
        return await _gather([partial(upload, source) for source in sources])


@asynccontextmanager
async def open_download(
    session: Session, request: Request[Response], name: str
) -> AsyncIterator[Download]:
    """Yield the `Download` of a file. It is closed at the end of the `async with` block."""
    async with session.open(request) as response:
        response.lend()
        yield Download(response, name)


async def download_with(
    session: Session,
    request: Request[Response],
    name: str,
    handler: Callable[[Download], Awaitable[R]],
) -> R:
    """Return the result of `handler` for a file, in as many attempts as the policy allows."""
    if not callable(handler):
        raise RuleError("`handler` of a download", shorten(handler), "an async function")
    if isasyncgenfunction(handler):
        found = "an async generator function: it contains `yield`"
        raise RuleError("`handler` of a download", found, "an async function")

    # A plain function cannot be rejected before it is called: `lambda download: download.save(to)`
    # returns an awaitable, and so may a partial object or a bound method.
    async def process(response: Response) -> R:
        response.lend()
        with closing(response):
            result = handler(Download(response, name))
            if not isawaitable(result):
                found = f"a function that returned {shorten(result)}"
                raise RuleError("`handler` of a download", found, "an async function")
            return await result

    return await session.send(request, process)


async def save_download(
    session: Session,
    request: Request[Response],
    name: str,
    to: str | os.PathLike[str],
    *,
    overwrite: bool,
    progress: Progress | None,
) -> Saved:
    """Save a file, in as many attempts as the policy allows."""
    check_callback("`progress`", progress, "(done, total)")
    target = await run_in_thread(partial(check_target, to, overwrite=overwrite))

    async def process(response: Response) -> Saved:
        with closing(response):
            download = Download(response, name)
            return await download.save(target, overwrite=overwrite, progress=progress)

    return await session.send(request, process)


async def _gather(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Return all results in order. The first failure cancels the others and is raised unchanged."""
    results: dict[int, T] = {}
    failures: list[BaseException] = []

    async def run(index: int) -> None:
        try:
            results[index] = await calls[index]()
        except BaseException as error:  # noqa: BLE001  (raised below)
            # A task that ended with a KeyboardInterrupt would end the event loop and not this call.
            failures.append(error)
            cancel_all()

    def cancel_all() -> None:
        for task in tasks:
            if task is not asyncio.current_task():
                task.cancel()

    tasks = [asyncio.create_task(run(index)) for index in range(len(calls))]
    try:
        if tasks:
            await asyncio.wait(tasks)
    except asyncio.CancelledError:
        cancel_all()
        for task in tasks:
            await wait_until_done(task)
        raise
    if failures:
        raise failures[0]
    return [results[index] for index in range(len(calls))]
