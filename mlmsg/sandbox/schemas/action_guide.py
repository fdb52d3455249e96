"""The JSON of the action guide: the reasons by which a seller starts a conversation.

The fields are those of the document "Reasons to communicate"; a test may change an `Option`.
"""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from mlmsg.sandbox.schemas.packs import MessageDate, Moderation, Person

__all__ = [
    "Caps",
    "Option",
    "OptionList",
    "OptionMessage",
    "Template",
    "Variable",
]


class Variable(Struct, frozen=True):
    """A variable of a template."""

    id: str
    type: str = "NUMBER"


class Template(Struct, frozen=True):
    """A template; `texts` is by site in lower case, such as `{"mla": {"html": "…%d…"}}`."""

    id: str
    vars: list[Variable] | None = None
    texts: dict[str, dict[str, str]] | UnsetType = UNSET


class Option(Struct):
    """A reason; `cap_available` is the number of messages that are left."""

    id: str
    internal_description: str
    enabled: bool
    actionable: bool
    type: Literal["template", "free_text", "TEMPLATE"]
    templates: list[Template] | None
    char_limit: int | None
    child_options: "list[Option] | None"
    cap_available: int


class OptionList(Struct, frozen=True):
    """All reasons of a pack."""

    options: list[Option]


class Caps(Struct, frozen=True):
    """The number of messages that are left of one option."""

    option_id: str
    cap_available: int


class OptionMessage(Struct, frozen=True):
    """The message that an option sent; `text` is the filled template."""

    id: str
    to: Person
    status: str
    text: str
    message_date: MessageDate
    message_moderation: Moderation
