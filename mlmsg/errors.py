"""Every exception of the package.

    MlmsgError
    ├── RuleError (ValueError)            refused here, before anything was sent
    │   ├── LengthMismatch                a source held more or fewer bytes than declared
    │   ├── ActionNotAvailable            the claim does not take a message to that role now
    │   └── NotificationError             the body of a notification that cannot be read as one
    ├── UsageError (RuntimeError)         a client or download was used as it cannot be
    │   └── StillUnread                   `unread.drain` is offered what it handed out already
    ├── TargetExists (FileExistsError)    a download would overwrite a file, and was not asked to
    ├── ApiError                          the API answered, and refused
    │   ├── BadRequest                    400
    │   ├── AuthenticationError           401
    │   ├── PermissionDenied              403
    │   ├── NotFound                      404
    │   ├── RateLimited                   429
    │   └── ServerError                   500 to 599
    ├── TransportError                    the network failed, or the peer broke the protocol
    │   ├── TimedOut (TimeoutError)       no progress for as long as the timeouts allow
    │   ├── CertificateError              the certificate of the server cannot be verified
    │   ├── UnsafeRedirect                a download was sent to where it is not followed
    │   └── IncompleteDownload            the file arrived short, empty or cut
    ├── DecodeError                       a success whose body cannot be read
    ├── OutcomeUnknown                    a send that may or may not have been delivered
    └── ReauthorizationRequired           the grant is gone: the seller has to authorize again

All of them can be pickled, and none ever holds an access token: what the API echoes of one is
blanked out before the error is made.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Self, TypeAlias

import msgspec

from .models import ClaimMessage, Message

__all__ = [
    "ActionNotAvailable",
    "ApiError",
    "AuthenticationError",
    "BadRequest",
    "CertificateError",
    "DecodeError",
    "IncompleteDownload",
    "LengthMismatch",
    "MlmsgError",
    "NotFound",
    "NotificationError",
    "OutcomeUnknown",
    "PermissionDenied",
    "RateLimited",
    "ReauthorizationRequired",
    "RequestLine",
    "RuleError",
    "ServerError",
    "StillUnread",
    "TargetExists",
    "TimedOut",
    "TransportError",
    "UnsafeRedirect",
    "UsageError",
]


class RequestLine(msgspec.Struct, frozen=True):
    """Which request an error belongs to.

    Attributes:
        operation: The name of the operation, such as `"packs.page"`.
        method: The HTTP method.
        path: The path, ids included, without the query.
    """

    operation: str
    method: str
    path: str

    def __str__(self) -> str:
        """`GET /marketplace/messages/packs/1`."""
        return f"{self.method} {self.path}"


class MlmsgError(Exception):
    """The root of every error that this package raises on its own account."""


class RuleError(MlmsgError, ValueError):
    """A rule of the API that the arguments break; nothing was sent.

    Attributes:
        rule: The rule, in words.
        found: What was found, ready to print.
        limit: What is allowed, ready to print.
        hint: What to do, or `""`.
    """

    def __init__(self, rule: str, found: str, limit: str, hint: str = "") -> None:
        super().__init__(rule, found, limit, hint)
        self.rule = rule
        self.found = found
        self.limit = limit
        self.hint = hint

    def __str__(self) -> str:
        """The rule, the value found, the limit, and what to do."""
        text = f"{self.rule}: found {self.found}, allowed: {self.limit}"
        return f"{text}. {self.hint}" if self.hint else text


class LengthMismatch(RuleError):
    """A source yielded more or fewer bytes than its length says.

    Raised before the surplus byte leaves, or before the closing boundary does: the server never
    sees a complete request.
    """


class ActionNotAvailable(RuleError):
    """The claim does not take a message to that role now; nothing was sent.

    Attributes:
        action: The action that is missing.
        open_roles: The roles that a message can be sent to now.
    """

    def __init__(self, action: str, found: tuple[str, ...], open_roles: tuple[str, ...]) -> None:
        allowed = f"a message to {' or '.join(open_roles)}" if open_roles else "no message at all"
        super().__init__(f"available action {action!r}", ", ".join(found) or "no action", allowed)
        self.args: tuple[object, ...] = (action, found, open_roles)
        self.action = action
        self.open_roles = open_roles


class NotificationError(RuleError):
    """The body of a notification that cannot be read as one."""


class UsageError(MlmsgError, RuntimeError):
    """The client or a download was used in a way that cannot work; the text says what to do."""


class StillUnread(UsageError):
    """`unread.drain` was answered with nothing but conversations that it handed out already.

    They were not marked as read in the loop, or the API does not show it yet; or the same number
    of new messages has come in since. Calling `drain` again hands them out again.

    Attributes:
        resources: Which conversations.
    """

    def __init__(self, resources: tuple[str, ...]) -> None:
        super().__init__(resources)
        self.resources = resources

    def __str__(self) -> str:
        """How many, which one for example, and what to do."""
        return (
            f"{len(self.resources)} conversations that were handed out are still unread, "
            f"such as {self.resources[0]}; mark each as read in the loop "
            "(client.unread.mark_as_read), or use client.unread.list to look without marking"
        )


class TargetExists(MlmsgError, FileExistsError):
    """A download would replace an existing file, and `overwrite=True` was not given.

    Attributes:
        path: The file that is there, untouched.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        """The path, and how to replace it."""
        return f"{os.fspath(self.path)!r} exists; pass overwrite=True to replace it"


class ApiError(MlmsgError):
    """The API answered with a status that is no success.

    Attributes:
        status: The HTTP status.
        code: The API's own word for the error (`"bad_request"`, `"PA_…"`), or None.
        message: The API's own text, or the status alone when there is none.
        cause: What the body lists under `cause`; empty when nothing.
        body: The body's first 64 KiB, tokens blanked out.
        headers: The answer's headers, by their names in lower case.
        request: Which request it was.
        attempts: How often the request was tried, this one included.
        hint: What the documents say to do about it, or `""`.
    """

    def __init__(
        self,
        status: int,
        code: str | None,
        message: str,
        cause: tuple[object, ...] = (),
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        request: RequestLine | None = None,
        attempts: int = 1,
        hint: str = "",
    ) -> None:
        super().__init__(status, code, message, cause, body, headers, request, attempts, hint)
        self.status = status
        self.code = code
        self.message = message
        self.cause = cause
        self.body = body
        self.headers: Mapping[str, str] = headers or {}
        self.request = request
        self.attempts = attempts
        self.hint = hint

    @property
    def request_id(self) -> str | None:
        """The answer's `X-Request-Id` header, where it has one."""
        return self.headers.get("x-request-id")

    def __str__(self) -> str:
        """The status, the API's words, the request, the number of attempts, and what to do."""
        words = f"{self.code}: {self.message}" if self.code else self.message
        words = "without a word" if self.message == str(self.status) else words
        where = f" [{self.request}]" if self.request else ""
        tries = f" after {self.attempts} attempts" if self.attempts > 1 else ""
        return f"{self.status} {words}{where}{tries}{f'. {self.hint}' if self.hint else ''}"


class BadRequest(ApiError):
    """400: the request is wrong; also a missing or malformed token, which is no 401 here."""


class AuthenticationError(ApiError):
    """401: the token is expired or not valid."""


class PermissionDenied(ApiError):
    """403: the token's owner may not do this; it may also hide a claim that does not exist."""


class NotFound(ApiError):
    """404: the pack, message, claim or file is not there, or not there yet."""


class RateLimited(ApiError):
    """429: too many requests.

    The API documents no header for it.
    """

    @property
    def retry_after(self) -> str | None:
        """The `Retry-After` header as it came: seconds or an HTTP date; None without one."""
        return self.headers.get("retry-after")


class ServerError(ApiError):
    """500 to 599: the server failed; a file that is gone for good answers so too."""


class TransportError(MlmsgError):
    """The network failed, or the peer broke the protocol.

    Attributes:
        message: What happened.
        sent: False when it is certain that not one byte of the request left this machine.
        request: Which request it was.
    """

    def __init__(
        self, message: str, *, sent: bool = True, request: RequestLine | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.sent = sent
        self.request = request

    def __str__(self) -> str:
        """What happened, to which request."""
        return f"{self.message} [{self.request}]" if self.request else self.message


class TimedOut(TransportError, TimeoutError):
    """No connection, or no progress, for as long as `Timeouts` allows."""


class UnsafeRedirect(TransportError):
    """A download was redirected to where it is not followed; it is not tried again."""


class CertificateError(TransportError):
    """The certificate of the server could not be verified. The request is not tried again."""


class IncompleteDownload(TransportError):
    """A file that arrived short, empty or cut. What was written of it is gone again."""


class DecodeError(MlmsgError):
    """A success whose body cannot be read as what the operation answers.

    Attributes:
        message: What is wrong with it, and where.
        body: The body's first 64 KiB.
        request: Which request it was.
    """

    def __init__(self, message: str, body: bytes = b"", request: RequestLine | None = None) -> None:
        super().__init__(message, body, request)
        self.message = message
        self.body = body
        self.request = request

    def __str__(self) -> str:
        """What is wrong, the request, and the beginning of the body."""
        where = f" [{self.request}]" if self.request else ""
        return f"{self.message}{where}: {self.body[:80]!r}"


Delivered: TypeAlias = Message | ClaimMessage


class OutcomeUnknown(MlmsgError):
    """A send whose answer was lost or is a 5xx: it may or may not have been delivered.

    The API knows no idempotency key, so the send is not repeated. `await error.reconcile()` looks
    whether it was delivered. The failure itself is the `__cause__`.

    Attributes:
        reason: What was seen instead of an answer.
        request: Which request it was.
    """

    def __init__(self, reason: str, request: RequestLine | None = None) -> None:
        super().__init__(reason, request)
        self.reason = reason
        self.request = request
        self._look: Callable[[], Awaitable[Delivered | None]] | None = None

    def __str__(self) -> str:
        """What was seen, and what to do."""
        return (
            f"the message may or may not have been delivered: {self.reason}. "
            "Call `await error.reconcile()`, or read the thread, before sending again"
        )

    def __reduce__(self) -> tuple[type[Self], tuple[str, RequestLine | None]]:
        # What looks for the message holds the client, which stays where it is.
        return type(self), (self.reason, self.request)

    def with_reconciler(self, look: Callable[[], Awaitable[Delivered | None]]) -> Self:
        """The same error, with what `reconcile` is to do."""
        self._look = look
        return self

    def reconcile(self) -> Awaitable[Delivered | None]:
        """The message if it was delivered, otherwise None; the client has to be open still.

        Reads the thread, or the claim's messages, and marks nothing as read. The message is known
        by its text, its files and its time; one that this client sent or reconciled before is not
        taken for it. The API may store a message some seconds late: None says that it is not there
        now.

        Returns:
            A `Message` for `packs.send`, a `ClaimMessage` for `claims.send`.

        Raises:
            UsageError: The error did not come from a client's send, or was pickled on the way.
            ApiError: The thread cannot be read.
            TransportError: The network fails again.
        """
        if self._look is None:
            raise UsageError("this error knows no client to look with; read the thread yourself")
        return self._look()


class ReauthorizationRequired(MlmsgError):
    """The API takes the refresh token no more, and the store holds no other one.

    It may have been used before, or be too old, or have been taken back. The seller has to
    authorize the application again; then make a new `RefreshingToken`. The refusal itself is the
    `__cause__`.
    """

    def __str__(self) -> str:
        """What happened, and what to do."""
        return (
            "the refresh token is not valid any more; the seller has to authorize the "
            "application again"
        )
