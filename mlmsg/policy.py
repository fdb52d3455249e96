"""Decide when to try again and how long to wait: values and pure decisions, no clock."""

import email.utils
import enum
import re
from datetime import UTC

import msgspec

from ._arguments import check_int, check_seconds

__all__ = [
    "RETRYABLE_STATUSES",
    "Accept",
    "Effect",
    "Fail",
    "Outcome",
    "Retry",
    "RetryPolicy",
    "Timeouts",
    "Verdict",
    "http_date",
    "retry_after",
]


class Effect(enum.Enum):
    """The effect of a request on the server. It decides whether the request may be repeated."""

    READ = "read"
    """Read only. Repeating it does no harm."""
    UPLOAD = "upload"
    """Store a file that belongs to no message yet. A second copy does no harm."""
    SEND = "send"
    """Send a message. Repeated only on proof that it was not executed."""


class Timeouts(msgspec.Struct, frozen=True):
    """Limits of one attempt, in seconds; None waits without limit.

    Use `msgspec.structs.replace(timeouts, read=60)` for a copy with another limit.

    Attributes:
        connect: Time to open a connection: name lookup, TCP and TLS.
        read: Time without any new bytes of the response. A part of its head counts only on Linux,
            except for a file.
        write: Time in which the server accepts no more bytes of an upload.
        total: Time for one whole attempt, the body included. None by default, because a large file
            on a slow line is no failure while it makes progress.
    """

    connect: float | None = 30.0
    read: float | None = 30.0
    write: float | None = 30.0
    total: float | None = None

    @classmethod
    def from_value(cls, value: "float | Timeouts | None") -> "Timeouts":
        """Return seconds as the limit of every phase but `total`; return `Timeouts` unchanged."""
        if isinstance(value, Timeouts):
            return value
        return cls(connect=value, read=value, write=value)

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            check_seconds(f"timeout `{name}`", getattr(self, name), allow_none=True)


class Outcome(msgspec.Struct, frozen=True):
    """The end of one attempt, as far as the policy needs to know it.

    Attributes:
        effect: The effect of the request.
        status: The HTTP status, or None without a response.
        sent: False if it is certain that nothing left this machine.
        repeatable: True if the body, if there is one, can be sent again.
        retry_after: The seconds that the server asks to wait, or None.
        alternative: True if the request can be repeated after a 401: with another access token, or
            on another path.
        not_executed: True if the response proves that the server executed nothing.
    """

    effect: Effect
    status: int | None
    sent: bool = True
    repeatable: bool = True
    retry_after: float | None = None
    alternative: bool = False
    not_executed: bool = False

    @property
    def may_have_arrived(self) -> bool:
        """True if the server may have executed the request, although it did not say so."""
        return self.sent if self.status is None else self.status >= _SERVER_ERROR


class Accept(msgspec.Struct, frozen=True):
    """The response is a success."""


class Fail(msgspec.Struct, frozen=True):
    """The call fails.

    Attributes:
        unknown: True if the message may have been delivered nevertheless.
    """

    unknown: bool = False


class Retry(msgspec.Struct, frozen=True):
    """The request is sent again.

    Attributes:
        delay: Seconds to wait before it is sent.
    """

    delay: float


Verdict = Accept | Fail | Retry

_ACCEPT = Accept()

_TOKEN_REJECTED = 401
_SERVER_ERROR = 500
_CONFLICT = 409
RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that the next attempt may not meet again."""

_NOT_EXECUTED = frozenset({429})
"""Statuses that prove that the server did not execute the request."""


class RetryPolicy(msgspec.Struct, frozen=True):
    """Limits for the repetition of a request: how often, and after which delay.

    Reads, uploads and downloads are repeated after a network failure and after a status that may
    pass. A send is repeated only if it is certain that it was not executed: no connection was
    opened, or the server answered 429. A `reasons.send` is also repeated after a 409, which means
    that another request for the sale was running; not verified, but by the document's explanation
    the reason was not sent. Each repetition waits first. Only after a 401 any request is repeated
    once and at once, if the token source may have another token.

    Use `msgspec.structs.replace(policy, attempts=2)` for a copy with another limit.

    Attributes:
        attempts: Attempts in all, the first included. With 1, only the repetition after a 401 is
            left.
        base: Seconds of the first delay. Each further delay is twice as long.
        cap: Seconds of the longest delay that this policy chooses.
        max_retry_after: Seconds of the longest delay that a server may ask for. The call fails if
            it asks for more.
        deadline: Seconds after the start of the first attempt at which the last delay must have
            ended; None for no limit.
    """

    attempts: int = 4
    base: float = 0.5
    cap: float = 8.0
    max_retry_after: float = 60.0
    deadline: float | None = 300.0

    def __post_init__(self) -> None:
        attempts = check_int("`attempts` of a retry policy", self.attempts, 1)
        msgspec.structs.force_setattr(self, "attempts", attempts)
        for name in ("base", "cap", "max_retry_after", "deadline"):
            check_seconds(
                f"`{name}` of a retry policy",
                getattr(self, name),
                allow_zero=True,
                allow_none=name == "deadline",
            )

    def decide(self, outcome: Outcome, attempt: int, elapsed: float, rand: float) -> Verdict:
        """Return the verdict on an attempt.

        Args:
            outcome: The end of the attempt.
            attempt: Its number, from 1.
            elapsed: Seconds since the start of the first attempt.
            rand: 0 to 1, for the jitter: half of each delay is fixed, half is random.
        """
        status = outcome.status
        if status is not None and 200 <= status < 300:
            return _ACCEPT
        if status == _TOKEN_REJECTED and outcome.alternative and outcome.repeatable:
            return Retry(0.0)
        retryable = RETRYABLE_STATUSES
        if outcome.effect is Effect.SEND:
            if outcome.not_executed:
                retryable = _NOT_EXECUTED | {_CONFLICT}
            elif outcome.may_have_arrived:
                return Fail(unknown=True)
            else:
                retryable = _NOT_EXECUTED
        if not (outcome.repeatable and (status is None or status in retryable)):
            return Fail()
        requested = outcome.retry_after or 0.0
        backoff = min(self.cap, self.base * 2.0 ** min(attempt - 1, 64))
        delay = max(requested, backoff / 2) + backoff / 2 * rand
        is_late = self.deadline is not None and elapsed + delay > self.deadline
        if attempt >= self.attempts or requested > self.max_retry_after or is_late:
            return Fail()
        return Retry(delay)


def retry_after(value: str | None, now: float, date: str | None = None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for; None if it cannot be read.

    Args:
        value: The header: seconds, whole or with a fraction, or an HTTP date.
        now: The present time on our clock, in seconds since the epoch.
        date: The `Date` header of the same response, the present time on the clock of the server.
            A `Retry-After` date counts from it. If it cannot be read, `now` takes its place.
    """
    if value is None:
        return None
    if re.fullmatch(r"\s*[0-9]+(\.[0-9]*)?\s*", value):
        return float(value)
    moment, server_time = http_date(value), http_date(date)
    if moment is None:
        return None
    return max(moment - (now if server_time is None else server_time), 0.0)


def http_date(value: str | None) -> float | None:
    """Return an HTTP date in seconds since the epoch; None if it cannot be read."""
    if value is None:
        return None
    try:
        date = email.utils.parsedate_to_datetime(value)
        # HTTP dates are in GMT, also in an old form that names no zone.
        return (date.replace(tzinfo=UTC) if date.tzinfo is None else date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
