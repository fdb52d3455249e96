"""Error bodies in all their shapes, errors inside of errors, and tokens that never show."""

import codecs
import json
import time
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmsg import (
    ApiError,
    AuthenticationError,
    BadRequest,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServerError,
    _operations,
)
from mlmsg._error_bodies import api_error, read_error_body
from mlmsg._secrets import redact, redact_bytes
from mlmsg._wire import Response, error_from_response
from mlmsg.errors import RequestLine

LINE: Final = RequestLine("packs.page", "GET", "/marketplace/messages/packs/1")
PAGE: Final = _operations.pack_page(1, 50, 0)

SAYS: Final[dict[str, tuple[object, str | None, str]]] = {
    "a text of JSON": (
        {"message": '{"message":"Malformed thing","error":"bad_request","status":400}',
         "error": "unauthorized"}, "bad_request", "Malformed thing"),
    "twice": ({"message": json.dumps({"message": json.dumps({"message": "deep", "code": "x"})})},
              "x", "deep"),
    "an object in `error`": ({"error": {"message": "inner", "code": "c1"}}, "c1", "inner"),
    "a list in `errors`": ({"errors": [{"detail": "first"}, {"detail": "second"}]}, None, "first"),
    "a list of causes": ({"cause": [{"code": "c2", "message": "why"}]}, "c2", "why"),
    "a description": ({"error": "invalid_filters", "description": "No filter"},
                      "invalid_filters", "No filter"),
    "a detail": ({"detail": "No such claim", "code": 404}, None, "No such claim"),
    "a text that only looks like JSON": ({"message": "{not json}"}, None, "{not json}"),
    "an array": ([{"message": "in a list"}], None, "in a list"),
    "a text alone": ("only this", None, "only this"),
    "words before JSON": (
        {"message": '400 Bad Request: "{\\"x\\": 1}" {"message": "inner", "error": "c3"}'}, None,
        '400 Bad Request: "{\\"x\\": 1}" {"message": "inner", "error": "c3"}'),
    "one JSON after words": (
        {"message": 'Error of a service: {"message": "inner", "error": "c3"}'}, "c3", "inner"),
    "capitals": ({"Message": "No", "Error": "c4"}, "c4", "No"),
    "camel case": ({"errorMessage": "No", "code": "c5"}, "c5", "No"),
    "a reason": ({"error": "c6", "reason": "No"}, "c6", "No"),
    "texts in a list": ({"errors": ["", "first", "second"]}, None, "first"),
    "the second of a list": ({"error": "c7", "errors": [{"x": 1}, {"message": "No"}]}, "c7", "c7"),
    "a fault": ({"fault": {"faultstring": "No", "detail": {"errorcode": "c8"}}}, None, "No"),
    "another description": ({"error": "c9", "userMessage": "No"}, "c9", "No"),
    "in Spanish": ({"codigo": 1, "descripcion": "No"}, None, "No"),
    "a description in a list": ({"error": "c9", "description": ["", "No"]}, "c9", "No"),
    "a description in an object": ({"error": "c9", "description": {"text": "No"}}, "c9", "No"),
    "JSON in a description": ({"description": '{"message": "No", "error": "c9"}'}, "c9", "No"),
    "a code of two words": ({"error_code": "c9", "error_description": "No"}, "c9", "No"),
    "by language": ({"error": {"es": "No existe"}}, None, "No existe"),
    "under a key of its own": ({"status": 400, "response": {"message": "No"}}, None, "No"),
    "a sentence anywhere": ({"status": "error", "result": "It failed"}, None, "It failed"),
    "no sentence": ({"status": "error", "at": "2026-01-01 10:00:00", "id": "a1"}, None, ""),
    "validation": ({"validation_errors": [{"field": "x", "message": "No"}]}, None, "No"),
    "in `data`": ({"data": {"message": "No"}}, None, "No"),
    "nothing": ({}, None, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", SAYS)
def test_the_text_is_found_wherever_it_stands(name: str) -> None:
    value, code, message = SAYS[name]
    found = read_error_body(json.dumps(value).encode())
    assert (found.code, found.message) == (code, message)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "error", "cause", "code", "detail", "errors", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.slow
@given(JSON, st.integers(0, 3))
def test_no_body_is_too_odd(value: object, depth: int) -> None:
    for _ in range(depth):
        value = {"message": json.dumps(value)}
    error = api_error(400, json.dumps(value).encode(), {}, LINE, 1)
    assert isinstance(error.message, str)
    assert str(error)


def test_a_deep_nest_ends() -> None:
    value: object = {"message": "end"}
    for _ in range(12):
        value = {"message": json.dumps(value)}
    assert read_error_body(json.dumps(value).encode()).message


BAD_TOKEN: Final[dict[str, tuple[int, object]]] = {
    "malformed": (400, {"message": "Malformed access_token: ***", "error": "bad_request"}),
    "missing": (400, {"message": "Access token is required", "error": "bad_request"}),
    "malformed, inside": (
        400, {"message": '{"message":"Malformed access_token: ***","status":400}', "error": "x"}),
    "invalid": (403, {"message": "invalid access token", "error": "forbidden"}),
    "by code": (400, {"message": "no", "error": "invalid_token"}),
    "401": (401, {"message": "expired"}),
    "in Portuguese": (400, {"message": "Token de acesso inválido"}),
    "missing, in Portuguese": (400, {"message": "O access token é obrigatório"}),
    "in Spanish": (400, {"message": "El token de acceso no es válido"}),
    "missing, in Spanish": (400, {"message": "Se requiere el access token"}),
    "required, in Spanish": (400, {"message": "Access token es requerido"}),
    "expired": (403, {"message": "The access token is expired", "error": "forbidden"}),
    "two words": (404, {"message": "Invalid token", "error": "not_found"}),
    "no header": (400, {"message": "authorization value not present", "code": "unauthorized"}),
    "after words": (400, {"message": "Denied: Malformed access_token: ***"}),
    "in a description": (400, {"error": "bad_request", "description": "access token is required"}),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TOKEN)
def test_a_token_that_cannot_be_valid_is_an_authentication_error(name: str) -> None:
    status, value = BAD_TOKEN[name]
    error = api_error(status, json.dumps(value).encode(), {}, LINE, 1)
    assert (type(error), error.status) == (AuthenticationError, status)


NO_TOKEN_PROBLEM: Final[dict[str, tuple[int, object, type[ApiError], str]]] = {
    "another user's pack": (
        403, {"message": "User access token invalid for resource 7"}, PermissionDenied, "token"),
    "model 6, claims": (
        403, {"code": 403, "error": "forbidden_error",
              "message": "Forbidden for CBT model 6 sellers.", "cause": None},
        PermissionDenied, "Model 6"),
    "model 6, messages": (
        403, {"message": "Forbidden", "error": "Forbidden", "status": 403, "cause": []},
        PermissionDenied, "Model 6"),
    "PolicyAgent": (
        403, {"code": "PA_UNAUTHORIZED_RESULT_FROM_POLICIES", "blocked_by": "PolicyAgent",
              "message": "At least one policy returned UNAUTHORIZED.", "status": 403},
        PermissionDenied, "pre and post sale"),
    "a blocked thread": (
        403, {"code": "forbidden", "message": "blocked_conversation_send_message_forbidden"},
        PermissionDenied, "conversation_status"),
    "a blocked thread that says why": (
        403, {"code": "forbidden", "message": "blocked_by_payment"}, PermissionDenied, "not paid"),
    "no text": (400, {"message": "Text is required"}, BadRequest, "not empty"),
    "not there": (404, {"message": "Order do not exists"}, NotFound, "pack id"),
    "PolicyAgent, about a token": (
        403, {"code": "PA_TOKEN", "blocked_by": "PolicyAgent", "message": "invalid access token"},
        PermissionDenied, "pre and post sale"),
    "another token": (400, {"message": "The refresh token is expired"}, BadRequest, ""),
    "the token of an upload": (400, {"message": "upload token is invalid"}, BadRequest, ""),
    "too many": (429, {"message": "invalid access token"}, RateLimited, ""),
    "a server that fails": (500, {"message": "Malformed access_token"}, ServerError, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_TOKEN_PROBLEM)
def test_other_refusals_keep_the_class_of_their_status(name: str) -> None:
    status, value, kind, words = NO_TOKEN_PROBLEM[name]
    error = api_error(status, json.dumps(value).encode(), {}, LINE, 1)
    assert (type(error), error.status) == (kind, status)
    assert words in error.hint


ECHOED_TOKEN: Final = "stand-in/token+of=a.seller"
ESCAPES: Final = {
    "plain": ECHOED_TOKEN,
    "in JSON": json.dumps(ECHOED_TOKEN)[1:-1],
    "in JavaScript's JSON": ECHOED_TOKEN.replace("/", "\\/"),
    "escaped twice": json.dumps(ECHOED_TOKEN.replace("/", "\\/"))[1:-1],
    "in escapes": "".join(f"\\u{ord(c):04X}" for c in ECHOED_TOKEN),
    "in escapes, twice": "".join(f"\\\\u{ord(c):04x}" for c in ECHOED_TOKEN),
    "in a URL": "".join(c if c.isalnum() else f"%{ord(c):02X}" for c in ECHOED_TOKEN),
    "in a URL, twice": "".join(f"%25{ord(c):02x}" for c in ECHOED_TOKEN),
    "in HTML": "".join(c if c.isalnum() else f"&#{ord(c)};" for c in ECHOED_TOKEN),
    "in HTML, hexadecimal": "".join(f"&#x{ord(c):X};" for c in ECHOED_TOKEN),
}


@pytest.mark.parametrize("name", ESCAPES)
def test_no_spelling_of_the_token_is_kept_and_the_json_stays_whole(name: str) -> None:
    inner = '{\\"message\\":\\"Malformed access_token: ' + ESCAPES[name] + '\\",\\"status\\":400}'
    body = ('{"message": "' + inner + '", "error": "bad_request"}').encode()
    error = error_from_response(PAGE, Response(400, {}, body), ECHOED_TOKEN, 1)
    assert isinstance(error, AuthenticationError)
    assert error.message == "Malformed access_token: ***"
    assert ESCAPES[name].encode() not in error.body
    assert msgspec.json.decode(error.body)


UNKNOWN_TOKENS: Final = {
    "after a line end": "\\nTG-0a1b2c3d4e5f",
    "after a line end in a URL": "%0aTG-0a1b2c3d4e5f",
    "after a quote in a URL": "%22APP_USR-none-of-ours",
    "after a quote in escapes": "\\u0022TG-0a1b2c3d4e5f",
    "in a URL": "APP%5FUSR%2Dnone-of-ours",
    "in escapes": "APP\\u005fUSR\\u002dnone-of-ours",
    "in HTML": "APP_USR&#45;none-of-ours",
    "inside a word": "fooAPP_USR-none-of-ours",
    "echoed": "Malformed access_token: none-of-ours",
    "echoed after two spaces": "Malformed access_token:  none-of-ours",
    "echoed after a tab": "Malformed access_token:\tnone-of-ours",
    "echoed after a control character": "Malformed access_token:\t\x01none-of-ours",
    "echoed after no space": "Malformed access_token:none-of-ours",
    "echoed after an escape": "Malformed access_token: \\u0001none-of-ours",
    "echoed after a line end": "Malformed access_token: \\n\\nnone-of-ours",
    "echoed after an escape, twice": "Malformed access_token: \\\\u0001none-of-ours",
    "echoed with an escape": "Malformed access_token: x\\u002dnone-of-ours",
}


@pytest.mark.parametrize("name", UNKNOWN_TOKENS)
def test_a_token_that_was_not_sent_is_redacted_too(name: str) -> None:
    found = redact(f'{{"message": "{UNKNOWN_TOKENS[name]}"}}', ())
    assert "none" not in found
    assert "0a1b" not in found
    assert found.endswith('***"}')


def test_a_word_that_ends_like_a_token_is_kept() -> None:
    assert redact("https://example.com/mtg-photograph.png", ()).endswith("mtg-photograph.png")


@pytest.mark.parametrize(
    "piece",
    ["\\", "%25", "&#", "\\u00", "%", "TG-", "APP_USR-", "access_token: ", "access_token: \\n"],
)
def test_no_body_holds_up_the_event_loop(piece: str) -> None:
    body = (piece * 65536)[:65536].encode()
    started = time.process_time()
    redact_bytes(body, (ECHOED_TOKEN * 3,), 65536)
    assert time.process_time() - started < 0.5


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4, max_size=30))
def test_any_token_is_redacted(token: str) -> None:
    for text in (token, json.dumps(token)[1:-1]):
        body = f"<<{text}>>".encode()
        assert token.encode() not in redact_bytes(body, (token,), 1000).replace(b"***", b"")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_a_token_in_another_encoding_is_redacted(encoding: str) -> None:
    body = f'{{"message": "Malformed access_token: {ECHOED_TOKEN}"}}'.encode(encoding)
    error = error_from_response(PAGE, Response(400, {}, body), ECHOED_TOKEN, 1)
    assert error.message == "Malformed access_token: ***"
    assert b"Malformed access_token: ***" in error.body


@pytest.mark.parametrize("mark", [b"\0", b"{\0", codecs.BOM_UTF16_LE, codecs.BOM_UTF32_BE])
def test_a_wrong_mark_of_the_encoding_shows_no_token(mark: bytes) -> None:
    body = mark + f'{{"message": "Malformed access_token: {ECHOED_TOKEN}"}}'.encode()
    assert ECHOED_TOKEN.encode() not in redact_bytes(body, (ECHOED_TOKEN,), 1000)
