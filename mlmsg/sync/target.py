"""The target of a mirror: one interface of a folder and a bucket."""

import os
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple, Protocol, TypeAlias
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlmsg._arguments import expand_user
from mlmsg.errors import MlmsgError, RuleError

from .store_errors import explain_store_error

__all__ = [
    "Contents",
    "Digest",
    "Inspection",
    "StoreLike",
    "Target",
    "TargetError",
    "TargetLike",
    "TargetPlace",
    "check_target_like",
    "is_forked_after_obstore",
    "translate_error",
]


class StoreLike(Protocol):
    """A store of obstore, such as `S3Store`. It is not imported: a folder needs no obstore."""

    async def delete_async(self, paths: str | Sequence[str]) -> None:
        """Delete files."""

    async def rename_async(self, from_: str, to: str, *, overwrite: bool = True) -> None:
        """Give a file another key."""


TargetLike: TypeAlias = str | os.PathLike[str] | StoreLike
"""A folder, a URL such as `s3://bucket/prefix`, or a store of obstore."""


_has_forked_with_obstore = False


def _note_fork() -> None:
    global _has_forked_with_obstore  # noqa: PLW0603  (one process, one flag)
    _has_forked_with_obstore = _has_forked_with_obstore or "obstore" in sys.modules


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def is_forked_after_obstore() -> bool:
    """Return True if this process was forked from one that had imported obstore.

    obstore has threads of its own, which exist only in the process that started them. In a forked
    one, its calls wait for them for ever (obstore 0.12).
    """
    return _has_forked_with_obstore


class TargetError(MlmsgError, OSError):
    """The target cannot be read or written: a full disk, a missing bucket, no permission.

    The error of obstore or of the operating system is the `__cause__`.
    """

    ends_job = True


class Digest(NamedTuple):
    """The size in bytes and the SHA-256, in hexadecimal digits, of a stored file."""

    size: int
    sha256: str


class Inspection(NamedTuple):
    """The content of a stored file.

    Attributes:
        digest: The size and the SHA-256.
        head: The first bytes.
        modified: The time at which it was stored, in UTC.
    """

    digest: Digest
    head: bytes
    modified: datetime


class Contents(NamedTuple):
    """The stored files of a thread.

    Attributes:
        manifest: The content of the manifest, or None if there is none.
        sizes: The size of every other file in bytes, by key.
    """

    manifest: bytes | None
    sizes: dict[str, int]


class Target(ABC):
    """A store of files by key. Its failures are `TargetError`s."""

    @abstractmethod
    async def load(self, manifest: str, folders: Sequence[str]) -> Contents:
        """Return the manifest with that key, and the sizes of the files in these folders."""

    @abstractmethod
    async def put(self, key: str, chunks: AsyncGenerator[bytes, None]) -> Digest:
        """Store a complete file, or leave the old one. Exceptions of `chunks` propagate unchanged.

        At most 4 MiB are in memory, or two parts for a bucket.
        """

    @abstractmethod
    async def update(
        self, key: str, folders: Sequence[str], update: Callable[[bytes | None], bytes]
    ) -> None:
        """Replace a small file by the result of `update` for its present content.

        The files that were stored in `folders` are on disk before it changes.
        """

    @abstractmethod
    async def inspect(self, key: str) -> Inspection | None:
        """Read a file completely, and return its description; None if there is no file."""

    @abstractmethod
    async def move(self, old: str, new: str) -> None:
        """Give a file another key. An existing file of that key is replaced."""

    @abstractmethod
    async def delete(self, key: str) -> None:
        """Delete a file. A missing file is not an error."""

    @abstractmethod
    async def close(self) -> None:
        """Release the resources of the target."""


class TargetPlace(NamedTuple):
    """The place that a `TargetLike` names: exactly one attribute is not None.

    Attributes:
        folder: The path of a folder.
        bucket: A URL, or a store of obstore.
    """

    folder: str | None = None
    bucket: str | StoreLike | None = None


def check_target_like(to: TargetLike) -> TargetPlace:
    """Return the place that `to` names.

    Raises:
        RuleError: `to` cannot be a target.
    """
    if not isinstance(to, str | os.PathLike):
        return _place_of_store(to)
    path = os.fspath(to)
    if not isinstance(path, str) or not path or "\0" in path:
        raise RuleError("`to`", f"{path!r}", _ALLOWED)
    # A scheme of one letter is a drive: C:\mirror.
    if not isinstance(to, str) or not re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", path):
        return TargetPlace(folder=expand_user(path))
    if path.lower().startswith("file:"):
        parts = urlsplit(path)
        if parts.netloc not in {"", "localhost"} or parts.path in {"", "/"}:
            raise RuleError("`to`", repr(path), "'file:///path/of/a/folder'")
        return TargetPlace(folder=url2pathname(parts.path))
    return TargetPlace(bucket=path)


def _place_of_store(to: StoreLike) -> TargetPlace:
    # Nobody can hold a store if obstore was never imported.
    stores = sys.modules.get("obstore.store")
    if stores is None or not isinstance(to, stores.ObjectStoreMethods):
        raise RuleError("`to`", type(to).__name__, _ALLOWED)
    if not isinstance(to, stores.LocalStore):
        return TargetPlace(bucket=to)
    if to.prefix is None:
        raise RuleError("`to`", "a LocalStore without a prefix", "a folder")
    return TargetPlace(folder=os.fspath(to.prefix))


_ALLOWED = "a folder, a URL such as 's3://bucket/prefix', or a store of obstore"


@contextmanager
def translate_error(key: str, *errors: type[Exception], store: str = "") -> Iterator[None]:
    """Raise an `OSError`, or one of `errors`, as a `TargetError` that names the key.

    `store` is the name of the class of a store of obstore.
    """
    try:
        yield
    except MlmsgError:
        raise  # an error of the source; `TimedOut` is an OSError too
    except Exception as error:
        if not isinstance(error, (OSError, *errors)):
            raise
        raise TargetError(f"{key}: {explain_store_error(str(error), store)}") from error
