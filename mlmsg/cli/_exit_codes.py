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


_FAILED = (
    "The command failed: by an answer of the API, the network, a file, a port, or the state of a "
    "thread or claim. Or a part of a job failed, and the job went on with the rest."
)

EXIT_CODES = (
    (ExitCode.OK, "Everything succeeded."),
    (ExitCode.FAILED, _FAILED),
    (ExitCode.USAGE, "Wrong use: an argument, option or file breaks a rule. Nothing was done."),
    (
        ExitCode.STOPPED,
        "An error or SIGTERM stopped the command before its end. To continue a sync, run it again.",
    ),
    (ExitCode.INTERRUPTED, "Interrupted (Ctrl-C)."),
)
"""The exit codes and their meanings, for the help of each command."""
