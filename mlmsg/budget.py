"""Limit the rate of calls on this side, so that the server does not have to.

Mercado Libre counts the requests of an application, reads and writes apart, and answers 429 to
those over the limit. A wait on this side costs no request, and a job that spreads its calls evenly
meets no 429.
"""

import asyncio
import math
from collections import deque

from ._arguments import check_int, check_seconds
from .policy import Effect

__all__ = ["RateBudget", "RateLimiter"]

MAX_LIMIT = 1_000_000
"""Calls of the largest limit: each limiter remembers as many times."""

MIN_MARGIN_SECONDS = 0.05
MARGIN_RATIO = 0.01
"""Added to each window: calls that leave within it may arrive within less time."""


class RateBudget:
    """The number of calls that may leave in a time: reads and writes apart, with a small burst.

    Uploads and sends are writes, all other calls are reads; requests for a token are not counted.
    In no window of `per` seconds do more calls leave than allowed. After `burst` calls at once they
    leave one by one. A call that then waits for a free connection leaves later. A 429 to a read
    pauses all reads on this budget, a 429 to a write all writes, not only the call that met it.

    Clients of one application share one budget: pass the same object to each. Processes divide it:
    `RateBudget().share(4)` in each of four. A budget can be pickled. Its usage is not pickled, and
    each copy counts for itself.
    """

    def __init__(
        self,
        reads: int | None = 500,
        writes: int | None = 500,
        per: float = 60.0,
        burst: int = 20,
    ) -> None:
        """Set the limits. The defaults are those that other editions of the API's documents name.

        Args:
            reads: Reading calls in `per` seconds; None for no limit.
            writes: Writing calls in `per` seconds; None for no limit.
            per: Seconds of the window.
            burst: Calls of each kind that may leave at once after a rest.

        Raises:
            RuleError: An argument is not a number that can limit calls.
        """
        for name, value in (("reads", reads), ("writes", writes), ("burst", burst)):
            if value is not None or name == "burst":
                check_int(f"`{name}` of a rate budget", value, 1, MAX_LIMIT)
        check_seconds("`per` of a rate budget", per)
        self._limits = (reads, writes, per, burst)
        self._reads = RateLimiter(reads, per, burst)
        self._writes = RateLimiter(writes, per, burst)

    def __repr__(self) -> str:
        reads, writes, per, burst = self._limits
        return f"RateBudget(reads={reads}, writes={writes}, per={per}, burst={burst})"

    def __reduce__(self) -> tuple[type["RateBudget"], tuple[int | None, int | None, float, int]]:
        return RateBudget, self._limits

    def share(self, n: int) -> "RateBudget":
        """Return a new budget with an `n`-th of this one, for each of `n` processes.

        Raises:
            RuleError: `n` is under 1, or over the calls that there are to divide.
        """
        reads, writes, per, burst = self._limits
        check_int(
            "shares of a rate budget",
            n,
            1,
            min((limit for limit in (reads, writes) if limit is not None), default=None),
        )
        parts = [limit and limit // n for limit in (reads, writes)]
        return RateBudget(parts[0], parts[1], per, max(1, burst // n))

    def limiter(self, effect: Effect) -> "RateLimiter":
        """Return the limiter that a call with this effect has to pass."""
        return self._reads if effect is Effect.READ else self._writes


class RateLimiter:
    """Let calls of one kind leave in the order of their arrival, each no sooner than allowed.

    Two rules delay a call. Calls leave evenly, one after each gap, except for a burst after a rest
    (the generic cell rate algorithm). And the last `limit` calls fill a window, so that a burst
    does not come on top of a full minute.
    """

    def __init__(self, limit: int | None, per: float, burst: int) -> None:
        self._window = per + max(per * MARGIN_RATIO, MIN_MARGIN_SECONDS)
        self._gap = self._window / limit if limit else 0.0
        self._tolerance = self._gap * (burst - 1)
        self._departures: deque[float] = deque(maxlen=limit or 0)
        self._even_time = -math.inf  # when the next call would leave at an even rate
        self._paused_until = -math.inf
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = asyncio.Lock()

    async def acquire(self) -> None:
        """Wait until one more call may leave, and count it."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now >= self._next_departure() and not self._turn.locked():
            self._count(now)
            return
        if loop is not self._loop:  # a lock serves one loop, a budget may serve several in turn
            self._loop, self._turn = loop, asyncio.Lock()
        async with self._turn:
            # A timer sets no event, and another 429 may have extended the pause meanwhile.
            while (wait := self._next_departure() - loop.time()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(wait)
            self._count(loop.time())

    def pause_for(self, seconds: float) -> None:
        """Let no call leave for that many seconds; of two pauses the one that ends later counts."""
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + seconds)

    def _next_departure(self) -> float:
        is_full = bool(self._departures) and len(self._departures) == self._departures.maxlen
        window_end = self._departures[0] + self._window if is_full else -math.inf
        return max(self._paused_until, self._even_time - self._tolerance, window_end)

    def _count(self, now: float) -> None:
        self._even_time = max(self._even_time, now) + self._gap
        self._departures.append(now)
