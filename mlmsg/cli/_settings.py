"""The options that all commands share, and the client that they describe."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar
from urllib.parse import urlsplit

import click

from mlmsg._arguments import check_base_url, is_loopback
from mlmsg._worker_threads import run_in_thread
from mlmsg.auth import RefreshingToken
from mlmsg.budget import RateBudget
from mlmsg.client import BASE_URL, Client
from mlmsg.errors import TransportError

from ._dry_run import ReadOnlyBudget
from ._exit_codes import ExitCode
from ._failures import Failure
from ._grant_file import GrantFile, check_variable, default_path
from ._output import print_note

__all__ = [
    "ACCESS_TOKEN",
    "DOMESTIC_SITE",
    "Connection",
    "Settings",
    "api_options",
    "call",
    "connect",
]

P = ParamSpec("P")
R = TypeVar("R")

DOMESTIC_SITE = "MLB"
"""The site of the domestic sandbox."""

ACCESS_TOKEN = "MLMSG_ACCESS_TOKEN"  # noqa: S105  (the name of a variable)


@dataclass(frozen=True, slots=True)
class Settings:
    """The values of the options that all commands share.

    Attributes:
        sandbox: True to use a sandbox in this process.
        base_url: The address of the API, or None for that of the grant, or the default one.
        grant: The path of the grant file, or None for the default one.
        domestic: True for a domestic seller, False for a seller of Global Selling.
        json: True to print JSON.
        quiet: True to print no notes and no progress.
        verbose: True to print the requests, and the traceback of an error.
    """

    sandbox: bool = False
    base_url: str | None = None
    grant: str | None = None
    domestic: bool = False
    json: bool = False
    quiet: bool = False
    verbose: bool = False

    def note(self, text: str) -> None:
        """Print a line to standard error, unless the command is to be quiet."""
        if not self.quiet:
            print_note(text)


@dataclass(frozen=True, slots=True)
class Connection:
    """An open client.

    Attributes:
        client: The client.
        is_domestic: True for a domestic seller.
        packs: The ids of all packs of a sandbox; empty for an account.
        claims: The ids of all claims of a sandbox; empty for an account.
    """

    client: Client
    is_domestic: bool
    packs: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()


_OPTIONS = (
    click.option("--sandbox", is_flag=True, help="Use a sandbox in this process, not an account."),
    click.option("--base-url", metavar="URL", help="Address of the API, or of a sandbox."),
    click.option("--grant", metavar="FILE", help="File with the grant of `mlmsg login`."),
    click.option("--domestic", is_flag=True, help="For a domestic seller, not Global Selling."),
    click.option("--json", is_flag=True, help="Print JSON."),
    click.option("--quiet", is_flag=True, help="Print no notes and no progress."),
    click.option("--verbose", is_flag=True, help="Print every request, and tracebacks."),
)


def api_options(function: Callable[Concatenate[Settings, P], R]) -> Callable[P, R]:
    """Add the shared options to a command, and pass their values to it as `Settings`."""

    @wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> R:
        names = Settings.__dataclass_fields__
        settings = Settings(**{name: kwargs.pop(name) for name in names})  # type: ignore[arg-type]
        _check(settings)
        if settings.verbose:
            _log_requests()
        return function(settings, *args, **kwargs)

    for option in reversed(_OPTIONS):
        option(command)
    return command


def _check(settings: Settings) -> None:
    """Check that the options do not contradict each other.

    Raises:
        click.UsageError: They do.
    """
    other = "--base-url" if settings.base_url else "--grant" if settings.grant else ""
    if settings.sandbox and other:
        raise click.UsageError(f"--sandbox starts a sandbox of its own; remove it, or {other}")


def call(
    settings: Settings, function: Callable[[Connection], Awaitable[R]], *, dry_run: bool = False
) -> R:
    """Return the result of `function` for an open client, in a new event loop."""

    async def run() -> R:
        async with connect(settings, dry_run=dry_run) as connection:
            return await function(connection)

    return asyncio.run(run())


@asynccontextmanager
async def connect(
    settings: Settings, *, share: int = 1, dry_run: bool = False
) -> AsyncIterator[Connection]:
    """Yield a client for the settings.

    Args:
        settings: The options of the command.
        share: The number of processes that share the rate limit.
        dry_run: True for a client that raises `DryRunEnd` where it would write.

    Raises:
        Failure: There is neither an access token nor a grant.
    """
    async with AsyncExitStack() as stack:
        if not settings.sandbox:
            budget = ReadOnlyBudget() if dry_run else RateBudget().share(share)
            base_url, client, is_domestic = await run_in_thread(partial(_client, settings, budget))
            stack.enter_context(_sandbox_hint(base_url))
            yield Connection(await stack.enter_async_context(client), is_domestic)
            return
        # Not at the top: the server and its example files double the time of every command.
        from mlmsg.sandbox import Sandbox, example_market  # noqa: PLC0415

        market = example_market(DOMESTIC_SITE) if settings.domestic else example_market()
        sandbox = await stack.enter_async_context(Sandbox(market=market))
        client = Client(
            sandbox.token,
            base_url=sandbox.url,
            budget=ReadOnlyBudget(reads=None) if dry_run else None,
            global_selling=not settings.domestic,
        )
        await stack.enter_async_context(client)
        yield Connection(client, settings.domestic, tuple(market.packs), tuple(market.claims))


@contextmanager
def _sandbox_hint(base_url: str) -> Iterator[None]:
    """Say what to do if the sandbox at an address of this machine has stopped."""
    try:
        yield
    except TransportError as error:
        if error.sent or not is_loopback(urlsplit(base_url).hostname or ""):
            raise
        hint = f"Is the sandbox at {base_url} still running? Start `mlmsg sandbox`, and log in"
        raise Failure(f"{error}. {hint} again with its --base-url") from error


def _client(settings: Settings, budget: RateBudget) -> tuple[str, Client, bool]:
    """Return the address and the client of an account, and True if it is a domestic one.

    This reads files.

    The token is in the environment or in a grant file.
    """
    token: RefreshingToken | str = os.environ.get(ACCESS_TOKEN, "")
    base_url, is_domestic = check_base_url(settings.base_url or BASE_URL), settings.domestic
    path = Path(settings.grant).expanduser() if settings.grant else default_path(base_url)
    if settings.grant or (not token and path.exists()):
        file = GrantFile.read(path)
        if not settings.base_url:
            base_url = file.grant.api
        elif not settings.grant:
            check_variable(file.grant, base_url)
        token = file.token()
        is_domestic = is_domestic or file.grant.is_domestic
    if not token:
        raise _no_token(base_url)
    client = Client(
        token,
        base_url=base_url,
        budget=budget,
        global_selling=not is_domestic,
        trust_env=True,
    )
    return base_url, client, is_domestic


def _no_token(base_url: str) -> Failure:
    place = "" if base_url == BASE_URL else f" of {base_url}"
    flag = place and f" --base-url {base_url}"
    text = f"{ACCESS_TOKEN} is not set, and there is no grant{place}: run `mlmsg login{flag}`, or "
    return Failure(f"{text}add --sandbox to try without an account", ExitCode.USAGE)


def _log_requests() -> None:
    logger = logging.getLogger("mlmsg")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
