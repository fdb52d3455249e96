"""A rate limit on demand: how many requests the sandbox takes before it answers with 429."""

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from typing import Literal

from mlmsg.sandbox._answers import Answer, json_answer

__all__ = ["Kind", "RateLimit"]

Kind = Literal["reads", "writes"]
"""What a request counts as: a GET is a read, every other method a write."""

_SECOND = 1.0
_BODY = {
    "message": "Too many requests",
    "error": "too_many_requests",
    "status": 429,
    "cause": [],
}


def _none() -> dict[Kind, int]:
    return {"reads": 0, "writes": 0}


def _empty() -> dict[Kind, list[float]]:
    return {"reads": [], "writes": []}


@dataclass(slots=True)
class RateLimit:
    """At most so many requests within the last `per` seconds, by the sandbox's clock.

    It is a window that slides: each request looks back from its own arrival. The API documents
    500 reading and 500 writing calls a minute for all of an application, and neither a header nor
    a body of its 429. The sandbox's own choices: the sliding window, that body, that refused
    requests take no room, and that all tokens are one application.

    Attributes:
        reads: How many GETs it takes within `per` seconds; 0 for none at all.
        writes: How many requests of any other method.
        per: The length of the window, in seconds.
        retry_after: Seconds for the header `Retry-After` of a 429; None for no such header.
        burst: How many requests it takes within one second, reads and writes together; None for
            as many as the window has room for.
        accepted: How many requests found room, by `Kind`.
        refused: How many were answered with 429, by `Kind`.
    """

    reads: int = 500
    writes: int = 500
    per: float = 60.0
    retry_after: int | None = None
    burst: int | None = None
    accepted: dict[Kind, int] = field(default_factory=_none, init=False)
    refused: dict[Kind, int] = field(default_factory=_none, init=False)
    # When the accepted requests arrived, oldest first, as far back as the limits look.
    _arrivals: dict[Kind, list[float]] = field(default_factory=_empty, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.per > 0:
            raise ValueError(f"per must be more than 0 seconds, not {self.per}")
        for name, number in (
            ("reads", self.reads),
            ("writes", self.writes),
            ("retry_after", self.retry_after),
            ("burst", self.burst),
        ):
            if number is not None and number < 0:
                raise ValueError(f"{name} must be 0 or more, not {number}")

    def admits(self, method: str, now: float) -> bool:
        """Whether there is room for one more request; it is counted either way.

        Args:
            method: Such as `GET`.
            now: The moment of its arrival in seconds, never earlier than the one before.
        """
        kind: Kind = "reads" if method == "GET" else "writes"
        if not self._has_room(kind, now):
            self.refused[kind] += 1
            return False
        arrivals = self._arrivals[kind]
        del arrivals[: bisect_right(arrivals, now - max(self.per, _SECOND))]
        arrivals.append(now)
        self.accepted[kind] += 1
        return True

    def answer(self) -> Answer:
        """The 429 of a request it has no room for."""
        answer = json_answer(_BODY, 429)
        if self.retry_after is None:
            return answer
        return replace(answer, headers={**answer.headers, "Retry-After": str(self.retry_after)})

    def _has_room(self, kind: Kind, now: float) -> bool:
        limit = self.reads if kind == "reads" else self.writes
        if self._since(kind, now - self.per) >= limit:
            return False
        if self.burst is None:
            return True
        start = now - _SECOND
        return self._since("reads", start) + self._since("writes", start) < self.burst

    def _since(self, kind: Kind, start: float) -> int:
        # What arrived exactly one window ago is outside of it.
        arrivals = self._arrivals[kind]
        return len(arrivals) - bisect_right(arrivals, start)
