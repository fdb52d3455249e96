"""The fixtures for users' own tests, under pytest-asyncio and under the plugin of anyio."""

from pathlib import Path
from typing import Final

import pytest
from user_tests import run_pytest

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


@pytest.mark.slow
@pytest.mark.parametrize("name", TESTS)
def test_the_fixtures_run_in_the_event_loop_of_the_test(name: str, tmp_path: Path) -> None:
    marks, mode = TESTS[name]
    each = f"{marks}\nasync def test_{{}}(mlmsg_sandbox, mlmsg_client):{BODY}\n"
    text = f"import pytest\n\n{each.format('one')}\n{each.format('two')}"
    (tmp_path / "test_inbox.py").write_text(text)
    assert "2 passed" in run_pytest(tmp_path, "-o", f"asyncio_mode={mode}")
