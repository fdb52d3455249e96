"""`mlmsg`: Mercado Libre's post-sale messaging for asyncio, with attachments streamed both ways.

    from mlmsg import Client

    async with Client(token) as client:
        page = await client.packs.page(pack_id)

See `Client`; every exception is drawn in `mlmsg.errors`, every answer is in `mlmsg.models`.

`import mlmsg` alone imports no other module of the package. Each name is imported when it is first
used. The import of `Client` takes longest: do it at the top of a module, because it would block an
event loop. It imports all modules of the package that its calls need.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .auth import RefreshingToken, TokenSource
    from .budget import RateBudget
    from .client import Client, OrdersUnreadable
    from .downloads import Download, Saved
    from .errors import (
        ActionNotAvailable,
        ApiError,
        AuthenticationError,
        BadRequest,
        CertificateError,
        ConversationOpen,
        DecodeError,
        ExceptedCase,
        IncompleteDownload,
        InvalidToken,
        LengthMismatch,
        MlmsgError,
        NotFound,
        NotificationError,
        OutcomeUnknown,
        PermissionDenied,
        RateLimited,
        ReasonUsedUp,
        ReauthorizationRequired,
        RecipientUnknown,
        RuleError,
        ServerError,
        StillUnread,
        TargetExists,
        TimedOut,
        TokenUnavailable,
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
        ClaimDetail,
        ClaimMessage,
        ClaimMessages,
        ClaimModeration,
        ClaimPage,
        ClaimResolution,
        ClaimSent,
        ClaimUpload,
        Conversation,
        ConversationStatus,
        MarketplaceSeller,
        Me,
        Message,
        MessageDate,
        Moderation,
        PackRef,
        Paging,
        Player,
        Reason,
        ReasonTemplate,
        ReasonVariable,
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
else:  # a type checker would take every name for one of the package

    def __getattr__(name: str) -> object:
        """Import a name of the package, or one of its modules, at the first use."""
        if name in _MODULES:
            return import_module(f".{name}", __name__)
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
        globals()[name] = value  # the next use does not come here
        return value

    def __dir__() -> list[str]:
        """Return the names of the package, those that were not used yet included."""
        tools = {"TYPE_CHECKING", "import_module"}
        return sorted({*globals(), *__all__, *_MODULES} - tools)


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
    "ClaimDetail",
    "ClaimMessage",
    "ClaimMessages",
    "ClaimModeration",
    "ClaimPage",
    "ClaimResolution",
    "ClaimSent",
    "ClaimUpload",
    "Client",
    "Conversation",
    "ConversationOpen",
    "ConversationStatus",
    "DecodeError",
    "Download",
    "ExceptedCase",
    "FileTokenStore",
    "IncompleteDownload",
    "InvalidToken",
    "LengthMismatch",
    "MarketplaceSeller",
    "Me",
    "Message",
    "MessageDate",
    "MlmsgError",
    "Moderation",
    "NotFound",
    "NotificationError",
    "OrdersUnreadable",
    "OutcomeUnknown",
    "PackRef",
    "Paging",
    "PermissionDenied",
    "Player",
    "RateBudget",
    "RateLimited",
    "Reason",
    "ReasonTemplate",
    "ReasonUsedUp",
    "ReasonVariable",
    "ReauthorizationRequired",
    "RecipientUnknown",
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
    "TokenUnavailable",
    "TransportError",
    "Unread",
    "UnreadResult",
    "UnsafeRedirect",
    "Upload",
    "UsageError",
    "User",
    "safe_filename",
]

_MODULE_OF = {
    "ActionNotAvailable": "errors",
    "ApiError": "errors",
    "Attachment": "models",
    "AttemptEvent": "events",
    "AuthenticationError": "errors",
    "AvailableAction": "models",
    "BadRequest": "errors",
    "CertificateError": "errors",
    "Claim": "models",
    "ClaimAttachment": "models",
    "ClaimDetail": "models",
    "ClaimMessage": "models",
    "ClaimMessages": "models",
    "ClaimModeration": "models",
    "ClaimPage": "models",
    "ClaimResolution": "models",
    "ClaimSent": "models",
    "ClaimUpload": "models",
    "Client": "client",
    "Conversation": "models",
    "ConversationOpen": "errors",
    "ConversationStatus": "models",
    "DecodeError": "errors",
    "Download": "downloads",
    "ExceptedCase": "errors",
    "FileTokenStore": "token_store",
    "IncompleteDownload": "errors",
    "InvalidToken": "errors",
    "LengthMismatch": "errors",
    "MarketplaceSeller": "models",
    "Me": "models",
    "Message": "models",
    "MessageDate": "models",
    "MlmsgError": "errors",
    "Moderation": "models",
    "NotFound": "errors",
    "NotificationError": "errors",
    "OrdersUnreadable": "client",
    "OutcomeUnknown": "errors",
    "PackRef": "models",
    "Paging": "models",
    "PermissionDenied": "errors",
    "Player": "models",
    "RateBudget": "budget",
    "RateLimited": "errors",
    "Reason": "models",
    "ReasonTemplate": "models",
    "ReasonUsedUp": "errors",
    "ReasonVariable": "models",
    "ReauthorizationRequired": "errors",
    "RecipientUnknown": "errors",
    "RefreshingToken": "auth",
    "Resource": "models",
    "RetryPolicy": "policy",
    "RuleError": "errors",
    "Saved": "downloads",
    "Sent": "models",
    "ServerError": "errors",
    "StillUnread": "errors",
    "TargetExists": "errors",
    "ThreadPage": "models",
    "TimedOut": "errors",
    "Timeouts": "policy",
    "Token": "token_store",
    "TokenSource": "auth",
    "TokenStore": "token_store",
    "TokenUnavailable": "errors",
    "TransportError": "errors",
    "Unread": "models",
    "UnreadResult": "models",
    "UnsafeRedirect": "errors",
    "Upload": "models",
    "UsageError": "errors",
    "User": "models",
    "safe_filename": "rules",
}
"""The module of each name."""

_MODULES = frozenset(
    {
        "auth",
        "budget",
        "client",
        "downloads",
        "errors",
        "events",
        "models",
        "notifications",
        "paging",
        "pictures",
        "policy",
        "rules",
        "token_store",
        "uploads",
    }
)
"""The modules that are there after `import mlmsg`, without an import of their own."""
