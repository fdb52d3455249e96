"""The command line: `mlmsg COMMAND`, one module for each family of commands."""

import logging

import click

from ._command import CommandGroup
from ._streams import guard_streams
from .account import whoami
from .claims import claim, claims
from .files import download, upload
from .login import login
from .packs import packs
from .sandbox import sandbox
from .sending import reasons, send
from .sync import sync
from .threads import mark_read, message, thread, unread

__all__ = ["cli", "main"]


COMMANDS: list[click.Command] = [
    login,
    whoami,
    thread,
    message,
    send,
    upload,
    download,
    unread,
    mark_read,
    reasons,
    packs,
    claims,
    claim,
    sync,
    sandbox,
]


@click.group(
    "mlmsg",
    cls=CommandGroup,
    commands=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="mlmsg")
def cli() -> None:
    """Mercado Libre's post-sale messaging from the command line.

    Add --sandbox to a command to try it without an account. `mlmsg COMMAND --help` lists the
    options, variables and exit codes of a command.

    To complete commands and options with the Tab key, add a line to the startup file of your shell:

    \b
      bash  eval "$(_MLMSG_COMPLETE=bash_source mlmsg)"
      zsh   eval "$(_MLMSG_COMPLETE=zsh_source mlmsg)"
      fish  _MLMSG_COMPLETE=fish_source mlmsg | source
    """  # noqa: D301  (click wants the character itself before a paragraph that it must not wrap)


def main() -> None:
    """Run the command line, and exit with its code."""
    guard_streams()
    # asyncio logs what our own errors say already, and with a traceback.
    logging.getLogger("asyncio").addHandler(logging.NullHandler())
    cli(prog_name="mlmsg")
