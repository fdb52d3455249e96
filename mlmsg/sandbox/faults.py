"""Faults on demand: the failures that a test wants from the sandbox, and their order."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import msgspec

from mlmsg.sandbox._http.responses import Response, error_response, json_response
from mlmsg.sandbox.arguments import (
    check_bool,
    check_int,
    check_number,
    check_optional_text,
    refuse,
)

__all__ = ["Action", "Fault", "FaultQueue"]

Action = Literal["answer", "drop", "cut", "lose", "pass"]
"""The effect of a fault; see `Fault`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A failure of the next matching request, or of the next `times` of them.

    The `action` selects the effect:

    - `answer`: respond with `status`, `body` and `headers`; the request is not executed
    - `drop`: close the connection without a response; the request is not executed
    - `lose`: execute the request, then close the connection without a response
    - `cut`: execute the request, send half of the body under its full Content-Length, then close
      (a body of less than two bytes is not sent at all)
    - `pass`: execute the request and send its response; useful with a `delay`

    Attributes:
        status: The status of an `answer`.
        body: The body of an `answer`. bytes and str are sent as they are (text/plain unless
            `headers` name another type), any other value as JSON; None is the API's error body
            for the status. No body is sent with 204 or 304, or in response to HEAD.
        headers: The headers of an `answer`.
        times: The number of matching requests that fail.
        method: The method of matching requests; None for all.
        path: A part of the path and query of matching requests as they were sent, such as
            `/attachments` or `offset=50`; None for all.
        delay: The seconds of silence before the response, or before the connection closes.
        early: Only for `answer` and `drop`: act before the body of the request is read, and
            close the connection.

    Raises:
        TypeError: An argument has the wrong type, or `body` cannot be sent.
        ValueError: An argument is out of its range.
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
        self._check_types()
        if self.times < 1:
            raise ValueError(f"times must be at least 1, not {self.times}")
        if self.action not in get_args(Action):
            allowed = ", ".join(get_args(Action))
            raise ValueError(f"action must be one of {allowed}, not {self.action!r}")
        if not 200 <= self.status <= 599:
            raise ValueError(f"status must be 200 to 599, not {self.status}")
        if not self.delay >= 0:  # NaN is not
            raise ValueError(f"delay must be 0 or more seconds, not {self.delay}")

    def _check_types(self) -> None:
        check_int("status", self.status)
        check_int("times", self.times)
        check_number("delay", self.delay)
        check_bool("early", self.early)
        for name, text in (("method", self.method), ("path", self.path)):
            check_optional_text(name, text)
        _check_headers(self.headers)
        _check_body(self.body)

    def matches(self, method: str, target: str) -> bool:
        """Return True if the fault applies to this method and this path and query."""
        is_method = self.method is None or self.method.upper() == method
        return is_method and (self.path is None or self.path in target)

    def response(self) -> Response:
        """Return the response of a fault whose action is `answer`."""
        if self.body is None:
            response = error_response(self.status)
        elif isinstance(self.body, bytes):
            response = Response(self.status, self.body, {"Content-Type": "text/plain"})
        elif isinstance(self.body, str):
            plain_text = {"Content-Type": "text/plain; charset=utf-8"}
            response = Response(self.status, self.body.encode(), plain_text)
        else:
            response = json_response(self.body, self.status)
        # Title case, so that "content-type" replaces our "Content-Type".
        headers = {name.title(): value for name, value in self.headers.items()}
        return replace(response, headers={**response.headers, **headers}, early=self.early)


def _check_headers(headers: object) -> None:
    if not isinstance(headers, Mapping):
        refuse("headers", "a mapping of str to str", headers)
    for name, value in headers.items():
        if not isinstance(name, str):
            refuse("a name in headers", "a str", name)
        if not isinstance(value, str):
            refuse(f"the header {name}", "a str", value)
        if not name or not name.isascii() or not f"{name}{value}".isprintable():
            raise ValueError(
                f"headers must have names in ASCII and no control characters, not {name!r}: "
                f"{value!r}"
            )


def _check_body(body: object) -> None:
    if isinstance(body, bytes):
        return
    try:
        # As `Fault.response` encodes it.
        body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        allowed = "bytes, a str, None, or a value that JSON can hold"
        raise TypeError(f"body must be {allowed}, not {type(body).__name__}: {error}") from error


class FaultQueue:
    """The injected faults; a request takes the first one that matches it."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Append a fault."""
        self._pending.append(fault)

    def clear(self) -> None:
        """Remove all faults."""
        self._pending.clear()

    def pending(self) -> tuple[Fault, ...]:
        """Return the faults that have not occurred yet, each with its remaining `times`."""
        return tuple(self._pending)

    def take(self, method: str, target: str) -> Fault | None:
        """Return the fault of this request and count it down; None if no fault matches."""
        for position, fault in enumerate(self._pending):
            if fault.matches(method, target):
                rest = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                self._pending[position : position + 1] = rest
                return fault
        return None
