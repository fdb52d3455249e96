"""The README's code and every example run, against the sandbox and in this process."""

import ast
import inspect
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from mlmsg import Client, RetryPolicy
from mlmsg.sandbox import Sandbox

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = sorted(set((ROOT / "examples").glob("*.py")) - {ROOT / "examples" / "sync_on_dask.py"})


def blocks(language: str) -> Iterator[str]:
    yield from re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


async def run(code: str, names: dict[str, object]) -> None:
    """Runs a block as a notebook would: `await` may stand at its top level."""
    compiled = compile(code, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(compiled, names)
    if inspect.isawaitable(result):
        await result


async def test_the_code_of_the_readme_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, client: Client
) -> None:
    (tmp_path / "invoice.pdf").write_bytes(b"%PDF-1.4 invoice")
    (tmp_path / "README.md").write_text("read me")
    (tmp_path / "evidence.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {
        "client": client,
        "pack_id": next(iter(sandbox.market.packs)),
        "claim_id": next(iter(sandbox.market.claims)),
        "RetryPolicy": RetryPolicy,
    }
    program, *cells = blocks("python")
    assert "asyncio.run(main())" in program
    for cell in cells:
        await run(cell, names)
    assert list((tmp_path / "archive").iterdir())
    uploaded = [file.original_filename for file in sandbox.market.files.values()]
    assert uploaded[-4:] == ["orders.csv", "invoice.pdf", "export.txt", "export.txt"]


def test_the_program_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "README.md").write_text("read me")
    monkeypatch.chdir(tmp_path)
    exec(compile(next(blocks("python")), "README.md", "exec"), {"__name__": "__main__"})
    assert "sent as " in capsys.readouterr().out


async def test_the_refusal_in_the_readme_is_the_one_that_is_raised(
    sandbox: Sandbox, client: Client
) -> None:
    with pytest.raises(ValueError, match="found 26") as caught:
        await client.packs.send(1, "Factura", files=[b"%PDF-1.4"] * 26, site_id="MLM")
    assert f"# {caught.value}" in README


def test_the_first_two_shell_blocks_are_one_command_each() -> None:
    run_it, test_it, *_ = blocks("sh")
    assert run_it.count("\n") == test_it.count("\n") == 1
    assert "mlmsg sync --sandbox --to" in run_it
    assert "pytest" in test_it


SAYS = {
    "inbox_service.py": r"(notification [12]: 200\n){4}21 messages delivered, 2 of them new\n2 ",
    "mirror_job.py": r"first run: 7 threads, 15 .* 1 failed\nsecond run: 7 threads, 1 files",
    "answer_with_files.py": r"Mariana: .*\nsent as [0-9a-f]{32} with 2 files",
    "copy_attachment.py": r"27822 of 27822 bytes\nCaja dañada.jpg was sent with message",
    "opentelemetry_events.py": (
        r"answer a buyer.*\n - GET \S+/packs/{pack_id} 503 ServerError retry\n.* 200  accept\n"
        r" - POST \S+/attachments 200  accept\n.*request\.duration: \S+ s in 4 series.*"
        r"retries: 1 {retry} in 1 series"
    ),
}


DASK = r"8/8 shards, 32 files\n14 threads, 32 files fetched .* 0 failed, 0 shards lost"


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_shards_run_on_a_cluster_of_two_processes() -> None:
    """In a process of its own, as a cluster starts others from there."""
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
