"""Render threads and tables as HTML for notebooks.

Pure: values in, text out. Everything is escaped, nothing is fetched and nothing runs. The colours
come from the page, so that a dark theme looks right too.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

__all__ = [
    "Bubble",
    "count_text",
    "file_lines",
    "render_table",
    "render_thread",
    "size_text",
    "status_remarks",
]

MAX_BUBBLES = 200
"""Messages that a notebook shows of one thread."""

MAX_ROWS = 200
"""Rows that a notebook shows of one table."""

_FONT = "font:14px/1.45 system-ui,sans-serif;color:inherit"
_LINE = "1px solid rgba(127,127,127,.35)"
_MUTED = "opacity:.7;font-size:12px"
_MINE = "background:rgba(52,131,250,.16)"
_THEIRS = "background:rgba(127,127,127,.14)"


def escape(text: str) -> str:
    """Return a text as HTML."""
    from html import escape as escape_html  # noqa: PLC0415  (few programs need its large table)

    return escape_html(text)


_FINE = frozenset({"", "clean", "non_moderated", "none"})
"""Moderation statuses that need no remark."""


class _File(Protocol):
    """An attachment of a message or of a claim."""

    @property
    def filename(self) -> str | None: ...

    @property
    def original_filename(self) -> str | None: ...

    @property
    def size(self) -> int | None: ...


class _Moderation(Protocol):
    """The moderation of a message or of a claim message."""

    @property
    def status(self) -> str | None: ...

    @property
    def reason(self) -> str | None: ...


class Bubble(msgspec.Struct, frozen=True):
    """A message as a notebook shows it.

    Attributes:
        author: The name or role of the sender.
        is_mine: True if the seller wrote it; it is then shown on the right.
        at: The time, shown in local time, or None.
        text: The text.
        translation: The text in the reader's language, or `""`.
        files: The names and sizes of the attachments.
        notes: Moderation and similar remarks.
    """

    author: str
    is_mine: bool
    at: datetime | None
    text: str
    translation: str = ""
    files: Sequence[str] = ()
    notes: Sequence[str] = ()


def render_thread(title: str, bubbles: Sequence[Bubble], note: str = "") -> str:
    """Return a thread, the oldest message first, ours on the right.

    Of a long thread, the newest messages are shown, below the number of those that are left out.

    Args:
        title: The title.
        bubbles: The messages. If one has no time, they are taken to be newest first, as in every
            documented example.
        note: A line below the title, such as the advice for a blocked thread.
    """
    ordered = list(reversed(bubbles))
    if all(bubble.at is not None for bubble in ordered):
        ordered.sort(key=_moment)
    left_out = _rest(len(ordered) - MAX_BUBBLES, "earlier messages")
    shown = "".join(map(_bubble, ordered[-MAX_BUBBLES:]))
    has_times = any(bubble.at is not None for bubble in ordered)
    return _frame(title, note, left_out + shown, has_times=has_times)


def render_table(
    title: str, headers: Sequence[str], rows: Sequence[Sequence[object]], note: str = ""
) -> str:
    """Return a table. A datetime is shown in local time, None as an empty cell.

    A column without any value is left out.
    """
    shown = rows[:MAX_ROWS]
    columns = [
        (header, values)
        for header, *values in zip(headers, *shown, strict=True)
        if any(value is not None and value != "" for value in values)
    ]
    lines = ["".join(_cell("th", header, _align(values)) for header, values in columns)]
    lines += [
        "".join(_cell("td", values[number], _align(values)) for _, values in columns)
        for number in range(len(shown))
    ]
    body = "".join(f"<tr>{line}</tr>" for line in lines if line)
    table = f'<table style="border-collapse:collapse;margin:0;{_FONT}">{body}</table>'
    rest = _rest(len(rows) - MAX_ROWS, "more rows")
    has_times = any(isinstance(value, datetime) for row in shown for value in row)
    return _frame(title, note, (table if body else "") + rest, has_times=has_times)


def file_lines(files: Iterable[_File]) -> list[str]:
    """Return a line for each file: its original name and its size."""
    names = ((file.original_filename or file.filename or "?", file.size) for file in files)
    return [name if size is None else f"{name} ({size_text(size)})" for name, size in names]


def status_remarks(status: str | None, moderation: _Moderation | None) -> list[str]:
    """Return a remark on a message that its receiver may not see; otherwise an empty list.

    The remark names the verdict of moderation, the status of the message, and the reason.
    """
    verdict = (moderation.status or "").lower() if moderation else ""
    reason = moderation.reason if moderation else None
    if verdict in _FINE and (status or "available") == "available":
        return []
    if verdict and status == "moderated":
        status = None  # the verdict says it better
    words = dict.fromkeys(word for word in (verdict, status, reason) if word)
    return [": ".join(words)]


def count_text(count: int, total: int | None, what: str) -> str:
    """Return a number of things, and of how many: `3 of 14 messages`, `1 message`."""
    if total is not None and total != count:
        return f"{count} of {total} {what}s"
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def size_text(size: int | None) -> str:
    """Return a number of bytes for a reader: `536.8 kB`."""
    if size is None:
        return ""
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1000:.1f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def _frame(title: str, note: str, content: str, *, has_times: bool) -> str:
    zone = f"times in {datetime.now().astimezone():%Z}" if has_times else ""
    head = (
        '<div style="display:flex;justify-content:space-between;align-items:baseline">'
        f'<div style="font-weight:600">{escape(title)}</div>'
        f'<div style="{_MUTED};white-space:nowrap;margin-left:12px">{escape(zone)}</div></div>'
    )
    if note:
        head += f'<div style="{_MUTED}">{escape(note)}</div>'
    style = f"{_FONT};border:{_LINE};border-radius:8px;padding:10px 12px;max-width:760px"
    body = f'<div style="margin-top:6px">{content}</div>' if content else ""
    return f'<div style="{style}">{head}{body}</div>'


def _bubble(bubble: Bubble) -> str:
    side, colour = ("flex-end", _MINE) if bubble.is_mine else ("flex-start", _THEIRS)
    parts = [
        f'<div style="{_MUTED}">{escape(bubble.author)} · {escape(_time(bubble.at))}</div>',
        f'<div style="white-space:pre-wrap">{escape(bubble.text)}</div>',
    ]
    if bubble.translation:
        parts.append(
            f'<div style="white-space:pre-wrap;{_MUTED};font-style:italic">'
            f"{escape(bubble.translation)}</div>"
        )
    parts += [f'<div style="font-size:12px">📎 {escape(file)}</div>' for file in bubble.files]
    parts += [
        f'<div style="font-size:12px;font-weight:600">⚠ {escape(note)}</div>'
        for note in bubble.notes
    ]
    box = f"max-width:78%;padding:6px 10px;border-radius:10px;overflow-wrap:anywhere;{colour}"
    row = f"display:flex;justify-content:{side};margin:4px 0"
    return f'<div style="{row}"><div style="{box}">{"".join(parts)}</div></div>'


def _moment(bubble: Bubble) -> float:
    return 0.0 if bubble.at is None else bubble.at.timestamp()


def _align(values: Sequence[object]) -> str:
    kinds = {type(value) for value in values if value is not None}
    return "right" if kinds <= {int, float} else "left"


def _cell(tag: str, value: object, align: str) -> str:
    text = _time(value) if isinstance(value, datetime) else "" if value is None else str(value)
    style = f"text-align:{align};padding:3px 10px;border-bottom:{_LINE};background:transparent"
    return f'<{tag} style="{style}">{escape(text)}</{tag}>'


def _rest(count: int, what: str) -> str:
    return f'<div style="{_MUTED}">… and {count} {what}</div>' if count > 0 else ""


def _time(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M")
