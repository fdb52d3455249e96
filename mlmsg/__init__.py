"""`mlmsg`: Mercado Libre's post-sale messaging for asyncio, with attachments streamed both ways.

    from mlmsg import Client

    async with Client(token) as client:
        page = await client.packs.page(pack_id)

See `Client`; every exception is drawn in `mlmsg.errors`, every answer is in `mlmsg.models`.
"""

from .auth import RefreshingToken, TokenSource
from .budget import RateBudget
from .client import Client
from .downloads import Download, Saved
from .errors import (
    ActionNotAvailable,
    ApiError,
    AuthenticationError,
    BadRequest,
    CertificateError,
    DecodeError,
    IncompleteDownload,
    LengthMismatch,
    MlmsgError,
    NotFound,
    NotificationError,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    ReauthorizationRequired,
    RuleError,
    ServerError,
    StillUnread,
    TargetExists,
    TimedOut,
    TransportError,
    UnsafeRedirect,
    UsageError,
)
from .events import AttemptEvent
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
from .token_store import FileTokenStore, Token, TokenStore

__all__ = [
    "ActionNotAvailable",
    "ApiError",
    "Attachment",
    "AttemptEvent",
    "AuthenticationError",
    "AvailableAction",
    "BadRequest",
    "CertificateError",
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
    "FileTokenStore",
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
    "RateBudget",
    "RateLimited",
    "ReauthorizationRequired",
    "RefreshingToken",
    "Resource",
    "RetryPolicy",
    "RuleError",
    "Saved",
    "Sent",
    "ServerError",
    "StillUnread",
    "TargetExists",
    "ThreadPage",
    "TimedOut",
    "Timeouts",
    "Token",
    "TokenSource",
    "TokenStore",
    "TransportError",
    "Unread",
    "UnreadResult",
    "UnsafeRedirect",
    "Upload",
    "UsageError",
    "User",
    "safe_filename",
]
