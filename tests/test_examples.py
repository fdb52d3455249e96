"""Every example runs, against the sandbox and in this process."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(set((ROOT / "examples").glob("*.py")) - {ROOT / "examples" / "sync_on_dask.py"})

SAYS = {
    "answer_buyers.py": r"(\d+: answered\n){2}\d+: started with OTHER",
    "inbox_service.py": (
        r"2 messages had arrived.*\n(notification [12]: 200\n){4}4 messages handled, 4 answers sent"
    ),
    "mirror_job.py": r"first run: 7 threads, 15 .* 1 failed\nsecond run: 7 threads, 1 files",
    "answer_with_files.py": r"Mariana: .*\nsent as [0-9a-f]{32} with 2 files",
    "copy_attachment.py": r"27822 of 27822 bytes\nCaja dañada.jpg was sent with message",
    "opentelemetry_events.py": (
        r"answer a buyer.*\n - GET \S+/packs/{pack_id} 503 ServerError retry\n.* 200  accept\n"
        r" - POST \S+/attachments 200  accept\n.*request\.duration: \S+ s in 4 series.*"
        r"retries: 1 {retry} in 1 series"
    ),
}


DASK = r"(\d+)/\1 shards, 100 files\n100 threads, 100 files fetched .* 0 failed, 0 shards lost"


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_shards_run_on_a_cluster_of_two_processes() -> None:
    """Run in another process, because a cluster starts more from there."""
    command = [sys.executable, str(ROOT / "examples" / "sync_on_dask.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert re.search(DASK, done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_notebook_runs_from_top_to_bottom() -> None:
    notebook = nbformat.read(ROOT / "examples" / "explore.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "it is kept without outputs"
    NotebookClient(notebook, timeout=60).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert {"image/png", "text/html"} <= {kind for one in outputs for kind in one.data}


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_run_and_say_what_they_did(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [str(path)])
    runpy.run_path(str(path), run_name="__main__")
    assert re.search(SAYS[path.name], capsys.readouterr().out, re.DOTALL)


def test_the_buyers_of_a_domestic_seller_are_answered(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ROOT / "examples" / "answer_buyers.py"
    monkeypatch.setattr(sys, "argv", [str(path), "--domestic"])
    runpy.run_path(str(path), run_name="__main__")
    printed = capsys.readouterr().out
    advice = ("answered", "not answered: 30 days", "started with OTHER", "wait:", "claim:")
    assert all(word in printed for word in (*advice, "later:", "final:"))
