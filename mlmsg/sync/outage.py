"""Recognise a server that is down for everything."""

from mlmsg.errors import ApiError, DecodeError, IncompleteDownload, MlmsgError, TransportError

__all__ = ["FAILURES_IN_A_ROW", "OutageDetector"]

FAILURES_IN_A_ROW = 20
"""Threads and files that fail one after the other, without any success, before the job ends."""

_GATEWAY_STATUSES = frozenset({429, 502, 503, 504})


class OutageDetector:
    """Count the failures since the last success.

    The server is down if nothing succeeds any more. Only failures that a server which is down would
    cause are counted, each after the retries of the client: the network fails, the server is
    overloaded, or a thread is answered with a 5xx or with something unreadable. A file alone proves
    less: the API answers 500 for one that is lost for ever, and a cut file is a failure of its own.
    """

    def __init__(self) -> None:
        self._failures = 0

    def note_response(self) -> None:
        """Note that the server answered as it should."""
        self._failures = 0

    def note_failure(self, error: MlmsgError, *, is_thread: bool) -> bool:
        """Note a failure. Return True if the server is down."""
        if _is_outage(error, is_thread=is_thread):
            self._failures += 1
        elif isinstance(error, ApiError) and error.status < 500:
            self._failures = 0
        return self._failures >= FAILURES_IN_A_ROW


def _is_outage(error: MlmsgError, *, is_thread: bool) -> bool:
    if isinstance(error, ApiError):
        is_server_error = is_thread and error.status >= 500
        return is_server_error or error.status in _GATEWAY_STATUSES
    if isinstance(error, IncompleteDownload):
        return False
    return isinstance(error, TransportError) or (is_thread and isinstance(error, DecodeError))
