"""The market of the sandbox without a server: packs, claims, read marks, ids."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sandboxes import JPG

from mlmsg.sandbox import (
    Market,
    UnreadCount,
)


async def test_ids_of_packs_repeat_in_every_run_but_not_within_one() -> None:
    first, second = Market(), Market()
    made = []
    for market in (first, second):
        packs = [market.add_pack(), market.add_pack()]
        files = [market.add_file(b"x", "a.png") for _ in range(3)]
        sent = [market.add_message(pack.id, "x") for pack in packs for _ in range(3)]
        made.append([p.id for p in packs] + [f.id for f in files] + [m.id for m in sent])
    assert made[0] == made[1]
    assert len(set(made[0])) == 11


def test_the_default_players_are_a_buyer_and_the_user() -> None:
    now = datetime(2024, 8, 22, 22, 21, 20, 987654, tzinfo=timezone(timedelta(hours=2)))
    market = Market(user_id=5, now=lambda: now)
    claim = market.add_claim()
    assert market.claims == {claim.id: claim}
    assert (claim.stage, claim.status, claim.version_1) == ("claim", "opened", False)
    assert claim.date_created == "2024-08-22T16:21:20.000-04:00"
    assert [player.role for player in claim.players] == ["complainant", "respondent"]
    assert claim.player_of(5) is claim.player("respondent")
    assert claim.player_of(6) is None
    with pytest.raises(KeyError):
        claim.player("mediator")
    dispute = market.add_claim("5200000099", stage="dispute", site_id="MLB")
    assert dispute.player("mediator").type == "internal"
    assert (dispute.id, dispute.details().id, dispute.site_id) == ("5200000099", 5200000099, "MLB")
    with pytest.raises(ValueError, match="already has a mediator"):
        dispute.add_player("mediator", 7)


def test_a_claim_message_has_a_sender_a_receiver_and_a_date() -> None:
    now = datetime(2024, 8, 22, 22, 21, 20, tzinfo=UTC)
    market = Market(now=lambda: now)
    claim = market.add_claim(1, stage="dispute")
    first = market.add_claim_message(1, "a", sender="mediator", receiver="complainant")
    second = market.add_claim_message(
        "1", "b", sender="mediator", stage="claim", status="moderated"
    )
    assert claim.messages == [second, first]
    assert (first.sender_role, first.receiver_role) == ("mediator", "complainant")
    assert (first.stage, first.status) == ("dispute", "available")
    assert (second.receiver_role, second.stage, second.status) == (
        "respondent",
        "claim",
        "moderated",
    )
    assert first.date_created == "2024-08-22T18:21:20.000-04:00"
    assert first.message_moderation.date_moderated == "2024-08-22T22:21:20Z"


def test_unknown_claims_and_files_are_a_key_error() -> None:
    market = Market()
    market.add_claim(1)
    with pytest.raises(KeyError):
        market.add_claim_message(2, "Hola")
    with pytest.raises(KeyError):
        market.add_claim_file(2, JPG, "a.jpg")
    with pytest.raises(KeyError):
        market.add_claim_message(1, "Hola", attachments=["a.jpg"])
    with pytest.raises(ValueError, match="a date with a zone"):
        market.add_claim_message(1, "Hola", at="2024-08-22T18:21:20")
    with pytest.raises(ValueError, match="a date with a zone"):
        market.add_claim(at="2024-08-22T18:21:20")
    with pytest.raises(ValueError, match="invalid literal"):
        market.add_claim("abc")
    assert market.claims["1"].messages == []
    assert list(market.claims) == ["1"]


def test_ids_of_claims_repeat_in_every_run_but_not_within_one() -> None:
    made = []
    for market in (Market(), Market()):
        claims = [market.add_claim(), market.add_claim(stage="dispute")]
        files = [market.add_claim_file(claim.id, JPG, "a.jpg") for claim in claims * 2]
        made.append([claim.id for claim in claims] + [file.file_name for file in files])
    assert made[0] == made[1]
    assert len(set(made[0])) == 6


def test_the_market_counts_and_marks_without_a_server() -> None:
    now = datetime(2024, 9, 20, 12, 30, 15, 999999, tzinfo=UTC)
    market = Market(now=lambda: now)
    pack = market.add_pack(1)
    assert pack.resource == "/packs/1/sellers/700100200"
    assert market.unread() == []
    market.add_message(1, "Hola", author="buyer")
    assert market.unread() == market.unread("seller") == [UnreadCount(pack.resource, 1)]
    assert market.unread("buyer") == []
    assert (pack.unread(market.user_id), pack.unread(pack.buyer_id)) == (1, 0)
    messages = pack.messages
    assert market.mark_as_read(1) == 1
    # The list was changed in place.
    assert messages[0].message_date.read == "2024-09-20T12:30:15Z"
    assert messages[0].message_date.notified == "2024-09-20T12:30:15.000Z"
    assert market.unread() == []


@pytest.mark.parametrize("pack", [2, "2"])
def test_a_pack_that_is_not_there_cannot_be_marked(pack: int | str) -> None:
    with pytest.raises(KeyError):
        Market().mark_as_read(pack)
