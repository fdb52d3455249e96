"""Reasons to start a conversation ("Action guide").

The document of Global Selling shows the list. That its other paths and fields are the same as those
of domestic sellers is not verified.
"""

from collections.abc import Iterator

import msgspec

__all__ = ["Reason", "ReasonTemplate", "ReasonVariable"]


class ReasonVariable(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A variable of a template ("Action guide", `vars`).

    Attributes:
        id: The variable's id.
        type: The type of its value: `NUMBER`, …
    """

    id: str
    type: str | None = None


class ReasonTemplate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A text of Mercado Libre that an option sends ("Action guide", `templates`).

    Attributes:
        id: The template's id: take it from this answer, never from a constant.
        vars: The variables to fill in; None or empty if there are none.
        texts: The text by site, in the API's own form, or None.
    """

    id: str
    vars: list[ReasonVariable] | None = None
    texts: dict[str, object] | None = None

    @property
    def variables(self) -> list[ReasonVariable]:
        """The variables to fill in; empty if there are none."""
        return self.vars or []


class Reason(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An option to start a conversation ("Action guide", `options`).

    Attributes:
        id: `OTHER`, `REQUEST_VARIANTS`, `SEND_INVOICE_LINK`, …; an open set.
        internal_description: A description by the API, or None.
        enabled: True if the option is enabled.
        actionable: True if the option can be executed.
        type: `template` or `free_text`, in any case.
        templates: The templates to choose from; None or empty for free text.
        char_limit: The longest free text, in characters, or None.
        child_options: Options below this one; None or empty if there are none.
        cap_available: Messages that may still be sent with it; 0 if none; None if not given.
    """

    id: str
    internal_description: str | None = None
    enabled: bool | None = None
    actionable: bool | None = None
    type: str | None = None
    templates: list[ReasonTemplate] | None = None
    char_limit: int | None = None
    child_options: "list[Reason] | None" = None
    cap_available: int | None = None

    @property
    def usable(self) -> bool:
        """True if a message can be sent with this option now.

        An option without `cap_available` counts as usable: `client.reasons.caps` says more.
        """
        return bool(self.enabled and self.actionable and self.cap_available != 0)

    @property
    def is_free_text(self) -> bool:
        """True if the option takes a text of the seller's own."""
        return (self.type or "").lower() == "free_text"

    def walk(self) -> "Iterator[Reason]":
        """Yield this option and every option below it."""
        yield self
        for child in self.child_options or ():
            yield from child.walk()
