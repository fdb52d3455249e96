"""`download_with`: each attempt calls the caller's handler again with a new download."""

import pytest

from mlmsg import Client, Download, IncompleteDownload, NotFound
from mlmsg.sandbox import Fault, Sandbox, StoredFile

DATA = bytes(range(256)) * 5_000


@pytest.fixture
def stored(sandbox: Sandbox) -> StoredFile:
    return sandbox.market.add_file(DATA, "photo.png", "image/png")


class RecordingHandler:
    """Reads every download that it gets, and counts them."""

    def __init__(self) -> None:
        self.downloads: list[Download] = []

    async def __call__(self, download: Download) -> tuple[str, bytes]:
        self.downloads.append(download)
        return download.content_type, await download.read()


async def test_download_with_returns_the_result_of_the_handler(
    client: Client, stored: StoredFile
) -> None:
    handler = RecordingHandler()
    assert await client.attachments.download_with(stored.id, handler, site_id="MLM") == (
        "image/png",
        DATA,
    )
    assert len(handler.downloads) == 1


async def test_a_cut_body_is_tried_again_with_a_new_download(
    sandbox: Sandbox, client: Client, stored: StoredFile
) -> None:
    sandbox.inject(Fault(action="cut", times=2))
    handler = RecordingHandler()
    assert (await client.attachments.download_with(stored.id, handler, site_id="MLM"))[1] == DATA
    assert len(set(map(id, handler.downloads))) == 3


async def test_a_body_that_goes_on_being_cut_is_given_up(
    sandbox: Sandbox, client: Client, stored: StoredFile
) -> None:
    sandbox.inject(Fault(action="cut", times=100))
    with pytest.raises(IncompleteDownload):
        await client.attachments.download_with(stored.id, RecordingHandler(), site_id="MLM")
    assert len(sandbox.requests) == 4


async def test_what_the_function_raises_ends_the_tries(
    sandbox: Sandbox, client: Client, stored: StoredFile
) -> None:
    async def refuse(download: Download) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        await client.attachments.download_with(stored.id, refuse, site_id="MLM")
    assert len(sandbox.requests) == 1


async def test_a_file_of_a_claim(sandbox: Sandbox, client: Client) -> None:
    claim = sandbox.market.add_claim()
    name = sandbox.market.add_claim_file(claim.id, DATA, "photo.png", "image/png").file_name
    sandbox.inject(Fault(action="cut", path=name))
    assert await client.claims.download_with(claim.id, name, RecordingHandler()) == (
        "image/png",
        DATA,
    )
    with pytest.raises(NotFound):
        await client.claims.download_with(claim.id, "none.png", RecordingHandler())
