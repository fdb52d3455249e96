"""One request and its response: the record, the body, the settings, and the route."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

from aiohttp import web
from aiohttp.http import HttpProcessingError

from mlmsg.sandbox._http.responses import ErrorResponse, Response
from mlmsg.sandbox.clock import Clock
from mlmsg.sandbox.grants import Grant
from mlmsg.sandbox.market import Market
from mlmsg.sandbox.rates import RateLimit
from mlmsg.sandbox.records import Records

SendAnswer = Literal["message", "messages", "array", "object", "empty"]
"""The bodies that integrators saw in response to a send; none of them is documented."""

ClaimSendAnswer = Literal["seed", "plain", "object", "empty"]
"""The bodies of the response to send-message; see `Sandbox.claim_send_answer`."""

ClaimUploadKey = Literal["file_name", "filename"]
"""The key of the file name in the response to a claim upload; see `Sandbox.claim_upload_key`."""

ThreadSpelling = Literal["legacy", "current"]
"""The spellings of the seller thread; see `Sandbox.thread_spelling`."""

MessageSpelling = Literal["current", "flat"]
"""The spellings of a single message; see `Sandbox.message_spelling`."""

BlockedAnswer = Literal["documented", "substatus"]
"""The texts of the 403 to a send on a blocked thread; see `Sandbox.blocked_answer`."""

Language = Literal["en", "pt"]
"""The languages of the errors of the action guide; see `Sandbox.language`."""

RangeBounds = Literal["exclusive", "inclusive"]
"""The bounds of a range of the search of claims; see `Sandbox.range_bounds`."""

EmptyThread = Literal["page", "not_found"]
"""The responses to a GET of a thread without messages; see `Sandbox.empty_thread`."""

V = TypeVar("V")

_CHUNK_BYTES = 256 * 1024

# The statuses whose responses never contain a body (RFC 9110).
_BODILESS_STATUSES = frozenset({204, 304})

# A read raises the first while it waits, and the second afterwards (aiohttp 3.14, Python parser).
_MALFORMED_BODY = (HttpProcessingError, web.RequestPayloadError)


class Settings(Protocol):
    """The attributes of a Sandbox that the handlers read."""

    market: Market
    grants: list[Grant]
    clock: Clock
    rate: RateLimit | None
    order_rate: RateLimit | None
    max_limit: int | None
    send_answer: SendAnswer
    send_status: int
    unread_cap: int
    claim_send_answer: ClaimSendAnswer
    claim_upload_key: ClaimUploadKey
    thread_spelling: ThreadSpelling
    message_spelling: MessageSpelling
    blocked_answer: BlockedAnswer
    send_rejection: str | None
    language: Language
    range_bounds: RangeBounds
    empty_thread: EmptyThread
    missing_content: str | None
    names_pack: bool
    has_permission: bool
    is_model_6: bool

    @property
    def tokens(self) -> set[str]:
        """All accepted tokens."""

    @property
    def expired(self) -> set[str]:
        """The tokens that are answered with 401."""


@dataclass(slots=True)
class RecordedRequest:
    """A request to the sandbox.

    It is recorded on arrival; `status` and `body_size` are filled in later.

    Attributes:
        method: The method, such as `GET`.
        path: The path, percent-decoded.
        target: The path and query exactly as they were sent.
        query: The query, percent-decoded; the last value of a repeated parameter.
        headers: The headers; names match in any case. The repr omits them, because they may
            contain a token.
        status: The status of the response; None until one was sent.
        body_size: The number of bytes of the body that were read.
    """

    __module__ = "mlmsg.sandbox"

    method: str
    path: str
    target: str
    query: dict[str, str]
    headers: Mapping[str, str] = field(repr=False)
    status: int | None = None
    body_size: int = 0


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, its record, and the settings of the sandbox."""

    request: web.Request
    settings: Settings
    record: RecordedRequest

    def find(self, records: Records[V], key: str) -> V | None:
        """Return the record with this id, or None; that of a GET is not to be changed."""
        return records.peek(key) if self.request.method == "GET" else records.get(key)

    async def body(self) -> bytearray:
        """Return the whole body; its size is not limited.

        Raises:
            ErrorResponse: 400 if the transfer encoding of the body is malformed.
        """
        body = bytearray()
        try:
            async for chunk in self.request.content.iter_any():
                body += chunk
                self.record.body_size += len(chunk)
        except _MALFORMED_BODY:
            raise ErrorResponse(400, "The body is malformed", early=True) from None
        return body

    async def drain(self) -> None:
        """Discard the rest of the body, so that the connection can be reused."""
        with suppress(*_MALFORMED_BODY):
            async for chunk in self.request.content.iter_any():
                self.record.body_size += len(chunk)

    async def write(self, response: Response, *, cut: bool = False) -> web.StreamResponse:
        """Send the response in chunks of 256 KiB; `cut` stops after half of it and closes.

        A response to HEAD, and one with the status 204 or 304, is sent without its body.
        """
        stream = web.StreamResponse(status=response.status, headers=response.headers)
        stream.content_length = len(response.body)
        if response.early:
            stream.force_close()
        self.record.status = response.status
        # A StreamResponse of aiohttp 3.14 would write the body. On a kept connection, the client
        # reads its bytes as the start of the next response.
        has_body = self.request.method != "HEAD" and response.status not in _BODILESS_STATUSES
        end = len(response.body) if has_body else 0
        end = end // 2 if cut else end
        body = memoryview(response.body)[:end]
        # The client may disconnect at any time: that is no error of the sandbox.
        with suppress(ConnectionError):
            await stream.prepare(self.request)
            if cut:
                # After `prepare`, so that the headers do not announce that the connection closes.
                stream.force_close()
            for start in range(0, end, _CHUNK_BYTES):
                await stream.write(body[start : start + _CHUNK_BYTES])
        return stream

    def disconnect(self) -> web.StreamResponse:
        """Close the connection without a response."""
        if self.request.transport is not None:
            self.request.transport.close()
        # aiohttp requires a response in any case; it discards it on a closed connection.
        return web.StreamResponse()


Handler = Callable[[Exchange], Awaitable[Response]]
"""The function that handles the requests of a route; it raises ErrorResponse to refuse one."""


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint: its method and path, its handler, and the check of access before it.

    The rate limit counts the requests of a `limited` route only, and that of orders those of a
    route that `counts_as_order`.
    """

    method: str
    path: str
    handler: Handler
    check: Callable[[Exchange], None]
    limited: bool = True
    counts_as_order: bool = False
