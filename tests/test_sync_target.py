"""The target: a file is there completely or not at all, in a folder and in a bucket."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mirrors import on_disk
from obstore.store import LocalStore, MemoryStore

from mlmsg import IncompleteDownload, RuleError, TimedOut
from mlmsg.sync import TargetError
from mlmsg.sync.job import open_target
from mlmsg.sync.target import Target, TargetLike

MIB = 1024 * 1024


@asynccontextmanager
async def opened(to: TargetLike) -> AsyncIterator[Target]:
    target = await open_target(to)
    try:
        yield target
    finally:
        await target.close()


@pytest.fixture(params=["folder", "memory"])
async def target(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Target]:
    async with opened(tmp_path if request.param == "folder" else MemoryStore()) as target:
        yield target


async def sizes(target: Target, *folders: str) -> dict[str, int]:
    return (await target.load("none", folders)).sizes


async def read(target: Target, key: str) -> bytes | None:
    return (await target.load(key, [key.rpartition("/")[0]])).manifest


def replaced_by(data: bytes) -> Callable[[bytes | None], bytes]:
    return lambda _: data


async def block(count: int, size: int = 256 * 1024) -> AsyncGenerator[bytes, None]:
    for number in range(count):
        yield bytes([number % 251]) * size


def content(count: int, size: int = 256 * 1024) -> bytes:
    return b"".join(bytes([number % 251]) * size for number in range(count))


@pytest.mark.parametrize("count", [1, 3, 4, 5, 23])
async def test_what_is_put_is_there(target: Target, count: int) -> None:
    digest = await target.put("packs/1/a.bin", block(count))
    assert digest == (len(content(count)), hashlib.sha256(content(count)).hexdigest())
    assert await read(target, "packs/1/a.bin") == content(count)
    assert await sizes(target, "packs/1") == {"packs/1/a.bin": count * 256 * 1024}
    assert await sizes(target, "packs/2") == {}


FAILURES = [IncompleteDownload("cut"), TimedOut("silent"), ValueError("mine")]


@pytest.mark.parametrize("count", [0, 1, 4, 9])
@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
async def test_a_source_that_fails_leaves_what_was_there(
    target: Target, tmp_path: Path, count: int, failure: Exception
) -> None:
    async def failing() -> AsyncGenerator[bytes, None]:
        async for chunk in block(count):
            yield chunk
        raise failure

    await target.put("a/old", block(1))
    for key in ("a/old", "a/new"):
        with pytest.raises(type(failure)) as caught:
            await target.put(key, failing())
        assert caught.value is failure
    assert await read(target, "a/old") == content(1)
    assert await sizes(target, "a") == {"a/old": 256 * 1024}
    assert set(on_disk(tmp_path)) <= {"a/old"}


@pytest.mark.parametrize("count", [0, 1, 4, 9])
async def test_a_cancelled_put_leaves_what_was_there_and_closes_its_source(
    target: Target, tmp_path: Path, count: int
) -> None:
    reached, closed = asyncio.Event(), asyncio.Event()

    async def hanging() -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in block(count):
                yield chunk
            reached.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    task = asyncio.create_task(target.put("a/new", hanging()))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()
    assert await sizes(target, "a") == {}
    assert on_disk(tmp_path) == {}


async def test_odd_keys_are_accepted_as_they_are(target: Target) -> None:
    keys = {"a/%41 b.txt", "a/ñ+=~.txt"}
    for key in keys:
        await target.put(key, block(1))
    assert set(await sizes(target, "a")) == keys


async def test_a_missing_file(target: Target) -> None:
    assert await read(target, "a/b") is None
    assert await target.inspect("a/b") is None
    await target.delete("a/b")
    await target.move("a/b", "c/b")


async def test_a_file_is_inspected_moved_and_deleted(target: Target) -> None:
    digest = await target.put("a/x", block(9))
    found = await target.inspect("a/x")
    assert found is not None
    assert (found.digest, found.head) == (digest, content(1)[:1024])
    assert found.modified.utcoffset() is not None
    await target.put("b/c/x", block(1))
    await target.move("a/x", "b/c/x")
    assert await sizes(target, "a", "b/c") == {"b/c/x": len(content(9))}
    await target.delete("b/c/x")
    assert await sizes(target, "a", "b/c") == {}


async def test_an_update_gets_the_present_content(target: Target) -> None:
    seen: list[bytes | None] = []

    def append(data: bytes | None) -> bytes:
        seen.append(data)
        return (data or b"") + b"x"

    for _ in range(3):
        await target.update("a/m.json", ["a", "none"], append)
    assert seen == [None, b"x", b"xx"]
    assert await read(target, "a/m.json") == b"xxx"


async def test_an_update_that_fails_leaves_what_was_there(target: Target, tmp_path: Path) -> None:
    def fail(data: bytes | None) -> bytes:
        raise RuleError("version", "2", "1")

    await target.update("a/m.json", ["a"], replaced_by(b"x"))
    with pytest.raises(RuleError):
        await target.update("a/m.json", ["a"], fail)
    await target.update("a/m.json", ["a"], replaced_by(b"y"))
    assert await read(target, "a/m.json") == b"y"
    assert set(on_disk(tmp_path)) <= {"a/m.json"}


async def test_every_way_to_name_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    ways: list[tuple[TargetLike, str]] = [
        (str(tmp_path / "a"), "a"),
        (tmp_path / "b" / "deep", "b/deep"),
        ("relative", "relative"),
        ("C:\\mirror", "C:\\mirror"),
        ("~/archive", "home/archive"),
        (Path("~/archive2"), "home/archive2"),
        (f"file://{tmp_path}/with%20space", "with space"),
        (LocalStore(tmp_path / "own", mkdir=True), "own"),
    ]
    for to, folder in ways:
        async with opened(to) as target:
            await target.put("k/x", block(1))
        assert (tmp_path / folder / "k" / "x").read_bytes() == content(1)


async def test_a_relative_folder_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened("relative") as target:
        await target.put("k/x", block(1))
        monkeypatch.chdir("/")
        await target.put("k/y", block(1))
    assert set(on_disk(tmp_path)) == {"relative/k/x", "relative/k/y"}


async def test_urls_are_those_of_obstore() -> None:
    async with opened("memory://") as target:
        await target.put("a/b", block(1))
        assert await sizes(target, "a") == {"a/b": len(content(1))}
    async with opened("s3://bucket/prefix"):
        pass


@pytest.mark.parametrize(
    "to",
    [
        *("", "ftp://host/x", "nonsense://", "s3://", "a\0b", "file://host/x", "file:///"),
        *(b"bytes", 3, None, LocalStore()),
    ],
)
async def test_what_can_be_no_target_is_refused(to: TargetLike) -> None:
    with pytest.raises(RuleError, match="`to`"):
        await open_target(to)


async def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for name in (tmp_path / "file", f"file://{tmp_path}/file"):
        with pytest.raises(RuleError, match="which is a file"):
            await open_target(name)
    with pytest.raises(TargetError):
        await open_target(tmp_path / "file" / "below")


async def test_a_failure_of_the_target_says_where_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "packs").write_text("in the way")
    async with opened(tmp_path) as target:
        with pytest.raises(OSError, match=r"packs/1/a") as caught:
            await target.put("packs/1/a", block(1))
    assert isinstance(caught.value, TargetError)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None


@pytest.fixture(autouse=True)
async def nothing_swallowed() -> AsyncIterator[None]:
    """Fails a test after which the loop had something to complain about."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    yield
    assert not complaints
