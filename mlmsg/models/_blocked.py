"""Advice for blocked conversations, by substatus ("Blocked messages").

The set of substatuses is open: the API adds new ones. `advice_for` returns `"unknown"` for those.
Where the table says "not verified", the document describes the block without saying when it ends.
"""

from typing import Literal, TypeAlias

import msgspec

from mlmsg._patterns import LazyPattern

__all__ = ["ADVICE", "SUBSTATUS", "Advice", "Guidance", "guidance_for"]

Advice: TypeAlias = Literal["reply", "reason", "wait", "claim", "later", "final", "unknown"]
"""The next step that a seller can take.

- `reply`: send a message with `client.packs.send`.
- `reason`: start the conversation with `client.reasons`.
- `wait`: wait until the buyer writes, or until the sale goes on.
- `claim`: answer in the claim with `client.claims.send`.
- `later`: try again later.
- `final`: no message can be sent.
- `unknown`: the API gave a state that this version does not know.
"""


class Guidance(msgspec.Struct, frozen=True, gc=False):
    """The advice for a substatus, and a sentence that explains it."""

    advice: Advice
    hint: str


_REASON = "Start the conversation with a reason: client.reasons.list, then client.reasons.send"
_CLAIM = "A mediation is running: answer in the claim, with receiver_role 'mediator'"
_GONE = "The conversation cannot be opened again"
_FRAUD = Guidance("final", "The sale was cancelled because of fraud")
_HIDDEN = Guidance("final", "The sale was cancelled and is hidden")
_ASSISTANT_OVER = (
    "The AI assistant's conversation has ended. The buyer can ask again (not verified)"
)

ADVICE: dict[str, Guidance] = {
    "time": Guidance("wait", "30 days have passed since the last message: wait for the buyer"),
    "buyer": Guidance("final", "The buyer refuses messages: only the buyer can open it again"),
    "mediation": Guidance("claim", _CLAIM),
    "mediation_fbm": Guidance("claim", _CLAIM),
    "fulfillment": Guidance("wait", "A Full sale is not delivered yet: wait for the delivery"),
    "payment": Guidance("later", "The sale is not paid yet: try again a minute after the payment"),
    "conversation_initiated_by_seller": Guidance("wait", "Wait until the buyer writes first"),
    "conversation_initiated_by_seller_limited": Guidance("reason", _REASON),
    "conversation_started_by_seller": Guidance("reason", _REASON),
    "conversation_use_message_api": Guidance("reply", "The buyer has written: use packs.send"),
    "conversation_started_by_seller_limited": Guidance("reason", _REASON),
    "cancelled_order": Guidance("final", "The sale was cancelled"),
    "cancelled_order_by_fraud": _FRAUD,
    "cancelled_order_fraud": _FRAUD,
    "fraud": _FRAUD,
    "cancelled_order_hidden": _HIDDEN,
    "cancelled_order_by_hidden": _HIDDEN,
    "hidden": _HIDDEN,
    "conversation_expired": Guidance(
        "final", "18 months have passed since the purchase: the messages are not returned any more"
    ),
    "refund": Guidance("wait", "The sale was refunded: wait until the buyer writes"),
    "claim_change_open": Guidance(
        "claim", "A product change is in process: see the claim (not verified)"
    ),
    "claim_change_closed": Guidance(
        "claim", "A product change has been closed: see the claim (not verified)"
    ),
    "deactivated_account": Guidance("final", "An account of the sale does not exist any more"),
    "restrictions": Guidance("final", f"One party is restricted. {_GONE} for now (not verified)"),
    "message_pending_review": Guidance("later", "A message is under review: try again later"),
    "return_to_buyer_fulfillment": Guidance(
        "final", "Full sends the product back to the buyer (not verified)"
    ),
    "ai_assistant": Guidance(
        "wait",
        "The AI assistant talks with the buyer: answer its agent if it writes (not verified)",
    ),
    "ai_assistant_expired": Guidance("final", _ASSISTANT_OVER),
    "ai_assistant_contact_closed": Guidance("final", _ASSISTANT_OVER),
    "contact_closed": Guidance("final", _ASSISTANT_OVER),
    "ai_assistant_initiated_by_seller_expired": Guidance("final", _ASSISTANT_OVER),
    "guest_shops": Guidance("final", "A guest bought in Mercado Shops: there is no conversation"),
    "resale": Guidance("final", "A resale product has no conversation"),
    "proximity_groceries": Guidance("final", "An instant grocery delivery has no conversation"),
}
"""Guidance by substatus, without its prefix `blocked_by_`.

The document shortens some names (`…_by_fraud`, `…_hidden`, `…_contact_closed`). Not verified: how
the API writes them in full, so that the short and the long forms have a row each.
"""

SUBSTATUS = LazyPattern(r"(?i)\b(blo[a-z]{1,6}_by_)\w+")
"""A substatus in a text. The prefix is `blocked_by_`, also spelt `block_by_` and `bloqued_by_`."""

_ACTIVE = Guidance("reply", "")
_UNKNOWN = "The conversation is blocked for a reason that this version does not know: {}"


def guidance_for(status: str | None, substatus: str | None) -> Guidance:
    """Return the guidance for the state of a conversation. Case and spelling of the prefix vary."""
    name = (substatus or "").strip().lower()
    match = SUBSTATUS.match(name)
    known = ADVICE.get(name[match.end(1) :] if match else name)
    if known is not None:
        return known
    if (status or "").lower() == "active":
        return _ACTIVE
    return Guidance("unknown", _UNKNOWN.format(substatus or status or "no state given"))
