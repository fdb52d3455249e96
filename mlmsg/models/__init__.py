"""The API's answers as msgspec structs.

The structs are strict in structure and permissive in values. Only identifiers are required. Unknown
keys are ignored. Values such as `status`, `reason` and `site_id` are open strings, never enums. The
fields have the API's own names, except `from`, a keyword of Python, which is `from_`.

Ids of users are ints, whether the API wrote `415458330` or `"415458330"`.

Every date is an aware `datetime`. The API writes `…Z`, `….000Z` and `…-04:00`. A date without a
zone is read as UTC, because UTC is the only zone that the documents name for such a field
("Date when the status was last updated (UTC)", Post-sale messages).
"""

from .account import MarketplaceSeller, Me
from .claims import (
    AvailableAction,
    Claim,
    ClaimAttachment,
    ClaimMessage,
    ClaimMessages,
    ClaimModeration,
    ClaimResolution,
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
from .reasons import Reason, ReasonTemplate, ReasonVariable
from .search import ClaimDetail, ClaimPage, PackRef
from .unread import Unread, UnreadResult

__all__ = [
    "Attachment",
    "AvailableAction",
    "Claim",
    "ClaimAttachment",
    "ClaimDetail",
    "ClaimMessage",
    "ClaimMessages",
    "ClaimModeration",
    "ClaimPage",
    "ClaimResolution",
    "ClaimSent",
    "ClaimUpload",
    "Conversation",
    "ConversationStatus",
    "MarketplaceSeller",
    "Me",
    "Message",
    "MessageDate",
    "Moderation",
    "PackRef",
    "Paging",
    "Player",
    "Reason",
    "ReasonTemplate",
    "ReasonVariable",
    "Resource",
    "Sent",
    "ThreadPage",
    "Unread",
    "UnreadResult",
    "Upload",
    "User",
]
