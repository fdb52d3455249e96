"""`mlmsg sandbox`: a server to rehearse against."""

import asyncio
import signal
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import click

from mlmsg.sandbox import Market, RateLimit, Sandbox, example_market

from ._command import Command
from ._exit_codes import ExitCode
from ._output import print_json, print_line, print_note
from ._settings import ACCESS_TOKEN, DOMESTIC_SITE

__all__ = ["generated_market", "sandbox"]

FILE_BYTES = 4096
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
        market = generated_market(
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


def generated_market(site_id: str, *, packs: int, claims: int, files: int) -> Market:
    """Return a market with so many packs and claims, each with so many files.

    Ids, dates and contents are the same in every run.
    """
    market = Market(site_id=site_id)
    order_site = "MLM" if site_id == _GLOBAL_SELLING else site_id
    start = datetime(2026, 1, 5, 12, tzinfo=UTC)
    for number in range(packs):
        at = (start + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
        pack = market.add_pack(site_id=order_site, buyer_name=f"Buyer {number + 1}")
        market.add_message(pack.id, "¿Cuándo llega mi pedido?", author="buyer", at=at, read=at)
        ids = [
            market.add_file(_picture(pack.id, index), f"foto {index + 1}.png", "image/png").id
            for index in range(files)
        ]
        market.add_message(pack.id, "Te mando las fotos.", author="buyer", attachments=ids, at=at)
    for number in range(claims):
        at = (start + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%S.000-04:00")
        claim = market.add_claim(site_id=order_site, at=at)
        names = [
            market.add_claim_file(
                claim.id, _picture(claim.id, index), f"foto {index + 1}.png", "image/png"
            ).file_name
            for index in range(files)
        ]
        market.add_claim_message(claim.id, "Llegó roto.", attachments=names, at=at)
    return market


def _picture(owner: str, index: int) -> bytes:
    """Return bytes that begin like a PNG file, different for each file."""
    seed = sha256(f"{owner} {index}".encode()).digest()
    return (b"\x89PNG\r\n\x1a\n" + seed * (FILE_BYTES // len(seed)))[:FILE_BYTES]
