"""Uploads through the client: what arrives, and what happens when either side breaks off."""

import asyncio
import json
import re
from contextlib import AsyncExitStack
from copy import copy
from pathlib import Path

import pytest
from calls import MIB, PACK_ID, connect
from rawserver import Peer, Step, answers, each, in_turn
from sources import (
    DATA,
    LIMIT,
    AfterBlock,
    AsSource,
    Kind,
    ScriptedSource,
    each_kind,
    each_kind_that,
    each_way,
    sparse,
)

from mlmsg import (
    ApiError,
    BadRequest,
    Client,
    LengthMismatch,
    RetryPolicy,
    RuleError,
    ServerError,
    TimedOut,
    Timeouts,
    TransportError,
)
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.uploads import Progress, SourceLike

DONE = b'{"id": "1_a.png"}'
LARGE = DATA * 63


async def upload(
    client: Client, source: SourceLike, length: int | None = None, progress: Progress | None = None
) -> str:
    attachments = client.attachments
    one = await attachments.upload(source, site_id="MLM", length=length, progress=progress)
    return one.id


def first(step: Step) -> Step:
    """Return a script: the step serves the first connection, the later ones succeed."""
    left = [step]

    async def script(peer: Peer) -> None:
        await (left.pop() if left else each(answers(200, DONE)))(peer)

    return script


async def forever(_: Peer) -> None:
    await asyncio.Event().wait()


@each_kind
async def test_every_kind_of_source_arrives_as_it_is(
    kind: Kind, client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        stored = sandbox.market.files[await upload(client, await kind.make(stack, tmp_path))]
    assert stored.data == DATA
    assert (stored.original_filename, stored.content_type) == (kind.filename, kind.content_type)


@pytest.mark.parametrize("length", [None, len(LARGE)], ids=["unknown", "declared"])
@pytest.mark.parametrize("given", range(3), ids=["path", "generator", "async generator"])
async def test_several_blocks_arrive_with_name_and_type_as_given(
    given: int, length: int | None, client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(LARGE)
    drawn = ScriptedSource([LARGE[:9], LARGE[9:-1], LARGE[-1:]])
    sources: list[SourceLike] = [tmp_path / "a", drawn.as_iterator(), drawn.as_async_iterator()]
    name, kind = '50% "ñ".png', "image/png"
    one = await client.attachments.upload(
        sources[given], site_id="MLM", length=length, filename=name, content_type=kind
    )
    stored = sandbox.market.files[one.id]
    assert stored.data == LARGE
    assert (stored.original_filename, stored.content_type) == (name, kind)


# --- a source that breaks off, or begins again --------------------------------------------------


async def broken_off(
    source: SourceLike, length: int, error: type[Exception], progress: Progress | None = None
) -> Exception:
    """Return the error of one attempt, which cut its connection and released its slot.

    The announced length was not reached, and the closing boundary not sent.
    """
    cut = asyncio.Event()

    async def until_it_is_cut(peer: Peer) -> None:
        head, rest = await peer.head(), await peer.rest()
        (boundary,) = re.findall(rb"boundary=([\w-]+)", head)
        (announced,) = re.findall(rb"Content-Length: (\d+)", head)
        assert len(rest) < int(announced)
        assert b"--" + boundary + b"--" not in rest
        cut.set()

    async with connect(first(until_it_is_cut), attempts=3) as (client, server):
        with pytest.raises(error) as caught:
            await upload(client, source, length, progress)
        await cut.wait()
        await upload(client, b"the next")
        assert len(server.peers) == 2
    return caught.value


@each_way
@pytest.mark.parametrize(
    ("blocks", "length"),
    [
        ([b"abc"], 4),
        ([b"abc"], 2),
        ([bytes(2 * MIB)], 3 * MIB),
        ([bytes(2 * MIB), b"x"], 2 * MIB),
    ],
    ids=["too short", "too long", "too short, large", "one byte too long, large"],
)
async def test_a_length_that_is_not_the_declared_one_never_makes_a_whole_request(
    way: AsSource, blocks: list[bytes], length: int
) -> None:
    error = await broken_off(way(ScriptedSource(blocks)), length, LengthMismatch)
    assert f"exactly {length} bytes" in str(error)


@each_way
@pytest.mark.parametrize("blocks", [[], [bytes(MIB)] * 2], ids=["at once", "after 2 MIB"])
@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "my own"),
        ConnectionResetError("my own"),
        TimeoutError(),
        ValueError("my own"),
        TransportError("my own"),
    ],
    ids=repr,
)
async def test_the_error_of_a_source_comes_back_as_it_is(
    way: AsSource, blocks: list[bytes], error: Exception
) -> None:
    raised = copy(error)
    assert await broken_off(way(ScriptedSource(blocks, raised)), 3 * MIB, type(error)) is raised
    assert raised.__cause__ is None


@each_kind_that(lambda kind: kind.unknown or not kind.once)
async def test_a_retry_sends_the_same_bytes_under_their_length(kind: Kind, tmp_path: Path) -> None:
    requests: list[tuple[bytes, bytes]] = []

    async def script(peer: Peer) -> None:
        for status in (500, 200):
            requests.append(await peer.request())
            await peer.answer(status, DONE)

    async with AsyncExitStack() as stack, connect(script, attempts=2) as (client, _):
        await upload(client, await kind.make(stack, tmp_path))
    (head, body), again = requests
    assert again == (head, body)
    assert DATA in body
    assert f"Content-Length: {len(body)}".encode() in head
    assert not {b"transfer-encoding", b"expect"}.intersection(re.split(b"\r\n|:", head.lower()))


@each_kind_that(lambda kind: kind.once)
async def test_a_source_that_is_used_up_is_not_tried_again(
    kind: Kind, client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.inject(Fault(status=500))
    with pytest.raises(ServerError):
        async with AsyncExitStack() as stack:
            await upload(client, await kind.make(stack, tmp_path), len(DATA))
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("tries", [3, 1], ids=["bytes", "generator"])
async def test_a_reset_in_the_middle_is_tried_again_where_it_can_be(tries: int) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.body(MIB)
        peer.reset()

    source = bytes(LIMIT) if tries == 3 else ScriptedSource([bytes(LIMIT)]).as_iterator()
    async with connect(script, attempts=3) as (client, server):
        with pytest.raises(TransportError, match="lost"):
            await upload(client, source, LIMIT)
        assert len(server.peers) == tries


async def test_progress_rises_to_the_whole_and_begins_again_with_a_retry() -> None:
    reports: list[tuple[int, int | None]] = []
    async with connect(in_turn(answers(500), answers(200, DONE)), attempts=2) as (client, _):
        await upload(client, LARGE, progress=lambda *both: reports.append(both))
    rising = sorted(set(reports))
    assert reports == rising * 2
    assert (len(rising) > 3, rising[-1]) == (True, (len(LARGE), len(LARGE)))


async def test_an_error_in_progress_comes_back_as_it_is() -> None:
    error = OSError("my own")

    def fail(*_: object) -> None:
        raise error

    assert await broken_off(bytes(LIMIT), LIMIT, OSError, fail) is error


# --- a server that breaks off, or goes no further -----------------------------------------------


def is_open(path: Path) -> bool:
    return any(link.exists() and link.samefile(path) for link in Path("/proc/self/fd").iterdir())


async def cancelled(source: SourceLike) -> None:
    """Cancel an upload to a server that reads no further; the client still works."""
    started = asyncio.Event()
    async with connect(first(forever)) as (client, _):
        task = asyncio.create_task(upload(client, source, LIMIT, lambda *_: started.set()))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await upload(client, b"the next")


@pytest.mark.parametrize(
    ("way", "then"),
    [
        (ScriptedSource.as_iterator, None),
        (ScriptedSource.as_async_iterator, None),
        (ScriptedSource.as_async_iterator, asyncio.Event().wait),
    ],
    ids=["sync", "async", "async that waits"],
)
async def test_a_cancelled_upload_closes_its_source_at_once(
    way: AsSource, then: AfterBlock
) -> None:
    drawn = ScriptedSource([bytes(MIB)] * 25, then=then)
    await cancelled(way(drawn))
    assert drawn.closed == 1


async def test_a_cancelled_upload_closes_its_file_but_not_the_callers(tmp_path: Path) -> None:
    path = sparse(tmp_path, LIMIT)
    await cancelled(path)
    assert not is_open(path)
    with path.open("rb") as file:
        await cancelled(file)
        assert not file.closed


async def end_in_order(peer: Peer) -> None:
    """Close after reading the rest, as servers do to protect their response."""
    peer.end()
    await peer.rest()


each_end = pytest.mark.parametrize(
    "then", [forever, Peer.close, end_in_order], ids=["kept open", "cut", "ended"]
)


@each_end
@pytest.mark.parametrize(("status", "error"), [(413, ApiError), (200, TransportError)])
async def test_an_early_answer_ends_an_upload_at_once_and_is_never_a_success(
    status: int, error: type[Exception], then: Step, tmp_path: Path
) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.answer(status, DONE)
        await then(peer)

    path, drawn = sparse(tmp_path, LIMIT), ScriptedSource([bytes(MIB)] * 25)
    async with connect(script, attempts=3) as (client, _):
        for source in (path, drawn.as_async_iterator()):
            with pytest.raises(error):
                await upload(client, source, LIMIT)
    assert (drawn.closed, is_open(path)) == (1, False)


@pytest.mark.slow
async def test_a_server_that_reads_nothing_is_given_up_in_time() -> None:
    async with connect(forever, timeout=Timeouts(write=0.2)) as (client, _):
        for _ in range(2):  # the slot is free again
            with pytest.raises(TimedOut):
                await upload(client, bytes(LIMIT))


@pytest.mark.slow
async def test_a_line_that_moves_less_than_64_kib_in_the_timeout_is_not_given_up() -> None:
    async def script(peer: Peer) -> None:
        (length,) = re.findall(rb"Content-Length: (\d+)", await peer.head())
        for _ in range(70):
            await peer.body(4096)
            await asyncio.sleep(0.02)  # the speed of the line: 60 kB in 0.3 s
        await peer.body(int(length) - 70 * 4096)
        await peer.answer(200, DONE)

    async with connect(script, timeout=Timeouts(write=0.3), slow=True) as (client, _):
        await upload(client, bytes(2 * MIB))


async def test_a_copy_needs_no_second_connection(sandbox: Sandbox) -> None:
    """The open download holds the only slot: its upload must not wait for another."""
    name = next(iter(sandbox.market.files))
    opening = Client(sandbox.token, base_url=sandbox.url, max_connections=1)
    async with asyncio.timeout(5), opening as client:
        async with client.attachments.open(name, site_id="MLM") as download:
            upload = await client.attachments.upload(download, site_id="MLM")
        assert sandbox.market.files[upload.id].data == sandbox.market.files[name].data


# --- files with a message -----------------------------------------------------------------------


def named(body: bytes) -> str:
    return b"".join(re.findall(rb'filename="([^"]+)"', body)).decode()


def files_in(folder: Path) -> list[Path]:
    paths = [folder / name for name in ("a.png", "b.png", "c.png")]
    for path in paths:
        path.write_bytes(DATA)
    return paths


async def test_files_are_uploaded_side_by_side_and_sent_once_in_their_order(tmp_path: Path) -> None:
    waiting: dict[str, Peer] = {}
    sent: list[object] = []

    async def script(peer: Peer) -> None:
        while body := (await peer.request())[1]:
            if not named(body):
                sent.append(json.loads(body))
                await peer.answer(201)
                continue
            waiting[named(body)] = peer
            for name in sorted(waiting, reverse=True) if len(waiting) == 3 else ():
                await waiting[name].answer(200, json.dumps({"id": f"1_{name}"}).encode())

    files = files_in(tmp_path)
    async with connect(script, max_connections=3) as (client, _):
        await client.packs.send(PACK_ID, "Va", attachments=["1_0.png"], files=files, site_id="MLM")
    assert sent == [{"text": "Va", "attachments": [f"1_{name}.png" for name in "0abc"]}]


async def test_the_first_failing_upload_ends_the_others_and_nothing_is_sent(tmp_path: Path) -> None:
    started, cut = asyncio.Barrier(3), asyncio.Barrier(3)

    async def script(peer: Peer) -> None:
        _, body = await peer.request()
        await started.wait()
        if named(body) == "b.png":
            await peer.answer(400, b'{"message": "not this one"}')
        else:
            await peer.rest()
            await cut.wait()

    async with connect(script, max_connections=3) as (client, server):
        with pytest.raises(BadRequest, match="not this one"):
            await client.packs.send(PACK_ID, "Va", files=files_in(tmp_path), site_id="MLM")
        await cut.wait()
        assert server.requests == 3


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ([DATA, b""], RuleError),
        ([DATA, [b"bytes", "text"]], RuleError),
        ([DATA, "/missing/file.png"], FileNotFoundError),
        ([DATA, ScriptedSource([DATA], ValueError("my own")).as_iterator()], ValueError),
        ("one path", RuleError),
        (Path("one path"), RuleError),
        (DATA, RuleError),
    ],
    ids=["empty", "text", "missing", "failing", "str", "Path", "bytes"],
)
async def test_one_bad_file_sends_nothing_at_all(
    files: list[SourceLike], error: type[Exception], client: Client, sandbox: Sandbox
) -> None:
    with pytest.raises(error):
        await client.packs.send(PACK_ID, "Va", files=files, site_id="MLM")
    assert sandbox.requests == []


@pytest.mark.parametrize(("before", "now"), [(26, 0), (21, 5), (0, 26)])
async def test_more_than_25_attachments_are_refused(
    before: int, now: int, client: Client, sandbox: Sandbox
) -> None:
    ids, files = ["1_a.png"] * before, [DATA] * now
    with pytest.raises(RuleError, match="at most 25"):
        await client.packs.send(PACK_ID, "Va", attachments=ids, files=files, site_id="MLM")
    assert sandbox.requests == []


async def test_an_upload_whose_response_arrives_before_its_end_is_stored_once(
    sandbox: Sandbox,
) -> None:
    once = RetryPolicy(attempts=1)
    async with Client(sandbox.token, base_url=sandbox.url, retry=once, budget=None) as client:
        for number in range(150):
            await client.attachments.upload(bytes(20_000), site_id="MLM", filename=f"{number}.bin")
    names = [file.original_filename for file in sandbox.market.files.values()]
    assert sum(name.endswith(".bin") for name in names) == 150


async def test_a_download_with_a_malformed_content_type_can_be_copied(
    client: Client, sandbox: Sandbox
) -> None:
    script = each(answers(200, b"\x89PNG", "Content-Type: png"))
    async with (
        connect(script) as (other, _),
        other.attachments.open("a.png", site_id="MLM") as download,
    ):
        upload = await client.attachments.upload(download, site_id="MLM")
    assert sandbox.market.files[upload.id].content_type == "image/png"
