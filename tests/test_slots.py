"""The limit on connections: it holds for plain calls, and nested calls never wait for ever."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from contextvars import Context

import pytest
from calls import AT_ONCE, MIB
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rawserver import Peer, RawServer, raw_server

from mlmsg import Client, Download, MlmsgError, TransportError
from mlmsg._transport import _slots
from mlmsg._transport._slots import ConnectionSlots

ANSWER = b'{"messages": [{"id": "m1"}], "id": "1_a.bin"}'
LIMITS = pytest.mark.parametrize("limit", [1, 2])


class Counting:
    """A script that answers every request, and counts the requests that it answers at once."""

    def __init__(self) -> None:
        self.running = self.most = 0

    async def __call__(self, peer: Peer) -> None:
        while (await peer.request())[0]:
            self.running += 1
            self.most = max(self.most, self.running)
            await asyncio.sleep(0.002)  # so that others have the time to arrive
            self.running -= 1
            await peer.answer(200, ANSWER)


@asynccontextmanager
async def serve(limit: int) -> AsyncIterator[tuple[Client, RawServer, Counting]]:
    script = Counting()
    async with (
        raw_server(script) as server,
        Client(
            "a-token", base_url=server.url, retry=AT_ONCE, budget=None, max_connections=limit
        ) as client,
        asyncio.timeout(10),
    ):
        yield client, server, script


def page(client: Client) -> Awaitable[object]:
    return client.packs.page(1)


async def read(client: Client) -> object:
    return await client.attachments.read("a.bin", site_id="MLM")


def upload_bytes(client: Client) -> Awaitable[object]:
    return client.attachments.upload(bytes(300_000), site_id="MLM", filename="a.bin")


# --- the limit ---------------------------------------------------------------------------------


PLAIN: dict[str, Callable[[Client], Awaitable[object]]] = {
    "page": page,
    "send": lambda client: client.packs.send(1, "Hola"),
    "upload": upload_bytes,
    "read": read,
    "handler": lambda client: client.attachments.download_with("a", Download.read, site_id="MLM"),
}


@pytest.mark.parametrize("limit", [1, 2, 5])
@pytest.mark.parametrize("call", PLAIN.values(), ids=PLAIN)
async def test_plain_calls_at_once_use_no_more_connections_than_allowed(
    call: Callable[[Client], Awaitable[object]], limit: int
) -> None:
    async with serve(limit) as (client, server, script):
        await asyncio.gather(*(call(client) for _ in range(20)))
    assert len(server.peers) == script.most == limit


async def test_a_slow_reader_of_many_files_keeps_to_the_limit() -> None:
    """Each waits for its own work in between, none for the others."""
    work = 0

    async def copy(client: Client) -> None:
        nonlocal work
        async with client.attachments.open("a.bin", site_id="MLM") as download:
            async for _ in download:
                work += 1
                await asyncio.sleep(0.02)

    async with serve(4) as (client, server, _):
        await asyncio.gather(*(copy(client) for _ in range(40)))
    assert work == 40
    assert len(server.peers) == 4


# --- nested calls ------------------------------------------------------------------------------


async def generator_that_calls(client: Client) -> None:
    async def source() -> AsyncIterator[bytes]:
        for _ in range(10):
            await client.packs.page(1)
            yield b"some"
        await client.packs.send(1, "Hola")

    await client.attachments.upload(source(), site_id="MLM", filename="a.bin", length=40)


async def generator_that_calls_in_its_end(client: Client) -> None:
    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"some"
        finally:
            await client.packs.page(1)

    await client.attachments.upload(source(), site_id="MLM", filename="a.bin", length=4)


async def generator_in_a_thread_that_calls(client: Client) -> None:
    loop = asyncio.get_running_loop()

    def source() -> Iterator[bytes]:
        for _ in range(10):
            call = client.attachments.read("a.bin", site_id="MLM")
            yield asyncio.run_coroutine_threadsafe(call, loop).result()

    size = 10 * len(ANSWER)
    await client.attachments.upload(source(), site_id="MLM", filename="a.bin", length=size)


async def open_in_open_in_open(client: Client) -> None:
    async def nest(depth: int) -> None:
        async with client.attachments.open("a.bin", site_id="MLM") as download:
            if depth:
                await nest(depth - 1)
            await client.packs.page(1)
            await download.read()

    await nest(5)


async def handler_that_calls(client: Client) -> None:
    async def handler(download: Download) -> None:
        await client.packs.page(1)
        async for _ in download:
            await client.packs.send(1, "Hola")
        await client.attachments.download_with("a.bin", Download.read, site_id="MLM")

    await client.attachments.download_with("a.bin", handler, site_id="MLM")


async def upload_of_an_open_download(client: Client) -> None:
    async with client.attachments.open("a.bin", site_id="MLM") as download:
        await client.attachments.upload(download, site_id="MLM")
        await client.packs.page(1)


async def source_fed_by_another_task(client: Client) -> None:
    queue: asyncio.Queue[bytes] = asyncio.Queue(1)

    async def feed() -> None:
        await begun.wait()
        for _ in range(20):
            await client.packs.page(1)
            await queue.put(b"some")

    async def source() -> AsyncIterator[bytes]:
        begun.set()
        for _ in range(20):
            yield await queue.get()

    begun = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(feed())
        await client.attachments.upload(source(), site_id="MLM", filename="a.bin", length=80)


async def downloads_that_wait_for_each_other(client: Client) -> None:
    together = asyncio.Barrier(6)

    async def copy() -> None:
        async with client.attachments.open("a.bin", site_id="MLM") as download:
            await together.wait()
            await download.read()

    await asyncio.gather(*(copy() for _ in range(6)))


async def uploads_that_share_their_sources(client: Client) -> None:
    """The halves of a stream that is divided: each waits until the others are read, too."""
    turns = asyncio.Barrier(4)

    async def source() -> AsyncIterator[bytes]:
        for _ in range(3):
            await turns.wait()
            yield b"some"

    async def upload() -> None:
        await client.attachments.upload(source(), site_id="MLM", filename="a.bin", length=12)

    await asyncio.gather(*(upload() for _ in range(4)))


async def message_with_files_that_call(client: Client) -> None:
    async def source() -> AsyncIterator[bytes]:
        await client.packs.page(1)
        yield b"some"

    await client.packs.send(1, "Hola", files=[source() for _ in range(5)], site_id="MLM")


async def calls_at_once_inside(client: Client) -> None:
    async with client.attachments.open("a.bin", site_id="MLM"):
        await asyncio.gather(*(client.packs.page(1) for _ in range(10)))


NESTED = [
    generator_that_calls,
    generator_that_calls_in_its_end,
    generator_in_a_thread_that_calls,
    open_in_open_in_open,
    handler_that_calls,
    upload_of_an_open_download,
    source_fed_by_another_task,
    downloads_that_wait_for_each_other,
    uploads_that_share_their_sources,
    message_with_files_that_call,
    calls_at_once_inside,
]


@pytest.fixture
def brief_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break a deadlock soon."""
    monkeypatch.setattr(_slots, "STALL_SECONDS", 0.05)


@LIMITS
@pytest.mark.usefixtures("brief_stalls")
@pytest.mark.parametrize("scenario", NESTED)
async def test_nested_calls_end(scenario: Callable[[Client], Awaitable[None]], limit: int) -> None:
    async with serve(limit) as (client, _, _):
        await scenario(client)
        await asyncio.gather(*(client.packs.page(1) for _ in range(2 * limit)))


@LIMITS
@pytest.mark.usefixtures("brief_stalls")
@pytest.mark.parametrize("scenario", NESTED)
async def test_nested_calls_end_beside_each_other(
    scenario: Callable[[Client], Awaitable[None]], limit: int
) -> None:
    async with serve(limit) as (client, _, _):
        await asyncio.gather(*(scenario(client) for _ in range(4)))


DIRECT = [
    scenario
    for scenario in NESTED
    if scenario
    not in {
        source_fed_by_another_task,
        downloads_that_wait_for_each_other,
        uploads_that_share_their_sources,
    }
]


@pytest.mark.parametrize("scenario", DIRECT)
async def test_a_call_that_is_nested_in_the_same_task_or_source_waits_for_no_timer(
    scenario: Callable[[Client], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_slots, "STALL_SECONDS", 60)
    async with serve(1) as (client, _, _):
        await scenario(client)


@pytest.mark.slow
async def test_the_limit_holds_again_after_a_deadlock_was_broken() -> None:
    async with serve(1) as (client, _, script):
        await downloads_that_wait_for_each_other(client)
        script.most = 0
        await asyncio.gather(*(client.packs.page(1) for _ in range(10)))
        assert script.most == 1


# --- any nesting -------------------------------------------------------------------------------

Plan = tuple[str, "list[Plan]"]
plans: st.SearchStrategy[Plan] = st.recursive(
    st.tuples(st.sampled_from(["page", "send", "read", "upload"]), st.just([])),
    lambda inner: st.tuples(
        st.sampled_from(["open", "source", "thread", "at once", "spooled"]),
        st.lists(inner, max_size=3),
    ),
    max_leaves=6,
)


async def execute(client: Client, plan: Plan) -> None:
    kind, inner = plan
    if kind in PLAIN:
        await PLAIN[kind](client)
    elif kind == "open":
        async with client.attachments.open("a.bin", site_id="MLM") as download:
            for step in inner:
                await execute(client, step)
            async for _ in download:
                for step in inner[:1]:
                    await execute(client, step)
    elif kind == "at once":
        await asyncio.gather(*(execute(client, step) for step in inner))
    else:
        await upload_with(client, plan)


async def upload_with(client: Client, plan: Plan) -> None:
    kind, inner = plan
    loop = asyncio.get_running_loop()

    async def source() -> AsyncIterator[bytes]:
        yield b"first"
        for step in inner:
            await execute(client, step)
            yield b"more "

    def source_in_thread() -> Iterator[bytes]:
        yield b"first"
        for step in inner:
            asyncio.run_coroutine_threadsafe(execute(client, step), loop).result()
            yield b"more "

    given_source = source_in_thread() if kind == "thread" else source()
    length = None if kind == "spooled" else 5 * (len(inner) + 1)
    await client.attachments.upload(given_source, site_id="MLM", filename="a", length=length)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(plans, min_size=1, max_size=4), st.integers(1, 3))
async def test_any_nesting_of_calls_ends(work: list[Plan], limit: int) -> None:
    async with serve(limit) as (client, _, script):
        await asyncio.gather(*(execute(client, plan) for plan in work))
        script.most = 0
        await asyncio.gather(*(client.packs.page(1) for _ in range(5)))
        assert script.most <= limit


# --- what becomes of slots ---------------------------------------------------------------------


async def test_a_slot_that_ends_before_its_borrower_leaves_its_place_to_it() -> None:
    slots = ConnectionSlots(1)
    outer = await slots.acquire()
    outer.lend()
    inner = await slots.acquire()
    outer.release()
    waiting = asyncio.ensure_future(slots.acquire())
    await asyncio.sleep(0)
    assert not waiting.done()
    inner.release()
    (await waiting).release()


async def test_a_nested_call_that_waits_borrows_the_slot_once_it_is_lent_or_free_again() -> None:
    slots = ConnectionSlots(1)
    outer = await slots.acquire()
    nested = [asyncio.ensure_future(slots.acquire()) for _ in range(2)]
    unrelated = Context().run(asyncio.ensure_future, slots.acquire())
    await asyncio.sleep(0)
    outer.lend()
    first = await asyncio.wait_for(nested[0], _slots.STALL_SECONDS / 2)
    assert first.lender is outer
    assert not nested[1].done()
    first.release()
    second = await asyncio.wait_for(nested[1], _slots.STALL_SECONDS / 2)
    assert second.lender is outer
    outer.release()
    assert not unrelated.done()  # the borrower goes on in the place of the outer one
    second.release()
    (await unrelated).release()


async def test_calls_that_are_cancelled_while_they_wait_leave_no_trace() -> None:
    slots = ConnectionSlots(1)
    slot = await slots.acquire()
    waiting = [asyncio.ensure_future(slots.acquire()) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    slot.release()  # hands the slot over to the second
    waiting[1].cancel()
    waiting[3].cancel()
    ended = await asyncio.gather(*waiting[:4], return_exceptions=True)
    assert [type(result).__name__ for result in ended] == [
        "CancelledError",
        "CancelledError",
        "Slot",
        "CancelledError",
    ]
    assert not waiting[4].done()
    assert not isinstance(ended[2], BaseException)
    ended[2].release()
    (await waiting[4]).release()


async def test_a_nested_call_after_the_outer_one_has_ended_is_a_plain_one() -> None:
    async with serve(1) as (client, server, script):
        async with client.attachments.open("a.bin", site_id="MLM") as download:
            await download.read()
        await asyncio.gather(*(client.packs.page(1) for _ in range(10)))
        assert script.most == 1
    assert len(server.peers) == 1


async def test_closing_the_client_ends_nested_calls() -> None:
    begun = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        begun.set()
        await peer.rest()

    async with asyncio.timeout(5), raw_server(script) as server:
        client = Client("a-token", base_url=server.url, max_connections=1)

        async def source() -> AsyncIterator[bytes]:
            await client.packs.page(1)
            yield bytes(MIB)

        upload = client.attachments.upload(source(), site_id="MLM", filename="a", length=MIB)
        task = asyncio.create_task(upload)
        await begun.wait()
        await client.aclose()
        with suppress(MlmsgError), pytest.raises(TransportError, match="closed"):
            await task
