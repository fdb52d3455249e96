"""Every kind of source: its length and name, its bytes, what is refused, and what stays open."""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import TypeVar

import anyio
import pytest
from sources import (
    DATA,
    LIMIT,
    NAME,
    PIECES,
    Kind,
    Stack,
    each_kind,
    each_kind_that,
    on_disk,
    open_files,
    read_all,
    rule_error_of,
)

from mlmsg import Client, LengthMismatch, RuleError, UsageError
from mlmsg._streams import CHUNK_BYTES, Buffer
from mlmsg._worker_threads import WorkerThreads
from mlmsg.rules import CLAIM_FILES, POST_SALE_FILES, FileRules
from mlmsg.uploads import SourceLike, open_source

T = TypeVar("T")


@pytest.fixture
async def stack() -> AsyncIterator[Stack]:
    async with AsyncExitStack() as stack:
        yield stack


# --- what is properties of a source, and what it yields -------------------------------------------


@each_kind
async def test_a_source_yields_its_bytes_as_often_as_it_says(
    kind: Kind, stack: Stack, tmp_path: Path
) -> None:
    async with open_source(await kind.make(stack, tmp_path), POST_SALE_FILES) as source:
        properties = (source.length, source.filename, source.content_type)
        assert properties == (len(DATA), kind.filename, kind.content_type)
        assert source.replayable is (kind.unknown or not kind.once)  # a copy can be read again
        for _ in range(1 + source.replayable):
            assert await read_all(source) == DATA


@pytest.mark.parametrize(("size", "calls"), [(1, 1), (CHUNK_BYTES - 1, 1), (CHUNK_BYTES, 2)])
async def test_a_small_file_is_opened_read_and_closed_by_one_call_in_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, calls: int
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(size))
    async with open_source(path, POST_SALE_FILES) as source:
        submitted: list[object] = []
        real = WorkerThreads.submit

        def submit(self: WorkerThreads, function: Callable[[], T]) -> "asyncio.Future[T]":
            submitted.append(function)
            return real(self, function)

        monkeypatch.setattr(WorkerThreads, "submit", submit)
        before = open_files()
        async with aclosing(source.open()) as chunks:
            assert len(await anext(chunks)) == size
            if calls == 1:
                assert open_files() == before
            assert [chunk async for chunk in chunks] == []
        assert len(submitted) == calls


@each_kind
async def test_a_declared_length_spares_the_copy(kind: Kind, stack: Stack, tmp_path: Path) -> None:
    given = await kind.make(stack, tmp_path)
    async with open_source(given, POST_SALE_FILES, length=len(DATA)) as source:
        assert (source.length, source.replayable) == (len(DATA), not kind.once)
        for _ in range(1 + source.replayable):
            assert await read_all(source) == DATA


@each_kind
@pytest.mark.parametrize("left_early", [False, True], ids=["to the end", "left early"])
async def test_nothing_stays_open_but_what_is_the_callers(
    kind: Kind, stack: Stack, tmp_path: Path, *, left_early: bool
) -> None:
    given = await kind.make(stack, tmp_path)
    before = open_files()
    async with open_source(given, POST_SALE_FILES) as source, aclosing(source.open()) as blocks:
        async for _ in blocks:
            if left_early:
                break
    assert open_files() <= before  # less, if an earlier test left something to collect
    assert getattr(given, "closed", False) is False


async def test_the_blocks_of_a_declared_async_source_are_passed_on_at_once() -> None:
    drawn: list[bytes] = []

    async def one_by_one() -> AsyncIterator[bytes]:
        for block in (b"a", b"b"):
            drawn.append(block)
            yield block

    opening = open_source(one_by_one(), POST_SALE_FILES, length=2)
    async with opening as source, aclosing(source.open()) as blocks:
        assert await anext(blocks) == b"a"
        assert drawn == [b"a"]


@pytest.mark.parametrize("length", [None, 12], ids=["unknown", "declared"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(
    "blocks",
    [
        [b"ab", b"", bytearray(b"cdef"), memoryview(b"ghijkl")],
        [memoryview(b"fedcba")[::-1], memoryview(b"ghijkl")],
        [memoryview(b"abcdefgh").cast("I"), b"ijkl"],
        [memoryview(b"abcdefgh").cast("B", (2, 2, 2)), b"ijkl"],
    ],
    ids=["mixed", "backward", "ints", "3-d"],
)
async def test_blocks_of_every_kind_arrive(
    blocks: list[Buffer], length: int | None, *, is_async: bool
) -> None:
    async def drawn() -> AsyncIterator[Buffer]:
        for block in blocks:
            yield block

    given = drawn() if is_async else blocks
    async with open_source(given, POST_SALE_FILES, length=length) as source:
        assert (source.length, await read_all(source)) == (12, b"abcdefghijkl")


@pytest.mark.parametrize("length", [None, len(DATA)], ids=["unknown", "declared"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_a_source_may_fill_one_buffer_again_and_again(
    length: int | None, *, is_async: bool
) -> None:
    def filled() -> Iterator[Buffer]:
        file, buffer = io.BytesIO(DATA), bytearray(999)
        while count := file.readinto(buffer):
            yield memoryview(buffer)[:count]

    async def filled_async() -> AsyncIterator[Buffer]:
        for block in filled():
            yield block

    given = filled_async() if is_async else filled()
    async with open_source(given, POST_SALE_FILES, length=length) as source:
        assert await read_all(source) == DATA


@pytest.mark.parametrize(
    ("filename", "content_type", "name", "kind"),
    [
        (None, None, NAME, "application/pdf"),
        ("a.png", None, "a.png", "image/png"),
        ("a.png", "text/plain; charset=utf-8", "a.png", "text/plain; charset=utf-8"),
        ("a.csv.gz", None, "a.csv.gz", "application/octet-stream"),
        ("a", None, "a", "application/octet-stream"),
    ],
)
async def test_name_and_type_are_the_callers_or_the_files(
    tmp_path: Path, filename: str | None, content_type: str | None, name: str, kind: str
) -> None:
    opening = open_source(
        on_disk(tmp_path), POST_SALE_FILES, filename=filename, content_type=content_type
    )
    async with opening as source:
        assert (source.filename, source.content_type) == (name, kind)


class OneBuffer:
    """An open file of the caller's own, whose `read` fills one buffer again and again."""

    def __init__(self, *, is_async: bool) -> None:
        self._file = io.BytesIO(DATA)
        self._buffer = bytearray(100_000)
        self._is_async = is_async

    def read(self, size: int = -1) -> object:
        view = memoryview(self._buffer)[: size if size >= 0 else None]
        found = view[: self._file.readinto(view)]
        return self._later(found) if self._is_async else found

    async def _later(self, found: object) -> object:
        return found


@pytest.mark.parametrize("length", [None, len(DATA)], ids=["unknown", "declared"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_a_file_may_fill_one_buffer_again_and_again(
    length: int | None, *, is_async: bool
) -> None:
    given: SourceLike = OneBuffer(is_async=is_async)  # type: ignore[assignment]
    async with open_source(given, POST_SALE_FILES, length=length) as source:
        assert await read_all(source) == DATA


PNG_BYTES = b"\x89PNG\r\n\x1a\n" + bytes(3000)
JPG_BYTES = b"\xff\xd8\xff\xe0" + bytes(3000)


async def later(data: bytes) -> AsyncIterator[bytes]:
    yield data[:3]
    yield data[3:]


NAMELESS: dict[str, Callable[[bytes], SourceLike]] = {
    "bytes": lambda data: data,
    "a buffer": bytearray,
    "a file in memory": io.BytesIO,
    "a list": lambda data: [data[:3], data[3:]],
    "a generator": lambda data: (piece for piece in (data[:3], data[3:])),
    "an async generator": later,
}
NAMED = [
    # the bytes, the type that the caller names, the name and the type of the upload
    (PNG_BYTES, None, "attachment.png", "image/png"),
    (JPG_BYTES, None, "attachment.jpg", "image/jpeg"),
    (b"%PDF-1.7" + bytes(3000), None, "attachment.pdf", "application/pdf"),
    (JPG_BYTES, "image/png", "attachment.jpg", "image/png"),
    (b"a,b\n1,2", "text/csv", "attachment.csv", "text/csv"),
    (b"a,b\n1,2", None, "attachment", "application/octet-stream"),
]


@pytest.mark.parametrize("kind", NAMELESS)
@pytest.mark.parametrize(("data", "given", "name", "type_"), NAMED, ids=[row[2] for row in NAMED])
async def test_the_name_of_a_source_without_one_follows_its_bytes(
    kind: str, data: bytes, given: str | None, name: str, type_: str
) -> None:
    opening = open_source(NAMELESS[kind](data), POST_SALE_FILES, content_type=given)
    async with opening as source:
        assert (source.filename, source.content_type) == (name, type_)
        assert await read_all(source) == data


@pytest.mark.parametrize("kind", NAMELESS)
async def test_a_claim_accepts_a_picture_without_a_name(kind: str) -> None:
    async with open_source(NAMELESS[kind](PNG_BYTES), CLAIM_FILES) as source:
        assert (source.filename, await read_all(source)) == ("attachment.png", PNG_BYTES)


async def test_a_type_gives_a_name_to_bytes_of_another_kind() -> None:
    async with open_source(b"GIF89a", POST_SALE_FILES, content_type="image/gif") as source:
        assert (source.filename, source.content_type) == ("attachment.gif", "image/gif")


# --- what is refused -------------------------------------------------------------------------


async def numbers() -> AsyncIterator[int]:
    yield 1


async def texts() -> AsyncIterator[str]:
    yield "text"


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (lambda: None, "NoneType"),
        (lambda: 5, "int"),
        (object, "object"),
        (lambda: {"a": 1}, "str"),
        (lambda: ["text"], "str"),
        (lambda: [b"bytes", "text"], "str"),
        (lambda: [1, 2], "int"),
        (numbers, "int"),
        (texts, "str"),
        (lambda: io.StringIO("text"), "a file in text mode"),
        (lambda: io.TextIOWrapper(io.BytesIO(b"text")), "a file in text mode"),
        (lambda: anyio.wrap_file(io.StringIO("text")), "a file in text mode"),
    ],
)
async def test_what_has_no_bytes_is_refused_by_name(
    wrong: Callable[[], SourceLike], found: str
) -> None:
    assert found in (await rule_error_of(wrong())).found


@pytest.mark.parametrize("wrap", [lambda file: file, anyio.wrap_file], ids=["plain", "anyio"])
async def test_a_file_that_cannot_be_read_is_refused(
    tmp_path: Path, wrap: Callable[[object], SourceLike]
) -> None:
    with (tmp_path / "a.txt").open("wb") as file:
        assert "open for writing" in (await rule_error_of(wrap(file))).found
    assert "a closed file" in (await rule_error_of(wrap(file))).found
    assert "a closed file" in (await rule_error_of(wrap(_closed(io.BytesIO(b"a"))))).found


def _closed(file: io.BytesIO) -> io.BytesIO:
    file.close()
    return file


async def test_a_download_that_is_not_open_says_how_to_open_it() -> None:
    opening = Client("a-token").attachments.open("1_a.png", "MLM")
    with pytest.raises(UsageError, match=r"async with client\.attachments\.open"):
        await Client("a-token").attachments.upload(opening, site_id="MLM")  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/dev/null", "fifo"])
async def test_a_path_to_no_file_is_refused_at_once(tmp_path: Path, path: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert "device or pipe" in (await rule_error_of(tmp_path / path)).found


@pytest.mark.parametrize(
    ("path", "error"), [("missing", FileNotFoundError), (".", IsADirectoryError)]
)
async def test_a_path_that_cannot_be_read_is_the_systems_own_error(
    tmp_path: Path, path: str, error: type[OSError]
) -> None:
    with pytest.raises(error) as caught:
        async with open_source(tmp_path / path, POST_SALE_FILES):
            pass
    assert caught.value.filename == str(tmp_path / path)


@pytest.mark.parametrize("length", [-1, 0, LIMIT + 1, True, 4.0, "4"])
async def test_a_declared_length_must_be_one_that_is_allowed(length: int) -> None:
    with pytest.raises(RuleError):
        async with open_source(PIECES, POST_SALE_FILES, length=length):
            pass


@each_kind_that(lambda kind: not kind.unknown)
async def test_a_declared_length_must_be_the_known_one(
    kind: Kind, stack: Stack, tmp_path: Path
) -> None:
    given = await kind.make(stack, tmp_path)
    with pytest.raises(LengthMismatch):
        async with open_source(given, POST_SALE_FILES, length=len(DATA) - 1):
            pass


@pytest.mark.parametrize(
    ("filename", "rules", "accepted"),
    [
        ("a/b.png", POST_SALE_FILES, "a_b.png"),
        ("a\r\nb.png", POST_SALE_FILES, "a_b.png"),
        ("", POST_SALE_FILES, "file"),
        (None, CLAIM_FILES, "nota_no_7.pdf"),
    ],
)
async def test_a_name_against_the_rules_is_refused_with_one_that_is_not(
    tmp_path: Path, filename: str | None, rules: FileRules, accepted: str
) -> None:
    with pytest.raises(RuleError) as caught:
        async with open_source(on_disk(tmp_path), rules, filename=filename):
            pass
    assert repr(accepted) in str(caught.value)


@pytest.mark.parametrize("kind", ["png", "image/png\r\nX: y", "image/"])
async def test_a_content_type_that_is_none_is_refused(kind: str) -> None:
    with pytest.raises(RuleError):
        async with open_source(DATA, POST_SALE_FILES, filename="a", content_type=kind):
            pass


async def test_a_pipe_with_nothing_to_read_yet_is_not_at_its_end() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with (
        os.fdopen(reading, "rb", buffering=0) as file,
        os.fdopen(writing, "wb", buffering=0),
        pytest.raises(BlockingIOError, match="nothing to read yet"),
    ):
        async with open_source(file, POST_SALE_FILES, filename="a.bin"):
            pass


async def test_the_same_open_file_twice_is_refused(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"png")
    with (tmp_path / "a.png").open("rb") as file, pytest.raises(RuleError, match="twice"):
        await client.packs.send(1, "Hola", files=[file, file], site_id="MLM")
