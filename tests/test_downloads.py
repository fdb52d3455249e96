"""Downloads: a file arrives whole, under a name that is safe, or not at all."""

import asyncio
import gzip
import hashlib
import os
import stat
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from calls import connect
from calls import download as read_file
from rawserver import Peer, Step, answers, each, in_turn, sends

from mlmsg import (
    Client,
    Download,
    IncompleteDownload,
    MlmsgError,
    NotFound,
    RuleError,
    Saved,
    ServerError,
    TargetExists,
    TransportError,
    UsageError,
)
from mlmsg.sandbox import Sandbox, StoredFile

DATA = bytes(range(256)) * 12_000  # 3 MB: several blocks
SMALL = b"the bytes of a small file"
HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(DATA)
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def download(client: Client, to: Path, *, overwrite: bool = False) -> Awaitable[Saved]:
    return client.attachments.download("a.bin", to, site_id="MLM", overwrite=overwrite)


def names(folder: Path) -> list[str]:
    """Return the names of all files in a folder, hidden ones too."""
    return sorted(one.name for one in folder.iterdir())


@pytest.fixture
def stored(sandbox: Sandbox) -> StoredFile:
    return sandbox.market.add_file(DATA, "photo.png", "image/png")


async def test_the_bytes_are_the_file(client: Client, sandbox: Sandbox, stored: StoredFile) -> None:
    async with client.attachments.open(stored.id, site_id="MLM") as download:
        found = (download.size, download.content_type, download.filename)
        assert found == (len(DATA), "image/png", stored.id)
        assert repr(download) == f"<Download {stored.id!r}, image/png, {len(DATA)} bytes>"
        assert b"".join([chunk async for chunk in download]) == DATA
    async with client.attachments.open(stored.id, site_id="MLM") as download:
        assert await download.read() == DATA
    assert sandbox.requests[0].query == {"tag": "post_sale", "site_id": "MLM"}
    assert sandbox.requests[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("to", [".", "x.png", "new/", "new/deep/", "a/b/x"])
async def test_where_a_file_is_saved(
    client: Client, stored: StoredFile, tmp_path: Path, to: str
) -> None:
    """In a folder, or under a path that ends in a separator, it gets its own name."""
    own = stored.id if to[-1] in "./" else ""
    path = f"{tmp_path}/{to}" if to[-1] == "/" else tmp_path / to
    saved = await client.attachments.download(stored.id, path, site_id="MLM")
    assert saved.path == tmp_path / to / own
    assert saved.path.read_bytes() == DATA
    assert (saved.size, saved.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    assert names(saved.path.parent) == [saved.path.name]


WHOLE = {
    "announced": answers(200, DATA),
    "in a chunk": sends(CHUNKED + b"%x\r\n" % len(DATA) + DATA + b"\r\n0\r\n\r\n"),
    "up to the end": sends(HEAD + b"\r\n" + DATA),
}


@pytest.mark.parametrize("kind", WHOLE)
async def test_progress_ends_with_the_whole(tmp_path: Path, kind: str) -> None:
    reports: list[tuple[int, int | None]] = []
    async with connect(each(WHOLE[kind])) as (client, _server):
        await client.attachments.download(
            "a", tmp_path, site_id="MLM", progress=lambda done, total: reports.append((done, total))
        )
    assert len(reports) > 1
    assert [done for done, _ in reports] == sorted({done for done, _ in reports})
    assert reports[-1][0] == len(DATA)
    assert {total for _, total in reports} == {len(DATA) if kind == "announced" else None}


async def test_what_the_server_compressed_is_unpacked(tmp_path: Path) -> None:
    packed = gzip.compress(DATA)
    script = in_turn(*[answers(200, packed, "Content-Encoding: gzip")] * 2)
    async with connect(script) as (client, _server):
        async with client.attachments.open("a", "MLM") as opened:
            assert opened.size is None
            assert await opened.read() == DATA
        saved = await download(client, tmp_path)
    assert saved.path.read_bytes() == DATA


@pytest.mark.slow
async def test_a_small_file_that_unpacks_to_a_huge_one_does_not_fill_the_disk(
    tmp_path: Path,
) -> None:
    bomb = gzip.compress(bytes(100 * 1024 * 1024), 1)
    script = each(answers(200, bomb, "Content-Encoding: gzip"))
    async with connect(script) as (client, _server):
        with pytest.raises(IncompleteDownload, match="a compressed file of over 67108864"):
            await download(client, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [
        ("attachment; filename=a.pdf", "a.pdf"),
        ('attachment; filename="my file; 1.pdf"', "my file; 1.pdf"),
        ('inline; filename="año.pdf"', "año.pdf"),
        ("attachment; filename*=UTF-8''a%C3%B1o%20nuevo.pdf", "año nuevo.pdf"),
        ("attachment; filename*=iso-8859-1'es'a%F1o.pdf", "año.pdf"),
        ("attachment; filename=ano.pdf; filename*=UTF-8''a%C3%B1o.pdf", "año.pdf"),
        ("attachment; filename*=UTF-8''a%C3%B1o.pdf; filename=ano.pdf", "año.pdf"),
        ("attachment", "a.bin"),
        ('attachment; filename=""', "a.bin"),
        ("", "a.bin"),
        (None, "a.bin"),
    ],
    ids=repr,
)
async def test_the_name_is_the_servers_or_the_id(disposition: str | None, expected: str) -> None:
    headers = [] if disposition is None else [f"Content-Disposition: {disposition}"]
    async with (
        connect(each(answers(200, SMALL, *headers))) as (client, _server),
        client.attachments.open("a.bin", "MLM") as opened,
    ):
        assert opened.filename == expected


NAMES = (
    "../../x", "/etc/x", "..", ".", "a/../b", "C:\\x", "..\\x", "CON", "-rf", "~", "a" * 500,
    ".bashrc", "x\x01y", "%2e%2e%2fx", "año.pdf",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    quoted = "".join(f"%{byte:02X}" for byte in name.encode())
    header = f"Content-Disposition: attachment; filename*=UTF-8''{quoted}"
    async with connect(each(answers(200, SMALL, header))) as (client, _server):
        saved = await download(client, folder)
    assert saved.path.parent == folder
    assert names(folder) == [saved.path.name]
    assert saved.path.read_bytes() == SMALL
    assert saved.path.name[0].isalnum()
    assert saved.path.stem.upper() != "CON"
    assert names(tmp_path) == ["folder"]


# --- a target that exists ------------------------------------------------------------------


@pytest.mark.parametrize("dangling", [False, True], ids=["a file", "a dangling link"])
async def test_a_file_that_exists_is_refused_before_any_request(
    tmp_path: Path, *, dangling: bool
) -> None:
    target = tmp_path / "x"
    target.symlink_to("nowhere") if dangling else target.write_bytes(b"mine")
    async with connect(in_turn()) as (client, server):
        with pytest.raises(TargetExists) as caught:
            await download(client, target)
    assert not server.peers
    assert os.fspath(caught.value.path) == os.fspath(target)
    assert isinstance(caught.value, FileExistsError)
    assert dangling or target.read_bytes() == b"mine"


@pytest.mark.parametrize("late", [False, True], ids=["before the answer", "on the way"])
@pytest.mark.parametrize("overwrite", [False, True], ids=["not asked to", "asked to overwrite"])
async def test_a_file_that_comes_to_be_meanwhile(
    tmp_path: Path, *, overwrite: bool, late: bool
) -> None:
    target, started = tmp_path / "a.bin", asyncio.Event()

    async def step(peer: Peer) -> None:
        if not late:
            target.write_bytes(b"theirs")
        await peer.send(HEAD + LENGTH + DATA[:2_000_000])
        if late:
            await started.wait()
            target.write_bytes(b"theirs")
        await peer.send(DATA[2_000_000:])

    to = target if late else tmp_path
    async with connect(in_turn(step), attempts=4) as (client, _server):
        with nullcontext() if overwrite else pytest.raises(TargetExists):
            await client.attachments.download(
                "a.bin", to, site_id="MLM", overwrite=overwrite, progress=lambda *_: started.set()
            )
    assert names(tmp_path) == ["a.bin"]
    assert target.read_bytes() == (DATA if overwrite else b"theirs")


async def test_of_two_at_the_same_time_one_wins_whole(tmp_path: Path) -> None:
    async with connect(each(answers(200, DATA)), max_connections=2) as (client, _server):
        calls = [download(client, tmp_path / "x") for _ in range(2)]
        ended = await asyncio.gather(*calls, return_exceptions=True)
    assert sorted(type(one).__name__ for one in ended) == ["Saved", "TargetExists"]
    assert names(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == DATA


async def test_replacing_a_file_never_shows_a_part_of_it(tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.write_bytes(b"the old one")
    with target.open("rb") as reader:
        async with connect(each(answers(200, DATA))) as (client, _server):
            await download(client, target, overwrite=True)
        assert reader.read() == b"the old one"
    assert target.read_bytes() == DATA
    assert names(tmp_path) == ["x"]


# --- a file that does not arrive whole -----------------------------------------------------

INCOMPLETE = {
    "empty": answers(200),
    "empty, chunked": sends(CHUNKED + b"0\r\n\r\n"),
    "nothing of it": sends(HEAD + LENGTH),
    "half of it": sends(HEAD + LENGTH + DATA[: len(DATA) // 2]),
    "all but a byte": sends(HEAD + LENGTH + DATA[:-1]),
    "reset": sends(HEAD + LENGTH + DATA[: len(DATA) // 2], reset=True),
    "cut in a chunk": sends(CHUNKED + b"ffffff\r\n" + DATA),
    "cut after a chunk": sends(CHUNKED + b"%x\r\n" % len(DATA) + DATA + b"\r\n"),
    "reset without a length": sends(HEAD + b"Connection: close\r\n\r\n" + SMALL, reset=True),
    "no gzip": answers(200, SMALL, "Content-Encoding: gzip"),
}


@pytest.mark.parametrize("step", INCOMPLETE.values(), ids=INCOMPLETE)
@pytest.mark.parametrize("old", [True, False], ids=["over an old one", "anew"])
async def test_an_incomplete_file_leaves_nothing(tmp_path: Path, step: Step, *, old: bool) -> None:
    target = tmp_path / "x"
    if old:
        target.write_bytes(b"the old one")
    async with connect(each(step), attempts=2) as (client, server):
        with pytest.raises(IncompleteDownload):
            await download(client, target, overwrite=old)
        assert server.requests == 2
        with pytest.raises(IncompleteDownload):
            await read_file(client)
    assert names(tmp_path) == (["x"] if old else [])
    assert not old or target.read_bytes() == b"the old one"


@pytest.mark.parametrize("step", INCOMPLETE.values(), ids=INCOMPLETE)
async def test_an_incomplete_file_is_made_good_by_the_next_try(tmp_path: Path, step: Step) -> None:
    async with connect(in_turn(step, answers(200, DATA)), attempts=2) as (client, _server):
        saved = await download(client, tmp_path)
    assert saved.path.read_bytes() == DATA
    assert names(tmp_path) == [saved.path.name]


@pytest.mark.parametrize(
    ("status", "kind", "tries"), [(500, ServerError, 4), (404, NotFound, 1)], ids=["500", "404"]
)
async def test_an_error_of_the_api_writes_nothing(
    tmp_path: Path, status: int, kind: type[ServerError | NotFound], tries: int
) -> None:
    body = b'{"message": "File can not be accessed, try it later", "error": null}'
    script = in_turn(*[answers(status, body)] * 4)
    async with connect(script, attempts=4) as (client, server):
        with pytest.raises(kind, match="File can not be accessed") as caught:
            await client.attachments.download("a", f"{tmp_path}/new/", site_id="MLM")
    assert caught.value.attempts == server.requests == tries
    assert names(tmp_path) == []


async def test_an_error_of_the_disk_comes_back_unchanged(tmp_path: Path) -> None:
    def fails(_done: int, _total: int | None) -> None:
        raise ConnectionError("mine")

    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder" / "a.bin" / "full").mkdir(parents=True)
    async with connect(in_turn(*[answers(200, SMALL)] * 3), attempts=4) as (client, _server):
        for wrong, to in {"file": tmp_path / "file" / "x", "a.bin": tmp_path / "folder"}.items():
            with pytest.raises(OSError) as caught:
                await download(client, to, overwrite=True)
            assert not isinstance(caught.value, MlmsgError)
            assert str(caught.value).endswith(f"/{wrong}'")
        with pytest.raises(ConnectionError, match="mine"):
            await client.attachments.download("a", tmp_path, site_id="MLM", progress=fails)
    assert names(tmp_path) == ["file", "folder"]
    assert names(tmp_path / "folder") == ["a.bin"]


# --- use and misuse ------------------------------------------------------------------------


async def stalled(peer: Peer) -> None:
    await peer.send(HEAD + LENGTH + DATA[:2_900_000])
    await peer.rest()


@pytest.mark.parametrize("old", [True, False], ids=["over an old one", "anew"])
async def test_a_cancelled_save_leaves_nothing(tmp_path: Path, *, old: bool) -> None:
    target, started = tmp_path / "x", asyncio.Event()
    if old:
        target.write_bytes(b"the old one")

    def note(done: int, _total: int | None) -> None:
        if done > 2_500_000:  # the bytes of the first groups are written by now
            started.set()

    async with connect(in_turn(stalled, answers(200, DATA))) as (client, _server):
        saving = client.attachments.download(
            "a", target, site_id="MLM", overwrite=True, progress=note
        )
        task = asyncio.create_task(saving)
        await started.wait()
        assert len(names(tmp_path)) == 1 + old  # the hidden part is there
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert names(tmp_path) == (["x"] if old else [])
        assert not old or target.read_bytes() == b"the old one"
        await download(client, target, overwrite=True)
    assert target.read_bytes() == DATA


async def iterate(download: Download, _to: Path) -> None:
    async for _ in download:
        pass


Take = Callable[[Download, Path], Awaitable[object]]
TAKE: dict[str, Take] = {
    "iterating": iterate,
    "read": lambda download, _to: download.read(),
    "save": Download.save,
}


@pytest.mark.parametrize("again", TAKE)
@pytest.mark.parametrize("first", TAKE)
async def test_a_download_is_read_once(
    client: Client, stored: StoredFile, tmp_path: Path, first: str, again: str
) -> None:
    async with client.attachments.open(stored.id, "MLM") as opened:
        await TAKE[first](opened, tmp_path / "first")
        with pytest.raises(UsageError, match="once"):
            await TAKE[again](opened, tmp_path / "again")


@pytest.mark.parametrize("read_with", TAKE.values(), ids=TAKE)
async def test_a_download_is_read_inside_its_block(
    client: Client, stored: StoredFile, tmp_path: Path, read_with: Take
) -> None:
    async with client.attachments.open(stored.id, "MLM") as opened:
        pass
    with pytest.raises(UsageError, match="block"):
        await read_with(opened, tmp_path)


async def test_a_download_that_is_left_early_gives_its_slot_back() -> None:
    async with connect(in_turn(stalled, stalled, stalled, answers(200, SMALL))) as (client, _):
        async with client.attachments.open("a", "MLM"):
            pass
        async with client.attachments.open("a", "MLM") as opened:
            async for _chunk in opened:
                break
        with pytest.raises(KeyError):
            async with client.attachments.open("a", "MLM") as opened:
                raise KeyError
        assert await read_file(client) == SMALL


@pytest.mark.parametrize("known", [True, False], ids=["announced", "chunked"])
async def test_a_file_is_copied_from_one_thread_to_another(
    client: Client, sandbox: Sandbox, *, known: bool
) -> None:
    head = HEAD + b"Content-Type: image/x-mug\r\n"
    head += b"Content-Disposition: attachment; filename*=UTF-8''a%C3%B1o.png\r\n"
    chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(DATA) + DATA + b"\r\n0\r\n\r\n"
    async with (
        connect(each(sends(head + (LENGTH + DATA if known else chunked)))) as (other, _),
        other.attachments.open("a", "MLB") as opened,
    ):
        upload = await client.attachments.upload(opened, site_id="MLM")
    copy = sandbox.market.files[upload.id]
    assert copy.data == DATA
    assert (copy.original_filename, copy.content_type) == ("año.png", "image/x-mug")


async def test_a_device_is_not_replaced(client: Client, sandbox: Sandbox, tmp_path: Path) -> None:
    name = next(iter(sandbox.market.files))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RuleError, match="device or pipe"):
        await client.attachments.download(name, tmp_path / "pipe", site_id="MLM", overwrite=True)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert not sandbox.requests


async def test_a_file_that_is_replaced_stays_as_private_as_it_was(
    client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    name = next(iter(sandbox.market.files))
    target = tmp_path / "private.jpg"
    target.touch(mode=0o600)
    await client.attachments.download(name, target, site_id="MLM", overwrite=True)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert target.read_bytes() == sandbox.market.files[name].data


async def test_a_partial_content_that_was_not_requested_is_no_file(tmp_path: Path) -> None:
    script = each(answers(206, b"abc", "Content-Range: bytes 0-2/100"))
    async with connect(script) as (one, _):
        with pytest.raises(TransportError, match="a part of the file"):
            await one.attachments.download("a.bin", tmp_path, site_id="MLM")
    assert not list(tmp_path.iterdir())
