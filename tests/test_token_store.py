"""A grant on disk, and its secrets: the file, its lock, and what no error, log or repr shows."""

import asyncio
import os
import re
import stat
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from calls import PACK_ID
from grants import first_source

from mlmsg import (
    Client,
    FileTokenStore,
    RuleError,
    Token,
    UsageError,
)
from mlmsg.sandbox import Sandbox

KEPT = b'{"access_token": "kept-access", "refresh_token": "kept-refresh"}'
NEW = Token(
    access_token="new-access", refresh_token="new-refresh", expires_at=9.5, expires_in=9, user_id=7
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write a file with a grant."""
    path = tmp_path / "grant.json"
    path.write_bytes(KEPT)
    return path


def names(folder: Path) -> list[str]:
    """Return the names of all files in a folder, hidden ones too, without the lock."""
    return sorted(one.name for one in folder.iterdir() if one.suffix != ".lock")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- the file ------------------------------------------------------------------------------

TOKENS = {
    "all of it": NEW,
    "no end": Token(access_token="a", refresh_token="r"),
    "no access token": Token(access_token="", refresh_token="r"),
    "quotes": Token(access_token='a"\\/', refresh_token="{}'"),
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
async def test_a_saved_token_is_loaded(tmp_path: Path, token: Token) -> None:
    store = FileTokenStore(tmp_path / "grant.json")
    assert await store.load() is None
    for one in (NEW, token):
        await store.save(one)
    assert await FileTokenStore(os.fspath(tmp_path / "grant.json")).load() == token
    assert names(tmp_path) == ["grant.json"]


async def test_a_file_written_by_hand_is_loaded(path: Path) -> None:
    kept = Token(access_token="kept-access", refresh_token="kept-refresh")
    assert await FileTokenStore(path).load() == kept
    path.write_bytes(KEPT.replace(b"{", b'{"note": ["anything"], '))
    assert await FileTokenStore(path).load() == kept


async def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    for path in ("~/grant.json", Path("~/grant.json")):
        await FileTokenStore(path).save(NEW)
        assert await FileTokenStore(tmp_path / "grant.json").load() == NEW


@pytest.mark.parametrize("path", ["", "a\0b", None, 7, b"grant.json", "~no-such-user-here/grant"])
def test_an_invalid_path_is_refused(path: str) -> None:
    with pytest.raises(RuleError, match="path of a token store: found"):
        FileTokenStore(path)


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
async def test_only_the_owner_reads_it(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "grant.json"
    before = os.umask(umask)
    try:
        path.write_bytes(KEPT)
        path.chmod(0o644)
        store = FileTokenStore(path)
        async with store.lock():
            await store.save(NEW)
    finally:
        os.umask(before)
    assert (mode(path), mode(tmp_path / "grant.json.lock")) == (0o600, 0o600)


async def test_a_write_that_fails_leaves_the_old_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        assert len(names(path.parent)) == 2
        assert {mode(one) for one in path.parent.iterdir() if one != path} == {0o600}
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="No space left"):
        await FileTokenStore(path).save(NEW)
    assert path.read_bytes() == KEPT
    assert names(path.parent) == ["grant.json"]


async def test_it_is_on_disk_before_it_has_the_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    rename = Path.replace

    def named(part: Path, target: Path) -> Path:
        done.append("name")
        return rename(part, target)

    monkeypatch.setattr(os, "fsync", lambda _: done.append("sync"))
    monkeypatch.setattr(Path, "replace", named)
    await FileTokenStore(path).save(NEW)
    assert done == ["sync", "name", "sync"]
    assert await FileTokenStore(path).load() == NEW


DYING = """
import asyncio, os, pathlib, sys
from mlmsg import FileTokenStore, Token
pathlib.Path.replace = lambda *_: os._exit(7)
token = Token(access_token="new-access", refresh_token="new-refresh")
asyncio.run(FileTokenStore(sys.argv[1]).save(token))
"""


@pytest.mark.slow
async def test_a_process_that_dies_before_the_rename_leaves_the_old_one(path: Path) -> None:
    process = await started(DYING, path)
    await process.communicate()
    assert process.returncode == 7
    assert path.read_bytes() == KEPT
    await FileTokenStore(path).save(NEW)
    assert await FileTokenStore(path).load() == NEW


async def test_a_concurrent_reader_reads_a_complete_grant(path: Path) -> None:
    store = FileTokenStore(path)
    tokens = [Token(access_token=f"{n}" * 2000, refresh_token=f"{n}") for n in range(1, 9)]
    found: list[Token | None] = []

    async def read() -> None:
        while len(set(found)) < 2 or found[-1] != tokens[-1]:
            found.append(await store.load())

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(read())
        for token in tokens:
            await store.save(token)
    assert set(found) <= {*tokens, Token(access_token="kept-access", refresh_token="kept-refresh")}


BROKEN = [
    pytest.param(b"", id="empty"),
    pytest.param(KEPT[:40], id="cut"),
    pytest.param(b"[" * 100_000, id="nested"),
    pytest.param(b'{"x": ' + b"[" * 100_000, id="nested below a key"),
    pytest.param(b"null", id="null"),
    pytest.param(b'["kept-access"]', id="an array"),
    pytest.param(b"APP_USR-kept-access", id="a bare token"),
    pytest.param(b'{"access_token": "kept-access"}', id="half"),
    pytest.param(KEPT.replace(b'"kept-refresh"', b"5"), id="a number"),
    pytest.param(KEPT.replace(b"}", b', "expires_at": "soon"}'), id="an odd end"),
    pytest.param(KEPT.replace(b"-", b"\xff"), id="not UTF-8"),
]


@pytest.mark.parametrize("content", BROKEN)
async def test_a_file_that_holds_something_else_is_named_but_not_shown(
    path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    with pytest.raises(RuleError, match=re.escape(str(path))) as caught:
        await FileTokenStore(path).load()
    assert "kept" not in f"{caught.value} {caught.value!r} {caught.value.__context__!r}"
    assert path.read_bytes() == content


async def test_a_missing_folder_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await FileTokenStore(tmp_path / "none" / "grant.json").save(NEW)
    with pytest.raises(OSError, match="directory"):
        await FileTokenStore(tmp_path).load()
    assert names(tmp_path) == []


async def test_locking_makes_no_folder(tmp_path: Path) -> None:
    with suppress(OSError):
        async with FileTokenStore(tmp_path / "none" / "grant.json").lock():
            pass
    assert names(tmp_path) == []


# --- the lock ------------------------------------------------------------------------------

HOLDING = """
import asyncio, sys
from mlmsg import FileTokenStore

async def main():
    async with FileTokenStore(sys.argv[1]).lock():
        print("held", flush=True)
        sys.stdin.readline()

asyncio.run(main())
"""


async def started(program: str, path: Path) -> asyncio.subprocess.Process:
    """Another process that runs it on that file."""
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-W", "error", "-c", program, str(path)]
    return await asyncio.create_subprocess_exec(*command, cwd=path.parent, stdin=pipe, stdout=pipe)


async def entered(path: Path) -> None:
    async with FileTokenStore(path).lock():
        pass


async def is_waiting(task: asyncio.Task[None]) -> bool:
    return await asyncio.wait({task}, timeout=0.1) == (set(), {task})


async def test_the_first_lock_of_a_process_blocks_no_event_loop(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "filelock"]:
        monkeypatch.delitem(sys.modules, name)
    async with FileTokenStore(path).lock():
        pass


@pytest.mark.usefixtures("filelock_imported")
async def test_the_lock_keeps_other_stores_of_the_path_out(path: Path) -> None:
    async with FileTokenStore(path).lock():
        second = asyncio.create_task(entered(path))
        third = asyncio.create_task(entered(path))
        await entered(path.with_name("another.json"))
        assert await is_waiting(second)
        third.cancel()
        with pytest.raises(asyncio.CancelledError):
            await third
    await second
    await entered(path)


@pytest.mark.slow
@pytest.mark.usefixtures("filelock_imported")
@pytest.mark.parametrize("killed", [False, True])
async def test_the_lock_keeps_other_processes_out_as_long_as_they_live(
    path: Path, killed: bool
) -> None:
    process = await started(HOLDING, path)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"held\n"
    waiting = asyncio.create_task(entered(path))
    assert await is_waiting(waiting)
    if killed:
        process.kill()
    await process.communicate(None if killed else b"\n")
    await waiting


@pytest.mark.usefixtures("filelock_imported")
async def test_a_lock_that_is_never_released_ends_in_a_timeout(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlmsg.token_store.LOCK_TIMEOUT", 0.01)
    async with FileTokenStore(path).lock():
        waiting = asyncio.create_task(entered(path))
        with pytest.raises(TimeoutError):
            await waiting


@pytest.mark.usefixtures("filelock_imported")
async def test_an_error_releases_the_lock(path: Path) -> None:
    with pytest.raises(ValueError, match="mine"):
        async with FileTokenStore(path).lock():
            raise ValueError("mine")
    await entered(path)


def test_without_the_library_it_says_what_to_install(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "filelock", None)
    with pytest.raises(UsageError, match=re.escape("pip install 'mlmsg[tokens]'")):
        FileTokenStore(path)


# --- secrets -------------------------------------------------------------------------------


async def test_a_file_that_is_reached_by_a_link_is_the_same_file(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for way in ("real", "link", "real"):
        store = FileTokenStore(tmp_path / way / "grant.json")
        sandbox.expire()
        async with Client(first_source(store=store), base_url=sandbox.url) as client:
            await client.packs.page(PACK_ID)
    assert sandbox.grant.refreshes == 3
    names = sorted(path.name for path in (tmp_path / "real").iterdir())
    assert names == ["grant.json", "grant.json.lock"]
