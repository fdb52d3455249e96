"""Where the grant of a seller is kept, so that the next start, or another process, goes on with it.

A refresh token works once. Who has an old one has nothing: what is kept here is therefore written
before it is used, and only by whoever holds the lock.
"""

import errno
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import msgspec

from ._streams import fsync_directory, run_in_thread
from .errors import RuleError, UsageError

if TYPE_CHECKING:
    from filelock import AsyncFileLock

__all__ = ["FileTokenStore", "Token", "TokenStore"]

LOCK_TIMEOUT = 600.0
"""Seconds to wait for a lock; whoever holds it makes one request, with its retries."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A grant as a store keeps it.

    Attributes:
        access_token: What calls are sent with.
        refresh_token: What the next one is had for, once.
        expires_at: When the access token ends, in seconds since the epoch; None if not known.
        expires_in: Seconds that it lived for when it was new; None if not known.
        user_id: Whose grant it is, where the API told.
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
    """What keeps a grant: a file, or a row of your database."""

    async def load(self) -> Token | None:
        """What was saved last, or None."""
        ...

    async def save(self, token: Token) -> None:
        """Keeps it, for good when it returns; the old one is not needed any more."""
        ...

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Held from `load` to `save`; it keeps out every other process that shares the grant."""
        ...


class FileTokenStore:
    """A file that only its owner can read.

    It is replaced as a whole, so that a crash leaves the old or the new one; and locked by a second
    file beside it, `.lock` at the end of its name, so that several processes on one machine can
    share it. Needs `pip install 'mlmsg[tokens]'`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Opens nothing yet; the folder has to be there when a token is saved.

        Args:
            path: The file; it need not exist.

        Raises:
            RuleError: The path names no file.
            UsageError: The library that locks it is not installed.
        """
        if not os.fspath(path):
            raise RuleError("path of a token store", "an empty one", "the path of a file")
        self._path = Path(path)
        if not _is_installed("filelock"):
            raise UsageError("FileTokenStore needs filelock: pip install 'mlmsg[tokens]'")

    def __repr__(self) -> str:
        return f"FileTokenStore({os.fspath(self._path)!r})"

    async def load(self) -> Token | None:
        """What was saved last, or None.

        Raises:
            RuleError: The file holds something else.
            OSError: It cannot be read.
        """
        return await run_in_thread(self._load)

    async def save(self, token: Token) -> None:
        """Keeps it; it is on disk when this returns.

        Raises:
            OSError: It cannot be written; the old one is there still.
        """
        await run_in_thread(partial(self._save, token))

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[Self]:
        """Keeps every other process out, and every other store of the same path in this one.

        Raises:
            TimeoutError: Another one has held it for ten minutes.
            OSError: The folder is not there, or cannot be written to.
        """
        # One lock for each time: the same object would let in whoever asks it twice.
        async with await run_in_thread(self._new_lock):
            yield self

    def _place(self) -> Path:
        """The file itself: one that is reached by several links is one, and has one lock."""
        return self._path.resolve()

    def _new_lock(self) -> "AsyncFileLock":
        from filelock import AsyncFileLock  # noqa: PLC0415  (takes long, and only this needs it)

        path = self._place()
        if not path.parent.is_dir():  # the lock would make it, and for all to read
            no = errno.ENOENT
            raise FileNotFoundError(no, os.strerror(no), os.fspath(path.parent))
        return AsyncFileLock(f"{os.fspath(path)}.lock", timeout=LOCK_TIMEOUT, mode=_OWNER_ONLY)

    def _load(self) -> Token | None:
        try:
            token = _decoded(self._place().read_bytes())
        except FileNotFoundError:
            return None
        if token is None:
            found = f"something else in {os.fspath(self._path)!r}"
            hint = "Remove the file, or pass another path"
            raise RuleError("file of a token store", found, "what this store wrote", hint)
        return token

    def _save(self, token: Token) -> None:
        path = self._place()
        part = path.with_name(f".{path.name}-{secrets.token_hex(8)}.part")
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


def _decoded(text: bytes) -> Token | None:
    """None if it is none: the caller's frame, and its traceback, then hold nothing of it."""
    try:
        return msgspec.json.decode(text, type=Token)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # it was forbidden to be imported
        return False


_OWNER_ONLY = 0o600
