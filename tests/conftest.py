"""Fixtures of all tests: a sandbox, a client for it, and two checks of every test."""

import asyncio
import gc
import importlib
import logging
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp import ClientSession, ClientTimeout
from blockbuster import blockbuster_ctx
from calls import AT_ONCE
from commands import Terminal, running_sandbox
from hypothesis import settings
from sandboxes import TIMEOUT

from mlmsg import Client, RetryPolicy
from mlmsg.sandbox import Clock, Sandbox, example_market

# The same examples in each run, so that a change is judged by its own tests. To look for others:
# pytest --hypothesis-profile=random
settings.register_profile("random", deadline=None)  # pytest-timeout bounds the time
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

LONGEST = {"test_typing.py", "test_benchmarks.py"}
"""Modules whose tests take 5 to 15 s each."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest tests first: at the end, one process would wait for the other."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish() -> None:
    """Exclude what exists now from garbage collections.

    A full collection would visit the objects of all collected tests, which takes 0.3 s. What a test
    creates is collected as usual.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """Let SIGINT interrupt the commands of tests, also if this process was told to ignore it.

    A shell without job control tells that to its background jobs, and processes inherit it.
    """
    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if is_ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    if is_ignored:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.fixture(scope="session", autouse=True)
def no_blocking_calls() -> Iterator[None]:
    """Fail a test in which the package blocks the event loop."""
    with blockbuster_ctx("mlmsg"):
        yield


@pytest.fixture(autouse=True)
async def no_task_left() -> AsyncIterator[None]:
    """Fail a test that leaves a task running."""
    before = asyncio.all_tasks()
    yield
    own = {asyncio.current_task()}
    left = {task for task in asyncio.all_tasks() - before - own if not task.done()}
    assert not left, f"tasks left running: {left}"


@pytest.fixture(autouse=True)
def log_settings_restored() -> Iterator[None]:
    """Restore the package's logger, which the command line sets up for its whole process."""
    logger = logging.getLogger("mlmsg")
    level, handlers = logger.level, logger.handlers[:]
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


@pytest.fixture
async def anonymous(sandbox: Sandbox) -> AsyncIterator[ClientSession]:
    """A session without a token, to a sandbox whose clock stands still."""
    sandbox.clock = Clock(lambda: 0.0)
    async with ClientSession(sandbox.url, timeout=TIMEOUT) as session:
        yield session


@pytest.fixture
async def browser() -> AsyncIterator[ClientSession]:
    """Return the session of a seller's browser, which opens the login page."""
    async with ClientSession(timeout=TIMEOUT) as session:
        yield session


@pytest.fixture
async def domestic() -> AsyncIterator[Sandbox]:
    """Run a sandbox with the domestic example market of Brazil."""
    async with Sandbox(market=example_market(site_id="MLB")) as running:
        yield running


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """Run commands against a sandbox."""
    with running_sandbox() as running:
        yield Terminal(running)


@pytest.fixture
def domestic_terminal() -> Iterator[Terminal]:
    """Run commands against the domestic sandbox of Brazil."""
    with running_sandbox(example_market("MLB")) as running:
        yield Terminal(running, domestic=True)


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[Client]:
    async with Client(
        sandbox.token, base_url=sandbox.url, retry=AT_ONCE, budget=None
    ) as open_client:
        yield open_client


@pytest.fixture
def retries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the default policy, which commands use, retry without a delay."""
    decide = RetryPolicy.decide
    monkeypatch.setattr(RetryPolicy, "decide", lambda _, *given: decide(AT_ONCE, *given))


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[ClientSession]:
    """Open a bare aiohttp session with the sandbox's token."""
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    # A fault of the sandbox must fail a test, not hang it.
    timeout = ClientTimeout(total=10)
    async with ClientSession(sandbox.url, headers=headers, timeout=timeout) as session:
        yield session


@pytest.fixture
def filelock_imported() -> None:
    """Import what the first lock of a process imports, so that its time does not count."""
    importlib.import_module("filelock.asyncio")
