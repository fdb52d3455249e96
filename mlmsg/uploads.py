"""Turn whatever the caller has into a `Source` that satisfies the rules of the API.

`open_source` takes a path, bytes, an open binary file, an iterable or a `Download`. It finds the
name, the size and the MIME type, checks them, and yields a `Source`. A source of unknown length is
first copied to a temporary file.
"""

import mimetypes
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial

from ._arguments import check_content_type, check_int, is_content_type
from ._multipart import Progress, length_mismatch
from ._sources import Readable, Source, SourceLike, Streamed, inspect_source, read_file
from ._streams import CHUNK_BYTES, Buffer, coalesce, run_in_thread
from .rules import SNIFF_BYTES, FileRules, kind_of

__all__ = ["Progress", "Readable", "Source", "SourceLike", "Streamed", "open_source"]

# MimeTypes() reads the system's tables when it is created: at import, not on the event loop.
_MIME_TYPES = mimetypes.MimeTypes()


@asynccontextmanager
async def open_source(
    source: SourceLike,
    rules: FileRules,
    *,
    filename: str | None = None,
    content_type: str | None = None,
    length: int | None = None,
) -> AsyncIterator[Source]:
    """Looks at `source`, checks it against `rules`, and yields it ready to be sent.

    A source of unknown length is first copied to a temporary file (in memory up to 1 MiB, then on
    disk, never more than the rules allow), so that its size is checked before anything is sent and
    the upload can be tried again. `length=` declares the bytes it will yield and streams at once.

    Raises:
        RuleError: The name, the size or the kind of object is not allowed.
        OSError: The file cannot be read; unchanged.
    """
    found = await inspect_source(source)
    if content_type is None and is_content_type(found.content_type):
        content_type = found.content_type
    name = filename if filename is not None else found.filename
    if name is None:
        name = _default_name(content_type, found.head)
    rules.check_name(name)
    kind = content_type or _guess_content_type(name)
    check_content_type(kind)
    size = _resolve_length(length, found.length)
    if size is None or (rules.kinds and not found.replayable):
        # Where the kind counts too, even a stream of known length is copied, to look at it first.
        async with _spool(found.open, rules) as (reopen, held):
            if size is not None and size != held:
                raise length_mismatch(size, f"{held} bytes")
            await _check_kind(reopen, name, rules)
            yield Source(reopen, held, name, kind, replayable=True)
    else:
        rules.check_size(size)
        await _check_kind(found.open, name, rules)
        yield Source(found.open, size, name, kind, replayable=found.replayable)


def _resolve_length(declared: int | None, known: int | None) -> int | None:
    if declared is None:
        return known
    check_int("`length` of a source", declared, 0)
    if known is not None and known != declared:
        raise length_mismatch(declared, f"{known} bytes")
    return declared


async def _check_kind(
    reopen: Callable[[], AsyncGenerator[Buffer, None]], name: str, rules: FileRules
) -> None:
    """Looks at the first bytes of a source, where the rules ask what kind of file it is."""
    if not rules.kinds:
        return
    head = b""
    async with aclosing(reopen()) as blocks:
        async for block in blocks:
            head += bytes(block[:SNIFF_BYTES])
            if len(head) >= SNIFF_BYTES:
                break
    rules.check_kind(name, head)


def _default_name(content_type: str | None, head: bytes) -> str:
    if content_type:
        return f"attachment{_MIME_TYPES.guess_extension(content_type) or ''}"
    kind = kind_of(head)
    return f"attachment{kind.extensions[0] if kind else ''}"


def _guess_content_type(name: str) -> str:
    kind, encoding = _MIME_TYPES.guess_type(name)
    # "a.csv.gz" is guessed as a compressed text/csv: as a file it is none.
    return kind if kind and not encoding else "application/octet-stream"


@asynccontextmanager
async def _spool(
    blocks: Callable[[], AsyncGenerator[Buffer, None]], rules: FileRules
) -> AsyncIterator[tuple[Callable[[], AsyncGenerator[Buffer, None]], int]]:
    """A copy of a source of unknown length, and its size, already within the rules."""
    file = tempfile.SpooledTemporaryFile(max_size=CHUNK_BYTES)  # noqa: SIM115  (closed below)
    try:
        size = 0
        async with aclosing(coalesce(blocks())) as groups:
            async for group in groups:
                size += sum(map(len, group))
                rules.check_size(size)
                await run_in_thread(partial(file.writelines, group))
        rules.check_size(size)
        yield partial(read_file, file, 0), size
    finally:
        file.close()
