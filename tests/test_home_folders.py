"""`~` in a path is the home folder, wherever a path is an argument."""

import os
from pathlib import Path

import pytest

from mlmsg import Client, TargetExists
from mlmsg.sandbox import Sandbox
from mlmsg.sync import plan_shards, sync_attachments


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


TARGETS: list[tuple[str | os.PathLike[str], str]] = [
    ("~", ""),
    ("~/", ""),
    ("~/new/", "new/"),
    ("~/x.png", "x.png"),
    (Path("~/deep/x.png"), "deep/x.png"),
]


@pytest.mark.parametrize(("to", "path"), TARGETS, ids=str)
async def test_a_download_to_the_home_folder(
    sandbox: Sandbox, client: Client, home: Path, to: str | os.PathLike[str], path: str
) -> None:
    stored = sandbox.market.add_file(b"data", "photo.png", "image/png")
    expected = home / (path if path.endswith(".png") else path + stored.id)
    saved = await client.attachments.download(stored.id, to, site_id="MLM")
    assert (saved.path, expected.read_bytes()) == (expected, b"data")
    with pytest.raises(TargetExists):
        await client.attachments.download(stored.id, to, site_id="MLM")
    async with client.attachments.open(stored.id, site_id="MLM") as download:
        saved = await download.save(to, overwrite=True)
    assert saved.path == expected


@pytest.mark.parametrize("path", ["~/a.txt", Path("~/a.txt")], ids=repr)
async def test_an_upload_from_the_home_folder(
    sandbox: Sandbox, client: Client, home: Path, path: str | Path
) -> None:
    (home / "a.txt").write_bytes(b"data")
    upload = await client.attachments.upload(path, site_id="MLM")
    assert sandbox.market.files[upload.id].data == b"data"
    assert sandbox.market.files[upload.id].original_filename == "a.txt"


async def test_a_name_that_begins_like_a_user(client: Client, sandbox: Sandbox, home: Path) -> None:
    Path("~no-such-user").write_bytes(b"data")
    upload = await client.attachments.upload("~no-such-user", site_id="MLM")
    assert sandbox.market.files[upload.id].data == b"data"


async def test_a_mirror_in_the_home_folder(sandbox: Sandbox, client: Client, home: Path) -> None:
    packs = list(sandbox.market.packs)
    await sync_attachments(client, packs=packs, to="~/archive", site_id="MLM")
    assert list(home.rglob("manifest.json"))
    assert not Path("~").exists()
    (shard,) = plan_shards(token="t", packs=[1], to="~/archive", site_id="MLM")
    assert shard.to == "~/archive"  # the home folder is that of the machine where it runs
