"""The exit codes of every command."""

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """The exit codes of every command."""

    OK = 0
    FAILED = 1
    """Something failed; what did not fail is complete."""
    USAGE = 2
    """The command line is wrong; nothing was done."""
    STOPPED = 3
    """An error stopped the command before its end."""
    INTERRUPTED = 130
    """The user interrupted the command."""
