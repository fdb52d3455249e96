"""The exchanges of one client that run now: end those that receive no data, with one timer for all.

aiohttp can do this, too, but it sets a timer for each request and again for each piece of the
response. In a small call that is a tenth of all work. Here an exchange only notes the time.
"""

import asyncio
import math
import socket
import sys
import time

import aiohttp

from ._connector import ExchangeConnections

__all__ = ["RunningExchanges"]

CONFIRM_SECONDS = 0.01
"""Seconds for which the event loop may still read data, before an exchange is ended."""

_LAST_DATA_RECEIVED = slice(52, 56)
"""`tcpi_last_data_recv` in the `tcp_info` of Linux: milliseconds, an unsigned 32-bit number."""


class RunningExchanges:
    """A set of exchanges, and their read timeout.

    Must be created inside a running event loop.

    Args:
        limit: Seconds that an exchange may wait for data; None for no limit.
    """

    def __init__(self, limit: float | None) -> None:
        self._limit = math.inf if limit is None else limit
        self._exchanges: set[ExchangeConnections] = set()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, exchange: ExchangeConnections) -> None:
        """Add an exchange that begins."""
        self._exchanges.add(exchange)
        if self._timer is None and self._limit < math.inf:
            self._timer = self._loop.call_later(self._limit, self._check)

    def discard(self, exchange: ExchangeConnections) -> None:
        """Remove an exchange that has ended."""
        self._exchanges.discard(exchange)

    def abort(self) -> None:
        """Abort the connections of all exchanges, which end then."""
        if self._timer is not None:
            self._timer.cancel()
        for exchange in self._exchanges:
            exchange.abort()

    def _check(self) -> None:
        """Find the exchanges that have waited for too long, and set the timer for the next ones."""
        now, earliest = time.monotonic(), math.inf
        for exchange in self._exchanges:
            if exchange.waiting_since + self._limit <= now:
                exchange.waiting_since = now - _seconds_without_data(exchange)
                if exchange.waiting_since + self._limit <= now:
                    # The event loop may have been blocked, and has the data still to read.
                    self._loop.call_later(CONFIRM_SECONDS, self._end, exchange, now)
                    exchange.waiting_since = now
            earliest = min(earliest, exchange.waiting_since)
        self._timer = None
        if self._exchanges:
            # An exchange that does not wait yet will wait for the whole limit from then on.
            delay = min(earliest, now) + self._limit - now
            # `_end` comes first: this would set the time that it compares.
            self._timer = self._loop.call_later(max(delay, 2 * CONFIRM_SECONDS), self._check)

    def _end(self, exchange: ExchangeConnections, since: float) -> None:
        """End an exchange if it still waits as it did when it was found."""
        if exchange.waiting_since == since and exchange in self._exchanges:
            exchange.fail(aiohttp.SocketTimeoutError())


def _seconds_without_data(exchange: ExchangeConnections) -> float:
    """Return how long no byte has arrived; infinity where the operating system does not tell.

    The head of a response may arrive in pieces, which only the operating system sees.
    """
    connection = exchange.get_socket()
    if connection is None or sys.platform != "linux":
        return math.inf
    size = _LAST_DATA_RECEIVED.stop
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size)
    except OSError:  # an error in a timer would end the timer of all exchanges
        return math.inf
    return int.from_bytes(info[_LAST_DATA_RECEIVED], sys.byteorder) / 1000
