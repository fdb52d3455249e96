"""Every exception of the package.

    MlmsgError
    ├── RuleError (ValueError)            an argument breaks a rule; nothing was sent
    │   ├── LengthMismatch                a source has more or fewer bytes than declared
    │   ├── InvalidToken                  a value that cannot be an access token
    │   ├── ActionNotAvailable            the claim accepts no message to that role now
    │   ├── RecipientUnknown              a domestic thread does not show its recipient
    │   └── NotificationError             the body of a notification is invalid
    ├── UsageError (RuntimeError)         a client or a download was used in an invalid way
    │   └── StillUnread                   `unread.drain` receives no new conversation
    ├── TargetExists (FileExistsError)    a download would overwrite a file without `overwrite=True`
    ├── ApiError                          the API answered with an error
    │   ├── BadRequest                    400
    │   │   └── ExceptedCase              a pack that needs no reason: use `packs.send`
    │   ├── AuthenticationError           401, or another status with a text about the token
    │   ├── PermissionDenied              403
    │   │   ├── ConversationOpen          a reason for an open conversation: use `packs.send`
    │   │   └── ReasonUsedUp              a reason that was used before: wait for the buyer
    │   ├── NotFound                      404
    │   ├── RateLimited                   429
    │   └── ServerError                   500 to 599
    ├── TransportError                    the network failed, or the server broke the protocol
    │   ├── TimedOut (TimeoutError)       a timeout was reached
    │   ├── CertificateError              the certificate of the server cannot be verified
    │   ├── UnsafeRedirect                a redirect to an insecure URL was not followed
    │   └── IncompleteDownload            the file was empty, truncated or interrupted
    ├── DecodeError                       the body of a successful response cannot be read
    ├── OutcomeUnknown                    a message may or may not have been delivered
    └── TokenUnavailable                  no access token: the refresh or the token source failed
        └── ReauthorizationRequired       the refresh token is invalid: the seller must log in again

All of them can be pickled. None contains an access token: if the API echoes one, it is redacted
before the error is created.
"""

import os
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar, Self, TypeAlias

import msgspec

from .models import ClaimMessage, Message

__all__ = [
    "ActionNotAvailable",
    "ApiError",
    "AuthenticationError",
    "BadRequest",
    "CertificateError",
    "ConversationOpen",
    "DecodeError",
    "ExceptedCase",
    "IncompleteDownload",
    "InvalidToken",
    "LengthMismatch",
    "MlmsgError",
    "NotFound",
    "NotificationError",
    "OutcomeUnknown",
    "PermissionDenied",
    "RateLimited",
    "ReasonUsedUp",
    "ReauthorizationRequired",
    "RecipientUnknown",
    "RequestLine",
    "RuleError",
    "ServerError",
    "StillUnread",
    "TargetExists",
    "TimedOut",
    "TokenUnavailable",
    "TransportError",
    "UnsafeRedirect",
    "UsageError",
]


class RequestLine(msgspec.Struct, frozen=True):
    """The request that an error belongs to.

    Attributes:
        operation: The name of the operation, such as `"packs.page"`.
        method: The HTTP method.
        path: The path with its ids, without the query.
    """

    operation: str
    method: str
    path: str

    def __str__(self) -> str:
        """Return the method and the path: `GET /marketplace/messages/packs/1`."""
        return f"{self.method} {self.path}"


class MlmsgError(Exception):
    """The base class of all errors of this package.

    Attributes:
        ends_job: True for a class whose errors concern every call, such as a rejected token. A bulk
            job stops at such an error; any other one costs only its own file or thread.
    """

    ends_job: ClassVar[bool] = False


class RuleError(MlmsgError, ValueError):
    """An argument breaks a rule of the API. Nothing was sent.

    Attributes:
        rule: The rule, in words.
        found: The value found, ready to print.
        limit: The allowed values, ready to print.
        hint: The advice, or `""`.
    """

    def __init__(self, rule: str, found: str, limit: str, hint: str = "") -> None:
        super().__init__(rule, found, limit, hint)
        self.rule = rule
        self.found = found
        self.limit = limit
        self.hint = hint

    def __str__(self) -> str:
        """Return the rule, the value found, the limit and the advice."""
        text = f"{self.rule}: found {self.found}, allowed: {self.limit}"
        return f"{text}. {self.hint}" if self.hint else text


class LengthMismatch(RuleError):
    """A source yielded more or fewer bytes than its declared length.

    It is raised before the surplus byte or the closing boundary is sent, so that the server never
    receives a complete request.
    """


class InvalidToken(RuleError):
    """A value that cannot be an access token: it is empty, or has characters of no token."""

    ends_job = True


class ActionNotAvailable(RuleError):
    """The claim accepts no message to that role now. Nothing was sent.

    Attributes:
        action: The missing action.
        open_roles: The roles that can receive a message now.
    """

    def __init__(self, action: str, found: tuple[str, ...], open_roles: tuple[str, ...]) -> None:
        allowed = f"a message to {' or '.join(open_roles)}" if open_roles else "no message at all"
        super().__init__(f"available action {action!r}", ", ".join(found) or "no action", allowed)
        self.args: tuple[object, ...] = (action, found, open_roles)
        self.action = action
        self.open_roles = open_roles


class RecipientUnknown(RuleError):
    """The recipient of a domestic message could not be found in its thread. Nothing was sent."""

    def __init__(
        self,
        found: str,
        hint: str = "Pass to=, the user id of the buyer or agent; or start with client.reasons",
        limit: str = "a message of a counterpart, or a thread that an agent mediates",
    ) -> None:
        super().__init__("recipient of a domestic message", found, limit, hint)
        self.args: tuple[object, ...] = (found, hint, limit)


class NotificationError(RuleError):
    """The body of a notification is invalid."""


class UsageError(MlmsgError, RuntimeError):
    """The client or a download was used in an invalid way. The text says what to do instead."""

    ends_job = True


class StillUnread(UsageError):
    """The response to `unread.drain` contains only conversations that were yielded before.

    They were not marked as read in the loop, or the API does not show the change yet, or the same
    number of new messages arrived since. Another call of `drain` yields them again.

    Attributes:
        resources: The paths of these conversations.
    """

    def __init__(self, resources: tuple[str, ...]) -> None:
        super().__init__(resources)
        self.resources = resources

    def __str__(self) -> str:
        """Return the number of conversations, one example and the advice."""
        return (
            f"{len(self.resources)} conversations that were yielded before are still unread, "
            f"such as {self.resources[0]}. Mark each as read in the loop "
            "(client.unread.mark_as_read), or use client.unread.list to read without marking"
        )


class TargetExists(MlmsgError, FileExistsError):
    """A download would replace an existing file, and `overwrite=True` was not given.

    Attributes:
        path: The existing file. It was not changed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        """Return the path and the advice."""
        return f"{os.fspath(self.path)!r} exists; pass overwrite=True to replace it"


class ApiError(MlmsgError):
    """The API answered with an error status.

    Attributes:
        status: The HTTP status.
        code: The API's code for the error (`"bad_request"`, `"PA_…"`), or None.
        message: The API's text, or the status if the body has no text.
        cause: The values under `cause` in the body.
        body: The first 64 KiB of the body, with tokens redacted.
        headers: The headers of the response, with names in lower case.
        request: The request.
        attempts: The number of attempts, including the last one.
        hint: The advice of the documents, or `""`.
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
        self.hint: str = hint

    def add_hint(self, hint: str, *, replace: bool = False) -> None:
        """Append a sentence to the hint, or replace the hint by it."""
        self.hint = hint if replace else ". ".join(filter(None, (self.hint, hint)))
        self.args: tuple[object, ...] = (*self.args[:-1], self.hint)

    @property
    def request_id(self) -> str | None:
        """The `X-Request-Id` header of the response, or None."""
        return self.headers.get("x-request-id")

    def __str__(self) -> str:
        """Return the status, the code, the text, the request, the attempts and the advice."""
        text = f"{self.code}: {self.message}" if self.code else self.message
        text = "with an empty error body" if self.message == str(self.status) else text
        request = f" [{self.request}]" if self.request else ""
        attempts = f" after {self.attempts} attempts" if self.attempts > 1 else ""
        hint = f". {self.hint}" if self.hint else ""
        return f"{self.status} {text}{request}{attempts}{hint}"


class BadRequest(ApiError):
    """400: the request is invalid. If the text is about the token: `AuthenticationError`."""


class ExceptedCase(BadRequest):
    """400 to a reason: the pack is excepted and needs none. Use `packs.send`."""


class AuthenticationError(ApiError):
    """The access token is missing, malformed, expired or not accepted.

    Every 401 is one. So is any other status below 500 whose code or text says that of the token,
    except 429: the API answers 400 to a missing or malformed token.
    """

    ends_job = True


class PermissionDenied(ApiError):
    """403: the user has no permission. The API also answers so for a claim that does not exist."""


class ConversationOpen(PermissionDenied):
    """403 to a reason: the conversation is open already. Use `packs.send`."""


class ReasonUsedUp(PermissionDenied):
    """403 to a reason: the option was used before. Wait for the buyer's answer."""


class NotFound(ApiError):
    """404: the pack, message, claim or file does not exist, or is not stored yet."""


class RateLimited(ApiError):
    """429: too many requests. The documents name no header for this status."""

    @property
    def retry_after(self) -> str | None:
        """The unchanged `Retry-After` header (seconds or an HTTP date), or None."""
        return self.headers.get("retry-after")


class ServerError(ApiError):
    """500 to 599: the server failed. The API also answers so for a file that was deleted."""


class TransportError(MlmsgError):
    """The network failed, or the server broke the protocol.

    Attributes:
        message: The failure, in words.
        sent: False if it is certain that no byte of the request was sent.
        request: The request.
    """

    def __init__(
        self, message: str, *, sent: bool = True, request: RequestLine | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.sent = sent
        self.request = request

    def __str__(self) -> str:
        """Return the failure and the request."""
        return f"{self.message} [{self.request}]" if self.request else self.message


class TimedOut(TransportError, TimeoutError):
    """A timeout of `Timeouts` was reached. The text names it and its seconds."""


class UnsafeRedirect(TransportError):
    """A download was redirected to an insecure URL. The redirect was not followed."""


class CertificateError(TransportError):
    """The certificate of the server could not be verified. The request is not tried again."""

    ends_job = True


class IncompleteDownload(TransportError):
    """The file was empty, truncated or interrupted. The partial file has been deleted."""


class DecodeError(MlmsgError):
    """The body of a successful response cannot be read.

    Attributes:
        message: The reason, with the place in the body.
        body: The first 64 KiB of the body, with tokens redacted.
        request: The request.
    """

    def __init__(self, message: str, body: bytes = b"", request: RequestLine | None = None) -> None:
        super().__init__(message, body, request)
        self.message = message
        self.body = body
        self.request = request

    def __str__(self) -> str:
        """Return the reason, and of a response the request and the beginning of the body."""
        response = f" [{self.request}]: {self.body[:80]!r}" if self.request else ""
        return f"{self.message}{response}"


Delivered: TypeAlias = Message | ClaimMessage


class OutcomeUnknown(MlmsgError):
    """A message may or may not have been delivered: its response was lost, or is a 5xx.

    The API has no idempotency key, so the send is not repeated. `await error.reconcile()` searches
    the thread for the message. The failure itself is the `__cause__`.

    Attributes:
        reason: The failure, in words.
        request: The request.
        advice: What to do before the message is sent again.
    """

    def __init__(
        self,
        reason: str,
        request: RequestLine | None = None,
        advice: str = "Call `await error.reconcile()`, or read the thread, before sending again",
    ) -> None:
        super().__init__(reason, request, advice)
        self.reason = reason
        self.request = request
        self.advice = advice
        self._reconcile: Callable[[], Awaitable[Delivered | None]] | None = None

    def __str__(self) -> str:
        """Return the failure and the advice."""
        return f"the message may or may not have been delivered: {self.reason}. {self.advice}"

    def __reduce__(self) -> tuple[type[Self], tuple[str, RequestLine | None, str]]:
        # The reconciler refers to the client, which cannot be pickled.
        return type(self), (self.reason, self.request, self.advice)

    @classmethod
    def find_in(cls, error: BaseException) -> Self | None:
        """Return the cause of the `CancelledError` or `TimeoutError` of a send, or None."""
        cause: BaseException | None = error
        if isinstance(error, TimeoutError) and isinstance(error.__context__, CancelledError):
            cause = error.__context__  # Python 3.11.2 sets no `__cause__`
        while cause is not None and not isinstance(cause, cls):
            cause = cause.__cause__
        return cause

    def with_reconciler(self, reconcile: Callable[[], Awaitable[Delivered | None]]) -> Self:
        """Set the function that `reconcile` calls, and return the error."""
        self._reconcile = reconcile
        return self

    def reconcile(self) -> Awaitable[Delivered | None]:
        """Return the delivered message, or None. The client must still be open.

        Read the thread, or the messages of the claim, without marking anything as read. A message
        is recognized by its text, its files and its time. A message of another send of this client
        is never returned. The API may store a message a few seconds late: None means that the
        message is not stored yet.

        Returns:
            A `Message` for `packs.send` and `reasons.send`, a `ClaimMessage` for `claims.send`.

        Raises:
            OutcomeUnknown: It cannot be known. Do not send again. If the thread has a message of
                that time whose text or files were changed, cut or hidden, for example by
                moderation, read the thread, or ask the buyer. If another send of the same text has
                not been answered yet, await it, then call `reconcile` of the new error.
            UsageError: The error was pickled or copied, or is not from a client's send.
            ApiError: The thread cannot be read.
            TransportError: The network failed again.
        """
        if self._reconcile is None:
            raise UsageError("this error has no client; read the thread with a client of your own")
        return self._reconcile()


class TokenUnavailable(MlmsgError):
    """No access token can be obtained, so no call can be sent.

    The error of the API, of the network, of the token store or of the token source is the
    `__cause__`. After a failed refresh, `RefreshingToken` raises this for a short time without
    another token request.

    Attributes:
        reason: The failure, in words.
    """

    ends_job = True

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        """Return the failure."""
        return self.reason


class ReauthorizationRequired(TokenUnavailable):
    """The API rejected the refresh token, and the store contains no other one.

    It may have been used before, or be expired or revoked. The seller has to authorize the
    application again (`mlmsg login`, or `mlmsg.oauth`). Then create a new `RefreshingToken`. The
    response of the API is the `__cause__`.
    """

    def __init__(
        self,
        reason: str = "the access token could not be refreshed: the refresh token is invalid. "
        "The seller has to authorize the application again: run `mlmsg login`, or use mlmsg.oauth",
    ) -> None:
        super().__init__(reason)
