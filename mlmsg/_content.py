"""Compare what was announced of a file with what arrives: pure.

A gateway may answer 200 with an HTML page or a JSON error in place of a file. Nothing but the
content tells: so the first bytes are compared with the file's name, and with the MIME type and the
size that its message lists.
"""

import msgspec

from ._patterns import LazyPattern
from .rules import SNIFF_BYTES

__all__ = ["SNIFF_BYTES", "Announced", "document_in", "may_be_document"]

# A server chooses these bytes. The quantifiers `*+` and `?+` never give anything back, so that no
# content makes a match take longer than one pass over it.
_HTML = LazyPattern(
    rb"(?is)\A(?:\xef\xbb\xbf)?+\s*+(?:<\?xml\b[^>]*+>\s*+)?+(?:<!--(?>.*?-->)\s*+)*+"
    rb"<(?:!doctype\s++html|html|head|body|title|meta|script|style|link|h[1-6]|p|div|center|table|pre)"
    rb"(?:[\s/>]|\Z)"
)
_JSON = LazyPattern(
    rb"\A(?:\xef\xbb\xbf)?+\s*+(?:\{\s*+[\"}]|\[\s*+[\[{\"\]]|null\s*+\Z|\"[^\"]*+\"\s*+\Z)"
)

_DOCUMENT_NAMES = LazyPattern(r"(?i)\.(x?html?|xht|mhtml?|json[5l]?|ndjson|geojson|har|ipynb|map)$")
_DOCUMENT_TYPES = LazyPattern(
    r"(?i)\A\s*+(text/html|application/xhtml\+xml|[a-z]+/([\w.-]+\+)?json)\b"
)

_BINARY_NAMES = LazyPattern(
    r"(?i)\.(png|jpe?g|jpe|jfif|gif|webp|bmp|tiff?|heic|heif|avif|ico|psd|pdf|zip|rar|7z|t?gz|bz2|xz"
    r"|docx|xlsx|xlsb|xlsm|pptx|od[tsp]|mp4|m4v|mov|avi|mkv|webm|3gp|mpe?g|wmv|mp3|m4a|aac|og[gav]"
    r"|opus|wav|flac|amr|apk)$"
)
_BINARY_TYPES = LazyPattern(
    r"(?i)\A\s*+(image/(?!svg)|audio/|video/|application/(pdf|zip|gzip|x-rar|x-7z|vnd\.rar"
    r"|vnd\.openxmlformats|vnd\.oasis))"
)
_UNKNOWN_TYPES = LazyPattern(r"(?i)\A\s*+((application|binary)/octet-stream\s*+)?(;|\Z)")
_EXTENSION = LazyPattern(r"\.\w{1,8}$")


class Announced(msgspec.Struct, frozen=True):
    """The description of a file that is not part of its own response.

    Attributes:
        name: The name by which it is fetched, or `""`.
        type: The MIME type that its message lists, or None.
        size: The size in bytes that its message lists, or None.
    """

    name: str
    type: str | None = None
    size: int | None = None

    @property
    def is_document(self) -> bool:
        """True if the file may be an HTML page or a JSON document."""
        named = _DOCUMENT_NAMES.search(self.name) is not None
        return named or _DOCUMENT_TYPES.match(self.type or "") is not None

    @property
    def is_binary(self) -> bool:
        """True if the file has a format that no HTML page and no JSON document can have."""
        named = _BINARY_NAMES.search(self.name) is not None
        return named or _BINARY_TYPES.match(self.type or "") is not None

    @property
    def is_known(self) -> bool:
        """True if the name or the type says anything about the format."""
        has_extension = _EXTENSION.search(self.name) is not None
        return has_extension or _UNKNOWN_TYPES.match(self.type or "") is None


def may_be_document(head: bytes) -> bool:
    """Return False if the first bytes already show that this is no HTML page and no JSON document.

    Then a reader need not wait for more of them.
    """
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return not start or start in b'<{["n'


def document_in(
    head: bytes, announced: Announced, content_type: str, size: int | None
) -> str | None:
    """Return a description of the document that arrives in place of the file, or None.

    A binary format is never such a document. A text, or a file of unknown format, may look like
    one; there the response must contradict the announcement in a second way, by its MIME type or
    by its size.

    Args:
        head: The first `SNIFF_BYTES` of the content, or all of it.
        announced: The announcement.
        content_type: The MIME type of the response.
        size: The size of the content in bytes, or None while it is unknown.
    """
    found = "an HTML page" if _HTML.match(head) else "a JSON document" if _JSON.match(head) else ""
    if not found or announced.is_document:
        return None
    if announced.is_binary:
        return found
    if not announced.is_known and _BINARY_TYPES.match(content_type):
        return found
    is_declared = announced.is_known and _DOCUMENT_TYPES.match(content_type) is not None
    are_sizes_known = size is not None and announced.size is not None
    has_other_size = are_sizes_known and size != announced.size
    return found if is_declared or has_other_size else None
