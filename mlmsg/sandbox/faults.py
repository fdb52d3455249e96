"""Faults on demand: what a test asks the sandbox to get wrong, and in which order."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import msgspec

from mlmsg.sandbox._answers import JSON, Answer, error_answer

__all__ = ["Action", "Fault", "FaultQueue"]

Action = Literal["answer", "drop", "cut", "lose", "pass"]
"""What a fault does; see `Fault`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong for the next matching request, or the next `times` of them.

    What happens is the `action`:

    - `answer`: `status`, `body` and `headers` in place of the real answer; nothing is done
    - `drop`: nothing is done, the connection is closed without an answer
    - `lose`: the request is carried out, then the connection is closed without an answer
    - `cut`: carried out, half of the real body is sent under its full Content-Length, then closed
      (a body of less than two bytes is not answered at all)
    - `pass`: carried out and really answered: for a `delay` only

    Attributes:
        status: The status of an `answer`.
        body: bytes or a str are sent as they are (text/plain unless `headers` say otherwise),
            any other value as JSON; None is the API's error body for the status.
        headers: Headers of an `answer`.
        times: How many matching requests it is for.
        method: The method it is for; None for all.
        path: A part of the path and query as sent, such as `/attachments` or `offset=50`;
            None for all.
        delay: Seconds of silence between what is done and the answer, or the end, of it.
        early: For `answer` and `drop`: before the request's body is read; closes the connection.
    """

    status: int = 500
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    method: str | None = None
    path: str | None = None
    delay: float = 0.0
    action: Action = "answer"
    early: bool = False

    def __post_init__(self) -> None:
        if self.times < 1:
            raise ValueError(f"times must be at least 1, not {self.times}")
        if self.action not in get_args(Action):
            allowed = ", ".join(get_args(Action))
            raise ValueError(f"action must be one of {allowed}, not {self.action!r}")
        if not 200 <= self.status <= 599:
            raise ValueError(f"status must be 200 to 599, not {self.status}")
        if self.delay < 0:
            raise ValueError(f"delay must be 0 or more seconds, not {self.delay}")

    def matches(self, method: str, target: str) -> bool:
        """Whether it is for a request with this method and this path and query."""
        wanted_method = self.method is None or self.method.upper() == method
        return wanted_method and (self.path is None or self.path in target)

    def answer(self) -> Answer:
        """The answer of a fault whose action is `answer`."""
        if self.body is None:
            answer = error_answer(self.status)
        elif isinstance(self.body, bytes):
            answer = Answer(self.status, self.body, {"Content-Type": "text/plain"})
        elif isinstance(self.body, str):
            plain = {"Content-Type": "text/plain; charset=utf-8"}
            answer = Answer(self.status, self.body.encode(), plain)
        else:
            answer = Answer(self.status, msgspec.json.encode(self.body), JSON)
        # Title case, so that a caller's "content-type" takes the place of ours.
        given = {name.title(): value for name, value in self.headers.items()}
        return replace(answer, headers={**answer.headers, **given}, early=self.early)


class FaultQueue:
    """The faults still to come; the first one that matches a request is taken."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Put a fault behind the others."""
        self._waiting.append(fault)

    def waiting(self) -> tuple[Fault, ...]:
        """The faults still to come, each with the `times` it has left."""
        return tuple(self._waiting)

    def take(self, method: str, target: str) -> Fault | None:
        """The fault for this request, once less in the queue; None if it is spared."""
        for position, fault in enumerate(self._waiting):
            if fault.matches(method, target):
                left = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                self._waiting[position : position + 1] = left
                return fault
        return None
