"""Images that a notebook shows."""

import base64
from dataclasses import dataclass, field

from .errors import RuleError
from .rules import kind_of

__all__ = ["Picture"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG or JPEG image: the value of a notebook's cell shows it.

    Attributes:
        data: The bytes of the image.
    """

    data: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if self.content_type is None:
            found = f"{len(self.data)} bytes of another kind"
            raise RuleError("picture of a notebook", found, "a PNG or JPEG image")

    @property
    def content_type(self) -> str | None:
        """The MIME type, by the first bytes."""
        kind = kind_of(self.data)
        return {"PNG": "image/png", "JPG": "image/jpeg"}.get(kind.name) if kind else None

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        text = base64.b64encode(self.data).decode("ascii")
        return {str(self.content_type): text, "text/plain": repr(self)}
