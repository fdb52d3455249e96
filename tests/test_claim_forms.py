"""A claim keeps each of its values in whatever plain form it comes (issue: "Answers", 13)."""

import json
from datetime import UTC, datetime
from typing import Final

import pytest

from mlmsg import DecodeError, _operations
from mlmsg._wire import Response, decode
from mlmsg.models import Claim
from mlmsg.tables import rows

ACTION: Final = "send_message_to_complainant"
CREATED: Final = "2026-02-11T15:40:08.000-04:00"
MOMENT: Final = datetime(2026, 2, 11, 19, 40, 8, tzinfo=UTC)

WHOLE: Final[dict[str, object]] = {
    "id": 5294629673, "resource": "order", "resource_id": 2000009229357366, "site_id": "MLB",
    "type": "mediations", "reason_id": "PDD9939", "parent_id": 5294629600, "fulfilled": True,
    "quantity_type": "total", "claim_version": "2.0", "stage": "claim", "status": "opened",
    "date_created": CREATED, "last_updated": CREATED,
    "players": [{"role": "respondent", "type": "seller", "user_id": 41,
                 "available_actions": [{"action": ACTION, "mandatory": False}]}],
    "resolution": {"reason": "payment_refunded", "benefited": ["complainant"],
                   "closed_by": "mediator", "applied_coverage": True},
    "related_entities": ["return"],
}  # fmt: skip


def read(changes: dict[str, object], *, search: bool = False) -> Claim:
    """Return the claim with these changes, alone or as the row of a search."""
    row = WHOLE | changes
    if not search:
        return decode(_operations.claim(1), Response(200, {}, json.dumps(row).encode()))
    body = json.dumps({"data": [row, WHOLE], "paging": {"total": 2}}).encode()
    return decode(_operations.claim_search({"id": "1"}), Response(200, {}, body)).claims[0]


FORMS: Final[dict[str, tuple[str, object, object]]] = {
    "id, digits": ("id", "5294629673", 5294629673),
    "version, a fraction": ("claim_version", 1.5, "1.5"),
    "version, a whole fraction": ("claim_version", 2.0, "2.0"),
    "version, a number": ("claim_version", 2, "2"),
    "version, null": ("claim_version", None, None),
    "resource id, digits": ("resource_id", "2000009229357366", 2000009229357366),
    "resource id, a text": ("resource_id", "MP-77", "MP-77"),
    "resource id, null": ("resource_id", None, None),
    "parent, digits": ("parent_id", "5294629600", 5294629600),
    "parent, a text": ("parent_id", "a1", "a1"),
    "reason, a number": ("reason_id", 9939, "9939"),
    "site, null": ("site_id", None, None),
    "fulfilled, a text": ("fulfilled", "true", True),
    "fulfilled, a number": ("fulfilled", 1, True),
    "quantity, a number": ("quantity_type", 3, "3"),
    "created, milliseconds": ("date_created", 1770838808000, MOMENT),
    "created, no zone": ("date_created", "2026-02-11T19:40:08", MOMENT),
    "updated, a day": ("last_updated", "2026-02-11", datetime(2026, 2, 11, tzinfo=UTC)),
    "entities, an object": ("related_entities", [{"id": 5, "type": "return"}],
                            [{"id": 5, "type": "return"}]),
    "entities, mixed": ("related_entities", ["return", {"id": 5}, 7, None],
                        ["return", {"id": 5}, "7"]),
    "entities, a text": ("related_entities", "return", ["return"]),
    "entities, one object": ("related_entities", {"type": "return"}, [{"type": "return"}]),
    "entities, null": ("related_entities", None, None),
    "type of tomorrow": ("type", "of_tomorrow", "of_tomorrow"),
    "players, null": ("players", None, []),
    "players, odd": ("players", 17, []),
}  # fmt: skip


@pytest.mark.parametrize("search", [False, True], ids=["alone", "in a search"])
@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_value_is_kept(form: str, *, search: bool) -> None:
    name, sent, expected = FORMS[form]
    found = read({name: sent}, search=search)
    value = getattr(found, name)
    assert (type(value), value) == (type(expected), expected)
    # Nothing else of the claim is lost.
    others = {key for key in WHOLE if key != name}
    whole = read({})
    assert {key: getattr(found, key) for key in others} == {
        key: getattr(whole, key) for key in others
    }
    assert rows(found)[0]["id"] == 5294629673


PARTS: Final[dict[str, tuple[dict[str, object], str, object]]] = {
    "one player, no list": ({"players": {"role": "mediator"}}, "players.0.role", "mediator"),
    "a role that is a number": ({"players": [{"role": 5}]}, "players.0.role", "5"),
    "actions that are texts": (
        {"players": [{"available_actions": [ACTION]}]}, "available_actions", {ACTION}),
    "one action, no list": (
        {"players": [{"available_actions": {"action": ACTION}}]}, "available_actions", {ACTION}),
    "a resolution that is a text": ({"resolution": "refunded"}, "resolution.reason", "refunded"),
    "a resolution in a list": ({"resolution": [{"reason": "x"}]}, "resolution.reason", "x"),
    "one that benefits": (
        {"resolution": {"benefited": "complainant"}}, "resolution.benefited", ["complainant"]),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_each_form_of_a_part_is_kept(name: str) -> None:
    changes, path, expected = PARTS[name]
    found: object = read(changes)
    for part in path.split("."):
        found = found[int(part)] if isinstance(found, list) else getattr(found, part)
    assert found == expected


def test_a_claim_without_players_is_still_joined_to_its_order() -> None:
    row = {key: value for key, value in WHOLE.items() if key != "players"}
    claim = decode(_operations.claim(1), Response(200, {}, json.dumps(row).encode()))
    assert (claim.resource, claim.resource_id) == ("order", 2000009229357366)
    assert (claim.players, claim.available_actions) == ([], set())
    assert "opened" in claim._repr_html_()


@pytest.mark.parametrize("row", [{}, {"message": "no"}, {"stage": "claim"}, {"id": None}], ids=str)
def test_what_names_no_claim_is_an_error(row: dict[str, object]) -> None:
    with pytest.raises(DecodeError, match="not a claim"):
        decode(_operations.claim(1), Response(200, {}, json.dumps(row).encode()))
