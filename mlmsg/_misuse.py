"""Explain wrong use of what the methods of a client return.

A public method returns an awaitable, an async iterator or an async context manager. Confusing them
gives errors of Python such as "'async for' requires an object with __aiter__ method, got
coroutine". The class decorator `explain_misuse` wraps each result, so that every wrong use raises a
`UsageError` that shows the right one. It also rejects event loops that are not asyncio's, and a
value other than True or False for a parameter that is a bool: `"false"` would count as true.
"""

import asyncio
import inspect
import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Mapping,
)
from contextlib import AbstractAsyncContextManager
from functools import wraps
from types import FunctionType, TracebackType
from typing import NoReturn, TypeVar

from mlmsg._arguments import check_bool
from mlmsg._event_loop import check_asyncio
from mlmsg.errors import UsageError

__all__ = ["explain_misuse", "reject_unused"]

C = TypeVar("C")


def explain_misuse(name: str) -> Callable[[type[C]], type[C]]:
    """Wrap the public methods of a group, and give it a repr if it defines none.

    `name` is the name of the group, such as `client.packs`.
    """

    def decorate(group: type[C]) -> type[C]:
        for key, method in list(vars(group).items()):
            if isinstance(method, FunctionType) and not key.startswith("_"):
                setattr(group, key, _explained(method, f"{name}.{key}(...)"))
        if "__repr__" not in vars(group):
            setattr(group, "__repr__", _repr_method(name))  # noqa: B010  (mypy forbids `=`)
        return group

    return decorate


def _repr_method(name: str) -> Callable[[object], str]:
    def describe(group: object) -> str:
        # A traceback of `__init__` shows a group that has no session yet.
        owner = getattr(
            getattr(group, "_session", None), "owner", "a client that is not initialized"
        )
        return f"<{name} of {owner}>"

    return describe


def _explained(method: FunctionType, name: str) -> Callable[..., object]:
    flags = tuple(key for key, kind in method.__annotations__.items() if kind is bool)

    def check_flags(kwargs: Mapping[str, object]) -> None:
        for flag in flags:
            if flag in kwargs:
                check_bool(f"`{flag}`", kwargs[flag])

    if inspect.iscoroutinefunction(method):

        @wraps(method)
        def call(*args: object, **kwargs: object) -> object:
            if kwargs:
                check_flags(kwargs)
            return _Call(method(*args, **kwargs), name)

        _mark_as_coroutine_function(call)
        return call

    @wraps(method)
    def wrapped(*args: object, **kwargs: object) -> object:
        check_flags(kwargs)
        result = method(*args, **kwargs)
        if isinstance(result, AsyncGenerator):
            return _Iteration(result, name)
        if isinstance(result, AbstractAsyncContextManager):
            return _Block(result, name)
        return result

    return wrapped


def _mark_as_coroutine_function(function: Callable[..., object]) -> None:
    """Let `iscoroutinefunction` return True: `unittest.mock` and schedulers ask it."""
    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(function)
    else:
        vars(function)["_is_coroutine"] = vars(asyncio.coroutines)["_is_coroutine"]


class _MissingResult(UsageError, AttributeError):
    """An attribute of a result was read before the result was there.

    It is an `AttributeError` for `hasattr`. To everybody else it is a `UsageError`.
    """

    __module__ = UsageError.__module__

    def __reduce__(self) -> tuple[type[UsageError], tuple[object, ...]]:
        return UsageError, self.args


_MissingResult.__name__ = _MissingResult.__qualname__ = UsageError.__qualname__


class _Explained:
    """A result whose wrong uses raise a `UsageError`. A subclass defines its right use."""

    RIGHT_USE = ""
    """The explanation; `{0}` is the call, such as `client.packs.page(...)`."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<{self._explanation()}>"

    def __iter__(self) -> NoReturn:
        self._reject()

    def __getitem__(self, key: object) -> NoReturn:
        self._reject()

    def __len__(self) -> NoReturn:  # noqa: PLE0303
        self._reject()

    def __bool__(self) -> bool:
        """Return True, as every object without a length does."""
        return True

    def __enter__(self) -> NoReturn:
        self._reject()

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        """Exist, so that `with` calls `__enter__`."""

    def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Awaitable[bool | None]:
        """Exist, so that `async with` calls `__aenter__`."""
        raise NotImplementedError

    def _explanation(self) -> str:
        return self.RIGHT_USE.format(self._name)

    def _reject(self) -> NoReturn:
        self._discard()
        raise UsageError(self._explanation())

    def _discard(self) -> None:
        """Drop the unused result, so that Python does not warn of it as well."""


def reject_unused(value: object) -> None:
    """Reject a result that was not awaited, iterated or entered."""
    if isinstance(value, _Explained):
        value._reject()  # noqa: SLF001  (of this module)


class _Call(_Explained):
    """A coroutine: the call returns one value.

    It is a `collections.abc.Coroutine` by its methods, so `asyncio` runs it as a task.
    """

    RIGHT_USE = "{0} returns one value; write `await {0}`"

    __slots__ = ("_coroutine", "_is_started")

    def __init__(self, coroutine: Coroutine[object, object, object], name: str) -> None:
        self._name = name
        self._coroutine = coroutine
        self._is_started = False

    def __await__(self) -> Generator[object, object, object]:
        self._start()
        return self._coroutine.__await__()

    def send(self, value: object, /) -> object:
        """Run the coroutine until it waits. The task of `asyncio.create_task` calls this."""
        if not self._is_started:
            self._start()
        return self._coroutine.send(value)

    def throw(self, error: BaseException, /) -> object:
        """Raise an exception inside the coroutine."""
        return self._coroutine.throw(error)

    def close(self) -> None:
        """Close the coroutine."""
        self._coroutine.close()

    def __aiter__(self) -> NoReturn:
        self._reject()

    def __aenter__(self) -> NoReturn:
        self._reject()

    def __getattr__(self, name: str) -> object:
        if name.startswith(("cr_", "__")):  # asyncio and debuggers describe a task by these
            return getattr(self._coroutine, name)
        raise _MissingResult(f"{self._explanation()} before you use .{name}")

    def _start(self) -> None:
        self._is_started = True
        try:
            check_asyncio()
        except UsageError:
            self._discard()
            raise

    def _discard(self) -> None:
        self._coroutine.close()


class _Iteration(_Explained):
    """An asynchronous iterator: the call returns many values.

    It is a `collections.abc.AsyncGenerator` by its methods, so `aclosing` takes it.
    """

    RIGHT_USE = "{0} is an asynchronous iterator; write `async for item in {0}`"

    __slots__ = ("_values",)

    def __init__(self, values: AsyncGenerator[object, None], name: str) -> None:
        super().__init__(name)
        self._values = values

    def __aiter__(self) -> AsyncIterator[object]:
        check_asyncio()
        return self._values

    def __anext__(self) -> Awaitable[object]:
        check_asyncio()
        return self._values.__anext__()

    def asend(self, value: None, /) -> Awaitable[object]:
        """Return the next value."""
        return self._values.asend(value)

    def athrow(self, error: BaseException, /) -> Awaitable[object]:
        """Raise an exception inside the iterator."""
        return self._values.athrow(error)

    def aclose(self) -> Awaitable[None]:
        """Close the iterator, and cancel the pages that are being fetched."""
        return self._values.aclose()

    def __await__(self) -> NoReturn:
        self._reject()

    def __aenter__(self) -> NoReturn:
        self._reject()

    def __getattr__(self, name: str) -> object:
        if name.startswith("ag_"):  # debuggers describe a generator by these
            return getattr(self._values, name)
        if name.startswith("__"):
            raise AttributeError(name)
        raise _MissingResult(f"{self._explanation()} before you use .{name}")


class _Block(_Explained):
    """An asynchronous context manager: its value exists only inside of a block."""

    RIGHT_USE = "{0} needs a block; write `async with {0} as download:`"

    __slots__ = ("_is_entered", "_manager")

    def __init__(self, manager: AbstractAsyncContextManager[object], name: str) -> None:
        super().__init__(name)
        self._manager = manager
        self._is_entered = False

    def __aenter__(self) -> Awaitable[object]:
        check_asyncio()
        if self._is_entered:
            raise UsageError(f"{self._name} can be entered once; call it again for another block")
        self._is_entered = True
        return self._manager.__aenter__()

    def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Awaitable[bool | None]:
        return self._manager.__aexit__(kind, error, traceback)

    def __await__(self) -> NoReturn:
        self._reject()

    def __aiter__(self) -> NoReturn:
        self._reject()

    def __getattr__(self, name: str) -> object:
        raise _MissingResult(f"{self._explanation()} before you use .{name}")
