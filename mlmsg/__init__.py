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
    ApiError,
    AuthenticationError,
    BadRequest,
    DecodeError,
    IncompleteDownload,
    LengthMismatch,
    MlmsgError,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    RuleError,
    ServerError,
    TargetExists,
    TimedOut,
    TransportError,
    UsageError,
)
from .models import (
    Attachment,
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
from .policy import RetryPolicy, Timeouts
from .rules import safe_filename

__all__ = [
    "ApiError",
    "Attachment",
    "AuthenticationError",
    "BadRequest",
    "Client",
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
    "OutcomeUnknown",
    "Paging",
    "PermissionDenied",
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
    "Upload",
    "UsageError",
    "User",
    "safe_filename",
]
