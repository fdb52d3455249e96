"""Measure how many bytes of an upload the peer has not accepted yet.

The transport's own buffer is not enough: the send queue of the operating system can hold megabytes.
While a slow peer drains that queue, the transport's buffer does not change, and a write timeout
would fire although the upload makes progress. `TIOCOUTQ` reads the length of that queue. A test
fails without it at every chunk size from 8 to 64 KiB.
"""

import sys

from aiohttp.http import StreamWriter

try:
    import fcntl
    import termios
except ImportError:  # not on Windows
    termios = None  # type: ignore[assignment]

__all__ = ["bytes_outstanding"]


def bytes_outstanding(writer: StreamWriter) -> int:
    """Return the bytes that were written but not acknowledged by the peer."""
    transport = writer.transport
    if transport is None:
        return 0
    size = transport.get_write_buffer_size()
    connection = transport.get_extra_info("socket")
    if connection is not None and termios is not None:
        queue = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
        size += int.from_bytes(queue, sys.byteorder)
    return size
