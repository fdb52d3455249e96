"""One test for each row of the tables about reasons, blocked threads and domestic twins.

The names of the tests are those of the rows: `a` is the action guide, `b` are the blocked messages,
`c` are the domestic twins. Rows that need a server are also tested against the sandbox, in
`test_reasons`, `test_domestic_sellers` and the tests of the sandbox.
"""

import json
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec
import pytest
from sources import empty_form

from mlmsg import (
    ApiError,
    BadRequest,
    Client,
    ConversationOpen,
    ExceptedCase,
    NotFound,
    PermissionDenied,
    RateLimited,
    Reason,
    ReasonUsedUp,
    RuleError,
    ServerError,
    _operations,
)
from mlmsg._characters import unsupported_characters
from mlmsg._error_bodies import hint_for
from mlmsg._reason_errors import proves_not_executed
from mlmsg._wire import Request, Response, decode, error_from_response
from mlmsg.client._recipient import AGENTS, recipient_without_counterpart
from mlmsg.models import ConversationStatus, ThreadPage
from mlmsg.rules import Family, check_text, check_text_length

GLOBAL, DOMESTIC = Family.GLOBAL_SELLING, Family.DOMESTIC
GUIDE: Final = "/messages/action_guide/packs/7"
Sending: TypeAlias = Request[Any]


def line(request: Sending) -> str:
    query = f"?{request.query}" if request.query else ""
    return f"{request.method} {request.path}{query}"


def sent_body(request: Sending) -> object:
    assert request.body is not None
    return msgspec.json.decode(request.body)


# a. Requests -------------------------------------------------------------------------------


def send_other(family: Family) -> Sending:
    return _operations.send_reason(7, "OTHER", "Oi", None, None, family=family)


A_REQUESTS: Final[dict[str, tuple[Callable[[Family], Sending], str]]] = {
    "list": (lambda family: _operations.reasons(7, family=family), f"GET {GUIDE}"),
    "caps": (
        lambda family: _operations.reason_caps(7, family=family), f"GET {GUIDE}/caps_available"),
    "send": (send_other, f"POST {GUIDE}/option"),
}  # fmt: skip


@pytest.mark.parametrize("row", A_REQUESTS)
def test_a_requests(row: str) -> None:
    make, expected = A_REQUESTS[row]
    assert line(make(DOMESTIC)) == f"{expected}?tag=post_sale"
    assert line(make(GLOBAL)) == expected.replace("/messages", "/marketplace/messages")


# a. The keys of an option ------------------------------------------------------------------


def option(**keys: object) -> Reason:
    row = {"id": "OTHER", "enabled": True, "actionable": True, "type": "free_text", **keys}
    body = json.dumps({"options": [row]}).encode()
    return decode(_operations.reasons(7), Response(200, {}, body))[0]


VARIABLES: Final = [{"id": "V1", "type": "NUMBER"}]
TEXTS: Final = {"mla": {"html": "<p>%d</p>"}}
TEMPLATE: Final = {"id": "T1", "vars": VARIABLES, "texts": TEXTS}
A_KEYS: Final[dict[str, list[tuple[dict[str, object], Callable[[Reason], object], object]]]] = {
    "id": [
        ({"id": name}, lambda found: found.id, name)
        for name in ("REQUEST_VARIANTS", "REQUEST_BILLING_INFO", "SEND_INVOICE_LINK",
                     "DELIVERY_PROMISE", "OTHER", "OF_TOMORROW")
    ],
    "internal_description": [
        ({"internal_description": "Other"}, lambda found: found.internal_description, "Other")
    ],
    "enabled, actionable": [
        ({}, lambda found: found.usable, True),
        ({"enabled": False}, lambda found: found.usable, False),
        ({"actionable": False}, lambda found: found.usable, False),
        ({"enabled": None}, lambda found: found.usable, False),
    ],
    "type": [
        ({"type": "FREE_TEXT"}, lambda found: found.is_free_text, True),
        ({"type": "TEMPLATE"}, lambda found: found.is_free_text, False),
    ],
    "templates": [
        ({"templates": None}, lambda found: found.templates, None),
        ({"templates": [TEMPLATE]}, lambda found: [
            (one.id, [variable.id for variable in one.variables], one.texts)
            for one in found.templates or ()], [("T1", ["V1"], TEXTS)]),
        ({"templates": [{"id": "T1", "vars": None}]}, lambda found: [
            one.variables for one in found.templates or ()], [[]]),
    ],
    "char_limit": [
        ({"char_limit": 350}, lambda found: found.char_limit, 350),
        ({"char_limit": None}, lambda found: found.char_limit, None),
        ({}, lambda found: found.char_limit, None),
    ],
    "child_options": [
        ({"child_options": children}, lambda found: [one.id for one in found.walk()], names)
        for children, names in (
            (None, ["OTHER"]), ([], ["OTHER"]), ([{"id": "B"}], ["OTHER", "B"]))
    ],
    "cap_available": [
        ({"cap_available": 0}, lambda found: found.usable, False),
        ({"cap_available": 2}, lambda found: found.cap_available, 2),
        ({}, lambda found: found.usable, True),
    ],
}  # fmt: skip


@pytest.mark.parametrize("row", A_KEYS)
def test_a_keys_of_an_option(row: str) -> None:
    for keys, read, expected in A_KEYS[row]:
        assert read(option(**keys)) == expected


def test_a_caps_are_a_bare_array() -> None:
    body = b'[{"option_id": "OTHER", "cap_available": 1}]'
    assert decode(_operations.reason_caps(7), Response(200, {}, body)) == {"OTHER": 1}


# a. The bodies of a send -------------------------------------------------------------------

A_BODIES: Final[dict[str, tuple[tuple[object, ...], object]]] = {
    "template without variables": (
        ("X", None, "T1", None), {"option_id": "X", "template_id": "T1"}),
    "template with variables": (
        ("X", None, "T1", {"V1": 12}),
        {"option_id": "X", "template_id": "T1", "vars": [{"id": "V1", "value": 12}]}),
    "free text": (("OTHER", "Oi", None, None), {"option_id": "OTHER", "text": "Oi"}),
}  # fmt: skip


@pytest.mark.parametrize("family", Family, ids=lambda family: family.name)
@pytest.mark.parametrize("row", A_BODIES)
def test_a_body_of_send(row: str, family: Family) -> None:
    arguments, body = A_BODIES[row]
    make: Callable[..., Sending] = _operations.send_reason
    assert sent_body(make(7, *arguments, family=family)) == body


# a. Limits and rules -----------------------------------------------------------------------


def refused(answer: tuple[int, dict[str, object]], request: Sending | None = None) -> ApiError:
    """Return the error for a refusal of a send by option."""
    status, body = answer
    response = Response(status, {}, json.dumps(body).encode())
    sending = request or send_other(DOMESTIC)
    error = error_from_response(sending, response, "stand-in-token", 1)
    return sending.refine_error(error) if sending.refine_error else error


async def rule_of(reason: Reason, text: str) -> str:
    """Return the error of a send that is refused before any request."""
    async with Client("stand-in", base_url="http://127.0.0.1:9", global_selling=False) as client:
        with pytest.raises(RuleError) as caught:
            await client.reasons.send(7, reason, text=text)
    return str(caught.value)


async def test_a_rule_needed_for_mercado_envios_2() -> None:
    status = ConversationStatus(substatus="blocked_by_conversation_started_by_seller")
    assert (status.advice, "client.reasons" in status.hint) == ("reason", True)
    assert "client.reasons" in hint_for("blocked_by_conversation_started_by_seller")


async def test_a_rule_options_of_a_logistic_type() -> None:
    """The answer alone says which options a pack has."""
    error = await rule_of(option(id="REQUEST_VARIANTS", enabled=False), "x")
    assert "enabled=False" in error


async def test_a_rule_caps_are_per_option_and_pack() -> None:
    assert "cap_available=0" in await rule_of(option(cap_available=0), "x")


async def test_a_rule_after_the_answer_of_the_buyer_the_plain_send() -> None:
    status = ConversationStatus(substatus="blocked_by_conversation_use_message_api")
    assert (status.advice, "packs.send" in status.hint) == ("reply", True)


async def test_a_rule_other_is_unavailable_after_the_delivery() -> None:
    assert "actionable=False" in await rule_of(option(actionable=False), "x")


async def test_a_rule_manufacturing_time_is_excepted() -> None:
    error = refused((400, {"cause": "blocked_by_excepted_case", "error": "bad_request"}))
    assert isinstance(error, ExceptedCase)


async def test_a_rule_350_characters_for_free_text() -> None:
    assert "at most 350" in await rule_of(option(char_limit=350), "x" * 351)
    assert "at most 20" in await rule_of(option(char_limit=20), "x" * 21)


async def test_a_rule_options_per_site_are_an_open_set() -> None:
    assert option(id="OF_ANOTHER_SITE").usable


# a. Errors ---------------------------------------------------------------------------------


def said(error: str, message: str, cause: str = "") -> dict[str, object]:
    return {"cause": cause, "error": error, "message": message}


PAST: Final = {"message": "The delivery date is before today", "status_code": 500}
A_ERRORS: Final[dict[str, tuple[int, dict[str, object], type[ApiError], str, bool]]] = {
    # status, body, class, words of the hint, proof that the option did not run
    "400 excepted case": (
        400, said("bad_request", "pack is an excepted case", "blocked_by_excepted_case"),
        ExceptedCase, "packs.send", False),
    "400 limit_exceeded": (
        400, said("limit_exceeded", "text is invalid"), BadRequest, "reasons.list", False),
    "400 template id is invalid": (
        400, said("bad_request", "template id is invalid"), BadRequest, "reasons.list", False),
    "400 promise is before today": (
        400, said("bad_request", "promise of delivery is before today"), BadRequest,
        "reasons.list", False),
    "403 OTHER again": (
        403, said("bad_request", "not allowed to execute the option OTHER again"), ReasonUsedUp,
        "wait for the buyer", False),
    "403 open": (
        403, said("forbidden", "package has the conversation blocked, check blocked messages"),
        ConversationOpen, "packs.send", False),
    "403 blocked": (
        403, said("forbidden", "the conversation is blocked"), PermissionDenied,
        "conversation_status", False),
    "403 no access": (
        403, said("forbidden", "not allowed to access the pack"), PermissionDenied, "", False),
    "404 option is not valid": (
        404, said("not_found", "option is not valid"), NotFound, "reasons.list", False),
    "409 locking": (
        409, said("conflict", "another request is locking"), ApiError, "try again later", True),
    "429": (429, said("too_many_request", ""), RateLimited, "", False),
    "451": (451, said("Unavailable", ""), ApiError, "closed the account", False),
    "500 delivery date is before today": (500, PAST, ServerError, "delivery date", True),
    "500 internal": (500, said("internal_server_error", ""), ServerError, "", False),
}  # fmt: skip


@pytest.mark.parametrize("row", A_ERRORS)
def test_a_error(row: str) -> None:
    status, body, kind, words, is_proof = A_ERRORS[row]
    error = refused((status, body))
    assert (type(error), error.status) == (kind, status)
    assert words in error.hint
    response = Response(status, {}, json.dumps(body).encode())
    assert proves_not_executed(response) is is_proof


def test_a_error_of_the_plain_send_other_again() -> None:
    body = said("bad_request", "You are not allowed to execute the option OTHER again")
    error = refused((403, body), _operations.send_to_pack(7, "Oi", None, []))
    assert isinstance(error, ReasonUsedUp)


# b. Blocked messages -----------------------------------------------------------------------

B_ROWS: Final[dict[str, tuple[str, ...]]] = {
    "time": ("wait", "blocked_by_time"),
    "buyer": ("final", "blocked_by_buyer"),
    "mediation": ("claim", "blocked_by_mediation", "bloqued_by_mediation"),
    "mediation_fbm": ("claim", "blocked_by_mediation_fbm"),
    "fulfillment": ("wait", "blocked_by_fulfillment"),
    "payment": ("later", "blocked_by_payment"),
    "conversation_initiated_by_seller": ("wait", "blocked_by_conversation_initiated_by_seller"),
    "conversation_initiated_by_seller_limited": (
        "reason", "blocked_by_conversation_initiated_by_seller_limited"),
    "conversation_use_message_api": ("reply", "blocked_by_conversation_use_message_api"),
    "cancelled_order, by_fraud, hidden": (
        "final", "blocked_by_cancelled_order", "blocked_by_cancelled_order_by_fraud",
        "blocked_by_cancelled_order_fraud", "blocked_by_fraud", "blocked_by_hidden",
        "blocked_by_cancelled_order_hidden"),
    "conversation_expired": ("final", "blocked_by_conversation_expired"),
    "refund": ("wait", "blocked_by_refund"),
    "claim_change_open, closed": (
        "claim", "blocked_by_claim_change_open", "blocked_by_claim_change_closed"),
    "deactivated_account": ("final", "blocked_by_deactivated_account"),
    "restrictions": ("final", "blocked_by_restrictions"),
    "message_pending_review": ("later", "blocked_by_message_pending_review"),
    "return_to_buyer_fulfillment": ("final", "blocked_by_return_to_buyer_fulfillment"),
    "ai_assistant": ("wait", "blocked_by_ai_assistant"),
    "ai_assistant_expired, contact_closed": (
        "final", "blocked_by_ai_assistant_expired", "blocked_by_ai_assistant_contact_closed",
        "blocked_by_contact_closed", "block_by_ai_assistant_initiated_by_seller_expired"),
    "guest_shops": ("final", "blocked_by_guest_shops"),
    "resale, proximity_groceries": (
        "final", "blocked_by_resale", "blocked_by_proximity_groceries"),
    "conversation_started_by_seller": ("reason", "blocked_by_conversation_started_by_seller"),
}  # fmt: skip
PREFIXES: Final = ("blocked_by_", "block_by_", "bloqued_by_", "BLOCKED_BY_", "")


@pytest.mark.parametrize("row", B_ROWS)
def test_b_substatus(row: str) -> None:
    advice, *substatuses = B_ROWS[row]
    for substatus in substatuses:
        name = substatus.partition("_by_")[2]
        for prefix in PREFIXES:
            status = ConversationStatus(status="blocked", substatus=f"{prefix}{name}")
            assert (status.advice, bool(status.hint)) == (advice, True), status.substatus
        # The error of a send says the same, whatever words are around the substatus.
        for message in (substatus, f"Forbidden: {substatus.upper()}."):
            body = {"status_code": 403, "code": "forbidden", "message": message}
            error = refused((403, body), _operations.send_as_seller(7, 1, 2, "Oi", []))
            assert error.hint == ConversationStatus(substatus=substatus).hint


@pytest.mark.parametrize(
    "substatus", ["blocked_by_of_tomorrow", "of_tomorrow", "Blocked_By_Of_Tomorrow", ""]
)
def test_b_an_open_set(substatus: str) -> None:
    status = ConversationStatus(status="blocked", substatus=substatus)
    assert status.advice == "unknown"
    assert (substatus or "blocked") in status.hint


def test_b_send_on_a_blocked_thread() -> None:
    text = "blocked_conversation_send_message_forbidden"
    body = {"status_code": 403, "code": "forbidden", "message": text}
    error = refused((403, body), _operations.send_to_pack(7, "Oi", None, []))
    assert isinstance(error, PermissionDenied)
    assert "conversation_status" in error.hint


# c. Domestic twins -------------------------------------------------------------------------


def test_c_thread_page() -> None:
    request = _operations.seller_thread(7, 8, 50, 0, mark_as_read=False)
    assert request.path == "/messages/packs/7/sellers/8"
    pairs = sorted(request.query.split("&"))
    assert pairs == ["limit=50", "mark_as_read=false", "offset=0", "tag=post_sale"]


C_TWINS: Final[dict[str, tuple[Sending, str]]] = {
    "message": (_operations.message("m1", family=DOMESTIC), "GET /messages/m1?tag=post_sale"),
    "send": (
        _operations.send_as_seller(7, 8, 9, "Oi", ["a.png"]),
        "POST /messages/packs/7/sellers/8?tag=post_sale"),
    "upload": (
        _operations.upload("MLB", empty_form(), family=DOMESTIC),
        "POST /messages/attachments?tag=post_sale&site_id=MLB"),
    "download": (
        _operations.download("a.png", "MLB", family=DOMESTIC),
        "GET /messages/attachments/a.png?tag=post_sale&site_id=MLB"),
}  # fmt: skip


@pytest.mark.parametrize("row", C_TWINS)
def test_c_twin(row: str) -> None:
    request, expected = C_TWINS[row]
    assert line(request) == expected


def test_c_body_of_send() -> None:
    people = {"from": {"user_id": "8"}, "to": {"user_id": "9"}, "text": "Oi"}
    assert sent_body(_operations.send_as_seller(7, 8, 9, "Oi", [])) == people
    with_file = _operations.send_as_seller(7, 8, 9, "Oi", ["a.png"])
    assert sent_body(with_file) == people | {"attachments": ["a.png"]}


C_AGENTS: Final = {
    "MLC": 3020819166,
    "MCO": 3037204123,
    "MLM": 3037204279,
    "MLA": 3037674934,
    "MLB": 3037675074,
    "MLU": 3037204685,
}


@pytest.mark.parametrize("row", C_AGENTS)
def test_c_agent(row: str) -> None:
    status = ConversationStatus(status="active", path="/packs/1/sellers/2/conversations/x")
    assert recipient_without_counterpart(status, row, 0) == C_AGENTS[row] == AGENTS[row]
    assert set(AGENTS) == set(C_AGENTS)


def thread(**keys: object) -> ThreadPage:
    body = json.dumps({"messages": [], **keys}).encode()
    request = _operations.seller_thread(7, 8, 1, 0, mark_as_read=False)
    return decode(request, Response(200, {}, body))


def test_c_text_350_for_the_seller() -> None:
    words = "The message content is too long, max characters allowed are 350"
    error = refused((400, {"message": words}), _operations.send_as_seller(7, 8, 9, "Oi", []))
    assert (type(error), error.message) == (BadRequest, words)


def test_c_text_the_page_carries_both_lengths() -> None:
    page = thread(seller_max_message_length=350, buyer_max_message_length=3500)
    assert (page.seller_max_message_length, page.buyer_max_message_length) == (350, 3500)


def test_c_text_a_live_thread_carried_3500_for_the_seller() -> None:
    page = thread(seller_max_message_length="3500")
    check_text_length("x" * 3500, page.seller_max_message_length)


def test_c_text_the_number_of_the_thread_wins() -> None:
    for maximum in (350, 3500):
        with pytest.raises(RuleError, match=f"at most {maximum} characters in this thread"):
            check_text_length("x" * (maximum + 1), maximum)
    check_text_length("x" * 100_000, None)


def test_c_text_global_selling_has_no_length() -> None:
    text = "x" * 100_000
    assert sent_body(_operations.send_to_pack(7, text, None, [])) == {"text": text}


def test_c_text_characters() -> None:
    assert unsupported_characters("Olá, ¿qué? 😀 ❤️") == []
    assert unsupported_characters("Olá 中 → “ok”") == ["中", "→", "“", "”"]


def test_c_text_how_characters_are_counted_is_not_known() -> None:
    """A code point is one character here: nothing is refused that the API might accept."""
    check_text_length("😀" * 350, 350)


def test_c_text_global_selling_has_no_character_rule() -> None:
    assert sent_body(_operations.send_to_pack(7, "你好", "Olá", [])) == {
        "text": "你好", "text_translated": "Olá",
    }  # fmt: skip


def test_c_text_a_claim_message_has_no_known_length() -> None:
    check_text("x" * 100_000)
