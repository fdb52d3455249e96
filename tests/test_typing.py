"""The types that users see: every public symbol has one, and the README's code passes checkers."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import readme

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent

needs_pyright = pytest.mark.skipif(
    find_spec("pyright") is None, reason="pyright is not installed (extra `dev`)"
)


def run(module: str, *arguments: str) -> str:
    """Run a type checker in this environment, and return its output."""
    # `pyright --verifytypes` looks for the package with the first Python of PATH.
    paths = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    # pyright finds `inbox_service` by the path of this Python, mypy beside the block itself.
    modules = os.pathsep.join([str(ROOT), str(ROOT / "examples")])
    environment = {**os.environ, "PATH": os.pathsep.join(paths), "PYTHONPATH": modules}
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def pasted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one module for each block of the README's Python."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copy(ROOT / "examples" / "inbox_service.py", folder)
    whole = [*readme.programs(), *readme.pytest_modules(), *readme.services()]
    modules = whole + [readme.as_function(fragment) for fragment in readme.fragments()]
    for number, module in enumerate(modules):
        (folder / f"block_{number}.py").write_text(module, encoding="utf-8")
    return folder


def test_the_code_of_the_readme_passes_mypy_strict(pasted: Path) -> None:
    arguments = ["--strict", "--config-file=", "--cache-dir", os.devnull, str(pasted)]
    assert "Success: no issues found" in run("mypy", *arguments)


@needs_pyright
def test_the_code_of_the_readme_passes_pyright(pasted: Path) -> None:
    assert "0 errors, 0 warnings" in run("pyright", str(pasted))


@needs_pyright
def test_every_public_symbol_has_a_type() -> None:
    report = run("pyright", "--verifytypes", "mlmsg", "--ignoreexternal")
    errors = [line.strip() for line in report.splitlines() if " - error: " in line]
    assert not errors
    assert "Type completeness score: 100%" in report
