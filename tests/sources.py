"""Every kind of source of an upload, with the same bytes in each."""

import asyncio
import io
import os
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Mapping,
)
from contextlib import AsyncExitStack, aclosing, closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import anyio
import pytest
from calls import MIB

from mlmsg import Client, RuleError
from mlmsg._multipart import Multipart
from mlmsg._streams import Buffer
from mlmsg.rules import POST_SALE_FILES, FileRules
from mlmsg.sandbox import Sandbox
from mlmsg.uploads import Source, SourceLike, open_source

LIMIT = 25 * MIB


DATA = b"".join(number.to_bytes(2, "big") for number in range(25_000))
"""Bytes that do not repeat, fewer than a pipe buffers."""


PIECES = [DATA[start : start + 999] for start in range(0, len(DATA), 999)]


EARLIER = b"read before"


NAME = "nota nº 7.pdf"


PDF = (NAME, "application/pdf")


Stack = AsyncExitStack


async def pieces() -> AsyncIterator[bytes]:
    for piece in PIECES:
        yield piece


class Reader:
    """A file-like object with nothing but an async `read`, which returns little at a time."""

    def __init__(self) -> None:
        self._file = io.BytesIO(DATA)

    async def read(self, size: int = -1) -> bytes:
        return self._file.read(min(size, 999))


class Unclosable:
    """An async iterator without an `aclose`."""

    def __init__(self) -> None:
        self._pieces = iter(PIECES)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


async def ready(source: SourceLike) -> SourceLike:
    return source


def on_disk(folder: Path, data: bytes = DATA) -> Path:
    path = folder / NAME
    path.write_bytes(data)
    return path


def sparse(folder: Path, size: int) -> Path:
    path = on_disk(folder)
    os.truncate(path, size)
    return path


async def standing(stack: Stack, folder: Path, buffering: int = -1) -> BinaryIO:
    path = on_disk(folder, EARLIER + DATA)
    file: BinaryIO = stack.enter_context(path.open("rb", buffering=buffering))
    file.seek(len(EARLIER))
    return file


async def in_memory(_: Stack, __: Path) -> io.BytesIO:
    file = io.BytesIO(EARLIER + DATA)
    file.seek(len(EARLIER))
    return file


async def of_anyio(stack: Stack, folder: Path) -> anyio.AsyncFile[bytes]:
    path = on_disk(folder, EARLIER + DATA)
    file = await stack.enter_async_context(await anyio.open_file(path, "rb"))
    await file.seek(len(EARLIER))
    return file


async def piped(stack: Stack, _: Path) -> BinaryIO:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as end:
        end.write(DATA)
    return stack.enter_context(os.fdopen(reading, "rb"))


async def downloaded(stack: Stack, _: Path) -> SourceLike:
    sandbox = await stack.enter_async_context(Sandbox())
    client = await stack.enter_async_context(Client(sandbox.token, base_url=sandbox.url))
    stored = sandbox.market.add_file(DATA, "a.png", "image/png", file_id="1_a.png")
    return await stack.enter_async_context(client.attachments.open(stored.id, site_id="MLM"))


@dataclass(frozen=True)
class Kind:
    """A kind of source with `DATA` in it.

    Attributes:
        make: Returns one, given the stack that closes it and a folder.
        filename: The name that the client derives from it.
        content_type: The type that the client derives from it.
        unknown: True if its length is unknown.
        once: True if it can be read only once.
    """

    make: Callable[[Stack, Path], Awaitable[SourceLike]]
    filename: str = "attachment"
    content_type: str = "application/octet-stream"
    unknown: bool = False
    once: bool = False


KINDS: Mapping[str, Kind] = {
    "str": Kind(lambda _, folder: ready(str(on_disk(folder))), *PDF),
    "path": Kind(lambda _, folder: ready(on_disk(folder)), *PDF),
    "bytes": Kind(lambda *_: ready(DATA)),
    "bytearray": Kind(lambda *_: ready(bytearray(DATA))),
    "memoryview": Kind(lambda *_: ready(memoryview(DATA))),
    "backward memoryview": Kind(lambda *_: ready(memoryview(DATA[::-1])[::-1])),
    "3-d memoryview": Kind(lambda *_: ready(memoryview(DATA).cast("B", (5, 100, 100)))),
    "memoryview of ints": Kind(lambda *_: ready(memoryview(DATA).cast("I"))),
    "open file": Kind(standing, *PDF),
    "unbuffered file": Kind(lambda stack, folder: standing(stack, folder, 0), *PDF),
    "BytesIO": Kind(in_memory),
    "anyio file": Kind(of_anyio, *PDF),
    "Download": Kind(downloaded, "1_a.png", "image/png", once=True),
    "pipe": Kind(piped, unknown=True, once=True),
    "async reader": Kind(lambda *_: ready(Reader()), unknown=True, once=True),
    "list": Kind(lambda *_: ready(PIECES), unknown=True),
    "generator": Kind(lambda *_: ready(p for p in PIECES), unknown=True, once=True),
    "async generator": Kind(lambda *_: ready(pieces()), unknown=True, once=True),
    "async iterator": Kind(lambda *_: ready(Unclosable()), unknown=True, once=True),
}


def each_kind_that(wanted: Callable[[Kind], bool]) -> pytest.MarkDecorator:
    chosen = {name: kind for name, kind in KINDS.items() if wanted(kind)}
    return pytest.mark.parametrize("kind", chosen.values(), ids=chosen.keys())


each_kind = each_kind_that(lambda _: True)


async def read_all(source: Source) -> bytes:
    async with aclosing(source.open()) as blocks:
        return b"".join([bytes(block) async for block in blocks])


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def rule_error_of(source: SourceLike, rules: FileRules = POST_SALE_FILES) -> RuleError:
    with pytest.raises(RuleError) as caught:
        async with asyncio.timeout(5), open_source(source, rules):
            pass
    return caught.value


AfterBlock = Callable[[], Awaitable[object]] | None


class ScriptedSource:
    """A sync or async source of these blocks that counts how often it is opened, read and closed.

    Args:
        blocks: The blocks that it yields.
        error: Raised after the last block.
        then: Awaited after each block of the async form.
    """

    def __init__(
        self, blocks: Iterable[Buffer], error: Exception | None = None, then: AfterBlock = None
    ) -> None:
        self.opened = self.closed = self.drawn = 0
        self._blocks, self._error, self._then = blocks, error, then

    def as_iterator(self) -> Generator[Buffer, None, None]:
        self.opened += 1
        try:
            for block in self._blocks:
                self.drawn += 1
                yield block
            if self._error is not None:
                raise self._error
        finally:
            self.closed += 1

    async def as_async_iterator(self) -> AsyncGenerator[Buffer, None]:
        with closing(self.as_iterator()) as blocks:
            for block in blocks:
                yield block
                if self._then is not None:
                    await self._then()


AsSource = Callable[[ScriptedSource], SourceLike]


each_way = pytest.mark.parametrize(
    "way", [ScriptedSource.as_iterator, ScriptedSource.as_async_iterator], ids=["sync", "async"]
)


async def _nothing() -> AsyncGenerator[bytes, None]:
    yield b""


def empty_form(filename: str = "a.png", content_type: str = "image/png") -> Multipart:
    """Return the form of an empty file."""
    source = Source(_nothing, 0, filename, content_type, replayable=True)
    return Multipart(source, None, "boundary")
