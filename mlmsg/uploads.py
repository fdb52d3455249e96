"""Turn a path, bytes, a file or an iterable into a `Source` that satisfies the API's rules.

`open_source` takes a path, bytes, an open binary file, an iterable or a `Download`. It finds the
name, the size and the MIME type, checks them, and yields a `Source`. A source of unknown length is
first copied to a temporary file.
"""

import mimetypes
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import cache, partial

from ._arguments import check_content_type, check_int, is_content_type
from ._multipart import Progress, length_mismatch
from ._sources import (
    Readable,
    Source,
    SourceInfo,
    SourceLike,
    Streamed,
    inspect_source,
    read_file,
)
from ._streams import CHUNK_BYTES, Buffer, coalesce
from ._worker_threads import run_in_thread
from .rules import SNIFF_BYTES, FileRules, kind_of

__all__ = ["Progress", "Readable", "Source", "SourceLike", "Streamed", "open_source"]


@asynccontextmanager
async def open_source(
    source: SourceLike,
    rules: FileRules,
    *,
    filename: str | None = None,
    content_type: str | None = None,
    length: int | None = None,
) -> AsyncIterator[Source]:
    """Check `source` against `rules`, and yield it ready to be sent.

    A source of unknown length is first copied to a temporary file: in memory up to 1 MiB, then on
    disk, and never more than the rules allow. So its size is checked before anything is sent, and
    the upload can be repeated. With `length=`, the number of bytes is declared, and the source is
    streamed without a copy.

    Raises:
        RuleError: The name, the size or the kind of object is not allowed.
        OSError: The file cannot be read; unchanged.
    """
    found = await inspect_source(source)
    if not _mime_types.cache_info().currsize:
        await run_in_thread(_mime_types)
    if content_type is None and is_content_type(found.content_type):
        content_type = found.content_type
    if content_type is not None:
        check_content_type(content_type)
    name = filename if filename is not None else found.filename
    if name is not None:
        rules.check_name(name)
    size = _resolve_length(length, found.length)
    if size is None or (rules.kinds and not found.replayable):
        # The kind is known from the first bytes. A stream must be copied before they are read.
        async with _spool(found.open, rules) as (reopen, copied):
            if size is not None and size != copied:
                raise length_mismatch(size, f"{copied} bytes")
            spooled = SourceInfo(reopen, copied, is_local=True)
            yield await _checked_source(spooled, copied, name, content_type, rules)
    else:
        rules.check_size(size)
        yield await _checked_source(found, size, name, content_type, rules)


async def _checked_source(
    info: SourceInfo, size: int, name: str | None, content_type: str | None, rules: FileRules
) -> Source:
    """Return the source, with a name and a type if it has none. Check its kind."""
    head = info.head
    if not head and info.replayable and (rules.kinds or name is None):
        head = await _read_head(info.open)
    if name is None:
        name = _default_name(content_type, head)
    rules.check_kind(name, head)
    kind = content_type or _guess_content_type(name)
    return Source(info.open, size, name, kind, info.replayable, info.is_local)


@cache
def _mime_types() -> mimetypes.MimeTypes:
    """Return the MIME types. The first call reads the system's tables: never on the event loop."""
    return mimetypes.MimeTypes()


def _resolve_length(declared: int | None, known: int | None) -> int | None:
    if declared is None:
        return known
    declared = check_int("`length` of a source", declared, 0)
    if known is not None and known != declared:
        raise length_mismatch(declared, f"{known} bytes")
    return declared


async def _read_head(open_chunks: Callable[[], AsyncGenerator[Buffer, None]]) -> bytes:
    """Return the first bytes of a source, which can be opened again."""
    head = b""
    async with aclosing(open_chunks()) as chunks:
        async for chunk in chunks:
            head += bytes(chunk[:SNIFF_BYTES])
            if len(head) >= SNIFF_BYTES:
                break
    return head


def _default_name(content_type: str | None, head: bytes) -> str:
    """Return a name for a file without one. Its ending follows the bytes, then the MIME type."""
    if kind := kind_of(head):
        return f"attachment{kind.extensions[0]}"
    return f"attachment{_mime_types().guess_extension(content_type or '') or ''}"


def _guess_content_type(name: str) -> str:
    kind, encoding = _mime_types().guess_type(name)
    # "a.csv.gz" is guessed as text/csv with an encoding, but the file itself is not text.
    return kind if kind and not encoding else "application/octet-stream"


@asynccontextmanager
async def _spool(
    open_chunks: Callable[[], AsyncGenerator[Buffer, None]], rules: FileRules
) -> AsyncIterator[tuple[Callable[[], AsyncGenerator[Buffer, None]], int]]:
    """Copy a source to a temporary file. Yield the function that opens it, and the checked size."""
    file = tempfile.SpooledTemporaryFile(max_size=CHUNK_BYTES)  # noqa: SIM115  (closed below)
    try:
        size = 0
        async with aclosing(coalesce(open_chunks())) as groups:
            async for group in groups:
                size += sum(map(len, group))
                rules.check_size(size)
                await run_in_thread(partial(file.writelines, group))
        rules.check_size(size)
        yield partial(read_file, file, 0), size
    finally:
        file.close()
