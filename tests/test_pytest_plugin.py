"""The fixtures for users' own tests, under pytest-asyncio and under the plugin of anyio."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from user_tests import run_pytest

TESTS: Final = """
import pytest


async def use(sandbox, client):
    page = await client.packs.page(next(iter(sandbox.market.packs)))
    assert page.messages
    await sandbox.received(1)
    assert len(sandbox.requests) == 1


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.anyio
async def test_of_anyio(mlmsg_sandbox, mlmsg_client):
    await use(mlmsg_sandbox, mlmsg_client)


@pytest.mark.asyncio
async def test_of_pytest_asyncio(mlmsg_client, mlmsg_sandbox):
    await use(mlmsg_sandbox, mlmsg_client)


@pytest.mark.asyncio(loop_scope="module")
async def test_in_a_loop_of_the_module(mlmsg_sandbox, mlmsg_client):
    await use(mlmsg_sandbox, mlmsg_client)


@pytest.mark.anyio
async def test_another_of_anyio(mlmsg_client, mlmsg_sandbox):
    await use(mlmsg_sandbox, mlmsg_client)


@pytest.mark.asyncio(loop_scope="session")
class TestOfAClass:
    async def test_one(self, mlmsg_sandbox, mlmsg_client):
        await use(mlmsg_sandbox, mlmsg_client)

    async def test_two(self, mlmsg_sandbox, mlmsg_client):
        await use(mlmsg_sandbox, mlmsg_client)
"""
OPTIONS: Final = {
    "strict": ("asyncio_mode=strict",),
    "auto": ("asyncio_mode=auto",),
    "strict, loops of the session": (
        "asyncio_mode=strict",
        "asyncio_default_fixture_loop_scope=session",
    ),
    "auto, loops of the session": (
        "asyncio_mode=auto",
        "asyncio_default_test_loop_scope=session",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_the_fixtures_run_in_the_event_loop_of_the_test(name: str, tmp_path: Path) -> None:
    (tmp_path / "test_inbox.py").write_text(TESTS)
    options = [word for setting in OPTIONS[name] for word in ("-o", setting)]
    assert "6 passed" in run_pytest(tmp_path, "--timeout=20", *options)


ONLY_ANYIO: Final = """
import pytest


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_of_anyio(mlmsg_sandbox, mlmsg_client):
    await mlmsg_client.packs.page(next(iter(mlmsg_sandbox.market.packs)))
"""
WITHOUT_PYTEST_ASYNCIO: Final = """
import sys
from importlib.abc import MetaPathFinder


class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pytest_asyncio":
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, Missing())
import pytest

sys.exit(pytest.main(["-q", "-p", "no:asyncio", "-p", "no:cacheprovider", "--timeout=20"]))
"""


@pytest.mark.slow
def test_pytest_asyncio_need_not_be_installed(tmp_path: Path) -> None:
    (tmp_path / "test_inbox.py").write_text(ONLY_ANYIO)
    command = [sys.executable, "-c", WITHOUT_PYTEST_ASYNCIO]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert "1 passed" in done.stdout, done.stderr


REFUSED: Final = """
import unittest

import pytest


def test_synchronous(mlmsg_sandbox):
    pass


async def test_unmarked(mlmsg_sandbox):
    pass


@pytest.mark.usefixtures("mlmsg_client")
class TestOfUnittest(unittest.IsolatedAsyncioTestCase):
    async def test_one(self):
        pass


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_on_trio(mlmsg_client):
    pass
"""


@pytest.mark.slow
def test_a_test_without_asyncio_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "test_inbox.py").write_text(REFUSED)
    output = run_pytest(tmp_path, "--timeout=20", "-o", "asyncio_mode=strict")
    assert "4 errors" in output
    assert "not a synchronous test. Write `async def`, for pytest-asyncio or anyio" in output
    assert "no plugin runs this `async def` test. Mark it with `@pytest.mark.asyncio`" in output
    assert "not one of unittest, which has an event loop of its own. Write a function" in output
    assert "not trio. Let the fixture `anyio_backend` return 'asyncio'" in output


DOMESTIC: Final = """
import pytest

from mlmsg.sandbox import example_market


@pytest.fixture
def mlmsg_market():
    return example_market(site_id="MLB")


@pytest.mark.asyncio
async def test_domestic(mlmsg_sandbox, mlmsg_client):
    await mlmsg_client.packs.page(next(iter(mlmsg_sandbox.market.packs)))
    assert not (await mlmsg_client.account.me()).global_selling
    paths = [request.path for request in mlmsg_sandbox.requests]
    assert paths and not any(path.startswith("/marketplace") for path in paths)


@pytest.mark.asyncio
@pytest.mark.parametrize("mlmsg_market", [example_market()])
async def test_of_both_families(mlmsg_client):
    assert (await mlmsg_client.account.me()).global_selling
"""


@pytest.mark.slow
def test_the_client_has_the_family_of_the_market(tmp_path: Path) -> None:
    (tmp_path / "test_inbox.py").write_text(DOMESTIC)
    output = run_pytest(tmp_path, "--timeout=20", "-o", "asyncio_mode=strict")
    assert "2 passed" in output
