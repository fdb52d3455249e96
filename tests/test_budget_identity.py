"""A budget is one per process: for its copies, its event loops and its threads."""

import asyncio
import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import virtualtime

from mlmsg import RateBudget
from mlmsg.budget import RateLimiter
from mlmsg.policy import Effect


def unpickle(data: bytes) -> RateBudget:
    budget: RateBudget = pickle.loads(data)  # noqa: S301  (our own)
    return budget


COPIES: dict[str, Callable[[RateBudget], RateBudget]] = {
    "pickle": lambda budget: unpickle(pickle.dumps(budget)),
    "old pickle": lambda budget: unpickle(pickle.dumps(budget, protocol=0)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle of a copy": lambda budget: unpickle(pickle.dumps(copy.copy(budget))),
}


@pytest.mark.parametrize("way", COPIES.values(), ids=COPIES)
def test_every_copy_in_one_process_is_the_same_budget(
    way: Callable[[RateBudget], RateBudget],
) -> None:
    budget = RateBudget(reads=5, writes=None, per=9.0, burst=2)
    assert way(budget) is budget
    assert way(way(budget)) is budget


def test_budgets_of_the_same_limits_and_shares_are_different_budgets() -> None:
    budget = RateBudget()
    budgets = [budget, RateBudget(), budget.share(1), budget.share(2), budget.share(2)]
    copies = [unpickle(pickle.dumps(budget)) for budget in budgets]
    assert len({id(copied) for copied in copies}) == len(budgets)
    assert copies == budgets


OTHER_PROCESS = """
import asyncio, pickle, sys
from mlmsg import RateBudget
from mlmsg.policy import Effect

data, other = pickle.loads(sys.stdin.buffer.read())
first, second = pickle.loads(data), pickle.loads(data)
assert first is second
assert repr(first) == "RateBudget(reads=3, writes=4, per=60.0, burst=3)", first
assert pickle.loads(other) is not first
asyncio.run(first.limiter(Effect.READ).acquire())
assert pickle.loads(pickle.dumps(first)) is first
print("ok")
"""


@pytest.mark.slow
def test_another_process_has_one_budget_of_its_own() -> None:
    budget = RateBudget(reads=3, writes=4, burst=3)
    data = pickle.dumps((pickle.dumps(budget), pickle.dumps(RateBudget())))
    command = [sys.executable, "-W", "error", "-c", OTHER_PROCESS]
    done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=60)
    assert done.stdout == b"ok\n", done.stderr.decode()


# --- the usage outlives the copies ----------------------------------------------------------


async def pass_times(budget: RateBudget, calls: int) -> list[float]:
    """Return the monotonic times at which so many concurrent reads leave."""
    limiter, times = budget.limiter(Effect.READ), list[float]()

    async def call() -> None:
        await limiter.acquire()
        times.append(time.monotonic())

    await asyncio.gather(*(call() for _ in range(calls)))
    return times


def most_within(times: list[float], seconds: float) -> int:
    times = sorted(times)
    return max(bisect_left(times, start + seconds) - i for i, start in enumerate(times))


@pytest.mark.slow
def test_shards_one_after_the_other_keep_within_one_budget() -> None:
    """Each has its own event loop and copy, and none of them is referenced in between."""
    budget = RateBudget(reads=20, writes=20, per=0.4, burst=20)
    data, times = pickle.dumps(budget), list[float]()
    del budget
    for _ in range(4):
        gc.collect()
        times += asyncio.run(pass_times(unpickle(data), 15))
    assert most_within(times, 0.4) <= 20


@pytest.mark.slow
def test_shards_in_threads_at_the_same_time_keep_within_one_budget() -> None:
    budget = RateBudget(reads=20, writes=20, per=0.4, burst=10)
    data = pickle.dumps(budget)

    def shard(_: int) -> list[float]:
        return asyncio.run(pass_times(unpickle(data), 15))

    with ThreadPoolExecutor(5) as pool:
        times = [moment for found in pool.map(shard, range(5)) for moment in found]
    assert len(times) == 75
    assert most_within(times, 0.4) <= 20
    assert max(times) - min(times) < 3.0  # 75 of them need 1.5 s


@pytest.mark.slow
def test_a_budget_that_was_not_used_lately_is_forgotten() -> None:
    now = [1000.0]
    budget = RateBudget(reads=2, writes=2, per=60.0, clock=lambda: now[0])
    data = pickle.dumps(budget)
    asyncio.run(pass_times(budget, 2))
    limiter = budget.limiter(Effect.READ)
    del budget
    now[0] += 30
    assert unpickle(data).limiter(Effect.READ) is limiter
    gc.collect()
    now[0] += 600
    assert unpickle(data).limiter(Effect.READ) is not limiter


def test_budgets_that_are_pickled_once_leave_nothing_behind() -> None:
    gc.collect()
    before = len(RateBudget._usage)
    for _ in range(50):
        pickle.dumps(RateBudget())
        gc.collect(0)
    pickle.dumps(RateBudget())
    assert len(RateBudget._usage) <= before + 2


def test_a_pause_outlives_the_copies_as_well() -> None:
    now = [1000.0]
    budget = RateBudget(clock=lambda: now[0])
    data = pickle.dumps(budget)
    limiter = budget.limiter(Effect.SEND)
    limiter.pause_for(100.0)
    del budget
    gc.collect()
    now[0] += 99
    assert unpickle(data).limiter(Effect.SEND) is limiter


# --- event loops ----------------------------------------------------------------------------


def test_a_blocked_event_loop_does_not_hold_the_others() -> None:
    limiter = RateLimiter(1000, 10.0, 1)
    waiting, go = threading.Event(), threading.Event()

    async def blocked() -> None:
        await limiter.acquire()
        task = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(0)
        waiting.set()
        go.wait(10)  # blocks its loop while a call waits there
        await task

    async def other() -> None:
        async with asyncio.timeout(5):
            for _ in range(5):
                await limiter.acquire()

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(asyncio.run, blocked())
        assert waiting.wait(10)
        asyncio.run(other())
        go.set()
        first.result(10)


def test_an_event_loop_that_ended_while_calls_waited_leaves_nothing_behind() -> None:
    limiter = RateLimiter(1, 0.2, 1)

    async def main() -> None:
        await limiter.acquire()
        calls = [asyncio.create_task(limiter.acquire()) for _ in range(3)]
        await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    asyncio.run(main())
    assert limiter._turns == {}
    asyncio.run(limiter.acquire())


def test_pauses_count_in_every_event_loop() -> None:
    limiter = RateLimiter(None, 60.0, 1)
    limiter.pause_for(0.2)
    start = time.monotonic()
    asyncio.run(limiter.acquire())
    assert time.monotonic() - start >= 0.19


FORKING = """
import os, threading, time
from mlmsg import RateBudget
from mlmsg.policy import Effect
limiter = RateBudget().limiter(Effect.READ)
stop = False
def use():
    while not stop:
        limiter.pause_for(0.0)
threads = [threading.Thread(target=use, daemon=True) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(50):
    child = os.fork()
    if not child:
        limiter.pause_for(0.0)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop = True
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_never_hangs_on_the_lock_of_another_thread() -> None:
    subprocess.run([sys.executable, "-c", FORKING], check=True, timeout=60)


def test_a_copy_of_a_budget_on_a_virtual_clock_keeps_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(RateBudget, "_usage", {})  # later tests cannot read a virtual clock

    async def main() -> float:
        budget = RateBudget(reads=1, writes=1, per=10.0, burst=1, clock=virtualtime.now)
        for each in (budget, copy.copy(budget)):
            await each.limiter(Effect.READ).acquire()
        return virtualtime.now()

    assert virtualtime.run(main()) == pytest.approx(10.1)
