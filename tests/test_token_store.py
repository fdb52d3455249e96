"""A grant on disk, and its secrets: the file, its lock, and what no error, log or repr shows."""

import asyncio
import importlib
import os
import pickle
import re
import stat
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from calls import AT_ONCE, read_page
from grants import EXPIRED, TOKEN_PATH, MemoryStore, Ready, client_of, first_source, source_of
from rich.console import Console
from rich.traceback import Traceback

import mlmsg
from mlmsg import (
    AttemptEvent,
    Client,
    FileTokenStore,
    RefreshingToken,
    RuleError,
    Timeouts,
    Token,
    UsageError,
)
from mlmsg.auth import TokenLike
from mlmsg.sandbox import Fault, Sandbox

KEPT = b'{"access_token": "kept-access", "refresh_token": "kept-refresh"}'
NEW = Token(
    access_token="new-access", refresh_token="new-refresh", expires_at=9.5, expires_in=9, user_id=7
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that holds a grant."""
    path = tmp_path / "grant.json"
    path.write_bytes(KEPT)
    return path


def names(folder: Path) -> list[str]:
    """Everything in a folder, hidden files too, but for the lock."""
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
async def test_what_was_saved_is_loaded(tmp_path: Path, token: Token) -> None:
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


async def test_who_reads_meanwhile_reads_a_whole_one(path: Path) -> None:
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


async def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
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


@pytest.fixture
def imported() -> None:
    """What the first lock of a process imports."""
    importlib.import_module("filelock.asyncio")


@pytest.mark.usefixtures("imported")
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
@pytest.mark.usefixtures("imported")
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


@pytest.mark.usefixtures("imported")
async def test_a_lock_that_nobody_gives_back_is_not_waited_for_without_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlmsg.token_store.LOCK_TIMEOUT", 0.01)
    async with FileTokenStore(path).lock():
        waiting = asyncio.create_task(entered(path))
        with pytest.raises(TimeoutError):
            await waiting


@pytest.mark.usefixtures("imported")
async def test_an_error_gives_the_lock_back(path: Path) -> None:
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

OURS = os.fspath(Path(mlmsg.__file__).parent)
SECRET = re.compile("sandbox.(secret|refresh|token)|kept-")


def told(error: BaseException) -> str:
    """All that could be shown of it: its texts, and the variables of our frames."""
    left, seen = [error], list[BaseException]()
    while left:
        one = left.pop()
        if not any(one is known for known in seen):
            seen.append(one)
            left += [other for other in (one.__cause__, one.__context__) if other is not None]
    walked = [traceback.walk_tb(one.__traceback__) for one in seen]
    frames = [traceback.StackSummary.extract(walk, capture_locals=True) for walk in walked]
    ours = [one.locals for stack in frames for one in stack if one.filename.startswith(OURS)]
    assert ours
    return "\n".join([f"{one} {one!r} {vars(one)}" for one in seen] + [str(one) for one in ours])


async def failed(client: Client) -> Exception:
    (error,) = await asyncio.gather(read_page(client), return_exceptions=True)
    assert isinstance(error, Exception)
    return error


ECHO = "sandbox-secret sandbox-refresh-0001"
ODD = {"access_token": "sandbox-token 0002", "refresh_token": "sandbox-refresh-0002"}
CUT = '{"access_token": "sandbox-token-0002", "refr'

FAULTS = {
    "an echo": Fault(status=400, body={"error": "invalid_client", "cause": [ECHO]}),
    "an echo in HTML": Fault(body=f"<p>{ECHO}</p>"),
    "an echo in a header": Fault(status=403, headers={"X-Echo": ECHO}),
    "an echo four times": Fault(status=429, body=ECHO, times=4),
    "a token that is cut": Fault(status=200, body=CUT),
    "another shape": Fault(status=200, body={"access_token": ["sandbox-token-0002"]}),
    "no token": Fault(status=200, body=ODD),
    "no answer": Fault(action="drop"),
    "the answer is lost": Fault(action="lose"),
    "the answer is cut": Fault(action="cut"),
    "not in time": Fault(action="drop", delay=60),
    "a dead grant": Fault(status=400, body={"error": "invalid_grant", "message": ECHO}),
    "a second 401": Fault(status=401, times=2),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_refresh_that_fails_shows_no_secret(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(1)
    events: list[AttemptEvent] = []
    place = "/packs" if name == "a second 401" else TOKEN_PATH
    sandbox.inject(replace(FAULTS[name], path=place))
    timeout = Timeouts(read=0.05 if FAULTS[name].delay else 5.0)
    source = source_of(sandbox, EXPIRED, MemoryStore())
    async with Client(
        source, base_url=sandbox.url, retry=AT_ONCE, timeout=timeout, on_event=events.append
    ) as client:
        error = await failed(client)
    assert len(events) > 1
    shown = f"{told(error)} {caplog.text} {events} {source!r} {client!r} {pickle.dumps(error)!r}"
    assert SECRET.search(shown) is None


async def test_an_echo_of_the_form_shows_no_secret(sandbox: Sandbox) -> None:
    sandbox.inject(Fault(path=TOKEN_PATH, status=400, body="secret=sandbox-secret%2B%2F"))
    source = RefreshingToken(1, "sandbox-secret+/", "sandbox-refresh-0001")
    async with client_of(sandbox.url, source) as client:
        error = await failed(client)
    assert SECRET.search(told(error)) is None


OTHERS = [
    pytest.param(lambda _: EXPIRED, id="a text"),
    pytest.param(lambda _: Ready(EXPIRED).token, id="a function"),
    pytest.param(lambda _: Ready(EXPIRED), id="a source"),
    pytest.param(lambda path: first_source(store=FileTokenStore(path.parent)), id="a folder"),
    pytest.param(lambda path: first_source(store=FileTokenStore(path)), id="a cut file"),
    pytest.param(lambda _: first_source("sandbox-refresh-dead"), id="a dead grant"),
]


@pytest.mark.parametrize("make", OTHERS)
@pytest.mark.usefixtures("imported")
async def test_a_call_that_fails_shows_no_secret(
    sandbox: Sandbox,
    path: Path,
    caplog: pytest.LogCaptureFixture,
    make: Callable[[Path], TokenLike],
) -> None:
    caplog.set_level(1)
    path.write_bytes(KEPT[:-1])
    async with client_of(sandbox.url, make(path)) as client:
        error = await failed(client)
    assert SECRET.search(f"{told(error)} {caplog.text}") is None


@pytest.mark.parametrize("bad", range(3))
def test_what_is_refused_at_once_shows_no_secret(bad: int) -> None:
    first_source = ["sandbox-secret", "sandbox-refresh", "sandbox-token"]
    first_source[bad] += " "
    with pytest.raises(RuleError) as caught:
        RefreshingToken(1, first_source[0], first_source[1], first_source[2])
    assert SECRET.search(told(caught.value)) is None


@pytest.mark.parametrize("body", [CUT, ODD])
async def test_a_traceback_of_rich_shows_no_secret(sandbox: Sandbox, body: object) -> None:
    """As command lines show them, with `show_locals=True`, and more than 80 characters cut."""
    sandbox.inject(Fault(path=TOKEN_PATH, status=200, body=body))
    sandbox.expire("sandbox-token" * 9)
    source = RefreshingToken(1, "sandbox-secret" * 9, "sandbox-refresh" * 9, "sandbox-token" * 9)
    async with client_of(sandbox.url, source) as client:
        error = await failed(client)
    file, trace = StringIO(), error.__traceback__
    told = Traceback.from_exception(type(error), error, trace, show_locals=True, width=250)
    Console(file=file, width=250).print(told)
    assert SECRET.search(file.getvalue()) is None


def test_a_token_shows_itself_to_nobody() -> None:
    kept = Token(access_token="kept-access", refresh_token="kept-refresh", user_id=7)
    for one in (kept, msgspec.structs.replace(kept), pickle.loads(pickle.dumps(kept))):  # noqa: S301
        assert one == kept
        assert f"{one} {one!r}" == "<Token of user 7> <Token of user 7>"
        assert msgspec.json.decode(msgspec.json.encode(one), type=Token) == one  # for any store
