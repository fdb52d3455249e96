"""The sandbox as a program. This module is imported on use: the server takes long to import."""

import asyncio
import signal
from contextlib import suppress
from dataclasses import dataclass

import click

from mlmsg.sandbox import Market, RateLimit, Sandbox, example_market, generated_market

from ._grant_file import CLIENT_ID, CLIENT_SECRET, REDIRECT_URI
from ._output import print_json, print_line, print_note
from ._settings import ACCESS_TOKEN, DOMESTIC_SITE

__all__ = ["SandboxOptions", "serve"]

FILES_PER_MESSAGE = 25
"""The largest number of files of one message."""

DAYS = 28
"""Days over which the updates are spread: `mlmsg packs` lists those of the last 30."""

_GLOBAL_SELLING = "CBT"


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """The options of `mlmsg sandbox`; see its help. None stands for a missing number."""

    port: int
    packs: int | None
    claims: int | None
    files: int | None
    rate: bool
    domestic: bool
    json: bool
    quiet: bool


async def serve(options: SandboxOptions) -> None:
    """Serve a sandbox until SIGTERM, or until the task is cancelled."""
    stopped = asyncio.Event()
    with suppress(NotImplementedError, RuntimeError, ValueError):  # not on Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    sandbox = Sandbox(market=_market(options), port=options.port)
    if options.rate:
        sandbox.rate = RateLimit()
    async with sandbox:
        _print_address(sandbox, options)
        await stopped.wait()


def _print_address(sandbox: Sandbox, options: SandboxOptions) -> None:
    if options.json:
        grant = sandbox.grant
        application = {"client_id": grant.client_id, "client_secret": grant.client_secret}
        print_json({"url": sandbox.url, "access_token": sandbox.token, **application})
    else:
        print_line(f"sandbox: {sandbox.url}")
        print_line(f"export {ACCESS_TOKEN}={sandbox.token}")
    if not options.quiet:
        pack = next(iter(sandbox.market.packs), "PACK")
        family = " --domestic" if options.domestic else ""
        print_note(f"try: mlmsg thread {pack} --base-url {sandbox.url}{family}")
        print_note("or log in:")
        print_note(f"    export {CLIENT_ID}={sandbox.grant.client_id}")
        print_note(f"    export {CLIENT_SECRET}={sandbox.grant.client_secret}")
        print_note(f"    export {REDIRECT_URI}=https://example.com/after-login")
        print_note(f"    mlmsg login --base-url {sandbox.url}")
        print_note(f"    mlmsg whoami --base-url {sandbox.url}")
        print_note("Ctrl-C stops it")


def _market(options: SandboxOptions) -> Market:
    """Return the example market, or a market with as many packs, files and claims as asked for."""
    site_id = DOMESTIC_SITE if options.domestic else _GLOBAL_SELLING
    if options.packs is None and options.claims is None and options.files is None:
        return example_market(site_id)
    packs = 10 if options.packs is None else options.packs
    files = 1 if options.files is None else options.files
    if options.claims and not packs:
        raise click.UsageError("each claim is about a sale; add --packs")
    try:
        return generated_market(
            packs,
            options.claims or 0,
            files,
            site_id=site_id,
            messages=max(3, -(-files // FILES_PER_MESSAGE)),
            unread=min(packs, 10),
            days=DAYS,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
