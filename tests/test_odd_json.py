"""JSON that a strict reader refuses: byte order marks, control characters, broken characters."""

import codecs
import json
from typing import Final

import pytest

from mlmsg import DecodeError, _operations
from mlmsg._error_bodies import read_error_body
from mlmsg._wire import Response, decode
from mlmsg.notifications import parse

PAGE: Final = b'{"messages": [{"id": "m1", "text": "%s"}], "paging": {"total": 1}}'

ODD: Final[dict[str, tuple[bytes, str]]] = {
    "a tab": (PAGE % b"a\tb", "a\tb"),
    "a line break": (PAGE % b"a\r\nb", "a\r\nb"),
    "a zero byte": (PAGE % b"a\x00b", "a\x00b"),
    "an escape": (PAGE % b"a\x1bb", "a\x1bb"),
    "a byte order mark": (codecs.BOM_UTF8 + PAGE % b"ab", "ab"),
    "UTF-16 with its mark": ((PAGE % b"ab").decode().encode("utf-16"), "ab"),
    "UTF-16, little-endian": ((PAGE % b"ab").decode().encode("utf-16-le"), "ab"),
    "UTF-16, big-endian": (("\n" + (PAGE % b"ab").decode()).encode("utf-16-be"), "ab"),
    "UTF-32 with its mark": ((PAGE % b"ab").decode().encode("utf-32"), "ab"),
    "a Latin-1 byte": (PAGE % b"cami\xf3n", "cami\ufffdn"),
    "half a character": (PAGE % b"camio\xcc", "camio\ufffd"),
    "an unknown escape": (PAGE % rb"It\'s", r"It\'s"),
    "an escape that is cut": (PAGE % rb"a \u00g1 \\ \n", "a \\u00g1 \\ \n"),
    "zero bytes at the end": (PAGE % b"ab" + b"\x00\x00\n", "ab"),
    "control characters around": (b"\x00\x02\r\n" + PAGE % b"ab" + b"\n\x1a\x7f", "ab"),
    "a byte order mark after a line end": (b"\n\xef\xbb\xbf" + PAGE % b"ab", "ab"),
    "half a surrogate pair": (PAGE % b"a\\ud83db", "a?b"),
    "NaN beside it": (b'{"messages": [{"id": "m1", "text": "a", "x": NaN}]}', "a"),
}


@pytest.mark.parametrize("name", ODD)
def test_no_page_is_lost_for_a_character(name: str) -> None:
    body, text = ODD[name]
    page = decode(_operations.pack_page(1, 50, 0), Response(200, {}, body))
    assert [(message.id, message.text) for message in page.messages] == [("m1", text)]


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("character", [b"\t", b"\x00", b"\n"])
def test_error_bodies_and_notifications_are_read_too(mark: bytes, character: bytes) -> None:
    error = read_error_body(mark + b'{"message": "text' + character + b'is required"}')
    assert error.message == f"text{character.decode()}is required"
    body = {"_id": "n1", "topic": "messages", "resource": "abc", "user_id": 1, "x": "TAB"}
    raw = mark + json.dumps(body).encode().replace(b"TAB", character)
    assert parse(raw).id == "abc"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", PAGE % b"a\\", codecs.BOM_UTF8, b"{'a': 1}", b"[1,]", b"[] []"]
)
def test_what_is_no_json_is_still_an_error(body: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(_operations.pack_page(1, 50, 0), Response(200, {}, body))


@pytest.mark.parametrize("name", ["id", "resource"])
def test_an_identifier_that_is_not_utf_8_is_an_error(name: str) -> None:
    """A text may lose a character, an id may not: it would name something else."""
    request, body = {
        "id": (_operations.pack_page(1, 50, 0), b'{"messages": [{"id": "a\xffb"}]}'),
        "resource": (_operations.unread("seller"), b'{"results": [{"resource": "/packs/\xff"}]}'),
    }[name]
    with pytest.raises(DecodeError, match=f"UTF-8, in `{name}`"):
        decode(request, Response(200, {}, body))
