"""Report each attempt to a callback and to the logger `mlmsg`.

An event names the request by the template of its path. It never contains an id, a query, a text, a
file name or a token, so metrics and logs may store it.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

import msgspec

from ._arguments import check_callback

__all__ = ["AttemptEvent", "EventEmitter", "OnEvent"]

logger: logging.Logger = logging.getLogger("mlmsg")


class AttemptEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of one call. It is emitted when the attempt ends; for a download, with its body.

    Attributes:
        operation: The name of the operation, such as `"packs.page"`.
        method: The HTTP method.
        template: The path with the names of its ids: `/marketplace/messages/packs/{pack_id}`.
        status: The HTTP status, or None without a response.
        attempt: Its number in the call, from 1.
        elapsed: Seconds that it took. They include the wait for a free connection, and exclude the
            waits for a token, for the rate limit and before a retry.
        sent: Bytes of the request's body that were sent, the multipart frame included.
        received: Bytes of the response's body that arrived, after decompression.
        request_id: The `X-Request-Id` header of the response, or None.
        verdict: The consequence. `"accept"`: the call succeeds. `"retry"`: another attempt follows;
            after a 401 only if the token source has another token. `"fail"`: the call raises.
            `"unknown"`: the call raises `OutcomeUnknown`, because the outcome of the send is
            unknown. `"cancel"`: the caller cancelled it.
        delay: Seconds until the next attempt; 0.0 if there is none.
        waited: Seconds that it waited for the rate limit before it started.
        error: The class name of the error, such as `"ServerError"`, or None. For an
            `OutcomeUnknown`, the class name of its cause.
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
    waited: float = 0.0
    error: str | None = None


OnEvent: TypeAlias = Callable[[AttemptEvent], object]
"""A plain function that receives each event. It runs in the event loop, so it must be quick."""


class EventEmitter:
    """Pass events to the callback, if there is one, and to the logger."""

    def __init__(self, on_event: OnEvent | None) -> None:
        """Store the callback.

        Raises:
            RuleError: It cannot be called with an event, or is async.
        """
        check_callback("`on_event`", on_event, "one event")
        self._on_event = on_event
        self._listeners: list[OnEvent] = []

    @contextmanager
    def listen(self, listener: OnEvent) -> Iterator[None]:
        """Pass each event to `listener` too, until the end of the block. It must not raise."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    @property
    def enabled(self) -> bool:
        """True if somebody listens; otherwise no event needs to be created."""
        is_heard = self._on_event is not None or bool(self._listeners)
        return is_heard or logger.isEnabledFor(logging.INFO)

    def emit(self, event: AttemptEvent) -> None:
        """Report the event. An exception of the callback is logged and never fails the call."""
        level = logging.DEBUG if event.verdict == "accept" else logging.INFO
        logger.log(
            level, _LOG_FORMAT, event.operation, event.method, event.template, event.verdict,
            event.status or event.error, event.attempt, event.sent, event.received, event.elapsed,
            extra={"event": event},
        )  # fmt: skip
        for listener in self._listeners:
            listener(event)
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception as error:
            # The call's own failure is being handled here. It must not be logged along with this.
            error.__context__ = None
            logger.exception("on_event failed for %s", event.operation)


_LOG_FORMAT = "%s %s %s: %s (%s), attempt %d, %d bytes up, %d down, %.3f s"
