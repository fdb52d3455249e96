"""Requests and responses as values, and the pure steps between them and the caller's types.

`prepare` gives the URL and headers of a request. `decode` turns a successful response into the
value of the operation. `error_from_response` turns any other response into an `ApiError`.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from ._error_bodies import api_error
from ._multipart import Multipart
from ._secrets import Secret, redact, redact_bytes
from .errors import ApiError, DecodeError, RequestLine
from .policy import Effect

__all__ = [
    "ERROR_BODY_BYTES",
    "Request",
    "Response",
    "Stream",
    "TransferCounter",
    "as_v1_request",
    "decode",
    "error_from_response",
    "is_token_rejected",
    "prepare",
    "request_id",
]

logger: logging.Logger = logging.getLogger("mlmsg")

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

ERROR_BODY_BYTES = 64 * 1024
"""Bytes of an error's body that are kept."""

MAX_PLACES = 5
"""Places that one warning names."""

_CLAIMS_V1_MARK = b"Claims 1.0"


class TransferCounter:
    """Bytes that one attempt has sent and received so far.

    Attributes:
        bytes_sent: Bytes of the request's body.
        bytes_received: Bytes of the response's body.
    """

    __slots__ = ("bytes_received", "bytes_sent")

    def __init__(self) -> None:
        self.bytes_sent = 0
        self.bytes_received = 0


class Stream(Protocol):
    """The body of a response that is still arriving. It holds a connection until it is closed."""

    closed: bool
    """True after `close`."""

    def chunks(self, *, lends: bool = True) -> AsyncGenerator[bytes, None]:
        """Yield the bytes as they arrive.

        Args:
            lends: True if code of the caller runs between two chunks.

        Raises:
            TransportError: The body was cut or stopped arriving.
        """
        ...

    def lend(self) -> None:
        """Let nested calls use the slot of this exchange, while code of the caller runs."""
        ...

    def close(self) -> None:
        """Release the connection and drop the bytes that were not read."""
        ...


class Response(msgspec.Struct, frozen=True):
    """The response to one request.

    Attributes:
        status: The HTTP status.
        headers: The headers; names are case-insensitive.
        body: The whole body; of an error, the first 64 KiB.
        stream: The unread body of a streamed request's success; `body` is then empty.
        is_truncated: True if `body` is the beginning of a body larger than any of the API.
        left_out: The places of values that cannot be read, as keys and indexes. The decoder
            appends them, although the struct is frozen: `decode` then logs one warning.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    stream: Stream | None = None
    is_truncated: bool = False
    left_out: list[tuple[str | int, ...]] = []

    def __repr__(self) -> str:
        # A traceback that shows local variables must not show what the server echoed.
        return f"<Response {self.status}, {len(self.body)} bytes>"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("status", self.status)]

    @property
    def is_success(self) -> bool:
        """True for a status of 200 to 299."""
        return 200 <= self.status < 300

    def lend(self) -> None:
        """Lend the slot of the stream, if there is one, while code of the caller runs."""
        if self.stream is not None:
            self.stream.lend()

    def close(self) -> None:
        """Close the stream, if there is one."""
        if self.stream is not None:
            self.stream.close()


class Request(msgspec.Struct, Generic[T_co], frozen=True, kw_only=True):
    """One call of the API, complete except for the token.

    Attributes:
        operation: The name of the operation, such as `"packs.page"`.
        method: The HTTP method.
        template: The path with the names of its ids, for metrics.
        path: The path; each id is one percent-encoded segment.
        query: The query without the `?`, or `""`.
        decoder: Turns a successful response into the value of the operation.
        effect: The effect on the server: to read, to upload or to send.
        body: A body in memory, or None.
        body_type: The MIME type of `body`.
        upload: A multipart body, or None.
        is_streamed: True if the response is a file to stream.
        v1_path: The path that answers instead of `path` for a claim of version 1, or `""`.
        v1_template: The template of `v1_path`.
        proves_not_executed: A function that returns True for an error response which proves that
            the request was not executed. None: only the status of a response can prove it.
        refine_error: A function that returns the same error with a more exact class or hint. None:
            errors are raised as they were read.
        secrets: Secrets contained in the body. Set only for token requests: they carry no
            `Authorization` header, and errors never store their response.
    """

    operation: str
    method: str
    template: str
    path: str
    query: str = ""
    decoder: Callable[[Response], T_co]
    effect: Effect = Effect.READ
    body: bytes | None = None
    body_type: str = "application/json"
    upload: Multipart | None = None
    is_streamed: bool = False
    v1_path: str = ""
    v1_template: str = ""
    proves_not_executed: Callable[[Response], bool] | None = None
    refine_error: Callable[[ApiError], ApiError] | None = None
    secrets: tuple[Secret, ...] = ()

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("line", str(self.line))]

    @property
    def line(self) -> RequestLine:
        """The request as errors name it."""
        return RequestLine(self.operation, self.method, self.path)

    @property
    def is_repeatable(self) -> bool:
        """True if the body, if there is one, can be sent again."""
        return self.upload is None or self.upload.source.replayable


def prepare(request: Request[T], base_url: str, token: str) -> tuple[str, dict[str, str]]:
    """Return the URL and the headers of `request`."""
    query = f"?{request.query}" if request.query else ""
    headers: dict[str, str] = {}
    if not request.secrets:
        headers["Authorization"] = Secret(f"Bearer {token}")
    if request.is_streamed:
        # The length of a compressed body says nothing about the length of the file.
        headers["Accept-Encoding"] = "identity"
    elif request.body is not None:
        headers["Content-Type"] = request.body_type
    return f"{base_url}{request.path}{query}", headers


def decode(request: Request[T], response: Response, token: str = "") -> T:
    """Return the value of the operation.

    Raises:
        DecodeError: The body cannot be read as that value.
    """
    if response.is_truncated:
        reason = f"the response is larger than {len(response.body)} bytes"
        raise DecodeError(reason, _storable_body(request, response, token), request.line)
    try:
        value = request.decoder(response)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = f"the response cannot be read: {error}"
        failure = DecodeError(reason, _storable_body(request, response, token), request.line)
        # Not the error itself: its frames hold the body, and a UnicodeDecodeError does as well.
        failure.__cause__ = msgspec.DecodeError(str(error))
    else:
        if response.left_out:
            _warn_of_gaps(request.operation, response.left_out)
        return value
    raise failure


def _warn_of_gaps(operation: str, places: Sequence[tuple[str | int, ...]]) -> None:
    """Log what was left out of a value: its places alone, because a value may be personal data."""
    names = ", ".join(map(_place_name, places[:MAX_PLACES]))
    rest = f" and {len(places) - MAX_PLACES} more" if len(places) > MAX_PLACES else ""
    logger.warning("%s: left out what cannot be read: %s%s", operation, names, rest)


def _place_name(place: tuple[str | int, ...]) -> str:
    """Return a place as `options[0].child_options[2]`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return "".join(parts).removeprefix(".")


def as_v1_request(request: Request[T], response: Response) -> Request[T] | None:
    """Return the same request on its v1 path if only that path serves the claim, otherwise None.

    For such a claim the v2 path answers 401 with a text about "Claims 1.0". The token is valid, and
    nothing was executed.
    """
    if response.status == 401 and request.v1_path and _CLAIMS_V1_MARK in response.body:
        path, template = request.v1_path, request.v1_template
        return msgspec.structs.replace(request, path=path, template=template, v1_path="")
    return None


def is_token_rejected(request: Request[T], response: Response) -> bool:
    """Return True if the API rejected the access token of the request, which may have expired."""
    return response.status == 401 and not request.secrets and _CLAIMS_V1_MARK not in response.body


def error_from_response(
    request: Request[T], response: Response, token: str, attempts: int
) -> ApiError:
    """Return the error for a response that is no success. It contains no secret."""
    secrets = request.secrets or (token,)
    headers = {name.lower(): redact(value, secrets) for name, value in response.headers.items()}
    body = redact_bytes(response.body, secrets, ERROR_BODY_BYTES)
    error = api_error(response.status, body, headers, request.line, attempts)
    return error if request.refine_error is None else request.refine_error(error)


def request_id(request: Request[T], response: Response, token: str) -> str | None:
    """Return the `X-Request-Id` header without any secret that the server echoes in it."""
    value = response.headers.get("X-Request-Id")
    return None if value is None else redact(value, request.secrets or (token,))


def _storable_body(request: Request[T], response: Response, token: str) -> bytes:
    """Return the part of an unreadable body that an error may store; `b""` for token responses."""
    return b"" if request.secrets else redact_bytes(response.body, (token,), ERROR_BODY_BYTES)
