"""The rate budget: how many calls leave in any window, how evenly, in which order, and after a 429.

The times are those of a virtual clock: nothing here waits.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Callable

import pytest
import virtualtime
from calls import PAGE, TOKEN
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rawserver import answers, in_turn, raw_server

from mlmsg import Client, RateBudget, RateLimited, RetryPolicy, RuleError
from mlmsg.budget import RateLimiter
from mlmsg.policy import Effect
from mlmsg.sandbox import Fault, RateLimit, Sandbox


async def leaving(gate: RateLimiter, arrivals: list[float]) -> list[float]:
    """When each call leaves that comes at one of these times, in the order of their coming."""
    loop = asyncio.get_running_loop()
    order: list[int] = []
    times: dict[int, float] = {}

    async def call(number: int) -> None:
        await gate.acquire()
        order.append(number)
        times[number] = loop.time()

    async with asyncio.TaskGroup() as group:
        for number, at in enumerate(arrivals):
            if at > loop.time():
                await asyncio.sleep(at - loop.time())
            group.create_task(call(number))
    assert order == sorted(order), "who came first leaves first"
    return [times[number] for number in order]


def left(limit: int, per: float, burst: int, arrivals: list[float]) -> list[float]:
    return virtualtime.run(leaving(RateLimiter(limit, per, burst, virtualtime.now), arrivals))


def most_within(times: list[float], seconds: float) -> int:
    """Return the most calls in any interval of that length, both ends included."""
    return max(bisect_left(times, start + seconds + 1e-9) - i for i, start in enumerate(times))


arrival_times = st.lists(st.floats(0, 30), max_size=120).map(sorted)


@pytest.mark.slow
@settings(max_examples=200)
@given(
    limit=st.integers(1, 40),
    per=st.floats(0.5, 20),
    burst=st.integers(1, 50),
    arrivals=arrival_times,
)
@example(limit=1, per=1.0, burst=1, arrivals=[0.0] * 5)
@example(limit=20, per=10.0, burst=20, arrivals=[0.0] * 100)
@example(limit=20, per=10.0, burst=5, arrivals=[0.0] * 60 + [29.0] * 30)
def test_no_window_holds_more_than_the_limit_and_no_moment_more_than_the_burst(
    limit: int, per: float, burst: int, arrivals: list[float]
) -> None:
    times = left(limit, per, burst, arrivals)
    if times:
        assert most_within(times, per) <= limit
        assert most_within(times, 0.0) <= min(limit, burst)
    assert all(time >= arrival - 1e-9 for time, arrival in zip(times, arrivals, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("per", "least"), [(60.0, 0.98), (3.0, 0.98), (0.5, 0.90)])
def test_a_busy_caller_uses_nearly_the_whole_budget(per: float, least: float) -> None:
    times = left(500, per, 20, [0.0] * 5001)
    used = 5000 / (times[-1] / per * 500)
    assert least <= used <= 1.0


def test_calls_that_keep_below_the_budget_never_wait() -> None:
    arrivals = [index * 0.13 for index in range(400)]
    assert left(500, 60.0, 20, arrivals) == pytest.approx(arrivals)


def test_after_the_burst_calls_leave_one_by_one() -> None:
    times = left(60, 60.0, 5, [0.0] * 8)
    assert times[:5] == [0.0] * 5
    assert times[5:] == pytest.approx([1.01, 2.02, 3.03])


def test_a_burst_comes_back_after_a_rest() -> None:
    times = left(60, 60.0, 5, [0.0] * 5 + [30.0] * 6)
    assert times[5:10] == [30.0] * 5
    assert times[10] == pytest.approx(31.01)


def test_who_is_cancelled_while_waiting_takes_nothing_from_the_others() -> None:
    async def main() -> float:
        gate = RateLimiter(60, 60.0, 1, virtualtime.now)
        await gate.acquire()
        waiting = [asyncio.create_task(gate.acquire()) for _ in range(100)]
        await asyncio.sleep(0.5)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await gate.acquire()
        return asyncio.get_running_loop().time()

    assert virtualtime.run(main()) == pytest.approx(1.01)


def test_reads_and_writes_do_not_wait_for_each_other() -> None:
    async def main() -> float:
        budget = RateBudget(reads=1, writes=2, per=10.0, clock=virtualtime.now)
        for effect in (Effect.READ, Effect.SEND, Effect.UPLOAD):
            await budget.limiter(effect).acquire()
        return asyncio.get_running_loop().time()

    assert virtualtime.run(main()) == 0.0


@pytest.mark.parametrize("limit", [None, 1000], ids=["no limit", "a limit"])
def test_a_pause_holds_back_waiting_and_new_calls(limit: int | None) -> None:
    async def main() -> list[float]:
        gate = RateLimiter(limit, 60.0, 20, virtualtime.now)
        gate.pause_for(5.0)
        gate.pause_for(2.0)  # the longest counts
        waiting = asyncio.create_task(leaving(gate, [0.0, 1.0, 6.0]))
        await asyncio.sleep(4.0)
        gate.pause_for(3.0)
        return await waiting

    assert virtualtime.run(main()) == [7.0, 7.0, 7.0]


def test_one_budget_serves_several_loops_in_turn() -> None:
    gate = RateLimiter(100, 0.5, 1)
    for _ in range(3):
        asyncio.run(asyncio.wait_for(leaving(gate, [0.0]), 5))
        asyncio.run(asyncio.wait_for(leaving(gate, [0.0, 0.0]), 5))  # contended, for the lock


# --- shares --------------------------------------------------------------------------------

SHARES = {
    "all of it": (RateBudget(), 1, "RateBudget(reads=500, writes=500, per=60.0, burst=20)"),
    "a half": (RateBudget(), 2, "RateBudget(reads=250, writes=250, per=60.0, burst=10)"),
    "rounded down": (RateBudget(), 7, "RateBudget(reads=71, writes=71, per=60.0, burst=2)"),
    "a burst of one": (RateBudget(), 30, "RateBudget(reads=16, writes=16, per=60.0, burst=1)"),
    "one side": (RateBudget(None, 9), 3, "RateBudget(reads=None, writes=3, per=60.0, burst=6)"),
    "none": (RateBudget(None, None), 8, "RateBudget(reads=None, writes=None, per=60.0, burst=2)"),
}  # fmt: skip


@pytest.mark.parametrize(("budget", "n", "share"), SHARES.values(), ids=SHARES)
def test_a_share_is_a_part_for_each_of_n(budget: RateBudget, n: int, share: str) -> None:
    assert repr(budget.share(n)) == share


@pytest.mark.parametrize("n", [0, -1, 501, 1.5, True, "2"])
def test_what_cannot_be_divided_is_refused(n: int) -> None:
    with pytest.raises(RuleError, match=r"shares of a rate budget: found .*, allowed: 1 to 500"):
        RateBudget().share(n)


WRONG: list[Callable[[], object]] = [
    lambda: RateBudget(reads=0),
    lambda: RateBudget(reads=1.5),  # type: ignore[arg-type]
    lambda: RateBudget(writes=-1),
    lambda: RateBudget(writes=True),
    lambda: RateBudget(burst=0),
    lambda: RateBudget(per=0),
    lambda: RateBudget(per=float("nan")),
    lambda: RateBudget(per=float("inf")),
    lambda: Client("a-token", budget=500),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("make", WRONG)
def test_what_is_no_budget_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(RuleError, match=r"found .*, allowed"):
        make()


# --- with a client -------------------------------------------------------------------------


# The server's windows are a little shorter than ours: the machine that runs the tests may be busy.


@pytest.mark.slow
async def test_a_client_keeps_to_its_budget_and_meets_no_429(sandbox: Sandbox) -> None:
    sandbox.rate = RateLimit(reads=40, writes=40, per=0.7)
    budget = RateBudget(reads=40, writes=40, per=1.0, burst=5)
    pack = next(iter(sandbox.market.packs))
    async with Client(sandbox.token, base_url=sandbox.url, budget=budget) as client:
        await asyncio.gather(*(client.packs.page(pack) for _ in range(60)))
    assert sandbox.rate.rejections == {"reads": 0, "writes": 0}
    assert sandbox.rate.accepted["reads"] == 60


@pytest.mark.slow
async def test_clients_of_one_application_share_a_budget(sandbox: Sandbox) -> None:
    sandbox.rate = RateLimit(reads=20, writes=20, per=0.7)
    budget = RateBudget(reads=20, writes=20, per=1.0, burst=5)
    pack = next(iter(sandbox.market.packs))
    async with (
        Client(sandbox.token, base_url=sandbox.url, budget=budget) as one,
        Client(sandbox.token, base_url=sandbox.url, budget=budget) as other,
    ):
        calls = [client.packs.page(pack) for client in (one, other) for _ in range(20)]
        await asyncio.gather(*calls)
    assert sandbox.rate.rejections == {"reads": 0, "writes": 0}


def test_each_client_has_its_own_budget_by_default() -> None:
    one, other, none = Client("a-token"), Client("a-token"), Client("a-token", budget=None)
    budgets = [client._session._budget for client in (one, other, none)]
    assert [repr(budget) for budget in budgets[:2]] == [repr(RateBudget())] * 2
    assert budgets[0] is not budgets[1]
    assert "reads=None, writes=None" in repr(budgets[2])


@pytest.mark.parametrize("budget", [None, RateBudget()], ids=["no budget", "a budget"])
async def test_a_429_holds_back_the_others_too(budget: RateBudget | None, sandbox: Sandbox) -> None:
    """The one that met it waits, and no other read leaves meanwhile; a write does."""
    pack = next(iter(sandbox.market.packs))
    sandbox.inject(Fault(status=429, headers={"Retry-After": "0.2"}))
    refused = asyncio.Event()
    async with Client(
        sandbox.token,
        base_url=sandbox.url,
        budget=budget,
        retry=RetryPolicy(base=0),
        on_event=lambda _: refused.set(),
    ) as client:
        loop = asyncio.get_running_loop()
        first = asyncio.create_task(client.packs.page(pack))
        await refused.wait()
        met = loop.time()
        await client.packs.send(pack, "a write is another budget")
        assert [request.method for request in sandbox.requests] == ["GET", "POST"]
        await client.packs.page(pack)
        assert loop.time() - met >= 0.15
        await first
    assert [request.method for request in sandbox.requests] == ["GET", "POST", "GET", "GET"]


async def test_a_429_that_asks_for_too_long_holds_nobody() -> None:
    script = in_turn(answers(429, b"", "Retry-After: 61"), answers(200, PAGE))
    async with raw_server(script) as server, Client(TOKEN, base_url=server.url) as client:
        with pytest.raises(RateLimited):
            await client.packs.page(1)
        async with asyncio.timeout(2):
            await client.packs.page(1)


async def test_the_last_429_of_a_call_holds_the_others_as_long_as_it_asks() -> None:
    script = in_turn(answers(429, b"", "Retry-After: 0.2"), answers(200, PAGE))
    once = RetryPolicy(attempts=1)
    async with (
        raw_server(script) as server,
        Client(TOKEN, base_url=server.url, budget=None, retry=once) as client,
    ):
        with pytest.raises(RateLimited):
            await client.packs.page(1)
        met = asyncio.get_running_loop().time()
        await client.packs.page(1)
        assert asyncio.get_running_loop().time() - met >= 0.15


@pytest.mark.slow
async def test_waiting_for_the_budget_does_not_use_up_the_deadline() -> None:
    budget = RateBudget(reads=1, writes=1, per=0.2, burst=1)
    script = in_turn(answers(200, PAGE), answers(500), answers(200, PAGE))
    retry = RetryPolicy(base=0, deadline=0.15)
    async with (
        raw_server(script) as server,
        Client(TOKEN, base_url=server.url, budget=budget, retry=retry) as client,
    ):
        await client.packs.page(1)
        await client.packs.page(1)
    assert server.requests == 3


@pytest.mark.slow
async def test_a_token_is_requested_when_the_budget_admits_the_call() -> None:
    """Otherwise the last call of a long queue would be sent with an expired token."""
    asked: list[float] = []
    loop = asyncio.get_running_loop()

    async def token() -> str:
        asked.append(loop.time())
        return "a-token"

    budget = RateBudget(reads=5, writes=5, per=0.5, burst=1)
    script = in_turn(*[answers(200, PAGE)] * 4)
    async with (
        raw_server(script) as server,
        Client(token, base_url=server.url, budget=budget, max_connections=1) as client,
    ):
        await asyncio.gather(*(client.packs.page(1) for _ in range(4)))
    assert asked[-1] - asked[0] >= 0.25


async def test_the_last_429_holds_the_others_a_little_without_a_retry_after() -> None:
    script = in_turn(answers(429), answers(200, PAGE))
    once = RetryPolicy(attempts=1, base=0.2)
    async with (
        raw_server(script) as server,
        Client("a-token", base_url=server.url, budget=None, retry=once) as client,
    ):
        loop = asyncio.get_running_loop()
        with pytest.raises(RateLimited):
            await client.packs.page(1)
        met = loop.time()
        await client.packs.page(1)
        assert loop.time() - met >= 0.15
