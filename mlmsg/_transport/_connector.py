"""Connections: never reuse a dirty one, and abort those of a failed exchange."""

import asyncio
import math
import select
import socket
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from ._errors import LOST_CONNECTION, hide_from_aiohttp
from ._open_connection import OpenConnection, shut_down

if TYPE_CHECKING:  # aiohttp exports these for annotations only
    from aiohttp import ClientRequest, ClientTimeout
    from aiohttp.tracing import Trace

__all__ = ["Connector", "ExchangeConnections"]


class ExchangeConnections:
    """The connections that one exchange opens or reuses.

    aiohttp closes the connection of a failed exchange, but closing flushes first: if the peer does
    not read, the socket stays open for as long as the peer likes. `abort` closes it at once.

    Attributes:
        waiting_since: The monotonic time since which no data was seen; infinity if none is awaited,
            or if aiohttp itself applies the read timeout.
        content: The body of the response, if the head has arrived.
    """

    __slots__ = ("_connections", "_is_timed", "_sockets", "content", "waiting_since")

    def __init__(self, *, is_timed: bool = False) -> None:
        """Collect the connections that this task opens from now on.

        Args:
            is_timed: True to note in `waiting_since` when a connection is there.
        """
        self.waiting_since = math.inf
        self.content: aiohttp.StreamReader | None = None
        self._is_timed = is_timed
        self._sockets: tuple[socket.socket, ...] = ()
        self._connections: list[_KnownConnection] = []
        _exchange.set(self)

    def add_socket(self, connecting: socket.socket) -> None:
        """Remember a socket that is not a connection yet."""
        self._sockets += (connecting,)

    def add(self, protocol: ResponseHandler) -> None:
        """Remember a connection. Its socket is in the care of the transport from now on."""
        self.use(_KnownConnection(protocol))

    def use(self, connection: "_KnownConnection") -> None:
        """Remember a connection, which the last exchange that used it forgets."""
        self._sockets = ()
        if connection.user is not None:
            connection.user.forget(connection)
        connection.user = self
        self._connections.append(connection)
        if self._is_timed:
            self.waiting_since = time.monotonic()

    def forget(self, connection: "_KnownConnection") -> None:
        """Leave a connection to another exchange."""
        self._connections.remove(connection)

    @property
    def is_connected(self) -> bool:
        """True if there was a connection, so that the request may have been sent."""
        return bool(self._connections)

    def get_socket(self) -> socket.socket | None:
        """Return the socket of the newest connection."""
        return self._connections[-1].get_socket() if self._connections else None

    def fail(self, error: Exception) -> None:
        """Raise an error where the exchange waits for its response, as aiohttp itself does."""
        for connection in self._connections:
            connection.fail(error)
        if self.content is not None:
            self.content.set_exception(error)

    def finish(self) -> None:
        """Abort the connections that still have bytes to send, and forget all.

        A response may arrive before the request was sent. What is left of that request must not
        wait on an idle connection until the peer reads it.
        """
        for connection in self._connections:
            connection.user = None
            if connection.has_unsent_bytes():
                connection.abort()
        self._connections.clear()
        self._sockets = ()
        self.content = None

    def abort(self) -> None:
        """Close all sockets at once, without sending the bytes that are still buffered."""
        for connection in self._connections:
            connection.user = None
            connection.abort()
        for connecting in self._sockets:
            # asyncio may be in the middle of a handshake with it, and closes it then.
            shut_down(connecting)
        self._connections.clear()
        self._sockets = ()
        self.content = None


class _KnownConnection(OpenConnection):
    """A connection from its first exchange on, idle or in use.

    Attributes:
        user: The exchange that uses it, or None.
    """

    __slots__ = ("_poll", "user")

    def __init__(self, protocol: ResponseHandler) -> None:
        super().__init__(protocol.transport)
        self.user: ExchangeConnections | None = None
        self._poll: Callable[[int], object] | None = None

    def fail(self, error: Exception) -> None:
        """Raise an error where the head of a response is waited for."""
        protocol = None if self._transport is None else self._transport.get_protocol()
        if isinstance(protocol, ResponseHandler):
            protocol.set_exception(error)

    def is_clean(self, protocol: ResponseHandler) -> bool:
        """Return False if unexpected bytes or the end of the connection have arrived."""
        transport = protocol.transport
        if protocol.should_close or transport is None or _has_partial_response(protocol):
            return False
        if self._poll is None:
            self._poll = _poll_for(transport.get_extra_info("socket"))
        return not self._poll(0)


_exchange: ContextVar[ExchangeConnections | None] = ContextVar("mlmsg_exchange", default=None)


class Connector(aiohttp.TCPConnector):
    """A connector whose idle connections are checked before they are used again.

    Bytes that arrive on an idle connection belong to no request. aiohttp would hand them to the
    next request as its response (seen with aiohttp 3.14.5).
    """

    def __init__(self, **options: object) -> None:
        super().__init__(socket_factory=_new_socket, **options)  # type: ignore[arg-type]
        self._known: WeakKeyDictionary[ResponseHandler, _KnownConnection] = WeakKeyDictionary()
        self._event_loop = asyncio.get_running_loop()

    async def connect(
        self,
        req: "ClientRequest",
        traces: list["Trace"],
        timeout: "ClientTimeout",  # noqa: ASYNC109
    ) -> Connection:
        """Return a new connection, or an idle one that is clean."""
        while True:
            try:
                connection = await super().connect(req, traces, timeout)
            except LOST_CONNECTION as error:  # of a proxy
                hide_from_aiohttp(error)
            protocol = connection.protocol
            assert protocol is not None  # noqa: S101  (it was connected just now)
            known = self._known.get(protocol)
            if known is None:
                known = self._known[protocol] = _KnownConnection(protocol)
                break
            if known.is_clean(protocol):
                break
            if protocol.transport is not None:
                protocol.transport.abort()
            connection.close()
        exchange = _exchange.get()
        if exchange is not None:
            exchange.use(known)
        return connection

    def __del__(self, _warnings: object = None) -> None:
        """Print nothing: aiohttp would log "Unclosed connector", but the client has warned."""

    def abandon(self) -> None:
        """Abort all connections. This may run in any thread, also after the event loop ended."""
        for protocol in self._known:
            if protocol.transport is not None and not self._event_loop.is_closed():
                self._event_loop.call_soon_threadsafe(protocol.transport.abort)


def _new_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Create a socket for an address, and remember it for the exchange of the current task."""
    connecting = socket.socket(*address[:3])
    exchange = _exchange.get()
    if exchange is not None:
        exchange.add_socket(connecting)
    return connecting


def _has_partial_response(protocol: ResponseHandler) -> bool:
    """Return True if the parser holds the beginning of a response that nobody asked for.

    `should_close` does not know of it (aiohttp 3.14), and there is no public way to ask. The parser
    is not used again: the next request brings a new one.
    """
    parser = getattr(protocol, "_parser", None)
    if parser is None:
        return False
    try:
        return parser.feed_eof() is not None
    except Exception:  # noqa: BLE001  (whatever the parser makes of it, it is not empty)
        return True


def _poll_for(connection: socket.socket | None) -> Callable[[int], object]:
    """Return a function that returns something true if the operating system holds unread bytes.

    It takes a time to wait. The end of the connection counts as unread bytes.
    """
    if connection is None:
        return lambda _: False
    descriptor = connection.fileno()
    if not hasattr(select, "poll"):  # Windows
        return lambda wait: select.select([descriptor], [], [], wait)[0]
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return poll.poll
