"""Every operation, cancelled at every point at which it waits.

    python benchmarks/cancellation.py [PART OF AN OPERATION'S NAME]

Each operation is a task against a sandbox, with a client of one connection. A watched coroutine
counts how often that task, and every task it starts, is suspended; at the k-th time the call is
cancelled, for k from 0 (before it began) to its last one. That is done in three ways: as the wait
begins; as it ends, when what was waited for is there but not yet taken; and again at each wait of
the cleaning up. A run that ends before its k-th wait, as threads are not even, is counted apart.

After each run: only the cancellation comes out; no task of the call is left (a refresh of the token
goes on until the next call has it); every file that was opened is closed, the caller's own is
still open, a target is whole or not there; two more calls and two downloads work and need one
connection each, so no slot was lost or made up; nothing was sent twice; no refresh token was lost
or used twice; and in the end all descriptors are back.

Then a hundred calls wait for one refresh, and the call that began it is cancelled.
"""

import asyncio
import gc
import logging
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
)  # fmt: skip
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, suppress
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import IO, Literal, TypeVar, get_args

from mlmsg import Client, FileTokenStore, OutcomeUnknown, RateBudget, RefreshingToken, RetryPolicy
from mlmsg.downloads import Download
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.token_store import Token
from mlmsg.uploads import SourceLike

T = TypeVar("T")
Way = Literal["as it begins", "as it ends", "again and again"]

PACK, CLAIM, SELLER, SITE = "2000007001000011", "5204000011", "700100200", "MLM"
REFRESH = "/oauth/token"
BLOCK = 256 * 1024
DATA = b"\x89PNG\r\n\x1a\n" + bytes(5 * BLOCK)
"""A PNG by its first bytes, and more than the client reads at a time."""

LIMIT = 5.0
"""Seconds for what has to come about; a slot that is lost never does."""

MANY = 5
"""Waits from which on a quick look does not do everything."""

ENOUGH = 10
"""Violations after which an operation is cancelled no more: each may take all of `LIMIT`."""

# --- a call, watched -------------------------------------------------------------------------


class Watch:
    """The waits of one call and of every task that it starts; cancels the call at one of them."""

    def __init__(self, at: int | None = None, way: Way = "as it begins") -> None:
        self.at = at
        self.way = way
        self.waits = self.cancelled = 0
        self.tasks: list[asyncio.Task[object]] = []

    async def run(self, call: Coroutine[object, object, object]) -> object:
        """What became of the call: its result, or what it raised."""
        asyncio.get_running_loop().set_task_factory(_make_task)
        mark = WATCH.set(self)
        root = asyncio.create_task(call)
        WATCH.reset(mark)
        if self.at == 0:
            self._cancel()
        return (await asyncio.gather(root, return_exceptions=True))[0]

    def waiting(self, awaited: object) -> None:
        """A task of the call begins to wait."""
        self.waits += 1
        if self.cancelled:
            if self.way == "again and again" and asyncio.current_task() is self.tasks[0]:
                self._cancel()
        elif self.waits == self.at:
            if self.way != "as it ends":
                self._cancel()
            elif isinstance(awaited, asyncio.Future):
                awaited.add_done_callback(lambda _: self._cancel())
            else:
                asyncio.get_running_loop().call_soon(self._cancel)

    def is_over(self) -> bool:
        """Whether all tasks are done."""
        return all(task.done() for task in self.tasks)

    def _cancel(self) -> None:
        if self.cancelled < 6:
            self.cancelled += self.tasks[0].cancel()


WATCH: ContextVar[Watch | None] = ContextVar("watch", default=None)


class Watched(Coroutine[object, object, T]):
    """A coroutine that tells its watch of each wait."""

    def __init__(self, inner: Coroutine[object, object, T], watch: Watch) -> None:
        self._inner = inner
        self._watch = watch

    def send(self, value: object, /) -> object:
        """Goes on to the next wait."""
        awaited = self._inner.send(value)
        self._watch.waiting(awaited)
        return awaited

    def throw(self, error: type[BaseException] | BaseException, *_: object) -> object:
        """Goes on to the next wait, with an error."""
        awaited = self._inner.throw(error if isinstance(error, BaseException) else error())
        self._watch.waiting(awaited)
        return awaited

    def close(self) -> None:
        """Ends it."""
        self._inner.close()

    def __await__(self) -> Generator[object, None, T]:
        return self._inner.__await__()


def _make_task(
    loop: asyncio.AbstractEventLoop,
    call: Coroutine[object, object, T] | Generator[object, None, T],
    context: Context | None = None,
    **_: object,
) -> asyncio.Task[T]:
    assert isinstance(call, Coroutine)
    watch = WATCH.get()
    if watch is None:
        return asyncio.Task(call, loop=loop, context=context)
    task = asyncio.Task(Watched(call, watch), loop=loop, context=context)
    watch.tasks.append(task)
    return task


# --- the operations --------------------------------------------------------------------------


@dataclass
class Scene:
    """One run: a sandbox, a client of one connection, and things of the caller's."""

    sandbox: Sandbox
    source: Path  # holds `DATA`
    folder: Path  # empty
    client: Client = field(init=False)
    own: list[IO[bytes]] = field(default_factory=list)  # files that have to stay open
    sources: list[object] = field(default_factory=list)  # held, so that nobody else closes them
    begun: int = 0  # of these, how many were begun and not closed
    others: list[asyncio.Future[object]] = field(default_factory=list)  # calls beside this one
    lost: OutcomeUnknown | None = None
    found: object = None

    def make_client(
        self, token: str | RefreshingToken = "", budget: RateBudget | None = None
    ) -> Client:
        """A client of one connection that tries again at once."""
        retry, url = RetryPolicy(base=0), self.sandbox.url
        token = token or self.sandbox.token
        return Client(token, base_url=url, retry=retry, budget=budget, max_connections=1)

    def refreshing(self, *, known: bool = False, stored: bool = False) -> Client:
        """The same with a grant, whose access token is known or not."""
        grant, store = self.sandbox.grant, FileTokenStore(self.folder / "grant.json")
        secrets = (grant.client_id, grant.client_secret, grant.refresh_token)
        access_token = self.sandbox.token if known else None
        return self.make_client(RefreshingToken(*secrets, access_token, store if stored else None))

    def open(self) -> IO[bytes]:
        """A file of the caller's."""
        self.own.append(self.source.open("rb"))
        return self.own[-1]

    def pieces(self) -> Generator[bytes, None, None]:
        """A source that can be read once."""
        self.sources.append(source := self._pieces())
        return source

    def pieces_by_await(self) -> AsyncGenerator[bytes, None]:
        """The same for `async for`."""
        self.sources.append(source := self._pieces_by_await())
        return source

    def _pieces(self) -> Generator[bytes, None, None]:
        self.begun += 1
        try:
            yield from (DATA[start : start + BLOCK] for start in range(0, len(DATA), BLOCK))
        finally:
            self.begun -= 1

    async def _pieces_by_await(self) -> AsyncGenerator[bytes, None]:
        with closing(self._pieces()) as pieces:
            for piece in pieces:
                await asyncio.sleep(0)
                yield piece


Step = Callable[[Scene], Awaitable[object]]


def _page(scene: Scene) -> Awaitable[object]:
    return scene.client.packs.page(PACK)


def _send(scene: Scene) -> Awaitable[object]:
    return scene.client.packs.send(PACK, "Hola")


def _upload(scene: Scene, source: SourceLike, length: int | None = None) -> Awaitable[object]:
    return scene.client.attachments.upload(source, site_id=SITE, length=length)


async def _each(messages: AsyncIterable[object]) -> None:
    async for _ in messages:
        pass


def _opened(scene: Scene, data: bytes = DATA) -> AbstractAsyncContextManager[Download]:
    stored = scene.sandbox.market.add_file(data, "a.png", "image/png")
    return scene.client.attachments.open(stored.id, SITE)


async def _read(scene: Scene, data: bytes = DATA) -> None:
    async with _opened(scene, data) as download:
        await download.read()


async def _copy(scene: Scene) -> None:
    async with _opened(scene) as download:
        await _upload(scene, download)


def _download(scene: Scene) -> Awaitable[object]:
    stored = scene.sandbox.market.add_file(DATA, "a.png", "image/png")
    return scene.client.attachments.download(stored.id, f"{scene.folder}/to/", site_id=SITE)


def _claim_download(scene: Scene) -> Awaitable[object]:
    stored = scene.sandbox.market.add_claim_file(CLAIM, DATA, "a.png", "image/png")
    return scene.client.claims.download(CLAIM, stored.file_name, f"{scene.folder}/to/")


def _claim_send(scene: Scene) -> Awaitable[object]:
    role, files = "complainant", [scene.source]
    return scene.client.claims.send(CLAIM, "Hola", receiver_role=role, files=files, check=True)


async def _reconcile(scene: Scene) -> None:
    assert scene.lost is not None
    scene.found = scene.found or await scene.lost.reconcile()
    assert scene.found, "the lost message is not found"


async def _nothing(_: Scene) -> None:
    pass


async def _beside_another(scene: Scene, call: Step) -> None:
    scene.sandbox.inject(Fault(action="pass", delay=0.02))
    scene.others.append(asyncio.ensure_future(_called(call, scene)))
    await scene.sandbox.received(1)


async def _called(call: Step, scene: Scene) -> object:
    return await call(scene)


async def _refused_once(scene: Scene, status: int) -> None:
    scene.sandbox.inject(Fault(status=status, headers={"Retry-After": "0.02"}))


async def _token_ended(scene: Scene) -> None:
    scene.sandbox.expire()


async def _answer_lost(scene: Scene) -> None:
    scene.sandbox.inject(Fault(action="lose"))
    try:
        await _send(scene)
    except OutcomeUnknown as error:
        scene.lost = error


async def _more(scene: Scene) -> None:
    small = DATA[:BLOCK]
    reads = (_read(scene, small), _read(scene, small))
    await asyncio.gather(_page(scene), _page(scene), *reads, *scene.others)


async def _more_and_found(scene: Scene) -> None:
    await _more(scene)
    await _reconcile(scene)


def _aclose(scene: Scene) -> Awaitable[None]:
    return scene.client.aclose()


async def _aclose_again(scene: Scene) -> None:
    await _aclose(scene)
    await asyncio.gather(*scene.others, return_exceptions=True)


@dataclass(frozen=True)
class Operation:
    """A call to be cancelled, what comes before it, and what has to work after it."""

    name: str
    call: Step
    before: Step = _nothing
    client: Callable[[Scene], Client] = Scene.make_client
    after: Step = _more
    lasting: bool = False  # whether a task of it may go on until that has worked


OPERATIONS = (
    Operation("packs.page", _page),
    Operation("packs.messages", lambda s: _each(s.client.packs.messages(PACK, page_size=5))),
    Operation("packs.conversation", lambda s: s.client.packs.conversation(PACK, page_size=5)),
    Operation("packs.send", _send),
    Operation(
        "packs.send, two files",
        lambda s: s.client.packs.send(PACK, "Hola", files=[s.source, b"%PDF-"], site_id=SITE),
    ),
    Operation("attachments.upload, bytes", lambda s: _upload(s, DATA)),
    Operation("attachments.upload, path", lambda s: _upload(s, s.source)),
    Operation("attachments.upload, open file", lambda s: _upload(s, s.open())),
    Operation(
        "attachments.upload, async generator",
        lambda s: _upload(s, s.pieces_by_await(), len(DATA)),
    ),
    Operation("attachments.upload, same, spooled", lambda s: _upload(s, s.pieces_by_await())),
    Operation("attachments.upload, iterator, spooled", lambda s: _upload(s, s.pieces())),
    Operation("attachments.open, read", _read),
    Operation("attachments.download", _download),
    Operation("attachment copied into an upload", _copy),
    Operation("unread.list", lambda s: s.client.unread.list()),
    Operation("unread.messages", lambda s: _each(s.client.unread.messages(PACK, SELLER))),
    Operation("claims.messages", lambda s: s.client.claims.messages(CLAIM)),
    Operation("claims.get", lambda s: s.client.claims.get(CLAIM)),
    Operation("claims.send, checked, one file", _claim_send),
    Operation("claims.upload", lambda s: s.client.claims.upload(CLAIM, s.source)),
    Operation("claims.download", _claim_download),
    Operation(
        "wait for the rate budget",
        _page,
        _page,
        lambda s: s.make_client(budget=RateBudget(reads=10, per=0.1, burst=1)),
    ),
    Operation("wait for a connection", _page, partial(_beside_another, call=_page)),
    Operation("wait for a download's slot", _read, partial(_beside_another, call=_read)),
    Operation("wait for a retry (503)", _page, partial(_refused_once, status=503)),
    Operation("wait for a retry of a send (429)", _send, partial(_refused_once, status=429)),
    Operation("wait for a refresh", _page, client=Scene.refreshing, lasting=True),
    Operation(
        "wait for a refresh, FileTokenStore",
        _page,
        client=lambda s: s.refreshing(stored=True),
        lasting=True,
    ),
    Operation(
        "wait for a refresh, after a 401",
        _page,
        _token_ended,
        lambda s: s.refreshing(known=True),
        lasting=True,
    ),
    Operation(
        "wait for another call's refresh",
        _page,
        partial(_beside_another, call=_page),
        Scene.refreshing,
        lasting=True,
    ),
    Operation("reconcile()", _reconcile, _answer_lost, after=_more_and_found),
    Operation(
        "aclose() during a refresh",
        _aclose,
        partial(_beside_another, call=_page),
        Scene.refreshing,
        _aclose_again,
        lasting=True,
    ),
)

# --- one run, and all of them ----------------------------------------------------------------

COLUMNS = (
    "await points", "cancelled", "finished first", "next call works",
    "tasks left", "files left", "descriptors left",
)  # fmt: skip


@dataclass
class Row:
    """What was seen over all runs of one operation: the `COLUMNS`, and all that is wrong."""

    name: str
    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line of the table."""
        numbers = (f"{self.seen[name]:>{len(name)}}" for name in COLUMNS)
        return " | ".join([f"{self.name:<37}", *numbers])


async def trial(operation: Operation, folder: Path, watch: Watch, row: Row) -> None:
    """Runs the operation once, cancelled where the watch says, and looks at what it left."""
    wrong: list[str] = []
    async with Sandbox() as sandbox:
        before = descriptors()
        scene = Scene(sandbox, folder / "source.png", folder / "run")
        scene.folder.mkdir()
        async with operation.client(scene) as scene.client:
            await operation.before(scene)
            wrong += _ending(await watch.run(_called(operation.call, scene)), watch, row)
            if not operation.lasting:
                wrong += await _left(scene, before, watch, row)
            wrong += await _next(operation, scene, row)
            await comes_true(watch.is_over)
            wrong += await _left(scene, before, watch, row)
            if not await comes_true(lambda: len(_new(before, "socket:")) <= 4):
                wrong.append("more connections than one, and one for downloads")
        wrong += _in_the_end(scene)
        await comes_true(lambda: not _new(before))
        row.seen["descriptors left"] += len(_new(before))
        wrong += _new(before)
    shutil.rmtree(scene.folder)
    row.wrong += [f"{row.name}, wait {watch.at}, {watch.way}: {one}" for one in wrong]


def _ending(ended: object, watch: Watch, row: Row) -> list[str]:
    row.seen["cancelled" if watch.cancelled else "finished first"] += 1
    if isinstance(ended, asyncio.CancelledError if watch.cancelled else BaseException):
        return [] if watch.cancelled else [f"it failed: {ended!r}"]
    return [f"cancelled {watch.cancelled} times, it ended as {ended!r}"] * bool(watch.cancelled)


async def _left(scene: Scene, before: Counter[str], watch: Watch, row: Row) -> list[str]:
    """Files that are open, or on disk and not whole; sources not closed; tasks that do not end."""
    own = {str(file.name) for file in scene.own}
    files = [name for name in _new(before, "/") if name not in own]
    targets = {*scene.folder.rglob("*.part"), *scene.folder.glob("to/*")}
    files += [str(path) for path in targets if path.read_bytes() != DATA]
    files += ["a source that was begun"] * scene.begun
    await comes_true(watch.is_over)
    tasks = [repr(task) for task in watch.tasks if not task.done()]
    row.seen["files left"] += len(files)
    row.seen["tasks left"] += len(tasks)
    return [f"left: {one}" for one in files + tasks]


async def _next(operation: Operation, scene: Scene, row: Row) -> list[str]:
    async def calls() -> None:
        async with asyncio.timeout(LIMIT):
            await operation.after(scene)

    (ended,) = await asyncio.gather(calls(), return_exceptions=True)
    row.seen["next call works"] += ended is None
    return [] if ended is None else [f"the next call: {ended!r}"]


def _in_the_end(scene: Scene) -> list[str]:
    """What is wrong with what the server met, and with what is the caller's."""
    market, grant = scene.sandbox.market, scene.sandbox.grant
    kept = scene.folder / "grant.json"
    asked = [one for one in scene.sandbox.requests if one.path == REFRESH]
    wrong = {
        "sent twice": [one.text for one in market.packs[PACK].messages].count("Hola") > 1,
        "told twice": [one.message for one in market.claims[CLAIM].messages].count("Hola") > 1,
        "refreshed twice": grant.refreshes > 1,
        "a refresh token was used twice": len(asked) > grant.refreshes,
        "a grant was lost": kept.exists() and grant.refresh_token not in kept.read_text(),
        "a file of the caller's is of no use": any(
            file.closed or file.seek(0) for file in scene.own
        ),
    }
    for file in scene.own:
        file.close()
    return [name for name, is_so in wrong.items() if is_so]


def descriptors() -> Counter[str]:
    """What this process has open."""
    found: Counter[str] = Counter()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            found[str(link.readlink())] += 1
    return found


def _new(before: Counter[str], start: str = "") -> list[str]:
    return [name for name in (descriptors() - before).elements() if name.startswith(start)]


async def comes_true(holds: Callable[[], bool]) -> bool:
    """Whether it holds after some turns of the loop."""
    end = time.monotonic() + LIMIT
    while not holds():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0)
    return True


async def sweep(operation: Operation, *, quick: bool = False) -> Row:
    """Cancels the operation at each of its waits, in each way.

    With `quick`, where there are many waits, the ways take turns.
    """
    row, ways = Row(operation.name), get_args(Way)
    complain = asyncio.get_running_loop().set_exception_handler
    complain(lambda _loop, context: row.wrong.append(str(context)))
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        folder = Path(name)
        (folder / "source.png").write_bytes(DATA)
        counts = [Watch() for _ in range(3)]
        for watch in counts:
            await trial(operation, folder, watch, Row("not cancelled", wrong=row.wrong))
        row.seen["await points"] = last = max(watch.waits for watch in counts)
        for at, way in product(range(last + 1), ways):
            turn = ways[at % len(ways)] == way or last < MANY or not quick
            if turn and len(row.wrong) < ENOUGH:
                await trial(operation, folder, Watch(at, way), row)
        gc.collect()
    row.wrong += [str(warning.message) for warning in caught]
    return row


# --- a hundred calls that wait for one refresh -----------------------------------------------

CALLER: ContextVar[int] = ContextVar("caller")


class Store:
    """A token store that notes which call began the refresh: that is a task in its context."""

    def __init__(self, token: Token) -> None:
        self.token = token
        self.leader = -1

    async def load(self) -> Token:
        """What was saved last."""
        return self.token

    async def save(self, token: Token) -> None:
        """Keeps it."""
        self.token = token

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        """Nobody else is here."""
        self.leader = CALLER.get()
        yield


EXPECTED: dict[str, int | bool] = {
    "calls": 100,
    "refreshes": 1,
    "requests for a token": 1,
    "successes": 99,
    "failures": 1,
    "of these the cancelled one": 1,
    "the store holds the newest token": True,
}


async def crowd(*, refused: bool) -> dict[str, int | bool]:
    """What came of a hundred calls, after the one that began their refresh was cancelled.

    The access token had ended before, or, if `refused`, meets its end with a 401.
    """
    async with Sandbox() as sandbox:
        grant, ended = sandbox.grant, None if refused else 0.0
        sandbox.expire()
        sandbox.inject(Fault(action="pass", delay=0.2, path=REFRESH))
        store = Store(
            Token(access_token=sandbox.token, refresh_token=grant.refresh_token, expires_at=ended)
        )
        secrets = (grant.client_id, grant.client_secret, grant.refresh_token)
        source = RefreshingToken(*secrets, store=store)
        async with Client(source, base_url=sandbox.url, budget=None) as client:
            calls = [asyncio.create_task(_numbered(client, number)) for number in range(100)]
            while all(one.path != REFRESH for one in sandbox.requests):
                await sandbox.received(len(sandbox.requests) + 1)
            calls[store.leader].cancel()
            await asyncio.wait(calls)
    good = [call for call in calls if not call.cancelled() and call.exception() is None]
    return {
        "calls": len(calls),
        "refreshes": grant.refreshes,
        "requests for a token": sum(one.path == REFRESH for one in sandbox.requests),
        "successes": len(good),
        "failures": len(calls) - len(good),
        "of these the cancelled one": int(calls[store.leader].cancelled()),
        "the store holds the newest token": store.token.access_token == grant.access_token
        and store.token.refresh_token == grant.refresh_token,
    }


async def _numbered(client: Client, number: int) -> object:
    CALLER.set(number)
    return await client.packs.page(PACK)


async def main() -> int:
    """Prints the table and what is wrong; 1 if anything is."""
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # it tells of clients that left
    print(" | ".join([f"{'operation':<37}", *COLUMNS]))
    total = Row("total")
    for operation in OPERATIONS:
        if sys.argv[1:] and sys.argv[1] not in operation.name:
            continue
        row = await sweep(operation)
        print(row, flush=True)
        total.seen.update(row.seen)
        total.wrong += row.wrong
    print(total)
    for refused in (False, True):
        found = await crowd(refused=refused)
        print("\nA token that meets a 401:" if refused else "\nA token that has ended:", end=" ")
        print(", ".join(f"{name}: {value}" for name, value in found.items()))
        total.wrong += [f"{found} is not {EXPECTED}"] * (found != EXPECTED)
    print(f"\n{len(total.wrong)} violations", *total.wrong[:100], sep="\n")
    return 1 if total.wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
