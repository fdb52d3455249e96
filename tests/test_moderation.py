"""What moderation made of a message, and what to do about it (api-beyond, h)."""

import json
from typing import Final

import msgspec
import pytest

from mlmsg import Message, Moderation, Sent, Unread, _operations
from mlmsg._wire import Response, decode
from mlmsg.models._moderation import MODERATION_HINTS

REASONS: Final = {
    "OUT_OF_PLACE_LANGUAGE": "other words",
    "SOCIAL_NETWORK_LINK": "social network",
    "LINK_SHORT_URL": "full address",
    "AUTOMATIC_MESSAGE": "Vary",
    "PERSONAL_DATA": "phone",
    "LINK_MERCADOPAGO": "payment",
    "ML_LINKS_PAYPAL": "payment",
    "EVASION_CLAIM_SELLER": "claim",
}


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("spell", [str, str.lower, str.title])
def test_each_documented_reason_has_advice_in_any_case(reason: str, spell: type[str]) -> None:
    assert REASONS[reason] in Moderation(reason=spell(reason)).hint
    assert {name.upper() for name in MODERATION_HINTS} == set(REASONS)


@pytest.mark.parametrize("reason", [None, "", "none", "NONE"])
def test_no_reason_needs_no_advice(reason: str | None) -> None:
    assert Moderation(reason=reason).hint == ""


def test_an_unknown_reason_is_named() -> None:
    assert "BRAND_NEW" in Moderation(reason="BRAND_NEW").hint


ANSWERS: Final[dict[str, tuple[object, bool, bool]]] = {
    "clean": ({"status": "available", "message_moderation": {"status": "clean"}}, False, False),
    "rejected": (
        {"status": "moderated", "message_moderation": {"status": "rejected"}}, True, False),
    "rejected, in capitals": ({"message_moderation": {"status": "REJECTED"}}, True, False),
    "moderated alone": ({"status": "moderated"}, True, False),
    "blocked": ({"message_moderation": {"status": "blocked"}}, True, False),
    "pending": ({"status": "available", "message_moderation": {"status": "pending"}}, False, True),
    "in moderation": ({"status": "IN_MODERATION"}, False, True),
    "pending translation": ({"status": "pending_translation"}, False, True),
    "not moderated": ({"message_moderation": {"status": "NON_MODERATED"}}, False, False),
    "nothing said": ({}, False, False),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_a_send_says_what_moderation_made_of_it(name: str) -> None:
    parts, rejected, pending = ANSWERS[name]
    assert isinstance(parts, dict)
    sent = Sent(status_code=201, message=msgspec.convert({"id": "m1", **parts}, Message))
    assert (sent.rejected, sent.pending) == (rejected, pending)


def test_a_send_without_a_message_says_nothing() -> None:
    sent = Sent(status_code=201)
    assert (sent.rejected, sent.pending) == (False, False)


ROWS: Final = {
    "/packs/12/sellers/5": (12, 5, None),
    "/packs/12/seller/5": (12, 5, None),
    "/packs/12": (12, 7, None),
    "/orders/13": (None, 7, 13),
}


@pytest.mark.parametrize("resource", ROWS)
@pytest.mark.parametrize("key", ["user_id", "userId"])
def test_an_unread_row_without_a_seller_belongs_to_the_user(resource: str, key: str) -> None:
    body = json.dumps({key: "7", "results": [{"resource": resource, "count": 1}]}).encode()
    unread = decode(_operations.unread("seller"), Response(200, {}, body))
    assert isinstance(unread, Unread)
    row = unread.results[0]
    assert (row.pack_id, row.seller_id, row.order_id) == ROWS[resource]
