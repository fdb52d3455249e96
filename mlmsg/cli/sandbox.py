"""`mlmsg sandbox`: a server to rehearse against."""

import asyncio

import click

from ._command import Command
from ._exit_codes import ExitCode
from ._whole_numbers import WholeNumber

__all__ = ["sandbox"]


@click.command(cls=Command)
@click.option(
    "--port",
    metavar="PORT",
    type=WholeNumber(0, 65535, "a port number"),
    default=0,
    show_default=True,
    help="The port to listen at; 0 takes a free one.",
)
@click.option("--packs", type=WholeNumber(0), metavar="N", help="The number of packs.")
@click.option("--claims", type=WholeNumber(0), metavar="N", help="The number of claims.")
@click.option(
    "--files",
    type=WholeNumber(0),
    metavar="N",
    help="The number of files of each pack and claim.",
)
@click.option("--rate", is_flag=True, help="Answer too many requests with 429, as the API does.")
@click.option("--domestic", is_flag=True, help="Serve a domestic seller, not Global Selling.")
@click.option("--json", is_flag=True, help="Print the address and the token as JSON.")
@click.option("--quiet", is_flag=True, help="Print no notes.")
def sandbox(
    port: int,
    packs: int | None,
    claims: int | None,
    files: int | None,
    rate: bool,
    domestic: bool,
    json: bool,
    quiet: bool,
) -> ExitCode:
    """Serve a sandbox to rehearse against, until Ctrl-C.

    Other commands reach it with --base-url, and with the variable that is printed. Without
    --packs, --files and --claims it has a small example market.
    """
    from ._sandbox_server import SandboxOptions, serve  # noqa: PLC0415  (takes long)

    options = SandboxOptions(port, packs, claims, files, rate, domestic, json, quiet)
    try:
        asyncio.run(serve(options))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.OK
