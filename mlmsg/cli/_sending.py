"""Send from the command line: files, lost answers, and the result of moderation."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeVar

import click

from mlmsg._html import size_text
from mlmsg.client import Client
from mlmsg.errors import MlmsgError, OutcomeUnknown, UsageError
from mlmsg.events import AttemptEvent
from mlmsg.models import ClaimSent, Message, Sent
from mlmsg.rules import FileRules, check_attachment_count
from mlmsg.uploads import open_source

from ._exit_codes import ExitCode
from ._failures import Failure
from ._output import print_json, print_line, print_note, printable
from ._render import moderation_lines, print_pairs
from ._settings import Settings
from ._signals import stop_at_sigterm
from ._streams import open_stdin

__all__ = [
    "CheckedFile",
    "check_files",
    "delivered",
    "file_option",
    "print_sent",
    "print_unsent",
    "read_text",
]

R = TypeVar("R", bound=Sent | ClaimSent)

RECONCILE_DELAYS = (1.0, 3.0, 6.0)
"""Seconds before each search for a message whose answer was lost: the API may store it late."""

file_option = click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, readable=True),
    metavar="FILE",
    help="A file to attach; may be repeated.",
)


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file that keeps the rules of the API.

    Attributes:
        name: The name that the reader will see.
        size: Bytes.
        content_type: The MIME type.
    """

    name: str
    size: int
    content_type: str

    def __str__(self) -> str:
        """Return the name, the size and the type."""
        return f"{self.name} ({size_text(self.size)}, {self.content_type})"


async def check_files(
    files: Sequence[str | os.PathLike[str]], rules: FileRules, filename: str | None = None
) -> list[CheckedFile]:
    """Return what would be uploaded.

    Raises:
        RuleError: A file breaks a rule of the API.
        OSError: A file cannot be read.
    """
    check_attachment_count(len(files), rules)
    async with AsyncExitStack() as stack:
        opening = [open_source(file, rules, filename=filename) for file in files]
        sources = [await stack.enter_async_context(source) for source in opening]
    return [CheckedFile(source.filename, source.length, source.content_type) for source in sources]


async def delivered(
    client: Client, sending: Awaitable[R], settings: Settings, command: str
) -> R | Sent | ClaimSent:
    """Return the answer to a send. If it was lost, search the thread for the message.

    Args:
        client: The client that sends.
        sending: The call.
        settings: The options of the command.
        command: The command that shows the thread.

    Raises:
        OutcomeUnknown: The message is not in the thread, or the thread cannot be read.
        Failure: Ctrl-C or SIGTERM stopped the command after the message may have left.
    """
    attempts: list[AttemptEvent] = []
    try:
        with client.listen(attempts.append), stop_at_sigterm():
            return await _answer(sending, settings.note)
    except (asyncio.CancelledError, Failure) as error:
        if not any(map(_may_have_left, attempts)):
            raise
        word, code = "interrupted", ExitCode.INTERRUPTED
        if isinstance(error, Failure):
            word, code = str(error), error.code
        text = f"{word}: the message may have been delivered"
        advice = f"Look at the thread before you send it again: `{command}`"
        raise Failure(f"{text}. {advice}", code) from None


def _may_have_left(event: AttemptEvent) -> bool:
    return event.operation.endswith(".send") and event.verdict in {"cancel", "unknown"}


async def _answer(sending: Awaitable[R], note: Callable[[str], None]) -> R | Sent | ClaimSent:
    try:
        return await sending
    except OutcomeUnknown as error:
        unknown = error
    note("the answer was lost; searching the thread for the message")
    for delay in RECONCILE_DELAYS:
        await asyncio.sleep(delay)
        try:
            found = await unknown.reconcile()
        except UsageError:
            break  # this kind of send cannot be searched for
        except MlmsgError:
            continue
        if isinstance(found, Message):
            return Sent(status_code=200, message=found)
        if found is not None:
            return ClaimSent(status_code=200, id=found.hash)
    raise unknown


def read_text(text: str) -> str:
    """Return the text of a message; `-` reads standard input, which must be UTF-8.

    Raises:
        Failure: Standard input is not UTF-8.
    """
    if text != "-":
        return text
    data = open_stdin().read()
    try:
        return data.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        message = f"standard input, line {line}: found bytes that are not UTF-8"
    raise Failure(message, ExitCode.USAGE)


def print_unsent(message: Mapping[str, object], settings: Settings) -> ExitCode:
    """Print the message that a dry run did not send."""
    if settings.json:
        print_json({"dry_run": True, **message})
    elif not settings.quiet:
        print_line("dry run: nothing was sent. This would be sent:")
        print_pairs([(name, _shown(name, value)) for name, value in message.items() if value])
    return ExitCode.OK


def _shown(name: str, value: object) -> str:
    if name in {"text", "translated"}:
        return repr(value)  # with its line ends, and with spaces at its ends
    match value:
        case dict():
            return ", ".join(f"{name}={number}" for name, number in value.items())
        case list():
            return ", ".join(map(str, value))
    return str(value)


def print_sent(sent: Sent | ClaimSent, settings: Settings) -> ExitCode:
    """Print the result of a send. The exit code of a rejected message is 1: nobody gets it."""
    is_rejected = isinstance(sent, Sent) and sent.rejected
    message = sent.message if isinstance(sent, Sent) else None
    if settings.json:
        is_pending = isinstance(sent, Sent) and sent.pending
        state = {"id": sent.id, "rejected": is_rejected, "pending": is_pending}
        print_json(state | {"message": message})
    elif not settings.quiet:
        print_line(f"sent as {printable(sent.id)}" if sent.id else "sent")
    if message is not None:
        for line in moderation_lines(message.status, message.message_moderation):
            print_note(f"moderation: {line}")
    return ExitCode.FAILED if is_rejected else ExitCode.OK
