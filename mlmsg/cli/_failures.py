"""Errors as the command line shows them: one line, a hint, and an exit code."""

import os

from mlmsg.errors import (
    ActionNotAvailable,
    ApiError,
    AuthenticationError,
    DecodeError,
    InvalidToken,
    LengthMismatch,
    MlmsgError,
    OutcomeUnknown,
    ReauthorizationRequired,
    RecipientUnknown,
    RuleError,
    TargetExists,
)
from mlmsg.oauth import AuthorizationDenied

from ._exit_codes import ExitCode
from ._output import printable, with_hint
from ._words import in_commands

__all__ = ["Failure", "describe", "exit_code_of", "status_of"]

_NEW_TOKEN = "Set MLMSG_ACCESS_TOKEN to a valid access token, or run `mlmsg login`"  # noqa: S105

_HINTS: tuple[tuple[type[MlmsgError], str], ...] = (
    (ReauthorizationRequired, "Run `mlmsg login`"),
    (AuthenticationError, _NEW_TOKEN),
    (InvalidToken, _NEW_TOKEN),
    (TargetExists, "Add --overwrite to replace it"),
    (OutcomeUnknown, "Read the thread before you send the message again"),
)
"""The hint for each class of errors; the first class that fits counts."""


_STATES = (ActionNotAvailable, AuthorizationDenied, LengthMismatch, RecipientUnknown)
"""The `RuleError`s that depend on a thread, a claim, a file or a person, not on the use."""


class Failure(Exception):
    """An error of the command line itself.

    Attributes:
        code: The exit code.
    """

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.code = code


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code for an error that ended a command."""
    if isinstance(error, Failure):
        return error.code
    is_state = isinstance(error, _STATES)
    if isinstance(error, RuleError) and not is_state:
        return ExitCode.USAGE
    return ExitCode.FAILED


def describe(error: BaseException) -> str:
    """Return one line about an error: what happened, and what the user can do."""
    message = _message(error)
    if not isinstance(error, DecodeError):  # its names are keys of the response
        message = in_commands(message)
    return with_hint(printable(message), _hint(error))


def status_of(error: BaseException | None) -> int | None:
    """Return the HTTP status of an error, or None."""
    return error.status if isinstance(error, ApiError) else None


def _message(error: BaseException) -> str:
    match error:
        case TargetExists():
            return f"{os.fspath(error.path)!r} exists"
        case OutcomeUnknown():
            return f"the message may or may not have been delivered: {error.reason}"
        case MlmsgError() | Failure():
            return str(error)
        case OSError():
            reason = error.strerror or str(error) or type(error).__name__
            return f"{error.filename}: {reason}" if error.filename else reason
    return f"unexpected {type(error).__name__}: {error}"


def _hint(error: BaseException) -> str:
    if not isinstance(error, MlmsgError | OSError | Failure):
        return "This is a fault of mlmsg: run the command with --verbose to see where"
    return next((hint for kind, hint in _HINTS if isinstance(error, kind)), "")
