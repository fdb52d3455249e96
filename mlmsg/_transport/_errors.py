"""Translate the errors of aiohttp and of the operating system into `TransportError`."""

import os
from typing import NoReturn

import aiohttp
import msgspec
from aiohttp.connector import Connection

from mlmsg.errors import CertificateError, RequestLine, TimedOut, TransportError
from mlmsg.policy import Timeouts

__all__ = [
    "LOST_CONNECTION",
    "NETWORK_ERRORS",
    "ConnectionLost",
    "ErrorTranslator",
    "SingleAttemptResponse",
    "WriteTimedOut",
    "hide_from_aiohttp",
]


class ConnectionLost(Exception):
    """The connection ended during an exchange. Its cause is the error of aiohttp."""


class WriteTimedOut(TimeoutError):
    """The peer accepted no part of an upload for as long as the write timeout allows."""


NETWORK_ERRORS = (aiohttp.ClientError, OSError, ConnectionLost)
"""Errors of a failed network. `TimeoutError` and `ssl.SSLError` are subclasses of `OSError`."""


LOST_CONNECTION = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
"""Errors after which aiohttp sends a GET again, without asking the retry policy and without
counting it (aiohttp 3.14, `ClientSession._request`)."""


def hide_from_aiohttp(error: Exception) -> NoReturn:
    """Raise an error that aiohttp does not know in place of a `LOST_CONNECTION`."""
    if isinstance(error, aiohttp.ClientConnectorError):
        raise error  # no connection was made
    raise ConnectionLost from error


class SingleAttemptResponse(aiohttp.ClientResponse):
    """A response to a request that aiohttp never sends again."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Wait for the head of the response."""
        try:
            return await super().start(connection)
        except LOST_CONNECTION as error:
            hide_from_aiohttp(error)


class _Reason(msgspec.Struct, frozen=True):
    text: str
    is_timeout: bool = False
    sent: bool = True


class ErrorTranslator:
    """Translate errors, and name the time limit that was reached.

    Texts of aiohttp are not used: they may contain what the server sent.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts

    def translate(self, error: BaseException, line: RequestLine) -> TransportError:
        """Return the `TransportError` for an error of the network."""
        if isinstance(error, ConnectionLost) and error.__cause__ is not None:
            error = error.__cause__
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return CertificateError(_certificate_problem(error), sent=False, request=line)
        reason = self._reason(error)
        kind = TimedOut if reason.is_timeout else TransportError
        return kind(reason.text, sent=reason.sent, request=line)

    def _reason(self, error: BaseException) -> _Reason:  # noqa: PLR0911  (a table)
        limits = self._timeouts
        match error:
            case aiohttp.ConnectionTimeoutError():
                text = f"no connection within {_seconds(limits.connect)} (connect timeout)"
                return _Reason(text, is_timeout=True, sent=False)
            case aiohttp.ClientProxyConnectionError():
                return _Reason(f"no connection to the proxy: {error.os_error}", sent=False)
            case aiohttp.ClientHttpProxyError():
                return _Reason(f"the proxy refused the connection ({error.status})", sent=False)
            case aiohttp.ClientConnectorError():
                return _Reason(f"no connection: {error.os_error}", sent=False)
            case aiohttp.SocketTimeoutError():
                text = f"no data received for {_seconds(limits.read)} (read timeout)"
                return _Reason(text, is_timeout=True)
            case WriteTimedOut():
                limit = _seconds(limits.write)
                text = f"the peer accepted no part of the body for {limit} (write timeout)"
                return _Reason(text, is_timeout=True)
            case TimeoutError():
                text = f"the attempt took longer than {_seconds(limits.total)} (total timeout)"
                return _Reason(text, is_timeout=True)
            case aiohttp.ClientResponseError():
                return _Reason("the response is not valid HTTP")
            case aiohttp.ClientPayloadError():
                return _Reason("the response was cut off")
        number = error.errno if isinstance(error, OSError) else None
        reason = os.strerror(number) if number else type(error).__name__
        return _Reason(f"the connection was lost ({reason})")


def _seconds(limit: float | None) -> str:
    return "an unlimited time" if limit is None else f"{limit:g} s"


def _certificate_problem(error: aiohttp.ClientConnectorCertificateError) -> str:
    problem = getattr(error.certificate_error, "verify_message", "") or "it is not valid"
    return (
        f"the certificate of the server cannot be verified: {problem}. "
        "For a company proxy or a private CA, pass ssl= with a context that trusts it"
    )
