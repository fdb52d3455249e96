"""What is told of each attempt: to a callback, and to the logger `mlmsg`.

An event names what was called by the path's template. It never holds an id, a query, a text, a file
name or a token, so it can go wherever metrics and logs go.
"""

import logging
from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

from ._arguments import check_callback

__all__ = ["AttemptEvent", "EventEmitter", "OnEvent"]

logger: logging.Logger = logging.getLogger("mlmsg")


class AttemptEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of one call, told when it has ended; for a download, when its body has.

    Attributes:
        operation: The name of the operation, such as `"packs.page"`.
        method: The HTTP method.
        template: The path with the names of its ids: `/marketplace/messages/packs/{pack_id}`.
        status: The HTTP status, or None when there was no answer, or none that could be taken.
        attempt: Its number in the call, from 1.
        elapsed: Seconds that it took, the wait for a free connection included; not those for a
            token, the budget or the retry.
        sent: Bytes of the body that went up, the multipart frame included.
        received: Bytes of the body that came down, unpacked where the server compressed them.
        request_id: The answer's `X-Request-Id`, where it has one.
        verdict: What followed: `"accept"`; `"retry"`, the call goes on with another attempt (after
            a 401 only if the token source has another token); `"fail"`, it raises; `"unknown"`, it
            raises `OutcomeUnknown`, as a send's fate is open; `"cancel"`, the caller cancelled it.
        delay: Seconds until the next attempt, 0.0 when there is none.
        error: The class of what failed, such as `"ServerError"`, or None; of an `OutcomeUnknown`
            that of its cause.
    """

    operation: str
    method: str
    template: str
    status: int | None
    attempt: int
    elapsed: float
    sent: int = 0
    received: int = 0
    request_id: str | None = None
    verdict: Literal["accept", "retry", "fail", "unknown", "cancel"] = "accept"
    delay: float = 0.0
    error: str | None = None


OnEvent: TypeAlias = Callable[[AttemptEvent], object]
"""Told of each attempt, in the event loop: it has to be quick, and may not be a coroutine."""


class EventEmitter:
    """Tells the callback, if there is one, and the logger."""

    def __init__(self, on_event: OnEvent | None) -> None:
        """Refuses with a `RuleError` what cannot be called for an event."""
        check_callback("`on_event`", on_event, "one event")
        self._on_event = on_event

    @property
    def enabled(self) -> bool:
        """Whether anybody listens; an event that nobody wants need not be made."""
        return self._on_event is not None or logger.isEnabledFor(logging.INFO)

    def emit(self, event: AttemptEvent) -> None:
        """Tells it; what the callback raises is logged, and never becomes the call's own fate."""
        level = logging.DEBUG if event.verdict == "accept" else logging.INFO
        logger.log(
            level, _LOG_FORMAT, event.operation, event.method, event.template, event.verdict,
            event.status or event.error, event.attempt, event.sent, event.received, event.elapsed,
            extra={"event": event},
        )  # fmt: skip
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception as error:
            # The call's own failure, which is under way here, would be logged along with it.
            error.__context__ = None
            logger.exception("on_event failed for %s", event.operation)


_LOG_FORMAT = "%s %s %s: %s (%s), attempt %d, %d bytes up, %d down, %.3f s"
