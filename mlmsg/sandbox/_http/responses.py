"""Responses as values, and the error bodies of "Post-sale messages"."""

from collections.abc import Mapping
from dataclasses import dataclass
from http.client import responses

import msgspec

JSON_HEADERS: Mapping[str, str] = {"Content-Type": "application/json; charset=utf-8"}

# "Post-sale messages" shows `bad_request` for a 400 and null for a 500; the others are ours.
_ERROR_CODES = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found"}


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response; an `early` one leaves the request's body unread and closes."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    early: bool = False


class ErrorResponse(Exception):
    """An error response, raised by a handler to end it.

    Attributes:
        response: The response to send.
    """

    def __init__(
        self, status: int, message: str, *, early: bool = False, body: object = None
    ) -> None:
        """Respond with `body` as JSON, or with the error body of "Post-sale messages"."""
        super().__init__(message)
        if body is None:
            self.response = error_response(status, message, early=early)
        else:
            self.response = Response(status, msgspec.json.encode(body), JSON_HEADERS, early)


def oauth_error(code: str, message: str) -> ErrorResponse:
    """Return the refusal of a login or of a token request: a 400 with an error of RFC 6749."""
    body = {"message": message, "error": code, "status": 400, "cause": []}
    return ErrorResponse(400, message, body=body)


def json_response(value: object, status: int = 200) -> Response:
    """Return a response with a value as JSON."""
    return Response(status, msgspec.json.encode(value), JSON_HEADERS)


def error_response(status: int, message: str | None = None, *, early: bool = False) -> Response:
    """Return a response with the body `{message, error, status, cause: []}`."""
    body: dict[str, object] = {
        "message": responses.get(status, "") if message is None else message,
        "error": _ERROR_CODES.get(status),
        "status": status,
        "cause": [],
    }
    return Response(status, msgspec.json.encode(body), JSON_HEADERS, early)
