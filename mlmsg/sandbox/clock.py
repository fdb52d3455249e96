"""The time of the sandbox, which a test can advance instead of sleeping."""

from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic

__all__ = ["Clock", "utc_now"]


def utc_now() -> datetime:
    """Return the present time in UTC, by which a market dates what it adds."""
    return datetime.now(UTC)


class Clock:
    """Real time, plus the seconds by which the clock was advanced.

    Access tokens expire by it, and a RateLimit counts by it. On a constant `base`, such as
    `Clock(lambda: 0.0)`, time passes only through `advance`.
    """

    def __init__(self, base: Callable[[], float] = monotonic) -> None:
        self._base = base
        self._offset = 0.0

    def now(self) -> float:
        """Return the present time in seconds; only differences have a meaning."""
        return self._base() + self._offset

    def advance(self, seconds: float) -> None:
        """Move the time forward.

        Raises:
            ValueError: `seconds` is negative or not a number.
        """
        if not seconds >= 0:
            raise ValueError(f"a clock advances 0 or more seconds, not {seconds}")
        self._offset += seconds
