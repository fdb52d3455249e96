"""Lists of ids: one id per line, or the first column of a CSV file, in any usual encoding.

Understood are comments (`#`), blank lines, quotes, a header line, every kind of line end, and
columns that are separated by commas, semicolons, tabs or double spaces. The encoding is UTF-8, or
what a byte order mark says: PowerShell's `>` writes UTF-16. Everything else raises a `ListError`,
which names the file and the line.
"""

import asyncio
import codecs
import csv
import io
import re
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from threading import Thread
from typing import BinaryIO, TypeVar

from mlmsg.errors import RuleError

from ._streams import open_stdin

__all__ = ["IdParser", "ListError", "check_list", "is_replayable", "read_ids"]

T = TypeVar("T")

CHUNK_BYTES = 64 * 1024
MAX_LINE_CHARACTERS = 4096
"""A longer line is not part of a list of ids. It is rejected before it fills the memory."""

_BYTE_ORDER_MARKS = (  # UTF-32 first: its mark begins with the mark of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_SEPARATORS = ",;\t"
_ID = re.compile(r"[0-9]{1,32}")
_MANGLED = (
    (
        re.compile(r"[0-9]{1,3}([,.'][0-9]{3})+"),
        "Remove the separators between the thousands",
    ),
    (
        re.compile(r"[0-9]+([.,][0-9]+)?[eE]\+?[0-9]+"),
        "A spreadsheet has rounded the id: format the column as text, and export it again",
    ),
)
"""Forms that spreadsheets give to long numbers. Their first digits must not pass for an id."""


class ListError(RuleError):
    """A line of a list is not an id.

    Attributes:
        file: The name of the list.
        line: The number of the line, from 1.
    """

    def __init__(self, file: str, line: int, found: str, hint: str = "") -> None:
        super().__init__(f"{file}, line {line}", found, "one id per line, in digits", hint)
        self.args = (file, line, found, hint)
        self.file = file
        self.line = line


class IdParser:
    """An incremental parser: bytes in, ids out.

    Args:
        file: The name of the list, for errors.
        kind: The kind of the ids, `pack` or `claim`. It selects the column of a CSV file with a
            header.
    """

    def __init__(self, file: str, kind: str) -> None:
        self._file = file
        self._kind = kind
        self._columns = {"id", kind, f"{kind}id"}
        self._decoder: io.IncrementalNewlineDecoder | None = None
        self._start = b""
        self._text = ""
        self._line = 0
        self._separator = ""
        self._column = 0
        self._is_first = True

    def feed(self, data: bytes, *, final: bool = False) -> list[str]:
        """Return the ids of all lines that these bytes complete.

        Raises:
            ListError: A line is not an id, or is not text.
        """
        *lines, self._text = (self._text + self._decode(data, final=final)).split("\n")
        if final and self._text:
            lines.append(self._text)
        ids = [identifier for line in lines if (identifier := self._parse(line)) is not None]
        if not final and len(self._text) > MAX_LINE_CHARACTERS:
            raise ListError(self._file, self._line + 1, "a line without an end")
        return ids

    def _decode(self, data: bytes, *, final: bool) -> str:
        if self._decoder is None:
            self._start += data
            if not final and _may_grow_into_mark(self._start):
                return ""
            data, self._decoder = self._start, _decoder(self._start)
        try:
            return self._decoder.decode(data, final=final)
        except UnicodeDecodeError as error:
            readable = error.object[: error.start].decode(error.encoding, "ignore")
            line = self._line + (self._text + readable).count("\n") + 1
            found = f"bytes that are not {error.encoding.upper()}"
            raise ListError(self._file, line, found, "Save the list as UTF-8") from None

    def _parse(self, line: str) -> str | None:
        """Return the id of a line, or None if the line holds none."""
        self._line += 1
        if len(line) > MAX_LINE_CHARACTERS:
            raise self._error("a line of more than 4096 characters")
        text = re.sub(r"(^|\s)#.*", "", line.replace("\ufeff", "")).strip()
        if not text:
            return None
        if not text.isprintable() and not text.replace("\t", "").isprintable():
            raise self._error("characters that are not text", "Is this a text file?")
        cells = self._split(text)
        is_first, self._is_first = self._is_first, False
        if is_first and not any(character.isdigit() for character in cells[0]):
            self._read_header(cells)
            return None
        return self._check(cells, text)

    def _split(self, text: str) -> list[str]:
        if self._is_first:
            found = [character for character in text if character in _SEPARATORS]
            self._separator = found[0] if found else "\t"
        if self._separator == "\t":
            text = re.sub(r" {2,}", "\t", text)  # the columns of `mlmsg packs`
        try:
            [cells] = csv.reader(
                [text], delimiter=self._separator, skipinitialspace=True, strict=True
            )
        except (csv.Error, ValueError):
            raise self._error(_shown(text)) from None
        return [cell.strip().strip("'").strip() for cell in cells]

    def _read_header(self, cells: list[str]) -> None:
        names = [re.sub(r"[\s_-]", "", cell).lower() for cell in cells]
        found = [column for column, name in enumerate(names) if name in self._columns]
        if not found and len(cells) > 1:
            hint = f"Name one column {self._kind}_id, or remove the header"
            raise self._error(f"a header without such a column ({_shown(', '.join(cells))})", hint)
        # With one column its name does not matter. An exact name comes before a plain `id`.
        found.sort(key=lambda column: names[column] == "id")
        self._column = found[0] if found else 0

    def _check(self, cells: list[str], text: str) -> str:
        for pattern, hint in _MANGLED:
            if pattern.fullmatch(text) or pattern.fullmatch(cells[0]):
                raise self._error(_shown(text), hint)
        if self._column >= len(cells):
            raise self._error(f"{len(cells)} columns ({_shown(text)})")
        identifier = cells[self._column]
        if not _ID.fullmatch(identifier):
            raise self._error(_shown(identifier))
        return identifier

    def _error(self, found: str, hint: str = "") -> ListError:
        return ListError(self._file, self._line, found, hint)


def check_list(path: str, kind: str) -> int:
    """Read a file to its end, and return the number of its ids.

    Raises:
        ListError: A line of the file is not an id.
        OSError: The file cannot be read.
    """
    parser = IdParser(path, kind)
    count = 0
    with Path(path).open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            count += len(parser.feed(data))
    return count + len(parser.feed(b"", final=True))


async def read_ids(path: str, kind: str) -> AsyncGenerator[str, None]:
    """Yield the ids of a file or a pipe as they arrive; `-` is standard input.

    Raises:
        ListError: A line is not an id.
        OSError: The file cannot be read.
    """
    parser = IdParser("standard input" if path == "-" else path, kind)
    file = await _run_in_daemon(partial(_open, path))
    is_idle = path != "-"
    try:
        while data := await _run_in_daemon(partial(_read, file)):
            for identifier in parser.feed(data):
                yield identifier
    except asyncio.CancelledError:
        is_idle = False
        raise
    finally:
        if is_idle:  # otherwise `close` would wait for the read of a silent pipe
            file.close()
    for identifier in parser.feed(b"", final=True):
        yield identifier


def is_replayable(path: str) -> bool:
    """Return True for a file that can be read twice: not standard input, nor any other pipe."""
    return path != "-" and Path(path).is_file()


def _open(path: str) -> BinaryIO:
    return open_stdin() if path == "-" else Path(path).open("rb")


def _read(file: BinaryIO) -> bytes:
    """Return some bytes as soon as there are any; `read` alone would wait for a whole chunk."""
    read1: Callable[[int], bytes] = getattr(file, "read1", file.read)
    return read1(CHUNK_BYTES)


async def _run_in_daemon(function: Callable[[], T]) -> T:
    """Run `function` in a daemon thread: a pipe may stay silent, and must not delay the exit."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(function())
        except (OSError, ValueError) as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(future)


def _may_grow_into_mark(start: bytes) -> bool:
    marks = [mark for mark, _ in _BYTE_ORDER_MARKS]
    return any(mark.startswith(start) and mark != start for mark in marks)


def _decoder(start: bytes) -> io.IncrementalNewlineDecoder:
    names = (name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark))
    decoder = codecs.getincrementaldecoder(next(names, "utf-8"))()
    return io.IncrementalNewlineDecoder(decoder, translate=True)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
