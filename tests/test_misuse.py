"""Wrong use of a client's results: an error that shows the right one, never Python's own words."""

import asyncio
import inspect
import pickle
import re
import subprocess
import sys
import traceback
import unittest.mock
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, aclosing
from types import SimpleNamespace

import anyio
import pytest

from mlmsg import Client, UsageError
from mlmsg.paging import walk
from mlmsg.sandbox import Sandbox
from mlmsg.sync import sync_attachments
from mlmsg.tables import rows

PACK, CLAIM, FILE = "2000007001000011", "5204000011", "a.png"

GROUPS = sorted(
    name
    for name, group in vars(Client("a-token")).items()
    if not name.startswith("_") and type(group).__module__.startswith("mlmsg.client")
)

CALLS: dict[str, Callable[[Client], object]] = {
    "client.packs.page(...)": lambda client: client.packs.page(PACK),
    "client.packs.conversation(...)": lambda client: client.packs.conversation(PACK),
    "client.packs.send(...)": lambda client: client.packs.send(PACK, "Hola"),
    "client.messages.get(...)": lambda client: client.messages.get("a"),
    "client.attachments.upload(...)": lambda client: client.attachments.upload(b"", site_id="MLM"),
    "client.unread.list(...)": lambda client: client.unread.list(),
    "client.claims.messages(...)": lambda client: client.claims.messages(CLAIM),
    "client.claims.get(...)": lambda client: client.claims.get(CLAIM),
    "client.reasons.list(...)": lambda client: client.reasons.list(PACK),
    "client.account.sellers(...)": lambda client: client.account.sellers(),
}
ITERATORS: dict[str, Callable[[Client], object]] = {
    "client.packs.messages(...)": lambda client: client.packs.messages(PACK),
    "client.unread.messages(...)": lambda client: client.unread.messages(PACK, 1),
    "client.unread.drain(...)": lambda client: client.unread.drain(),
}
BLOCKS: dict[str, Callable[[Client], object]] = {
    "client.attachments.open(...)": lambda client: client.attachments.open(FILE, site_id="MLM"),
    "client.claims.open(...)": lambda client: client.claims.open(CLAIM, FILE),
}


async def awaited(result: object) -> None:
    await result  # type: ignore[misc]


async def iterated(result: object) -> None:
    for _ in result:  # type: ignore[attr-defined]
        pass


async def iterated_asynchronously(result: object) -> None:
    async for _ in result:  # type: ignore[attr-defined]
        pass


async def entered(result: object) -> None:
    with result:  # type: ignore[attr-defined]
        pass


async def entered_asynchronously(result: object) -> None:
    async with result:  # type: ignore[attr-defined]
        pass


async def subscripted(result: object) -> None:
    result[0]  # type: ignore[index]


async def attribute_read(result: object) -> None:
    result.messages  # type: ignore[attr-defined]  # noqa: B018


async def counted(result: object) -> None:
    len(result)  # type: ignore[arg-type]


async def turned_into_rows(result: object) -> None:
    rows(result)


async def turned_into_a_list(result: object) -> None:
    list(result)  # type: ignore[call-overload]


Use = Callable[[object], Coroutine[object, object, None]]

WRONG: list[tuple[dict[str, Callable[[Client], object]], str, list[Use]]] = [
    (
        CALLS,
        r"{0} returns one value; write `await {0}`",
        [
            iterated,
            iterated_asynchronously,
            entered,
            entered_asynchronously,
            subscripted,
            counted,
            turned_into_a_list,
            turned_into_rows,
        ],
    ),
    (
        ITERATORS,
        r"{0} is an asynchronous iterator; write `async for item in {0}`",
        [
            awaited,
            iterated,
            entered,
            entered_asynchronously,
            subscripted,
            counted,
            attribute_read,
            turned_into_a_list,
            turned_into_rows,
        ],
    ),
    (
        BLOCKS,
        r"{0} needs a block; write `async with {0} as download:`",
        [awaited, iterated, iterated_asynchronously, entered, attribute_read, turned_into_a_list],
    ),
]

CASES = [
    pytest.param(call, name, words.format(name), use, id=f"{name} {use.__name__}")
    for calls, words, uses in WRONG
    for name, call in calls.items()
    for use in uses
]


@pytest.mark.parametrize(("call", "name", "words", "use"), CASES)
async def test_wrong_use_is_explained(
    call: Callable[[Client], object], name: str, words: str, use: Use, client: Client
) -> None:
    """Warnings are errors in the tests: nothing says "was never awaited" as well."""
    with pytest.raises(UsageError) as caught:
        await use(call(client))
    assert str(caught.value).startswith(words), name


async def test_an_attribute_of_a_call_says_that_the_call_must_be_awaited(client: Client) -> None:
    call = client.packs.page(PACK)
    with pytest.raises(UsageError, match=r"write `await client\.packs\.page") as caught:
        await attribute_read(call)
    assert isinstance(caught.value, AttributeError)  # so that `hasattr` returns False
    assert not hasattr(call, "paging")
    assert (await call).messages  # asking did no harm


def public_methods() -> list[str]:
    client = Client("a-token")
    return [
        f"{group}.{name}"
        for group in GROUPS
        for name in dir(getattr(client, group))
        if not name.startswith("_") and callable(getattr(getattr(client, group), name))
    ]


@pytest.mark.parametrize("path", public_methods())
def test_every_method_of_every_group_is_explained(path: str) -> None:
    """A new group needs the decorator `explain_misuse`."""
    group, name = path.split(".")
    method = getattr(getattr(Client("a-token"), group), name)
    assert hasattr(method, "__wrapped__"), f"{path} is not wrapped"
    is_coroutine = inspect.iscoroutinefunction(method.__wrapped__)
    assert asyncio.iscoroutinefunction(method) is is_coroutine


async def test_the_results_stay_what_they_are(client: Client, sandbox: Sandbox) -> None:
    call = client.packs.page(PACK)
    assert isinstance(call, Coroutine)
    assert asyncio.iscoroutine(call)
    assert len((await asyncio.create_task(call)).messages) == 14
    walking = client.packs.messages(PACK, page_size=5)
    assert isinstance(walking, AsyncGenerator)
    assert isinstance(walking, AsyncIterator)
    async with aclosing(walking):
        assert len([message async for message in walking]) == 14
    first = await anext(client.packs.messages(PACK))
    assert first.text
    block = client.attachments.open(next(iter(sandbox.market.files)), site_id="MLM")
    assert isinstance(block, AbstractAsyncContextManager)
    async with block as download:
        assert await download.read()


async def test_asyncio_takes_a_call_in_every_way(client: Client) -> None:
    pages = [*await asyncio.gather(client.packs.page(PACK), client.packs.page(PACK, offset=2))]
    pages += [await asyncio.wait_for(client.packs.page(PACK), 5)]
    pages += [await asyncio.shield(client.packs.page(PACK))]
    pages += [await asyncio.ensure_future(client.packs.page(PACK))]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(client.packs.page(PACK))
    pages += [await task]
    assert [len(page.messages) for page in pages] == [14, 12, 14, 14, 14, 14]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.packs.page, PACK)


async def test_a_task_of_a_call_can_be_cancelled_and_described(client: Client) -> None:
    task = asyncio.create_task(client.packs.page(PACK))
    assert "Packs.page" in repr(task)
    await asyncio.sleep(0)
    assert task.get_stack()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_debug_mode_of_asyncio_takes_a_call() -> None:
    async def scenario() -> None:
        async with Sandbox() as sandbox, Client(sandbox.token, base_url=sandbox.url) as client:
            await asyncio.create_task(client.packs.page(PACK))

    asyncio.run(scenario(), debug=True)


async def test_a_call_that_is_never_awaited_is_a_warning_of_python(client: Client) -> None:
    with pytest.warns(RuntimeWarning, match="coroutine 'Packs.page' was never awaited"):
        client.packs.page(PACK)  # type: ignore[unused-coroutine]


async def test_a_mock_of_a_client_is_awaited() -> None:
    mock = unittest.mock.create_autospec(Client("a-token").packs, instance=True)
    mock.page.return_value = 5
    assert await mock.page(PACK) == 5


def test_the_repr_of_a_result_says_what_to_do() -> None:
    walking = Client("a-token").packs.messages(PACK)
    assert repr(walking) == (
        "<client.packs.messages(...) is an asynchronous iterator; "
        "write `async for item in client.packs.messages(...)`>"
    )


async def test_a_download_outside_of_its_block_says_so(client: Client, sandbox: Sandbox) -> None:
    name = next(iter(sandbox.market.files))
    async with client.attachments.open(name, site_id="MLM") as download:
        pass
    with pytest.raises(UsageError, match="read it inside its `async with` block"):
        await download.read()
    with pytest.raises(UsageError, match="read it inside its `async with` block"):
        await iterated_asynchronously(download)


async def test_a_download_is_read_asynchronously(client: Client, sandbox: Sandbox) -> None:
    name = next(iter(sandbox.market.files))
    async with client.attachments.open(name, site_id="MLM") as download:
        with pytest.raises(UsageError, match="write `async for chunk in download`"):
            await iterated(download)
        for use in (iterated, iterated_asynchronously):
            with pytest.raises(UsageError, match=r"write `await download\.read"):
                await use(download.read())
        assert await download.read()


TRIO = """
import gc, sys, traceback, trio
from mlmsg import Client
client = Client("a-token", base_url="http://127.0.0.1:9")

async def page():
    await client.packs.page(1)

async def messages():
    async for _ in client.packs.messages(1):
        pass

async def download():
    async with client.attachments.open("a", site_id="MLM"):
        pass

async def upload():
    await client.attachments.upload("/etc/hostname", site_id="MLM")

async def block():
    async with client:
        pass

async def close():
    await client.aclose()

async def task():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.packs.page, 1)

async def group():
    import anyio
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.packs.page, 1)

async def mirror():
    from mlmsg.sync import sync_attachments
    await sync_attachments(client, packs=[1], to="/nonexistent/a", site_id="MLM")

for way in sys.argv[1:]:
    try:
        trio.run(globals()[way])
    except BaseException:
        traceback.print_exc()
    gc.collect()  # of a coroutine that was not awaited, Python says so here
    print("end of", way, file=sys.stderr, flush=True)
"""

WAYS = re.findall(r"^async def (\w+)", TRIO, re.MULTILINE)


@pytest.fixture(scope="module")
def said_under_trio() -> dict[str, str]:
    """Return the errors of each way.

    They are raised in a process of their own: trio changes how exceptions of its process are
    printed.
    """
    pytest.importorskip("trio")
    command = [sys.executable, "-W", "error", "-c", TRIO, *WAYS]
    rest = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    said = {}
    for way in WAYS:
        said[way], found, rest = rest.partition(f"end of {way}\n")
        assert found, said[way]
    return said


@pytest.mark.parametrize("way", WAYS)
def test_trio_is_refused_by_name(way: str, said_under_trio: dict[str, str]) -> None:
    words = "mlmsg.errors.UsageError: mlmsg needs asyncio, but trio runs this code; use asyncio."
    assert words in said_under_trio[way]
    assert "never awaited" not in said_under_trio[way]


def trio_of(task: object) -> SimpleNamespace:
    """Return an old version of trio, which has no `in_trio_task`."""

    def current_task() -> object:
        if task is None:
            raise RuntimeError("must be called from async context")
        return task

    return SimpleNamespace(lowlevel=SimpleNamespace(current_task=current_task))


async def test_an_old_version_of_trio_is_refused_too(
    client: Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = next(iter(sandbox.market.packs))
    monkeypatch.setitem(sys.modules, "trio", trio_of("a task"))
    with pytest.raises(UsageError, match="needs asyncio, but trio runs this code"):
        await client.packs.page(pack)
    for other in (trio_of(None), SimpleNamespace()):
        monkeypatch.setitem(sys.modules, "trio", other)
        await client.packs.page(pack)


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.packs.page(1),
        lambda client: client.unread.drain().__anext__(),
        lambda client: walk(client.packs.page, id).__anext__(),
        lambda client: client.attachments.open("a", site_id="MLM").__aenter__(),
        lambda client: client.__aenter__(),
        lambda client: client.aclose(),
        lambda client: sync_attachments(client, to="/nonexistent", site_id="MLM"),
    ],
)
def test_without_an_event_loop_the_error_says_so(call: Callable[[Client], object]) -> None:
    with pytest.raises(UsageError, match="needs asyncio, but no event loop runs this code"):
        call(Client("a-token")).send(None)  # type: ignore[attr-defined]


FORGOTTEN = """
import asyncio, gc, sys
from mlmsg import Client
from mlmsg.sandbox import Sandbox

async def main():
    global client
    async with Sandbox() as sandbox:
        client = Client(sandbox.token, base_url=sandbox.url)
        await client.packs.page(next(iter(sandbox.market.packs)))
        if sys.argv[1] == "in the loop":
            del client
            gc.collect()
            await asyncio.sleep(0)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["in the loop", "at exit"])
@pytest.mark.parametrize("flags", [[], ["-W", "default"], ["-X", "dev"], ["-W", "error"]])
def test_a_forgotten_client_is_one_warning_of_ours(moment: str, flags: list[str]) -> None:
    command = [sys.executable, *flags, "-c", FORGOTTEN, moment]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert said.count("a Client was never closed") == (1 if flags else 0), said
    assert "Unclosed" not in said


def test_the_error_of_a_missing_result_names_the_public_class() -> None:
    page = Client("a-token").packs.page(PACK)
    with pytest.raises(UsageError, match=r"before you use \.messages") as caught:
        page.messages  # type: ignore[attr-defined]  # noqa: B018
    page.close()
    lines = traceback.format_exception_only(caught.value)
    assert lines[0].startswith("mlmsg.errors.UsageError: client.packs.page(...) returns one value")
    assert repr(caught.type) == "<class 'mlmsg.errors.UsageError'>"
    copied = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (type(copied), str(copied)) == (UsageError, str(caught.value))
