"""What the groups share: several arguments, several calls, a file going up or down."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TypeVar

from mlmsg._session import Session
from mlmsg._streams import run_in_thread
from mlmsg._wire import Request, Response
from mlmsg.downloads import Download, Saved, check_target
from mlmsg.errors import RuleError
from mlmsg.rules import FileRules
from mlmsg.uploads import Progress, Source, SourceLike, open_source

__all__ = ["download_with", "open_download", "save_download", "upload_all"]

T = TypeVar("T")
R = TypeVar("R")


REUSABLE_SOURCES = (str, bytes, bytearray, memoryview, os.PathLike, list, tuple)
"""Sources that can be read twice at the same time."""


async def upload_all(
    files: Sequence[SourceLike],
    rules: FileRules,
    upload: Callable[[Source], Coroutine[object, object, T]],
) -> list[T]:
    """Uploads files side by side, once all of them keep the rules; the results in their order."""
    streams = [id(file) for file in files if not isinstance(file, REUSABLE_SOURCES)]
    if len(set(streams)) < len(streams):
        hint = "One position cannot be read from twice: open the file once for each"
        raise RuleError("`files` of a message", "the same open file twice", "each once", hint)
    async with AsyncExitStack() as stack:
        sources = [await stack.enter_async_context(open_source(file, rules)) for file in files]
        return await _side_by_side([upload(source) for source in sources])


@asynccontextmanager
async def open_download(
    session: Session, request: Request[Response], name: str
) -> AsyncIterator[Download]:
    """A file's bytes, for as long as the block."""
    async with session.open(request) as response:
        yield Download(response, name)


async def download_with(
    session: Session,
    request: Request[Response],
    name: str,
    handler: Callable[[Download], Awaitable[R]],
) -> R:
    """What `handler` makes of a file, in as many tries as the policy allows."""

    async def take(response: Response) -> R:
        try:
            return await handler(Download(response, name))
        finally:
            response.close()

    return await session.send(request, take)


async def save_download(
    session: Session,
    request: Request[Response],
    name: str,
    to: str | os.PathLike[str],
    *,
    overwrite: bool,
    progress: Progress | None,
) -> Saved:
    """A file saved whole, in as many tries as the policy allows."""
    await run_in_thread(partial(check_target, to, overwrite=overwrite))

    async def save(download: Download) -> Saved:
        return await download.save(to, overwrite=overwrite, progress=progress)

    return await download_with(session, request, name, save)


async def _side_by_side(calls: Sequence[Coroutine[object, object, T]]) -> list[T]:
    """All results in order; the first failure cancels the rest and is raised as it is."""
    tasks: list[asyncio.Task[T]] = []
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as errors:
        failure = errors.exceptions[0]
    if failure is not None:
        raise failure
    return [task.result() for task in tasks]
