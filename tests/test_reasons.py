"""Reasons to start a conversation, both families (api-beyond, a)."""

import math
import pickle
from collections.abc import AsyncIterator
from typing import Any, Final, Literal

import msgspec
import pytest

from mlmsg import (
    ApiError,
    BadRequest,
    Client,
    ConversationOpen,
    ExceptedCase,
    Message,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    Reason,
    ReasonUsedUp,
    RetryPolicy,
    RuleError,
    ServerError,
    _operations,
)
from mlmsg.rules import Family
from mlmsg.sandbox import Fault, Sandbox, example_market

LIMITED: Final = 2000007002000044
AT_ONCE: Final = RetryPolicy(base=0.0)


@pytest.fixture(params=["domestic", "global selling"])
async def market(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Sandbox, Client, str]]:
    """A market, a client for its family, and a pack that needs a reason."""
    is_domestic = request.param == "domestic"
    example = example_market(site_id="MLB") if is_domestic else example_market()
    pack_id = str(LIMITED)
    if not is_domestic:
        pack = example.add_pack(site_id="MLM")
        example.block(pack.id, "blocked_by_conversation_initiated_by_seller_limited")
        pack_id = pack.id
    async with (
        Sandbox(market=example) as sandbox,
        Client(
            sandbox.token, global_selling=not is_domestic, base_url=sandbox.url, retry=AT_ONCE
        ) as client,
    ):
        yield sandbox, client, pack_id


async def test_the_options_are_listed_with_what_they_can_do(
    market: tuple[Sandbox, Client, str],
) -> None:
    _, client, pack_id = market
    options = await client.reasons.list(pack_id)
    by_id = {option.id: option for option in options}
    assert {"REQUEST_VARIANTS", "REQUEST_BILLING_INFO", "OTHER"} <= set(by_id)
    assert by_id["OTHER"].is_free_text
    assert by_id["OTHER"].char_limit == 350
    assert by_id["OTHER"].usable
    caps = await client.reasons.caps(pack_id)
    assert caps["OTHER"] == 1


async def test_a_free_text_starts_the_conversation_once(
    market: tuple[Sandbox, Client, str],
) -> None:
    sandbox, client, pack_id = market
    sent = await client.reasons.send(pack_id, "OTHER", text="Tu pedido sale mañana")
    assert sent.message
    assert sandbox.market.packs[pack_id].messages[0].text == "Tu pedido sale mañana"
    assert (await client.reasons.caps(pack_id))["OTHER"] == 0
    with pytest.raises(ReasonUsedUp, match=r"wait for the buyer"):
        await client.reasons.send(pack_id, "OTHER", text="Otra vez")
    option = next(o for o in await client.reasons.list(pack_id) if o.id == "OTHER")
    assert not option.usable


async def test_a_template_is_sent_by_its_id(market: tuple[Sandbox, Client, str]) -> None:
    _, client, pack_id = market
    options = {option.id: option for option in await client.reasons.list(pack_id)}
    option = options["REQUEST_BILLING_INFO"]
    assert option.templates
    sent = await client.reasons.send(pack_id, option, template_id=option.templates[0].id)
    assert sent.message
    assert sent.message.text


VARIABLES: Final = [{"id": "V1", "type": "NUMBER"}, {"id": "V2", "type": "NUMBER"}]
PROMISE: Final = {
    "id": "DELIVERY_PROMISE", "enabled": True, "actionable": True, "type": "TEMPLATE",
    "templates": [{"id": "T1", "vars": VARIABLES, "texts": {"mla": {"html": "%d"}}}],
    "cap_available": 1, "child_options": None,
}  # fmt: skip
FREE: Final = {
    "id": "OTHER", "enabled": True, "actionable": True, "type": "free_text", "templates": None,
    "char_limit": 350, "cap_available": 1,
}  # fmt: skip


def reason(**changes: object) -> Reason:
    return msgspec.convert({**FREE, **changes}, Reason)


BODIES: Final[dict[str, tuple[dict[str, Any], dict[str, object]]]] = {
    "a free text": ({"text": "Hola"}, {"option_id": "OTHER", "text": "Hola"}),
    "a template": ({"template_id": "T"}, {"option_id": "OTHER", "template_id": "T"}),
    "a template with variables": (
        {"template_id": "T", "variables": {"V1": 12, "V2": 14.5}},
        {
            "option_id": "OTHER",
            "template_id": "T",
            "vars": [{"id": "V1", "value": 12}, {"id": "V2", "value": 14.5}],
        },
    ),
}


@pytest.mark.parametrize("family", Family, ids=lambda family: family.name)
@pytest.mark.parametrize("name", BODIES)
def test_the_body_is_the_documented_one(name: str, family: Family) -> None:
    arguments, body = BODIES[name]
    content = {"text": None, "template_id": None, "variables": None} | arguments
    request = _operations.send_reason(1, "OTHER", *content.values(), family=family)
    assert request.body is not None
    assert msgspec.json.decode(request.body) == body


REFUSED: Final[dict[str, tuple[str | Reason, dict[str, Any], str]]] = {
    "neither text nor template": ("OTHER", {}, "neither of them"),
    "both": ("OTHER", {"text": "x", "template_id": "T"}, "both of them"),
    "an empty text": ("OTHER", {"text": ""}, "empty"),
    "variables beside a text": ("OTHER", {"text": "x", "variables": {"V": 1}}, "only with"),
    "a variable that is no number": ("X", {"template_id": "T", "variables": {"V": "1"}}, "number"),
    "a bool": ("X", {"template_id": "T", "variables": {"V": True}}, "number"),
    "no finite number": ("X", {"template_id": "T", "variables": {"V": math.nan}}, "finite number"),
    "too large a number": ("X", {"template_id": "T", "variables": {"V": 10**400}}, "finite"),
    "no option": ("", {"text": "x"}, "option's id"),
    "not enabled": (reason(enabled=False), {"text": "x"}, "enabled=False"),
    "not actionable": (reason(actionable=False), {"text": "x"}, "actionable=False"),
    "used up": (reason(cap_available=0), {"text": "x"}, "cap_available=0"),
    "too long": (reason(), {"text": "x" * 351}, "at most 350"),
    "a text for a template": (reason(**PROMISE), {"text": "x"}, "one of its templates"),
    "another template": (reason(**PROMISE), {"template_id": "T9"}, "T1"),
    "a variable too few": (
        reason(**PROMISE), {"template_id": "T1", "variables": {"V1": 1}}, "allowed: V1, V2"),
    "a variable too many": (
        reason(**PROMISE), {"template_id": "T1", "variables": {"V1": 1, "V2": 2, "V3": 3}}, "V3"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_what_does_not_fit_the_option_is_not_sent(
    market: tuple[Sandbox, Client, str], name: str
) -> None:
    sandbox, client, pack_id = market
    option, arguments, words = REFUSED[name]
    with pytest.raises(RuleError, match=words):
        await client.reasons.send(pack_id, option, **arguments)
    assert not sandbox.requests


def body(error: str, message: str, status: int, cause: str = "") -> bytes:
    return msgspec.json.encode(
        {"cause": cause, "error": error, "message": message, "status_code": status}
    )


EXCEPTED: Final = "The pack is an excepted case, use messaging"
ERRORS: Final[dict[str, tuple[int, bytes, type[Exception], str]]] = {
    "excepted case": (400, body("bad_request", EXCEPTED, 400, "blocked_by_excepted_case"),
                      ExceptedCase, "packs.send"),
    "excepted case, in Portuguese": (
        400, body("bad_request", "O pack é um caso excetuado", 400, "blocked_by_excepted_case"),
        ExceptedCase, "packs.send"),
    "text is invalid": (400, body("limit_exceeded", "text is invalid", 400), BadRequest, "reasons"),
    "template is invalid": (400, body("bad_request", "template id is invalid", 400),
                            BadRequest, "reasons.list"),
    "used up": (403, body("bad_request", "not allowed to execute the option OTHER again", 403),
                ReasonUsedUp, "wait for the buyer"),
    "open": (403, body("forbidden", "The package has the conversation blocked, check blocked "
                       "messages", 403), ConversationOpen, "packs.send"),
    "blocked": (403, body("forbidden", "the conversation is blocked", 403),
                PermissionDenied, "conversation_status"),
    "another's pack": (403, body("forbidden", "not allowed to access the pack", 403),
                       PermissionDenied, ""),
    "option is not valid": (404, body("not_found", "option is not valid", 404),
                            NotFound, "reasons.list"),
    "account closed": (451, body("Unavailable", "", 451), ApiError, "closed the account"),
    "an old promise": (500, msgspec.json.encode({"status_code": 500, "message":
                       "The delivery date is before today"}), ServerError, "delivery date"),
    "an old promise, in Portuguese": (500, msgspec.json.encode({"status_code": 500, "message":
                       "A data de entrega é anterior a hoje"}), ServerError, "delivery date"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
async def test_each_error_is_typed_explained_and_not_repeated(
    market: tuple[Sandbox, Client, str], name: str
) -> None:
    sandbox, client, pack_id = market
    status, answer, kind, words = ERRORS[name]
    sandbox.inject(Fault(status=status, body=answer, path="/option"))
    with pytest.raises(kind) as caught:
        await client.reasons.send(pack_id, "OTHER", text="Hola")
    assert isinstance(caught.value, ApiError)
    assert (type(caught.value), caught.value.status) == (kind, status)
    assert words in caught.value.hint
    assert len(sandbox.requests) == 1


async def test_an_unknown_failure_leaves_the_outcome_open(
    market: tuple[Sandbox, Client, str],
) -> None:
    sandbox, client, pack_id = market
    sandbox.inject(Fault(status=500, body=body("internal_server_error", "", 500), path="/option"))
    with pytest.raises(OutcomeUnknown):
        await client.reasons.send(pack_id, "OTHER", text="Hola")
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("is_delivered", [False, True])
async def test_a_text_whose_answer_was_lost_is_found_if_it_is_there(
    market: tuple[Sandbox, Client, str], *, is_delivered: bool
) -> None:
    sandbox, client, pack_id = market
    sandbox.inject(Fault(action="lose" if is_delivered else "drop", path="/option"))
    with pytest.raises(OutcomeUnknown) as caught:
        await client.reasons.send(pack_id, "OTHER", text="Hola")
    found = await caught.value.reconcile()
    messages = sandbox.market.packs[pack_id].messages
    assert [message.id for message in messages] == (
        [found.id] if isinstance(found, Message) else []
    )
    assert len(messages) == is_delivered


async def test_a_text_that_was_answered_is_not_found_for_another_send(
    market: tuple[Sandbox, Client, str],
) -> None:
    sandbox, client, pack_id = market
    await client.reasons.send(pack_id, "OTHER", text="Hola")
    sandbox.market.unblock(pack_id)
    sandbox.inject(Fault(action="drop", method="POST"))
    buyer = sandbox.market.packs[pack_id].buyer_id
    to = buyer if sandbox.market.site_id == "MLB" else None
    with pytest.raises(OutcomeUnknown) as caught:
        await client.packs.send(pack_id, "Hola", to=to)
    assert await caught.value.reconcile() is None


@pytest.mark.parametrize("action", ["lose", "drop"])
async def test_a_template_whose_answer_was_lost_is_doubtful_only_if_it_may_have_arrived(
    market: tuple[Sandbox, Client, str], action: Literal["lose", "drop"]
) -> None:
    sandbox, client, pack_id = market
    options = await client.reasons.list(pack_id)
    option = next(option for option in options if option.id == "REQUEST_VARIANTS")
    assert option.templates
    sandbox.inject(Fault(action=action, path="/option"))
    with pytest.raises(OutcomeUnknown) as caught:
        await client.reasons.send(pack_id, option, template_id=option.templates[0].id)
    if action == "drop":  # the thread has no message of ours
        assert await caught.value.reconcile() is None
        return
    with pytest.raises(OutcomeUnknown, match="the text that the API made is unknown") as doubt:
        await caught.value.reconcile()
    assert "reconcile()" not in str(doubt.value)  # it would raise the same again
    copied = pickle.loads(pickle.dumps(doubt.value))  # noqa: S301  (our own bytes)
    assert "Read the thread, or ask the buyer" in str(copied)


@pytest.mark.parametrize("status", [409, 429])
async def test_a_locked_or_limited_send_is_repeated_after_a_pause(
    market: tuple[Sandbox, Client, str], status: int
) -> None:
    sandbox, client, pack_id = market
    refusal = body("conflict", "another request is locking", status)
    sandbox.inject(Fault(status=status, body=refusal, path="/option", times=2))
    await client.reasons.send(pack_id, "OTHER", text="Hola")
    assert len(sandbox.requests) == 3
    assert len(sandbox.market.packs[pack_id].messages) == 1


async def test_a_lock_that_stays_is_an_error_in_the_end(
    market: tuple[Sandbox, Client, str],
) -> None:
    sandbox, client, pack_id = market
    sandbox.inject(Fault(status=409, path="/option", times=99))
    with pytest.raises(ApiError) as caught:
        await client.reasons.send(pack_id, "OTHER", text="Hola")
    assert (caught.value.status, caught.value.attempts) == (409, AT_ONCE.attempts)


async def test_a_rate_limit_on_the_list_is_raised_as_one(
    market: tuple[Sandbox, Client, str],
) -> None:
    sandbox, client, pack_id = market
    sandbox.inject(Fault(status=429, path="/action_guide", times=99))
    with pytest.raises(RateLimited):
        await client.reasons.list(pack_id)


def test_children_are_walked() -> None:
    tree = msgspec.convert({**FREE, "child_options": [{**FREE, "id": "B"}, PROMISE]}, Reason)
    assert [option.id for option in tree.walk()] == ["OTHER", "B", "DELIVERY_PROMISE"]
    assert [reason(type=kind).is_free_text for kind in ("FREE_TEXT", "free_text", "template")] == [
        True, True, False,
    ]  # fmt: skip
