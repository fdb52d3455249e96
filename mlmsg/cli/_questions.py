"""Ask for what is missing: on a terminal, or in lines of standard input."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from getpass import getpass
from importlib import import_module

from mlmsg._secrets import Secret

from ._exit_codes import ExitCode
from ._failures import Failure
from ._output import print_note
from ._streams import open_stdin

__all__ = ["Questions"]


class Questions:
    """Questions to the user.

    Without a terminal each answer is one line of standard input, in the order of the questions.

    Attributes:
        is_terminal: True if a person types the answers.
    """

    def __init__(self) -> None:
        self.is_terminal: bool = sys.stdin is not None and sys.stdin.isatty()
        if self.is_terminal:
            # With readline, `input` has no limit. Without it, a terminal cuts a line after 4095
            # bytes (Linux) or 1023 (macOS). Windows has no module of that name, and no such limit.
            with suppress(ImportError):
                import_module("readline")
        else:
            self._lines = open_stdin()

    def ask(self, question: str, default: str = "") -> str:
        """Return an answer, or the default in place of an empty one.

        Raises:
            Failure: Standard input ended.
        """
        text = f"{question} [{default}]" if default else question
        while True:
            answer = self._read(f"{text}: ").strip()
            if answer or default:
                return answer or default
            if not self.is_terminal:
                raise Failure(f"standard input, {question!r}: found an empty line", ExitCode.USAGE)

    def ask_secret(self, question: str) -> Secret:
        """Return an answer that the terminal does not show.

        Raises:
            Failure: Standard input ended.
        """
        if not self.is_terminal:
            return Secret(self.ask(question))
        try:
            return Secret(getpass(f"{question} (not shown): ").strip())
        except EOFError:
            raise _ended(question) from None

    def _read(self, prompt: str) -> str:
        if self.is_terminal:
            with suppress(EOFError), _prompts_on_terminal():
                return input(prompt)
        else:
            print_note(prompt.rstrip(" "))
            if line := self._lines.readline():
                return line.decode("utf-8-sig", "replace")
        raise _ended(prompt.rstrip(": "))


@contextmanager
def _prompts_on_terminal() -> Iterator[None]:
    """Let descriptor 1 be standard error, if standard output is a file or a pipe.

    `input` prints its prompt on descriptor 1, and uses readline only if that is a terminal.
    """
    if sys.stdout.isatty():
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _ended(question: str) -> Failure:
    return Failure(f"standard input ended before {question!r} was answered", ExitCode.USAGE)
