"""Whole files in memory, and images that a notebook shows."""

import base64

import pytest

from mlmsg import Client, IncompleteDownload, RuleError
from mlmsg.pictures import Picture
from mlmsg.sandbox import Fault, Sandbox

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


async def test_an_attachment_is_read_whole(sandbox: Sandbox, client: Client) -> None:
    for name, stored in sandbox.market.files.items():
        sandbox.inject(Fault(action="cut", path="/attachments/"))
        assert await client.attachments.read(name, site_id="MLM") == stored.data
    claim = next(iter(sandbox.market.claims.values()))
    for name, file in claim.files.items():
        assert await client.claims.read(claim.id, name) == file.data


async def test_a_file_that_stays_cut_is_an_error(sandbox: Sandbox, client: Client) -> None:
    sandbox.inject(Fault(action="cut", path="/attachments/", times=99))
    with pytest.raises(IncompleteDownload):
        await client.attachments.read(next(iter(sandbox.market.files)), site_id="MLM")


async def test_an_image_is_shown(sandbox: Sandbox, client: Client) -> None:
    name, stored = next(
        (name, file) for name, file in sandbox.market.files.items() if name.endswith(".png")
    )
    picture = await client.attachments.picture(name, site_id="MLM")
    bundle = picture._repr_mimebundle_(include=None, exclude=None)
    assert base64.b64decode(bundle["image/png"]) == stored.data
    assert repr(picture) == "<Picture: image/png, 18.3 kB>"
    claim = next(iter(sandbox.market.claims.values()))
    name, file = next((name, file) for name, file in claim.files.items() if name.endswith(".jpg"))
    bundle = (await client.claims.picture(claim.id, name))._repr_mimebundle_()
    assert base64.b64decode(bundle["image/jpeg"]) == file.data


def test_only_an_image_is_a_picture() -> None:
    assert Picture(PNG).content_type == "image/png"
    for data in (b"%PDF-1.4", b"<svg onload=x>", b""):
        with pytest.raises(RuleError, match="PNG or JPEG"):
            Picture(data)
