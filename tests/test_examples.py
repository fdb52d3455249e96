"""Every example runs, against the sandbox and in this process."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import notebook
import pytest

from mlmsg.budget import RateLimiter

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


DASK = r"(\d+)/\1 shards, 100 files\n100 threads, 100 files downloaded .* 0 failed, 0 shards lost"


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_shards_run_on_a_cluster_of_two_processes() -> None:
    """Run in another process, because a cluster starts more from there.

    The rate limit, which other tests prove, would make it wait for half a minute.
    """
    command = [sys.executable, str(ROOT / "examples" / "sync_on_dask.py"), "--calls", "60000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert re.search(DASK, done.stdout)


def own_texts(outputs: list[dict[str, str]]) -> list[str]:
    """Return the texts of outputs, without those that differ between versions of libraries.

    These are the tables of pandas, and the size of the plot of matplotlib.
    """
    texts = [output.get("text/html", output["text/plain"]) for output in outputs]
    return [text for text in texts if "dataframe" not in text and "<Picture" not in text]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_notebook_runs_and_gives_the_output_that_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    kept, found = notebook.outputs(notebook.read()), notebook.outputs(notebook.executed())
    advice = "run `python tests/notebook.py`, and commit examples/explore.ipynb"
    assert own_texts(kept) == own_texts(found), advice
    assert [sorted(output) for output in kept] == [sorted(output) for output in found], advice


def test_the_kept_output_of_the_notebook_can_be_published() -> None:
    kept = notebook.outputs(notebook.read())
    kinds = [kind for output in kept for kind in output]
    assert {"image/png", "image/jpeg", "text/html", "text/plain"} == set(kinds)
    assert kinds.count("text/html") >= 7
    for text in (text for output in kept for kind, text in output.items() if "text" in kind):
        assert not re.search(r"(?<![\w<])/(tmp|root|home|Users|var|work|usr)\b|[A-Z]:\\\\", text)
        assert not re.search(r"127\.0\.0\.1|localhost|APP_USR|TG-|Bearer|sandbox-token", text)
        assert not re.search(r"<script|https?://|Traceback", text)
    assert not any(cell.metadata for cell in notebook.read().cells)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_run_and_say_what_they_did(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rate limit, which other tests prove, is left out: the mirror job would wait for it."""
    monkeypatch.setattr(RateLimiter, "try_acquire", lambda _: True)
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
    advice = (
        "answered",
        "not answered: Advice: wait. 30 days",
        "started with OTHER",
        "wait:",
        "claim:",
    )
    assert all(word in printed for word in (*advice, "later:", "final:"))
