"""Prefetching of pages: how many, when, and that nothing is left when the walk ends.

No test waits for a clock: a server answers when the test says so.
"""

import asyncio
import gc
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

import pytest
from threads import HeldThread, Thread, itself, pass_turns, settle, thread

from mlmsg.paging import Page, walk


@dataclass
class Reader:
    """A walk that is read in a task."""

    server: HeldThread
    concurrency: int = 4
    wanted: int = 1000
    found: list[int] = field(default_factory=list)

    async def run(self) -> None:
        items = walk(self.server.fetch, itself, limit=5, concurrency=self.concurrency)
        async with aclosing(items):
            async for item in items:
                self.found.append(item)
                if len(self.found) == self.wanted:
                    break


def held(size: int = 37) -> HeldThread:
    return HeldThread(list(range(size)))


async def start_reading(reader: Reader) -> asyncio.Task[None]:
    """Start the reader, and deliver its first page, so that the window is full."""
    task = asyncio.create_task(reader.run())
    await settle()
    assert sorted(reader.server.waiting) == [0]
    await reader.server.deliver(0)
    return task


async def test_the_first_page_comes_alone_and_then_a_sliding_window_in_order() -> None:
    server = held(34)
    reader = Reader(server)
    task = await start_reading(reader)
    assert sorted(server.waiting) == [4, 8, 12, 16]
    await server.deliver(16, 8)
    assert (reader.found, sorted(server.waiting)) == ([0, 1, 2, 3, 4], [4, 12])
    await server.deliver(4)
    assert reader.found == list(range(13))  # the page at 8 was there already
    assert sorted(server.waiting) == [12, 20, 24]
    await server.deliver(20, 12)
    assert reader.found == list(range(25))
    assert sorted(server.waiting) == [24, 28, 32]  # the thread's last page is the one at 32
    await server.deliver(24, 28, 32)
    await task
    assert reader.found == server.items
    assert len(server.requests) == 9


@pytest.mark.parametrize("concurrency", [1, 2, 5])
async def test_the_pages_that_wait_for_a_slow_reader_are_bounded(concurrency: int) -> None:
    server = thread(200)
    server.turns = [(1, 0)] * 100
    read = 0
    async for _ in walk(server.fetch, itself, limit=5, concurrency=concurrency):
        read += 1
        await settle()
        pages_begun = 1 + max(read - 2, 0) // 4
        assert len(server.requests) - pages_begun <= concurrency - 1
    assert read == 200
    assert server.busiest == concurrency


async def test_pages_are_fetched_only_when_they_are_needed() -> None:
    server = thread(10, cap=3)
    items = walk(server.fetch, itself, limit=3, concurrency=1)
    async with aclosing(items):
        await settle()
        assert server.requests == []
        for item, pages in [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3)]:
            assert await anext(items) == item
            await settle()
            assert len(server.requests) == pages


async def test_nothing_is_fetched_ahead_before_the_first_page_is_used_up() -> None:
    server = thread(100)
    async with aclosing(walk(server.fetch, itself, limit=5)) as items:
        assert [await anext(items) for _ in range(5)] == [0, 1, 2, 3, 4]
        await settle()
        assert len(server.requests) == 1


async def test_the_plan_follows_a_total_that_changes() -> None:
    server = held(9)
    reader = Reader(server)
    task = await start_reading(reader)
    assert sorted(server.waiting) == [4]
    server.items += range(9, 25)
    await server.deliver(4)
    assert sorted(server.waiting) == [8, 12, 16, 20]
    del server.items[13:]
    await server.deliver(8)
    await task
    assert reader.found == list(range(13))
    assert server.busy == 0


# --- the end of a walk ------------------------------------------------------------------


@pytest.fixture
async def reports() -> list[str]:
    """Return the errors that the loop reports, such as an exception that was never retrieved."""
    found: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: found.append(str(context)))
    return found


async def assert_nothing_left(server: Thread, reports: list[str]) -> None:
    gc.collect()
    await settle()
    assert server.busy == 0
    assert len(asyncio.all_tasks()) == 1
    assert reports == []


async def test_a_walk_that_is_left_early_cancels_the_rest(reports: list[str]) -> None:
    server = held()
    task = await start_reading(Reader(server, wanted=7))
    await server.deliver(8)
    assert server.busy == 3
    await server.deliver(4)
    assert task.done()
    await assert_nothing_left(server, reports)
    assert len(server.requests) == 5


async def test_a_loop_that_is_just_broken_out_of_cancels_the_rest(reports: list[str]) -> None:
    server = thread(100)
    server.turns = [(0, 0), (0, 0), *[(10_000, 0)] * 20]
    async for item in walk(server.fetch, itself, limit=5):
        if item == 6:
            break
    assert server.busy == 7
    await assert_nothing_left(server, reports)


async def test_a_generator_that_another_task_closes_yields_nothing_more() -> None:
    server = thread(100)
    server.turns = [(0, 0), (0, 0), *[(10_000, 0)] * 20]
    items = walk(server.fetch, itself, limit=5)
    assert [await anext(items) for _ in range(6)] == [0, 1, 2, 3, 4, 5]
    assert server.busy == 7
    await asyncio.create_task(items.aclose())
    assert server.busy == 0
    with pytest.raises(StopAsyncIteration):
        await anext(items)
    assert len(server.requests) == 9


async def test_a_walk_that_is_never_started_requests_nothing() -> None:
    server = thread(10)
    await walk(server.fetch, itself).aclose()
    assert server.requests == []


async def test_cancelling_the_reader_cancels_the_pending_requests(reports: list[str]) -> None:
    server = held()
    task = await start_reading(Reader(server))
    assert server.busy == 4
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert server.busy == 0
    await assert_nothing_left(server, reports)


async def test_a_second_cancellation_leaves_nothing_running() -> None:
    server = thread(100)
    server.turns = [(0, 0), *[(10_000, 0)] * 20]
    ended: list[int] = []

    async def fetch(offset: int, limit: int) -> Page[int]:
        try:
            return await server.fetch(offset, limit)
        finally:
            for _ in range(100 if offset else 0):  # work that goes on whatever happens
                with suppress(asyncio.CancelledError):
                    await pass_turns(1)
            ended.append(offset)

    async def read() -> None:
        async for _ in walk(fetch, itself, limit=5):
            pass

    task = asyncio.create_task(read())
    for _ in range(3):
        await settle()
        assert not task.done()
        task.cancel()
    await pass_turns(100)
    assert task.cancelled()
    assert sorted(ended) == [0, 4, 8, 12, 16, 20, 24, 28, 32]


async def test_a_timeout_around_the_loop_ends_it() -> None:
    server = held()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await Reader(server).run()
    assert server.busy == 0


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("failing", [0, 1, 3])
async def test_a_failing_page_raises_after_what_came_before_it(
    failing: int, concurrency: int, reports: list[str]
) -> None:
    server = thread(40)
    server.turns = [(0, 0), *[(n, 0) for n in (9, 7, 5, 3, 1, 0, 0, 0)]]
    failure = ConnectionResetError("the page is lost")

    async def fetch(offset: int, limit: int) -> Page[int]:
        if offset == failing * 4:
            raise failure
        return await server.fetch(offset, limit)

    items = walk(fetch, itself, limit=5, concurrency=concurrency)
    before = server.items[: failing * 4 + 1 if failing else 0]
    assert [await anext(items) for _ in before] == before
    with pytest.raises(ConnectionResetError) as raised:
        await anext(items)
    assert raised.value is failure
    await assert_nothing_left(server, reports)


async def test_pages_that_are_no_longer_needed_may_fail(reports: list[str]) -> None:
    server = held()
    reader = Reader(server)
    task = await start_reading(reader)
    del server.items[8:]
    await server.deliver(8, 12, error=LookupError("no such offset"))
    await server.deliver(4)
    await task
    assert reader.found == server.items
    await assert_nothing_left(server, reports)
