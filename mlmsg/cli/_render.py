"""Threads and tables: for people on a terminal, and plain text when piped."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.align import Align
from rich.console import Console
from rich.measure import Measurement
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mlmsg._html import size_text, status_remarks
from mlmsg.models import (
    Attachment,
    ClaimAttachment,
    ClaimMessage,
    ClaimModeration,
    Message,
    Moderation,
)

from ._output import print_line, printable, printable_lines, with_hint

__all__ = [
    "Entry",
    "cell_text",
    "local_time",
    "moderation_lines",
    "print_heading",
    "print_pairs",
    "print_table",
    "print_thread",
]

MAX_WIDTH = 100
"""Columns of a thread: longer lines are hard to read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message of a thread, as it is shown.

    Attributes:
        author: The name or role of the sender.
        is_mine: True for a message of the seller, which is shown on the right.
        at: The time, or None.
        text: The text.
        translation: The text in the reader's language, or `""`.
        files: The name and the size of each attachment, and its id.
        notes: Remarks on the moderation, and what to change.
    """

    author: str
    is_mine: bool
    at: datetime | None
    text: str
    translation: str
    files: Sequence[tuple[str, str]]
    notes: Sequence[str]

    @classmethod
    def of_message(cls, message: Message) -> "Entry":
        """Return the entry for a message of a pack."""
        sender = message.from_
        sender_id = sender.user_id if sender is not None else None
        name = sender.name if sender is not None else None
        return cls(
            author=name or str(sender_id or "unknown"),
            is_mine=sender_id is not None and sender_id == message.seller_id,
            at=message.message_date.created if message.message_date else None,
            text=message.text or "",
            translation=message.text_translated or "",
            files=[_file_texts(file) for file in message.attachments],
            notes=moderation_lines(message.status, message.message_moderation),
        )

    @classmethod
    def of_claim_message(cls, message: ClaimMessage, own_role: str) -> "Entry":
        """Return the entry for a message of a claim, in which the seller has the role."""
        to = f" to {message.receiver_role}" if message.receiver_role else ""
        return cls(
            author=f"{message.sender_role or 'unknown'}{to}",
            is_mine=message.sender_role == own_role,
            at=message.message_date or message.date_created,
            text=message.message or "",
            translation=message.translated_message or "",
            files=[_file_texts(file) for file in message.attachments or ()],
            notes=moderation_lines(message.status, message.message_moderation),
        )


def print_thread(entries: Iterable[Entry]) -> None:
    """Print messages, the oldest first, if all of them have a time."""
    ordered = list(entries)
    times = [entry.at.timestamp() for entry in ordered if entry.at is not None]
    if len(times) == len(ordered):
        ordered = [ordered[index] for index in sorted(range(len(times)), key=times.__getitem__)]
    if sys.stdout.isatty():
        console = _console()
        for entry in ordered:
            console.print(_bubble(entry, min(console.width, MAX_WIDTH)))
    else:
        for entry in ordered:
            _print_plain(entry)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under their headings. When piped, no cell is shortened or wrapped."""
    cells = [[cell_text(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        table = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for row in cells:
            table.add_row(*(Text(cell, overflow="fold") for cell in row))
        console = _console()
        unlimited = console.options.update(max_width=1000)
        if Measurement.get(console, unlimited, table).maximum > console.width:
            table.padding = (0, 1, 0, 0)
        console.print(table)
        return
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for line in (columns, *cells):
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print_line("  ".join(padded).rstrip())


def print_pairs(pairs: Sequence[tuple[str, object]]) -> None:
    """Print names and values, one pair for each line; values of None are left out."""
    shown = [(name, cell_text(value)) for name, value in pairs if value is not None]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        print_heading(name.ljust(width), f"  {value}")


def print_heading(heading: str, rest: str = "") -> None:
    """Print a line that begins with a heading, which is bold on a terminal."""
    if sys.stdout.isatty():
        _console().print(Text.assemble((heading, "bold"), rest), soft_wrap=True)
    else:
        print_line(heading + rest)


def local_time(moment: datetime | None) -> str:
    """Return a time in the zone of this machine, such as `2024-08-17 09:02`."""
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M")


def cell_text(value: object) -> str:
    """Return a value as the text of a table: times are local, texts of others printable."""
    if isinstance(value, datetime):
        return local_time(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else printable(str(value))


def moderation_lines(
    status: str | None, moderation: Moderation | ClaimModeration | None
) -> list[str]:
    """Return what moderation made of a message, and what to change."""
    hint = moderation.hint if isinstance(moderation, Moderation) else ""
    return [printable(with_hint(note, hint)) for note in status_remarks(status, moderation)]


def _file_texts(file: Attachment | ClaimAttachment) -> tuple[str, str]:
    """Return the name with the size of an attachment, and its id."""
    threat = isinstance(file, Attachment) and file.potential_security_threat
    about = ", ".join(filter(None, (size_text(file.size), "flagged as a threat" if threat else "")))
    name = file.original_filename or file.filename or "?"
    return printable(f"{name} ({about})" if about else name), printable(file.filename or "")


def _bubble(entry: Entry, width: int) -> Align:
    body = Text("\n".join(printable_lines(entry.text)))
    if entry.translation:
        body.append("\n" + "\n".join(printable_lines(entry.translation)), style="italic dim")
    for name, file_id in entry.files:
        body.append(f"\n@ {name}", style="cyan")
        body.append(f"\n  {file_id}" if file_id else "", style="dim")
    for note in entry.notes:
        body.append(f"\n! {note}", style="bold yellow")
    # The style of a frame would shine through the title: dark blue is hard to read.
    title = Text(printable(entry.author), style="not dim default")
    title.append(f" · {local_time(entry.at)}", style="dim default")
    panel = Panel(
        body,
        title=title,
        title_align="right" if entry.is_mine else "left",
        border_style="blue" if entry.is_mine else "dim",
        width=_panel_width(body, title, width * 3 // 4),
    )
    return Align(panel, "right" if entry.is_mine else "left", width=width)


def _panel_width(body: Text, title: Text, limit: int) -> int:
    """Return the width that the widest line needs, at most `limit`; a frame takes 4 columns."""
    widest = max([line.cell_len for line in body.split()] + [title.cell_len + 2])
    return max(min(widest + 4, limit), 12)


def _print_plain(entry: Entry) -> None:
    print_line(f"[{local_time(entry.at)}] {printable(entry.author)}{' (me)' * entry.is_mine}:")
    for line in printable_lines(entry.text):
        print_line(f"  {line}".rstrip())
    if entry.translation:
        for line in printable_lines(entry.translation):
            print_line(f"  > {line}".rstrip())
    for name, file_id in entry.files:
        print_line(f"  @ {name}  {file_id}".rstrip())
    for note in entry.notes:
        print_line(f"  ! {note}")


def _console() -> Console:
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
