"""The command line as a person meets it: output, files, exit codes, and words for mistakes."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlmsg.sandbox import example_market

MARKET = example_market()


def mlmsg(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command with its output in a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "mlmsg", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "MLMSG_ACCESS_TOKEN": "", **environment},
    )


def mirrored(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_sync_mirrors_every_attachment_of_the_sandbox(tmp_path: Path) -> None:
    done = mlmsg("sync", "--sandbox", "--to", str(tmp_path / "mirror"))
    assert (done.returncode, done.stderr) == (0, "")
    expected = {name: file.data for name, file in MARKET.files.items()}
    assert mirrored(tmp_path / "mirror") == expected
    assert {path.name for path in (tmp_path / "mirror/packs").iterdir()} == set(MARKET.packs)
    size = sum(map(len, expected.values()))
    summary = done.stdout.splitlines()[-1]
    assert summary == (
        f"mirrored into {tmp_path / 'mirror'}: threads {len(MARKET.packs)}, files fetched "
        f"{len(expected)} ({size / 1000:.1f} kB), there already 0, failed 0"
    )


def test_a_second_run_fetches_only_what_is_missing_or_cut(tmp_path: Path) -> None:
    mlmsg("sync", "--sandbox", "--to", str(tmp_path))
    before = mirrored(tmp_path)
    lost, cut, *_ = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    lost.unlink()
    cut.write_bytes(b"half")
    done = mlmsg("sync", "--sandbox", "--to", str(tmp_path))
    assert "files fetched 2 (" in done.stdout
    assert f"there already {len(MARKET.files) - 2}," in done.stdout
    assert mirrored(tmp_path) == before


def test_one_pack_can_be_named(tmp_path: Path) -> None:
    pack, *_ = MARKET.packs
    done = mlmsg("sync", "--sandbox", "--to", str(tmp_path), pack)
    assert "threads 1, " in done.stdout
    assert [path.name for path in (tmp_path / "packs").iterdir()] == [pack]


def test_a_pack_that_is_not_there_costs_only_itself(tmp_path: Path) -> None:
    pack, *_ = MARKET.packs
    done = mlmsg("sync", "--sandbox", "--to", str(tmp_path), "404404", pack)
    assert done.returncode == 1
    assert "failed: packs/404404: 404 " in done.stderr
    assert "threads 1, " in done.stdout
    assert "failed 1" in done.stdout


MISTAKES = [
    pytest.param(("sync",), "Missing option '--to'", id="no folder"),
    pytest.param(("sync", "--to", "x"), "no PACK is named; to try", id="no pack"),
    pytest.param(("sync", "--to", "x", "1"), "MLMSG_ACCESS_TOKEN is not set", id="no token"),
    pytest.param(("sink",), "No such command 'sink'", id="typo"),
    pytest.param(("sync", "--sandbox", "--to", __file__), "is a file, not a folder", id="a file"),
    pytest.param(("sync", "--sandbox", "--to", "x", "--site-id", "CBT"), "found 'CBT'", id="CBT"),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES)
def test_wrong_use_is_explained_and_exits_with_2(
    arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = mlmsg(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_terminal_sees_a_progress_bar(tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "mlmsg", "sync", "--sandbox", "--to", str(tmp_path)],
        stdout=follower,
        stderr=follower,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"},
    ) as process:
        os.close(follower)
        seen = read_all(leader)
    assert process.returncode == 0
    assert re.search(r"4/4 threads, \d+ files", seen)
    assert "threads 4, files fetched" in seen


def read_all(descriptor: int) -> str:
    """What the other side of a terminal wrote; Linux ends it with an error."""
    seen = b""
    try:
        while data := os.read(descriptor, 65536):
            seen += data
    except OSError:
        pass
    finally:
        os.close(descriptor)
    return seen.decode()


def test_without_its_extra_the_command_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError(name='click')")
    done = mlmsg("sync", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "pip install 'mlmsg[cli]'" in done.stderr
