"""Standard streams that never raise: a closed pipe, a full disk, a closed descriptor.

Everything that the command line prints, click's and rich's output included, goes through
`sys.stdout` and `sys.stderr`. `guard_streams` replaces both by streams that remember their first
error and discard what follows. So a reader that leaves (`| head`) ends no job, and no traceback
appears when Python flushes at exit.
"""

import errno
import io
import os
import select
import sys
from typing import BinaryIO, TextIO

__all__ = ["guard_streams", "is_reader_gone", "open_stdin", "write_error"]


class _GuardedFile(io.FileIO):
    """A file that keeps its first error and discards everything that is written after it."""

    error: OSError | None = None

    def write(self, data: bytes | memoryview, /) -> int:  # type: ignore[override]
        """Write the data, or as much as the system takes."""
        size = memoryview(data).nbytes
        while self.error is None:
            try:
                written = super().write(data)
            except OSError as error:
                self.error = error
            else:
                # None: another program made the pipe non-blocking, and it is full.
                if written is not None:
                    return written
                select.select([], [self], [])
        return size


def guard_streams() -> None:
    """Replace `sys.stdout` and `sys.stderr` by streams that never raise an `OSError`."""
    _reserve_descriptors()
    sys.stdout = _guarded(sys.stdout, 1)
    sys.stderr = _guarded(sys.stderr, 2)


def open_stdin() -> BinaryIO:
    """Return standard input, for bytes.

    Not `sys.stdin.buffer`: Python cannot close it at exit while a thread waits for a line.
    """
    try:
        is_replaced = sys.stdin is not None and sys.stdin.fileno() != 0
    except OSError:  # a test's own input
        is_replaced = True
    return sys.stdin.buffer if is_replaced else open(0, "rb", closefd=False)


def write_error() -> OSError | None:
    """Return the error that standard output met, unless its reader has left; otherwise None."""
    error = _first_error()
    return None if error is None or error.errno == errno.EPIPE else error


def is_reader_gone() -> bool:
    """Return True if nothing that is printed from now on arrives anywhere."""
    return _first_error() is not None


def _first_error() -> OSError | None:
    buffer = getattr(sys.stdout, "buffer", None)
    file = getattr(buffer, "raw", None)
    return file.error if isinstance(file, _GuardedFile) else None


def _reserve_descriptors() -> None:
    """Open the null device as each standard descriptor that is closed (`>&-`).

    Otherwise the next socket or file would get its number, and receive what is printed.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one


def _guarded(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is not None and sys.platform == "win32" and stream.isatty():
        return stream  # a console takes Unicode only through its own class
    file: io.FileIO = _GuardedFile(descriptor, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding=stream.encoding if stream is not None else "utf-8",
        errors="backslashreplace",  # a character that the encoding lacks is no error either
        line_buffering=True,
    )
