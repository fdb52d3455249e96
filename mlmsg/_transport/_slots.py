"""Bound the number of exchanges that run at the same time, without ever causing a deadlock."""

import asyncio
from collections import deque

__all__ = ["ConnectionSlots"]


class ConnectionSlots:
    """A first-in, first-out limit on exchanges.

    An exchange holds a slot from its request to the end of its response. While it waits for code of
    the caller (the source of an upload, the reader of a download), its slot is *lent*. If every
    slot is lent, one more exchange is admitted: the caller's code may itself wait for that
    exchange, and would otherwise wait for a slot that only its own progress can release.

    Args:
        limit: Slots; 1 or more.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._lent = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def acquire(self) -> None:
        """Wait for a slot and hold it."""
        if not self._waiting and self._has_room():
            self._held += 1
            return
        admitted = asyncio.get_running_loop().create_future()
        self._waiting.append(admitted)
        try:
            await admitted
        except asyncio.CancelledError:
            if not admitted.cancelled():  # a slot was handed over just before the cancellation
                self.release()
            raise

    def release(self) -> None:
        """Release a slot that is not lent."""
        self._held -= 1
        self._admit()

    def lend(self) -> None:
        """Mark a held slot as waiting for code of the caller."""
        self._lent += 1
        self._admit()

    def take_back(self) -> None:
        """Mark a lent slot as in use again. Never waits."""
        self._lent -= 1

    def admit_all(self) -> None:
        """Hand a slot to everyone who waits, so that all of them see that the client is closed."""
        while self._waiting:
            self._hand_over()

    def _has_room(self) -> bool:
        return self._held < self._limit or self._held == self._lent

    def _admit(self) -> None:
        while self._waiting and self._has_room():
            self._hand_over()

    def _hand_over(self) -> None:
        admitted = self._waiting.popleft()
        if not admitted.done():  # a cancelled call stays in the queue until its turn
            self._held += 1
            admitted.set_result(None)
