"""`mlmsg login`: the first token of a seller, and the file that keeps it."""

import asyncio
import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import click

from mlmsg._arguments import check_base_url, is_loopback
from mlmsg._secrets import Secret
from mlmsg._worker_threads import run_in_thread
from mlmsg.client import BASE_URL, Client
from mlmsg.errors import (
    ApiError,
    InvalidToken,
    MlmsgError,
    RateLimited,
    RuleError,
    TransportError,
)
from mlmsg.models import Me
from mlmsg.oauth import Authorization, AuthorizationDenied
from mlmsg.rules import check_login_site
from mlmsg.token_store import Token

from ._command import Command
from ._exit_codes import ExitCode
from ._failures import Failure, describe
from ._grant_file import (
    CLIENT_ID,
    CLIENT_SECRET,
    GRANT,
    REDIRECT_URI,
    Grant,
    GrantFile,
    LoginFile,
    check_variable,
    default_path,
    prepare_folder,
)
from ._output import print_json, print_line, print_note, printable
from ._questions import Questions
from ._settings import ACCESS_TOKEN, DOMESTIC_SITE, Settings, api_options

__all__ = ["login"]

_REHEARSED_REDIRECT = "https://example.com/after-login"
_PASTE = "Final address"

_VARIABLES = (
    ("MLMSG_CLIENT_ID", "The id of the application."),
    ("MLMSG_CLIENT_SECRET", "The secret of the application."),
    (REDIRECT_URI, "The redirect address of the application."),
    ("MLMSG_GRANT", "The grant file, if --grant is not given."),
    (ACCESS_TOKEN, "If set, other commands use it in place of the grant."),
    ("HTTPS_PROXY", "A proxy."),
)


class _LoginCommand(Command):
    variables: ClassVar[Sequence[tuple[str, str]]] = _VARIABLES


@dataclass(frozen=True, slots=True)
class _Application:
    """An application, as the login needs it."""

    client_id: str
    client_secret: Secret
    redirect_uri: str


@click.command(cls=_LoginCommand)
@click.option(
    "--site-id", metavar="SITE", help="Site of the account, such as MLM; CBT for Global Selling."
)
@api_options
def login(settings: Settings, site_id: str | None) -> ExitCode:
    """Log in a seller, and keep the grant for all other commands.

    Open the address that is printed, log in with the main account, and paste the address at which
    the browser ends. What no variable names is asked for.

    The grant file holds the tokens and the application. Only its owner can read it. Each --base-url
    has a file of its own. A grant of another account is not lost: the file is copied first.
    """
    if settings.sandbox:
        return asyncio.run(_rehearse(settings))
    base_url = check_base_url(settings.base_url or BASE_URL)
    site_id = None if site_id is None else check_login_site(site_id)
    path = Path(settings.grant).expanduser() if settings.grant else default_path(base_url)
    _check_kept(path, base_url, settings)
    prepare_folder(path)
    questions = Questions()
    last = _last_grant(path, base_url)
    application = _application(questions, settings, last)
    if site_id is None and not _is_sandbox(base_url):
        default = (last and last.site_id) or ("" if settings.domestic else "CBT")
        site_id = questions.ask("Site of the account (CBT is Global Selling)", default)
    authorization = _authorization(application, site_id or "CBT", base_url)
    grant = Grant(
        access_token="",
        refresh_token="",
        client_id=application.client_id,
        client_secret=str(application.client_secret),  # msgspec encodes no subclass of str
        redirect_uri=application.redirect_uri,
        base_url=None if base_url == BASE_URL else base_url,
        site_id=None if site_id is None else authorization.site_id,
    )
    file = LoginFile(path, grant)
    _show_address(authorization, settings)
    token = _exchange(questions, authorization, file)
    if file.copy is not None:
        print_note(f"the grant that was there before is now in {file.copy}")
    return asyncio.run(_greet(token, base_url, settings, file))


def _application(questions: Questions, settings: Settings, last: Grant | None) -> _Application:
    """Return the application: from the variables, from the last login, or from the answers."""
    client_id = os.environ.get(CLIENT_ID) or (last and last.client_id) or ""
    known = last if last is not None and last.client_id == client_id else None
    secret = os.environ.get(CLIENT_SECRET) or (known and known.client_secret) or ""
    redirect_uri = os.environ.get(REDIRECT_URI) or (known and known.redirect_uri) or ""
    if known is not None:
        settings.note(f"application: {client_id}, from the last login")
    return _Application(
        client_id=client_id or questions.ask("Client id of the application"),
        client_secret=Secret(secret or questions.ask_secret("Client secret")),
        redirect_uri=redirect_uri or questions.ask("Redirect address of the application"),
    )


def _check_kept(path: Path, base_url: str, settings: Settings) -> None:
    """Check that the variable of the grant file does not name the grant of another API."""
    if not settings.grant and os.environ.get(GRANT):
        with suppress(OSError, RuleError):
            check_variable(GrantFile.read(path).grant, base_url)


def _last_grant(path: Path, base_url: str) -> Grant | None:
    """Return the grant of the last login at the same API, if there is one."""
    with suppress(OSError, RuleError):
        grant = GrantFile.read(path).grant
        if grant.api == base_url:
            return grant
    return None


def _is_sandbox(base_url: str) -> bool:
    return is_loopback(urlsplit(base_url).hostname or "")


def _authorization(application: _Application, site_id: str, base_url: str) -> Authorization:
    return Authorization(
        application.client_id,
        application.client_secret,
        application.redirect_uri,
        site_id,
        base_url,
        trust_env=True,
    )


def _show_address(authorization: Authorization, settings: Settings) -> None:
    settings.note("Open this address in a browser, and log in with the main account:")
    # With --json, standard output is for the result alone.
    (print_note if settings.json else print_line)(authorization.url)
    settings.note(
        f"The browser then ends at {authorization.redirect_uri}?code=… (the page need not load)."
    )


def _exchange(questions: Questions, authorization: Authorization, file: LoginFile) -> Token:
    """Return the tokens for a pasted address. On a terminal, ask again after a mistake."""
    while True:
        final_address = Secret(questions.ask(_PASTE))
        try:
            return asyncio.run(_obtain(authorization, final_address, file))
        except MlmsgError as error:
            if not (questions.is_terminal and _may_try_again(error)):
                if isinstance(error, ApiError):  # not about an access token, as its class says
                    raise Failure(str(error)) from error
                raise
            print_note(f"Error: {describe(error)}")


def _may_try_again(error: MlmsgError) -> bool:
    """Return True if the same login can go on with another paste, or with the same one."""
    if isinstance(error, AuthorizationDenied | InvalidToken):
        return False
    is_refused_code = isinstance(error, ApiError) and error.code == "invalid_grant"
    return is_refused_code or isinstance(error, RuleError | RateLimited | TransportError)


async def _obtain(
    authorization: Authorization, final_address: str, file: LoginFile | None
) -> Token:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # `_greet` prints it as a note
        return await authorization.exchange(final_address, file)


async def _greet(
    token: Token, base_url: str, settings: Settings, file: LoginFile | None
) -> ExitCode:
    """Ask who logged in, add the site to the grant file, and print it."""
    try:
        async with Client(token.access_token, base_url=base_url, trust_env=True) as client:
            me = await client.account.me()
    except MlmsgError as error:
        kept = f"the grant is kept in {file.path}, but " if file is not None else ""
        raise Failure(f"{kept}the account cannot be read: {error}") from error
    if file is not None:
        async with file.lock():
            await file.add_site(token, me.site_id)
    _print_account(me, settings, file)
    if not token.refresh_token:
        print_note(
            "The application has no scope `offline_access`: the grant cannot be refreshed, "
            "and ends after some hours"
        )
    if file is not None and os.environ.get(ACCESS_TOKEN):
        print_note(f"{ACCESS_TOKEN} is set: unset it, or other commands use it instead")
    return ExitCode.OK


def _print_account(me: Me, settings: Settings, file: LoginFile | None) -> None:
    place = str(file.path) if file is not None else None
    if settings.json:
        account = {"id": me.id, "nickname": me.nickname, "site_id": me.site_id, "tags": me.tags}
        print_json(account | {"global_selling": me.global_selling, "grant": place})
        return
    family = "Global Selling" if me.global_selling else "domestic"
    name, site = me.nickname or "user", me.site_id or "unknown"
    print_line(printable(f"logged in as {name} ({me.id}), site {site}, {family}"))
    settings.note(f"the grant is kept in {place}" if place else "a rehearsal: nothing is kept")
    is_chosen = settings.grant or os.environ.get(GRANT)
    if file is not None and file.grant.base_url and not is_chosen:
        settings.note(f"use it with --base-url {file.grant.base_url}")


async def _rehearse(settings: Settings) -> ExitCode:
    """Log in to a sandbox in this process, which opens the address by itself."""
    from mlmsg.sandbox import Sandbox, example_market  # noqa: PLC0415  (takes long to import)

    market = example_market(DOMESTIC_SITE) if settings.domestic else example_market()
    async with Sandbox(market=market) as sandbox:
        grant = sandbox.grant
        secret = Secret(grant.client_secret)
        application = _Application(grant.client_id, secret, _REHEARSED_REDIRECT)
        authorization = _authorization(application, market.site_id, sandbox.url)
        _show_address(authorization, settings)
        final_address = await run_in_thread(lambda: _open(authorization.url))
        settings.note(f"{_PASTE}: {final_address}")
        token = await _obtain(authorization, final_address, None)
        return await _greet(token, sandbox.url, settings, None)


def _open(url: str) -> str:
    """Open the login page of a sandbox, and return where a browser would end."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        return connection.getresponse().headers["Location"]
    finally:
        connection.close()
