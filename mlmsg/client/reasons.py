"""Reasons to start a conversation ("Action guide")."""

from collections.abc import Mapping, Sequence
from functools import partial

from mlmsg import _operations
from mlmsg._arguments import check_id, shorten
from mlmsg._misuse import explain_misuse
from mlmsg._reconcile import SendReconciler, pack_fingerprint
from mlmsg._session import Session
from mlmsg.errors import RuleError
from mlmsg.models import Message, Reason, ReasonTemplate, Sent
from mlmsg.rules import check_text, check_text_length

from ._seller import Seller
from .packs import Packs

__all__ = ["Reasons"]

MAX_VARIABLE = 2**63
"""The bound of a variable of a template, as a 64-bit number."""


@explain_misuse("client.reasons")
class Reasons:
    """Reasons to start a conversation ("Action guide").

    A seller whose sale is shipped by Mercado Envíos must choose a reason before the buyer has
    written. After the buyer's answer, `packs.send` is the right call.

    Not verified for Global Selling: the document shows only the path of `list`. The paths of `caps`
    and `send` are those of domestic sellers under the same base.
    """

    def __init__(
        self, session: Session, seller: Seller, packs: Packs, reconciler: SendReconciler[Message]
    ) -> None:
        self._session = session
        self._family = seller.family
        self._packs = packs
        self._reconciler = reconciler

    async def list(self, pack_id: int | str) -> list[Reason]:
        """Return the options of a pack, as the API orders them, children in `child_options`.

        Args:
            pack_id: The pack, or the order if it belongs to no pack.

        Raises:
            ExceptedCase: The pack needs no reason: use `packs.send`.
            PermissionDenied: The pack belongs to somebody else.
        """
        return await self._session.send(_operations.reasons(pack_id, family=self._family))

    async def caps(self, pack_id: int | str) -> dict[str, int]:
        """Return how many messages each option may still send, by the option's id.

        Raises:
            ApiError: As for `list`.
        """
        return await self._session.send(_operations.reason_caps(pack_id, family=self._family))

    async def send(
        self,
        pack_id: int | str,
        option: str | Reason,
        *,
        text: str | None = None,
        template_id: str | None = None,
        variables: Mapping[str, int | float] | None = None,
    ) -> Sent:
        """Start a conversation with an option, at most once.

        A free-text option (`OTHER`, `SEND_INVOICE_LINK`) takes `text`. Any other option takes a
        template of `list`, with a number for each of its variables. Pass the `Reason` itself, and
        everything is checked against it before the request.

        A 409 (another request holds the lock) is repeated after a pause. Nothing else is repeated,
        except on proof that it was not executed.

        Args:
            pack_id: The pack, or the order if it belongs to no pack.
            option: The id of an option, or the `Reason` from `list`.
            text: The text of a free-text option; its `char_limit` (350) is the limit.
            template_id: The id of one of the option's templates.
            variables: The number for each variable of the template, by its id.

        Raises:
            RuleError: The arguments do not fit the option. Nothing was sent.
            ExceptedCase: The pack needs no reason: use `packs.send`.
            ConversationOpen: The conversation is open: use `packs.send`.
            ReasonUsedUp: The option was used before: wait for the buyer.
            NotFound: The option is not offered: read `list` again.
            OutcomeUnknown: The message may or may not have been delivered. `await
                error.reconcile()` returns the delivered `Message` of a `text`, or None. That of a
                template cannot be recognized: if the thread has any message of yours of that time,
                `reconcile` raises this again.
            asyncio.CancelledError: The send was cancelled, for example by `asyncio.timeout`. If the
                message may have been delivered, it has a note, and `OutcomeUnknown.find_in`
                returns the error to reconcile.
        """
        check_id("pack_id", pack_id)
        option_id = _option_id(option)
        _check_content(text, template_id, variables)
        if isinstance(option, Reason):
            _check_against(option, text, template_id, variables)
        request = _operations.send_reason(
            pack_id, option_id, text, template_id, variables, family=self._family
        )
        sending, thread = self._session.send(request), partial(self._packs.messages, pack_id)
        return await self._reconciler.track(
            sending, str(pack_id), text, (), thread, pack_fingerprint
        )


def _option_id(option: str | Reason) -> str:
    name = option.id if isinstance(option, Reason) else option
    if not isinstance(name, str) or not name:
        raise RuleError("`option` of a reason", shorten(name), "an option's id, such as 'OTHER'")
    return name


def _check_content(
    text: str | None, template_id: str | None, variables: Mapping[str, int | float] | None
) -> None:
    if (text is None) == (template_id is None):
        found = "neither of them" if text is None else "both of them"
        raise RuleError("`text` or `template_id` of a reason", found, "exactly one of them")
    if text is not None:
        check_text(text)
    elif not isinstance(template_id, str) or not template_id:
        raise RuleError("`template_id` of a reason", shorten(template_id), "a template's id, a str")
    if not isinstance(variables, Mapping | None):
        found = type(variables).__name__
        raise RuleError("`variables` of a reason", found, "a dict of variable ids and numbers")
    if text is not None and variables:
        raise RuleError("`variables` of a reason", "with a text", "only with a template")
    for name, value in (variables or {}).items():
        if not isinstance(name, str):
            raise RuleError(
                "`variables` of a reason", f"the id {shorten(name)}", "ids that are str"
            )
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (is_number and abs(value) < MAX_VARIABLE):  # NaN is not less than anything
            raise RuleError(f"variable {name!r} of a reason", shorten(value), "a finite number")


def _check_against(
    option: Reason,
    text: str | None,
    template_id: str | None,
    variables: Mapping[str, int | float] | None,
) -> None:
    if not option.usable:
        states = f"enabled={option.enabled}, actionable={option.actionable}"
        found = f"{option.id} ({states}, cap_available={option.cap_available})"
        hint = "Choose another option of client.reasons.list, or wait for the buyer"
        raise RuleError("option of a reason", found, "an option that is usable", hint)
    if text is not None:
        if not option.is_free_text:
            raise RuleError(f"text of {option.id}", "a text", "one of its templates")
        check_text_length(text, option.char_limit)
        return
    template = _template(option.templates or (), option.id, template_id)
    expected, given = {variable.id for variable in template.variables}, set(variables or {})
    if expected != given:
        rule = f"variables of {template.id}"
        raise RuleError(rule, _names(given), _names(expected), "Pass a number for each of them")


def _template(
    templates: Sequence[ReasonTemplate], option_id: str, template_id: str | None
) -> ReasonTemplate:
    for template in templates:
        if template.id == template_id:
            return template
    allowed = _names({template.id for template in templates})
    raise RuleError(f"`template_id` of {option_id}", shorten(template_id), allowed)


def _names(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
