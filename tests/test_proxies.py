"""Proxies: named by the client or by the environment, with or without a password."""

import asyncio
import base64
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from calls import ONCE, PAGE, TOKEN
from rawserver import Peer, RawServer, answers, each, in_turn, raw_server
from relays import relay, serving
from tls import client_context, server_context
from tracebacks import shown_by

from mlmsg import Client, MlmsgError, RetryPolicy, RuleError, TransportError
from mlmsg._transport import _proxies

PASSWORD = "a-password-inside"
CREDENTIALS = base64.b64encode(f"user:{PASSWORD}".encode())


class Proxy:
    """An HTTP proxy: tunnels for https, requests with an absolute URI for http.

    Attributes:
        url: Its URL, without a password.
        heads: The heads of the requests to the proxy itself.
    """

    def __init__(self, *, wants_password: bool) -> None:
        self.url = ""
        self.heads: list[bytes] = []
        self._wants_password = wants_password

    @property
    def lines(self) -> list[str]:
        """The first lines of the requests."""
        return [head.partition(b"\r\n")[0].decode() for head in self.heads]

    def url_with(self, userinfo: str) -> str:
        return self.url.replace("://", f"://{userinfo}@")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            expected = b"Proxy-Authorization: Basic " + CREDENTIALS
            if self._wants_password and expected not in head:
                writer.write(b"HTTP/1.1 407 Authenticate\r\nContent-Length: 0\r\n\r\n")
            elif head.startswith(b"CONNECT "):
                host, port = head.split()[1].rsplit(b":", 1)
                await self._tunnel(reader, writer, host.decode(), int(port))
            else:
                target = urlsplit(head.split()[1].decode())
                await self._forward(reader, writer, head, target.port or 80)
        writer.close()

    async def _tunnel(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
    ) -> None:
        there_reader, there_writer = await asyncio.open_connection(host, port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await relay(reader, there_writer, there_reader, writer)

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes, port: int
    ) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        there_writer.write(head)
        await relay(reader, there_writer, there_reader, writer)


@asynccontextmanager
async def running_proxy(
    *, wants_password: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Proxy]:
    proxy = Proxy(wants_password=wants_password)
    async with asyncio.timeout(10), serving(proxy.serve, tls) as port:
        proxy.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        yield proxy


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def api() -> AsyncIterator[RawServer]:
    async def script(peer: Peer) -> None:
        while (await peer.request())[0]:
            await peer.answer(200, PAGE)

    async with raw_server(script, tls=server_context()) as server:
        yield server


def client_of(
    api: RawServer, *, proxy: str | None = None, trust_env: bool = False, attempts: int = 1
) -> Client:
    retry = RetryPolicy(attempts=attempts, base=0)
    context = client_context()
    return Client(
        TOKEN, base_url=api.url, proxy=proxy, trust_env=trust_env, ssl=context, retry=retry
    )


# --- a proxy of the client's own ---------------------------------------------------------------


async def test_all_requests_go_through_the_proxy(api: RawServer) -> None:
    async with running_proxy() as proxy, client_of(api, proxy=proxy.url) as client:
        await client.packs.page(1)
        await client.packs.send(1, "Hola")
        assert await client.attachments.read("a.bin", site_id="MLM") == PAGE
        assert proxy.lines == [f"CONNECT 127.0.0.1:{api.port} HTTP/1.1"]  # one connection
    assert TOKEN.encode() not in b"".join(proxy.heads)
    assert api.received[0].count(b"Authorization: Bearer " + TOKEN.encode()) == 3
    assert b"Proxy-Authorization" not in api.received[0]


async def test_a_large_upload_goes_through_the_proxy() -> None:
    script = in_turn(answers(200, b'{"id": "1_a.bin"}'))
    async with (
        raw_server(script, tls=server_context()) as api,
        running_proxy() as proxy,
        client_of(api, proxy=proxy.url) as client,
    ):
        await client.attachments.upload(bytes(5_000_000), site_id="MLM", filename="a.bin")
    assert len(api.received[0]) > 5_000_000


async def test_the_proxy_is_told_its_password(api: RawServer) -> None:
    async with (
        running_proxy(wants_password=True) as proxy,
        client_of(api, proxy=proxy.url_with(f"user:{PASSWORD}")) as client,
    ):
        await client.packs.page(1)
    assert CREDENTIALS not in api.received[0]


async def test_the_proxy_itself_may_speak_tls(api: RawServer) -> None:
    async with running_proxy(tls=server_context()) as proxy:
        async with client_of(api, proxy=proxy.url) as client:
            await client.packs.page(1)
        assert proxy.lines == [f"CONNECT 127.0.0.1:{api.port} HTTP/1.1"]


async def test_a_request_to_this_machine_goes_through_the_proxy_too() -> None:
    async with (
        raw_server(in_turn(answers(200, PAGE))) as api,
        running_proxy(wants_password=True) as proxy,
        client_of(api, proxy=proxy.url_with(f"user:{PASSWORD}")) as client,
    ):
        await client.packs.page(1)
        assert proxy.lines[0].startswith(f"GET {api.url}/")


async def test_a_redirect_of_a_download_goes_through_the_proxy(api: RawServer) -> None:
    script = in_turn(answers(302, b"", f"Location: {api.url}/file"))
    async with (
        raw_server(script, tls=server_context()) as first,
        running_proxy() as proxy,
        client_of(first, proxy=proxy.url) as client,
    ):
        assert await client.attachments.read("a.bin", site_id="MLM") == PAGE
        assert len(proxy.lines) == 2
    assert TOKEN.encode() not in api.received[0]


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
async def test_a_proxy_that_refuses(caplog: pytest.LogCaptureFixture, *, tls: bool) -> None:
    """It was not sent, so also a send is tried again; and nobody is shown the password."""
    caplog.set_level(logging.DEBUG)
    wrong = f"user:{PASSWORD}-that-is-wrong"
    context = server_context() if tls else None
    async with (
        raw_server(each(answers(200, PAGE)), tls=context) as api,
        running_proxy(wants_password=True) as proxy,
        client_of(api, proxy=proxy.url_with(wrong), attempts=2) as client,
    ):
        with pytest.raises(MlmsgError, match="407") as caught:
            await client.packs.send(1, "Hola")
        assert len(proxy.lines) == (2 if tls else 1)
        if tls:
            assert isinstance(caught.value, TransportError)
            assert not caught.value.sent
    assert not api.peers
    shown = [shown_by(caught.value), repr(client), caplog.text]
    assert not [text for text in shown if PASSWORD in text or TOKEN in text]


async def test_a_proxy_that_is_not_there(api: RawServer) -> None:
    async with running_proxy() as proxy:
        url = proxy.url_with(f"user:{PASSWORD}")
    async with client_of(api, proxy=url) as client:
        with pytest.raises(TransportError, match="no connection to the proxy") as caught:
            await client.packs.page(1)
    assert not caught.value.sent
    assert PASSWORD not in str(caught.value)
    assert not api.peers


# --- what is no proxy --------------------------------------------------------------------------

WRONG = [
    "",
    "proxy.example:3128",
    f"user:{PASSWORD}@proxy.example:3128",
    f"socks5://user:{PASSWORD}@proxy.example:1080",
    f"ftp://user:{PASSWORD}@proxy.example",
    f"http://user:{PASSWORD}@",
    f"http://user:{PASSWORD}",
    f"http://user:{PASSWORD}@proxy.example:0",
    f"http://user:{PASSWORD}@proxy.example:99999",
    f"http://user:{PASSWORD}@[::1",
    f"http://user:{PASSWORD}@proxy.example/path",
    f"http://user:{PASSWORD}@proxy.example?query",
    f"http://user:{PASSWORD}#@proxy.example",
    f"http://user:{PASSWORD} @proxy.example",
    f"http://user:{PASSWORD}\r\n@proxy.example",
    f"//user:{PASSWORD}@proxy.example",
    b"http://proxy.example",
    3128,
    True,
    ("user", PASSWORD),
]


@pytest.mark.parametrize("proxy", WRONG, ids=repr)
def test_what_is_no_proxy_is_rejected(proxy: str) -> None:
    with pytest.raises(RuleError, match="`proxy`") as caught:
        Client(TOKEN, proxy=proxy)
    shown = shown_by(caught.value) if isinstance(proxy, str) else str(caught.value)
    assert PASSWORD not in shown


@pytest.mark.parametrize(
    "proxy",
    [
        "http://127.0.0.1:3128",
        "HTTPS://proxy.example",
        "http://user@proxy.example:1/",
        "http://user:p%40ss@[::1]:3128",
    ],
)
def test_what_is_a_proxy_is_accepted(proxy: str) -> None:
    Client(TOKEN, proxy=proxy)


@pytest.mark.parametrize("value", [None, 1, "yes"])
def test_trust_env_is_true_or_false(value: bool) -> None:
    with pytest.raises(RuleError, match="`trust_env`"):
        Client(TOKEN, trust_env=value)


@pytest.mark.parametrize("value", [True, False, "ca.pem", Path("ca.pem"), ssl, ssl.SSLContext])
def test_ssl_is_a_context(value: ssl.SSLContext) -> None:
    with pytest.raises(RuleError, match=r"`ssl`.*SSLContext"):
        Client(TOKEN, ssl=value)


# --- the environment ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "is_used"),
    [
        ({"HTTPS_PROXY": "{url}"}, True),
        ({"https_proxy": "{url}"}, True),
        ({"HTTPS_PROXY": "{host}"}, True),
        ({"ALL_PROXY": "{url}"}, True),
        ({"HTTPS_PROXY": "{url}", "ALL_PROXY": "socks5://127.0.0.1:1"}, True),
        ({"HTTPS_PROXY": "{url}", "NO_PROXY": "mercadolibre.com,localhost"}, True),
        ({"HTTPS_PROXY": "{url}", "NO_PROXY": "127.0.0.2"}, True),
        ({"HTTP_PROXY": "{url}"}, False),
        ({"HTTPS_PROXY": ""}, False),
        ({}, False),
        ({"HTTPS_PROXY": "{url}", "NO_PROXY": "127.0.0.1"}, False),
        ({"HTTPS_PROXY": "{url}", "no_proxy": "a.example, 127.0.0.1"}, False),
        ({"HTTPS_PROXY": "{url}", "NO_PROXY": "127.0.0.1:{port}"}, False),
        ({"HTTPS_PROXY": "{url}", "NO_PROXY": "*"}, False),
    ],
)
async def test_the_proxy_of_the_environment(
    api: RawServer,
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_used: bool,
) -> None:
    async with running_proxy() as proxy:
        words = {"url": proxy.url, "host": proxy.url.removeprefix("http://"), "port": api.port}
        for name, value in variables.items():
            monkeypatch.setenv(name, value.format_map(words))
        for trust_env in (True, False):
            async with client_of(api, trust_env=trust_env) as client:
                await client.packs.page(1)
            assert len(proxy.lines) == is_used


async def test_a_proxy_of_the_clients_own_comes_before_the_environment(
    api: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "*")
    async with running_proxy() as proxy:
        async with client_of(api, proxy=proxy.url, trust_env=True) as client:
            await client.packs.page(1)
        assert len(proxy.lines) == 1


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY"])
async def test_a_proxy_of_the_environment_that_cannot_be_used_is_an_error(
    api: RawServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A direct connection might be what the user wants to avoid."""
    monkeypatch.setenv(name, f"socks5://user:{PASSWORD}@127.0.0.1:1080")
    async with client_of(api, trust_env=True) as client:
        with pytest.raises(RuleError, match=r"environment.*socks5://…") as caught:
            await client.packs.page(1)
    assert PASSWORD not in str(caught.value)
    assert not api.peers


async def test_the_environment_is_read_once_for_each_origin(
    api: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0

    def counted() -> dict[str, str]:
        nonlocal reads
        reads += 1
        return {}

    monkeypatch.setattr(_proxies, "getproxies", counted)
    async with client_of(api, trust_env=True) as client:
        for _ in range(5):
            await client.packs.page(1)
    assert reads == 1


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login user password not-the-token\n")
    monkeypatch.setenv("NETRC", str(file))


@pytest.mark.usefixtures("netrc")
async def test_netrc_never_replaces_the_token(api: RawServer) -> None:
    async with client_of(api, trust_env=True) as client:
        await client.packs.page(1)
        await client.packs.send(1, "Hola")
    assert api.received[0].count(b"Authorization: Bearer " + TOKEN.encode()) == 2
    assert b"Basic" not in api.received[0]


async def test_the_options_of_a_client_show_no_password() -> None:
    client = Client(TOKEN, proxy=f"http://user:{PASSWORD}@proxy.example", retry=ONCE)
    options = client._session._options
    assert PASSWORD not in repr(options) + repr(client) + repr(vars(client))
