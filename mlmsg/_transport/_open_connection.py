"""Close a connection at once, in whatever state it is."""

import asyncio
import socket
from contextlib import suppress

__all__ = ["OpenConnection", "shut_down"]


class OpenConnection:
    """A transport that can be aborted, also after aiohttp has closed it.

    A TLS transport that was closed twice forgets its connection: `abort` does nothing then (Python
    3.11.7), or raises `AttributeError` (3.11.2). The connection would stay open for as long as the
    peer does not read. So its socket is remembered here.
    """

    __slots__ = ("_tls_socket", "_transport")

    def __init__(self, transport: asyncio.Transport | None) -> None:
        self._transport = transport
        self._tls_socket: socket.socket | None = None
        if transport is not None and transport.get_extra_info("sslcontext") is not None:
            self._tls_socket = transport.get_extra_info("socket")

    def get_socket(self) -> socket.socket | None:
        """Return the socket, if the transport has one."""
        found = None if self._transport is None else self._transport.get_extra_info("socket")
        return found if found is not None and found.fileno() >= 0 else None

    def has_unsent_bytes(self) -> bool:
        """Return True if the transport has not passed all bytes on to the operating system.

        Encrypted bytes of a TLS transport are not counted: no public method tells their number.
        """
        try:
            return self._transport is not None and self._transport.get_write_buffer_size() > 0
        except AttributeError:  # see the class
            return True

    def abort(self) -> None:
        """Close the connection, without sending the bytes that are still buffered."""
        with suppress(AttributeError):
            if self._transport is not None:
                self._transport.abort()
        if self._tls_socket is not None:
            shut_down(self._tls_socket)


def shut_down(connection: socket.socket) -> None:
    """End both directions of a socket. Whoever owns it closes it then."""
    with suppress(OSError):  # it may be closed
        connection.shutdown(socket.SHUT_RDWR)
