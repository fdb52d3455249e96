"""Fixtures for the tests of your own code: a market, a running sandbox, and a client for it.

The plugin is active as soon as `mlmsg` is installed. The fixtures work in asynchronous tests that
pytest-asyncio runs (in both of its modes), or the plugin of anyio (on asyncio), also side by side.

    async def test_the_buyer_is_answered(mlmsg_sandbox, mlmsg_client):
        await answer(mlmsg_client, next(iter(mlmsg_sandbox.market.packs)))
        assert mlmsg_sandbox.requests[-1].method == "POST"

The sandbox serves `mlmsg_market`, and the client has the family of its site. Override that fixture
to test with another seller, such as a domestic one:

    @pytest.fixture
    def mlmsg_market():
        return example_market(site_id="MLB")

Sandbox and client live in the event loop of the test. So their fixtures ask who runs the test, and
enter them there. They are not `async def` fixtures: pytest-asyncio (in its auto mode) and anyio
both take those, and the sandbox would then wait in an event loop that does not run.
"""

import asyncio
import inspect
import unittest
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TYPE_CHECKING, Literal, NoReturn, TypeAlias, TypeVar

import pytest

try:
    import pytest_asyncio
except ModuleNotFoundError:
    pytest_asyncio = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from mlmsg.client import Client
    from mlmsg.sandbox import Market, Sandbox

__all__ = ["mlmsg_client", "mlmsg_market", "mlmsg_sandbox"]

T = TypeVar("T")
Scope: TypeAlias = Literal["function", "class", "module", "package", "session"]
Run: TypeAlias = Callable[[Callable[[], Coroutine[object, object, None]]], None]


@pytest.fixture
def mlmsg_market() -> "Market":
    """Return the market of the sandbox: the example market of a Global Selling seller."""
    from mlmsg.sandbox import example_market  # noqa: PLC0415  (every run of pytest imports this)

    return example_market()


@pytest.fixture
def mlmsg_sandbox(request: pytest.FixtureRequest, mlmsg_market: "Market") -> "Iterator[Sandbox]":
    """Return a running `Sandbox` with `mlmsg_market`, a new one for each test."""
    from mlmsg.sandbox import Sandbox  # noqa: PLC0415

    with _entered(request, Sandbox(market=mlmsg_market)) as sandbox:
        yield sandbox


@pytest.fixture
def mlmsg_client(request: pytest.FixtureRequest, mlmsg_sandbox: "Sandbox") -> "Iterator[Client]":
    """Return a `Client` of the test's sandbox. It retries without waiting, and has no budget.

    It is a Global Selling or a domestic client, as the site of the sandbox's market says.
    """
    from mlmsg.client import Client  # noqa: PLC0415
    from mlmsg.policy import RetryPolicy  # noqa: PLC0415

    client = Client(
        mlmsg_sandbox.token,
        global_selling=mlmsg_sandbox.market.site_id == "CBT",
        base_url=mlmsg_sandbox.url,
        retry=RetryPolicy(base=0.0),
        budget=None,
    )
    with _entered(request, client) as open_client:
        yield open_client


def _loop_fixture(scope: Scope) -> object:
    """Return a fixture of pytest-asyncio, whose value is its event loop of that scope."""

    # The types of pytest-asyncio leave out that it sets its loop for synchronous fixtures too.
    @pytest_asyncio.fixture(name=f"_mlmsg_{scope}_loop", loop_scope=scope)  # type: ignore[type-var]
    def current_loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_event_loop()

    return current_loop


if pytest_asyncio is not None:
    _function_loop = _loop_fixture("function")
    _class_loop = _loop_fixture("class")
    _module_loop = _loop_fixture("module")
    _package_loop = _loop_fixture("package")
    _session_loop = _loop_fixture("session")


@contextmanager
def _entered(
    request: pytest.FixtureRequest, manager: AbstractAsyncContextManager[T]
) -> Iterator[T]:
    """Enter and leave a context manager in the event loop of the test."""

    async def leave() -> None:
        await manager.__aexit__(None, None, None)

    with _runner(request) as run:
        value: list[T] = []

        async def enter() -> None:
            value.append(await manager.__aenter__())

        run(enter)
        yield value[0]
        run(leave)


@contextmanager
def _runner(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Yield a function that runs a coroutine in the event loop of the test."""
    if pytest_asyncio is not None and pytest_asyncio.is_async_test(request.node):
        loop: asyncio.AbstractEventLoop = request.getfixturevalue(f"_mlmsg_{_scope(request)}_loop")
        yield lambda function: loop.run_until_complete(function())
    elif "anyio_backend" in request.fixturenames:
        from anyio.pytest_plugin import (  # noqa: PLC0415
            extract_backend_and_options,
            get_runner,
        )

        name, options = extract_backend_and_options(request.getfixturevalue("anyio_backend"))
        if name != "asyncio":
            _refuse(f"not {name}. Let the fixture `anyio_backend` return 'asyncio'")
        with get_runner(name, options) as runner:
            yield lambda function: runner.run_fixture(function, {})
    else:
        _refuse(_missing_plugin(request))


def _scope(request: pytest.FixtureRequest) -> str:
    """Return the scope of the event loop of a test of pytest-asyncio."""
    marker = request.node.get_closest_marker("asyncio")
    named = marker.kwargs.get("loop_scope") if marker else None
    return str(named or request.config.getini("asyncio_default_test_loop_scope"))


def _missing_plugin(request: pytest.FixtureRequest) -> str:
    """Return why neither of the two plugins runs the test, and what to do."""
    if request.cls is not None and issubclass(request.cls, unittest.TestCase):
        return (
            "not one of unittest, which has an event loop of its own. Write a function or a plain "
            "class for pytest-asyncio or anyio, or open `Sandbox` and `Client` in the test"
        )
    if inspect.iscoroutinefunction(request.function):
        return (
            "and no plugin runs this `async def` test. Mark it with `@pytest.mark.asyncio` or "
            "`@pytest.mark.anyio`, and install the plugin"
        )
    return "not a synchronous test. Write `async def`, for pytest-asyncio or anyio"


def _refuse(reason: str) -> NoReturn:
    pytest.fail(f"the fixtures of mlmsg need a test that runs on asyncio, {reason}", pytrace=False)
