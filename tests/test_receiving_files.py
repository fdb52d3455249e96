"""Large files are received, hashed and written side by side, within bounds, or leave nothing."""

import asyncio
import hashlib
import os
import threading
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest
from calls import cancel

from mlmsg import _partial_file
from mlmsg._partial_file import GROUP_BYTES, WAITING_GROUPS, WrittenFile, receive_file

SIZES = [0, 1, GROUP_BYTES - 1, GROUP_BYTES, 3 * GROUP_BYTES + 7]


async def split(content: bytes, size: int) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def receive(
    target: Path, chunks: AsyncGenerator[bytes, None], *, overwrite: bool = False
) -> WrittenFile:
    return await receive_file(lambda: target, chunks, overwrite=overwrite)


def assert_nothing_is_left(folder: Path) -> None:
    assert not list(folder.iterdir())
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            path = descriptor.readlink()
        except FileNotFoundError:  # that of `iterdir`
            continue
        assert not path.is_relative_to(folder)


@pytest.mark.parametrize("chunk", [600, 65_536, 3 * GROUP_BYTES])
@pytest.mark.parametrize("size", SIZES)
async def test_the_file_holds_the_bytes_and_its_sha256_is_theirs(
    tmp_path: Path, size: int, chunk: int
) -> None:
    content = os.urandom(size)
    target = tmp_path / "x"
    written = await receive(target, split(content, chunk))
    assert written == WrittenFile(target, size, hashlib.sha256(content).hexdigest())
    assert target.read_bytes() == content
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("step", [1, 100_000])
async def test_a_short_write_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    content = os.urandom(GROUP_BYTES + 1)
    short: list[int] = []

    def writev(descriptor: int, chunks: Sequence[bytes]) -> int:
        short.append(os.write(descriptor, chunks[0][:step]))
        return short[-1]

    monkeypatch.setattr(os, "writev", writev)
    await receive(tmp_path / "x", split(content, 65_536))
    assert short
    assert (tmp_path / "x").read_bytes() == content


@pytest.mark.parametrize("name", ["write", "hash"])
async def test_few_bytes_wait_while_a_thread_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    release = threading.Event()
    real = getattr(_partial_file.PartialFile, name)

    def slow(self: object, chunks: Sequence[bytes]) -> None:
        release.wait(5)
        real(self, chunks)

    monkeypatch.setattr(_partial_file.PartialFile, name, slow)
    most = WAITING_GROUPS + 2  # those, one in the thread, and one that was received
    yielded = 0
    is_reached = asyncio.Event()

    async def chunks() -> AsyncGenerator[bytes, None]:
        nonlocal yielded
        for _ in range(12):
            yielded += 1
            if yielded == most:
                is_reached.set()
            yield bytes(GROUP_BYTES)

    task = asyncio.ensure_future(receive(tmp_path / "x", chunks()))
    await is_reached.wait()
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert yielded == most
    release.set()
    assert (await task).size == 12 * GROUP_BYTES


@pytest.mark.parametrize("step", [1, 3, 6])
async def test_an_error_of_the_disk_is_raised_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    calls = 0
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == step:
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left") as caught:
        await receive(tmp_path / "x", split(bytes(6 * GROUP_BYTES), GROUP_BYTES))
    assert caught.value.errno == 28
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize("groups", [1, 2, 4])
async def test_a_cancelled_file_leaves_nothing(tmp_path: Path, groups: int) -> None:
    yielded = asyncio.Event()

    async def chunks() -> AsyncGenerator[bytes, None]:
        for _ in range(groups):
            yield bytes(GROUP_BYTES)
        yielded.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(receive(tmp_path / "x", chunks()))
    await yielded.wait()
    await cancel(task)
    assert_nothing_is_left(tmp_path)


async def test_the_end_of_asyncio_run_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        yielded = asyncio.Event()

        async def chunks() -> AsyncGenerator[bytes, None]:
            while True:
                yield bytes(GROUP_BYTES)
                yielded.set()

        task = asyncio.ensure_future(receive(tmp_path / "x", chunks()))
        await yielded.wait()
        assert not task.done()

    await asyncio.to_thread(asyncio.run, main())
    assert_nothing_is_left(tmp_path)


async def test_a_file_gets_no_name_after_a_failed_progress(tmp_path: Path) -> None:
    def fails(done: int) -> None:
        if done == 3 * GROUP_BYTES:
            raise KeyError("progress")

    with pytest.raises(KeyError):
        await receive_file(
            lambda: tmp_path / "x",
            split(bytes(3 * GROUP_BYTES), GROUP_BYTES),
            overwrite=False,
            progress=fails,
        )
    assert_nothing_is_left(tmp_path)
