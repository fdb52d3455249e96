"""The command line: `mlmsg COMMAND`, one module for each family of commands."""

import click

from .sync import sync

__all__ = ["cli"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mlmsg")
def cli() -> None:
    """Mercado Libre's post-sale messaging from the command line."""


cli.add_command(sync)
