"""Requests and replies as values, and the pure steps between them and the caller's types."""

import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Generic, Protocol, SupportsIndex, TypeVar
from urllib.parse import quote, quote_plus, urlencode

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
    "Traffic",
    "concealed",
    "decode",
    "download_of",
    "fill",
    "form",
    "get",
    "is_token_refused",
    "moved",
    "post",
    "prepare",
    "refusal",
    "request_id",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Secret(str):
    """A text that shows itself to nobody: what a traceback prints of it is `Secret('…')`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('…')"

    def __getitem__(self, index: SupportsIndex | slice) -> "Secret":
        return Secret(super().__getitem__(index))  # what is cut to be shown hides itself too


class _SecretBytes(bytes):
    """The same for a body; the `bytes` that are cut off it are sent, and never shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SecretBytes(b'…')"


def concealed(value: T) -> T | Secret:
    """A text as a `Secret`; anything else as it is."""
    return Secret(value) if isinstance(value, str) else value


class Traffic:
    """What an attempt has moved so far.

    Attributes:
        up: Bytes of the request's body.
        down: Bytes of the answer's body.
    """

    __slots__ = ("down", "up")

    up: int
    down: int


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

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("status", self.status)]

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
        body: A body in memory, or None.
        body_type: The MIME type of `body`.
        upload: A multipart body, or None.
        streamed: Whether the answer is bytes to stream, not an answer to read.
        older: The path that answers in place of `path` for claims of the first version, or `""`.
        older_template: The template of `older`.
        secrets: What the body gives away. Such a request is one for a token: it goes out without
            one, and nothing is kept of what it answers.
    """

    operation: str
    method: str
    template: str
    path: str
    query: str = ""
    answer: Callable[[Reply], T_co]
    effect: Effect = Effect.READ
    body: bytes | None = None
    body_type: str = "application/json"
    upload: Multipart | None = None
    streamed: bool = False
    older: str = ""
    older_template: str = ""
    secrets: tuple[Secret, ...] = ()

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("line", str(self.line))]

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
        older_template=older,
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
        body=msgspec.json.encode(body) if file is None else None,
        upload=file,
        older=fill(older, **ids),
        older_template=older,
    )


def form(
    operation: str, path: str, answer: Callable[[Reply], T], fields: Mapping[str, str], *names: str
) -> Request[T]:
    """A request that posts a form in which the fields `names` are secrets."""
    return Request(
        operation=operation,
        method="POST",
        template=path,
        path=path,
        answer=answer,
        effect=Effect.SEND,
        body=_SecretBytes(urlencode(fields).encode()),
        body_type="application/x-www-form-urlencoded",
        secrets=tuple(
            Secret(shape) for name in names for shape in (fields[name], quote_plus(fields[name]))
        ),
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
    headers: dict[str, str] = {}
    if not request.secrets:
        headers["Authorization"] = Secret(f"Bearer {token}")
    if request.streamed:
        # The length of a compressed body says nothing about the file's.
        headers["Accept-Encoding"] = "identity"
    elif request.body is not None:
        headers["Content-Type"] = request.body_type
    return f"{base_url}{request.path}{query}", headers


def decode(request: Request[T], reply: Reply, token: str = "") -> T:
    """What the operation answers.

    Raises:
        DecodeError: The body cannot be read as that.
    """
    if reply.cut:
        reason = f"the answer is larger than {len(reply.body)} bytes"
        raise DecodeError(reason, _kept(request, reply.body, token), request.line)
    try:
        return request.answer(reply)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = f"the answer cannot be read: {error}"
        failure = DecodeError(reason, _kept(request, reply.body, token), request.line)
        # Not the error itself: its frames, and that of bad UTF-8 in itself, hold the body.
        failure.__cause__ = msgspec.DecodeError(str(error))
    raise failure


def moved(request: Request[T], reply: Reply) -> Request[T] | None:
    """The same request on its older path, when the reply says that only that one will answer.

    Such a claim answers 401 with a text about "Claims 1.0". The token is good, and nothing was
    executed.
    """
    if reply.status == 401 and request.older and _FIRST_VERSION in reply.body:
        path, template = request.older, request.older_template
        return msgspec.structs.replace(request, path=path, template=template, older="")
    return None


def is_token_refused(request: Request[T], reply: Reply) -> bool:
    """Whether the API refused the access token that was sent, which may have ended."""
    return reply.status == 401 and not request.secrets and _FIRST_VERSION not in reply.body


_FIRST_VERSION = b"Claims 1.0"


def refusal(request: Request[T], reply: Reply, token: str, attempts: int) -> ApiError:
    """The error for a reply that is no success, without what it echoes of a token."""
    secrets = request.secrets or (token,)
    headers = {name.lower(): _blank(value, secrets) for name, value in reply.headers.items()}
    body = _blanked(reply.body, secrets)
    return api_error(reply.status, body, headers, request.line, attempts)


def request_id(reply: Reply, token: str) -> str | None:
    """The answer's `X-Request-Id`, without what it echoes of a token."""
    value = reply.headers.get("X-Request-Id")
    return None if value is None else _blank(value, (token,))


ERROR_LIMIT = 64 * 1024
"""Bytes of an error's body that are kept."""

_BLANK = "***"

_TOKEN_LIKE = re.compile(r"(?i)\b(?:APP_USR|TG)-[\w-]{8,}|(?<=access_token: )[^\s\"',;<}]+")
"""What begins as access and refresh tokens do, and what the API echoes of a malformed one."""

_SHORTEST = 4
"""A token shorter than this is a stand-in, and would blank out half of every text."""


def _kept(request: Request[T], body: bytes, token: str) -> bytes:
    """What an error may keep of an answer that cannot be read: nothing of one that is a token."""
    return b"" if request.secrets else _blanked(body, (token,))


def _blanked(body: bytes, secrets: Sequence[str]) -> bytes:
    text = _blank(body[:ERROR_LIMIT].decode("utf-8", "surrogateescape"), secrets)
    if len(body) >= ERROR_LIMIT:
        # The cut may have gone through a secret.
        for secret in secrets:
            parts = (secret[:size] for size in range(len(secret) - 1, _SHORTEST - 1, -1))
            text = text.removesuffix(next((part for part in parts if text.endswith(part)), ""))
    return text.encode("utf-8", "surrogateescape")


def _blank(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        if len(secret) >= _SHORTEST:
            # Each character plain, or as JSON may escape it.
            escaped = (rf"(?:\\?{re.escape(c)}|\\u00(?i:{ord(c):02x}))" for c in secret)
            text = re.sub("".join(escaped), _BLANK, text)
    return _TOKEN_LIKE.sub(_BLANK, text)
