"""The rules of `conversation_status`: which blocked threads open again, and by which call.

The substatuses are those of the document "Blocked messages", an open set: an unknown one blocks
the thread until a test unblocks it.
"""

from mlmsg.sandbox.schemas.packs import ConversationStatus

__all__ = ["hides_messages", "is_blocked", "needs_reason", "reopens_by_buyer", "uses_messages"]

_NEEDS_REASON = {
    "blocked_by_conversation_initiated_by_seller_limited",
    "blocked_by_conversation_started_by_seller",
}
_USE_MESSAGES = "blocked_by_conversation_use_message_api"
_REOPENED_BY_BUYER = _NEEDS_REASON | {
    "blocked_by_time",
    "blocked_by_buyer",
    "blocked_by_refund",
    "blocked_by_conversation_initiated_by_seller",
}
_HIDES_MESSAGES = {"blocked_by_conversation_expired", "blocked_by_cancelled_order_by_fraud"}


def is_blocked(status: ConversationStatus) -> bool:
    """Return True if the thread is blocked, whatever its substatus is."""
    return status.status == "blocked"


def needs_reason(status: ConversationStatus) -> bool:
    """Return True if the seller opens the thread by an option of the action guide."""
    return is_blocked(status) and status.substatus in _NEEDS_REASON


def uses_messages(status: ConversationStatus) -> bool:
    """Return True if the seller opens the thread by a plain message."""
    return is_blocked(status) and status.substatus == _USE_MESSAGES


def reopens_by_buyer(status: ConversationStatus) -> bool:
    """Return True if a message of the buyer opens the thread."""
    return is_blocked(status) and (status.substatus in _REOPENED_BY_BUYER or uses_messages(status))


def hides_messages(status: ConversationStatus) -> bool:
    """Return True if the pages of the thread contain no messages any more."""
    return is_blocked(status) and status.substatus in _HIDES_MESSAGES
