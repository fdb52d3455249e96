"""The token stays with the API: redirects of downloads, and servers that repeat the token."""

import logging
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from calls import TOKEN, Call, connect, download, read_page, send, upload
from rawserver import Peer, Step, answers, each, in_turn, raw_server, sends

import mlmsg
from mlmsg import (
    ApiError,
    Client,
    MlmsgError,
    NotFound,
    RetryPolicy,
    TransportError,
    UnsafeRedirect,
)
from mlmsg.auth import TokenLike

FILE = b"the bytes of the file"
AUTHORIZATION = f"\r\nAuthorization: Bearer {TOKEN}\r\n".encode()


def redirects(location: str, status: int = 302) -> Step:
    return answers(status, b"", f"Location: {location}")


REDIRECTS = [301, 302, 303, 307, 308]

# --- where a download may be sent to -------------------------------------------------------


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("location", ["/elsewhere?a=1", "elsewhere", "?other"])
async def test_a_download_follows_within_the_api_and_keeps_the_token(
    status: int, location: str
) -> None:
    script = in_turn(redirects(location, status), answers(200, FILE))
    async with connect(script) as (client, server):
        assert await download(client) == FILE
    received = b"".join(server.received)
    assert received.count(AUTHORIZATION) == server.requests == 2
    assert location.encode() in received


@pytest.mark.parametrize("status", REDIRECTS)
async def test_a_download_follows_to_another_origin_without_the_token(status: int) -> None:
    async with raw_server(in_turn(answers(200, FILE))) as other:
        script = in_turn(redirects(f"{other.url}/signed?key=a%20b", status))
        async with connect(script) as (client, server):
            assert await download(client) == FILE
    assert b"".join(server.received).count(AUTHORIZATION) == 1
    assert other.received[0].startswith(b"GET /signed?key=a%20b HTTP/1.1\r\n")
    assert b"authorization" not in other.received[0].lower()
    assert TOKEN.encode() not in other.received[0]
    assert b"Accept-Encoding: identity" in other.received[0]


async def test_a_signed_url_is_requested_as_it_is_written() -> None:
    target = "/signed%2Ffile?key=a%2Fb%3D%2B&name=%C3%B1%7E"
    async with connect(in_turn(redirects(target), answers(200, FILE))) as (client, server):
        await download(client)
    assert f"GET {target} HTTP/1.1".encode() in server.received[0]


@pytest.mark.parametrize("folder", ["a%20b", "a%2Fb", "%01", "%C3%B1%7E", "a\x01b", "ñ"])
async def test_a_redirect_from_a_quoted_folder_keeps_it(folder: str) -> None:
    script = in_turn(redirects(f"/{folder}/first"), redirects("last?b=1"), answers(200, FILE))
    async with connect(script) as (client, server):
        assert await download(client) == FILE
    _, first, last = re.findall(rb"^GET (.*) HTTP/1.1\r$", b"".join(server.received), re.MULTILINE)
    assert last == first.replace(b"first", b"last?b=1")


async def test_the_token_does_not_leave_by_way_of_another_origin() -> None:
    """A redirect to a second server leads to a third one; only the API gets the token."""

    async def on(peer: Peer) -> None:
        await redirects(third.url)(peer)

    async with (
        raw_server(in_turn(answers(200, FILE))) as third,
        raw_server(in_turn(on)) as other,
        connect(in_turn(redirects(other.url))) as (client, _server),
    ):
        assert await download(client) == FILE
    assert TOKEN.encode() not in b"".join(other.received + third.received)


async def test_the_token_does_not_come_back_from_another_origin() -> None:
    """The other origin has chosen the address: the API must not act on it for the seller."""

    async def back(peer: Peer) -> None:
        await redirects(f"{server.url}/back")(peer)

    async with raw_server(in_turn(back)) as other:
        script = in_turn(redirects(other.url), answers(200, FILE))
        async with connect(script) as (client, server):
            assert await download(client) == FILE
    received = b"".join(server.received)
    assert received.count(AUTHORIZATION) == 1
    assert received.index(AUTHORIZATION) < received.index(b"GET /back HTTP/1.1")


async def test_a_cookie_is_not_kept() -> None:
    first = answers(302, b"", "Location: /next", "Set-Cookie: id=1; Path=/")
    async with connect(in_turn(first, answers(200, FILE))) as (client, server):
        await download(client)
    assert b"cookie" not in b"".join(server.received).lower()


async def test_what_answers_at_the_end_of_a_redirect_is_what_counts() -> None:
    script = in_turn(redirects("/next"), answers(404, b'{"message": "gone"}'))
    async with connect(script) as (client, _server):
        with pytest.raises(NotFound, match="gone"):
            await download(client)


# --- where it may not ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/hostname",
        "ftp://127.0.0.1/a",
        "data:text/plain,a",
        "http://api.example/a",
        "//api.example/a",
        "http://user@127.0.0.1:1/a",
        "http://user:password@127.0.0.1:1/a",
        "http://:password@127.0.0.1:1/a",
        "http://127.0.0.1:99999/a",
        "http://[::1/a",
        "https:",
    ],
    ids=repr,
)
async def test_a_redirect_to_a_place_that_is_not_safe_is_an_error(location: str) -> None:
    async with connect(in_turn(redirects(location))) as (client, server):
        with pytest.raises(TransportError, match="redirect"):
            await download(client)
    assert server.requests == 1


async def test_a_redirect_to_userinfo_of_the_apis_own_origin_is_an_error() -> None:
    async def step(peer: Peer) -> None:
        await redirects(server.url.replace("//", "//:password@"))(peer)

    async with connect(in_turn(step)) as (client, server):
        with pytest.raises(TransportError, match="redirect"):
            await download(client)


@pytest.mark.parametrize("status", REDIRECTS)
async def test_a_redirect_without_a_location_is_an_error(status: int) -> None:
    async with connect(in_turn(answers(status))) as (client, server):
        with pytest.raises(TransportError, match="redirect"):
            await download(client)
    assert server.requests == 1


async def test_a_loop_is_an_error() -> None:
    async with connect(in_turn(*[redirects("/again")] * 6)) as (client, server):
        with pytest.raises(TransportError, match="redirects"):
            await download(client)
    assert server.requests == 6


async def test_five_redirects_are_followed_and_the_slot_comes_back_after_more() -> None:
    script = in_turn(*[redirects("/again")] * 11, answers(200, FILE))
    async with connect(script) as (client, server):
        with pytest.raises(TransportError):
            await download(client)
        assert await download(client) == FILE
    assert server.requests == 12


@pytest.mark.parametrize("status", [*REDIRECTS, 300, 304])
@pytest.mark.parametrize("call", [read_page, send, upload], ids=["read", "send", "upload"])
async def test_nothing_but_a_download_follows(status: int, call: Call) -> None:
    async with connect(in_turn(redirects("/elsewhere", status))) as (client, server):
        with pytest.raises(ApiError) as caught:
            await call(client)
    assert caught.value.status == status
    assert caught.value.headers["location"] == "/elsewhere"
    assert server.requests == 1


# --- servers that repeat the token ---------------------------------------------------------


def visible_texts(error: BaseException) -> Iterator[str]:
    """Yield everything that an error and its causes show."""
    yield from traceback.format_exception(error)
    seen: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is None or one in seen:
            continue
        seen.append(one)
        yield from (str(one), repr(one), repr(one.args), repr(vars(one)))
        left += [one.__cause__, one.__context__]


class Source:
    async def token(self) -> str:
        return TOKEN


@pytest.mark.parametrize(
    "token", [TOKEN, Source().token, Source()], ids=["a text", "a function", "a source"]
)
@pytest.mark.parametrize("call", [read_page, send, upload, download])
async def test_no_frame_of_ours_shows_the_token(call: Call, token: TokenLike) -> None:
    """A reporter may show a traceback with its locals."""
    once = RetryPolicy(attempts=1)
    async with (
        raw_server(each(answers(500))) as server,
        Client(token, base_url=server.url, retry=once) as client,
    ):
        with pytest.raises(MlmsgError) as caught:
            await call(client)
    whole = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    folder = str(Path(mlmsg.__file__).parent)
    ours = [frame for frame in whole.stack if frame.filename.startswith(folder)]
    assert ours
    assert [frame for frame in ours if TOKEN in repr(frame.locals)] == []


ECHO = TOKEN.encode()
ECHOED = {
    "an error's body and headers": answers(
        400, b'{"message": "Malformed access_token: ' + ECHO + b'"}', f"X-Echo: {TOKEN}"
    ),
    "an error's plain text": answers(500, b"<h1>Bearer " + ECHO + b"</h1>"),
    "a success that is no JSON": answers(200, b"token " + ECHO, f"X-Echo: {TOKEN}"),
    "a success of another shape": answers(200, b'{"messages": "' + ECHO + b'"}'),
    "a success that is not UTF-8": answers(200, b'{"messages": [{"id": "\xff' + ECHO + b'"}]}'),
    "the status line": sends(ECHO + b" 200 OK\r\n\r\n"),
    "the reason": sends(b"HTTP/1.1 403 " + ECHO + b"\r\nContent-Length: 0\r\n\r\n"),
    "a header's broken name": sends(b"HTTP/1.1 200 OK\r\n" + ECHO + b" : x\r\n\r\n"),
    "headers that are cut": sends(b"HTTP/1.1 200 OK\r\nX-Echo: " + ECHO + b"\r\nX-More: "),
    "the size of a chunk": sends(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + ECHO + b"\r\n"
    ),
    "a redirect": answers(302, b"", f"Location: http://{TOKEN}@127.0.0.1:1/{TOKEN}"),
}


@pytest.mark.parametrize("call", [read_page, send, download], ids=["read", "send", "download"])
@pytest.mark.parametrize("step", ECHOED.values(), ids=ECHOED)
async def test_no_error_and_no_log_line_holds_the_token(
    step: Step, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    async with connect(each(step)) as (client, _server):
        try:
            await call(client)
        except MlmsgError as error:
            shown += visible_texts(error)
    assert [text for text in (*shown, caplog.text) if TOKEN in text] == []


async def test_a_redirect_that_is_not_followed_is_not_retried(tmp_path: Path) -> None:
    script = each(answers(302, b"", "Location: http://example.invalid/a"))
    retry = RetryPolicy(base=0)
    async with raw_server(script) as server, Client(TOKEN, base_url=server.url, retry=retry) as one:
        with pytest.raises(UnsafeRedirect):
            await one.attachments.download("a.bin", tmp_path, site_id="MLM")
    assert server.requests == 1
