"""Requests and replies as values, and the pure steps between them and the caller's types."""

import re
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Generic, Protocol, TypeVar
from urllib.parse import quote

import msgspec

from . import _lenient
from .errors import ApiError, DecodeError, RequestLine, api_error
from .policy import Effect
from .rules import check_id
from .uploads import Multipart

__all__ = [
    "JsonAnswer",
    "Reply",
    "Request",
    "Secret",
    "Stream",
    "decode",
    "download_of",
    "fill",
    "get",
    "moved",
    "post",
    "prepare",
    "refusal",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Secret(str):
    """A text that shows itself to nobody: what a traceback prints of it is `Secret('…')`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('…')"


class Stream(Protocol):
    """The body of a reply that is still on its way; it holds a connection until it is closed."""

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """The bytes as they arrive.

        Raises:
            TransportError: The body is cut or stops coming.
        """
        ...

    def close(self) -> None:
        """Lets the connection go, and drops what was not read."""
        ...

    closed: bool
    """Whether it was let go."""


class Reply(msgspec.Struct, frozen=True):
    """What came back for a request.

    Attributes:
        status: The HTTP status.
        headers: Its headers, by name in any case.
        body: The body, read to its end; the first 64 KiB of it for an error.
        stream: The body of a streamed request's success, not yet read; then `body` is empty.
        cut: Whether `body` is the beginning of an answer larger than any of the API.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    stream: Stream | None = None
    cut: bool = False

    def __repr__(self) -> str:
        # A traceback that shows locals must not show what the server echoed.
        return f"<Reply {self.status}, {len(self.body)} bytes>"

    def close(self) -> None:
        """Lets go of a stream, if there is one."""
        if self.stream is not None:
            self.stream.close()


class Request(msgspec.Struct, Generic[T_co], frozen=True, kw_only=True):
    """One call of the API, ready but for the token.

    Attributes:
        operation: The name of the operation, such as `"packs.page"`.
        method: The HTTP method.
        template: The path with the names of its ids, for whoever counts calls.
        path: The path, each id one percent-encoded segment.
        query: What follows the `?`, or `""`.
        answer: Turns a successful reply into what the operation answers.
        effect: Whether it reads, uploads or sends.
        json: A JSON body, or None.
        upload: A multipart body, or None.
        streamed: Whether the answer is bytes to stream, not an answer to read.
        older: The path that answers in place of `path` for claims of the first version, or `""`.
    """

    operation: str
    method: str
    template: str
    path: str
    query: str = ""
    answer: Callable[[Reply], T_co]
    effect: Effect = Effect.READ
    json: bytes | None = None
    upload: Multipart | None = None
    streamed: bool = False
    older: str = ""

    @property
    def line(self) -> RequestLine:
        """The request as errors name it."""
        return RequestLine(self.operation, self.method, self.path)


class JsonAnswer(Generic[T]):
    """Decodes an answer into a struct: strictly at first, value by value if that fails."""

    def __init__(self, target: type[T]) -> None:
        self._target = target
        self._decoder = msgspec.json.Decoder(target, strict=False)

    def __call__(self, reply: Reply) -> T:
        """The struct.

        Raises:
            msgspec.DecodeError: The body is no JSON, or lacks what identifies the thing.
        """
        try:
            return self._decoder.decode(reply.body)
        except msgspec.DecodeError:
            return _lenient.convert(_lenient.parse(reply.body), self._target)


def get(
    operation: str,
    template: str,
    answer: Callable[[Reply], T],
    query: str = "",
    *,
    older: str = "",
    **ids: int | str,
) -> Request[T]:
    """A request that reads; `older` is the template of the path that may answer in its place."""
    return Request(
        operation=operation,
        method="GET",
        template=template,
        path=fill(template, **ids),
        query=query,
        answer=answer,
        older=fill(older, **ids),
    )


def download_of(
    operation: str, template: str, query: str = "", *, older: str = "", **ids: int | str
) -> Request[Reply]:
    """A request for the bytes of a file; it answers the reply with its stream."""
    request = get(operation, template, _as_it_is, query, older=older, **ids)
    return msgspec.structs.replace(request, streamed=True)


def _as_it_is(reply: Reply) -> Reply:
    return reply


def post(
    operation: str,
    template: str,
    answer: Callable[[Reply], T],
    body: object,
    query: str = "",
    *,
    older: str = "",
    **ids: int | str,
) -> Request[T]:
    """A request that uploads, if its body is a `Multipart`, and otherwise sends it as JSON."""
    file = body if isinstance(body, Multipart) else None
    return Request(
        operation=operation,
        method="POST",
        template=template,
        path=fill(template, **ids),
        query=query,
        answer=answer,
        effect=Effect.SEND if file is None else Effect.UPLOAD,
        json=msgspec.json.encode(body) if file is None else None,
        upload=file,
        older=fill(older, **ids),
    )


def fill(template: str, **ids: int | str) -> str:
    """The template with each id as one percent-encoded segment.

    Raises:
        RuleError: An id would leave its segment.
    """
    if not (ids and template):
        return template
    return template.format_map({name: _segment(name, value) for name, value in ids.items()})


def _segment(name: str, value: int | str) -> str:
    text = check_id(name, value)
    return text if text.isascii() and text.isalnum() else quote(text, safe="")


def prepare(request: Request[T], base_url: str, token: str) -> tuple[str, dict[str, str]]:
    """The URL and the headers that `request` goes out with."""
    query = f"?{request.query}" if request.query else ""
    headers: dict[str, str] = {"Authorization": Secret(f"Bearer {token}")}
    if request.streamed:
        # The length of a compressed body says nothing about the file's.
        headers["Accept-Encoding"] = "identity"
    elif request.json is not None:
        headers["Content-Type"] = "application/json"
    return f"{base_url}{request.path}{query}", headers


def decode(request: Request[T], reply: Reply, token: str = "") -> T:
    """What the operation answers.

    Raises:
        DecodeError: The body cannot be read as that.
    """
    if reply.cut:
        reason = f"the answer is larger than {len(reply.body)} bytes"
        raise DecodeError(reason, _blanked(reply.body, token), request.line)
    try:
        return request.answer(reply)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = f"the answer cannot be read: {error}"
        failure = DecodeError(reason, _blanked(reply.body, token), request.line)
        # Not the error itself: its frames, and that of bad UTF-8 in itself, hold the body.
        failure.__cause__ = msgspec.DecodeError(str(error))
    raise failure


def moved(request: Request[T], reply: Reply) -> Request[T] | None:
    """The same request on its older path, when the reply says that only that one will answer.

    Such a claim answers 401 with a text about "Claims 1.0". The token is good, and nothing was
    executed.
    """
    if reply.status == 401 and request.older and b"Claims 1.0" in reply.body:
        return msgspec.structs.replace(request, path=request.older, older="")
    return None


def refusal(request: Request[T], reply: Reply, token: str, attempts: int) -> ApiError:
    """The error for a reply that is no success, without what it echoes of a token."""
    headers = {name.lower(): _blank(value, token) for name, value in reply.headers.items()}
    body = _blanked(reply.body, token)
    return api_error(reply.status, body, headers, request.line, attempts)


ERROR_LIMIT = 64 * 1024
"""Bytes of an error's body that are kept."""

_BLANK = "***"

_TOKEN_LIKE = re.compile(r"(?i)\b(?:APP_USR|TG)-[\w-]{8,}|(?<=access_token: )[^\s\"',;<}]+")
"""What begins as access and refresh tokens do, and what the API echoes of a malformed one."""

_SHORTEST = 4
"""A token shorter than this is a stand-in, and would blank out half of every text."""


def _blanked(body: bytes, token: str) -> bytes:
    text = _blank(body[:ERROR_LIMIT].decode("utf-8", "surrogateescape"), token)
    if len(body) >= ERROR_LIMIT:
        # The cut may have gone through a token.
        parts = (token[:size] for size in range(len(token) - 1, _SHORTEST - 1, -1))
        part = next((part for part in parts if text.endswith(part)), "")
        text = text.removesuffix(part)
    return text.encode("utf-8", "surrogateescape")


def _blank(text: str, token: str) -> str:
    if len(token) >= _SHORTEST:
        # Each character plain, or as JSON may escape it.
        escaped = (rf"(?:\\?{re.escape(c)}|\\u00(?i:{ord(c):02x}))" for c in token)
        text = re.sub("".join(escaped), _BLANK, text)
    return _TOKEN_LIKE.sub(_BLANK, text)
