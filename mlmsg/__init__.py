"""`mlmsg`: Mercado Libre's post-sale messaging for asyncio, with attachments streamed both ways.

    from mlmsg import Client

    async with Client(token) as client:
        page = await client.packs.page(pack_id)

See `Client`; every exception is drawn in `mlmsg.errors`, every answer is in `mlmsg.models`.
"""

from .auth import TokenSource
from .client import Client
from .downloads import Download, Saved
from .errors import (
    ActionNotAvailable,
    ApiError,
    AuthenticationError,
    BadRequest,
    DecodeError,
    IncompleteDownload,
    LengthMismatch,
    MlmsgError,
    NotFound,
    NotificationError,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    RuleError,
    ServerError,
    TargetExists,
    TimedOut,
    TransportError,
    UnsafeRedirect,
    UsageError,
)
from .models import (
    Attachment,
    AvailableAction,
    Claim,
    ClaimAttachment,
    ClaimMessage,
    ClaimModeration,
    ClaimSent,
    ClaimUpload,
    Conversation,
    ConversationStatus,
    Message,
    MessageDate,
    Moderation,
    Paging,
    Player,
    Resource,
    Sent,
    ThreadPage,
    Unread,
    UnreadResult,
    Upload,
    User,
)
from .policy import RetryPolicy, Timeouts
from .rules import safe_filename

__all__ = [
    "ActionNotAvailable",
    "ApiError",
    "Attachment",
    "AuthenticationError",
    "AvailableAction",
    "BadRequest",
    "Claim",
    "ClaimAttachment",
    "ClaimMessage",
    "ClaimModeration",
    "ClaimSent",
    "ClaimUpload",
    "Client",
    "Conversation",
    "ConversationStatus",
    "DecodeError",
    "Download",
    "IncompleteDownload",
    "LengthMismatch",
    "Message",
    "MessageDate",
    "MlmsgError",
    "Moderation",
    "NotFound",
    "NotificationError",
    "OutcomeUnknown",
    "Paging",
    "PermissionDenied",
    "Player",
    "RateLimited",
    "Resource",
    "RetryPolicy",
    "RuleError",
    "Saved",
    "Sent",
    "ServerError",
    "TargetExists",
    "ThreadPage",
    "TimedOut",
    "Timeouts",
    "TokenSource",
    "TransportError",
    "Unread",
    "UnreadResult",
    "UnsafeRedirect",
    "Upload",
    "UsageError",
    "User",
    "safe_filename",
]
