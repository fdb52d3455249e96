"""The file in which the command line keeps a grant, with all that a refresh needs."""

import errno
import os
import re
import time
from itertools import count
from pathlib import Path
from typing import Self

import msgspec
from platformdirs import user_config_path

from mlmsg._secrets import Secret
from mlmsg._streams import fsync_directory
from mlmsg._worker_threads import run_in_thread
from mlmsg.auth import RefreshingToken
from mlmsg.client import BASE_URL
from mlmsg.errors import RuleError
from mlmsg.token_store import FileTokenStore, Token

from ._exit_codes import ExitCode
from ._failures import Failure

__all__ = [
    "CLIENT_ID",
    "CLIENT_SECRET",
    "GRANT",
    "REDIRECT_URI",
    "Grant",
    "GrantFile",
    "LoginFile",
    "check_variable",
    "default_path",
    "prepare_folder",
]

CLIENT_ID = "MLMSG_CLIENT_ID"
CLIENT_SECRET = "MLMSG_CLIENT_SECRET"  # noqa: S105  (the name of a variable)
GRANT = "MLMSG_GRANT"
REDIRECT_URI = "MLMSG_REDIRECT_URI"


class Grant(Token, frozen=True, kw_only=True):
    """A token with its application and account, as the file holds them.

    Attributes:
        client_id: The application's id, or None.
        client_secret: The application's secret, or None.
        redirect_uri: The application's redirect address, or None.
        base_url: The address of the API that issued the grant, or None for the default one.
        site_id: The site of the account, or None; `CBT` is Global Selling.
    """

    client_id: str | None = None
    client_secret: str | None = None
    redirect_uri: str | None = None
    base_url: str | None = None
    site_id: str | None = None

    @property
    def api(self) -> str:
        """The address of the API that issued the grant."""
        return (self.base_url or BASE_URL).rstrip("/")

    @property
    def is_domestic(self) -> bool:
        """True if the account is known to be a domestic one."""
        return self.site_id not in {None, "CBT"}


class GrantFile(FileTokenStore):
    """A token store that keeps the application beside the tokens.

    Attributes:
        path: The file.
        grant: The application and the account to keep.
    """

    def __init__(self, path: Path, grant: Grant) -> None:
        super().__init__(path)
        self.path = path
        self.grant = grant

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the store for an existing file.

        Raises:
            RuleError: The file holds something else.
            OSError: The file cannot be read.
        """
        try:
            return cls(path, msgspec.json.decode(path.read_bytes(), type=Grant))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        found = f"something else in {os.fspath(path)!r}"
        hint = "Remove the file, and run `mlmsg login`"
        raise RuleError("grant file", found, "the file that `mlmsg login` wrote", hint)

    async def save(self, token: Token) -> None:
        """Save a token together with the application and the account."""
        tokens = {name: getattr(token, name) for name in Token.__struct_fields__}
        await super().save(msgspec.structs.replace(self.grant, **tokens))

    async def add_site(self, token: Token, site_id: str | None) -> None:
        """Save the site of the account, unless other tokens were saved meanwhile."""
        self.grant = msgspec.structs.replace(self.grant, site_id=site_id or self.grant.site_id)
        stored = await self.load()
        if stored is not None and stored.access_token == token.access_token:
            await self.save(token)

    def token(self) -> RefreshingToken | str:
        """Return the token that refreshes itself, and saves each new grant to this file.

        A grant without a refresh token has only its access token.

        Raises:
            Failure: The id or the secret of the application is missing, or the grant has ended.
        """
        if not self.grant.refresh_token:
            return self._last_access_token()
        client_id = os.environ.get(CLIENT_ID) or self.grant.client_id
        secret = Secret(os.environ.get(CLIENT_SECRET) or self.grant.client_secret or "")
        if not client_id or not secret:
            missing = CLIENT_SECRET if client_id else CLIENT_ID
            text = f"the grant file does not name the application: set {missing}"
            raise Failure(text, ExitCode.USAGE)
        return RefreshingToken(client_id, secret, self.grant.refresh_token, store=self)

    def _last_access_token(self) -> str:
        end = self.grant.expires_at
        if not self.grant.access_token or (end is not None and time.time() >= end):
            text = "the grant has ended, and the application has no scope `offline_access`"
            raise Failure(f"{text} to refresh it. Run `mlmsg login`")
        return Secret(self.grant.access_token)


class LoginFile(GrantFile):
    """The file of a login, which replaces no grant of another account.

    Attributes:
        copy: The copy of the grant that was in the file before, or None if none was needed.
    """

    copy: Path | None = None

    async def save(self, token: Token) -> None:
        """Save a token. Copy the file first, unless it holds a grant that this login renews."""
        self.copy = await run_in_thread(lambda: self._copy_other(token)) or self.copy
        await super().save(token)

    def _copy_other(self, token: Token) -> Path | None:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            last = msgspec.json.decode(data, type=Grant)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _copy_beside(self.path, data, "old") if data.strip() else None
        if last.access_token == token.access_token:
            return None
        is_known = last.user_id is not None and last.user_id == token.user_id
        is_same_application = last.client_id in {None, self.grant.client_id}
        if is_known and is_same_application and last.api == self.grant.api:
            return None
        return _copy_beside(self.path, data, str(last.user_id or "old"))


def _copy_beside(path: Path, data: bytes, label: str) -> Path:
    """Write the data to a new file beside `path`, for its owner only, and return its path."""
    for number in count(1):
        name = f"{path.stem}-{label}" + (f"-{number}" if number > 1 else "")
        copy = path.with_name(f"{name}{path.suffix}")
        try:
            descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        fsync_directory(path.parent)
        return copy
    raise AssertionError  # `count` has no end


def prepare_folder(path: Path) -> None:
    """Make the folder of a grant file, for its owner only.

    A login does this first: an error after the login would cost it.

    Raises:
        Failure: The path is a folder.
        OSError: The folder cannot be made, or is not writable. Or the file cannot be read.
    """
    if path.is_dir():
        raise Failure(f"{path} is a folder. Add the name of the file", ExitCode.USAGE)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path.parent))
    if path.exists():
        path.open("rb").close()  # a grant of another account is copied


def default_path(base_url: str = BASE_URL) -> Path:
    """Return the path of the grant file: `MLMSG_GRANT`, or in the user's configuration folder.

    Each address of an API has a file of its own, so that a rehearsal does not replace a grant.
    """
    if given := os.environ.get(GRANT):
        return Path(given).expanduser()
    place = re.sub(r"[^a-z0-9.]+", "-", base_url.partition("://")[2].lower()).strip("-")
    name = "grant.json" if base_url == BASE_URL else f"grant-{place}.json"
    return user_config_path("mlmsg") / name


def check_variable(grant: Grant, base_url: str) -> None:
    """Check that a grant which no option names is one of the API at `base_url`.

    Raises:
        Failure: It is one of another API.
    """
    if grant.api == base_url:
        return
    name = f"{GRANT} names" if os.environ.get(GRANT) else "the grant file holds"
    text = f"{name} a grant of {grant.api}, not of {base_url}"
    raise Failure(f"{text}. Add --grant FILE to use another file", ExitCode.USAGE)
