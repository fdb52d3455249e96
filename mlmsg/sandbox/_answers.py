"""What a handler answers, as a value, and the API's error bodies ("Post-sale messages")."""

from collections.abc import Mapping
from dataclasses import dataclass
from http.client import responses

import msgspec

JSON: Mapping[str, str] = {"Content-Type": "application/json; charset=utf-8"}

# "Post-sale messages" shows `bad_request` for a 400 and null for a 500; the others are ours.
_ERROR_WORDS = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; an `early` one leaves the rest of the request unread and closes."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    early: bool = False


class RefusalError(Exception):
    """Raised anywhere in a handler to end it with an error answer."""

    def __init__(
        self, status: int, message: str, *, early: bool = False, body: object = None
    ) -> None:
        """End it with `body` as JSON, or with the error body of "Post-sale messages"."""
        super().__init__(message)
        if body is None:
            self.answer = error_answer(status, message, early=early)
        else:
            self.answer = Answer(status, msgspec.json.encode(body), JSON, early)


def json_answer(value: object, status: int = 200) -> Answer:
    """Answer with a value as JSON."""
    return Answer(status, msgspec.json.encode(value), JSON)


def error_answer(status: int, message: str | None = None, *, early: bool = False) -> Answer:
    """Answer with `{message, error, status, cause: []}`."""
    body: dict[str, object] = {
        "message": responses.get(status, "") if message is None else message,
        "error": _ERROR_WORDS.get(status),
        "status": status,
        "cause": [],
    }
    return Answer(status, msgspec.json.encode(body), JSON, early)
