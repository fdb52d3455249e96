"""The sandbox's files of claims with a bare aiohttp session: downloads, uploads, refusals."""

import re
from io import BytesIO

import pytest
from aiohttp import ClientSession
from sandboxes import (
    DISPUTE,
    EXAMPLE,
    JPG,
    MUGS,
    MULTIPART,
    PDF,
    PNG,
    SELLER,
    V1,
    V2,
    both_families,
    claim_error_body,
    claim_file,
    error_body,
    exchange_bytes,
    framed_jpg,
    upload_to_claim,
)

from mlmsg.sandbox import (
    Sandbox,
)


async def test_file_information_has_no_v2_path(http: ClientSession) -> None:
    path = f"{V2}{MUGS}/attachments/{next(iter(EXAMPLE.claims[MUGS].files))}"
    async with http.get(path) as response:
        assert response.status == 404
        assert await response.json() == error_body(404, f"Unknown resource: {path}")


@both_families
async def test_every_file_of_a_claim_can_be_downloaded(http: ClientSession, base: str) -> None:
    for claim_id in (MUGS, DISPUTE):
        for stored in EXAMPLE.claims[claim_id].files.values():
            path = f"{base}{claim_id}/attachments/{stored.file_name}/download"
            async with http.get(path) as response:
                assert response.status == 200
                assert response.headers["Content-Type"] == stored.content_type
                assert response.headers["Content-Length"] == str(stored.size)
                assert await response.read() == stored.data


@pytest.mark.parametrize("tail", ["", "/download"])
async def test_an_unknown_file_is_a_404(http: ClientSession, sandbox: Sandbox, tail: str) -> None:
    lost, _ = sandbox.market.claims[MUGS].files.popitem()
    elsewhere = next(iter(sandbox.market.claims[DISPUTE].files))
    for name in (lost, elsewhere, "nope.png"):
        async with http.get(f"{V1}{MUGS}/attachments/{name}{tail}") as response:
            assert response.status == 404
            message = f"Attachment not found. attachmentId: {name}"
            assert await response.json() == claim_error_body(404, message)


async def refused(http: ClientSession, content: bytes, headers: dict[str, str]) -> str:
    target = f"{V2}{MUGS}/attachments"
    async with http.post(target, data=BytesIO(content), headers=headers) as response:
        assert response.status == 400
        message = str((await response.json())["message"])
        assert await response.json() == error_body(400, message)
    return message


@both_families
@pytest.mark.parametrize(
    ("data", "filename", "mime", "content_type"),
    [
        (JPG, "a.jpg", "image/jpeg", "image/jpeg"),
        (JPG, "A.JPEG", "image/jpeg", "image/jpeg"),
        (PNG, "a_b-c.d.png", "image/png", "image/png"),
        (PDF, "1.pdf", "application/pdf", "application/pdf"),
        (PDF, "1.PDF", "application/octet-stream", "application/pdf"),
        (JPG, "n" * 121 + ".jpg", "image/jpeg", "image/jpeg"),
        (JPG, ".jpg", "image/jpeg", "image/jpeg"),
    ],
)
async def test_files_of_the_three_kinds_are_accepted(
    http: ClientSession,
    sandbox: Sandbox,
    base: str,
    *,
    data: bytes,
    filename: str,
    mime: str,
    content_type: str,
) -> None:
    uploaded = await upload_to_claim(
        http, f"{base}{MUGS}/attachments", framed_jpg(data, filename, mime)
    )
    assert list(uploaded) == ["user_id", "file_name"]
    assert uploaded["user_id"] == SELLER
    stored = claim_file(sandbox, uploaded["file_name"])
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.\w+)?", stored.file_name)
    assert (stored.data, stored.original_filename) == (data, filename)
    assert stored.content_type == content_type
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000-04:00", stored.date_created)


async def test_the_key_of_the_domestic_edition_can_be_chosen(
    http: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.claim_upload_key = "filename"
    uploaded = await upload_to_claim(http, f"{V2}{MUGS}/attachments", framed_jpg())
    assert list(uploaded) == ["user_id", "filename"]
    assert claim_file(sandbox, uploaded["filename"]).data == JPG


async def test_exactly_5_megabytes_are_accepted(http: ClientSession, sandbox: Sandbox) -> None:
    data = JPG + bytes(MEGABYTES_5 - len(JPG))
    uploaded = await upload_to_claim(http, f"{V2}{MUGS}/attachments", framed_jpg(data))
    assert claim_file(sandbox, uploaded["file_name"]).size == MEGABYTES_5


HEADERS = {"Content-Type": MULTIPART}
MEGABYTES_5 = 5 * 1024 * 1024
BAD_NAME = "File name must have 1 to 125 characters of a-zA-Z0-9._-"


BAD_KIND = "File must be a JPG, PNG or PDF, by its extension and by its content"


BAD_FILES = {
    "an empty file": (framed_jpg(b""), "Attachment empty or null"),
    "one byte too many": (
        framed_jpg(JPG + bytes(MEGABYTES_5 - len(JPG) + 1)),
        "File size exceeds 5 Mb",
    ),
    "no name": (framed_jpg(filename=""), BAD_NAME),
    "a long name": (framed_jpg(filename="n" * 122 + ".jpg"), BAD_NAME),
    "a space": (framed_jpg(filename="a b.jpg"), BAD_NAME),
    "an accent": (framed_jpg(filename="caña.jpg"), BAD_NAME),
    "a slash": (framed_jpg(filename="a/b.jpg"), BAD_NAME),
    "a percent": (framed_jpg(filename="a%20b.jpg"), BAD_NAME),
    "a line break": (framed_jpg(filename="a.jpg%0A"), BAD_NAME),
    "no extension": (framed_jpg(filename="jpg"), BAD_KIND),
    "another extension": (framed_jpg(filename="a.gif"), BAD_KIND),
    "an extension inside": (framed_jpg(filename="a.jpg.exe"), BAD_KIND),
    "a PNG under .jpg": (framed_jpg(PNG), BAD_KIND),
    "a JPG under .png": (framed_jpg(JPG, "a.png", "image/png"), BAD_KIND),
    "a JPG under .pdf": (framed_jpg(JPG, "a.pdf", "application/pdf"), BAD_KIND),
    "a text under .pdf": (framed_jpg(b"text", "a.pdf", "application/pdf"), BAD_KIND),
    "the start of a JPG": (framed_jpg(b"\xff\xd8"), BAD_KIND),
    "another part name": (
        framed_jpg().replace(b'"file"', b'"image"'),
        "Malformed multipart: the part is not named file",
    ),
    "not closed": (
        framed_jpg().removesuffix(b"\r\n--B0undary--\r\n"),
        "Malformed multipart: no CRLF and boundary after the data",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)
async def test_refused_files(
    http: ClientSession, sandbox: Sandbox, content: bytes, message: str
) -> None:
    assert await refused(http, content, HEADERS) == message
    assert sandbox.market.claims == EXAMPLE.claims


async def test_an_upload_that_is_not_multipart(http: ClientSession) -> None:
    message = await refused(http, JPG, {"Content-Type": "image/jpeg"})
    assert message.startswith("Malformed multipart: the Content-Type is not multipart/form-data")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("header", "status", "message"),
    [
        (f"Content-Length: {MEGABYTES_5 + 20_000}", b"400", b'"File size exceeds 5 Mb"'),
        ("Transfer-Encoding: chunked", b"411", b'"Content-Length is required"'),
    ],
)
async def test_some_uploads_are_refused_before_their_body_is_read(
    sandbox: Sandbox, header: str, status: bytes, message: bytes
) -> None:
    lines = [
        f"POST {V2}{MUGS}/attachments HTTP/1.1",
        "Host: sandbox",
        f"Authorization: Bearer {sandbox.token}",
        f"Content-Type: {HEADERS['Content-Type']}",
        header,
    ]
    received = await exchange_bytes(sandbox, "\r\n".join([*lines, "", ""]).encode())
    assert received.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nConnection: close\r\n" in received
    assert message in received
    assert sandbox.requests[0].body_size == 0
