"""The benchmarks run: each prints its table, and names the peers that are not installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"

PROGRAM = "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"

HEADINGS = {"calls": "Calls", "files": "Small files", "growth": "Growth", "import": "Import"}
"""The subjects that are quick. The others wait for a clock, a disk or the server of a bucket."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_report_is_whole_and_names_a_peer_that_is_not_installed(tmp_path: Path) -> None:
    """A module first in the path hides a library, as if it were not there."""
    (tmp_path / "httpx.py").write_text("raise ImportError")
    report = FOLDER / "report.py"
    start = f"import sys; sys.argv[:1] = [{str(report)!r}]; sys.path[0] = {str(FOLDER)!r}"
    paths = os.pathsep.join([str(tmp_path), str(FOLDER.parent)])
    done = subprocess.run(
        [sys.executable, "-c", f"{start}; {PROGRAM}", "--quick", "--only", *HEADINGS],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for heading in HEADINGS.values():
        assert f"\n## {heading}\n" in done.stdout
    assert "| httpx and msgspec | not measured: httpx is not installed | | |" in done.stdout
    aims = done.stdout.partition("\n## Aims\n")[2]
    assert len([line for line in aims.splitlines() if "met |" in line or "missed" in line]) > 5
