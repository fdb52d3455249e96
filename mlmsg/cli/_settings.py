"""The options that all commands share, and the client that they describe."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import click

from mlmsg.budget import RateBudget
from mlmsg.client import Client
from mlmsg.sandbox import Sandbox

from ._exit_codes import ExitCode
from ._failures import Failure
from ._output import print_note

__all__ = ["Connection", "Settings", "api_options", "call", "connect"]

P = ParamSpec("P")
R = TypeVar("R")

ACCESS_TOKEN = "MLMSG_ACCESS_TOKEN"  # noqa: S105  (the name of a variable)


@dataclass(frozen=True, slots=True)
class Settings:
    """The values of the options that all commands share.

    Attributes:
        sandbox: True to use a sandbox in this process.
        base_url: The address of the API, or None for the default one.
        domestic: True for a domestic seller, False for a seller of Global Selling.
        json: True to print JSON.
        quiet: True to print no notes and no progress.
        verbose: True to print the requests, and the traceback of an error.
    """

    sandbox: bool = False
    base_url: str | None = None
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
    """An open client, and its sandbox if there is one."""

    client: Client
    sandbox: Sandbox | None


_OPTIONS = (
    click.option("--sandbox", is_flag=True, help="Use a sandbox in this process, not an account."),
    click.option("--base-url", metavar="URL", help="Address of the API, or of a sandbox."),
    click.option("--domestic", is_flag=True, help="Use the paths of a domestic seller."),
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
        if settings.verbose:
            _log_requests()
        return function(settings, *args, **kwargs)

    for option in reversed(_OPTIONS):
        option(command)
    return command


def call(settings: Settings, function: Callable[[Client], Awaitable[R]]) -> R:
    """Return the result of `function` for an open client, in a new event loop."""

    async def run() -> R:
        async with connect(settings) as connection:
            return await function(connection.client)

    return asyncio.run(run())


@asynccontextmanager
async def connect(settings: Settings, *, share: int = 1) -> AsyncIterator[Connection]:
    """Yield a client for the settings; `share` is the number of processes that share its limit.

    Raises:
        Failure: There is no access token.
    """
    async with AsyncExitStack() as stack:
        sandbox = None
        if settings.sandbox:
            sandbox = await stack.enter_async_context(Sandbox())
        client = _client(settings, sandbox, share)
        yield Connection(await stack.enter_async_context(client), sandbox)


def _client(settings: Settings, sandbox: Sandbox | None, share: int) -> Client:
    global_selling = not settings.domestic
    if sandbox is not None:
        url, token = sandbox.url, sandbox.token
        return Client(token, base_url=url, budget=None, global_selling=global_selling)
    budget = RateBudget().share(share)
    token = access_token()
    if settings.base_url is None:
        return Client(token, budget=budget, global_selling=global_selling)
    return Client(token, base_url=settings.base_url, budget=budget, global_selling=global_selling)


def access_token() -> str:
    """Return the access token of the environment.

    Raises:
        Failure: There is none.
    """
    token = os.environ.get(ACCESS_TOKEN)
    if not token:
        text = f"{ACCESS_TOKEN} is not set; to try without an account, add --sandbox"
        raise Failure(text, ExitCode.USAGE)
    return token


def _log_requests() -> None:
    logger = logging.getLogger("mlmsg")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
