"""The target: a file is there whole or not at all, in a folder and in a bucket."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import obstore
import pytest
from obstore.store import LocalStore, MemoryStore, ObjectStore

from mlmsg import IncompleteDownload, RuleError, TimedOut
from mlmsg.sync import TargetError
from mlmsg.sync.target import Target, TargetLike


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return LocalStore(tmp_path) if request.param == "folder" else MemoryStore()


async def block(count: int, size: int = 256 * 1024) -> AsyncGenerator[bytes, None]:
    for number in range(count):
        yield bytes([number % 251]) * size


def content(count: int, size: int = 256 * 1024) -> bytes:
    return b"".join(bytes([number % 251]) * size for number in range(count))


async def held(store: ObjectStore, folder: Path) -> dict[str, int]:
    """Everything that is there, with what a disk holds besides."""
    listed = await obstore.list(store).collect_async()
    found = {one["path"]: one["size"] for one in listed}
    on_disk = {
        str(p.relative_to(folder)): p.stat().st_size for p in folder.rglob("*") if p.is_file()
    }
    return found | on_disk


@pytest.mark.parametrize("count", [1, 3, 4, 5, 23])
async def test_what_is_put_is_there(store: ObjectStore, count: int) -> None:
    target = Target(store)
    await target.put("packs/1/a.bin", block(count))
    assert await target.read("packs/1/a.bin") == content(count)
    assert await target.sizes("packs/1") == {"packs/1/a.bin": count * 256 * 1024}
    assert await target.sizes("packs/2") == {}


FAILURES = [IncompleteDownload("cut"), TimedOut("silent"), ValueError("mine")]


@pytest.mark.parametrize("count", [0, 1, 4, 9])
@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
async def test_a_source_that_fails_leaves_what_was_there(
    store: ObjectStore, tmp_path: Path, count: int, failure: Exception
) -> None:
    async def failing() -> AsyncGenerator[bytes, None]:
        async for chunk in block(count):
            yield chunk
        raise failure

    target = Target(store)
    await target.put("a/old", block(1))
    for key in ("a/old", "a/new"):
        with pytest.raises(type(failure)) as caught:
            await target.put(key, failing())
        assert caught.value is failure
    assert await target.read("a/old") == content(1)
    assert await held(store, tmp_path) == {"a/old": 256 * 1024}


@pytest.mark.parametrize("count", [0, 1, 4, 9])
async def test_a_cancelled_put_leaves_what_was_there_and_closes_its_source(
    store: ObjectStore, tmp_path: Path, count: int
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

    task = asyncio.create_task(Target(store).put("a/new", hanging()))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()
    assert await held(store, tmp_path) == {}


async def test_odd_keys_are_accepted_as_they_are(store: ObjectStore, tmp_path: Path) -> None:
    for key in ("a/%41 b.txt", "a/ñ+=~.txt"):
        await Target(store).write(key, b"x")
    assert set(await held(store, tmp_path)) == {"a/%41 b.txt", "a/ñ+=~.txt"}


async def test_what_is_not_there_is_none(store: ObjectStore) -> None:
    target = Target(store)
    assert await target.read("a/b") is None
    assert await target.sha256("a/b") is None
    await target.delete("a/b")


async def test_the_hash_of_what_is_there(store: ObjectStore) -> None:
    target = Target(store)
    await target.put("a", block(9))
    assert await target.sha256("a") == hashlib.sha256(content(9)).hexdigest()
    await target.delete("a")
    assert await target.read("a") is None


async def test_only_what_a_killed_job_left_is_swept(tmp_path: Path) -> None:
    target = await Target.open(tmp_path)
    folder = tmp_path / "packs" / "1"
    folder.mkdir(parents=True)
    for name in ("a.jpg#1", "a.jpg#23", "a.jpg", "a#b", "#", "b#1.jpg"):
        (folder / name).write_text("x")
    (tmp_path / "packs" / "a.jpg#1").write_text("x")
    await target.sweep("packs/1", "packs/none")
    assert {path.name for path in folder.iterdir()} == {"a.jpg", "a#b", "#", "b#1.jpg"}
    assert (tmp_path / "packs" / "a.jpg#1").exists()


async def test_every_way_to_name_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ways: list[tuple[TargetLike, str]] = [
        (str(tmp_path / "a"), "a"),
        (tmp_path / "b" / "deep", "b/deep"),
        ("relative", "relative"),
        ("C:\\mirror", "C:\\mirror"),
        (f"file://{tmp_path}/with%20space", "with space"),
        (LocalStore(tmp_path / "own", mkdir=True), "own"),
    ]
    for to, folder in ways:
        await (await Target.open(to)).write("k/x", b"x")
        assert (tmp_path / folder / "k" / "x").read_bytes() == b"x"


@pytest.mark.parametrize("own", [False, True])
async def test_a_relative_folder_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, own: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    target = await Target.open(LocalStore("relative", mkdir=True) if own else "relative")
    await target.write("k/x", b"x")
    (tmp_path / "relative/k/x#1").write_text("half")
    monkeypatch.chdir("/")
    await target.sweep("k")
    await target.write("k/y", b"y")
    assert {path.name for path in (tmp_path / "relative/k").iterdir()} == {"x", "y"}


async def test_urls_are_obstores() -> None:
    target = await Target.open("memory://")
    await target.write("a", b"x")
    assert await target.read("a") == b"x"
    await Target.open("s3://bucket/prefix")


@pytest.mark.parametrize("to", ["", "ftp://host/x", "nonsense://", "s3://", b"bytes", 3, None])
async def test_what_can_be_no_target_is_refused(to: TargetLike) -> None:
    with pytest.raises(RuleError, match="`to`"):
        await Target.open(to)


async def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RuleError, match="a file, not a folder"):
        await Target.open(tmp_path / "file")
    for to in (tmp_path / "file" / "below", f"file://{tmp_path}/file"):
        with pytest.raises(TargetError):
            await Target.open(to)


async def test_what_fails_in_the_store_says_where_in_one_line(tmp_path: Path) -> None:
    target = await Target.open(tmp_path)
    (tmp_path / "packs").write_text("in the way")
    with pytest.raises(OSError, match=r"packs/1/a") as caught:
        await target.put("packs/1/a", block(1))
    assert isinstance(caught.value, TargetError)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None


@pytest.fixture(autouse=True)
async def nothing_swallowed() -> AsyncIterator[None]:
    """Fails a test after which the loop had something to complain about."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
    yield
    assert not complaints
