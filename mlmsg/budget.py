"""Limit the rate of calls on this side, so that the server does not have to.

Mercado Libre counts the requests of an application, reads and writes apart, and answers 429 to
those over the limit. A wait on this side costs no request, and a job that spreads its calls evenly
meets no 429.

A budget is one per process. Its pickle carries an identity, and a process that unpickles the same
budget again gets the one that it has. So the shards of a job that run one after the other in one
process share one budget, whether they run in one event loop, in an event loop each, or in threads.
"""

import asyncio
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import ClassVar, TypeAlias
from uuid import uuid4
from weakref import WeakValueDictionary

from ._arguments import check_int, check_seconds
from .policy import Effect

__all__ = ["RateBudget", "RateLimiter"]

MAX_LIMIT = 1_000_000
"""Calls of the largest limit: each limiter remembers as many times."""

MIN_MARGIN_SECONDS = 0.05
MARGIN_RATIO = 0.01
"""Added to each window: calls that leave within it may arrive within less time."""

_LOCK = threading.RLock()
"""Guards the bookkeeping of all budgets. It is never held during a wait."""

if hasattr(os, "register_at_fork"):
    # A forked process must not inherit a lock that another thread held at that moment.
    os.register_at_fork(
        before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release
    )

_Limits: TypeAlias = tuple[int | None, int | None, float, int]


class RateBudget:
    """The number of calls that may leave in a time: reads and writes apart, with a small burst.

    Uploads and sends are writes, all other calls are reads; requests for a token are not counted.
    In no window of `per` seconds do more calls leave than allowed. After `burst` calls at once they
    leave one by one. A call that then waits for a free connection leaves later. A 429 to a read
    pauses all reads on this budget, a 429 to a write all writes, not only the call that met it.

    Clients of one application share one budget: pass the same object to each, from any event loop
    or thread. Processes divide it: `RateBudget().share(4)` in each of four.

    A budget can be pickled and copied. In one process all its copies are the same budget, also
    after a rest in which none of them was referenced. In another process the first copy starts
    unused, and counts for that process.
    """

    _by_identity: ClassVar["WeakValueDictionary[str, RateBudget]"] = WeakValueDictionary()
    """The budgets of this process that were pickled or unpickled."""

    _usage: ClassVar[dict[str, tuple["RateLimiter", ...]]] = {}
    """Their limiters, which outlive them: the next copy goes on counting where the last one was."""

    def __init__(
        self,
        reads: int | None = 500,
        writes: int | None = 500,
        per: float = 60.0,
        burst: int = 20,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set the limits. The defaults are those that other editions of the API's documents name.

        Args:
            reads: Reading calls in `per` seconds; None for no limit.
            writes: Writing calls in `per` seconds; None for no limit.
            per: Seconds of the window.
            burst: Calls of each kind that may leave at once after a rest.
            clock: Returns monotonic seconds; for tests.

        Raises:
            RuleError: An argument is not a number that can limit calls.
        """
        reads = None if reads is None else _check_calls("reads", reads)
        writes = None if writes is None else _check_calls("writes", writes)
        burst = _check_calls("burst", burst)
        check_seconds("`per` of a rate budget", per)
        self._limits = (reads, writes, per, burst)
        self._limiters = tuple(RateLimiter(limit, per, burst, clock) for limit in (reads, writes))
        self._identity = ""  # set by the first pickling

    def __repr__(self) -> str:
        reads, writes, per, burst = self._limits
        return f"RateBudget(reads={reads}, writes={writes}, per={per}, burst={burst})"

    def __reduce__(self) -> "tuple[Callable[[str, _Limits], RateBudget], tuple[str, _Limits]]":
        with _LOCK:
            if not self._identity:
                self._register(uuid4().hex)
        return RateBudget._restore, (self._identity, self._limits)

    @classmethod
    def _restore(cls, identity: str, limits: _Limits) -> "RateBudget":
        """Return the budget of this identity: the one of this process, or a new one."""
        with _LOCK:
            budget = cls._by_identity.get(identity)
            if budget is None:
                budget = RateBudget(*limits)
                budget._register(identity)
            return budget

    def _register(self, identity: str) -> None:
        self._forget_idle()
        self._identity = identity
        self._by_identity[identity] = self
        self._limiters = self._usage.setdefault(identity, self._limiters)

    @classmethod
    def _forget_idle(cls) -> None:
        """Drop the limiters of budgets that nobody references, and that would delay no call."""
        for identity, limiters in list(cls._usage.items()):
            if identity not in cls._by_identity and all(one.is_idle() for one in limiters):
                del cls._usage[identity]

    def share(self, n: int) -> "RateBudget":
        """Return a new budget with an `n`-th of this one, for each of `n` processes.

        It has an identity of its own: its copies in one process are one budget, apart from this.

        Raises:
            RuleError: `n` is under 1, or over the calls that there are to divide.
        """
        reads, writes, per, burst = self._limits
        most = min((limit for limit in (reads, writes) if limit is not None), default=None)
        n = check_int("shares of a rate budget", n, 1, most)
        parts = [limit and limit // n for limit in (reads, writes)]
        return RateBudget(parts[0], parts[1], per, max(1, burst // n))

    @property
    def waiting(self) -> int:
        """The number of calls in this process that wait for the limits now."""
        return sum(limiter.waiting for limiter in self._limiters)

    def limiter(self, effect: Effect) -> "RateLimiter":
        """Return the limiter that a call with this effect has to pass."""
        reads, writes = self._limiters
        return reads if effect is Effect.READ else writes


def _check_calls(name: str, value: int) -> int:
    return check_int(f"`{name}` of a rate budget", value, 1, MAX_LIMIT)


class RateLimiter:
    """Let calls of one kind leave in the order of their arrival, each no sooner than allowed.

    Two rules delay a call. Calls leave evenly, one after each gap, except for a burst after a rest
    (the generic cell rate algorithm). And the last `limit` calls fill a window, so that a burst
    does not come on top of a full minute.
    """

    def __init__(
        self,
        limit: int | None,
        per: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._window = per + max(per * MARGIN_RATIO, MIN_MARGIN_SECONDS)
        self._gap = self._window / limit if limit else 0.0
        self._tolerance = self._gap * (burst - 1)
        self._departures: deque[float] = deque(maxlen=limit or 0)
        self._even_time = -math.inf  # when the next call would leave at an even rate
        self._paused_until = -math.inf
        self._turns: dict[asyncio.AbstractEventLoop, _Turn] = {}

    def try_acquire(self) -> bool:
        """Count one more call and return True if it may leave now. Otherwise use `acquire`."""
        is_first = not self._turns or asyncio.get_running_loop() not in self._turns
        return is_first and self._depart() <= 0

    async def acquire(self) -> None:
        """Wait until one more call may leave, and count it.

        The calls of one event loop leave in the order of their arrival. Calls of several loops
        compete: waiting in one order would let a loop that is blocked delay all others.
        """
        if self.try_acquire():
            return
        loop = asyncio.get_running_loop()
        turn = self._turns.setdefault(loop, _Turn())
        turn.waiting += 1
        try:
            async with turn.lock:
                # A timer sets no event, and another call or 429 may have come first meanwhile.
                while (wait := self._depart()) > 0:  # noqa: ASYNC110
                    await asyncio.sleep(wait)
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[loop]  # a lock references its event loop, which must not stay

    @property
    def waiting(self) -> int:
        """The number of calls that wait to leave now."""
        return sum(turn.waiting for turn in list(self._turns.values()))

    def pause_for(self, seconds: float) -> None:
        """Let no call leave for that many seconds; of two pauses the one that ends later counts."""
        with _LOCK:
            self._paused_until = max(self._paused_until, self._clock() + seconds)

    def is_idle(self) -> bool:
        """Return True if neither an earlier call nor a pause can delay a later call."""
        last = self._departures[-1] + self._window if self._departures else -math.inf
        return self._clock() >= max(last, self._even_time, self._paused_until)

    def _depart(self) -> float:
        """Count a call and return 0.0 if it may leave now; otherwise return the seconds to wait."""
        with _LOCK:
            now, departures = self._clock(), self._departures
            earliest = max(self._paused_until, self._even_time - self._tolerance)
            if departures and len(departures) == departures.maxlen:
                earliest = max(earliest, departures[0] + self._window)
            if earliest > now:
                return earliest - now
            self._even_time = max(self._even_time, now) + self._gap
            departures.append(now)
            return 0.0


class _Turn:
    """The calls of one event loop that wait. The first one holds the lock."""

    __slots__ = ("lock", "waiting")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0
