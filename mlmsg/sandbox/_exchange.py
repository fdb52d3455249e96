"""One request on its way through the sandbox: what is recorded of it, its body, its answer."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol

from aiohttp import web

from mlmsg.sandbox._answers import Answer, RefusalError
from mlmsg.sandbox.clock import Clock
from mlmsg.sandbox.grants import Grant
from mlmsg.sandbox.market import Market
from mlmsg.sandbox.rates import RateLimit

SendAnswer = Literal["message", "messages", "array", "object", "empty"]
"""The bodies that have been seen as the answer to a send, none of them documented."""

ClaimSendAnswer = Literal["seed", "plain", "object", "empty"]
"""The bodies of the answer to a claim's send-message; see `Sandbox.claim_send_answer`."""

ClaimUploadKey = Literal["file_name", "filename"]
"""What the answer to a claim's upload calls the file; see `Sandbox.claim_upload_key`."""

_CHUNK = 256 * 1024


class Settings(Protocol):
    """The part of a Sandbox that the handlers see."""

    market: Market
    tokens: frozenset[str]
    expired: frozenset[str]
    grants: list[Grant]
    clock: Clock
    rate: RateLimit | None
    max_limit: int | None
    send_answer: SendAnswer
    send_status: int
    unread_cap: int
    claim_send_answer: ClaimSendAnswer
    claim_upload_key: ClaimUploadKey


@dataclass(slots=True)
class RecordedRequest:
    """A request the sandbox received; there from its arrival, `status` and `body_size` fill in.

    Attributes:
        method: Such as `GET`.
        path: The path, percent-decoded.
        target: Path and query exactly as they were sent.
        query: The query, percent-decoded; of a repeated parameter the last.
        headers: Names are looked up in any case. Not part of the repr: a token may be in there.
        status: What was answered; None as long as, or if, nothing was.
        body_size: How many bytes of its body were read.
    """

    method: str
    path: str
    target: str
    query: dict[str, str]
    headers: Mapping[str, str] = field(repr=False)
    status: int | None = None
    body_size: int = 0


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with the settings to answer it by."""

    request: web.Request
    settings: Settings
    record: RecordedRequest

    async def body(self) -> bytearray:
        """Read the whole body, whatever its size."""
        body = bytearray()
        async for chunk in self.request.content.iter_any():
            body += chunk
            self.record.body_size += len(chunk)
        return body

    async def drain(self) -> None:
        """Read what is left of the body and forget it, so that the connection can be kept."""
        async for chunk in self.request.content.iter_any():
            self.record.body_size += len(chunk)

    async def write(self, answer: Answer, *, cut: bool = False) -> web.StreamResponse:
        """Send the answer in chunks of 256 KiB; `cut` stops halfway and lets it be closed."""
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_length = len(answer.body)
        if answer.early:
            response.force_close()
        self.record.status = answer.status
        end = len(answer.body) // 2 if cut else len(answer.body)
        body = memoryview(answer.body)[:end]
        # A client that has left is no error of ours.
        with suppress(ConnectionError):
            await response.prepare(self.request)
            if cut:
                # Only after the headers are made: they must not announce what is going to happen.
                response.force_close()
            for start in range(0, end, _CHUNK):
                await response.write(body[start : start + _CHUNK])
        return response

    def hang_up(self) -> web.StreamResponse:
        """Close the connection without an answer."""
        if self.request.transport is not None:
            self.request.transport.close()
        # aiohttp wants a response in any case; it finds the connection closed and drops it.
        return web.StreamResponse()


Handler = Callable[[Exchange], Awaitable[Answer]]
"""What answers the requests of one route; refuses by raising RefusalError."""


def given_token(exchange: Exchange) -> str:
    """The token of a request, empty without one.

    That a header without the word Bearer is a token as a whole is the sandbox's own choice.
    """
    header = exchange.request.headers.get("Authorization", "")
    scheme, _, rest = header.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else header


def check_token(exchange: Exchange) -> None:
    """Refuse a missing, an unknown or an expired token, as the API does.

    The text of the 401 is the sandbox's own choice, not documented.
    """
    token = given_token(exchange)
    if not token:
        raise RefusalError(400, "Access token is required")
    if _has_expired(token, exchange.settings):
        raise RefusalError(401, "The access token has expired")
    if token not in exchange.settings.tokens:
        raise RefusalError(400, f"Malformed access_token: {token}")


def _has_expired(token: str, settings: Settings) -> bool:
    now = settings.clock.now()
    ended = any(grant.has_expired(token, now) for grant in settings.grants)
    return ended or token in settings.expired


@dataclass(frozen=True, slots=True)
class Route:
    """A method, an aiohttp path pattern, who answers it, and what the token must pass before.

    One that is not `limited` is outside of any rate limit.
    """

    method: str
    path: str
    handler: Handler
    check: Callable[[Exchange], None] = check_token
    limited: bool = True
