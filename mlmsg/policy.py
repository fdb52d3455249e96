"""When to try again, and how long to wait for anything: values and pure decisions, no clock."""

import email.utils
import enum
import math
import re
from dataclasses import dataclass
from datetime import UTC

import msgspec

from .errors import RuleError

__all__ = [
    "Accept",
    "Effect",
    "Fail",
    "Outcome",
    "Retry",
    "RetryPolicy",
    "Timeouts",
    "Verdict",
    "retry_after",
]


class Effect(enum.Enum):
    """What a request does on the server, which decides whether it may be repeated."""

    READ = "read"
    """Reads; repeating it does no harm."""
    UPLOAD = "upload"
    """Stores a file that belongs to no message yet; a second copy does no harm."""
    SEND = "send"
    """Sends a message; repeated only on proof that it was not executed."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait, in seconds; None waits without limit.

    Attributes:
        connect: For a connection: name lookup, TCP and TLS.
        read: For the next bytes of an answer.
        write: For the peer to take any more of an upload.
        total: For one whole attempt, the body included; None by default, because a large file
            over a slow line is no failure while it moves.
    """

    connect: float | None = 30.0
    read: float | None = 30.0
    write: float | None = 30.0
    total: float | None = None

    @classmethod
    def from_value(cls, value: "float | Timeouts | None") -> "Timeouts":
        """Seconds without progress as the timeouts of every phase; `Timeouts` as they are."""
        if isinstance(value, Timeouts):
            return value
        return cls(connect=value, read=value, write=value)

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and 0 < value < math.inf):
                raise RuleError(f"timeout `{name}`", repr(value), "seconds over 0, or None")


class Outcome(msgspec.Struct, frozen=True):
    """How one attempt ended.

    Attributes:
        effect: What the request does.
        status: The HTTP status, or None when there was no answer.
        sent: False when it is certain that nothing left this machine.
        repeatable: Whether the body, if there is one, can be produced once more.
        retry_after: The seconds that the server asked for, or None.
        alternative: Whether, after a 401, the request may go out otherwise: with another access
            token, or on another path.
        not_executed: True if the response proves that nothing was executed.
    """

    effect: Effect
    status: int | None
    sent: bool = True
    repeatable: bool = True
    retry_after: float | None = None
    alternative: bool = False
    not_executed: bool = False


@dataclass(frozen=True, slots=True)
class Accept:
    """The answer is a success."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The call fails.

    Attributes:
        unknown: Whether the message may have been delivered all the same.
    """

    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Retry:
    """The same request goes out once more.

    Attributes:
        delay: Seconds to wait before it does.
    """

    delay: float


Verdict = Accept | Fail | Retry

_ACCEPT = Accept()

_TOKEN_REFUSED = 401
_SERVER_ERROR = 500
_CONFLICT = 409
RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may be gone with the next try."""

_NOT_EXECUTED = frozenset({429})
"""Statuses that prove that nothing was done."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and after how long, a request is tried again.

    Reads, uploads and downloads are repeated after a network failure and after a status that may
    pass. A send is repeated only when it is certain that it was not executed: no connection came
    about, or the server answered 429, or 401: then anything is repeated once and at once, with
    another token, where the token source may have one.

    Attributes:
        attempts: Tries in all, the first included; 1 repeats nothing but after such a 401.
        base: Seconds of the first wait; each further one is twice as long.
        cap: Seconds of the longest wait of our own choosing.
        max_retry_after: The longest wait that a server may ask for; over it the call fails.
        deadline: Seconds since the first attempt after which no wait for another one ends; None
            for no limit.
    """

    attempts: int = 4
    base: float = 0.5
    cap: float = 8.0
    max_retry_after: float = 60.0
    deadline: float | None = 300.0

    def __post_init__(self) -> None:
        if not isinstance(self.attempts, int) or self.attempts < 1:
            raise RuleError("`attempts` of a retry policy", repr(self.attempts), "1 or more")
        for name in ("base", "cap", "max_retry_after", "deadline"):
            value = getattr(self, name)
            if value is None and name == "deadline":
                continue
            if not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise RuleError(f"`{name}` of a retry policy", repr(value), "seconds, 0 or more")

    def decide(self, outcome: Outcome, attempt: int, elapsed: float, rand: float) -> Verdict:
        """What follows from `outcome`.

        Args:
            outcome: How the attempt ended.
            attempt: Its number, from 1.
            elapsed: Seconds since the first attempt began.
            rand: 0 to 1, for the jitter: half of each wait is fixed, half is drawn.
        """
        status = outcome.status
        if status is not None and 200 <= status < 300:
            return _ACCEPT
        if status == _TOKEN_REFUSED and outcome.alternative and outcome.repeatable:
            return Retry(0.0)
        passing = RETRYABLE_STATUSES
        if outcome.effect is Effect.SEND:
            if outcome.not_executed:
                passing = _NOT_EXECUTED | {_CONFLICT}
            elif outcome.sent if status is None else status >= _SERVER_ERROR:
                return Fail(unknown=True)
            else:
                passing = _NOT_EXECUTED
        if not (outcome.repeatable and (status is None or status in passing)):
            return Fail()
        wait = outcome.retry_after or 0.0
        backoff = min(self.cap, self.base * 2.0 ** min(attempt - 1, 64))
        delay = max(wait, backoff / 2) + backoff / 2 * rand
        late = self.deadline is not None and elapsed + delay > self.deadline
        if attempt >= self.attempts or wait > self.max_retry_after or late:
            return Fail()
        return Retry(delay)


def retry_after(value: str | None, now: float) -> float | None:
    """The seconds that a `Retry-After` header asks for; None when it says nothing readable.

    Args:
        value: The header: seconds, whole or with a fraction, or an HTTP date.
        now: The present time, in seconds since the epoch.
    """
    if value is None:
        return None
    if re.fullmatch(r"\s*[0-9]+(\.[0-9]*)?\s*", value):
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
        # HTTP dates are in GMT, also where an old form of them does not say so.
        date = date.replace(tzinfo=UTC) if date.tzinfo is None else date
        seconds = date.timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
