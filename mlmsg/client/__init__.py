"""The client and its groups of operations: rules first, then a request, then the session."""

from contextlib import AbstractContextManager
from datetime import datetime
from ssl import SSLContext
from types import TracebackType
from typing import Final, NoReturn, Self

from mlmsg._arguments import check_base_url, check_bool, check_int, check_proxy, check_ssl
from mlmsg._event_loop import check_asyncio
from mlmsg._reconcile import SendReconciler
from mlmsg._secrets import as_secret
from mlmsg._session import Session
from mlmsg._transport import TransportOptions
from mlmsg.auth import TokenLike, token_provider
from mlmsg.budget import RateBudget
from mlmsg.errors import RuleError, UsageError
from mlmsg.events import EventEmitter, OnEvent
from mlmsg.models import Message
from mlmsg.policy import RetryPolicy, Timeouts

from ._orders import OrdersUnreadable, limit_order_search
from ._seller import Seller
from .account import Account
from .attachments import Attachments
from .claims import Claims
from .notifications import Notifications
from .packs import Messages, Packs
from .reasons import Reasons
from .unread import UnreadMessages

__all__ = [
    "BASE_URL",
    "Account",
    "Attachments",
    "Claims",
    "Client",
    "Messages",
    "Notifications",
    "OrdersUnreadable",
    "Packs",
    "Reasons",
    "UnreadMessages",
]

BASE_URL: Final = "https://api.mercadolibre.com"
"""The URL of the API."""


OWN_BUDGET: Final = RateBudget()
"""Stands for a new `RateBudget()` of the client's own."""


class Client:
    """Mercado Libre's post-sale messaging, for one seller's token.

    Connections open with the first call and belong to its event loop. Use it as
    `async with Client(...) as client`, or call `aclose()` when done. Calls may run side by side.

    Attributes:
        account: The account of the token.
        packs: The threads of packs.
        messages: Single messages.
        attachments: The files of packs' threads.
        reasons: Reasons to start a conversation.
        unread: Unread messages.
        claims: Claims, their messages and files.
        notifications: Notifications that could not be delivered.
    """

    def __init__(
        self,
        token: TokenLike,
        *,
        global_selling: bool = True,
        user_id: int | str | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        ssl: SSLContext | None = None,
        base_url: str = BASE_URL,
        timeout: float | Timeouts | None = 30.0,
        retry: RetryPolicy | None = None,
        budget: RateBudget | None = OWN_BUDGET,
        on_event: OnEvent | None = None,
        max_connections: int = 100,
    ) -> None:
        """Create a client. No connection is opened yet.

        Args:
            token: An access token, an async function that returns one, or a token source such as
                `RefreshingToken`.
            global_selling: True for a seller of Global Selling, whose paths begin with
                `/marketplace`; False for a domestic seller.
            user_id: The seller's own id, which the paths of a domestic seller contain. By default
                the API is asked once (`GET /users/me`).
            proxy: The URL of an HTTP proxy, `http://host:port` or `https://host:port`, with
                `user:password@` before the host if it asks for them. All requests go through it.
            trust_env: True to use the proxy that the environment names (`HTTPS_PROXY`,
                `ALL_PROXY`, `NO_PROXY`), if there is no `proxy`. `.netrc` is never read.
            ssl: The TLS context, for example one that trusts a private CA. None: the certificates
                of the system.
            base_url: Where the API is; `http://` only on this machine.
            timeout: Seconds without progress, or `Timeouts` for each phase, or None.
            retry: How often, and after how long, to try again.
            budget: How many calls may leave. By default a `RateBudget()` of its own.
                Clients of one application share one. None: no limit of our own.
            on_event: Called with an event for each attempt, in the event loop. It must be a plain,
                quick function.
            max_connections: Calls and open downloads at the same time; more wait. Calls made while
                your code holds a download open, or yields the bytes of an upload, never wait for
                that code: if all others wait for it too, they exceed the limit.

        Raises:
            RuleError: An argument is not what it has to be; the error never repeats a token.
        """
        token, proxy = as_secret(token), as_secret(proxy)
        options = _transport_options(timeout, max_connections, proxy, ssl, trust_env=trust_env)
        _check_limits(retry, budget)
        base_url = check_base_url(base_url)
        self._session = Session(
            token_provider(token),
            base_url,
            RetryPolicy() if retry is None else retry,
            _budget(budget),
            EventEmitter(on_event),
            options,
            owner=f"{base_url}, {'Global Selling' if global_selling else 'domestic'}",
        )
        if budget is not None and global_selling:
            limit_order_search(self._session)
        seller = Seller(self._session, global_selling=global_selling, user_id=user_id)
        self.account: Account = Account(self._session, seller)
        self.attachments: Attachments = Attachments(self._session, seller)
        reconciler = SendReconciler[Message](self._session.clock_offset)
        self.packs: Packs = Packs(self._session, seller, self.attachments, reconciler)
        self.messages: Messages = Messages(self._session, seller)
        self.reasons: Reasons = Reasons(self._session, seller, self.packs, reconciler)
        self.unread: UnreadMessages = UnreadMessages(self._session)
        self.claims: Claims = Claims(self._session, seller)
        self.notifications: Notifications = Notifications(self._session)

    def __repr__(self) -> str:
        if not hasattr(self, "notifications"):  # a traceback of `__init__` shows its locals
            return "<mlmsg.Client, not initialized>"
        return f"<mlmsg.Client {self._session.owner}>"

    def listen(self, listener: OnEvent) -> AbstractContextManager[None]:
        """Pass an `AttemptEvent` for each attempt to `listener`, until the end of the block.

        The events of all calls of the client are passed, in addition to `on_event`.
        """
        return self._session.listen(listener)

    @property
    def waiting_calls(self) -> int:
        """The number of calls that wait for the rate limit now.

        Clients that share a `RateBudget` count each other's calls.
        """
        return self._session.waiting

    def server_time(self) -> datetime:
        """Return the present time of the server, in UTC.

        The header `Date` of the last response shows its clock, in seconds. Before the first
        response this is the time of this machine.
        """
        return self._session.server_time()

    async def aclose(self) -> None:
        """Close every connection; the client cannot be used again."""
        check_asyncio()
        await self._session.close()

    async def __aenter__(self) -> Self:
        check_asyncio()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __enter__(self) -> NoReturn:
        raise UsageError("this client is asynchronous; write `async with Client(...) as client:`")

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        """There so that a plain `with` reaches `__enter__` and its explanation."""


def _transport_options(
    timeout: float | Timeouts | None,
    max_connections: int,
    proxy: str | None,
    ssl: SSLContext | None,
    *,
    trust_env: bool,
) -> TransportOptions:
    """Check the options of the connections, and return them."""
    max_connections = check_int("`max_connections`", max_connections, 1)
    if proxy is not None:
        check_proxy("`proxy`", proxy)
    check_bool("`trust_env`", trust_env)
    check_ssl(ssl)
    return TransportOptions(
        timeouts=Timeouts.from_value(timeout),
        max_connections=max_connections,
        proxy=proxy,
        trust_env=trust_env,
        ssl=ssl,
    )


def _check_limits(retry: object, budget: object) -> None:
    if retry is not None and not isinstance(retry, RetryPolicy):
        raise RuleError("`retry`", repr(retry), "a RetryPolicy")
    if budget is not None and not isinstance(budget, RateBudget):
        raise RuleError("`budget`", repr(budget), "a RateBudget, or None")


def _budget(given: RateBudget | None) -> RateBudget:
    if given is None:
        return RateBudget(reads=None, writes=None)  # its gates hold back after a 429 all the same
    return RateBudget() if given is OWN_BUDGET else given
