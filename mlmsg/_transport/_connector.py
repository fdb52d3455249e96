"""Connections: never reuse a dirty one, and abort those of a failed exchange."""

import asyncio
import select
import socket
from contextvars import ContextVar
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from ._open_connection import OpenConnection, shut_down

if TYPE_CHECKING:  # aiohttp exports these for annotations only
    from aiohttp import ClientRequest, ClientTimeout
    from aiohttp.tracing import Trace

__all__ = ["Connector", "ExchangeConnections"]


class ExchangeConnections:
    """The connections that one exchange opens or reuses.

    aiohttp closes the connection of a failed exchange, but closing flushes first: if the peer does
    not read, the socket stays open for as long as the peer likes. `abort` closes it at once.
    """

    __slots__ = ("_connections", "_sockets")

    def __init__(self) -> None:
        """Collect the connections that this task opens from now on."""
        self._sockets: list[socket.socket] = []
        self._connections: dict[ResponseHandler, OpenConnection] = {}
        _exchange.set(self)

    def add_socket(self, connecting: socket.socket) -> None:
        """Remember a socket that is not a connection yet."""
        self._sockets.append(connecting)

    def add(self, protocol: ResponseHandler) -> None:
        """Remember a connection. Its socket is in the care of the transport from now on."""
        self._sockets.clear()
        if protocol.transport is not None:
            self._connections[protocol] = OpenConnection(protocol.transport)

    def remove(self, protocol: ResponseHandler) -> None:
        """Forget a connection that another exchange reuses."""
        self._connections.pop(protocol, None)

    def finish(self) -> None:
        """Abort the connections that still have bytes to send, and forget all.

        A response may arrive before the request was sent. What is left of that request must not
        wait on an idle connection until the peer reads it.
        """
        for connection in self._connections.values():
            if connection.has_unsent_bytes():
                connection.abort()
        self._connections.clear()
        self._sockets.clear()

    def abort(self) -> None:
        """Close all sockets at once, without sending the bytes that are still buffered."""
        for connection in self._connections.values():
            connection.abort()
        for connecting in self._sockets:
            # asyncio may be in the middle of a handshake with it, and closes it then.
            shut_down(connecting)
        self._connections.clear()
        self._sockets.clear()


_exchange: ContextVar[ExchangeConnections | None] = ContextVar("mlmsg_exchange", default=None)


class Connector(aiohttp.TCPConnector):
    """A connector whose idle connections are checked before they are used again.

    Bytes that arrive on an idle connection belong to no request. aiohttp would hand them to the
    next request as its response (seen with aiohttp 3.14.5).
    """

    def __init__(self, **options: object) -> None:
        super().__init__(socket_factory=_new_socket, **options)  # type: ignore[arg-type]
        self._owners: WeakKeyDictionary[ResponseHandler, ExchangeConnections] = WeakKeyDictionary()
        self._event_loop = asyncio.get_running_loop()

    async def connect(
        self,
        req: "ClientRequest",
        traces: list["Trace"],
        timeout: "ClientTimeout",  # noqa: ASYNC109
    ) -> Connection:
        """Return a new connection, or an idle one that is clean."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            assert protocol is not None  # noqa: S101  (it was connected just now)
            owner = self._owners.get(protocol)
            if owner is None or _is_clean(protocol):
                break
            if protocol.transport is not None:
                protocol.transport.abort()
            connection.close()
        exchange = _exchange.get()
        if exchange is not None:
            if owner is not None:
                owner.remove(protocol)
            exchange.add(protocol)
            self._owners[protocol] = exchange
        return connection

    def __del__(self, _warnings: object = None) -> None:
        """Print nothing: aiohttp would log "Unclosed connector", but the client has warned."""

    def abandon(self) -> None:
        """Abort all connections. This may run in any thread, also after the event loop ended."""
        for protocol in self._owners:
            if protocol.transport is not None and not self._event_loop.is_closed():
                self._event_loop.call_soon_threadsafe(protocol.transport.abort)


def _new_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Create a socket for an address, and remember it for the exchange of the current task."""
    connecting = socket.socket(*address[:3])
    exchange = _exchange.get()
    if exchange is not None:
        exchange.add_socket(connecting)
    return connecting


def _is_clean(protocol: ResponseHandler) -> bool:
    """Return False if unexpected bytes or the end of the connection have arrived."""
    if protocol.should_close or protocol.transport is None or _has_partial_response(protocol):
        return False
    connection = protocol.transport.get_extra_info("socket")
    return connection is None or not _is_readable(connection.fileno())


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


def _is_readable(descriptor: int) -> bool:
    """Return True if bytes, or the end of the connection, wait in the operating system."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([descriptor], [], [], 0)[0])  # Windows has no poll
