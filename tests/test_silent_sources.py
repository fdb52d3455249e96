"""Sources that are silent: nothing waits for a thread that may never come back."""

import asyncio
import gc
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from anyio import to_thread
from calls import MIB, ONCE, cancel
from rawserver import Peer, RawServer, raw_server

from mlmsg import Client, MlmsgError, Timeouts
from mlmsg.uploads import SourceLike

PROMPT = 1.0
"""Seconds within which a cancellation has to return."""


class Silent:
    """A source that yields some bytes and then nothing, and what can be seen of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.closed: list[Callable[[], object]] = []
        self.file: BinaryIO | None = None

    def pipe(self) -> SourceLike:
        reading, writing = os.pipe()
        os.write(writing, b"some")
        return self._keep(os.fdopen(reading, "rb"), lambda: os.close(writing))

    def unbuffered_pipe(self) -> SourceLike:
        reading, writing = os.pipe()
        os.write(writing, b"some")
        return self._keep(os.fdopen(reading, "rb", buffering=0), lambda: os.close(writing))

    def fifo(self) -> SourceLike:
        path = self.folder / "fifo"
        os.mkfifo(path)
        writing = os.open(path, os.O_RDWR)
        return self._keep(path.open("rb"), lambda: os.close(writing))

    def socket_file(self) -> SourceLike:
        here, there = socket.socketpair()
        there.sendall(b"some")
        file = here.makefile("rb")
        here.close()
        return self._keep(file, there.close)

    def generator(self) -> Iterator[bytes]:
        pieces: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        pieces.put(b"some")
        self.closed.append(lambda: pieces.put(b"the end"))
        while (piece := pieces.get()) != b"the end":
            yield piece

    def _keep(self, file: BinaryIO, end: Callable[[], object]) -> BinaryIO:
        self.file = file
        self.closed += [end, file.close]
        return file


WAYS: dict[str, Callable[[Silent], SourceLike]] = {
    "pipe": Silent.pipe,
    "unbuffered pipe": Silent.unbuffered_pipe,
    "FIFO": Silent.fifo,
    "socket": Silent.socket_file,
    "generator": Silent.generator,
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
each_length = pytest.mark.parametrize("length", [MIB, None], ids=["streamed", "spooled"])


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Silent]:
    source = Silent(tmp_path)
    yield source
    for end in source.closed:
        end()


@asynccontextmanager
async def serve(
    timeout: Timeouts | float = 30.0, script: Callable[[Peer], object] | None = None
) -> AsyncIterator[tuple[Client, RawServer]]:
    async def read_and_answer(peer: Peer) -> None:
        while (await peer.request())[0]:
            await peer.answer(200, b'{"id": "1_a.bin", "messages": []}')

    async with (
        raw_server(script or read_and_answer) as server,  # type: ignore[arg-type]
        Client(
            "a-token", base_url=server.url, retry=ONCE, timeout=timeout, max_connections=1
        ) as client,
        asyncio.timeout(10),
    ):
        yield client, server


async def upload(client: Client, source: SourceLike, length: int | None) -> None:
    await client.attachments.upload(source, site_id="MLM", filename="a.bin", length=length)


@each_way
@each_length
async def test_a_cancelled_upload_returns(
    way: Callable[[Silent], SourceLike], length: int | None, silent: Silent
) -> None:
    limiter = to_thread.current_default_thread_limiter()
    async with serve() as (client, _):
        source = way(silent)
        task = asyncio.create_task(upload(client, source, length))
        await asyncio.sleep(0.1)  # long enough for it to read "some", and to wait for more
        started = time.monotonic()
        await cancel(task)
        assert time.monotonic() - started < PROMPT
        assert limiter.borrowed_tokens == 0
        assert silent.file is None or not silent.file.closed
        await client.packs.page(1)  # the slot is free


@each_way
async def test_a_source_that_is_silent_is_no_matter_of_the_timeouts(
    way: Callable[[Silent], SourceLike], silent: Silent
) -> None:
    brief = Timeouts(connect=5, read=0.05, write=0.05)
    async with serve(brief) as (client, server):
        task = asyncio.create_task(upload(client, way(silent), MIB))
        await asyncio.wait({task}, timeout=0.3)
        assert not task.done()
        assert len(server.peers) == 1
        await cancel(task)


@each_way
async def test_the_peer_may_end_the_connection_meanwhile(
    way: Callable[[Silent], SourceLike], silent: Silent
) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await asyncio.sleep(0.05)
        peer.reset()

    async with serve(script=script) as (client, _):
        started = time.monotonic()
        with pytest.raises(MlmsgError, match="lost"):
            await upload(client, way(silent), MIB)
        assert time.monotonic() - started < PROMPT


async def test_the_thread_of_a_source_ends_with_it(tmp_path: Path) -> None:
    before = threading.active_count()
    pieces: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    closed = threading.Event()

    def source() -> Iterator[bytes]:
        try:
            while piece := pieces.get():
                yield piece
        finally:
            closed.set()

    async with serve() as (client, _):
        pieces.put(b"some")
        pieces.put(b"")
        await upload(client, source(), 4)
        assert closed.is_set()
        closed.clear()
        task = asyncio.create_task(upload(client, source(), 4))
        await asyncio.sleep(0.05)
        await cancel(task)
        assert not closed.is_set()
        pieces.put(b"late")  # it is not read on: the generator is closed in its thread
        await asyncio.to_thread(closed.wait, 5)
        assert closed.is_set()
    await asyncio.get_running_loop().shutdown_default_executor()
    for thread in threading.enumerate():
        if thread.name == "mlmsg source":
            thread.join(5)
    assert threading.active_count() <= before


async def test_a_slow_generator_is_closed_before_a_cancellation_returns() -> None:
    """It has a moment to come to its next `yield`."""
    closed: list[bool] = []

    def source() -> Iterator[bytes]:
        with ExitStack() as stack:
            stack.callback(closed.append, True)
            while True:
                time.sleep(0.01)  # its speed
                yield b"some"

    async with serve() as (client, _):
        task = asyncio.create_task(upload(client, source(), MIB))
        await asyncio.sleep(0.1)
        await cancel(task)
        assert closed == [True]


async def test_an_error_that_comes_after_the_cancellation_is_not_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pieces: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    raised = threading.Event()

    def source() -> Iterator[bytes]:
        try:
            while piece := pieces.get():
                yield piece
            raise ValueError("my own")
        finally:
            raised.set()

    async with serve() as (client, _):
        task = asyncio.create_task(upload(client, source(), MIB))
        await asyncio.sleep(0.05)
        await cancel(task)
        pieces.put(b"")
        await asyncio.to_thread(raised.wait, 5)
        await asyncio.sleep(0.01)
    del task
    gc.collect()
    assert "never retrieved" not in caplog.text


PROGRAM = """
import asyncio, os, queue, sys
from mlmsg import Client
from mlmsg.sandbox import Sandbox

def generator():
    yield b"some"
    queue.Queue().get()

async def main():
    reading, writing = os.pipe()
    source = os.fdopen(reading, "rb") if sys.argv[1] == "pipe" else generator()
    length = int(sys.argv[2]) or None
    async with Sandbox() as sandbox, Client(sandbox.token, base_url=sandbox.url) as client:
        try:
            async with asyncio.timeout(0.2):
                await client.attachments.upload(source, site_id="MLM", filename="a", length=length)
        except TimeoutError:
            print("cancelled", flush=True)
    return source

source = asyncio.run(main())
print("closed" if getattr(source, "closed", False) else "ended", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pipe", "generator"])
@pytest.mark.parametrize("length", ["1000", "0"], ids=["streamed", "spooled"])
def test_a_process_ends_in_spite_of_a_silent_source(kind: str, length: str) -> None:
    command = [sys.executable, "-c", PROGRAM, kind, length]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    assert ended.stdout.split() == ["cancelled", "ended"]
    assert "Traceback" not in ended.stderr
