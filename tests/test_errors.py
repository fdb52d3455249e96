"""The exception tree, its travels between processes, and the reader of error bodies."""

import copy
import json
import time
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Final

import pytest
from calls import REQUEST_LINE
from hypothesis import example, given
from hypothesis import strategies as st
from seeds import read_sample
from strategies import ANY_JSON

import mlmsg.errors
from mlmsg._error_bodies import ErrorBody, api_error, read_error_body
from mlmsg.errors import (
    ActionNotAvailable,
    ApiError,
    AuthenticationError,
    BadRequest,
    CertificateError,
    ConversationOpen,
    DecodeError,
    ExceptedCase,
    IncompleteDownload,
    InvalidToken,
    LengthMismatch,
    MlmsgError,
    NotFound,
    NotificationError,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    ReasonUsedUp,
    ReauthorizationRequired,
    RecipientUnknown,
    RuleError,
    ServerError,
    StillUnread,
    TargetExists,
    TimedOut,
    TokenUnavailable,
    TransportError,
    UnsafeRedirect,
    UsageError,
)

HEADERS = {"retry-after": "5", "x-request-id": "r-1"}

TREE: Final[dict[type[Exception], tuple[type[Exception], ...]]] = {
    RuleError: (MlmsgError, ValueError),
    LengthMismatch: (RuleError,),
    InvalidToken: (RuleError,),
    ActionNotAvailable: (RuleError,),
    RecipientUnknown: (RuleError,),
    NotificationError: (RuleError,),
    UsageError: (MlmsgError, RuntimeError),
    StillUnread: (UsageError,),
    TargetExists: (MlmsgError, FileExistsError),
    ApiError: (MlmsgError,),
    BadRequest: (ApiError,),
    ExceptedCase: (BadRequest,),
    AuthenticationError: (ApiError,),
    PermissionDenied: (ApiError,),
    ConversationOpen: (PermissionDenied,),
    ReasonUsedUp: (PermissionDenied,),
    NotFound: (ApiError,),
    RateLimited: (ApiError,),
    ServerError: (ApiError,),
    TransportError: (MlmsgError,),
    TimedOut: (TransportError, TimeoutError),
    CertificateError: (TransportError,),
    UnsafeRedirect: (TransportError,),
    IncompleteDownload: (TransportError,),
    DecodeError: (MlmsgError,),
    OutcomeUnknown: (MlmsgError,),
    TokenUnavailable: (MlmsgError,),
    ReauthorizationRequired: (TokenUnavailable,),
}
"""The tree as the module docstring draws it."""


def refused(kind: type[ApiError], status: int) -> ApiError:
    cause = ({"code": "x", "message": "y"}, "text")
    hint = "Pass a text that is not empty"
    return kind(
        status, "bad_request", "Text is required", cause, b'{"a":1}', HEADERS, REQUEST_LINE, 3, hint
    )


ERRORS: Final[list[MlmsgError]] = [
    RecipientUnknown("no thread (404)"),
    refused(ExceptedCase, 400),
    refused(ConversationOpen, 403),
    refused(ReasonUsedUp, 403),
    UnsafeRedirect("a redirect", request=REQUEST_LINE),
    CertificateError("self-signed certificate", sent=False, request=REQUEST_LINE),
    ActionNotAvailable("send_message_to_mediator", ("refund",), ("complainant",)),
    NotificationError("topic of a notification", "'items'", "messages"),
    MlmsgError("why"),
    RuleError("size of a file", "0 bytes", "1 or more", "Send another"),
    LengthMismatch("length of a source", "4 bytes", "exactly 5 bytes"),
    InvalidToken("access token", "an empty str", "printable ASCII"),
    UsageError("write `async with`"),
    StillUnread(("/packs/1/sellers/2", "/packs/3/sellers/2")),
    TargetExists("a/b.png"),
    TargetExists(Path("a/b.png")),
    refused(ApiError, 418),
    refused(BadRequest, 400),
    refused(AuthenticationError, 401),
    refused(PermissionDenied, 403),
    refused(NotFound, 404),
    refused(RateLimited, 429),
    refused(ServerError, 503),
    ApiError(302, None, "Found"),
    TransportError("the connection was lost", sent=False, request=REQUEST_LINE),
    TimedOut("no progress", request=REQUEST_LINE),
    IncompleteDownload("5 of 9 bytes", sent=True, request=REQUEST_LINE),
    DecodeError("no JSON", b"<html>", REQUEST_LINE),
    OutcomeUnknown("503", REQUEST_LINE),
    TokenUnavailable("the token source failed: 503"),
    ReauthorizationRequired(),
]

COPIES: Final[dict[str, Callable[[MlmsgError], MlmsgError]]] = {
    "pickle": lambda error: ForkingPickler.loads(ForkingPickler.dumps(error)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, MlmsgError)


ENDS_JOB: Final = {
    AuthenticationError,
    CertificateError,
    InvalidToken,
    ReauthorizationRequired,
    StillUnread,
    TokenUnavailable,
    UsageError,
}


def test_errors_that_concern_every_call_end_a_job() -> None:
    assert {kind for kind in TREE if issubclass(kind, MlmsgError) and kind.ends_job} == ENDS_JOB


def test_the_tree_is_the_one_that_is_drawn() -> None:
    assert {kind: kind.__bases__ for kind in TREE} == TREE
    names = {name for name in mlmsg.errors.__all__ if is_error(getattr(mlmsg.errors, name))}
    assert names == {kind.__name__ for kind in TREE} | {"MlmsgError"}
    assert all(f" {name} " in f"{mlmsg.errors.__doc__}".replace("\n", " ") for name in names)


def test_every_error_is_sampled_below_and_exported() -> None:
    assert {type(error) for error in ERRORS} == {*TREE, MlmsgError}
    assert {kind.__name__ for kind in TREE} <= set(mlmsg.__all__)


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_copied_with_all_that_it_holds(
    error: MlmsgError, copied: Callable[[MlmsgError], MlmsgError]
) -> None:
    twin = copied(error)
    assert type(twin) is type(error)
    assert vars(twin) == vars(error)
    assert twin.args == error.args
    assert (str(twin), repr(twin)) == (str(error), repr(error))


def test_an_api_error_shows_status_text_request_and_attempts() -> None:
    error = refused(BadRequest, 400)
    assert str(error) == (
        "400 bad_request: Text is required [GET /marketplace/messages/packs/1] after 3 attempts. "
        "Pass a text that is not empty"
    )
    assert str(ApiError(302, None, "Found")) == "302 Found"
    assert dict(ApiError(302, None, "Found").headers) == {}


def test_the_other_errors_tell_what_to_do() -> None:
    assert "overwrite=True" in str(TargetExists("a/b.png"))
    assert "'a/b.png'" in str(TargetExists(Path("a/b.png")))
    assert "may or may not have been delivered: 503" in str(OutcomeUnknown("503", REQUEST_LINE))
    assert str(REQUEST_LINE) in str(TransportError("lost", request=REQUEST_LINE))
    assert str(TransportError("lost")) == "lost"
    assert str(DecodeError("no JSON", b"<html>" * 1000, REQUEST_LINE)).startswith(
        f"no JSON [{REQUEST_LINE}]: b'<"
    )
    assert len(str(DecodeError("no JSON", b"<html>" * 1000, REQUEST_LINE))) < 300


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, ApiError) for status in (301, 302, 304, 307, 308, 402, 405, 408, 409, 413, 418)),
        *((status, ApiError) for status in (422, 425, 451, 499, 600)),
        (400, BadRequest),
        (401, AuthenticationError),
        (403, PermissionDenied),
        (404, NotFound),
        (429, RateLimited),
        *((status, ServerError) for status in (500, 501, 502, 503, 504, 520, 599)),
    ],
)
def test_the_status_names_the_class(status: int, kind: type[ApiError]) -> None:
    error = api_error(status, b'{"message":"m","error":"e"}', HEADERS, REQUEST_LINE, 2)
    assert type(error) is kind
    assert (error.status, error.code, error.message, error.attempts) == (status, "e", "m", 2)
    assert (error.body, error.headers) == (b'{"message":"m","error":"e"}', HEADERS)
    assert error.request == REQUEST_LINE


@pytest.mark.parametrize("body", [b"", b"{}", b"   ", b'{"message":null}', b'{"message":" "}'])
def test_a_body_without_words_leaves_the_status_alone_as_the_message(body: bytes) -> None:
    error = api_error(500, body, {}, REQUEST_LINE, 1)
    assert error.message == "500"
    assert str(error).startswith("500 ")
    assert error.code is None


KEY_SETS: Final[dict[str, tuple[object, ErrorBody]]] = {
    "message, error, status, cause": (
        {"message": "Text is required", "error": "bad_request", "status": 400, "cause": []},
        ErrorBody("bad_request", "Text is required"),
    ),
    "error null": (
        {"message": "File can not be accessed", "error": None, "status": 500, "cause": []},
        ErrorBody(None, "File can not be accessed"),
    ),
    "code a number, cause null": (
        {"code": 404, "error": "not_found_error", "message": "Claim not found.", "cause": None},
        ErrorBody("not_found_error", "Claim not found."),
    ),
    "code a number in a text": (
        {"code": "404", "error": "not_found_error", "message": "Claim not found."},
        ErrorBody("not_found_error", "Claim not found."),
    ),
    "PolicyAgent": (
        {"code": "PA_UNAUTHORIZED", "blocked_by": "PolicyAgent", "message": "No.", "status": 403},
        ErrorBody("PA_UNAUTHORIZED", "No."),
    ),
    "status_code, code, message": (
        {"status_code": 401, "code": "unauthorized", "message": "invalid token"},
        ErrorBody("unauthorized", "invalid token"),
    ),
    "cause a text": (
        {"cause": "no caller", "error": "forbidden", "message": "Denied", "status_code": 403},
        ErrorBody("forbidden", "Denied", ("no caller",)),
    ),
    "statusCode, code, message, requestId": (
        {"statusCode": 429, "code": "too_many", "message": "Slow down", "requestId": "r-1"},
        ErrorBody("too_many", "Slow down"),
    ),
    "error_description": (
        {"error_description": "Expired", "error": "invalid_grant", "status": 400, "cause": []},
        ErrorBody("invalid_grant", "Expired"),
    ),
    "message alone": ({"message": "Forbidden"}, ErrorBody(None, "Forbidden")),
    "error alone": ({"error": "forbidden"}, ErrorBody("forbidden", "forbidden")),
    "cause a list of objects": (
        {"message": "Bad", "error": "e", "cause": [{"code": "x", "message": "y"}, {"code": 2}]},
        ErrorBody("e", "Bad", ({"code": "x", "message": "y"}, {"code": 2})),
    ),
    "cause an object": (
        {"message": "Bad", "cause": {"code": "x"}},
        ErrorBody(None, "Bad", ({"code": "x"},)),
    ),
    "cause an empty text": ({"message": "Bad", "cause": ""}, ErrorBody(None, "Bad")),
    "message of another kind": (
        {"message": {"es": "Malo"}, "error": "bad_request", "code": 400},
        ErrorBody("bad_request", "bad_request"),
    ),
    "message blank": ({"message": " ", "error": "gone"}, ErrorBody("gone", "gone")),
    "nothing known": ({"timestamp": 1, "path": "/x"}, ErrorBody()),
}


@pytest.mark.parametrize(("body", "read"), KEY_SETS.values(), ids=KEY_SETS)
def test_every_key_set_is_read(body: object, read: ErrorBody) -> None:
    assert read_error_body(json.dumps(body).encode()) == read


@pytest.mark.parametrize(
    ("name", "read"),
    [
        (
            "get_attachment_not_accessible",
            ErrorBody(None, "File can not be accessed, try it later"),
        ),
        ("get_attachment_without_token", ErrorBody("bad_request", "Access token is required")),
    ],
)  # fmt: skip
def test_the_documented_errors_are_read(name: str, read: ErrorBody) -> None:
    body = read_sample(f"post_sale_messages.{name}")
    assert read_error_body(body) == read


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", ""),
        (b"  \n ", ""),
        (b"local_rate_limited", "local_rate_limited"),
        (b"too many\r\n  requests", "too many requests"),
        (b"<html><head><title>502 Bad Gateway</title></head><body><hr></body></html>",
         "502 Bad Gateway"),
        (b"<style>p{color:red}</style><script>alert('<p>')</script><p>Down</p>", "Down"),
        (b"a < b", "a < b"),
        (b"<p", "<p"),
        ("No está".encode(), "No está"),
        ("No está".encode("latin-1"), "No est\N{REPLACEMENT CHARACTER}"),
        (b'{"message": "cut', '{"message": "cut'),
        (b"x" * 100_000, "x" * 500),
    ],
    ids=["empty", "blank", "word", "lines", "html", "script", "less", "open tag", "utf-8",
         "latin-1", "cut json", "long"],
)  # fmt: skip
def test_plain_text_and_html_become_the_message(body: bytes, message: str) -> None:
    assert read_error_body(body) == ErrorBody(message=message)


@pytest.mark.parametrize("piece", [b"<", b"</", b"<script ", b"<style>", b"<>"])
def test_no_body_holds_up_the_event_loop(piece: bytes) -> None:
    body = (piece * 65536)[:65536]
    started = time.process_time()
    read_error_body(body)
    assert time.process_time() - started < 0.3


KEYS = ("message", "error", "error_description", "code", "cause", "status", "status_code")


@given(st.binary())
@example(b"[" * 100_000)
@example(b'{"message":' * 100_000)
@example(b'{"message":"\\ud83d"}')
@example(b"\xef\xbb\xbf{}")
@example(b'{"status":1e999}')
@example(b'{"status":' + b"9" * 5000 + b"}")
def test_no_bytes_make_the_reader_raise(body: bytes) -> None:
    api_error(500, body, {}, REQUEST_LINE, 1)


@pytest.mark.slow
@given(ANY_JSON | st.dictionaries(st.sampled_from(KEYS), ANY_JSON))
def test_no_json_makes_the_reader_raise(value: object) -> None:
    read = read_error_body(json.dumps(value).encode())
    assert isinstance(read.message, str)
    assert isinstance(read.cause, tuple)
    assert read.code is None or (isinstance(read.code, str) and read.code)
