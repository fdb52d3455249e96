"""Arguments that cannot work are rejected at once, by their name."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import TypeAlias, cast

import pytest
from calls import PACK_ID, TOKEN

from mlmsg import (
    ApiError,
    Client,
    RateBudget,
    RefreshingToken,
    RetryPolicy,
    RuleError,
    Timeouts,
    UsageError,
)
from mlmsg.downloads import Download
from mlmsg.models import Attachment, Claim, ClaimAttachment, Message, PackRef, Upload
from mlmsg.models.post_sale import Resource
from mlmsg.rules import check_page
from mlmsg.sandbox import Sandbox
from mlmsg.sync import Shard, plan_shards, sync_attachments, sync_seller

Handler: TypeAlias = Callable[[Download], Awaitable[object]]

FILE = Attachment(filename="a.png")
MESSAGE = Message(id="m", message_resources=[Resource(id="1", name="packs")])

SETTINGS: dict[str, Callable[[], object]] = {
    "`attempts`": lambda: RetryPolicy(attempts=0),
    "`base`": lambda: RetryPolicy(base=float("nan")),
    "`cap`": lambda: RetryPolicy(cap=float("inf")),
    "`deadline`": lambda: RetryPolicy(deadline=-1.0),
    "timeout `read`": lambda: Timeouts(read=0),
    "`max_connections`": lambda: Client(TOKEN, max_connections=0),
    "an empty path": lambda: asyncio.run(Client(TOKEN).attachments.upload("", site_id="MLM")),
}


@pytest.mark.parametrize("words", SETTINGS)
def test_a_setting_that_cannot_work_is_refused_by_name(words: str) -> None:
    with pytest.raises(RuleError) as caught:
        SETTINGS[words]()
    assert words in str(caught.value)


async def test_an_async_progress_is_refused_before_anything_is_sent(
    client: Client, sandbox: Sandbox
) -> None:
    async def progress(*_: object) -> None:
        raise AssertionError

    with pytest.raises(RuleError, match="an async function"):
        await client.attachments.upload(b"x", site_id="MLM", filename="a", progress=progress)
    assert not sandbox.requests


@pytest.mark.parametrize("client_id", [None, True, "", " ", 1.5, b"1"])
def test_an_invalid_client_id_is_refused(client_id: int) -> None:
    with pytest.raises(RuleError, match="`client_id`"):
        RefreshingToken(client_id, "secret", "refresh")


class Index:
    """A number of another library, such as NumPy's."""

    def __index__(self) -> int:
        return 12


@pytest.mark.parametrize("client_id", [12, "12", Index()])
def test_a_client_id_is_any_index_or_a_text(client_id: int) -> None:
    assert RefreshingToken(client_id, "secret", "refresh")._grant.client_id == "12"


@pytest.mark.parametrize("token", [Sandbox, Callable, 5])
def test_an_invalid_token_source_is_refused(token: str) -> None:
    with pytest.raises(RuleError, match="access token"):
        Client(token)


async def test_a_sandbox_is_no_token_source(sandbox: Sandbox) -> None:
    with pytest.raises(RuleError, match="access token"):
        Client(sandbox)  # type: ignore[arg-type]


async def test_everything_is_a_span_of_time(client: Client, sandbox: Sandbox) -> None:
    sandbox.market.add_claim()
    spans: list[tuple[datetime | date, datetime | date | None]] = [
        (date.min, None),
        (date.min, date.max),
        (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)),
        (
            datetime.min.replace(tzinfo=timezone(timedelta(hours=3))),
            datetime.max.replace(tzinfo=timezone(-timedelta(hours=3))),
        ),
    ]
    for since, until in spans:
        claims = [claim async for claim in client.claims.all(since=since, until=until)]
        packs = [pack async for pack in client.packs.all(since=since, until=until)]
        assert len(claims) == len(sandbox.market.claims)
        assert packs


NOT_STATUSES: list[tuple[str, object, str]] = [
    ("status", "open", "'opened'"),
    ("status", "Closed", "'closed'"),
    ("status", 5, "a str"),
    ("stage", "disputes", "'dispute'"),
    ("stage", 5, "a str"),
]


@pytest.mark.parametrize(("name", "value", "words"), NOT_STATUSES)
async def test_a_misspelled_filter_is_refused(
    client: Client, sandbox: Sandbox, name: str, value: str, words: str
) -> None:
    with pytest.raises(RuleError, match=f"`{name}` of a claim search.*{words}"):
        await client.claims.search(**{name: value})  # type: ignore[arg-type]
    if name == "status":
        with pytest.raises(RuleError, match=f"`{name}` of a claim search.*{words}"):
            client.claims.all(since=date.min, status=value)
    assert not sandbox.requests


async def test_a_word_that_no_document_knows_is_sent(client: Client, sandbox: Sandbox) -> None:
    await client.claims.search(status="in_process", stage="recontact")
    assert sandbox.requests[-1].query["status"] == "in_process"


class Number:
    """A number of another library, such as NumPy's."""

    def __index__(self) -> int:
        return 1


async def test_a_window_is_any_index(client: Client, sandbox: Sandbox) -> None:
    number = cast("int", Number())
    await client.packs.page(PACK_ID, limit=number, offset=number)
    await client.claims.search(limit=number, offset=number)
    await client.attachments.upload(iter([b"x"]), site_id="MLM", filename="a.txt", length=number)
    windows = [(one.query.get("limit"), one.query.get("offset")) for one in sandbox.requests]
    assert windows.count(("1", "1")) == 2
    thread = client.packs.messages(PACK_ID, page_size=number, concurrency=number)
    async for _ in thread:
        break
    await thread.aclose()


class Numbers:
    """An array of another library, such as NumPy's: it has the method, but is no number."""

    def __index__(self) -> int:
        raise TypeError("only integer scalar arrays can be converted to a scalar index")


COUNTS: list[tuple[str, Callable[[int], object]]] = [
    ("attempts", lambda count: RetryPolicy(attempts=count)),
    ("reads", lambda count: RateBudget(reads=count)),
    ("writes", lambda count: RateBudget(writes=count)),
    ("burst", lambda count: RateBudget(burst=count)),
    ("shares", lambda count: RateBudget().share(count)),
    ("max_connections", lambda count: Client("stand-in", max_connections=count)),
    ("limit", lambda count: check_page(count, 0)),
    ("offset", lambda count: check_page(1, count)),
    ("size", lambda count: list(plan_of(size=count))),
    ("days", lambda count: list(plan_of(days=count))),
    ("concurrency", lambda count: list(plan_of(concurrency=count))),
]


def plan_of(**settings: int) -> Iterator[Shard]:
    return plan_shards(token="t", packs=[1, 2], to="mirror", site_id="MLM", **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "make"), COUNTS, ids=[name for name, _ in COUNTS])
def test_a_count_is_any_index(name: str, make: Callable[[int], object]) -> None:
    assert repr(make(cast("int", Number()))) == repr(make(1))
    for wrong in (True, Numbers(), 1.0, "1", -1):
        with pytest.raises(RuleError, match=name):
            make(cast("int", wrong))


async def test_the_concurrency_of_a_mirror_is_any_index(
    client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    number = cast("int", Number())
    report = await sync_attachments(
        client, packs=[PACK_ID], to=tmp_path, site_id="MLM", concurrency=number
    )
    assert report.threads == 1
    sandbox.requests.clear()
    for wrong in (True, Numbers()):
        with pytest.raises(RuleError, match="`concurrency`"):
            await sync_attachments(client, to=tmp_path, concurrency=cast("int", wrong))
        with pytest.raises(RuleError, match="`concurrency`"):
            await sync_seller(client, to=tmp_path, since=date.min, concurrency=cast("int", wrong))
    assert not sandbox.requests


async def test_an_array_is_no_id(client: Client, sandbox: Sandbox) -> None:
    with pytest.raises(RuleError, match="`pack_id`"):
        await client.packs.page(cast("int", Numbers()))
    with pytest.raises(RuleError, match="a str or an int"):
        await client.claims.search(order_id=cast("int", Numbers()))
    assert not sandbox.requests


VARIABLES: list[dict[str, object]] = [
    {"template_id": "T", "variables": [("a", 1)]},
    {"template_id": "T", "variables": {5: 1}},
    {"template_id": "T", "variables": {"a": float("nan")}},
    {"template_id": 5},
    {"template_id": ""},
]


@pytest.mark.parametrize("arguments", VARIABLES)
async def test_a_template_that_cannot_be_sent_is_refused(
    client: Client, sandbox: Sandbox, arguments: dict[str, str]
) -> None:
    with pytest.raises(RuleError, match="of a reason"):
        await client.reasons.send(PACK_ID, "OTHER", **arguments)  # type: ignore[arg-type]
    assert not sandbox.requests


@pytest.mark.parametrize("to", [None, 5, b"x", io.BytesIO(), "o/x\0y", ""])
async def test_a_target_that_is_no_path_is_refused(
    client: Client, sandbox: Sandbox, to: str
) -> None:
    with pytest.raises(RuleError, match="of a download"):
        await client.attachments.download("a.pdf", to, site_id="MLM")
    with pytest.raises(RuleError, match="of a download"):
        await client.claims.download(1, "a.pdf", to)
    assert not sandbox.requests


async def test_a_handler_is_an_async_function(client: Client, sandbox: Sandbox) -> None:
    file_id = next(iter(sandbox.market.files))
    with pytest.raises(RuleError, match=r"`handler`.*an async function"):
        await client.attachments.download_with(file_id, cast("Handler", 5), site_id="MLM")

    async def chunks(download: Download) -> AsyncIterator[bytes]:
        async for chunk in download:
            yield chunk

    with pytest.raises(RuleError, match=r"`handler`.*contains `yield`.*an async function"):
        await client.attachments.download_with(file_id, cast("Handler", chunks), site_id="MLM")
    assert not sandbox.requests
    saved = await client.attachments.download_with(
        file_id, lambda download: download.read(), site_id="MLM"
    )
    assert saved
    sandbox.requests.clear()
    plain = cast("Handler", lambda _: 5)
    with pytest.raises(RuleError, match=r"`handler`.*returned 5"):
        await client.attachments.download_with(file_id, plain, site_id="MLM")
    assert len(sandbox.requests) == 1


async def test_a_download_is_entered_once(client: Client, sandbox: Sandbox) -> None:
    block = client.attachments.open(next(iter(sandbox.market.files)), "MLM")
    async with block:
        pass
    with pytest.raises(UsageError, match="call it again"):
        await block.__aenter__()


ORIGINAL = "`filename` of its attachment, not `original_filename`"


async def test_the_original_name_of_a_file_is_no_id(client: Client, sandbox: Sandbox) -> None:
    with pytest.raises(RuleError, match=ORIGINAL):
        await client.attachments.download("Caja dañada.jpg", "x/", site_id="MLM")
    with pytest.raises(RuleError, match=ORIGINAL):
        await client.claims.read(1, "Caja dañada.jpg")
    assert not sandbox.requests
    with pytest.raises(ApiError, match=ORIGINAL):
        await client.attachments.read("taza.jpg", site_id="MLM")
    with pytest.raises(ApiError, match=ORIGINAL):
        await client.claims.attachment(next(iter(sandbox.market.claims)), "taza.jpg")


OBJECTS: list[tuple[str, Callable[[Client], object], str]] = [
    ("a PackRef", lambda c: c.packs.page(cast("int", PackRef(pack_id=1))), "Use its .pack_id"),
    ("a Message", lambda c: c.packs.page(cast("int", MESSAGE)), "Use its .pack_id"),
    ("a Message", lambda c: c.messages.get(cast("int", MESSAGE)), "Use its .id"),
    ("a Claim", lambda c: c.claims.get(cast("int", Claim(id=1))), "Use its .id"),
    (
        "an Attachment",
        lambda c: c.attachments.read(cast("str", FILE), site_id="MLM"),
        "Use its .filename",
    ),
    (
        "a ClaimAttachment",
        lambda c: c.claims.read(1, cast("str", ClaimAttachment(filename="a.png"))),
        "Use its .filename",
    ),
    (
        "an Upload",
        lambda c: c.attachments.read(cast("str", Upload(id="a")), site_id="MLM"),
        "Use its .id",
    ),
    (
        "Attachment",
        lambda c: c.packs.send(1, "x", attachments=cast("list[str]", [FILE])),
        "Upload",
    ),
    ("one str", lambda c: c.packs.send(1, "x", attachments="abc"), "a list of Uploads"),
    ("one str", lambda c: c.packs.send(1, "x", files="abc"), "a list of files"),
    (
        "one str",
        lambda c: c.claims.send(1, "x", receiver_role="mediator", attachments="abc"),
        "a list of ClaimUploads",
    ),
]


@pytest.mark.parametrize(("found", "call", "words"), OBJECTS)
async def test_an_object_in_place_of_an_id_is_refused_with_its_field(
    client: Client, sandbox: Sandbox, found: str, call: Callable[[Client], object], words: str
) -> None:
    with pytest.raises(RuleError, match=f"found {found}.*{words}"):
        await cast("Awaitable[object]", call(client))
    assert not sandbox.requests


async def test_the_text_of_an_id_is_understandable(client: Client) -> None:
    with pytest.raises(RuleError, match="an int of 0 or more, or a str without '/' or spaces"):
        await client.packs.page("a b")
