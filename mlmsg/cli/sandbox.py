"""`mlmsg sandbox`: a server to rehearse against."""

import asyncio
import signal
from contextlib import suppress

import click

from mlmsg.sandbox import Market, RateLimit, Sandbox, example_market, generated_market

from ._command import Command
from ._exit_codes import ExitCode
from ._output import print_json, print_line, print_note
from ._settings import ACCESS_TOKEN, DOMESTIC_SITE

__all__ = ["sandbox"]

FILES_PER_MESSAGE = 25
"""The largest number of files of one message."""

DAYS = 28
"""Days over which the updates are spread: `mlmsg packs` lists those of the last 30."""

_GLOBAL_SELLING = "CBT"


@click.command(cls=Command)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="The port to listen at; 0 takes a free one.",
)
@click.option("--packs", type=click.IntRange(0), metavar="N", help="So many packs.")
@click.option("--claims", type=click.IntRange(0), metavar="N", help="So many claims.")
@click.option(
    "--files", type=click.IntRange(0), metavar="N", help="So many files of each pack and claim."
)
@click.option("--rate", is_flag=True, help="Limit the requests, as the API does.")
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
    """Serve a made-up Mercado Libre on this machine until Ctrl-C.

    Without --packs, --files and --claims it has a small example market.
    """
    site_id = DOMESTIC_SITE if domestic else _GLOBAL_SELLING
    if packs is None and claims is None and files is None:
        market = example_market(site_id)
    else:
        market = _generated(
            site_id,
            packs=10 if packs is None else packs,
            claims=0 if claims is None else claims,
            files=1 if files is None else files,
        )
    server = Sandbox(market=market, port=port)
    if rate:
        server.rate = RateLimit()
    try:
        asyncio.run(_serve(server, json=json, quiet=quiet))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.OK


def _generated(site_id: str, *, packs: int, claims: int, files: int) -> Market:
    if claims and not packs:
        raise click.UsageError("each claim is about a sale; add --packs")
    messages = max(3, -(-files // FILES_PER_MESSAGE))
    try:
        return generated_market(
            packs,
            claims,
            files,
            site_id=site_id,
            messages=messages,
            unread=min(packs, 10),
            days=DAYS,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None


async def _serve(server: Sandbox, *, json: bool, quiet: bool) -> None:
    stopped = asyncio.Event()
    with suppress(NotImplementedError, RuntimeError, ValueError):  # not on Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with server:
        if json:
            print_json({"url": server.url, "access_token": server.token})
        else:
            print_line(f"sandbox: {server.url}")
            print_line(f"export {ACCESS_TOKEN}={server.token}")
        if not quiet:
            pack = next(iter(server.market.packs), "PACK")
            family = "" if server.market.site_id == _GLOBAL_SELLING else " --domestic"
            print_note(f"try: mlmsg thread {pack} --base-url {server.url}{family}")
            print_note("Ctrl-C stops it")
        await stopped.wait()
