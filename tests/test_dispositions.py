"""File names in `Content-Disposition` headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmsg._disposition import filename_in

NAMES = [
    ("attachment; filename=a.pdf", "a.pdf"),
    ('attachment;FILENAME = "a.pdf" ; size=3', "a.pdf"),
    ('attachment; filename="my file; 1.pdf"', "my file; 1.pdf"),
    ("attachment; filename=my file.pdf", "my file.pdf"),
    ('attachment; filename="a \\"b\\" c.pdf"', 'a "b" c.pdf'),
    ('attachment; filename="C:\\x\\a.pdf"', "C:\\x\\a.pdf"),
    ('attachment; filename="a.pdf', "a.pdf"),
    ('filename="a.pdf"', "a.pdf"),
    ("attachment; filename=a.pdf; filename=b.pdf", "a.pdf"),
    ("attachment; filename*=UTF-8''a%C3%B1o.pdf", "año.pdf"),
    ("attachment; filename*=\"UTF-8''a%C3%B1o.pdf\"", "año.pdf"),
    ("attachment; filename*=iso-8859-1'es'a%F1o.pdf", "año.pdf"),
    ("attachment; filename*=a%20b.pdf", "a b.pdf"),
    ("attachment; filename*=UTF-8''; filename=a.pdf", "a.pdf"),
    ("attachment; filename*=klingon''a%C3%B1o.pdf", "año.pdf"),
    ("attachment; filename*=x%00y''a.pdf", "a.pdf"),
    ("attachment; filename*=zip''a.pdf", "a.pdf"),
    ("attachment; filename*=UTF-8''%ED%A0%80.pdf", "\ufffd\ufffd\ufffd.pdf"),
    ('attachment; filename*0="a "; filename*1=b.pdf', "a b.pdf"),
    ("attachment; filename*1*=%C3%B1o.pdf; filename*0*=UTF-8''a", "año.pdf"),
    ("attachment; filename*1=b; filename*3=c", None),
    ('attachment; filename="=?utf-8?B?Y290aXphY2nDs24ucGRm?="', "cotización.pdf"),
    ("attachment; filename==?UTF-8?Q?a=C3=B1o_1.pdf?=", "año 1.pdf"),
    ('attachment; filename="=?utf-8?B?YcOx?= =?utf-8?B?by5wZGY=?="', "año.pdf"),
    ("attachment; filename==?klingon?Q?a.pdf?=", "a.pdf"),
    ("attachment; filename==?utf-8?B?%%%?=.pdf", ".pdf"),
    ('attachment; filename="=?.pdf"', "=?.pdf"),
    ('attachment; filename="año =?utf-8?Q?1.pdf?="', "año 1.pdf"),
    ('attachment; filename="=?utf-8?Q?a?= 日本 \\u0041.pdf"', "a 日本 \\u0041.pdf"),
    ('attachment; filename="=?utf-8?B?YcM=?= =?utf-8?B?sW8ucGRm?="', "año.pdf"),
    ('attachment; filename="=?utf-8?Q?a b.pdf?="', "a b.pdf"),
    ("attachment; filename*=UTF-8''a\ud800.pdf", "a?.pdf"),
    ("attachment; filename*0*=UTF-8''a\ud800; filename*1*=.pdf", "a?.pdf"),
    ("attachment; filename*0=a\ud800; filename*1=.pdf", "a?.pdf"),
    ("attachment; filename*=utf-7''+2AA-.pdf", "?.pdf"),
    ("attachment; filename=a\ud800.pdf", "a?.pdf"),
    ("attachment", None),
    ("attachment; filename", None),
    ("attachment; filename=", None),
    ('attachment; filename=""', None),
    ("", None),
    (None, None),
]


@pytest.mark.parametrize(("header", "name"), NAMES)
def test_the_name_in_a_header(header: str | None, name: str | None) -> None:
    assert filename_in(header) == name


PARTS = ["filename", "*", "0", "1", "=", ";", '"', "\\", "'", "utf-8", "''", "%C3", "%", "=?", "?="]
PARTS += [
    "?B?",
    "?Q?",
    "\ud800",
    "\x00",
    "ñ",
    " ",
    "a.pdf",
    "utf-7",
    "idna",
    "punycode",
    "undefined",
]


@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=3), max_size=20).map("".join))
def test_any_header_is_read(header: str) -> None:
    name = filename_in(f"attachment; {header}")
    assert name is None or name.encode()


@pytest.mark.parametrize("codec", ["utf-7", "idna", "punycode", "undefined", "rot13", "hex", "zip"])
def test_any_codec_is_read(codec: str) -> None:
    assert filename_in(f"a; filename*={codec}''%FF%00a-") is not None
