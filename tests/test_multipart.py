"""The body of an upload: framed as independent parsers read it, and counted before it leaves."""

import asyncio
import email
import importlib
import io
import itertools
import re
import time
import tracemalloc
from collections.abc import (
    Callable,
    Iterator,
    Mapping,
)
from contextlib import ExitStack, aclosing, suppress
from pathlib import Path

import pytest
from calls import MIB
from hypothesis import example, given, settings
from hypothesis import strategies as st
from python_multipart.multipart import File, parse_form
from sources import (
    LIMIT,
    AsSource,
    ScriptedSource,
    each_way,
    open_files,
    read_all,
    rule_error_of,
    sparse,
)

from mlmsg import LengthMismatch, RuleError
from mlmsg._multipart import Multipart
from mlmsg._streams import Buffer
from mlmsg.rules import POST_SALE_FILES
from mlmsg.uploads import Progress, Source, SourceLike, open_source

# By its name: it ships no types, and python-multipart has put a package before it.
multipart = importlib.import_module("multipart")

BOUNDARY = "mlmsg-0123456789abcdef"


def body_of(
    drawn: ScriptedSource, length: int, name: str = "a.png", progress: Progress | None = None
) -> Multipart:
    source = Source(drawn.as_async_iterator, length, name, "image/png", replayable=True)
    return Multipart(source, progress, BOUNDARY)


async def written(body: Multipart, seen: bytearray | None = None) -> bytes:
    """Return the whole body; `seen` gets the part of a body that fails."""
    whole = bytearray() if seen is None else seen
    async for block in body.chunks():
        whole += block
    return bytes(whole)


# --- read by three parsers that know nothing of ours ------------------------------------------

Part = tuple[str, str, str, bytes]
"""The field name, the file name as it stands in the header, the type, the bytes."""


def by_email(content_type: str, body: bytes) -> list[Part]:
    # Latin-1 there and back keeps every byte, in the headers too.
    text = f"Content-Type: {content_type}\r\n\r\n" + body.decode("latin-1")
    found: list[Part] = []
    for part in email.message_from_string(text).walk():
        if not part.is_multipart():
            options = dict(part.get_params([], header="Content-Disposition"))
            name = options["filename"].encode("latin-1").decode()
            data = str(part.get_payload()).encode("latin-1")
            found.append((options["name"], name, part["Content-Type"], data))
            assert not part.defects
    return found


def by_python_multipart(content_type: str, body: bytes) -> list[Part]:
    found: list[Part] = []

    def on_file(file: File) -> None:
        file.file_object.seek(0)
        name, filename = file.field_name or b"", file.file_name or b""
        data = file.file_object.read()
        found.append((name.decode(), filename.decode(), file.content_type or "", data))
        files.callback(file.close)  # older parsers flush it afterwards

    headers = {"Content-Type": content_type.encode()}
    with ExitStack() as files:
        parse_form(headers, io.BytesIO(body), None, on_file, chunk_size=len(body) // 3 + 1)
    return found


def by_multipart(content_type: str, body: bytes) -> list[Part]:
    _, options = multipart.parse_options_header(content_type)
    stream = io.BytesIO(body)
    found: list[Part] = []
    for part in multipart.MultipartParser(stream, options["boundary"], len(body), strict=True):
        name = re.sub('["\r\n]', lambda sign: f"%{ord(sign[0]):02X}", part.filename)
        found.append((part.name, name, part.headers["Content-Type"], part.raw))
        part.close()
    return found


PARSERS = [by_email, by_python_multipart, by_multipart]


SIGNS = ['"', "%22", "%", "%0D%0A", ";", "=", "'", "*", " ", "\u00a0", "ñ", "Å", "写", "😀", ".png"]
names = st.lists(
    st.sampled_from(SIGNS)
    | st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\"),
    min_size=1,
    max_size=40,
).map("".join)
"""Names that the rules accept."""

ALMOST = BOUNDARY[:-1].encode()
chunkings = st.lists(
    st.binary(max_size=300)
    | st.sampled_from(
        [b"\r\n", b"\r", b"\n", b"--", b"\r\n--", b"\r\n--" + ALMOST, b"--" + ALMOST]
    ),
    max_size=12,
).filter(lambda pieces: BOUNDARY.encode() not in b"".join(pieces))


@pytest.mark.slow
@settings(max_examples=150)
@given(names, chunkings)
@example("😀" * 200, [b"", b"x", b""])
@example("Captura de pantalla 4.12.28 p.m..png", [b"\r\n--" + ALMOST + b"--\r\n", b"\r\n"])
async def test_three_parsers_read_what_was_given(name: str, pieces: list[Buffer]) -> None:
    POST_SALE_FILES.check_name(name)
    content = b"".join(pieces)
    body = body_of(ScriptedSource(pieces), len(content), name)
    raw = await written(body)
    assert len(raw) == body.length
    part = ("file", name.replace('"', "%22"), "image/png", content)
    for parser in PARSERS:
        assert parser(body.content_type, raw) == [part], parser


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("Captura a la(s) 4.12.28 p.m..png", "Captura a la(s) 4.12.28 p.m..png"),
        ("ñandú 写真 😀.png", "ñandú 写真 😀.png"),
        ('say "hi".png', "say %22hi%22.png"),
        ("two\r\nlines.png", "two%0D%0Alines.png"),
        ("100% %22 %25 %0d+.png", "100% %22 %25 %0d+.png"),
        ("a;b=c'd*.png", "a;b=c'd*.png"),
    ],
    ids=repr,
)
async def test_only_quotes_and_line_ends_of_a_name_are_escaped(name: str, sent: str) -> None:
    assert (await written(body_of(ScriptedSource([b"data"]), 4, name))).decode() == (
        f"--{BOUNDARY}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{sent}"\r\n'
        f"Content-Type: image/png\r\n\r\ndata\r\n--{BOUNDARY}--\r\n"
    )


def test_each_body_has_a_boundary_of_its_own() -> None:
    source = body_of(ScriptedSource([]), 1).source
    types = {Multipart.from_source(source).content_type for _ in range(100)}
    assert len(types) == 100
    assert all(re.fullmatch(r"multipart/form-data; boundary=[\w-]{32,70}", kind) for kind in types)


# --- counted ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "length", "left"),
    [
        ([b"abc", b"d"], 3, b"abc"),
        ([b"abcd"], 3, b""),
        ([b"ab", b"cde", b"f"], 4, b"ab"),
        ([b"a"], 0, b""),
        ([b"abc"], 4, b"abc"),
        ([], 1, b""),
    ],
)
async def test_a_source_of_another_length_stops_before_the_surplus_and_the_end(
    pieces: list[Buffer], length: int, left: bytes
) -> None:
    seen = bytearray()
    with pytest.raises(LengthMismatch, match=f"exactly {length} bytes"):
        await written(body_of(ScriptedSource(pieces), length), seen)
    assert seen.partition(b"\r\n\r\n")[2] == left


async def test_a_body_opens_its_source_anew_each_time_it_is_written_and_not_before() -> None:
    drawn = ScriptedSource([b"ab", b"cd"])
    body = body_of(drawn, 4)
    assert drawn.opened == 0
    assert await written(body) == await written(body)
    assert (drawn.opened, drawn.closed) == (2, 2)


@pytest.mark.parametrize("length", [4, 3], ids=["left early", "too long"])
async def test_a_body_that_ends_early_has_closed_its_source(length: int) -> None:
    drawn = ScriptedSource([b"ab", b"cd"])
    async with aclosing(body_of(drawn, length).chunks()) as blocks:
        with suppress(LengthMismatch):
            while await anext(blocks) != b"cd":
                pass
    assert (drawn.opened, drawn.closed) == (1, 1)


@each_way
@pytest.mark.parametrize("block", ["text", 1, None], ids=repr)
async def test_a_block_that_is_no_bytes_is_refused(way: AsSource, block: Buffer) -> None:
    async with open_source(way(ScriptedSource([block])), POST_SALE_FILES, length=4) as source:
        with pytest.raises(RuleError) as caught:
            await written(Multipart.from_source(source))
    assert caught.value.found == type(block).__name__


async def test_progress_is_reported_after_each_block_and_restarts() -> None:
    reports: list[tuple[int, int | None]] = []
    body = body_of(ScriptedSource([b"ab", b"cd"]), 4, progress=lambda *both: reports.append(both))
    await written(body)
    await written(body)
    assert reports == [(2, 4), (4, 4)] * 2


@pytest.mark.parametrize("whose", ["source", "progress"])
async def test_an_error_comes_through_as_it_is_and_closes_the_source(whose: str) -> None:
    error = TimeoutError("my own")

    def fail(*_: object) -> None:
        raise error

    drawn = ScriptedSource([b"ab", b"cd"], error)
    with pytest.raises(TimeoutError) as caught:
        await written(body_of(drawn, 4, progress=fail if whose == "progress" else None))
    assert caught.value is error
    assert (drawn.drawn, drawn.closed) == (1 if whose == "progress" else 2, 1)


# --- counted beforehand: the limit, and the copy of what has no length ----------------------


def mebibytes(size: int) -> ScriptedSource:
    return ScriptedSource([*[bytes(MIB)] * (size // MIB), bytes(size % MIB)])


SIZED: Mapping[str, Callable[[Path, int], SourceLike]] = {
    "path": sparse,
    "bytes": lambda _, size: bytes(size),
    "BytesIO": lambda _, size: io.BytesIO(bytes(size)),
    "generator": lambda _, size: mebibytes(size).as_iterator(),
    "async generator": lambda _, size: mebibytes(size).as_async_iterator(),
}

each_size = pytest.mark.parametrize("sized", SIZED.values(), ids=SIZED.keys())


@each_size
async def test_exactly_the_limit_is_accepted(
    sized: Callable[[Path, int], SourceLike], tmp_path: Path
) -> None:
    async with open_source(sized(tmp_path, LIMIT), POST_SALE_FILES) as source:
        assert source.length == LIMIT


@each_size
@pytest.mark.parametrize("size", [0, LIMIT + 1], ids=["empty", "one byte more"])
async def test_an_empty_and_a_too_large_file_are_refused(
    sized: Callable[[Path, int], SourceLike], size: int, tmp_path: Path
) -> None:
    before = open_files()
    error = await rule_error_of(sized(tmp_path, size))
    assert (error.rule, f"{size} bytes" in error.found) == ("size of a post-sale file", True)
    assert open_files() <= before


@each_way
async def test_a_source_over_the_limit_is_stopped_soon_after_it(way: AsSource) -> None:
    drawn = ScriptedSource(itertools.repeat(bytes(256 * 1024)))
    await rule_error_of(way(drawn))
    assert drawn.closed == 1
    assert LIMIT // MIB < drawn.drawn / 4 <= LIMIT // MIB + 3


@each_way
async def test_a_copy_takes_little_memory(way: AsSource) -> None:
    tracemalloc.start()
    try:
        opening = open_source(way(mebibytes(LIMIT)), POST_SALE_FILES)
        async with opening as source, aclosing(source.open()) as copied:
            assert sum([len(block) async for block in copied]) == LIMIT
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


async def copied(source: SourceLike) -> bytes:
    async with open_source(source, POST_SALE_FILES) as opened:
        return await read_all(opened)


@each_way
async def test_the_error_of_a_source_is_not_changed_by_the_copy(way: AsSource) -> None:
    error, before = OSError("my own"), open_files()
    with pytest.raises(OSError, match="my own") as caught:
        await copied(way(ScriptedSource([bytes(2 * MIB)], error)))
    assert caught.value is error
    assert (error.__cause__, error.__context__) == (None, None)
    assert open_files() <= before


async def test_a_cancelled_copy_closes_its_source_at_once() -> None:
    waiting, before = asyncio.Event(), open_files()

    async def wait() -> None:
        waiting.set()
        await asyncio.Event().wait()

    drawn = ScriptedSource([bytes(2 * MIB)], then=wait)
    task = asyncio.create_task(copied(drawn.as_async_iterator()))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert drawn.closed == 1
    assert open_files() <= before


def slowly(begun: Callable[[], object], *blocks: bytes) -> Iterator[bytes]:
    for block in blocks:
        begun()
        time.sleep(0.02)  # its speed
        yield block


async def test_a_cancelled_copy_of_a_slow_generator_ends_with_its_next_pieces() -> None:
    begun, loop = asyncio.Event(), asyncio.get_running_loop()
    drawn = ScriptedSource(slowly(lambda: loop.call_soon_threadsafe(begun.set), *[b"x"] * 100))
    task = asyncio.create_task(copied(drawn.as_iterator()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert drawn.closed == 1
    assert drawn.drawn < 50


@pytest.mark.slow
async def test_an_empty_piece_is_not_the_end_of_a_slow_generator() -> None:
    pieces = slowly(bool, *[b""] * 5, b"first", *[b""] * 5, b"last")
    assert await copied(pieces) == b"firstlast"
