"""Files are on disk before they are named, and named on disk before a manifest names them."""

import errno
import os
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from mirrors import fill, manifest, on_disk

from mlmsg import Client
from mlmsg._partial_file import write_file
from mlmsg.sandbox import Sandbox
from mlmsg.sync import sync_attachments

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/fd")


class Step(NamedTuple):
    """A call of the operating system: `flush` of a path, or `name` of one."""

    what: str
    path: str
    old: str = ""


class Steps(list[Step]):
    """The steps in their order; paths are relative to the folder."""

    def index_of(self, what: str, path: str) -> int:
        found = [n for n, step in enumerate(self) if (step.what, step.path) == (what, path)]
        assert found, f"no {what} of {path}"
        return found[-1]


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Steps:
    seen = Steps()
    real = {name: getattr(os, name) for name in ("fsync", "fdatasync", "replace", "rename", "link")}

    def relative(path: str | Path) -> str:
        path = Path(path)
        if str(path).startswith("/proc/self/fd/"):  # how an unnamed file is spelled
            path = path.readlink()
        return os.path.relpath(path, tmp_path)

    def flush(descriptor: int) -> None:
        real["fsync"](descriptor)
        seen.append(Step("flush", relative(f"/proc/self/fd/{descriptor}")))

    def name(how: str, old: str | Path, new: str | Path, **options: object) -> None:
        step = Step("name", relative(new), relative(old))
        real[how](old, new, **options)
        seen.append(step)
        if ("flush", step.old, "") in seen:  # of the same file
            seen.append(Step("flush", step.path))

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "fdatasync", flush)
    for how in ("replace", "rename", "link"):
        monkeypatch.setattr(
            os, how, lambda *paths, how=how, **options: name(how, *paths, **options)
        )
    return seen


def check_naming(steps: Steps) -> None:
    """Each file was flushed before it was named, its folder after it."""
    assert [step for step in steps if step.what == "name"]
    for number, step in enumerate(steps):
        if step.what == "name":
            before, after = steps[:number], steps[number:]
            assert ("flush", step.old, "") in before, step
            assert ("flush", str(Path(step.path).parent), "") in after, step


@pytest.mark.parametrize("size", [1, 100_000, 3_000_000])
@pytest.mark.parametrize("to", ["x.bin", "new/deep/x.bin", "new/"])
@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_download_is_flushed_before_it_is_named(
    sandbox: Sandbox, client: Client, tmp_path: Path, steps: Steps, size: int, to: str,
    *, overwrite: bool,
) -> None:  # fmt: skip
    stored = sandbox.market.add_file(bytes(size), "a.png", "image/png")
    await client.attachments.download(
        stored.id, f"{tmp_path}/{to}", site_id="MLM", overwrite=overwrite
    )
    check_naming(steps)
    if to.startswith("new/deep"):
        assert {step.path for step in steps if step.what == "flush"} >= {".", "new", "new/deep"}


def test_new_folders_are_flushed_where_an_unnamed_file_gets_no_name(
    tmp_path: Path, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unnamed file created the folders, and the hidden one has to flush them."""
    link = os.link

    def without_proc(old: str, new: Path, **options: object) -> None:
        if old.startswith("/proc/"):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        link(old, new, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "link", without_proc)
    write_file(tmp_path / "new" / "deep" / "x.bin", [b"whole"], overwrite=False)
    check_naming(steps)
    assert {step.path for step in steps if step.what == "flush"} >= {".", "new", "new/deep"}


@pytest.mark.parametrize("size", [1, 3_000_000])
async def test_a_replaced_file_is_flushed_before_it_is_named(
    sandbox: Sandbox, client: Client, tmp_path: Path, steps: Steps, size: int
) -> None:
    stored = sandbox.market.add_file(bytes(size), "a.png", "image/png")
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    await client.attachments.download(stored.id, path, site_id="MLM", overwrite=True)
    assert path.stat().st_size == size
    check_naming(steps)


@pytest.mark.parametrize("flagged", [False, True])
async def test_the_files_of_a_mirror_are_on_disk_before_a_manifest_names_them(
    sandbox: Sandbox, client: Client, tmp_path: Path, steps: Steps, *, flagged: bool
) -> None:
    packs = fill(sandbox.market, 4, files=3)
    threat = sandbox.market.add_file(b"x", "x.png", potential_security_threat=True)
    if flagged:
        sandbox.market.add_message(packs[0], "careful", attachments=[threat.id])
    await sync_attachments(client, packs=packs, to=tmp_path, site_id="MLM")
    check_naming(steps)
    for pack in packs:
        path = f"packs/{pack}/manifest.json"
        named = steps.index_of("name", path)
        assert steps.index_of("flush", f"packs/{pack}") > named
        for file in manifest((tmp_path / path).read_bytes()):
            folders = [str(parent) for parent in Path(file).parents]
            for folder in folders:
                # The entry of the file, and that of each folder in the one above it.
                assert ("flush", folder, "") in steps[:named], (folder, path)
            assert steps.index_of("name", file) < named


async def test_an_adopted_file_is_on_disk_before_a_manifest_names_it(
    sandbox: Sandbox, client: Client, tmp_path: Path, steps: Steps
) -> None:
    (pack,) = fill(sandbox.market, 1)
    await sync_attachments(client, packs=[pack], to=tmp_path, site_id="MLM")
    (tmp_path / f"packs/{pack}/manifest.json").unlink()
    (name,) = on_disk(tmp_path)
    steps.clear()
    await sync_attachments(client, packs=[pack], to=tmp_path, site_id="MLM")
    assert steps.index_of("flush", name) < steps.index_of("name", f"packs/{pack}/manifest.json")


async def test_a_run_without_changes_flushes_nothing(
    sandbox: Sandbox, client: Client, tmp_path: Path, steps: Steps
) -> None:
    packs = fill(sandbox.market, 2)
    await sync_attachments(client, packs=packs, to=tmp_path, site_id="MLM")
    steps.clear()
    await sync_attachments(client, packs=packs, to=tmp_path, site_id="MLM")
    assert steps == []
