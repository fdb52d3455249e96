"""A file on its way down: iterated, read whole, or saved.

However it is taken, the bytes are counted: a file that is empty, or shorter or longer than the
server announced, is an error and never a result.
"""

import errno
import hashlib
import os
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from email.message import Message
from email.utils import collapse_rfc2231_value
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ._arguments import check_callback
from ._multipart import Progress
from ._streams import coalesce, fsync_directory, run_in_thread
from ._wire import Response
from .errors import (
    IncompleteDownload,
    RuleError,
    TargetExists,
    TimedOut,
    TransportError,
    UsageError,
)
from .rules import safe_filename

__all__ = ["Download", "Saved", "check_target"]


@dataclass(frozen=True, slots=True)
class Saved:
    """A file that was saved.

    Attributes:
        path: Where it is.
        size: Bytes.
        sha256: The SHA-256 of its content, in hexadecimal digits.
    """

    path: Path
    size: int
    sha256: str


class Download:
    """A file on its way; its bytes can be taken once, by iterating, `read` or `save`.

    Attributes:
        size: Bytes the server announced, or None.
        content_type: The MIME type the server named.
        filename: The name the server gave it, otherwise the id it was asked for by. Not safe to
            use as a path: `save` makes it so.
    """

    def __init__(self, response: Response, name: str) -> None:
        length = response.headers.get("Content-Length", "")
        plain = response.headers.get("Content-Encoding", "identity").lower() == "identity"
        self.size: int | None = int(length) if plain and length.isdecimal() else None
        self.content_type: str = response.headers.get("Content-Type", "application/octet-stream")
        self.filename: str = _disposition(response.headers.get("Content-Disposition")) or name
        self._stream = response.stream
        self._taken = False

    def __repr__(self) -> str:
        return f"<Download {self.filename!r}, {self.content_type}, {self.size} bytes>"

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """The bytes as they arrive, in chunks of no certain size.

        Raises:
            IncompleteDownload: The file is empty, or not as long as announced.
            TransportError: The network failed.
            UsageError: The bytes were taken before, or the download is closed.
        """
        stream = self._stream
        if self._taken or stream is None:
            raise UsageError("a download can be read once; open it again to read it again")
        if stream.closed:
            raise UsageError("this download is closed; read it inside its `async with` block")
        self._taken = True
        received = 0
        try:
            async with aclosing(stream.chunks()) as chunks:
                async for chunk in chunks:
                    received += len(chunk)
                    yield chunk
        except TimedOut:
            raise
        except TransportError as error:
            message = f"{received} of {self._announced} arrived: {error.message}"
            raise IncompleteDownload(message, request=error.request) from error
        if received == 0 or received != (self.size or received):
            raise IncompleteDownload(f"{received} of {self._announced} arrived")

    async def read(self) -> bytes:
        """The whole file in memory. Raises what iterating raises."""
        async with aclosing(aiter(self)) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def save(
        self,
        to: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Saved:
        """Saves the file, whole or not at all.

        The bytes go to a hidden file beside the target, which takes the target's name when they
        are complete and on disk.

        Args:
            to: An existing folder or a path that ends in a separator: the file gets its own name
                there, made safe. Anything else is the file's path. Missing folders are made.
            overwrite: Whether an existing file may be replaced; of a symbolic link the link itself.
            progress: Called with the bytes so far and all of them (None: not known); from 0 again
                if it is retried.

        Raises:
            TargetExists: The file is there, and `overwrite` is false.
            IncompleteDownload: The file is empty, or not as long as announced.
            TransportError: The network failed.
            OSError: The file cannot be written.
        """
        check_callback("`progress`", progress, "(done, total)")
        target = await run_in_thread(partial(_target, to, self.filename, overwrite=overwrite))
        part = _PartialFile(target)
        try:
            async with aclosing(coalesce(aiter(self))) as groups:
                async for group in groups:
                    await run_in_thread(partial(part.write, group))
                    if progress is not None:
                        progress(part.size, self.size)
            await run_in_thread(partial(part.commit, overwrite=overwrite))
        except BaseException:
            await run_in_thread(part.discard)
            raise
        return Saved(target, part.size, part.sha256)

    @property
    def _announced(self) -> str:
        return "an unknown number of bytes" if self.size is None else f"{self.size} bytes"


def check_target(to: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Refuses a file path that is taken; in a folder the name is known only with the answer.

    Raises:
        TargetExists: A file is there, and `overwrite` is false.
    """
    if not _is_folder(to):
        _check_free(Path(to), overwrite=overwrite)


def _target(to: str | os.PathLike[str], name: str, *, overwrite: bool) -> Path:
    """The path that `to` means for a file called `name`."""
    target = Path(to) / safe_filename(name) if _is_folder(to) else Path(to)
    _check_free(target, overwrite=overwrite)
    return target


def _check_free(target: Path, *, overwrite: bool) -> None:
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise TargetExists(target)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(target))
    if not (target.is_file() or target.is_symlink()):
        found = f"{os.fspath(target)!r}, a device or pipe"
        raise RuleError("target of a download", found, "a file to replace, or a free path")


def _is_folder(to: str | os.PathLike[str]) -> bool:
    if not os.fspath(to):
        raise RuleError("target of a download", "an empty path", "a folder or the path of a file")
    separators = tuple(filter(None, (os.sep, os.altsep)))
    return os.fspath(to).endswith(separators) or Path(to).is_dir()


class _PartialFile:
    """The hidden file beside the target. Every method blocks, and runs in a worker thread."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._path = target.with_name(f".mlmsg-{secrets.token_hex(8)}.part")
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, chunks: Sequence[bytes]) -> None:
        if self._file is None:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("xb")
        for chunk in chunks:
            self._file.write(chunk)
            self._hash.update(chunk)
            self.size += len(chunk)

    def commit(self, *, overwrite: bool) -> None:
        """Gives the file its name, once its bytes are on disk."""
        assert self._file is not None  # noqa: S101  (an empty file is refused before)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if overwrite:
            if self._target.is_file():
                self._path.chmod(self._target.stat().st_mode & 0o777)  # as private as it was
            self._path.replace(self._target)
        else:
            self._name_if_free()
        fsync_directory(self._target.parent)

    def _name_if_free(self) -> None:
        try:
            # A link, unlike a rename, does not replace what came to be there meanwhile.
            self._target.hardlink_to(self._path)
        except FileExistsError:
            raise TargetExists(self._target) from None
        except OSError:
            # A file system without links: the check and the rename are two steps there.
            check_target(self._target, overwrite=False)
            self._path.replace(self._target)
        else:
            self._path.unlink()

    def discard(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # a full disk refuses what is buffered once more
                self._file.close()
            self._path.unlink(missing_ok=True)


def _disposition(header: str | None) -> str | None:
    """The file name in a `Content-Disposition` header."""
    if header is None:
        return None
    message = Message()
    message["Content-Disposition"] = header
    names = [
        value
        for key, value in message.get_params([], header="Content-Disposition")
        if key.lower() == "filename"
    ]
    # `filename*=UTF-8''…` comes as a triple, and wins over the plain `filename` beside it.
    names.sort(key=lambda name: isinstance(name, tuple), reverse=True)
    return collapse_rfc2231_value(names[0]) or None if names else None
