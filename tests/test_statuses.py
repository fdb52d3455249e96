"""The error and the number of attempts of each kind of call, by status."""

import asyncio
import re
from collections.abc import AsyncIterator
from functools import partialmethod

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import StreamWriter
from aioresponses import CallbackResult, aioresponses
from calls import TOKEN, Call, read_page, send, upload

from mlmsg import (
    ApiError,
    AuthenticationError,
    BadRequest,
    Client,
    DecodeError,
    MlmsgError,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    RetryPolicy,
    Sent,
    ServerError,
)

HOST = "https://api.example"
ATTEMPTS = 3
ANSWER = b'{"id": "1_a.png", "messages": []}'
"""A body that every operation can read."""


class Nowhere(asyncio.Transport):
    """A transport that ignores what is written."""

    def write(self, data: object) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0


def _writer() -> StreamWriter:
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.connection_made(Nowhere())
    return StreamWriter(protocol, loop)


async def _written(_url: object, *, data: object = None, **_rest: object) -> CallbackResult | None:
    """Write an upload's body, as aiohttp does and aioresponses does not."""
    if isinstance(data, aiohttp.payload.Payload):
        await data.write(_writer())
    return None


@pytest.fixture
async def mocked(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[aioresponses]:
    """`aioresponses`, for an aiohttp whose responses want a `stream_writer`."""
    built = partialmethod(aiohttp.ClientResponse.__init__, stream_writer=_writer())
    monkeypatch.setattr(aiohttp.ClientResponse, "__init__", built)
    with aioresponses() as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    retry = RetryPolicy(attempts=ATTEMPTS, base=0)
    async with Client(TOKEN, base_url=HOST, retry=retry) as one:
        yield one


def answering(
    mocked: aioresponses, status: int, body: bytes = ANSWER, headers: dict[str, str] | None = None
) -> None:
    """Answer every request with this response."""
    for method in ("GET", "POST"):
        mocked.add(
            re.compile("."), method, status, body, headers=headers, repeat=True, callback=_written
        )


def requests(mocked: aioresponses) -> int:
    return sum(map(len, mocked.requests.values()))


NAMES: dict[Call, str] = {read_page: "packs.page", send: "packs.send", upload: "attachments.upload"}

ONCE: dict[int, type[ApiError]] = {
    301: ApiError,
    400: BadRequest,
    401: AuthenticationError,
    403: PermissionDenied,
    404: NotFound,
    409: ApiError,
    418: ApiError,
}
"""Errors of every kind of call, after one attempt."""

REPEATED: dict[int, type[ApiError]] = {
    408: ApiError,
    429: RateLimited,
    500: ServerError,
    502: ServerError,
    503: ServerError,
    504: ServerError,
}
"""Retried, if a second attempt can do no harm."""


@pytest.mark.parametrize("call", NAMES, ids=NAMES.values())
@pytest.mark.parametrize("status", [200, 201])
async def test_a_success_takes_one_attempt(
    mocked: aioresponses, client: Client, status: int, call: Call
) -> None:
    answering(mocked, status)
    await call(client)
    assert requests(mocked) == 1


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_a_send_has_the_status_of_its_response(
    mocked: aioresponses, client: Client, status: int
) -> None:
    answering(mocked, status, b"")
    assert await client.packs.send(1, "Hola") == Sent(status_code=status)


@pytest.mark.parametrize("call", [read_page, upload], ids=["packs.page", "attachments.upload"])
async def test_no_content_is_no_page_and_no_upload(
    mocked: aioresponses, client: Client, call: Call
) -> None:
    answering(mocked, 204, b"")
    with pytest.raises(DecodeError):
        await call(client)
    assert requests(mocked) == 1


@pytest.mark.parametrize("call", NAMES, ids=NAMES.values())
@pytest.mark.parametrize(("status", "kind"), ONCE.items(), ids=map(str, ONCE))
async def test_a_refusal_for_good_is_not_repeated(
    mocked: aioresponses, client: Client, status: int, kind: type[ApiError], call: Call
) -> None:
    answering(mocked, status)
    with pytest.raises(ApiError) as caught:
        await call(client)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.attempts) == (status, 1)
    assert requests(mocked) == 1


@pytest.mark.parametrize("call", [read_page, upload], ids=["packs.page", "attachments.upload"])
@pytest.mark.parametrize(("status", "kind"), REPEATED.items(), ids=map(str, REPEATED))
async def test_a_passing_refusal_is_repeated_until_the_attempts_are_used_up(
    mocked: aioresponses, client: Client, status: int, kind: type[ApiError], call: Call
) -> None:
    answering(mocked, status)
    with pytest.raises(ApiError) as caught:
        await call(client)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.attempts) == (status, ATTEMPTS)
    assert requests(mocked) == ATTEMPTS


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_send_that_met_a_5xx_has_an_unknown_outcome_and_is_not_repeated(
    mocked: aioresponses, client: Client, status: int
) -> None:
    answering(mocked, status)
    with pytest.raises(OutcomeUnknown) as caught:
        await client.packs.send(1, "Hola")
    assert requests(mocked) == 1
    assert isinstance(caught.value.__cause__, ServerError)
    assert caught.value.__cause__.status == status
    assert caught.value.request is not None
    assert caught.value.request.operation == "packs.send"


async def test_a_send_that_met_a_408_is_not_repeated(mocked: aioresponses, client: Client) -> None:
    answering(mocked, 408)
    with pytest.raises(MlmsgError):
        await client.packs.send(1, "Hola")
    assert requests(mocked) == 1


async def test_a_send_is_repeated_after_a_429(mocked: aioresponses, client: Client) -> None:
    answering(mocked, 429)
    with pytest.raises(RateLimited) as caught:
        await client.packs.send(1, "Hola")
    assert caught.value.attempts == requests(mocked) == ATTEMPTS


async def test_an_error_holds_everything_the_api_said(mocked: aioresponses, client: Client) -> None:
    body = b'{"message": "No such order", "error": "not_found", "status": 404, "cause": ["a", 1]}'
    answering(mocked, 404, body, {"X-Request-Id": "abc"})
    with pytest.raises(NotFound) as caught:
        await client.packs.page(123)
    error = caught.value
    assert (error.status, error.code, error.message) == (404, "not_found", "No such order")
    assert error.cause == ("a", 1)
    assert error.body == body
    assert error.headers["x-request-id"] == "abc"
    assert error.headers["content-type"] == "application/json"
    assert str(error) == ("404 not_found: No such order [GET /marketplace/messages/packs/123]")


@pytest.mark.parametrize("call", NAMES, ids=NAMES.values())
async def test_an_error_shows_its_request(mocked: aioresponses, client: Client, call: Call) -> None:
    answering(mocked, 400)
    with pytest.raises(BadRequest) as caught:
        await call(client)
    assert caught.value.request is not None
    assert caught.value.request.operation == NAMES[call]


@pytest.mark.parametrize(
    ("body", "code", "message", "cause"),
    [
        pytest.param(b'{"message": "slow"}', None, "slow", (), id="message alone"),
        pytest.param(
            b'{"code": "500", "error": "oops", "message": "m", "cause": null}',
            "oops",
            "m",
            (),
            id="code repeats the status",
        ),
        pytest.param(
            b'{"code": "PA_1", "blocked_by": "x", "message": "m", "status": 500}',
            "PA_1",
            "m",
            (),
            id="PolicyAgent",
        ),
        pytest.param(b'{"message": "m", "cause": "why"}', None, "m", ("why",), id="cause a text"),
        pytest.param(b"<h1>Bad</h1> luck", None, "Bad luck", (), id="HTML"),
    ],
)
async def test_error_bodies_of_every_shape(
    mocked: aioresponses,
    client: Client,
    body: bytes,
    code: str | None,
    message: str,
    cause: tuple[object, ...],
) -> None:
    answering(mocked, 500, body)
    with pytest.raises(ServerError) as caught:
        await client.packs.page(1)
    error = caught.value
    assert (error.code, error.message, error.cause, error.body) == (code, message, cause, body)
    assert str(error).endswith(f"after {ATTEMPTS} attempts")


async def test_an_error_without_a_body_has_the_status_for_its_message(
    mocked: aioresponses, client: Client
) -> None:
    answering(mocked, 418, b"")
    with pytest.raises(ApiError) as caught:
        await client.packs.page(1)
    assert caught.value.message == "418"
