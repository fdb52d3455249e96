"""The recipient of a domestic message: the newest counterpart, the site's agent, or nobody."""

from typing import Final

import msgspec
import pytest

from mlmsg import ConversationStatus, Message, RecipientUnknown
from mlmsg.client._recipient import AGENTS, newest_counterpart, recipient_without_counterpart

SELLER: Final = 1
BUYER: Final = 2
AGENT: Final = 3


def said(sender: int | None, at: str | None) -> Message:
    source = None if sender is None else {"user_id": sender}
    row: dict[str, object] = {"id": f"{sender}{at}", "from": source, "to": {"user_id": BUYER}}
    row["message_date"] = None if at is None else {"created": f"2026-01-{at}T10:00:00Z"}
    return msgspec.convert(row, Message)


THREADS: Final[dict[str, tuple[list[Message], bool, int | None]]] = {
    "newest first": ([said(BUYER, "09"), said(AGENT, "08")], False, BUYER),
    "newest first, ours on top": ([said(SELLER, "09"), said(AGENT, "08")], False, AGENT),
    "oldest first, whole": ([said(BUYER, "01"), said(AGENT, "02")], True, AGENT),
    "oldest first, not whole": ([said(BUYER, "01"), said(AGENT, "02")], False, None),
    "in no order, whole": ([said(BUYER, "02"), said(AGENT, "05"), said(BUYER, "03")], True, AGENT),
    "only ours": ([said(SELLER, "01"), said(SELLER, "02")], True, None),
    "nothing": ([], True, None),
    "nobody named": ([said(None, "01")], True, None),
    "no dates, one counterpart": ([said(BUYER, None), said(SELLER, None)], True, BUYER),
    "no dates, two counterparts": ([said(BUYER, None), said(AGENT, None)], True, None),
    "no dates, not whole": ([said(BUYER, None)], False, None),
}


@pytest.mark.parametrize("name", THREADS)
def test_the_newest_counterpart_is_answered(name: str) -> None:
    messages, is_complete, user = THREADS[name]
    assert newest_counterpart(messages, SELLER, is_complete=is_complete) == user


def test_our_own_recipient_does_not_count() -> None:
    """A seller's `to` may name the buyer of a thread that an agent mediates."""
    assert newest_counterpart([said(SELLER, "01")], SELLER, is_complete=True) is None


@pytest.mark.parametrize(("site_id", "agent"), AGENTS.items())
def test_the_agent_of_a_site_is_written_to_where_it_mediates(site_id: str, agent: int) -> None:
    status = ConversationStatus(status="active", path="/packs/1/sellers/2/conversations/agent")
    assert recipient_without_counterpart(status, site_id.lower(), 0) == agent


REFUSED: Final[dict[str, tuple[ConversationStatus | None, str | None, str]]] = {
    "no path": (ConversationStatus(status="active"), "MLB", "path 'none'"),
    "no state": (None, "MLB", "path 'none'"),
    "nobody mediates": (ConversationStatus(path="/packs/1/sellers/2"), "MLB", "sellers/2"),
    "an unknown site": (
        ConversationStatus(path="/packs/1/conversations/x"), "MPE",
        "site MPE, allowed.*whose agent is known: MLA, .*to=",
    ),
    "no site": (
        ConversationStatus(path="/packs/1/conversations/x"), None,
        "conversations/x.*pass site_id=",
    ),
    "a blocked thread": (
        ConversationStatus(status="blocked", substatus="blocked_by_payment"), "MLB",
        r"blocked_by_payment, allowed: a thread that is not blocked\. Advice: later\. ",
    ),
    "a blocked thread with an agent of an unknown site": (
        ConversationStatus(status="blocked", substatus="blocked_by_time", path="/conversations/a"),
        None, r"allowed: a thread that is not blocked\. Advice: wait\. ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_nobody_is_guessed(name: str) -> None:
    status, site_id, words = REFUSED[name]
    with pytest.raises(RecipientUnknown, match=words):
        recipient_without_counterpart(status, site_id, 0)
