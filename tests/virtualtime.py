"""An event loop whose clock stands still while anything runs, and jumps while all is waiting."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Sleeps take no time, and as long as they say; there is nothing to wait for but timers."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run(main: Coroutine[object, object, T]) -> T:
    """What `main` returns, in virtual time from 0.0."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
