"""Announced and arrived: an HTML page or a JSON document is not the file that was announced."""

import gzip
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from mirrors import Events, expected, fill, on_disk, without_manifests
from rawserver import Peer, RawServer, raw_server

from mlmsg import Client, IncompleteDownload, RetryPolicy
from mlmsg._content import Announced, document_in
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.sync import sync_attachments

PNG = b"\x89PNG\r\n\x1a\n" + bytes(2000)
HTML = b"<!DOCTYPE html><html><body>Service unavailable</body></html>"
JSON = b'{"message": "File can not be accessed, try it later", "status": 500}'

DOCUMENTS = {
    "a doctype": HTML,
    "a page without one": b"<html lang='es'><head></head></html>",
    "upper case": b"<HTML><BODY>",
    "spaces and a comment": b"\r\n\t <!-- proxy -->\n<!doctype html>",
    "a byte order mark": b"\xef\xbb\xbf<html>",
    "XHTML": b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x">',
    "a fragment": b"<h1>502 Bad Gateway</h1>",
    "an object": JSON,
    "an object over lines": b'{\n  "error": null\n}',
    "an empty object": b"{}",
    "an array": b'[{"id": 1}]',
    "null": b"null",
    "a text": b'"not found"',
}
OTHERS = {
    "PNG": PNG,
    "JPEG": b"\xff\xd8\xff\xe0",
    "PDF": b"%PDF-1.7",
    "a ZIP": b"PK\x03\x04",
    "RTF": b"{\\rtf1\\ansi",
    "an INI file": b"[section]\na = 1",
    "SVG": b'<?xml version="1.0"?><svg xmlns="x">',
    "XML": b"<?xml version='1.0'?><factura/>",
    "CSV": b"id;name\n1;a",
    "a text": b"nulls are no problem",
    "nothing": b"",
}

ROWS = [
    # name, listed type, type of the response: True if a document is not the file
    ("a.png", None, "image/png", True),
    ("a.PNG", None, "application/octet-stream", True),
    ("a.pdf", None, "text/html", True),
    ("a.docx", "application/octet-stream", "", True),
    ("a", "image/jpeg", "", True),
    ("a", "Image/JPEG; q=1", "text/html", True),
    ("a.bin", "application/pdf", "application/json", True),
    ("a", None, "image/png", True),
    ("a.txt", None, "text/plain", False),
    ("a.txt", None, "text/html; charset=utf-8", True),
    ("a.csv", "text/csv", "application/problem+json", True),
    ("a.xls", None, "application/vnd.ms-excel", False),
    ("a.xls", None, "text/html", True),
    ("a.bin", None, "application/octet-stream", False),
    ("a", None, "text/html", False),
    ("a", "application/octet-stream", "application/json", False),
    ("a.html", None, "text/html", False),
    ("a.htm", "image/png", "text/html", False),
    ("a.json", None, "application/json", False),
    ("a.png", "text/html", "text/html", False),
    ("a", "application/ld+json", "application/json", False),
]


@pytest.mark.parametrize("data", DOCUMENTS.values(), ids=DOCUMENTS)
@pytest.mark.parametrize(("name", "listed", "sent", "is_wrong"), ROWS)
def test_a_document_in_place_of_a_file(
    name: str, listed: str | None, sent: str, data: bytes, *, is_wrong: bool
) -> None:
    found = document_in(data, Announced(name, listed), sent, None)
    assert (found is not None) == is_wrong


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize(("name", "listed", "sent", "_is_wrong"), ROWS)
def test_any_other_content_is_the_file(
    name: str, listed: str | None, sent: str, data: bytes, *, _is_wrong: bool
) -> None:
    assert document_in(data, Announced(name, listed, 5), sent, 7) is None


@pytest.mark.parametrize(
    ("listed", "size", "is_wrong"),
    [(None, None, False), (5, None, False), (None, 5, False), (5, 5, False), (5, 6, True)],
)
def test_a_size_that_differs_decides_about_a_text(
    listed: int | None, size: int | None, *, is_wrong: bool
) -> None:
    found = document_in(JSON, Announced("a.txt", "text/plain", listed), "text/plain", size)
    assert (found is not None) == is_wrong


@asynccontextmanager
async def serving(*responses: bytes, attempts: int = 1) -> AsyncIterator[tuple[Client, RawServer]]:
    """Yield a client of a server that sends these responses, the last one again and again."""
    left = list(responses)

    async def script(peer: Peer) -> None:
        while (await peer.request())[0]:
            await peer.send(left.pop(0) if len(left) > 1 else left[0])

    retry = RetryPolicy(attempts=attempts, base=0)
    async with (
        raw_server(script) as server,
        Client("t", base_url=server.url, retry=retry, budget=None) as client,
    ):
        yield client, server


def response(body: bytes, *headers: str, chunked: bool = False) -> bytes:
    length = f"Content-Length: {len(body)}"
    lines = ["HTTP/1.1 200 OK", *headers, "Transfer-Encoding: chunked" if chunked else length]
    head = "\r\n".join([*lines, "", ""]).encode()
    if not chunked:
        return head + body
    return head + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"


WRONG = {
    "HTML": response(HTML, "Content-Type: text/html"),
    "JSON": response(JSON, "Content-Type: application/json"),
    "without a type": response(HTML),
    "under the announced type": response(JSON, "Content-Type: image/png"),
    "byte by byte": response(HTML, chunked=True),
    "compressed": response(gzip.compress(HTML), "Content-Encoding: gzip"),
    "long": response(HTML + b" " * 3_000_000),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_a_document_is_not_saved_as_a_picture(tmp_path: Path, wrong: bytes) -> None:
    async with serving(wrong, attempts=3) as (client, server):
        with pytest.raises(IncompleteDownload, match=r"in place of the file 'a\.png'"):
            await client.attachments.download("a.png", tmp_path, site_id="MLM")
        assert server.requests == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_nothing_of_a_document_is_handed_out(wrong: bytes) -> None:
    async with serving(wrong) as (client, _), client.attachments.open("a.png", "MLM") as opened:
        chunks = aiter(opened)
        with pytest.raises(IncompleteDownload):
            await anext(chunks)


async def test_the_next_attempt_gets_the_picture(tmp_path: Path) -> None:
    async with serving(WRONG["HTML"], response(PNG), attempts=2) as (client, _):
        saved = await client.attachments.download("a.png", tmp_path, site_id="MLM")
    assert saved.path.read_bytes() == PNG


async def test_a_file_of_a_claim_is_compared_too(tmp_path: Path) -> None:
    async with serving(WRONG["JSON"]) as (client, _):
        with pytest.raises(IncompleteDownload):
            await client.claims.download(1, "a.pdf", tmp_path)


@pytest.mark.parametrize("body", [b"<", b"{", b'{"', b" " * 2000, b"<html>"])
async def test_a_file_without_an_announcement_is_what_it_is(tmp_path: Path, body: bytes) -> None:
    async with serving(response(body, chunked=True)) as (client, _):
        saved = await client.attachments.download("a", tmp_path, site_id="MLM")
        async with client.attachments.open("a", "MLM") as opened:
            assert await opened.read() == body
    assert saved.path.read_bytes() == body


async def test_the_name_in_the_response_announces_too() -> None:
    header = 'Content-Disposition: attachment; filename="factura.pdf"'
    async with (
        serving(response(HTML, header)) as (client, _),
        client.attachments.open("415", "MLM") as opened,
    ):
        with pytest.raises(IncompleteDownload):
            await opened.read()


# The mirror knows the type and the size that the message lists.


@pytest.mark.parametrize("body", [HTML, JSON], ids=["HTML", "JSON"])
async def test_the_mirror_keeps_no_document_in_place_of_a_picture(
    sandbox: Sandbox, client: Client, tmp_path: Path, body: bytes
) -> None:
    fill(sandbox.market, 1, files=3)
    name = list(sandbox.market.files)[-2]
    sandbox.inject(Fault(status=200, body=body, path=name, times=4))
    for lost in (1, 0):
        report = await sync_attachments(client, packs=[1000], to=tmp_path, site_id="MLM")
        assert [failure.filename for failure in report.failed] == [name] * lost
    whole = {path: data for path, data in expected(sandbox.market).items() if "/1000/" in path}
    assert without_manifests(on_disk(tmp_path)) == whole


@pytest.mark.parametrize("body", [HTML, JSON], ids=["HTML", "JSON"])
async def test_verifying_finds_a_document_that_was_kept_for_a_picture(
    sandbox: Sandbox, client: Client, tmp_path: Path, body: bytes
) -> None:
    """An earlier version kept it, with an entry that is true to it."""
    fill(sandbox.market, 1)
    name = next(reversed(sandbox.market.files))
    await sync_attachments(client, packs=[1000], to=tmp_path, site_id="MLM")
    path = tmp_path / "packs/1000/manifest.json"
    listing = msgspec.json.decode(path.read_bytes())
    digest = hashlib.sha256(body).hexdigest()
    listing["files"][0] |= {"size": len(body), "sha256": digest}
    path.write_bytes(msgspec.json.encode(listing))
    (tmp_path / "packs/1000" / name).write_bytes(body)
    report = await sync_attachments(client, packs=[1000], to=tmp_path, site_id="MLM", verify=True)
    assert (report.downloaded, report.mismatched) == (1, 0)
    assert (tmp_path / "packs/1000" / name).read_bytes() == sandbox.market.files[name].data


@pytest.mark.parametrize("verify", [False, True])
async def test_a_size_that_differs_is_reported(
    sandbox: Sandbox, client: Client, tmp_path: Path, *, verify: bool
) -> None:
    fill(sandbox.market, 1)
    name = next(reversed(sandbox.market.files))
    sandbox.inject(Fault(status=200, body=b"\xff\xd8\xff half", path=name))
    events = Events()
    report = await sync_attachments(
        client, packs=[1000], to=tmp_path, site_id="MLM", on_event=events
    )
    assert (report.downloaded, report.mismatched, report.failed) == (1, 1, [])
    assert [event.kind for event in events.all] == ["mismatch", "downloaded", "thread"]
    assert str(events.all[0].error) == "8 bytes arrived, but the message lists 1000"
    assert events.all[0].size == 8
    # Verifying gives the server another chance.
    again = await sync_attachments(client, packs=[1000], to=tmp_path, site_id="MLM", verify=verify)
    assert (again.downloaded, again.skipped, again.mismatched) == (verify, not verify, 0)
