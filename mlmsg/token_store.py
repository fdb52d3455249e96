"""Keep the tokens of a grant, so that the next start, or another process, can use them.

Refresh tokens are single-use, and losing the newest one means losing access. So a new token is
saved before it is first used, and only while the lock is held.
"""

import errno
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, Self

import msgspec

from ._arguments import shorten
from ._streams import fsync_directory
from ._worker_threads import run_in_thread
from .errors import RuleError, UsageError

__all__ = ["FileTokenStore", "Token", "TokenStore"]

LOCK_TIMEOUT = 600.0
"""Seconds to wait for a lock. Its holder sends one token request, with its retries."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of a grant, as a store keeps them.

    Attributes:
        access_token: The token that calls are sent with.
        refresh_token: The single-use token that is exchanged for the next pair.
        expires_at: The end of the access token, in seconds since the epoch; None if unknown.
        expires_in: The lifetime of the access token when it was new, in seconds; None if unknown.
        user_id: The user who granted access; None if the API did not name one.
    """

    access_token: str
    refresh_token: str
    expires_at: float | None = None
    expires_in: float | None = None
    user_id: int | None = None

    def __repr__(self) -> str:
        return f"<Token of user {self.user_id}>"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("user_id", self.user_id)]


class TokenStore(Protocol):
    """A place that keeps the tokens of one grant: a file, or a row of your database."""

    async def load(self) -> Token | None:
        """Return the tokens that were saved last, or None."""
        ...

    async def save(self, token: Token) -> None:
        """Save the tokens durably before returning. The old tokens are no longer needed."""
        ...

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Return a lock that excludes every other process that shares the grant.

        It is held from `load` to `save`.
        """
        ...


class FileTokenStore:
    """A file that only its owner can read.

    A save replaces the whole file, so that a crash leaves either the old or the new tokens. A
    second file with the suffix `.lock` is the lock, so that several processes on one machine can
    share the file. It needs `pip install 'mlmsg[tokens]'`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Keep the path. Nothing is opened yet; the folder must exist before the first save.

        Args:
            path: The file. It need not exist; `~` is the home folder.

        Raises:
            RuleError: The path is empty, or not a path.
            UsageError: The library `filelock` is not installed.
        """
        self._path = _expanded(path)
        if not _is_installed("filelock"):
            raise UsageError("FileTokenStore needs filelock: pip install 'mlmsg[tokens]'")

    def __repr__(self) -> str:
        return f"FileTokenStore({os.fspath(self._path)!r})"

    async def load(self) -> Token | None:
        """Return the tokens that were saved last, or None if the file does not exist.

        Raises:
            RuleError: The file contains something else than tokens.
            OSError: The file cannot be read.
        """
        return await run_in_thread(self._load)

    async def save(self, token: Token) -> None:
        """Save the tokens. They are on disk before this returns.

        Raises:
            OSError: The file cannot be written. The old tokens are still stored.
        """
        await run_in_thread(partial(self._save, token))

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[Self]:
        """Exclude every other process, and every other store of the same path in this process.

        Raises:
            TimeoutError: Another holder did not release the lock for ten minutes.
            OSError: The folder does not exist, or is not writable.
        """
        # A new lock object each time: filelock lets the same object be acquired twice.
        async with await run_in_thread(self._new_lock):
            yield self

    def _resolve(self) -> Path:
        """Return the path of the file itself, so that all links to it share one lock."""
        return self._path.resolve()

    def _new_lock(self) -> AbstractAsyncContextManager[object]:
        from filelock import AsyncFileLock  # noqa: PLC0415  (slow to import, and needed only here)

        path = self._resolve()
        if not path.parent.is_dir():  # filelock would create it, readable by every user
            code = errno.ENOENT
            raise FileNotFoundError(code, os.strerror(code), os.fspath(path.parent))
        return AsyncFileLock(f"{os.fspath(path)}.lock", timeout=LOCK_TIMEOUT, mode=_OWNER_ONLY)

    def _load(self) -> Token | None:
        try:
            token = _decode(self._resolve().read_bytes())
        except FileNotFoundError:
            return None
        if token is None:
            found = f"something else in {os.fspath(self._path)!r}"
            hint = "Remove the file, or pass another path"
            raise RuleError("file of a token store", found, "tokens that this store saved", hint)
        return token

    def _save(self, token: Token) -> None:
        path = self._resolve()
        part = path.with_name(f".{path.name}-{os.urandom(8).hex()}.part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(token)))
                file.flush()
                os.fsync(descriptor)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        fsync_directory(path.parent)


def _expanded(path: str | os.PathLike[str]) -> Path:
    """Return the path with `~` replaced by the home folder."""
    rule, limit = "path of a token store", "the path of a file"
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str):
        raise RuleError(rule, type(path).__name__, limit)
    if not text or "\0" in text:
        raise RuleError(rule, shorten(text), limit)
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # there is no such user, or no home folder
        raise RuleError(rule, shorten(text), limit, str(error)) from None


def _decode(text: bytes) -> Token | None:
    """Return the tokens, or None for an invalid text.

    The caller raises the error, so that no frame of its traceback contains a part of the text.
    """
    try:
        return msgspec.json.decode(text, type=Token)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # `sys.modules` blocks the import with None
        return False


_OWNER_ONLY = 0o600
