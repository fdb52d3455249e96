"""Redirects and headers of any bytes: an error of ours or a result, and no traceback shows them."""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from calls import ONCE, PAGE, Call, connect, download, read_page, send, upload
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rawserver import Peer, Step, answers, each, raw_server
from tracebacks import shown_by

from mlmsg import Client, Download, MlmsgError, TransportError, UnsafeRedirect

SHOWN = "echoed-by-the-server"
"""In every header of these servers; no error, log line or traceback may show it."""
ECHO = SHOWN.encode()


def redirect(location: bytes) -> Step:
    async def step(peer: Peer) -> None:
        head = b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n"
        await peer.send(head + b"X-Echo: " + ECHO + b"\r\n\r\n")

    return step


async def iterate(client: Client) -> object:
    async with client.attachments.open("a.bin", site_id="MLM") as opened:
        return [chunk async for chunk in opened]


async def save(client: Client) -> object:
    return await client.attachments.download("a.bin", "/nowhere/at/all/", site_id="MLM")


DOWNLOADS = {"read": download, "iterate": iterate, "save": save}
CALLS = {"page": read_page, "send": send, "upload": upload, "download": download}


def assert_not_shown(error: BaseException, log: str) -> None:
    assert SHOWN not in shown_by(error)
    assert SHOWN not in log


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


NAME = b"/" + ECHO
LOCATIONS = {
    "an empty label": b"https://a..b" + NAME,
    "a leading dot": b"https://.a.example" + NAME,
    "only dots": b"https://..." + NAME,
    "a label that is too long": b"https://" + b"a" * 64 + b".example" + NAME,
    "a host that is too long": b"https://" + b"a." * 2000 + b"example" + NAME,
    "an open bracket": b"http://[::1" + NAME,
    "a closed bracket": b"http://::1]" + NAME,
    "an empty bracket": b"https://[]" + NAME,
    "no address": b"https://[zz::1]" + NAME,
    "a zone": b"https://[fe80::1%25eth0]" + NAME,
    "a port that is no number": b"https://a.example:port" + NAME,
    "a port that is too high": b"https://a.example:65536" + NAME,
    "a negative port": b"https://a.example:-1" + NAME,
    "a port of 5,000 digits": b"https://a.example:" + b"9" * 5000 + NAME,
    "a tab": b"https://a\texample" + NAME,
    "a space": b"https://a example" + NAME,
    "a control character": b"https://a\x01.example" + NAME,
    "a deletion": b"https://a\x7f.example" + NAME,
    "a percent-encoded zero": b"https://a%00.example" + NAME,
    "a percent-encoded line end": b"https://a%0d%0a.example" + NAME,
    "a bad percent": b"https://a%zz.example" + NAME,
    "no UTF-8": b"https://a\xff\xfe.example" + NAME,
    "half a character": b"https://a\xc3.example" + NAME,
    "an invisible host": "https://\u200d".encode() + NAME,
    "a host that IDNA forbids": "https://\u2260.example".encode() + NAME,
    "right to left": "https://\u202ea.example".encode() + NAME,
    "another full stop": "https://a\u3002\u3002b".encode() + NAME,
    "a punycode that is none": b"https://xn--\xff.example" + NAME,
    "a bad punycode": b"https://xn--a-ecp.ru--" + NAME,
    "no host": b"https://" + NAME,
    "no host, a port": b"https://:443" + NAME,
    "no scheme": b"://a.example" + NAME,
    "another scheme": b"javascript:" + ECHO,
    "a file": b"file:///" + ECHO,
    "a password": b"https://user:" + ECHO + b"@a.example/",
    "a user": b"https://" + ECHO + b"@a.example/",
    "backslashes": b"https:\\\\" + ECHO,
    "a fragment only": b"#" + ECHO,
    "nothing": b"",
    "another slash": b"///" + ECHO,
    "a plain host": b"http://a.example" + NAME,
}


@pytest.mark.parametrize("call", DOWNLOADS.values(), ids=DOWNLOADS)
@pytest.mark.parametrize("location", LOCATIONS.values(), ids=LOCATIONS)
async def test_a_redirect_to_no_place(
    location: bytes, call: Call, log: pytest.LogCaptureFixture
) -> None:
    script = each(redirect(location))
    async with connect(script, attempts=3) as (client, server):
        with pytest.raises(TransportError) as caught:
            await call(client)
        assert_not_shown(caught.value, log.text)
        if isinstance(caught.value, UnsafeRedirect):  # it was not tried again, or led in a circle
            assert len(server.peers) in {1, 6}


@pytest.mark.parametrize("location", [b"/" + b"a" * 10_000, b"https://" + b"a" * 10_000])
async def test_a_location_of_10000_characters(location: bytes) -> None:
    async with connect(each(redirect(location))) as (client, _):
        with pytest.raises(TransportError):
            await download(client)


@settings(max_examples=300)
@example(b"+://[]@")
@example(b"https://[]@/")
@example(b"!\x01/\x01")
@given(
    st.binary(max_size=60)
    | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.binary(max_size=30).map(lambda host: b"https://" + host)
    | st.text("a.-:[]@%/?#\\0ñ\u3002\u200d", max_size=30).map(
        lambda host: f"https://{host}".encode()
    )
)
def test_a_redirect_to_anywhere(location: bytes) -> None:
    location = location.translate(None, b"\r\n")

    async def scenario() -> None:
        async with (
            asyncio.timeout(10),
            raw_server(each(redirect(location))) as server,
            Client("a-token", base_url=server.url, retry=ONCE) as client,
        ):
            with pytest.raises(MlmsgError):
                await download(client)

    asyncio.run(scenario())


# --- headers -----------------------------------------------------------------------------------


def answer(*headers: bytes, status: int = 200, body: bytes = PAGE) -> Step:
    async def step(peer: Peer) -> None:
        lines = [b"HTTP/1.1 %d Reason" % status, b"Content-Length: %d" % len(body), *headers]
        await peer.send(b"\r\n".join([*lines, b"", b""]) + body)

    return step


VALUES = {
    "no UTF-8": b'attachment; filename="cotizaci\xc3\xb3n a\xc3.pdf"',
    "Latin-1": b'attachment; filename="cotizaci\xf3n.pdf"',
    "all bytes": bytes(set(range(1, 256)) - set(b"\r\n")),
    "an unknown charset": b"attachment; filename*=nonsense''a%ff.pdf",
    "a charset of a codec": b"attachment; filename*=rot13''a.pdf",
    "a charset that makes no text": b"attachment; filename*=hex''6161",
    "a bad percent": b"attachment; filename*=utf-8''%zz%f",
    "continuations": b"attachment; filename*0=a; filename*1=b; filename*5=c",
    "huge continuations": b"attachment; filename*99999999999999999999=a",
    "continuations with gaps": b"attachment; filename*1*=utf-8''a; filename*0=b",
    "one quote": b'attachment; filename="',
    "quotes and backslashes": b'attachment; filename="\\"\\\\\\',
    "an encoded word": b"attachment; filename==?utf-8?B?YQ==?=",
    "a broken encoded word": b"attachment; filename==?utf-8?B?Y?=",
    "an encoded word of nonsense": b"attachment; filename==?nonsense?Q?a?=",
    "thousands of parameters": b"attachment" + b"; a=b" * 1500,
    "thousands of quotes": b'attachment; filename="' + b'\\"' * 3900,
    "empty": b"",
    "semicolons": b";;;;=;=;=",
    "a path": b'attachment; filename="../../etc/passwd"',
    "a slash": b'attachment; filename="/"',
    "a long name": b"attachment; filename=" + b"a" * 8000,
    "a number": b"123456789012345678901234567890",
    "a minus": b"-1",
    "Arabic digits": "٣".encode(),
    "not a date": b"Fri, 99 Foo 99999 99:99:99 GMT",
    "a date far away": b"Fri, 31 Dec 9999 23:59:59 -9999",
    "infinite": b"inf",
    "a not-a-number": b"nan",
    "a huge exponent": b"1e999",
    "many digits": b"9" * 5000,
}
STATUSES = [404, 429, 302]
NAMES = [
    b"Content-Disposition",
    b"Content-Type",
    b"Content-Encoding",
    b"Retry-After",
    b"Date",
    b"X-Request-Id",
    b"Set-Cookie",
    b"Transfer-Encoding",
    b"Connection",
    b"Keep-Alive",
    b"Upgrade",
    b"Trailer",
    b"Content-Length",
    b"Location",
    b"WWW-Authenticate",
]


def answers_and_redirects(*headers: bytes, status: int) -> Step:
    """A script: all requests are answered so; a redirect ends the connection."""

    async def script(peer: Peer) -> None:
        while (await peer.request())[0]:
            await answer(*headers, status=status)(peer)
            if status == 302:
                return

    return script


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.decode())
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
async def test_a_header_of_any_bytes(value: bytes, name: bytes) -> None:
    """A result or an error of ours, whatever it is; and the client works on."""
    line = name + b": " + value
    for headers, status in (([line], 200), ([line, line], 200), *(([line], s) for s in STATUSES)):
        async with connect(answers_and_redirects(*headers, status=status)) as (client, _):
            for call in CALLS.values():
                with suppress(MlmsgError):
                    await call(client)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
async def test_a_download_of_any_name(value: bytes) -> None:
    """Its name is text that can be encoded, and never empty."""
    script = each(answer(b"Content-Disposition: " + value, b"Content-Type: " + value))
    async with connect(script) as (client, _):

        async def handler(opened: Download) -> None:
            assert opened.filename.encode()
            assert opened.content_type.encode() == opened.content_type.encode()
            repr(opened)

        with suppress(MlmsgError):
            await client.attachments.download_with("a.bin", handler, site_id="MLM")


async def test_a_body_is_not_shown_by_the_traceback_of_its_error(
    log: pytest.LogCaptureFixture,
) -> None:
    async def half(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\nX-Echo: " + ECHO)
        await peer.send(b"\r\n\r\n" + ECHO)
        await peer.close()

    for call in (*DOWNLOADS.values(), read_page):
        async with connect(each(half)) as (client, _):
            with pytest.raises(TransportError) as caught:
                await call(client)
            if call is not iterate:  # the caller's own loop variable
                assert_not_shown(caught.value, log.text)


@pytest.mark.parametrize("year", ["0001", "1970", "9999"])
async def test_a_clock_that_cannot_be_true_moves_no_walk(year: str) -> None:
    date = f"Date: Thu, 01 Jan {year} 00:00:00 GMT"
    found = b'{"id": 9, "paging": {"total": 1}, "data": [{"id": 5, "players": []}]}'
    since = datetime(2020, 1, 1, tzinfo=UTC)
    async with connect(each(answers(200, found, date))) as (client, _):
        assert [claim.id async for claim in client.claims.all(since=since)] == [5]
