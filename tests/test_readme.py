"""The README's code and every example run, against the sandbox and in this process."""

import ast
import inspect
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlmsg import Client, RetryPolicy
from mlmsg.sandbox import Sandbox

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


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
    "answer_with_files.py": r"Mariana: .*\nsent as [0-9a-f]{32} with 2 files",
    "copy_attachment.py": r"27822 of 27822 bytes\nCaja dañada.jpg is now part of message",
    "opentelemetry_events.py": (
        r"answer a buyer.*\n - GET \S+/packs/{pack_id} 503 ServerError retry\n.* 200  accept\n"
        r" - POST \S+/attachments 200  accept\n.*request\.duration: \S+ s in 4 series.*"
        r"retries: 1 {retry} in 1 series"
    ),
}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_run_and_say_what_they_did(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(path), run_name="__main__")
    assert re.search(SAYS[path.name], capsys.readouterr().out, re.DOTALL)
