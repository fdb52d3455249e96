"""Connections: never reuse a dirty one, and abort those of a failed exchange."""

import asyncio
import select
from contextvars import ContextVar
from typing import TYPE_CHECKING
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

if TYPE_CHECKING:  # aiohttp exports these for annotations only
    from aiohttp import ClientRequest, ClientTimeout
    from aiohttp.tracing import Trace

__all__ = ["Connector", "ExchangeConnections"]


class ExchangeConnections:
    """The connections that the exchange of the current task uses.

    aiohttp closes the connection of a failed exchange, but closing flushes first: if the peer does
    not read, the socket stays open for as long as the peer likes. `abort` closes it at once.
    """

    __slots__ = ("_transports",)

    def __init__(self) -> None:
        """Collect the connections that this task opens from now on."""
        self._transports: list[asyncio.Transport] = []
        _exchange.set(self)

    def add(self, connection: Connection) -> None:
        """Remember a connection."""
        if connection.transport is not None:
            self._transports.append(connection.transport)

    def abort(self) -> None:
        """Close all sockets at once, without sending what is still buffered."""
        for transport in self._transports:
            transport.abort()


_exchange: ContextVar[ExchangeConnections | None] = ContextVar("mlmsg_exchange", default=None)


class Connector(aiohttp.TCPConnector):
    """A connector whose idle connections are checked before they are used again.

    Bytes that arrive on an idle connection belong to no request. aiohttp would hand them to the
    next request as its response (seen with aiohttp 3.14.5).
    """

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self._used: WeakSet[ResponseHandler] = WeakSet()

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
            if protocol is None or protocol not in self._used or _is_clean(protocol):
                break
            connection.close()
        if protocol is not None:
            self._used.add(protocol)
        exchange = _exchange.get()
        if exchange is not None:
            exchange.add(connection)
        return connection


def _is_clean(protocol: ResponseHandler) -> bool:
    """Return False if unexpected bytes or the end of the connection have arrived."""
    if protocol.should_close or protocol.transport is None:
        return False
    connection = protocol.transport.get_extra_info("socket")
    return connection is None or not _is_readable(connection.fileno())


def _is_readable(descriptor: int) -> bool:
    """Return True if bytes, or the end of the connection, wait in the operating system."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([descriptor], [], [], 0)[0])  # Windows has no poll
