"""An exception of a source, of `progress` or of a handler is raised unchanged, whatever it is."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from calls import MIB, PACK_ID
from sources import LIMIT

from mlmsg import Client, Download
from mlmsg.sandbox import Sandbox
from mlmsg.uploads import SourceLike


class Own(BaseException):
    """An exception of the caller's own, and no `Exception`."""


ERRORS: list[BaseException] = [
    asyncio.CancelledError("my own"),
    KeyboardInterrupt("my own"),
    SystemExit(3),
    Own("my own"),
    ExceptionGroup("my own", [ValueError("one"), OSError("two")]),
    BaseExceptionGroup("my own", [KeyboardInterrupt(), ValueError("one")]),
    TimeoutError("my own"),
    ConnectionResetError("my own"),
    RuntimeError("my own"),
    GeneratorExit("my own"),
]
each_error = pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)


class Failing:
    """Sources of 2 MiB that then raise the error."""

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self._left = 2

    def generator(self) -> Iterator[bytes]:
        yield from (bytes(MIB), bytes(MIB))
        raise self._error

    async def async_generator(self) -> AsyncIterator[bytes]:
        yield bytes(MIB)
        yield bytes(MIB)
        raise self._error

    def iterator(self) -> Iterator[bytes]:
        return map(lambda _: self.read(MIB), range(25))  # noqa: C417  (its read may raise)

    def read(self, size: int = -1) -> bytes:
        if size == 0:
            return b""
        if self._left == 0:
            raise self._error
        self._left -= 1
        return bytes(MIB)

    def file(self) -> SourceLike:
        return OpenFile(self.read)

    def file_of_io(self) -> SourceLike:
        return io.BufferedReader(RawFile(self.read))  # type: ignore[type-var]

    def async_file(self) -> SourceLike:
        return AsyncFile(self.read)


class OpenFile:
    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def read(self, size: int = -1) -> bytes:
        return self._read(size)

    def seekable(self) -> bool:
        return False


class AsyncFile:
    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    async def read(self, size: int = -1) -> bytes:
        return self._read(size)


class RawFile(io.RawIOBase):
    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        return len(self._read(len(buffer))[: len(buffer)])


WAYS: dict[str, Callable[[Failing], SourceLike]] = {
    "generator": Failing.generator,
    "async generator": Failing.async_generator,
    "iterator": Failing.iterator,
    "file": Failing.file,
    "file of io": Failing.file_of_io,
    "async file": Failing.async_file,
}


def exactly(error: BaseException) -> AbstractContextManager[None]:
    return Exactly(error)


class Exactly(nullcontext[None]):
    """Expect this very exception. `pytest.raises` would let `KeyboardInterrupt` end the run."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    def __exit__(self, *raised: object) -> bool:  # type: ignore[override]
        assert raised[1] is self._error
        assert self._error.__cause__ is None
        return True


@each_error
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("length", [LIMIT, None], ids=["streamed", "spooled"])
async def test_an_exception_of_a_source(
    way: Callable[[Failing], SourceLike],
    error: BaseException,
    length: int | None,
    client: Client,
    sandbox: Sandbox,
) -> None:
    with exactly(error):
        await client.attachments.upload(way(Failing(error)), site_id="MLM", length=length)
    await client.packs.page(PACK_ID)
    assert not [request for request in sandbox.requests if request.status == 200][:-1]


@each_error
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_an_exception_of_a_file_of_a_message(
    way: Callable[[Failing], SourceLike], error: BaseException, client: Client, sandbox: Sandbox
) -> None:
    with exactly(error):
        files = [bytes(MIB), way(Failing(error))]
        await client.packs.send(PACK_ID, "Hola", files=files, site_id="MLM")
    await client.packs.page(PACK_ID)


@each_error
@pytest.mark.parametrize("is_stream", [False, True], ids=["bytes", "generator"])
async def test_an_exception_of_the_progress_of_an_upload(
    error: BaseException, client: Client, *, is_stream: bool
) -> None:
    def fail(done: int, total: int | None) -> None:
        if done > MIB:
            raise error

    source: SourceLike = (bytes(MIB) for _ in range(25)) if is_stream else bytes(LIMIT)
    with exactly(error):
        await client.attachments.upload(source, site_id="MLM", length=LIMIT, progress=fail)
    await client.packs.page(PACK_ID)


@each_error
async def test_an_exception_of_the_progress_of_a_download(
    error: BaseException, client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise error

    name = next(iter(sandbox.market.files))
    with exactly(error):
        await client.attachments.download(name, tmp_path, site_id="MLM", progress=fail)
    assert list(tmp_path.iterdir()) == []
    await client.packs.page(PACK_ID)


@each_error
@pytest.mark.parametrize("is_open", [False, True], ids=["handler", "open"])
async def test_an_exception_of_the_reader_of_a_download(
    error: BaseException, client: Client, sandbox: Sandbox, *, is_open: bool
) -> None:
    async def handler(download: Download) -> None:
        async for _ in download:
            raise error

    attachments, name = client.attachments, next(iter(sandbox.market.files))
    call: Awaitable[None] = attachments.download_with(name, handler, site_id="MLM")
    with exactly(error):
        if is_open:
            async with attachments.open(name, site_id="MLM") as download:
                await handler(download)
        else:
            await call
    if is_open:
        with exactly(error):
            await call
    await client.packs.page(PACK_ID)


async def test_an_exception_of_a_generator_that_is_closed(client: Client) -> None:
    error = ValueError("my own")

    def source() -> Iterator[bytes]:
        try:
            yield from (bytes(MIB) for _ in range(25))
        finally:
            raise error

    with exactly(error):
        await client.attachments.upload(source(), site_id="MLM", length=3 * MIB)


async def test_an_own_cancellation_is_not_taken_for_that_of_the_task(client: Client) -> None:
    """And the other way round: the task that is cancelled stays cancelled."""

    async def source() -> AsyncIterator[bytes]:
        task.cancel()
        await asyncio.sleep(0)
        yield b"never"

    async def upload() -> None:
        await client.attachments.upload(source(), site_id="MLM", length=5)

    task = asyncio.create_task(upload())
    await asyncio.wait({task})
    assert task.cancelled()
