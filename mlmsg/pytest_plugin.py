"""Fixtures for the tests of your own code: a running sandbox, and a client for it.

The plugin is active as soon as `mlmsg` is installed. The fixtures work with pytest-asyncio and with
the plugin of anyio (on asyncio).

    async def test_the_buyer_is_answered(mlmsg_sandbox, mlmsg_client):
        await answer(mlmsg_client, next(iter(mlmsg_sandbox.market.packs)))
        assert mlmsg_sandbox.requests[-1].method == "POST"
"""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

try:
    from pytest_asyncio import fixture as asyncio_fixture
except ModuleNotFoundError:
    asyncio_fixture = pytest.fixture  # type: ignore[assignment]

if TYPE_CHECKING:
    from mlmsg.client import Client
    from mlmsg.sandbox import Sandbox

__all__ = ["mlmsg_client", "mlmsg_sandbox"]


async def _running_sandbox() -> "AsyncIterator[Sandbox]":
    from mlmsg.sandbox import Sandbox  # noqa: PLC0415  (every run of pytest imports this module)

    async with Sandbox() as sandbox:
        yield sandbox


async def _open_client(mlmsg_sandbox: "Sandbox") -> "AsyncIterator[Client]":
    from mlmsg.client import Client  # noqa: PLC0415
    from mlmsg.policy import RetryPolicy  # noqa: PLC0415

    retry = RetryPolicy(base=0.0)
    async with Client(
        mlmsg_sandbox.token, base_url=mlmsg_sandbox.url, retry=retry, budget=None
    ) as client:
        yield client


@asyncio_fixture
async def _mlmsg_sandbox_asyncio() -> "AsyncIterator[Sandbox]":
    async for sandbox in _running_sandbox():
        yield sandbox


@asyncio_fixture
async def _mlmsg_client_asyncio(mlmsg_sandbox: "Sandbox") -> "AsyncIterator[Client]":
    async for client in _open_client(mlmsg_sandbox):
        yield client


@pytest.fixture
async def _mlmsg_sandbox_anyio() -> "AsyncIterator[Sandbox]":
    async for sandbox in _running_sandbox():
        yield sandbox


@pytest.fixture
async def _mlmsg_client_anyio(mlmsg_sandbox: "Sandbox") -> "AsyncIterator[Client]":
    async for client in _open_client(mlmsg_sandbox):
        yield client


@pytest.fixture
def mlmsg_sandbox(request: pytest.FixtureRequest) -> "Sandbox":
    """Return a running `Sandbox` with the example market, a new one for each test."""
    sandbox: Sandbox = request.getfixturevalue(f"_mlmsg_sandbox_{_runner(request)}")
    return sandbox


@pytest.fixture
def mlmsg_client(request: pytest.FixtureRequest) -> "Client":
    """Return a `Client` of the test's sandbox. It retries without waiting, and has no budget."""
    client: Client = request.getfixturevalue(f"_mlmsg_client_{_runner(request)}")
    return client


def _runner(request: pytest.FixtureRequest) -> str:
    """Return the plugin that runs the test: anyio's tests have the fixture `anyio_backend`."""
    return "anyio" if "anyio_backend" in request.fixturenames else "asyncio"
