"""Mistakes of a caller that would otherwise come to light late, in Python's own words."""

import asyncio
import os
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from calls import ONCE, TOKEN
from rawserver import answers, each, in_turn, raw_server, sends

from mlmsg import (
    ApiError,
    Client,
    DecodeError,
    RateLimited,
    RetryPolicy,
    RuleError,
    Timeouts,
    TransportError,
    UnsafeRedirect,
)
from mlmsg._wire import Response
from mlmsg.errors import NotificationError
from mlmsg.notifications import parse
from mlmsg.sandbox import Sandbox

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


@pytest.mark.parametrize("body", [None, 5, {}, {"topic": "messages"}, 1.5])
def test_a_notification_that_is_no_body_is_refused_by_its_type(body: object) -> None:
    refused: Callable[[object], object] = parse  # type: ignore[assignment]
    with pytest.raises(NotificationError, match=f"found {type(body).__name__}"):
        refused(body)


async def test_an_async_progress_is_refused_before_anything_is_sent(
    client: Client, sandbox: Sandbox
) -> None:
    async def progress(*_: object) -> None:
        raise AssertionError

    with pytest.raises(RuleError, match="an async function"):
        await client.attachments.upload(b"x", site_id="MLM", filename="a", progress=progress)
    assert not sandbox.requests


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


async def test_a_part_that_nobody_asked_for_is_no_file(tmp_path: Path) -> None:
    script = each(answers(206, b"abc", "Content-Range: bytes 0-2/100"))
    async with raw_server(script) as server, Client(TOKEN, base_url=server.url, retry=ONCE) as one:
        with pytest.raises(TransportError, match="a part of the file"):
            await one.attachments.download("a.bin", tmp_path, site_id="MLM")
    assert not list(tmp_path.iterdir())


async def test_a_redirect_that_is_not_followed_is_not_tried_again(tmp_path: Path) -> None:
    script = each(answers(302, b"", "Location: http://example.invalid/a"))
    retry = RetryPolicy(base=0)
    async with raw_server(script) as server, Client(TOKEN, base_url=server.url, retry=retry) as one:
        with pytest.raises(UnsafeRedirect):
            await one.attachments.download("a.bin", tmp_path, site_id="MLM")
    assert server.requests == 1


async def test_an_answer_without_end_is_an_error_without_a_token() -> None:
    endless = b'{"messages":"' + TOKEN.encode() + b"x" * (17 * 1024 * 1024)
    script = each(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + endless))
    async with raw_server(script) as server, Client(TOKEN, base_url=server.url, retry=ONCE) as one:
        with pytest.raises(DecodeError, match="larger than") as caught:
            await one.packs.page(1)
    assert TOKEN.encode() not in caught.value.body


def test_a_reply_shows_neither_body_nor_headers() -> None:
    assert repr(Response(400, {"X-Echo": TOKEN}, TOKEN.encode())) == "<Response 400, 25 bytes>"


async def test_the_older_path_of_a_claim_costs_no_attempt() -> None:
    old = msgspec.json.encode({"message": "Claims 1.0 are not supported", "status": 401})
    script = in_turn(answers(401, old), answers(500), answers(200, b"[]"))
    retry = RetryPolicy(attempts=2, base=0)
    async with raw_server(script) as server, Client(TOKEN, base_url=server.url, retry=retry) as one:
        assert await one.claims.messages(5) == []


async def test_what_a_server_asks_for_stands_on_the_error(client: Client) -> None:
    script = each(answers(429, b"", "Retry-After: 4000"))
    async with raw_server(script) as server, Client(TOKEN, base_url=server.url) as one:
        with pytest.raises(RateLimited) as caught:
            await one.packs.page(1)
    assert caught.value.retry_after == "4000"
    assert isinstance(caught.value, ApiError)


async def test_a_sloppy_content_type_of_a_download_is_no_obstacle_to_its_copy(
    client: Client, sandbox: Sandbox
) -> None:
    script = each(answers(200, b"\x89PNG", "Content-Type: png"))
    async with (
        raw_server(script) as server,
        Client(TOKEN, base_url=server.url) as other,
        other.attachments.open("a.png", site_id="MLM") as download,
    ):
        upload = await client.attachments.upload(download, site_id="MLM")
    assert sandbox.market.files[upload.id].content_type == "image/png"
