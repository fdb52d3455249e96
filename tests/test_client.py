"""The client: the happy paths, misuse that says so, and tokens that stay inside."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from calls import PACK_ID, PAGE, TOKEN, Call, download
from rawserver import Peer, answers, in_turn, raw_server

from mlmsg import (
    Client,
    RetryPolicy,
    RuleError,
    TransportError,
    UsageError,
)
from mlmsg.auth import TokenLike
from mlmsg.sandbox import Sandbox, SendAnswer

ById = Callable[[Client, int | str], Awaitable[object]]

# --- every call, to the sandbox ------------------------------------------------------------


async def test_a_page_of_a_thread(client: Client, sandbox: Sandbox) -> None:
    page = await client.packs.page(PACK_ID, limit=3, offset=2)
    served = sandbox.market.packs[str(PACK_ID)]
    assert [one.id for one in page.messages] == [one.id for one in served.messages[2:5]]
    assert page.paging is not None
    assert (page.paging.limit, page.paging.offset, page.paging.total) == (3, 2, 14)
    assert page.conversation_status is not None
    assert page.conversation_status.status == "active"
    assert sandbox.requests[0].query == {"limit": "3", "offset": "2"}


async def test_a_page_has_fifty_messages_from_the_first_by_default(
    client: Client, sandbox: Sandbox
) -> None:
    assert len((await client.packs.page(PACK_ID)).messages) == 14
    assert sandbox.requests[0].query == {"limit": "50", "offset": "0"}


async def test_one_message(client: Client, sandbox: Sandbox) -> None:
    expected = sandbox.market.packs[str(PACK_ID)].messages[3]
    message = await client.messages.get(expected.id)
    assert (message.id, message.text) == (expected.id, expected.text)


async def test_a_request_names_its_sender_and_carries_the_token_once(
    client: Client, sandbox: Sandbox
) -> None:
    await client.packs.page(PACK_ID)
    headers = sandbox.requests[0].headers
    assert headers["Authorization"] == f"Bearer {sandbox.token}"
    assert headers["User-Agent"].startswith("mlmsg/")
    assert "Cookie" not in headers
    assert sandbox.token not in sandbox.requests[0].target


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("message", True),
        ("messages", True),
        ("array", True),
        ("object", False),
        ("empty", False),
    ],
)
async def test_a_send_is_delivered_once_whatever_the_api_answers(
    client: Client, sandbox: Sandbox, kind: SendAnswer, status: int, *, named: bool
) -> None:
    sandbox.send_answer, sandbox.send_status = kind, status
    sent = await client.packs.send(PACK_ID, "¡Hola!", text_translated="Hi")
    newest = sandbox.market.packs[str(PACK_ID)].messages[0]
    assert (newest.text, newest.text_translated) == ("¡Hola!", "Hi")
    assert sent.status_code == status
    assert sent.id == (newest.id if named else None)
    assert len(sandbox.requests) == 1


async def test_a_send_carries_what_was_uploaded_before_and_now_in_order(
    client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "two.txt"
    path.write_bytes(b"second")
    first = await client.attachments.upload(b"first", site_id="MLM", filename="one.txt")
    again = await client.attachments.upload(b"again", site_id="MLM", filename="1.txt")
    await client.packs.send(
        PACK_ID, "Hola", attachments=[first, again.id], files=[path, b"third"], site_id="MLM"
    )
    listed = sandbox.market.packs[str(PACK_ID)].messages[0].message_attachments or []
    stored = [sandbox.market.files[one.filename].data for one in listed]
    assert stored == [b"first", b"again", b"second", b"third"]


async def test_an_upload_comes_down_as_it_went_up(client: Client, tmp_path: Path) -> None:
    upload = await client.attachments.upload(b"data", site_id="MLM", filename="año nuevo.txt")
    async with client.attachments.open(upload.id, site_id="MLM") as download:
        assert await download.read() == b"data"
    saved = await client.attachments.download(upload.id, tmp_path, site_id="MLM")
    assert saved.path.read_bytes() == b"data"


BY_ID: dict[str, ById] = {
    "packs.page": lambda client, one: client.packs.page(one),
    "packs.send": lambda client, one: client.packs.send(one, "Hola"),
    "messages.get": lambda client, one: client.messages.get(one),
    "attachments.open": download,
    "attachments.download": lambda client, one: client.attachments.download(
        one, "/dev/null/never", site_id="MLM"
    ),
}


@pytest.mark.parametrize("name", [name for name in BY_ID if name != "attachments.download"])
@pytest.mark.parametrize("one", [123, "123", 0, 2**80], ids=repr)
async def test_an_id_is_an_int_or_a_str(
    client: Client, sandbox: Sandbox, one: int | str, name: str
) -> None:
    sandbox.market.add_pack(one)
    sandbox.market.add_message(one, "Hola", message_id=str(one))
    sandbox.market.add_file(b"data", "a.bin", file_id=str(one))
    await BY_ID[name](client, one)
    assert sandbox.requests[0].path.endswith(f"/{one}")


@pytest.mark.parametrize("one", [123, "123"], ids=repr)
async def test_an_id_to_download_is_an_int_or_a_str(
    client: Client, sandbox: Sandbox, tmp_path: Path, one: int | str
) -> None:
    sandbox.market.add_file(b"data", "a.bin", file_id="123")
    saved = await client.attachments.download(one, tmp_path / "x", site_id="MLM")
    assert saved.path.read_bytes() == b"data"


@pytest.mark.parametrize("one", ["ñ.png", "50%.png", "a?b=c", "a#b", "a&b"])
async def test_an_id_stays_one_segment_of_the_path(
    client: Client, sandbox: Sandbox, one: str
) -> None:
    sandbox.market.add_file(b"data", "a.bin", file_id=one)
    assert await download(client, one) == b"data"


async def silent(peer: Peer) -> None:
    await peer.rest()


# --- what is refused before anything is sent -----------------------------------------------


@pytest.mark.parametrize("name", BY_ID)
@pytest.mark.parametrize("one", ["", ".", "..", "1/2", "1\\2", "1 2", "1\n", -1, True], ids=repr)
async def test_what_is_no_id_is_refused(
    client: Client, sandbox: Sandbox, one: int | str, name: str
) -> None:
    with pytest.raises(RuleError):
        await BY_ID[name](client, one)
    assert sandbox.requests == []


@pytest.mark.parametrize(
    ("limit", "offset"),
    [(0, 0), (-1, 0), (True, 0), (1, -1), (1, False)],
    ids=["limit 0", "limit -1", "limit True", "offset -1", "offset False"],
)
async def test_what_is_no_page_is_refused(
    client: Client, sandbox: Sandbox, limit: int, offset: int
) -> None:
    with pytest.raises(RuleError):
        await client.packs.page(PACK_ID, limit=limit, offset=offset)
    assert sandbox.requests == []


async def entered(client: Client, site: str) -> None:
    async with client.attachments.open("1", site_id=site):
        pass


WITH_SITE: dict[str, Callable[[Client, str], Awaitable[object]]] = {
    "upload": lambda client, site: client.attachments.upload(b"data", site_id=site, filename="a"),
    "open": entered,
    "download": lambda client, site: client.attachments.download(
        "1", "/dev/null/never", site_id=site
    ),
    "send with files": lambda client, site: client.packs.send(1, "x", files=[b"a"], site_id=site),
}


@pytest.mark.parametrize("name", WITH_SITE)
@pytest.mark.parametrize("site", ["CBT", "cbt", "", "M LM", "MLM&x=y", None], ids=repr)
async def test_what_is_no_site_for_files_is_refused(
    client: Client, sandbox: Sandbox, site: str, name: str
) -> None:
    with pytest.raises(RuleError, match="site_id"):
        await WITH_SITE[name](client, site)
    assert sandbox.requests == []


REFUSED: dict[str, Call] = {
    "an empty text": lambda client: client.packs.send(PACK_ID, ""),
    "an empty translation": lambda client: client.packs.send(PACK_ID, "x", text_translated=""),
    "a lone surrogate": lambda client: client.packs.send(PACK_ID, "\ud800"),
    "26 attachments": lambda client: client.packs.send(PACK_ID, "x", attachments=["1_a.png"] * 26),
    "a text for attachments": lambda client: client.packs.send(PACK_ID, "x", attachments="1_a.png"),
    "a path for files": lambda client: client.packs.send(
        PACK_ID, "x", files="a.png", site_id="MLM"
    ),
    "files without a site": lambda client: client.packs.send(PACK_ID, "x", files=[b"data"]),
    "an empty file among files": lambda client: client.packs.send(
        PACK_ID, "x", files=[b"data", b""], site_id="MLM"
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_send_that_breaks_a_rule_sends_nothing(
    client: Client, sandbox: Sandbox, name: str
) -> None:
    with pytest.raises(RuleError):
        await REFUSED[name](client)
    assert sandbox.requests == []


# --- misuse --------------------------------------------------------------------------------


def test_a_plain_with_explains_itself() -> None:
    with pytest.raises(UsageError, match="async with"), Client(TOKEN):
        pass


@pytest.mark.parametrize("name", BY_ID)
@pytest.mark.parametrize("used", [True, False], ids=["used", "never used"])
async def test_a_closed_client_says_so(sandbox: Sandbox, name: str, *, used: bool) -> None:
    async with Client(sandbox.token, base_url=sandbox.url) as client:
        if used:
            await client.packs.page(PACK_ID)
    with pytest.raises(UsageError, match="closed"):
        await BY_ID[name](client, 1)


async def test_closing_twice_does_no_harm(client: Client) -> None:
    await client.packs.page(PACK_ID)
    await client.aclose()
    await client.aclose()


async def test_a_client_in_another_loop_says_so(client: Client) -> None:
    await client.packs.page(PACK_ID)

    async def elsewhere() -> None:
        await client.packs.page(PACK_ID)

    with pytest.raises(UsageError, match="loop"):
        await asyncio.to_thread(asyncio.run, elsewhere())
    await client.packs.page(PACK_ID)


async def test_calls_under_way_when_the_client_closes_end_with_an_error_of_ours() -> None:
    arrived = asyncio.Event()

    async def held(peer: Peer) -> None:
        arrived.set()
        await silent(peer)

    async with raw_server(held) as server, asyncio.timeout(5):
        client = Client(TOKEN, base_url=server.url, max_connections=1, retry=RetryPolicy(base=0))
        calls = [asyncio.create_task(client.packs.page(n)) for n in range(2)]
        await arrived.wait()
        await client.aclose()
        ended = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(one, UsageError | TransportError) for one in ended] == [True, True], ended


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example",
        "http://api.example",
        "ftp://api.example",
        "https://user:secret@api.example",
        "https://api.example?a=b",
        "https://api.example#a",
        "https://api.example:port",
        "https://",
        None,
    ],
    ids=repr,
)
def test_what_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(RuleError, match="base_url") as caught:
        Client(TOKEN, base_url=url)
    assert "secret" not in str(caught.value)


async def test_a_slash_at_the_end_of_the_base_url_does_no_harm(sandbox: Sandbox) -> None:
    async with Client(sandbox.token, base_url=f"{sandbox.url}/") as client:
        await client.packs.page(PACK_ID)


@pytest.mark.parametrize("count", [0, -1])
def test_a_client_needs_a_connection(count: int) -> None:
    with pytest.raises(RuleError, match="max_connections"):
        Client(TOKEN, max_connections=count)


def test_no_repr_holds_the_token() -> None:
    client = Client(TOKEN)
    for one in (client, client.packs, client.messages, client.attachments):
        assert TOKEN not in repr(one)
        assert TOKEN not in str(one)


# --- tokens --------------------------------------------------------------------------------


class Rotating:
    """A token source: another token each time."""

    def __init__(self, *tokens: str) -> None:
        self._left = list(tokens)

    async def token(self) -> str:
        return self._left.pop(0)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        pytest.param(lambda: "t-one", [b"t-one", b"t-one"], id="a text"),
        pytest.param(lambda: Rotating("t-1", "t-2").token, [b"t-1", b"t-2"], id="a function"),
        pytest.param(lambda: Rotating("t-1", "t-2"), [b"t-1", b"t-2"], id="a source"),
    ],
)
async def test_each_attempt_requests_the_token_again(
    make: Callable[[], TokenLike], expected: list[bytes]
) -> None:
    script = in_turn(answers(503), answers(200, PAGE))
    async with (
        raw_server(script) as server,
        Client(make(), base_url=server.url, retry=RetryPolicy(base=0)) as client,
    ):
        await client.packs.page(1)
    sent = [line for line in server.received[0].split(b"\r\n") if line.startswith(b"Auth")]
    assert sent == [b"Authorization: Bearer " + token for token in expected]


BAD = {
    "empty": "",
    "with Bearer": "Bearer secret-part",
    "a space": "secret part",
    "a line break": "secret-part\r\nX-Evil: 1",
    "a line feed at the end": "secret-part\n",
    "no ASCII": "secret-pärt",
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_token_is_refused_at_once_and_not_repeated(bad: str) -> None:
    with pytest.raises(RuleError) as caught:
        Client(bad)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("kind", ["function", "source"])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
async def test_a_bad_token_that_comes_later_is_refused_before_anything_is_sent(
    bad: str, kind: str
) -> None:
    source = Rotating(bad)
    token: TokenLike = source if kind == "source" else source.token
    once = RetryPolicy(attempts=1)
    async with (
        raw_server(silent) as server,
        Client(token, base_url=server.url, retry=once, timeout=0.2) as client,
    ):
        with pytest.raises(RuleError) as caught:
            await client.packs.page(1)
    assert not server.peers
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("bad", [None, 7, b"bytes", ["list"]], ids=repr)
def test_what_is_no_token_is_refused(bad: object) -> None:
    make: Callable[..., Client] = Client
    with pytest.raises(RuleError, match="access token"):
        make(bad)
