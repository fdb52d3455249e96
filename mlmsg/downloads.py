"""Receive a file: iterate over it, read it into memory, or save it.

The bytes are counted in each case. A file that is empty, or shorter or longer than the server
announced, raises `IncompleteDownload`.
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
    """A saved file.

    Attributes:
        path: The path of the file.
        size: The size in bytes.
        sha256: The SHA-256 of the content, in hexadecimal digits.
    """

    path: Path
    size: int
    sha256: str


class Download:
    """An open download. Its bytes can be read once, by iterating, `read` or `save`.

    Attributes:
        size: The size that the server announced, in bytes, or None.
        content_type: The MIME type in the response.
        filename: The name in the response, otherwise the id of the request. It is not safe as a
            path; `save` makes it safe.
    """

    def __init__(self, response: Response, name: str) -> None:
        length = response.headers.get("Content-Length", "")
        plain = response.headers.get("Content-Encoding", "identity").lower() == "identity"
        self.size: int | None = int(length) if plain and length.isdecimal() else None
        self.content_type: str = response.headers.get("Content-Type", "application/octet-stream")
        self.filename: str = _disposition(response.headers.get("Content-Disposition")) or name
        self._stream = response.stream
        self._is_read = False

    def __repr__(self) -> str:
        return f"<Download {self.filename!r}, {self.content_type}, {self.size} bytes>"

    def __aiter__(self) -> AsyncGenerator[bytes, None]:  # noqa: PYI058  (`aclose` is public)
        """Yield the bytes as they arrive, in chunks of any size.

        Raises:
            IncompleteDownload: The file is empty, or not as long as announced.
            TransportError: The network failed.
            UsageError: The bytes were read before, or the download is closed.
        """
        return self._chunks(lends=True)

    async def _chunks(self, *, lends: bool) -> AsyncGenerator[bytes, None]:
        stream = self._stream
        if self._is_read or stream is None:
            raise UsageError("a download can be read once; open it again to read it again")
        if stream.closed:
            raise UsageError("this download is closed; read it inside its `async with` block")
        self._is_read = True
        received = 0
        try:
            async with aclosing(stream.chunks(lends=lends)) as chunks:
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
        """Return the whole file. Raises the same errors as iterating."""
        async with aclosing(self._chunks(lends=False)) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def save(
        self,
        to: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Saved:
        """Save the complete file, or nothing.

        The bytes are written to a hidden file beside the target. When they are complete and on
        disk, the hidden file is renamed to the target.

        Args:
            to: An existing folder or a path that ends in a separator: the file is saved there
                under its own name, made safe. Any other path is the path of the file. Missing
                folders are created.
            overwrite: True to replace an existing file. A symbolic link is replaced, not its
                target.
            progress: Called with the bytes received and the total (None if unknown). Starts again
                at 0 if the download is retried.

        Raises:
            TargetExists: The file exists, and `overwrite` is false.
            IncompleteDownload: The file is empty, or not as long as announced.
            TransportError: The network failed.
            OSError: The file cannot be written.
        """
        check_callback("`progress`", progress, "(done, total)")
        target = await run_in_thread(partial(_target_path, to, self.filename, overwrite=overwrite))
        part = _PartialFile(target)
        try:
            async with aclosing(coalesce(self._chunks(lends=False))) as groups:
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
    """Reject an existing file. In a folder, the name is known only with the response.

    Raises:
        TargetExists: The file exists, and `overwrite` is false.
    """
    if not _is_folder(to):
        _check_free(Path(to), overwrite=overwrite)


def _target_path(to: str | os.PathLike[str], name: str, *, overwrite: bool) -> Path:
    """Return the path for a file with this name."""
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
    """The hidden file beside the target. Every method blocks: call it in a worker thread."""

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
        """Flush the file to disk, then rename it to the target."""
        assert self._file is not None  # noqa: S101  (an empty file is rejected before)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if overwrite:
            if self._target.is_file():
                self._path.chmod(self._target.stat().st_mode & 0o777)  # keep its permissions
            self._path.replace(self._target)
        else:
            self._name_if_free()
        fsync_directory(self._target.parent)

    def _name_if_free(self) -> None:
        try:
            # Unlike a rename, a link does not replace a file created in the meantime.
            self._target.hardlink_to(self._path)
        except FileExistsError:
            raise TargetExists(self._target) from None
        except OSError:
            # A file system without links: the check and the rename are two steps.
            check_target(self._target, overwrite=False)
            self._path.replace(self._target)
        else:
            self._path.unlink()

    def discard(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # a full disk rejects the buffered bytes again
                self._file.close()
            self._path.unlink(missing_ok=True)


def _disposition(header: str | None) -> str | None:
    """Return the file name in a `Content-Disposition` header, or None."""
    if header is None:
        return None
    message = Message()
    message["Content-Disposition"] = header
    names = [
        value
        for key, value in message.get_params([], header="Content-Disposition")
        if key.lower() == "filename"
    ]
    # `filename*=UTF-8''…` is parsed as a triple. It takes precedence over a plain `filename`.
    names.sort(key=lambda name: isinstance(name, tuple), reverse=True)
    return collapse_rfc2231_value(names[0]) or None if names else None
