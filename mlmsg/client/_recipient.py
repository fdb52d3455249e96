"""Find the recipient of a domestic message in its thread. Pure.

The rule fits all that is known of mediated threads: answer the newest counterpart; if nobody has
written yet and the path of the thread says that an agent mediates, write to the site's agent;
otherwise refuse, because a message to a wrong recipient reaches nobody.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from mlmsg.errors import RecipientUnknown
from mlmsg.models import ConversationStatus, Message

__all__ = ["AGENTS", "blocked_hint", "newest_counterpart", "recipient_without_counterpart"]

AGENTS = {
    "MLA": 3037674934,
    "MLB": 3037675074,
    "MLC": 3020819166,
    "MCO": 3037204123,
    "MLM": 3037204279,
    "MLU": 3037204685,
}
"""The user ids of the agents that mediate, by site ("Mensajería post venta", since 02/02/2026).

In force for MLB and MLC. Not verified: the other sites have no known start date, and the document
names the id of MLU for "others".
"""


def newest_counterpart(
    messages: Sequence[Message], seller_id: int, *, is_complete: bool
) -> int | None:
    """Return the user who wrote the newest message that is not ours, or None if not yet known.

    Args:
        messages: The messages read so far, in the order of the server.
        seller_id: The seller's own id.
        is_complete: True if these are all messages of the thread.
    """
    inbound = [message for message in messages if _sender(message) not in {None, seller_id}]
    if not inbound:
        return None
    dates = [_date(message) for message in messages]
    if not is_complete and not _is_newest_first(dates):
        return None  # no document says that pages are newest first: read on
    dated = [(date, message) for message in inbound if (date := _date(message)) is not None]
    if len(dated) == len(inbound):
        newest = max(dated, key=lambda pair: pair[0])[1]
        return _sender(newest)
    senders = {_sender(message) for message in inbound}
    return senders.pop() if len(senders) == 1 else None


def recipient_without_counterpart(
    status: ConversationStatus | None, site_id: str | None, message_count: int
) -> int:
    """Return the site's agent if the path says that an agent mediates.

    Raises:
        RecipientUnknown: It does not, or the agent of the site is not known.
    """
    path = (status.path if status else None) or ""
    agent = AGENTS.get((site_id or "").upper())
    if "/conversations/" in path and agent is not None:
        return agent
    site = f", site {site_id}" if site_id else ""
    found = f"{message_count} messages, none from a counterpart, path {path or 'none'!r}{site}"
    if status is not None and status.status == "blocked":
        found = f"{found}, {status.substatus or 'blocked'}"
        raise RecipientUnknown(found, blocked_hint(status), "a thread that is not blocked")
    if "/conversations/" in path:
        limit = f"a message of a counterpart, or a site whose agent is known: {', '.join(AGENTS)}"
        hint = (
            "Pass to=, the user id of the buyer or agent; or start with client.reasons; "
            "or pass site_id=, the site of the sale"
        )
        raise RecipientUnknown(found, hint, limit)
    raise RecipientUnknown(found)


def blocked_hint(status: ConversationStatus) -> str:
    """Return the hint for a blocked thread, with its advice."""
    return f"Advice: {status.advice}. {status.hint}"


def _is_newest_first(dates: Sequence[datetime | None]) -> bool:
    known = [date for date in dates if date is not None]
    is_sorted = all(first >= second for first, second in pairwise(known))
    return len(known) == len(dates) and is_sorted


def _sender(message: Message) -> int | None:
    return message.from_.user_id if message.from_ else None


def _date(message: Message) -> datetime | None:
    date = message.message_date
    return None if date is None else date.created or date.received or date.available
