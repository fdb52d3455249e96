"""A rate limit on demand: the number of requests that the sandbox accepts before a 429."""

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from typing import Literal

from mlmsg.sandbox._http.responses import Response, json_response

__all__ = ["Kind", "RateLimit"]

Kind = Literal["reads", "writes"]
"""The kind of a request: a GET is a read, every other method a write."""

_BURST_SECONDS = 1.0
_BODY = {
    "message": "Too many requests",
    "error": "too_many_requests",
    "status": 429,
    "cause": [],
}


def _no_counts() -> dict[Kind, int]:
    return {"reads": 0, "writes": 0}


def _no_arrivals() -> dict[Kind, list[float]]:
    return {"reads": [], "writes": []}


@dataclass(slots=True)
class RateLimit:
    """A limit on the requests within the last `per` seconds, by the sandbox's clock.

    The window slides: it ends at the arrival of each request. The API documents 500 reading and
    500 writing calls a minute for one application, and neither a header nor a body of its 429.
    The sandbox's own choices: the sliding window, the body, that rejected requests do not count,
    and that all tokens belong to one application.

    Attributes:
        reads: The number of GETs that are accepted within `per` seconds; 0 for none.
        writes: The number of requests of any other method.
        per: The length of the window, in seconds.
        retry_after: The seconds in the header `Retry-After` of a 429; None for no header.
        burst: The number of requests that are accepted within one second, reads and writes
            together; None for no such limit.
        accepted: The number of accepted requests, by `Kind`.
        rejections: The number of requests that were answered with 429, by `Kind`.
    """

    reads: int = 500
    writes: int = 500
    per: float = 60.0
    retry_after: int | None = None
    burst: int | None = None
    accepted: dict[Kind, int] = field(default_factory=_no_counts, init=False)
    rejections: dict[Kind, int] = field(default_factory=_no_counts, init=False)
    # The arrivals of accepted requests, oldest first, as far back as a limit needs them.
    _arrivals: dict[Kind, list[float]] = field(default_factory=_no_arrivals, init=False, repr=False)

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

    def admit(self, method: str, now: float) -> bool:
        """Count one more request; return True if it is within the limit.

        Args:
            method: The method, such as `GET`.
            now: The time of its arrival in seconds, never earlier than the previous one.
        """
        kind: Kind = "reads" if method == "GET" else "writes"
        if not self._has_room(kind, now):
            self.rejections[kind] += 1
            return False
        arrivals = self._arrivals[kind]
        del arrivals[: bisect_right(arrivals, now - max(self.per, _BURST_SECONDS))]
        arrivals.append(now)
        self.accepted[kind] += 1
        return True

    def response(self) -> Response:
        """Return the 429 of a rejected request."""
        response = json_response(_BODY, 429)
        if self.retry_after is None:
            return response
        return replace(response, headers={**response.headers, "Retry-After": str(self.retry_after)})

    def _has_room(self, kind: Kind, now: float) -> bool:
        limit = self.reads if kind == "reads" else self.writes
        if self._count_since(kind, now - self.per) >= limit:
            return False
        if self.burst is None:
            return True
        start = now - _BURST_SECONDS
        return self._count_since("reads", start) + self._count_since("writes", start) < self.burst

    def _count_since(self, kind: Kind, start: float) -> int:
        # An arrival exactly one window ago is outside of the window.
        arrivals = self._arrivals[kind]
        return len(arrivals) - bisect_right(arrivals, start)
