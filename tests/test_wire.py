"""From arguments to a request, and from a reply to a value or an error: all without a network."""

import base64
import json
import traceback
from collections.abc import AsyncGenerator, Callable
from typing import Final, NamedTuple
from urllib.parse import parse_qs, unquote

import msgspec
import pytest
from calls import TOKEN
from hypothesis import example, given
from hypothesis import strategies as st
from seeds import read_sample

from mlmsg import _operations, _secrets
from mlmsg._decoders import JsonDecoder
from mlmsg._multipart import Multipart
from mlmsg._request_builders import format_path
from mlmsg._secrets import REDACTED as BLANK
from mlmsg._secrets import Secret
from mlmsg._streams import Buffer
from mlmsg._wire import Request, Response, decode, error_from_response, prepare
from mlmsg.errors import BadRequest, DecodeError, NotFound, RuleError
from mlmsg.models import Message, Sent, Upload
from mlmsg.policy import Effect
from mlmsg.uploads import Source

QUOTED_TOKEN = "stand/in+token=0123456789"
URL = "https://api.example"
KIB64 = 64 * 1024


async def _one_block() -> AsyncGenerator[Buffer, None]:
    yield b"x"


FILE = Multipart.from_source(Source(_one_block, 1, "a.png", "image/png", replayable=True))
PAGE = _operations.pack_page(2315686468, 2, 0)
GET = _operations.message("2d45a5ad186041659e9a608f0c109dff")
SEND = _operations.send_to_pack("2315686468", "Hola\n", None, [])
SEND_ALL = _operations.send_to_pack(2315686468, "Hola", "Hi", ["a.png", "b.png"])
UPLOAD = _operations.upload("MLM", FILE)
DOWNLOAD = _operations.download("76601286_5946e4c4.png", "MLM")


UNREAD = _operations.unread("seller")
UNREAD_OF = _operations.unread_of("/packs/1234/sellers/2345")
THREAD = _operations.seller_thread(1234, 2345, 2, 0, mark_as_read=False)
CLAIM = _operations.claim(5294629673)
CLAIM_MESSAGES = _operations.claim_messages(5294629673)
CLAIM_UPLOAD = _operations.claim_upload(5294629673, FILE)
CLAIM_SEND = _operations.send_to_claim(5294629673, "Hola", "complainant", ["a.png"])
CLAIM_FILE = _operations.claim_file(5294629673, "a.png")
CLAIM_DOWNLOAD = _operations.claim_download(5294629673, "a.png")


class Row(NamedTuple):
    """A request as it has to go out."""

    request: Request[object]
    operation: str
    method: str
    path: str
    query: dict[str, list[str]]
    effect: Effect
    body: object = None
    upload: Multipart | None = None
    is_streamed: bool = False
    v1_path: str = ""


READ = Effect.READ
MESSAGES = "/marketplace/messages"
PACK = f"{MESSAGES}/packs/2315686468"
PAGED = {"limit": ["2"], "offset": ["0"]}
SITE = {"site_id": ["MLM"]}
TAG = {"tag": ["post_sale"]}
TAGGED = {**TAG, **SITE}
CLAIMS = "/marketplace/v2/claims/5294629673"
CLAIM_V1 = "/post-purchase/v1/claims/5294629673"
TEXT = {"text": "Hola\n"}
ALL = {"text": "Hola", "text_translated": "Hi", "attachments": ["a.png", "b.png"]}
ENDPOINTS: Final = [
    Row(PAGE, "packs.page", "GET", PACK, PAGED, READ),
    Row(GET, "messages.get", "GET", f"{MESSAGES}/2d45a5ad186041659e9a608f0c109dff", {}, READ),
    Row(SEND, "packs.send", "POST", PACK, {}, Effect.SEND, TEXT),
    Row(SEND_ALL, "packs.send", "POST", PACK, {}, Effect.SEND, ALL),
    Row(UPLOAD, "attachments.upload", "POST", f"{MESSAGES}/attachments", SITE, Effect.UPLOAD,
        upload=FILE),
    Row(DOWNLOAD, "attachments.download", "GET", f"{MESSAGES}/attachments/76601286_5946e4c4.png",
        TAGGED, READ, is_streamed=True),
    Row(UNREAD, "unread.list", "GET", "/messages/unread", {"role": ["seller"], **TAG}, READ),
    Row(UNREAD_OF, "unread.get", "GET", "/messages/unread/packs/1234/sellers/2345", TAG, READ),
    Row(THREAD, "unread.page", "GET", "/messages/packs/1234/sellers/2345",
        {"mark_as_read": ["false"], **PAGED, **TAG}, READ),
    Row(CLAIM, "claims.get", "GET", CLAIMS, {}, READ, v1_path=CLAIM_V1),
    Row(CLAIM_MESSAGES, "claims.messages", "GET", f"{CLAIMS}/messages", {}, READ,
        v1_path=f"{CLAIM_V1}/messages"),
    Row(CLAIM_UPLOAD, "claims.upload", "POST", f"{CLAIMS}/attachments", {}, Effect.UPLOAD,
        upload=FILE, v1_path=f"{CLAIM_V1}/attachments"),
    Row(CLAIM_SEND, "claims.send", "POST", f"{CLAIMS}/actions/send-message", {}, Effect.SEND,
        {"receiver_role": "complainant", "message": "Hola", "attachments": ["a.png"]},
        v1_path=f"{CLAIM_V1}/actions/send-message"),
    Row(CLAIM_FILE, "claims.attachment", "GET", f"{CLAIM_V1}/attachments/a.png", {}, READ),
    Row(CLAIM_DOWNLOAD, "claims.download", "GET", f"{CLAIMS}/attachments/a.png/download", {}, READ,
        is_streamed=True, v1_path=f"{CLAIM_V1}/attachments/a.png/download"),
]  # fmt: skip


@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row.operation)
def test_an_endpoint_is_called_as_documented(row: Row) -> None:
    request = row.request
    assert str(request.line) == f"{row.method} {row.path}"
    assert (request.operation, request.method) == (row.operation, row.method)
    assert (request.path, parse_qs(request.query)) == (row.path, row.query)
    assert (request.effect, request.is_streamed) == (row.effect, row.is_streamed)
    assert (request.upload, request.v1_path) == (row.upload, row.v1_path)
    assert (None if request.body is None else msgspec.json.decode(request.body)) == row.body


def test_every_endpoint_is_in_the_table() -> None:
    # And those of test_both_families.
    others = {"auth.refresh", "auth.login", "account.me", "account.sellers"}
    others |= {"claims.search", "claims.detail", "orders.search", "orders.get"}
    others |= {"notifications.missed", "reasons.list", "reasons.caps", "reasons.send"}
    functions = {
        name
        for name, value in vars(_operations).items()
        if getattr(value, "__module__", "") == "mlmsg._operations" and not name.startswith("_")
    }
    same_operation = {"send_as_seller"}
    assert len({row.operation for row in ENDPOINTS} | others) == len(functions - same_operation)


@pytest.mark.parametrize("name", ["create_message", "create_message_without_attachments"])
def test_the_documented_send_is_sent_key_for_key(name: str) -> None:
    body = read_sample(f"post_sale_messages.{name}")
    known = msgspec.json.decode(body, type=dict[str, str | list[str]])
    attachments = msgspec.convert(known.get("attachments", []), list[str])
    texts = f"{known['text']}", f"{known['text_translated']}"
    request = _operations.send_to_pack(1, *texts, attachments)
    assert msgspec.json.decode(request.body or b"") == known


MAKERS: Final[dict[str, Callable[[int | str], object]]] = {
    "page": lambda value: _operations.pack_page(value, 1, 0),
    "message": _operations.message,
    "send": lambda value: _operations.send_to_pack(value, "Hola", None, []),
    "download": lambda value: _operations.download(value, "MLM"),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("value", ["", ".", "..", "../1", "a/b", "a\\b", "1\r\n", True, -1])
def test_no_endpoint_is_left_by_an_id(
    make: Callable[[int | str], object], value: int | str
) -> None:
    with pytest.raises(RuleError):
        make(value)


SEGMENTS = st.text("abñ😀%?#&=+;:@,'\"<>[]{}|^`~!$()*.-_", min_size=1)


@given(SEGMENTS.filter(lambda value: value not in {".", ".."}))
def test_an_id_fills_exactly_its_own_segment(value: str) -> None:
    before, segment, after = format_path("/a/{one}/b", one=value).split("/")[1:]
    assert (before, unquote(segment), after) == ("a", value, "b")
    assert segment.isascii()
    assert not set(segment) & set("?#&=+;@ {}")


def test_several_ids_are_formatted_by_name() -> None:
    assert format_path("/packs/{p}/sellers/{s}", s="2%3", p=1) == "/packs/1/sellers/2%253"


def test_a_request_goes_out_with_url_token_and_the_headers_of_its_body() -> None:
    token = {"Authorization": f"Bearer {QUOTED_TOKEN}"}
    json_body = {**token, "Content-Type": "application/json"}
    assert prepare(PAGE, URL, QUOTED_TOKEN) == (f"{URL}{PACK}?limit=2&offset=0", token)
    assert prepare(SEND, URL, QUOTED_TOKEN) == (f"{URL}{PACK}", json_body)
    assert prepare(DOWNLOAD, URL, QUOTED_TOKEN)[1] == {**token, "Accept-Encoding": "identity"}
    assert prepare(UPLOAD, URL, QUOTED_TOKEN)[1] == token


def test_a_secret_is_a_text_that_shows_itself_to_nobody() -> None:
    secret = Secret(QUOTED_TOKEN)
    assert secret == QUOTED_TOKEN
    assert f"Bearer {secret}" == f"Bearer {QUOTED_TOKEN}"
    assert QUOTED_TOKEN not in f"{secret!r} {secret!a} {[secret]} { ({'token': secret}) }"


def test_a_traceback_with_its_variables_shows_no_token() -> None:
    url, headers = prepare(PAGE, URL, QUOTED_TOKEN)
    secret = Secret(QUOTED_TOKEN)
    try:
        raise RuntimeError(url)
    except RuntimeError as error:
        rendered = traceback.TracebackException.from_exception(error, capture_locals=True)
    text = "".join(rendered.format())
    assert "headers = " in text
    assert "secret = " in text
    assert QUOTED_TOKEN not in text
    assert headers["Authorization"].endswith(secret)


UNREADABLE: Final[dict[str, bytes]] = {
    "empty": b"",
    "html": b"<html>",
    "cut": b'{"messages": [',
    "array": b"[]",
    "null": b"null",
    "no utf-8": b"\xff\xfe",
    "no messages": b"{}",
    "text": b'"text"',
    "number": b"1e999",
    "deep": b'{"messages":' + b"[" * 100_000,
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_a_success_that_cannot_be_read_is_a_decode_error_with_its_body(body: bytes) -> None:
    with pytest.raises(DecodeError) as failed:
        decode(PAGE, Response(200, {}, body))
    assert failed.value.body == body[:KIB64]
    assert failed.value.request == PAGE.line
    assert failed.value.__cause__ is not None


def test_a_decode_error_holds_no_token() -> None:
    body = b'<html>Welcome, APP_USR-stand-in-for-a-token. Malformed access_token: x"</html>'
    with pytest.raises(DecodeError) as failed:
        decode(PAGE, Response(200, {}, body))
    assert b"stand-in" not in failed.value.body
    assert "stand-in" not in f"{failed.value} {failed.value!r}"


def test_an_answer_reads_strictly_and_then_value_by_value() -> None:
    answer = JsonDecoder(Message)
    assert answer(Response(200, {}, b'{"id":"m1","client_id":"7"}')) == Message(
        id="m1", client_id=7
    )
    assert answer(Response(200, {}, b'{"id":"m1","client_id":"x"}')) == Message(id="m1")
    with pytest.raises(msgspec.ValidationError, match="id"):
        answer(Response(200, {}, b'{"text":"x"}'))


def test_an_upload_answers_its_id_and_a_download_its_reply() -> None:
    body = read_sample("post_sale_messages.upload_attachment")
    name = "210438685_59f0f034-db1b-4ea6-8c5e-1d34e2092482.jpg"
    assert decode(UPLOAD, Response(201, {}, body)) == Upload(id=name)
    reply = Response(200, {}, b"\x89PNG")
    assert decode(DOWNLOAD, reply) is reply


ECHO = json.dumps({"message": f"bad {QUOTED_TOKEN}"})
REFUSED: Final[dict[str, tuple[bytes, str]]] = {
    "plain": (f"token {QUOTED_TOKEN} refused".encode(), f"token {BLANK} refused"),
    "twice": (f"{QUOTED_TOKEN}, {QUOTED_TOKEN}".encode(), f"{BLANK}, {BLANK}"),
    "JSON": (ECHO.encode(), f"bad {BLANK}"),
    "JSON with escaped slashes": (ECHO.replace("/", r"\/").encode(), f"bad {BLANK}"),
    "JSON as Gson escapes it": (ECHO.replace("=", r"\u003d").encode(), f"bad {BLANK}"),
    "like a token": (b'{"message":"no APP_USR-stand_in-for-a-token"}', f"no {BLANK}"),
    "like a refresh token": (b'{"message":"no TG-stand_in-17"}', f"no {BLANK}"),
    "malformed": (
        b'{"message":"Malformed access_token: INVALID_TOKEN","error":"bad_request"}',
        f"Malformed access_token: {BLANK}",
    ),
    "malformed in plain text": (
        b"Malformed access_token: INVALID_TOKEN",
        f"Malformed access_token: {BLANK}",
    ),
}


@pytest.mark.parametrize(("body", "message"), REFUSED.values(), ids=REFUSED)
def test_an_echoed_token_is_blanked_out_everywhere(body: bytes, message: str) -> None:
    headers = {
        "WWW-Authenticate": f"Bearer token={QUOTED_TOKEN}",
        "X-Echo": "APP_USR-stand_in-17",
    }
    error = error_from_response(PAGE, Response(400, headers, body), QUOTED_TOKEN, 1)
    assert error.message == message
    assert error.headers == {"www-authenticate": f"Bearer token={BLANK}", "x-echo": BLANK}
    shown = f"{error} {error!r} {vars(error)}"
    assert not [
        rendered
        for rendered in (QUOTED_TOKEN, "INVALID_TOKEN", "stand_in", "4861234")
        if rendered in shown
    ]


def test_a_cause_holds_no_token_either() -> None:
    body = json.dumps({"message": "no", "cause": [{"message": f"bad {QUOTED_TOKEN}"}]})
    error = error_from_response(
        PAGE, Response(400, {}, body.replace("/", r"\/").encode()), QUOTED_TOKEN, 1
    )
    assert error.cause == ({"message": f"bad {BLANK}"},)


def test_an_error_builds_no_pattern_that_was_built_before() -> None:
    """Building it takes a millisecond, and an error of many headers needs it for each of them."""
    headers = {f"X-{number}": "a value" for number in range(20)}
    error_from_response(PAGE, Response(404, headers, b""), QUOTED_TOKEN, 1)
    built = _secrets._pattern_for.cache_info().misses
    error = error_from_response(
        PAGE, Response(404, {**headers, "X": QUOTED_TOKEN}, b""), QUOTED_TOKEN, 1
    )
    assert error.headers["x"] == BLANK
    assert _secrets._pattern_for.cache_info().misses == built


def test_a_stand_in_of_few_letters_does_not_blank_every_text() -> None:
    error = error_from_response(PAGE, Response(400, {}, b'{"message":"a bad request"}'), "a", 1)
    assert error.message == "a bad request"


def test_a_refusal_keeps_status_request_attempts_and_64_kib_of_the_body() -> None:
    error = error_from_response(
        PAGE, Response(404, {"X-Request-Id": "r-1"}, b"x" * 100_000), QUOTED_TOKEN, 3
    )
    assert type(error) is NotFound
    assert (error.request, error.attempts) == (PAGE.line, 3)
    assert error.headers == {"x-request-id": "r-1"}
    assert error.body == b"x" * KIB64


@pytest.mark.slow
@given(st.binary(max_size=200))
@example(b"\xff\xfe\x00")
def test_a_body_without_a_token_is_kept_byte_for_byte(body: bytes) -> None:
    error = error_from_response(
        PAGE, Response(400, {}, body), base64.b64encode(bytes(48)).decode(), 1
    )
    assert isinstance(error, BadRequest)
    assert error.body == body


SENT = {"id": "m1", "status": "moderated", "text": "Hola"}
HELD = Message(id="m1", status="moderated", text="Hola")
ANSWERS: Final[dict[str, tuple[bytes, Message | None]]] = {
    "bare message": (json.dumps(SENT).encode(), HELD),
    "messages": (json.dumps({"messages": [SENT]}).encode(), HELD),
    "envelope": (json.dumps({"paging": None, "messages": [SENT]}).encode(), HELD),
    "array": (json.dumps([SENT]).encode(), HELD),
    "odd value inside": (json.dumps({**SENT, "client_id": "odd"}).encode(), HELD),
    "text cut inside an emoji": (
        rb'{"id": "m1", "status": "moderated", "text": "Hola \ud83d"}',
        Message(id="m1", status="moderated", text="Hola ?"),
    ),
    "id a number": (b'[{"id": 17}]', Message(id="17")),
    "messages empty": (b'{"messages": []}', None),
    "messages null": (b'{"messages": null}', None),
    "messages of null": (b'{"messages": [null]}', None),
    "empty array": (b"[]", None),
    "empty object": (b"{}", None),
    "without an id": (b'{"text": "Hola"}', None),
    "empty": (b"", None),
    "plain text": (b"status 201 created", None),
    "JSON text": (b'"status 201 created"', None),
    "null": (b"null", None),
    "number": (b"201", None),
    "html": (b"<html>Created</html>", None),
    "cut": (b'{"id": "m1', None),
    "no utf-8": (b"\xff\xfe", None),
    "deep": (b"[" * 100_000, None),
    "deep in a message": (b'{"id": "m1", "x": ' + b"[" * 100_000, None),
}


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize(("body", "message"), ANSWERS.values(), ids=ANSWERS)
def test_a_send_that_was_accepted_is_sent_whatever_the_answer_holds(
    body: bytes, message: Message | None, status: int
) -> None:
    assert decode(SEND, Response(status, {}, body)) == Sent(status_code=status, message=message)


KEYS = st.sampled_from(["messages", "id", "from", "user_id", "message_date", "created"])
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(), inner, max_size=4)
    ),
    max_leaves=8,
)
FIELDS = [field.encode_name for field in msgspec.structs.fields(Message) if field.name != "id"]


@pytest.mark.slow
@given(st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_makes_an_accepted_send_an_error(body: bytes) -> None:
    assert isinstance(decode(SEND, Response(201, {}, body)), Sent)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(FIELDS), ANY_JSON, max_size=6))
def test_no_optional_value_costs_the_message(fields: dict[str, object]) -> None:
    body = json.dumps({"id": "m1", **fields}).encode()
    assert decode(SEND, Response(201, {}, body)).id == "m1"
    assert decode(GET, Response(200, {}, body)).id == "m1"


MESSAGE_FORMS: Final[dict[str, object]] = {
    "envelope": {"paging": None, "conversation_status": None, "messages": [SENT]},
    "two messages": {"messages": [SENT, {"id": "m2"}]},
    "flat": SENT,
    "flat with a key of the envelope": {**SENT, "paging": None},
    "flat with an odd value": {**SENT, "client_id": "odd"},
}


@pytest.mark.parametrize("body", MESSAGE_FORMS.values(), ids=MESSAGE_FORMS)
def test_a_message_is_read_from_an_envelope_and_flat(body: object) -> None:
    assert decode(GET, Response(200, {}, json.dumps(body).encode())) == HELD


@pytest.mark.parametrize("body", [b'{"messages": []}', b"{}", b"[]", b"null", b"", b"{"])
def test_an_answer_without_a_message_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(DecodeError) as failed:
        decode(GET, Response(200, {}, body))
    assert failed.value.body == body
    assert failed.value.request == GET.line


def test_the_repr_of_a_response_hides_body_and_headers() -> None:
    assert repr(Response(400, {"X-Echo": TOKEN}, TOKEN.encode())) == "<Response 400, 25 bytes>"
