"""The uploads of the sandbox: accepted framings, refused framings, names and sizes."""

import re
import time
from io import BytesIO

import anyio
import msgspec
import pytest
from aiohttp import ClientSession, FormData
from sandboxes import EXAMPLE, FILES, MUG, MULTIPART, framed

from mlmsg.sandbox import Sandbox, StoredFile
from mlmsg.sandbox._http.multipart import FramingError, parse_upload
from mlmsg.sandbox.sites import SITES

UPLOAD = f"{FILES}?site_id=MLM"
MEGABYTES_25 = 25 * 1024 * 1024


class Uploaded(msgspec.Struct, forbid_unknown_fields=True):
    id: str


async def upload(
    http: ClientSession, sandbox: Sandbox, body: bytes, kind: str = MULTIPART
) -> StoredFile:
    async with http.post(UPLOAD, data=BytesIO(body), headers={"Content-Type": kind}) as response:
        assert response.status == 200, await response.text()
        uploaded = msgspec.json.decode(await response.read(), type=Uploaded)
    return sandbox.market.files[uploaded.id]


async def refused(http: ClientSession, body: bytes, kind: str | None = MULTIPART) -> str:
    headers = {} if kind is None else {"Content-Type": kind}
    async with http.post(UPLOAD, data=BytesIO(body), headers=headers) as response:
        assert response.status == 400
        error = msgspec.json.decode(await response.read(), type=dict[str, object])
    assert (error["error"], error["status"], error["cause"]) == ("bad_request", 400, [])
    return str(error["message"])


async def test_from_upload_to_message_to_download(http: ClientSession, sandbox: Sandbox) -> None:
    data = bytes(range(256)) * 3000
    stored = await upload(http, sandbox, framed(data, "nota fiscal nº 1042.png"))
    assert re.fullmatch(rf"{sandbox.market.user_id}_[0-9a-f-]{{36}}\.png", stored.id)
    pack = f"/marketplace/messages/packs/{MUG}"
    async with http.post(pack, json={"text": "Va", "attachments": [stored.id]}) as response:
        assert response.status == 201
    async with http.get(f"{pack}?limit=1") as response:
        (message,) = (await response.json())["messages"]
    (attachment,) = message["message_attachments"]
    assert attachment == {
        "filename": stored.id,
        "original_filename": "nota fiscal nº 1042.png",
        "type": "image/png",
        "size": len(data),
        "potential_security_threat": False,
        "creation_date": stored.creation_date,
    }
    query = {"tag": "post_sale", "site_id": "MLM"}
    async with http.get(f"{FILES}/{attachment['filename']}", params=query) as response:
        assert response.headers["Content-Type"] == "image/png"
        assert await response.read() == data


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("Captura a la(s) 4.12.28 p.m..png", "Captura a la(s) 4.12.28 p.m..png"),
        ("ñandú 写真.png", "ñandú 写真.png"),
        ("say %22hi%22.png", 'say "hi".png'),
        ("two%0D%0Alines.png", "two\r\nlines.png"),
        ("100%25.png", "100%25.png"),
        ("%C3%B1%20%2F%5C.png", "%C3%B1%20%2F%5C.png"),
        ("a;b=c: d.png", "a;b=c: d.png"),
        ("n" * 200, "n" * 200),
    ],
)
async def test_names_are_decoded_as_browsers_encode_them(
    http: ClientSession, sandbox: Sandbox, sent: str, meant: str
) -> None:
    assert (await upload(http, sandbox, framed(filename=sent))).original_filename == meant


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("a.png", ".png"),
        ("A.PDF", ".PDF"),
        ("a.tar.gz", ".gz"),
        ("a", ""),
        ("a.ñ", ""),
        ("a.b c", ""),
        ("a.abcdefghijk", ""),
        (".env", ""),
    ],
)
async def test_the_id_ends_in_the_extension_of_the_name(
    http: ClientSession, sandbox: Sandbox, name: str, extension: str
) -> None:
    stored = await upload(http, sandbox, framed(filename=name))
    assert re.fullmatch(rf"\d+_[0-9a-f-]{{36}}{re.escape(extension)}", stored.id)


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"\r\n",
        b"\r\n\r\nx\r\n",
        b"--B0undary--",
        b"\n--B0undary--\n",
        b"\r--B0undary",
        b"\r\n--B0undar",
        b"\r\n-B0undary\r\n",
        bytes(range(256)),
    ],
)
async def test_data_that_resembles_framing_is_data(
    http: ClientSession, sandbox: Sandbox, data: bytes
) -> None:
    assert (await upload(http, sandbox, framed(data))).data == data


ACCEPTED = {
    "a quoted boundary": ('multipart/form-data; boundary="B0undary"', framed()),
    "no space, other case": ("Multipart/Form-Data;BOUNDARY=B0undary", framed()),
    "no final CRLF": (MULTIPART, framed().removesuffix(b"\r\n")),
    "headers in another order": (
        MULTIPART,
        (
            b"--B0undary\r\nContent-Type: image/png\r\n"
            b'content-disposition: form-data; filename="a.png"; name="file"\r\n\r\n'
            b"data\r\n--B0undary--"
        ),
    ),
    "a part's type with a parameter": (MULTIPART, framed(mime="image/png; charset=x")),
    "another header": (MULTIPART, framed().replace(b"Content-Type", b"X-Mine: 1\r\nContent-Type")),
    "curl's boundary": (
        "multipart/form-data; boundary=------------------------d74496d66958873e",
        framed().replace(b"B0undary", b"------------------------d74496d66958873e"),
    ),
}


@pytest.mark.parametrize(("kind", "body"), ACCEPTED.values(), ids=ACCEPTED)
async def test_accepted_framings(
    http: ClientSession, sandbox: Sandbox, kind: str, body: bytes
) -> None:
    stored = await upload(http, sandbox, body, kind)
    assert (stored.data, stored.original_filename) == (b"data", "a.png")
    assert stored.content_type.startswith("image/png")


async def test_a_part_without_a_content_type(http: ClientSession, sandbox: Sandbox) -> None:
    stored = await upload(http, sandbox, framed().replace(b"Content-Type: image/png\r\n", b""))
    assert stored.content_type == "application/octet-stream"


async def test_the_framing_of_aiohttp_is_accepted(http: ClientSession, sandbox: Sandbox) -> None:
    form = FormData(quote_fields=False)
    form.add_field("file", b"bytes", filename="ñ 1.pdf", content_type="application/pdf")
    async with http.post(UPLOAD, data=form) as response:
        assert response.status == 200, await response.text()
        stored = sandbox.market.files[(await response.json())["id"]]
    assert (stored.data, stored.original_filename) == (b"bytes", "ñ 1.pdf")


NO_TYPE = "the Content-Type is not multipart/form-data with just a boundary"
NO_START = "the body does not start with the boundary and a CRLF"
NO_BLANK = "no empty line after the headers of the part"
NO_END = "no CRLF and boundary after the data"
INSIDE = "the boundary occurs inside the data, or does not close it"

BROKEN_TYPES = [
    "multipart/form-data",
    "multipart/form-data; boundary=",
    'multipart/form-data; boundary=""',
    'multipart/form-data; boundary="B0undary',
    "multipart/form-data; boundary=B0undary; charset=utf-8",
    "multipart/form-data; boundary=B0 undary",
    "multipart/form-data; boundary=" + "b" * 71,
    "multipart/mixed; boundary=B0undary",
    "application/json",
]

BROKEN_BODIES = {
    "empty": (b"", NO_START),
    "another boundary": (framed().replace(b"--B0undary", b"--Other"), NO_START),
    "no boundary at all": (b"data", NO_START),
    "a preamble": (b"\r\n" + framed(), NO_START),
    "a bare LF after the boundary": (
        framed().replace(b"--B0undary\r\n", b"--B0undary\n", 1),
        NO_START,
    ),
    "blanks after the boundary": (framed().replace(b"B0undary\r\n", b"B0undary \r\n", 1), NO_START),
    "bare LFs in the head": (framed().replace(b"\r\n\r\n", b"\n\n"), NO_BLANK),
    "no part": (b"--B0undary\r\n--B0undary--\r\n", NO_BLANK),
    "no headers": (
        b"--B0undary\r\n\r\ndata\r\n\r\n--B0undary--\r\n",
        "not a header of a part: ''",
    ),
    "a folded header": (
        framed().replace(b"; filename", b";\r\n filename"),
        "not a header of a part: ' filename=\"a.png\"'",
    ),
    "a bare LF in a header": (
        framed().replace(b"image/png", b"image/png\nX: y"),
        "not a header of a part: 'Content-Type: image/png\\nX: y'",
    ),
    "a header twice": (
        framed().replace(b"Content-Type", b"content-type: a/b\r\nContent-Type"),
        "the part has two headers Content-Type",
    ),
    "not UTF-8": (framed().replace(b"a.png", b"\xf1.png"), "the headers of the part are not UTF-8"),
    "no disposition": (
        framed().replace(b"Content-Disposition", b"X-Other"),
        "the part has no Content-Disposition",
    ),
    "another disposition": (
        framed().replace(b"form-data;", b"attachment;"),
        'the Content-Disposition is \'attachment; name="file"; filename="a.png"\'',
    ),
    "a name without quotes": (
        framed().replace(b'"file"', b"file"),
        "the Content-Disposition is 'form-data; name=file; filename=\"a.png\"'",
    ),
    "a quote in the name": (
        framed(filename='a".png'),
        'the Content-Disposition is \'form-data; name="file"; filename="a".png"\'',
    ),
    "the name of a form field": (
        framed().replace(b'"file"', b'"image"'),
        "the part is not named file",
    ),
    "no name": (framed().replace(b' name="file";', b""), "the part is not named file"),
    "no filename": (framed().replace(b'; filename="a.png"', b""), "the part has no filename"),
    "a filename twice": (
        framed().replace(b'; filename="a.png"', b'; filename="a.png"; filename="b.png"'),
        "the Content-Disposition has more than one name and one filename",
    ),
    "an extended filename": (
        framed().replace(b"filename=", b"filename*="),
        "the Content-Disposition has more than one name and one filename",
    ),
    "a type that is none": (framed(mime="png"), "the Content-Type of the part is 'png'"),
    "not closed": (framed().removesuffix(b"\r\n--B0undary--\r\n"), NO_END),
    "a bare LF before the end": (framed().replace(b"\r\n--B0undary--", b"\n--B0undary--"), NO_END),
    "half closed": (framed().removesuffix(b"--\r\n"), INSIDE),
    "one dash": (framed().removesuffix(b"-\r\n"), INSIDE),
    "the boundary in the data": (framed(b"x\r\n--B0undary y"), INSIDE),
    "a second part": (
        framed().removesuffix(b"--\r\n") + b"\r\n" + framed().removeprefix(b"--B0undary\r\n"),
        "there is more than one part",
    ),
    "an epilogue": (framed() + b"x", "something follows the closing boundary"),
    "two CRLFs at the end": (framed() + b"\r\n", "something follows the closing boundary"),
    "blanks at the end": (
        framed().removesuffix(b"\r\n") + b" ",
        "something follows the closing boundary",
    ),
    "a bare LF at the end": (
        framed().removesuffix(b"\r\n") + b"\n",
        "something follows the closing boundary",
    ),
}


@pytest.mark.parametrize(("body", "why"), BROKEN_BODIES.values(), ids=BROKEN_BODIES)
async def test_broken_framings(
    http: ClientSession, sandbox: Sandbox, body: bytes, why: str
) -> None:
    before = len(sandbox.market.files)
    assert await refused(http, body) == f"Malformed multipart: {why}"
    assert len(sandbox.market.files) == before


@pytest.mark.parametrize("kind", BROKEN_TYPES)
async def test_broken_content_types(http: ClientSession, kind: str) -> None:
    assert await refused(http, framed(), kind) == f"Malformed multipart: {NO_TYPE}"


async def test_a_body_without_a_content_type_of_its_own(http: ClientSession) -> None:
    # aiohttp then sends application/octet-stream.
    assert await refused(http, framed(), None) == f"Malformed multipart: {NO_TYPE}"


def test_a_truncated_body_is_refused_at_every_length() -> None:
    whole = bytearray(framed())
    for length in range(len(whole) - 2):
        with pytest.raises(FramingError):
            parse_upload(MULTIPART, whole[:length])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (framed(b""), "Attachment empty or null"),
        (framed(filename="a/b.png"), "File name cannot include characters such as: /, \\"),
        (framed(filename="a\\b.png"), "File name cannot include characters such as: /, \\"),
        (framed(filename=""), "File name must have 1 to 200 characters"),
        (framed(filename="n" * 201), "File name must have 1 to 200 characters"),
    ],
)
async def test_refused_files_in_a_valid_framing(
    http: ClientSession, body: bytes, message: str
) -> None:
    assert await refused(http, body) == message


@pytest.mark.parametrize("query", ["", "?site_id=", "?site_id=CBT"])
async def test_the_site_is_required(http: ClientSession, query: str) -> None:
    async with http.post(
        FILES + query, data=framed(), headers={"Content-Type": MULTIPART}
    ) as response:
        assert response.status == 400
        message = (await response.json())["message"]
    assert message == "The site_id param is required, and never CBT"


@pytest.mark.parametrize("site_id", ["MLX", "mlm", "MLM ", "XYZ", "ñ", "1"])
async def test_an_unknown_site_is_refused(http: ClientSession, site_id: str) -> None:
    stored = next(iter(EXAMPLE.files))
    query = {"tag": "post_sale", "site_id": site_id}
    async with http.get(f"{FILES}/{stored}", params=query) as response:
        assert response.status == 400
        assert (await response.json())["message"] == f"The site_id param is unknown: {site_id}"
    headers = {"Content-Type": MULTIPART}
    async with http.post(FILES, params=query, data=framed(), headers=headers) as response:
        assert response.status == 400
        assert (await response.json())["message"] == f"The site_id param is unknown: {site_id}"


@pytest.mark.parametrize("site_id", sorted(SITES))
async def test_every_site_is_accepted(http: ClientSession, site_id: str) -> None:
    stored = next(iter(EXAMPLE.files))
    async with http.get(f"{FILES}/{stored}?tag=post_sale&site_id={site_id}") as response:
        assert response.status == 200
    headers = {"Content-Type": MULTIPART}
    target = f"{FILES}?site_id={site_id}"
    async with http.post(target, data=framed(), headers=headers) as response:
        assert response.status == 200


def test_the_sites_are_those_of_the_authorization_hosts() -> None:
    assert sorted(SITES) == [
        *("MBO", "MCO", "MCR", "MEC", "MGT", "MHN", "MLA", "MLB", "MLC", "MLM", "MLU", "MLV"),
        *("MNI", "MPA", "MPE", "MPY", "MRD", "MSV"),
    ]


async def test_a_compressed_body_is_not_unpacked(http: ClientSession) -> None:
    headers = {"Content-Type": MULTIPART, "Content-Encoding": "deflate"}
    async with http.post(UPLOAD, data=framed(), headers=headers, compress=None) as response:
        assert response.status == 200


async def test_exactly_25_megabytes_are_accepted(http: ClientSession, sandbox: Sandbox) -> None:
    stored = await upload(http, sandbox, framed(bytes(MEGABYTES_25)))
    assert stored.size == MEGABYTES_25
    assert sandbox.requests[0].body_size == len(framed(b"")) + MEGABYTES_25


async def test_one_byte_more_is_refused_after_it_was_read(
    http: ClientSession, sandbox: Sandbox
) -> None:
    assert await refused(http, framed(bytes(MEGABYTES_25 + 1))) == "File size exceeds 25 Mb"
    assert sandbox.requests[0].body_size == len(framed(b"")) + MEGABYTES_25 + 1


async def head_only(sandbox: Sandbox, *headers: str) -> bytes:
    """The response to the headers of an upload whose body is never sent."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    lines = [
        f"POST {UPLOAD} HTTP/1.1",
        "Host: sandbox",
        f"Authorization: Bearer {sandbox.token}",
        f"Content-Type: {MULTIPART}",
        *headers,
    ]
    with anyio.fail_after(5):
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send("\r\n".join([*lines, "", ""]).encode())
            received = await stream.receive()
            responded = time.monotonic()
            async for chunk in stream:
                received += chunk
            # Closing at once would reset a client that is still sending, and lose the response.
            assert time.monotonic() - responded > 0.2
    return received


@pytest.mark.slow
async def test_a_far_too_large_upload_is_refused_before_it_is_read(sandbox: Sandbox) -> None:
    response = await head_only(sandbox, f"Content-Length: {MEGABYTES_25 + 20_000}")
    assert response.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nConnection: close\r\n" in response
    assert b'"File size exceeds 25 Mb"' in response
    assert sandbox.requests[0].body_size == 0


@pytest.mark.slow
async def test_a_chunked_upload_is_refused_before_it_is_read(sandbox: Sandbox) -> None:
    response = await head_only(sandbox, "Transfer-Encoding: chunked")
    assert response.startswith(b"HTTP/1.1 411 ")
    assert b"\r\nConnection: close\r\n" in response
    assert b'"Content-Length is required"' in response


async def test_a_client_still_sending_reads_the_early_refusal(http: ClientSession) -> None:
    assert await refused(http, bytes(2 * MEGABYTES_25)) == "File size exceeds 25 Mb"
