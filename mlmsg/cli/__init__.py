"""The command line: `mlmsg COMMAND`, one module for each family of commands."""

import logging

import click

from ._command import CommandGroup
from ._streams import guard_streams
from .sync import sync

__all__ = ["cli", "main"]


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mlmsg")
def cli() -> None:
    """Mercado Libre's post-sale messaging from the command line."""


cli.add_command(sync)


def main() -> None:
    """Run the command line, and exit with its code."""
    guard_streams()
    # asyncio logs what our own errors say already, and with a traceback.
    logging.getLogger("asyncio").addHandler(logging.NullHandler())
    cli(prog_name="mlmsg")
