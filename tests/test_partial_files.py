"""Partial files: each has a name of its own, and only those of ended processes are swept."""

import errno
import os
import signal
import stat
import subprocess
import sys
import time
import traceback
from contextlib import nullcontext
from pathlib import Path

import pytest

from mlmsg._partial_file import (
    STALE_SECONDS,
    PartialFile,
    _host,
    make_folder,
    sweep,
    write_file,
)
from mlmsg.errors import TargetExists

PROGRAM = """
import sys
from pathlib import Path
from mlmsg._partial_file import PartialFile
part = PartialFile(Path(sys.argv[1]))
part.write([b"half"])
print("ready", flush=True)
sys.stdin.read()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def sweep_all(folder: Path) -> None:
    sweep(folder, names(folder))


@pytest.mark.slow
def test_the_partial_file_of_a_killed_process_is_swept_and_that_of_a_living_one_is_not(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "x")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        sweep_all(tmp_path)
        assert len(names(tmp_path)) == 1
        process.send_signal(signal.SIGKILL)
    sweep_all(tmp_path)
    assert names(tmp_path) == []


def test_a_partial_file_of_this_process_is_not_swept(tmp_path: Path) -> None:
    parts = [PartialFile(tmp_path / "x") for _ in range(3)]
    for number, part in enumerate(parts):
        part.write([b"%d" % number])
    sweep_all(tmp_path)
    assert len(names(tmp_path)) == 3
    parts[0].commit(overwrite=False)
    with pytest.raises(TargetExists):
        parts[1].commit(overwrite=False)
    parts[1].discard()
    parts[2].commit(overwrite=True)
    sweep_all(tmp_path)
    assert names(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == b"2"


OTHER_NAMES = [
    ".mlmsg-0-1.part",
    ".mlmsg-00000000-0000000000000000.part2",
    "x.part",
    ".hidden",
    "a.jpg",
]


def test_nothing_else_is_swept(tmp_path: Path) -> None:
    for name in OTHER_NAMES:
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (0, 0))
    sweep_all(tmp_path)
    assert names(tmp_path) == sorted(OTHER_NAMES)


@pytest.mark.parametrize(("age", "left"), [(0.0, 1), (STALE_SECONDS + 60, 0)])
def test_a_partial_file_of_another_machine_is_swept_when_it_is_old(
    tmp_path: Path, age: float, left: int
) -> None:
    path = tmp_path / ".mlmsg-ffffffff-0123456789abcdef.part"
    path.write_text("half")
    os.utime(path, (time.time() - age,) * 2)
    sweep_all(tmp_path)
    assert len(names(tmp_path)) == left


def test_a_file_that_was_swept_before_it_was_locked_is_created_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    real = os.open

    def swept_once(path: str, *arguments: int) -> int:
        descriptor = real(path, *arguments)
        opened.append(path)
        if len(opened) == 1:
            Path(path).unlink()
        return descriptor

    monkeypatch.setattr(os, "open", swept_once)
    part = PartialFile(tmp_path / "x")
    part.write([b"whole"])
    part.commit(overwrite=False, flush_folder=False)
    assert len(opened) == 2
    assert (tmp_path / "x").read_bytes() == b"whole"


def test_a_swept_file_is_deleted_while_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process may be about to lock it. If it could, it would lose the file to the sweep."""
    fcntl = pytest.importorskip("fcntl")
    path = tmp_path / f".mlmsg-{_host()}-{'0' * 16}.part"
    path.write_text("half")
    real = Path.unlink

    def unlink(self: Path, *, missing_ok: bool = False) -> None:
        with self.open("rb") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        real(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    sweep_all(tmp_path)
    assert names(tmp_path) == []


def test_a_file_system_without_links_and_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("mlmsg._partial_file.fcntl.flock", refuse)
    monkeypatch.setattr(os, "link", refuse)
    for expected in (None, TargetExists):
        part = PartialFile(tmp_path / "x")
        part.write([b"whole"])
        sweep_all(tmp_path)  # it is young
        if expected is None:
            part.commit(overwrite=False)
        else:
            with pytest.raises(expected):
                part.commit(overwrite=False)
            part.discard()
    assert names(tmp_path) == ["x"]


@pytest.fixture
def unnamed_files(tmp_path: Path) -> None:
    """Skip a test if the file system has no unnamed files, as that of an older container."""
    if not hasattr(os, "O_TMPFILE"):
        pytest.skip("no unnamed files: Linux only")
    try:
        os.close(os.open(tmp_path, os.O_WRONLY | os.O_TMPFILE))
    except OSError as error:
        pytest.skip(f"no unnamed files: {error}")


@pytest.mark.usefixtures("unnamed_files")
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_small_file_has_no_name_before_it_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, overwrite: bool
) -> None:
    real = os.fsync

    seen: list[list[str]] = []

    def fsync(descriptor: int) -> None:
        seen.append(names(tmp_path))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    written = write_file(tmp_path / "x", [b"who", b"le"], overwrite=overwrite)
    assert (written.path, written.size) == (tmp_path / "x", 5)
    assert (tmp_path / "x").read_bytes() == b"whole"
    assert seen == [[], ["x"]]  # of the file, then of its folder


@pytest.mark.usefixtures("unnamed_files")
@pytest.mark.parametrize("refused", ["open", "link"])
def test_a_small_file_is_hidden_where_the_system_has_no_unnamed_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """A network file system does not create them, and without `/proc` they cannot be named."""
    real_open, real_link = os.open, os.link
    hidden: list[str] = []

    def fake_open(path: str, flags: int, *arguments: int) -> int:
        if refused == "open" and flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return real_open(path, flags, *arguments)

    def fake_link(source: str, target: str | Path, **options: object) -> None:
        if source.startswith("/proc/"):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        hidden.extend(names(tmp_path))
        real_link(source, target, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", fake_open)
    monkeypatch.setattr(os, "link", fake_link)
    write_file(tmp_path / "x", [b"whole"], overwrite=False)
    assert len(hidden) == 1
    assert hidden[0].startswith(".mlmsg-")
    assert (tmp_path / "x").read_bytes() == b"whole"
    assert names(tmp_path) == ["x"]


def test_a_small_file_replaces_another_one_and_keeps_its_permissions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    path.chmod(0o640)
    real = os.replace

    def replace(source: str, target: Path) -> None:
        assert path.read_bytes() == b"old"
        sweep_all(tmp_path)  # of another job
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    write_file(path, [b"new"], overwrite=True)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_system_without_permissions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    """All its files have the same ones. A file that would be less private is not written."""

    def refuse(path: str, _mode: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", path)

    path = tmp_path / "x"
    path.write_bytes(b"old")
    path.chmod(mode)
    monkeypatch.setattr(os, "chmod", refuse)
    mask = os.umask(0o022)
    try:
        if mode == 0o644:
            write_file(path, [b"new"], overwrite=True)
        else:
            with pytest.raises(PermissionError):
                write_file(path, [b"new"], overwrite=True)
    finally:
        os.umask(mask)
    assert path.read_bytes() == (b"new" if mode == 0o644 else b"old")
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize(
    ("call", "number", "is_raised"),
    [
        ("open", errno.EACCES, False),
        ("open", errno.EMFILE, True),
        ("fsync", errno.EINVAL, False),
        ("fsync", errno.EBADF, False),
        ("fsync", errno.EIO, True),
    ],
)
def test_a_folder_that_cannot_be_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, *, is_raised: bool
) -> None:
    """A folder that may be written and not read, or one of a system that flushes only files."""
    real_open, real_fsync = os.open, os.fsync

    def fake_open(path: str, flags: int, *arguments: int) -> int:
        if call == "open" and flags == os.O_RDONLY:
            raise OSError(number, os.strerror(number), path)
        return real_open(path, flags, *arguments)

    def fake_fsync(descriptor: int) -> None:
        if call == "fsync" and stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        real_fsync(descriptor)

    monkeypatch.setattr(os, "open", fake_open)
    monkeypatch.setattr(os, "fsync", fake_fsync)
    with pytest.raises(OSError, match=os.strerror(number)) if is_raised else nullcontext():
        write_file(tmp_path / "x", [b"whole"], overwrite=False)
    assert (tmp_path / "x").read_bytes() == b"whole"


@pytest.mark.usefixtures("unnamed_files")
def test_an_error_of_the_second_attempt_shows_nothing_of_the_first(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long") as caught:
        write_file(tmp_path / ("x" * 300), [b"whole"], overwrite=True)
    assert "CannotBeNamed" not in "".join(traceback.format_exception(caught.value))
    assert names(tmp_path) == []


def test_a_small_file_does_not_replace_one_that_was_created_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"other")
    with pytest.raises(TargetExists):
        write_file(tmp_path / "x", [b"mine"], overwrite=False)
    assert (tmp_path / "x").read_bytes() == b"other"
    assert names(tmp_path) == ["x"]


def test_an_error_after_a_small_file_was_named_is_raised_and_not_a_second_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_folder: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("mlmsg._partial_file.fsync_directory", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write_file(tmp_path / "x", [b"whole"], overwrite=False)


def test_a_file_that_cannot_be_closed_is_discarded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS reports a full disk when a file is closed, and the descriptor is gone nevertheless."""
    close = os.close

    def fail(descriptor: int) -> None:
        close(descriptor)
        raise OSError(errno.ENOSPC, "No space left on device")

    part = PartialFile(tmp_path / "x")
    part.write([b"x"])
    with monkeypatch.context() as patch:
        patch.setattr(os, "close", fail)
        part.discard()
    assert names(tmp_path) == []


def test_folders_are_created_once(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a/b") == {tmp_path, tmp_path / "a"}
    assert make_folder(tmp_path / "a/b") == set()
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")
    with pytest.raises(OSError):
        make_folder(tmp_path / "file/below")
