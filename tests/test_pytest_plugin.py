"""The fixtures for users' own tests, under pytest-asyncio and under the plugin of anyio."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

import pytest

BODY: Final = """
    page = await mlmsg_client.packs.page(next(iter(mlmsg_sandbox.market.packs)))
    assert page.messages and len(mlmsg_sandbox.requests) == 1
"""
ANYIO: Final = '@pytest.mark.anyio\n@pytest.mark.parametrize("anyio_backend", ["asyncio"])'
TESTS: Final = {
    "pytest-asyncio": ("@pytest.mark.asyncio", "strict"),
    "pytest-asyncio, auto": ("", "auto"),
    "anyio": (
        '@pytest.mark.anyio\n@pytest.mark.parametrize("anyio_backend", ["asyncio"])',
        "strict",
    ),
}
IS_INSTALLED: Final = any(point.name == "mlmsg" for point in entry_points(group="pytest11"))
PLUGIN: Final = [] if IS_INSTALLED else ["-p", "mlmsg.pytest_plugin"]  # run from the source alone


@pytest.mark.slow
@pytest.mark.parametrize("name", TESTS)
def test_the_fixtures_run_in_the_event_loop_of_the_test(name: str, tmp_path: Path) -> None:
    marks, mode = TESTS[name]
    each = f"{marks}\nasync def test_{{}}(mlmsg_sandbox, mlmsg_client):{BODY}\n"
    text = f"import pytest\n\n{each.format('one')}\n{each.format('two')}"
    (tmp_path / "test_inbox.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    command += ["-o", f"asyncio_mode={mode}", "-o", "asyncio_default_fixture_loop_scope=function"]
    done = subprocess.run(
        [*command, *PLUGIN, "test_inbox.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "2 passed" in done.stdout, done.stdout + done.stderr
