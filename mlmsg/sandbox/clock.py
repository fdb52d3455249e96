"""The sandbox's time, which a test can move forward instead of sleeping."""

from collections.abc import Callable
from time import monotonic

__all__ = ["Clock"]


class Clock:
    """Seconds since some moment: real time, plus what it was advanced by.

    Access tokens expire by it, and a RateLimit counts by it. Over a `base` that stands still,
    such as `Clock(lambda: 0.0)`, time passes only by `advance`.
    """

    def __init__(self, base: Callable[[], float] = monotonic) -> None:
        self._base = base
        self._offset = 0.0

    def now(self) -> float:
        """The present moment, in seconds; only differences mean something."""
        return self._base() + self._offset

    def advance(self, seconds: float) -> None:
        """Move forward; ValueError if it would be backward."""
        if not seconds >= 0:
            raise ValueError(f"a clock advances 0 or more seconds, not {seconds}")
        self._offset += seconds
