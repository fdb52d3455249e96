"""The exit codes of every command."""

from enum import IntEnum

__all__ = ["EXIT_CODES", "ExitCode"]


class ExitCode(IntEnum):
    """The exit codes of every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    STOPPED = 3
    INTERRUPTED = 130


EXIT_CODES = (
    (ExitCode.OK, "Everything succeeded."),
    (ExitCode.FAILED, "Something failed. A job went on with the rest."),
    (ExitCode.USAGE, "Wrong use, or a rule of the API is broken. Nothing was done."),
    (ExitCode.STOPPED, "An error stopped the command before its end. Run it again to continue."),
    (ExitCode.INTERRUPTED, "Interrupted (Ctrl-C)."),
)
"""The exit codes and their meanings, for the help of each command."""
