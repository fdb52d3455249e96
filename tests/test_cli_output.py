"""Output that cannot be written: no traceback, and the exit code of the job."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import PROGRAM, environment, shell
from mirrors import expected, on_disk, without_manifests

from mlmsg.sandbox import example_market

FILES = expected(example_market())
SYNC = "$MLMSG sync --sandbox --to $TO"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="uses /dev/full and bash")

BROKEN = {
    "a reader that leaves": (f"{SYNC} | head -1; exit ${{PIPESTATUS[0]}}", ""),
    "a reader that leaves JSON": (f"{SYNC} --json | head -1; exit ${{PIPESTATUS[0]}}", ""),
    "a reader that was never there": (f"{SYNC} | true; exit ${{PIPESTATUS[0]}}", ""),
    "a closed output": (f"{SYNC} >&-", ""),
    "all streams closed": (f"{SYNC} >&- 2>&- <&-", ""),
    "a full disk": (f"{SYNC} > /dev/full", "Error: cannot write to standard output: No space"),
    "a full disk for JSON": (f"{SYNC} --json > /dev/full", "Error: cannot write to standard"),
    "full disks for both": (f"{SYNC} > /dev/full 2> /dev/full", ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", BROKEN)
def test_a_job_is_completed_whatever_becomes_of_its_output(case: str, tmp_path: Path) -> None:
    script, words = BROKEN[case]
    done = shell(script, TO=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert without_manifests(on_disk(tmp_path)) == FILES
    assert done.stderr.startswith(words)
    assert done.stderr.count("\n") == (1 if words else 0)


@pytest.mark.slow
def test_the_exit_code_tells_of_the_job_also_without_a_reader(tmp_path: Path) -> None:
    done = shell("$MLMSG sync --sandbox --to $TO --claim 404404 | true; exit ${PIPESTATUS[0]}",
                 TO=str(tmp_path))  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("failed: claims/404404: 404")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["--help", "sync --help", "--version", ""])
@pytest.mark.parametrize("output", ["> /dev/full", ">&-", "| true"])
def test_help_without_an_output_is_quiet(arguments: str, output: str) -> None:
    done = shell(f"$MLMSG {arguments} {output} 2>&2")
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.slow
def test_a_file_size_limit_stops_the_job_with_one_line(tmp_path: Path) -> None:
    done = shell(f"ulimit -f 8; {SYNC}", TO=str(tmp_path))
    assert done.returncode == 3
    assert done.stderr.startswith("Error: stopped: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_text_that_the_terminal_cannot_show_is_escaped(encoding: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "sync", "--sandbox", "--to", str(tmp_path / "日本")],
        capture_output=True,
        check=False,
        env=environment(PYTHONIOENCODING=encoding),
    )
    assert done.returncode == 0, done.stderr
    assert b"mirrored into " in done.stdout
    assert rb"\u65e5" in done.stdout


@pytest.mark.slow
def test_a_pipe_that_another_program_made_non_blocking_loses_nothing(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with subprocess.Popen(
        [*PROGRAM, "sync", "--sandbox", "--json", "--to", str(tmp_path)],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        os.close(writer)
        with os.fdopen(reader, "rb") as output:
            lines = output.read().splitlines()
        assert process.stderr is not None
        assert (process.wait(), process.stderr.read()) == (0, b"")
    assert len(lines) == len(FILES) + 7 + 1
