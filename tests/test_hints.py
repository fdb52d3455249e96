"""Hints: every row of the table of errors of Post-sale messages says what to do about it."""

import json
from typing import Final

import pytest
from calls import REQUEST_LINE
from seeds import SOLUTIONS

from mlmsg._error_bodies import api_error

HINT_WORDS: Final = {
    "Attachment empty or null": ("attach", "file"),
    "File name cannot include characters such as: /, \\": ("file name", "/", "\\"),
    "File size exceeds 25 Mb": ("25 MB",),
    "Message exceeds allowed number of attachments: 25": ("25",),
    "Messages id empty or invalid": ("id", "message"),
    "The specified message id: {id} does not exists": ("id", "pack"),
    "Not allowed messages from multiple orders": ("one order",),
    "The limit param must be greater than 0": ("limit", "greater than 0"),
    "Invalid offset or limit param": ("limit", "offset"),
    "Access token is required": ("access token",),
    "Text is required": ("text", "not empty"),
    "User access token invalid for resource {resource_id}": ("token",),
    "Can not identify the user": ("token", "seller of this order"),
    "You are not allowed to execute the option OTHER again": ("limit", "wait for the buyer"),
    "The message with id: {id} could not be retrieved from storage": ("few seconds", "id"),
    "Order do not exists": ("pack id",),
    "Requested file could not be obtained": ("again later",),
    "File can not be saved, try it later": ("upload", "again"),
    "File can not be accessed, try it later": ("again later",),
}
"""The words that each hint must contain, after the document's solution."""


def error_text(status: int, message: str) -> tuple[str, str]:
    """Return the hint and the whole text of the error for this message."""
    body: dict[str, object] = {"message": message, "error": None, "status": status, "cause": []}
    error = api_error(status, json.dumps(body).encode(), {}, REQUEST_LINE, 1)
    return error.hint, str(error)


def test_the_table_has_a_row_for_each_error_of_the_document() -> None:
    assert list(HINT_WORDS) == [message for _, message, _ in SOLUTIONS]


@pytest.mark.parametrize(
    ("status", "message", "solution"), SOLUTIONS, ids=[x[1] for x in SOLUTIONS]
)
def test_each_documented_error_says_what_to_do(status: int, message: str, solution: str) -> None:
    filled = message.format(id="2c92808469fea23a", resource_id="/packs/2315686468")
    hint, text = error_text(status, filled)
    for words in HINT_WORDS[message]:
        assert words.lower() in hint.lower(), solution
    assert hint in text
    assert filled in text


@pytest.mark.parametrize("message", [message for _, message, _ in SOLUTIONS])
def test_a_message_is_known_in_any_case_and_inside_a_longer_one(message: str) -> None:
    hint, _ = error_text(400, message)
    assert error_text(400, f"Error: {message.upper()}. trace 1")[0] == hint


def test_no_two_rows_share_a_hint_that_says_different_things() -> None:
    hints = {message: error_text(status, message)[0] for status, message, _ in SOLUTIONS}
    unread = "Requested file could not be obtained", "File can not be accessed, try it later"
    assert hints.pop(unread[0]) == hints[unread[1]]
    assert len(set(hints.values())) == len(hints)


def test_a_malformed_token_says_what_to_do_and_is_not_repeated() -> None:
    hint, text = error_text(400, "Malformed access_token: ***")
    assert "access token" in hint
    assert text.endswith(hint)


@pytest.mark.parametrize("message", ["", "Something new", "Order", "limit", "try it later"])
def test_any_other_message_has_no_hint(message: str) -> None:
    hint, text = error_text(400, message)
    assert hint == ""
    said = message or "with an empty error body"
    assert text == f"400 {said} [GET /marketplace/messages/packs/1]"
