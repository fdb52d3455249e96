"""Receive a file: iterate over it, read it into memory, or save it.

In each case, the bytes are counted and the first of them are compared with the name. A file that is
empty, shorter or longer than the server announced, or that is an HTML page or a JSON document where
its name announces something else, raises `IncompleteDownload`.
"""

import errno
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple, NoReturn

import msgspec

from ._arguments import check_callback, expand_user, shorten
from ._content import SNIFF_BYTES, Announced, document_in, may_be_document
from ._disposition import filename_in
from ._misuse import explain_misuse
from ._multipart import Progress
from ._numbers import whole_number
from ._partial_file import receive_file
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

__all__ = ["CheckedTarget", "Download", "Saved", "check_target"]

_SEPARATORS = tuple(filter(None, (os.sep, os.altsep)))
"""The characters that a folder's path may end in."""


class Saved(msgspec.Struct, frozen=True):
    """A saved file.

    Attributes:
        path: The path of the file.
        size: The size in bytes.
        sha256: The SHA-256 of the content, in hexadecimal digits.
    """

    path: Path
    size: int
    sha256: str


@explain_misuse("download")
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
        self.size: int | None = whole_number(length) if plain else None
        self.content_type: str = response.headers.get("Content-Type", "application/octet-stream")
        self.filename: str = filename_in(response.headers.get("Content-Disposition")) or name
        has_extension = PurePosixPath(name).suffix != ""
        self._announced = Announced(name if has_extension else self.filename)
        self._stream = response.stream
        self._is_read = False
        # The first bytes. An attribute, because a traceback shows local variables.
        self._head = b""

    def __repr__(self) -> str:
        return f"<Download {self.filename!r}, {self.content_type}, {self.size} bytes>"

    def __iter__(self) -> NoReturn:
        raise UsageError("a download is asynchronous; write `async for chunk in download`")

    def expect(self, content_type: str | None, size: int | None) -> None:
        """Compare the content with what a message lists of the file. Call it before reading.

        Args:
            content_type: The MIME type in the message, or None.
            size: The size in bytes in the message, or None.
        """
        self._announced = msgspec.structs.replace(self._announced, type=content_type, size=size)

    def __aiter__(self) -> AsyncGenerator[bytes, None]:  # noqa: PYI058  (`aclose` is public)
        """Yield the bytes as they arrive, in chunks of any size.

        Raises:
            IncompleteDownload: The file is empty or not as long as announced, or an HTML page or a
                JSON document arrives in place of it.
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
        is_checked = False
        try:
            async with aclosing(stream.chunks(lends=lends)) as chunks:
                async for chunk in chunks:
                    received += len(chunk)
                    if is_checked:
                        yield chunk
                    else:
                        self._head += chunk
                    chunk = b""  # noqa: PLW2901  (not for a traceback)
                    if not is_checked and self._is_head_complete():
                        self._check_content(self.size)
                        is_checked = True
                        yield self._head
                        self._head = self._head[:SNIFF_BYTES]
        except (TimedOut, IncompleteDownload):
            raise
        except TransportError as error:
            message = f"{received} of {self._announced_size} arrived: {error.message}"
            raise IncompleteDownload(message, request=error.request) from error.with_traceback(None)
        if received == 0 or received != (self.size or received):
            raise IncompleteDownload(f"{received} of {self._announced_size} arrived")
        self._check_content(received)
        if not is_checked:
            yield self._head

    async def read(self) -> bytes:
        """Return the whole file. Raises the same errors as iterating."""
        with _WithoutFrames():
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

        The bytes are written to a hidden file beside the target, or to a file without a name where
        the system has such. When they are complete and on disk, the file gets the target's name.

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
            IncompleteDownload: The file is empty or not as long as announced, or an HTML page or a
                JSON document arrives in place of it.
            TransportError: The network failed.
            OSError: The file cannot be written.
        """
        check_callback("`progress`", progress, "(done, total)")
        _path_of(to)
        with _WithoutFrames():
            path, size, sha256 = await receive_file(
                partial(_locate, to, self.filename, overwrite=overwrite),
                self._chunks(lends=False),
                overwrite=overwrite,
                progress=None if progress is None else lambda done: progress(done, self.size),
            )
        return Saved(path, size, sha256)

    @property
    def _announced_size(self) -> str:
        return "an unknown number of bytes" if self.size is None else f"{self.size} bytes"

    def _is_head_complete(self) -> bool:
        return len(self._head) >= SNIFF_BYTES or not may_be_document(self._head)

    def _check_content(self, size: int | None) -> None:
        found = document_in(self._head[:SNIFF_BYTES], self._announced, self.content_type, size)
        if found is not None:
            raise IncompleteDownload(
                f"{found} arrived in place of the file {self._announced.name!r}"
            )


class _WithoutFrames:
    """Cut the inner frames from the traceback of a failed download: they hold bytes of the file."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, TransportError):
            error.__traceback__ = None


class CheckedTarget(NamedTuple):
    """A target that `check_target` has accepted. `Download.save` does not check its path again.

    Attributes:
        path: The path of the file, or of the folder for it.
        is_folder: True if the file is saved under its own name in the folder.
    """

    path: str
    is_folder: bool

    def __fspath__(self) -> str:
        return self.path


def check_target(to: str | os.PathLike[str], *, overwrite: bool) -> CheckedTarget:
    """Reject an existing file. In a folder, the name is known only with the response.

    Raises:
        TargetExists: The file exists, and `overwrite` is false.
    """
    path = _path_of(to)
    if path.endswith(_SEPARATORS):
        return CheckedTarget(path, is_folder=True)
    is_folder = os.path.lexists(path) and Path(path).is_dir()
    if not is_folder:
        _check_free(Path(path), overwrite=overwrite)
    return CheckedTarget(path, is_folder)


def _path_of(to: object) -> str:
    """Return the path of a target. Reject what is not a path of this system."""
    limit = "a folder or the path of a file, as a str or a Path"
    path = to if isinstance(to, str) else to.__fspath__() if isinstance(to, os.PathLike) else None
    if not isinstance(path, str):
        raise RuleError("`to` of a download", shorten(to), limit)
    if "\0" in path:
        raise RuleError("`to` of a download", shorten(path), limit, r"Remove the character '\x00'")
    if not path:
        raise RuleError("target of a download", "an empty path", "a folder or the path of a file")
    return expand_user(path)


def _locate(to: str | os.PathLike[str], name: str, *, overwrite: bool) -> Path:
    """Return the path for a file with this name. Reject an existing file."""
    target = to if isinstance(to, CheckedTarget) else check_target(to, overwrite=overwrite)
    if not target.is_folder:
        return Path(target.path)
    path = Path(target.path) / safe_filename(name)
    _check_free(path, overwrite=overwrite)
    return path


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
