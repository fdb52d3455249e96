"""A strict parser of uploads: one multipart/form-data part, checked byte by byte.

It accepts the framing of browsers and curl (WHATWG HTML standard, "multipart form data", over
RFC 7578) and nothing looser, because tests of an upload need the exact framing checked. How much
the real API tolerates is not documented: the strictness is the sandbox's own choice.
"""

import re
from dataclasses import dataclass, field

# RFC 2046 allows 1 to 70 of these characters; RFC 2045 allows fewer of them without quotes.
_CONTENT_TYPE = re.compile(
    r"""multipart/form-data;[ ]?boundary=
    (?: (?P<token>[0-9A-Za-z'+_.-]{1,70})
      | "(?P<quoted>[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-])" )""",
    re.VERBOSE | re.IGNORECASE,
)
_HEADER = re.compile(r"([0-9A-Za-z!#$%&'*+.^_`|~-]+): ?([^\x00-\x08\x0a-\x1f\x7f]*)")
_DISPOSITION = re.compile(r'form-data((?:; [a-z*]+="[^"]*")*)')
_PARAMETER = re.compile(r'; ([a-z*]+)="([^"]*)"')
_MIME_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:;.*)?", re.ASCII)
_ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n"}
_ESCAPE = re.compile("|".join(_ESCAPES))


class FramingError(ValueError):
    """The body is not one well-framed part; the text names the fault."""


@dataclass(frozen=True, slots=True)
class Part:
    """The file of an upload."""

    filename: str
    content_type: str
    data: bytes = field(repr=False)


def parse_upload(content_type: str, body: bytearray) -> Part:
    """Return the file of a request with this Content-Type and whole body.

    The body is `--B CRLF headers CRLF CRLF data CRLF --B--` and an optional CRLF, nothing else.
    The part is named `file` and has a `filename` in raw UTF-8, in which only `%22`, `%0D` and
    `%0A` are escapes. A part without a Content-Type is `application/octet-stream`.

    Raises:
        FramingError: The body has any other form.
    """
    delimiter = b"--" + _parse_boundary(content_type)
    if not body.startswith(delimiter + b"\r\n"):
        raise FramingError("the body does not start with the boundary and a CRLF")
    headers_start = len(delimiter) + 2
    headers_end = body.find(b"\r\n\r\n", headers_start)
    if headers_end < 0:
        raise FramingError("no empty line after the headers of the part")
    headers = _parse_headers(bytes(body[headers_start:headers_end]))
    filename = _parse_filename(headers.get("content-disposition"))
    mime_type = headers.get("content-type", "application/octet-stream")
    if not _MIME_TYPE.fullmatch(mime_type):
        raise FramingError(f"the Content-Type of the part is {mime_type!r}")
    data_start = headers_end + 4
    data_end = _find_data_end(body, data_start, b"\r\n" + delimiter)
    # Through a memoryview, so that 25 MB are copied once and not twice.
    return Part(filename, mime_type, bytes(memoryview(body)[data_start:data_end]))


def _parse_boundary(content_type: str) -> bytes:
    match = _CONTENT_TYPE.fullmatch(content_type)
    if match is None:
        raise FramingError("the Content-Type is not multipart/form-data with just a boundary")
    return (match["token"] or match["quoted"]).encode()


def _parse_headers(block: bytes) -> dict[str, str]:
    try:
        lines = block.decode().split("\r\n")
    except UnicodeDecodeError:
        raise FramingError("the headers of the part are not UTF-8") from None
    headers: dict[str, str] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise FramingError(f"not a header of a part: {line!r}")
        name = match[1].lower()
        if name in headers:
            raise FramingError(f"the part has two headers {match[1]}")
        headers[name] = match[2]
    return headers


def _parse_filename(disposition: str | None) -> str:
    if disposition is None:
        raise FramingError("the part has no Content-Disposition")
    match = _DISPOSITION.fullmatch(disposition)
    if match is None:
        raise FramingError(f"the Content-Disposition is {disposition!r}")
    pairs = _PARAMETER.findall(match[1])
    parameters = dict(pairs)
    if len(parameters) < len(pairs) or parameters.keys() - {"name", "filename"}:
        raise FramingError("the Content-Disposition has more than one name and one filename")
    if parameters.get("name") != "file":
        raise FramingError("the part is not named file")
    if "filename" not in parameters:
        raise FramingError("the part has no filename")
    return _ESCAPE.sub(lambda escape: _ESCAPES[escape[0]], parameters["filename"])


def _find_data_end(body: bytearray, start: int, delimiter: bytes) -> int:
    end = body.find(delimiter, start)
    if end < 0:
        raise FramingError("no CRLF and boundary after the data")
    # The longest valid ending has four bytes; a fifth shows that something follows.
    tail_start = end + len(delimiter)
    tail = bytes(body[tail_start : tail_start + 5])
    if tail in {b"--", b"--\r\n"}:
        return end
    if tail.startswith(b"\r\n"):
        raise FramingError("there is more than one part")
    if tail.startswith(b"--"):
        raise FramingError("something follows the closing boundary")
    raise FramingError("the boundary occurs inside the data, or does not close it")
