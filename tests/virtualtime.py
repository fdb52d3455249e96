"""An event loop in virtual time: its clock moves only while every task is waiting."""

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
    """An event loop whose sleeps advance the clock and take no real time; it has only timers."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def now() -> float:
    """Return the time of the running loop: a clock for what counts time by itself."""
    return asyncio.get_running_loop().time()


def run(main: Coroutine[object, object, T]) -> T:
    """Run `main` in virtual time from 0.0, and return its result."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
