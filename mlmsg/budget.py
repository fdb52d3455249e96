"""The rate budget: when a call may leave.

Mercado Libre counts the requests of an application, reads and writes apart, and refuses what is too
many with a 429. Waiting here instead costs no request, and a job that waits evenly meets none.
"""

import asyncio
import math
from collections import deque

from .errors import RuleError
from .policy import Effect

__all__ = ["RateBudget", "RateLimiter"]


class RateBudget:
    """How many calls may leave: reads and writes apart, evenly, with a small burst.

    Uploads and sends are writes, all else is a read; requests for a token are not counted. In no
    `per` seconds are more calls let go than allowed, and after `burst` at once they are let go one
    by one; those that then wait for a free connection leave later. A 429 to a read holds back all
    reads on this budget, one to a write all writes, not only the call that met it.

    Clients of one application share one budget: pass the same object to each. Processes share it by
    number: `RateBudget().share(4)` in each of four. A budget can be pickled; what has been used of
    it is not, and each copy counts for itself.
    """

    def __init__(
        self,
        reads: int | None = 500,
        writes: int | None = 500,
        per: float = 60.0,
        burst: int = 20,
    ) -> None:
        """The limits that other editions of the API's documents name, unless told otherwise.

        Args:
            reads: Reading calls in `per` seconds; None for no limit.
            writes: Writing calls in `per` seconds; None for no limit.
            per: Seconds.
            burst: Calls that may leave at once after a rest, of each kind.

        Raises:
            RuleError: An argument is no number that can limit anything.
        """
        for name, value in (("reads", reads), ("writes", writes), ("burst", burst)):
            unlimited = value is None and name != "burst"
            if not (unlimited or (type(value) is int and 1 <= value <= MAX_LIMIT)):
                raise RuleError(
                    f"`{name}` of a rate budget", repr(value), f"an int, 1 to {MAX_LIMIT}"
                )
        if type(per) not in {int, float} or not 0 < per < math.inf:
            raise RuleError("`per` of a rate budget", repr(per), "seconds over 0")
        self._terms = (reads, writes, per, burst)
        self._reads = RateLimiter(reads, per, burst)
        self._writes = RateLimiter(writes, per, burst)

    def __repr__(self) -> str:
        reads, writes, per, burst = self._terms
        return f"RateBudget(reads={reads}, writes={writes}, per={per}, burst={burst})"

    def __reduce__(self) -> tuple[type["RateBudget"], tuple[int | None, int | None, float, int]]:
        return RateBudget, self._terms

    def share(self, n: int) -> "RateBudget":
        """A new budget with an `n`-th of this one, for each of `n` processes.

        Raises:
            RuleError: `n` is under 1, or over what there is to divide.
        """
        reads, writes, per, burst = self._terms
        most = min(limit for limit in (reads, writes, math.inf) if limit is not None)
        if type(n) is not int or not 1 <= n <= most:
            raise RuleError("shares of a rate budget", repr(n), f"1 to {most}")
        parts = [limit and limit // n for limit in (reads, writes)]
        return RateBudget(parts[0], parts[1], per, max(1, burst // n))

    def limiter(self, effect: Effect) -> "RateLimiter":
        """Where a call with that effect has to wait."""
        return self._reads if effect is Effect.READ else self._writes


class RateLimiter:
    """One of the two budgets: lets calls through in order, each no sooner than it may leave.

    Two things bound them. They leave evenly, one after each gap, but for a burst after a rest (the
    generic cell rate algorithm); and the last `limit` of them fill a window, so that a burst does
    not come on top of a full minute.
    """

    def __init__(self, limit: int | None, per: float, burst: int) -> None:
        # What leaves within a window may arrive within less: the network is not even.
        self._window = per + max(per * _MARGIN, _JITTER)
        self._gap = self._window / limit if limit else 0.0
        self._slack = self._gap * (burst - 1)
        self._left: deque[float] = deque(maxlen=limit or 0)
        self._even = -math.inf
        self._held = -math.inf
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = asyncio.Lock()

    async def acquire(self) -> None:
        """Returns when one more call may leave, and counts it."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now >= self._free() and not self._turn.locked():
            self._count(now)
            return
        if loop is not self._loop:  # a lock serves one loop, a budget may serve several in turn
            self._loop, self._turn = loop, asyncio.Lock()
        async with self._turn:
            # A clock sets no event, and another 429 may have moved the time on.
            while (wait := self._free() - loop.time()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(wait)
            self._count(loop.time())

    def pause_for(self, seconds: float) -> None:
        """Lets nobody through for so long."""
        self._held = max(self._held, asyncio.get_running_loop().time() + seconds)

    def _free(self) -> float:
        """When the next call may leave."""
        full = bool(self._left) and len(self._left) == self._left.maxlen
        fits = self._left[0] + self._window if full else -math.inf
        return max(self._held, self._even - self._slack, fits)

    def _count(self, now: float) -> None:
        self._even = max(self._even, now) + self._gap
        self._left.append(now)


MAX_LIMIT = 1_000_000

_MARGIN = 0.01
_JITTER = 0.05
"""By how much a window is longer than `per`: a part of it, and seconds at least."""
