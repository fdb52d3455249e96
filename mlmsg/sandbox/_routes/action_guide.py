"""The action guide: the reasons by which a seller starts a conversation.

The paths of the list are documented for both families, those of the caps and of a send only for
domestic sellers: their Global Selling twins are not verified.

Choices of the sandbox that the API does not document:

- `tag` may be missing; any other value than `post_sale`: 400
- the order of the checks of a send: tag, pack, seller, excepted case, closed account, lock,
  state of the conversation, option, cap, the rest of the body
- a conversation is open once the buyer or an agent wrote, unless its thread is blocked
- the texts of errors are approximations, in English or, by `Sandbox.language`, in Portuguese
- the response to a send is a 200; a send does not unblock the thread
- a negative value of a delivery promise is a date before today
- the values of variables replace `%d` and `%s` in their order; a template that has texts, but none
  for the site of the pack, is invalid: 400
"""

from dataclasses import dataclass

import msgspec

from mlmsg.sandbox._http.access import check_seller
from mlmsg.sandbox._http.exchange import Exchange, Handler, Language, Route
from mlmsg.sandbox._http.inputs import check_order, check_tag, read_json
from mlmsg.sandbox._http.responses import ErrorResponse, Response, json_response
from mlmsg.sandbox._routes._sends import moderation_of
from mlmsg.sandbox.action_guide import fill_template
from mlmsg.sandbox.conversations import is_blocked, needs_reason
from mlmsg.sandbox.packs import Pack
from mlmsg.sandbox.schemas.action_guide import (
    Caps,
    Option,
    OptionList,
    OptionMessage,
    Template,
)

_CLOSED_ACCOUNT = "blocked_by_deactivated_account"


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: int
    error: str
    cause: str
    english: str
    portuguese: str

    def response(self, language: Language, **values: object) -> ErrorResponse:
        text = self.portuguese if language == "pt" else self.english
        message = text.format(**values)
        body = {
            "cause": self.cause,
            "error": self.error,
            "message": message,
            "status_code": self.status,
        }
        return ErrorResponse(self.status, message, body=body)


_EXCEPTED = _Refusal(
    400,
    "bad_request",
    "blocked_by_excepted_case",
    "The pack {pack} is an excepted case, use messaging",
    "O pacote {pack} é um caso de exceção, use mensagens",
)
_INVALID_TEXT = _Refusal(400, "limit_exceeded", "", "The text is invalid", "O texto não é válido")
_INVALID_TEMPLATE = _Refusal(
    400,
    "bad_request",
    "",
    "The template id {template} is invalid",
    "O id do template {template} não é válido",
)
_INVALID_VARIABLES = _Refusal(
    400, "bad_request", "", "The vars are invalid", "As vars não são válidas"
)
_PROMISE_BEFORE_TODAY = _Refusal(
    400,
    "bad_request",
    "",
    "The promise of delivery is before today",
    "A promessa de entrega é anterior a hoje",
)
_USED_UP = _Refusal(
    403,
    "bad_request",
    "",
    "You are not allowed to execute the option {option} again",
    "Você não pode executar a opção {option} novamente",
)
_OPEN = _Refusal(
    403,
    "forbidden",
    "",
    "The package has the conversation blocked, check blocked messages",
    "O pacote está com a conversa bloqueada, consulte mensagens bloqueadas",
)
_BLOCKED = _Refusal(
    403, "forbidden", "", "The conversation is blocked", "A conversa está bloqueada"
)
_NO_ACCESS = _Refusal(
    403,
    "forbidden",
    "",
    "You are not allowed to access the pack",
    "Você não tem permissão para acessar o pacote",
)
_UNKNOWN_PACK = _Refusal(
    404, "not_found", "", "The pack {pack} does not exist", "O pacote {pack} não existe"
)
_UNKNOWN_OPTION = _Refusal(404, "not_found", "", "The option is not valid", "A opção não é válida")
_LOCKED = _Refusal(
    409, "conflict", "", "Another request is locking", "Outra requisição está em andamento"
)
_BUYER_LEFT = _Refusal(
    451, "Unavailable", "", "The buyer closed the account", "O comprador encerrou a conta"
)
_PROMISE_IN_THE_PAST = {
    "en": "The delivery date is before today",
    "pt": "A data de entrega é anterior a hoje",
}


class VariableBody(msgspec.Struct, frozen=True):
    """The value of a variable of a template."""

    id: str
    value: int | float


class OptionBody(msgspec.Struct, frozen=True):
    """The JSON of a send: a free text, or a template with its variables."""

    option_id: str
    template_id: str | None = None
    text: str | None = None
    vars: list[VariableBody] | None = None


async def list_options(exchange: Exchange) -> Response:
    """Handle `GET .../action_guide/packs/{pack}`."""
    return json_response(OptionList(_find_pack(exchange).guide.options))


async def list_caps(exchange: Exchange) -> Response:
    """Handle `GET .../action_guide/packs/{pack}/caps_available`: a bare array."""
    guide = _find_pack(exchange).guide
    return json_response([Caps(option.id, option.cap_available) for option in guide.walk()])


async def send_option(exchange: Exchange) -> Response:
    """Handle `POST .../action_guide/packs/{pack}/option`: add the message of the option."""
    pack = _find_pack(exchange)
    body = await read_json(exchange, OptionBody)
    language = exchange.settings.language
    _check_conversation(pack, language)
    option = pack.guide.find(body.option_id)
    if option is None or not (option.enabled and option.actionable):
        raise _UNKNOWN_OPTION.response(language)
    if option.cap_available < 1:
        raise _USED_UP.response(language, option=option.id)
    text = _read_text(pack, option, body, language)
    option.cap_available -= 1
    return json_response(_add_message(exchange, pack, text))


def _routes_below(base: str) -> tuple[Route, ...]:
    handlers: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "", list_options),
        ("GET", "/caps_available", list_caps),
        ("POST", "/option", send_option),
    )
    return tuple(
        Route(method, base + path, handler, check_seller) for method, path, handler in handlers
    )


ROUTES = (
    *_routes_below("/messages/action_guide/packs/{pack}"),
    *_routes_below("/marketplace/messages/action_guide/packs/{pack}"),
)


def _find_pack(exchange: Exchange) -> Pack:
    language, market = exchange.settings.language, exchange.settings.market
    check_tag(exchange)
    pack_id = exchange.request.match_info["pack"]
    pack = exchange.find(market.packs, pack_id)
    if pack is None:
        check_order(exchange, pack_id)
        raise _UNKNOWN_PACK.response(language, pack=pack_id)
    if pack.seller_id not in market.user_ids:
        raise _NO_ACCESS.response(language)
    if pack.guide.is_excepted:
        raise _EXCEPTED.response(language, pack=pack_id)
    return pack


def _check_conversation(pack: Pack, language: Language) -> None:
    status = pack.conversation_status
    if is_blocked(status) and status.substatus == _CLOSED_ACCOUNT:
        raise _BUYER_LEFT.response(language)
    if pack.guide.locked_sends > 0:
        pack.guide.locked_sends -= 1
        raise _LOCKED.response(language)
    if not is_blocked(status) and pack.was_answered():
        raise _OPEN.response(language)
    if is_blocked(status) and not needs_reason(status):
        raise _BLOCKED.response(language)


def _read_text(pack: Pack, option: Option, body: OptionBody, language: Language) -> str:
    if option.type == "free_text":
        if not body.text or (option.char_limit and len(body.text) > option.char_limit):
            raise _INVALID_TEXT.response(language)
        return body.text
    templates = {template.id: template for template in option.templates or []}
    template = templates.get(body.template_id or "")
    if template is None:
        raise _INVALID_TEMPLATE.response(language, template=body.template_id)
    values = _read_variables(template, body, language)
    if template.vars and pack.guide.promise_has_passed:
        message = _PROMISE_IN_THE_PAST[language]
        raise ErrorResponse(500, message, body={"status_code": 500, "message": message})
    text = fill_template(template, pack.site_id, values)
    if text is None:
        raise _INVALID_TEMPLATE.response(language, template=template.id)
    return text


def _read_variables(template: Template, body: OptionBody, language: Language) -> list[int | float]:
    values = {variable.id: variable.value for variable in body.vars or []}
    names = [variable.id for variable in template.vars or []]
    if set(names) != set(values):
        raise _INVALID_VARIABLES.response(language)
    if any(value < 0 for value in values.values()):
        raise _PROMISE_BEFORE_TODAY.response(language)
    return [values[name] for name in names]


def _add_message(exchange: Exchange, pack: Pack, text: str) -> OptionMessage:
    moderation = moderation_of(exchange)
    if moderation is not None:
        # The document of the action guide has the reasons in lower case.
        moderation = msgspec.structs.replace(moderation, reason=(moderation.reason or "").lower())
    message = exchange.settings.market.add_message(
        pack.id,
        text,
        status="available" if moderation is None else "moderated",
        moderation=moderation,
    )
    return OptionMessage(
        id=message.id,
        to=message.recipient,
        status=message.status,
        text=message.text,
        message_date=message.message_date,
        message_moderation=message.message_moderation,
    )
