"""Images that a notebook shows."""

import base64

import msgspec

from ._html import size_text
from .errors import RuleError
from .rules import kind_of

__all__ = ["Picture"]


class Picture(msgspec.Struct, frozen=True):
    """A PNG or JPEG image: the value of a notebook's cell shows it.

    Attributes:
        data: The bytes of the image.
    """

    data: bytes

    def __post_init__(self) -> None:
        if self.content_type is None:
            found = f"{len(self.data)} bytes of another kind"
            raise RuleError("picture of a notebook", found, "a PNG or JPEG image")

    def __repr__(self) -> str:
        return f"<Picture: {self.content_type}, {size_text(len(self.data))}>"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("content_type", self.content_type), ("size", len(self.data))]

    @property
    def content_type(self) -> str | None:
        """The MIME type, by the first bytes."""
        kind = kind_of(self.data)
        return {"PNG": "image/png", "JPG": "image/jpeg"}.get(kind.name) if kind else None

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        text = base64.b64encode(self.data).decode("ascii")
        return {str(self.content_type): text, "text/plain": repr(self)}
