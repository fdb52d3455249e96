"""Build a `Request` from a path template, ids and a body. Used by `_operations` only."""

from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import quote, quote_plus, urlencode

import msgspec

from ._arguments import check_id
from ._multipart import Multipart
from ._secrets import Secret, SecretBytes
from ._wire import Request, Response
from .policy import Effect

__all__ = ["download_request", "form_request", "format_path", "get_request", "post_request"]

T = TypeVar("T")


def get_request(
    operation: str,
    template: str,
    decoder: Callable[[Response], T],
    query: str = "",
    *,
    v1_template: str = "",
    **ids: int | str,
) -> Request[T]:
    """Return a request that reads. `v1_template` is the path that may answer in its place.

    A template may end in a fixed query, such as `?tag=post_sale`. `query` is appended to it.
    """
    if "?" in template:
        template, query = _split(template, query)
    return Request(
        operation=operation,
        method="GET",
        template=template,
        path=format_path(template, **ids),
        query=query,
        decoder=decoder,
        v1_path=format_path(v1_template, **ids) if v1_template else "",
        v1_template=v1_template,
    )


def download_request(
    operation: str, template: str, query: str = "", *, v1_template: str = "", **ids: int | str
) -> Request[Response]:
    """Return a request for the bytes of a file. Its value is the response with its stream."""
    request = get_request(operation, template, _unchanged, query, v1_template=v1_template, **ids)
    return msgspec.structs.replace(request, is_streamed=True)


def post_request(
    operation: str,
    template: str,
    decoder: Callable[[Response], T],
    body: object,
    query: str = "",
    *,
    v1_template: str = "",
    **ids: int | str,
) -> Request[T]:
    """Return a request that uploads a `Multipart` body, or that sends any other body as JSON."""
    template, query = _split(template, query)
    file = body if isinstance(body, Multipart) else None
    return Request(
        operation=operation,
        method="POST",
        template=template,
        path=format_path(template, **ids),
        query=query,
        decoder=decoder,
        effect=Effect.SEND if file is None else Effect.UPLOAD,
        body=msgspec.json.encode(body) if file is None else None,
        upload=file,
        v1_path=format_path(v1_template, **ids),
        v1_template=v1_template,
    )


def form_request(
    operation: str,
    path: str,
    decoder: Callable[[Response], T],
    fields: Mapping[str, str],
    *secret_fields: str,
) -> Request[T]:
    """Return a request that posts a form. The values of `secret_fields` are secrets."""
    return Request(
        operation=operation,
        method="POST",
        template=path,
        path=path,
        decoder=decoder,
        effect=Effect.SEND,
        body=SecretBytes(urlencode(fields).encode()),
        body_type="application/x-www-form-urlencoded",
        secrets=tuple(
            Secret(spelling)
            for name in secret_fields
            for spelling in (fields[name], quote_plus(fields[name]))
        ),
    )


def format_path(template: str, **ids: int | str) -> str:
    """Return the template with each id as one percent-encoded segment.

    Raises:
        RuleError: An id would leave its segment.
    """
    if not (ids and template):
        return template
    return template.format_map({name: _segment(name, value) for name, value in ids.items()})


def _split(template: str, query: str) -> tuple[str, str]:
    """Return the path, and the whole query."""
    path, _, fixed = template.partition("?")
    return path, "&".join(filter(None, (fixed, query)))


def _segment(name: str, value: int | str) -> str:
    text = check_id(name, value)
    return text if text.isascii() and text.isalnum() else quote(text, safe="")


def _unchanged(response: Response) -> Response:
    return response
