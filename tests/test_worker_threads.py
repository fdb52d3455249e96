"""Worker threads: a call ends with its thread, whatever ends the call; lanes keep their order."""

import asyncio
import gc
import queue
import threading
import weakref
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial

import pytest
from calls import cancel

from mlmsg import _worker_threads
from mlmsg._streams import read_ahead
from mlmsg._worker_threads import Lane, WorkerThreads, run_in_thread


async def read(function: Callable[[], bytes]) -> None:
    async with aclosing(read_ahead(function)) as chunks:
        async for _ in chunks:
            pass


@pytest.mark.parametrize("way", [run_in_thread, read], ids=["run_in_thread", "read_ahead"])
async def test_the_end_of_asyncio_run_waits_for_the_thread(
    way: Callable[[Callable[[], bytes]], Awaitable[object]],
) -> None:
    """`asyncio.run` cancels every task. What the thread uses may be closed only after it."""
    started, left = threading.Event(), threading.Event()
    is_left_early: list[bool] = []

    def function() -> bytes:
        started.set()
        is_left_early.append(left.wait(0.1))
        return b""

    async def use() -> None:
        try:
            await way(function)
        finally:
            left.set()

    async def main() -> None:
        task = asyncio.ensure_future(use())
        await asyncio.to_thread(started.wait, 5)
        assert not task.done()

    await asyncio.to_thread(asyncio.run, main())
    assert is_left_early == [False]


async def test_a_call_cancelled_twice_ends_with_its_thread() -> None:
    started, release = threading.Event(), threading.Event()

    def function() -> None:
        started.set()
        release.wait(5)

    task = asyncio.ensure_future(run_in_thread(function))
    await asyncio.to_thread(started.wait, 5)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    release.set()
    await cancel(task)


async def test_exceptions_are_raised_unchanged() -> None:
    error = KeyError("x")

    def fail() -> None:
        raise error

    def stop() -> None:
        raise StopIteration

    with pytest.raises(KeyError) as caught:
        await run_in_thread(fail)
    assert caught.value is error
    with pytest.raises(RuntimeError, match="StopIteration"):
        await run_in_thread(stop)


async def test_calls_share_the_threads_of_their_loop() -> None:
    arrived = threading.Barrier(_worker_threads.THREADS)

    def meet() -> int:
        arrived.wait(5)
        return threading.get_ident()

    calls = [run_in_thread(meet) for _ in range(_worker_threads.THREADS * 3)]
    idents = await asyncio.gather(*calls)
    assert len(set(idents)) == _worker_threads.THREADS


async def test_an_idle_thread_ends_and_another_one_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_worker_threads, "IDLE_SECONDS", 0.001)
    first = await run_in_thread(threading.current_thread)
    first.join(5)
    assert not first.is_alive()
    assert (await run_in_thread(threading.current_thread)).is_alive()


async def test_a_thread_that_cannot_start_takes_the_place_of_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = WorkerThreads()

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        for _ in range(_worker_threads.THREADS):
            with pytest.raises(RuntimeError, match="new thread"):
                _ = threads.submit(int)
    release = threading.Event()
    blocked = threads.submit(lambda: release.wait(5))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        queued = threads.submit(int)  # the thread that runs does it
    release.set()
    async with asyncio.timeout(5):
        assert await blocked
        assert await queued == 0


def test_an_event_loop_that_was_left_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its result arrives after the end of the event loop."""
    monkeypatch.setattr(_worker_threads, "IDLE_SECONDS", 0.001)
    release = threading.Event()
    workers: queue.SimpleQueue[threading.Thread] = queue.SimpleQueue()

    def work() -> None:
        workers.put(threading.current_thread())
        release.wait(5)

    async def leave() -> None:
        _ = WorkerThreads.of_loop().submit(work)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(leave())
    loop.close()
    kept = weakref.ref(loop)
    del loop
    release.set()
    workers.get(timeout=5).join(5)
    gc.collect()
    assert kept() is None


async def test_the_calls_of_a_lane_run_in_order_one_at_a_time() -> None:
    lane = Lane(WorkerThreads.of_loop())
    found: list[int] = []
    busy = threading.Lock()

    def call(number: int) -> None:
        assert busy.acquire(blocking=False)
        found.append(number)
        busy.release()

    for number in range(200):
        lane.put(partial(call, number))
        await lane.wait_for_room(number % 3)
        if number % 7 == 0:
            await asyncio.sleep(0)
    await lane.finish()
    assert found == list(range(200))


async def test_a_lane_waits_for_room() -> None:
    lane = Lane(WorkerThreads.of_loop())
    begun, release = threading.Semaphore(0), threading.Semaphore(0)

    def call() -> None:
        begun.release()
        release.acquire()

    for _ in range(4):
        lane.put(call)
    waiting = asyncio.ensure_future(lane.wait_for_room(1))
    await asyncio.to_thread(begun.acquire)
    release.release()
    await asyncio.to_thread(begun.acquire)  # the second call has begun: two are waiting
    assert not waiting.done()
    release.release()
    await waiting
    release.release(2)
    await lane.finish()


async def test_a_thread_and_its_loop_exchange_their_future_under_the_lock() -> None:
    """Otherwise the thread could replace the next future by None, and nobody would be woken."""
    is_locked: list[bool] = []

    class WatchedLane(Lane):
        def __setattr__(self, name: str, value: object) -> None:
            if name == "_shrunk" and hasattr(self, name):
                is_locked.append(self._lock.locked())
            super().__setattr__(name, value)

    lane = WatchedLane(WorkerThreads.of_loop())
    for _ in range(20):
        lane.put(int)
        await lane.wait_for_room(0)
    await lane.finish()
    assert is_locked
    assert all(is_locked)


async def test_nothing_runs_after_a_failed_call_of_a_lane() -> None:
    lane = Lane(WorkerThreads.of_loop())
    release = threading.Event()
    found: list[str] = []

    def fail() -> None:
        release.wait(5)
        raise OSError("full")

    lane.put(fail)
    lane.put(lambda: found.append("before"))
    waiting = asyncio.ensure_future(lane.wait_for_room(0))
    await asyncio.sleep(0)
    release.set()
    with pytest.raises(OSError, match="full"):
        await waiting
    for _ in range(3):
        lane.put(lambda: found.append("after"))
        with pytest.raises(OSError, match="full"):
            await lane.wait_for_room(0)
    with pytest.raises(OSError, match="full"):
        await lane.finish()
    await lane.stop()
    assert found == []


async def test_a_stopped_lane_drops_the_calls_that_have_not_begun() -> None:
    lane = Lane(WorkerThreads.of_loop())
    started, release = threading.Event(), threading.Event()
    found: list[str] = []

    def call() -> None:
        started.set()
        release.wait(5)
        found.append("begun")

    lane.put(call)
    lane.put(lambda: found.append("not begun"))
    await asyncio.to_thread(started.wait, 5)
    stopping = asyncio.ensure_future(lane.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    release.set()
    await stopping
    assert found == ["begun"]
