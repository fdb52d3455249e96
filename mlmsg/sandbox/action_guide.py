"""The action guide of a pack: the reasons by which its seller starts the conversation."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mlmsg.sandbox.schemas.action_guide import Option, Template, Variable

__all__ = ["ActionGuide", "default_options", "fill_template"]

_MAX_TEXT_LENGTH = 350
_PROMISE = "TEMPLATE___DELIVERY_PROMISE___1"
# All texts are invented. The API has its own for each site.
_TEXTS = {
    "TEMPLATE___REQUEST_VARIANTS___1": "¿Qué variante del producto prefieres?",
    "TEMPLATE___REQUEST_BILLING_INFO___1": "¿Nos compartes tus datos de facturación?",
}
_PROMISE_TEXT = "<p>Tu compra llega en %d a %d horas.</p>"
_SLOT = re.compile("%[ds]")


@dataclass(slots=True)
class ActionGuide:
    """The options of a pack, and the conditions of its refusals; change them at any time.

    Attributes:
        options: The options as the API lists them.
        is_excepted: The pack is an excepted case, such as a product with manufacturing time:
            both the list and a send are refused with 400 `blocked_by_excepted_case`.
        locked_sends: The number of sends that are refused with 409, because another request of
            the seller is running.
        promise_has_passed: The delivery date is in the past: a delivery promise is refused with
            a 500, as the document shows.
    """

    options: list[Option] = field(default_factory=list)
    is_excepted: bool = False
    locked_sends: int = 0
    promise_has_passed: bool = False

    def walk(self) -> Iterator[Option]:
        """Yield every option, parents before their children."""
        pending = list(self.options)
        while pending:
            option = pending.pop(0)
            yield option
            pending = [*(option.child_options or []), *pending]

    def find(self, option_id: str) -> Option | None:
        """Return the option with this id, at any depth, or None."""
        return next((option for option in self.walk() if option.id == option_id), None)

    def option(self, option_id: str) -> Option:
        """Return the option with this id, at any depth.

        Raises:
            KeyError: The guide has no such option.
        """
        option = self.find(option_id)
        if option is None:
            raise KeyError(option_id)
        return option


def default_options(site_id: str, *, global_selling: bool) -> list[Option]:
    """Return the documented options, each for one message.

    Global Selling has no `DELIVERY_PROMISE` in its example.
    """
    options = [
        _template_option("REQUEST_VARIANTS", "Request variants of the product"),
        _template_option("REQUEST_BILLING_INFO", "Request billing information"),
        _text_option("SEND_INVOICE_LINK", "Send the link of the invoice"),
        _text_option("OTHER", "Other"),
    ]
    if not global_selling:
        options.insert(3, _promise_option(site_id))
    return options


def fill_template(template: Template, site_id: str, values: list[int | float]) -> str | None:
    """Return the text of a template for a site, with these values of its variables.

    The values replace `%d` and `%s` in their order. A template without any texts has an invented
    one; None means that it has texts, but none for the site.
    """
    if not isinstance(template.texts, dict):
        return _TEXTS.get(template.id, template.id)
    html = template.texts.get(site_id.lower(), {}).get("html")
    remaining = iter(values)
    return html and _SLOT.sub(lambda slot: str(next(remaining, slot[0])), html)


def _template_option(option_id: str, description: str) -> Option:
    template = Template(f"TEMPLATE___{option_id}___1")
    return Option(option_id, description, True, True, "template", [template], None, None, 1)


def _text_option(option_id: str, description: str) -> Option:
    return Option(option_id, description, True, True, "free_text", None, _MAX_TEXT_LENGTH, None, 1)


def _promise_option(site_id: str) -> Option:
    variables = [Variable(f"{_PROMISE}___VAR___{name}") for name in ("INIT", "LIMIT")]
    template = Template(_PROMISE, variables, {site_id.lower(): {"html": _PROMISE_TEXT}})
    return Option(
        "DELIVERY_PROMISE", "Promise a delivery", True, True, "template", [template], None, None, 1
    )
