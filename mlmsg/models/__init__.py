"""The API's answers as msgspec structs.

Strict in structure, permissive in values: only what identifies a thing is required, unknown keys
are ignored, and what the API calls by a word (`status`, `reason`, `site_id`) stays an open string.
Field names are the API's own, except `from`, a keyword of Python, which is `from_`.

Ids of users are ints, whether the API wrote `415458330` or `"415458330"`.

Every date is an aware `datetime`. The API writes `…Z`, `….000Z` and `…-04:00`; a date without any
zone is taken as UTC, because UTC is the one zone that the documents name for such a field
("Date when the status was last updated (UTC)", Post-sale messages).
"""

from .claims import (
    AvailableAction,
    Claim,
    ClaimAttachment,
    ClaimMessage,
    ClaimModeration,
    ClaimSent,
    ClaimUpload,
    Player,
)
from .post_sale import (
    Attachment,
    Conversation,
    ConversationStatus,
    Message,
    MessageDate,
    Moderation,
    Paging,
    Resource,
    Sent,
    ThreadPage,
    Upload,
    User,
)
from .unread import Unread, UnreadResult

__all__ = [
    "Attachment",
    "AvailableAction",
    "Claim",
    "ClaimAttachment",
    "ClaimMessage",
    "ClaimModeration",
    "ClaimSent",
    "ClaimUpload",
    "Conversation",
    "ConversationStatus",
    "Message",
    "MessageDate",
    "Moderation",
    "Paging",
    "Player",
    "Resource",
    "Sent",
    "ThreadPage",
    "Unread",
    "UnreadResult",
    "Upload",
    "User",
]
