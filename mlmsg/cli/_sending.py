"""Send from the command line: files, lost answers, and the result of moderation."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeAlias

import click

from mlmsg._html import moderation_notes
from mlmsg.errors import MlmsgError, OutcomeUnknown, UsageError
from mlmsg.models import ClaimMessage, ClaimSent, Message, Sent
from mlmsg.rules import FileRules, check_attachment_count
from mlmsg.uploads import open_source

from ._exit_codes import ExitCode
from ._failures import Failure
from ._output import print_json, print_line, print_note, printable
from ._settings import Settings
from ._streams import open_stdin

__all__ = ["CheckedFile", "check_files", "delivered", "file_option", "print_sent", "read_text"]

SendResult: TypeAlias = Sent | ClaimSent | Message | ClaimMessage
"""The answer to a send, or the message that was found after the answer was lost."""

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
    sending: Awaitable[Sent | ClaimSent], note: Callable[[str], None]
) -> SendResult:
    """Return the answer to a send. If it was lost, search the thread for the message.

    Raises:
        OutcomeUnknown: The message is not in the thread, or the thread cannot be read.
    """
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
        if found is not None:
            return found
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


def print_sent(result: SendResult, settings: Settings) -> ExitCode:
    """Print the result of a send. The exit code of a rejected message is 1: nobody sees it."""
    message = result.message if isinstance(result, Sent) else result
    moderation = None if isinstance(message, ClaimSent | None) else message.message_moderation
    status = None if isinstance(message, ClaimSent | None) else message.status
    verdict = (moderation.status or "").lower() if moderation else ""
    is_rejected = verdict in {"rejected", "blocked"}
    message_id = None if message is None else _id(message)
    if settings.json:
        shown = None if isinstance(message, ClaimSent) else message
        print_json({"id": message_id, "rejected": is_rejected, "message": shown})
    elif not settings.quiet:
        print_line(f"sent as {message_id}" if message_id else "sent")
    for note in moderation_notes(status, moderation):
        print_note(f"moderation: {printable(note)}")
    return ExitCode.FAILED if is_rejected else ExitCode.OK


def _id(message: Message | ClaimMessage | ClaimSent) -> str | None:
    return message.hash if isinstance(message, ClaimMessage) else message.id
