"""SIGTERM ends a command in order, as Ctrl-C does."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ._exit_codes import ExitCode
from ._failures import Failure

__all__ = ["stop_at_sigterm"]


@contextmanager
def stop_at_sigterm() -> Iterator[None]:
    """Cancel the current task at SIGTERM, so that the command ends in order.

    Raises:
        Failure: SIGTERM arrived.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    is_terminated = False

    def terminate() -> None:
        nonlocal is_terminated
        is_terminated = True
        if task is not None:
            task.cancel()

    # Windows has no such handlers, and only the main thread may set them.
    with suppress(NotImplementedError, RuntimeError, ValueError):
        loop.add_signal_handler(signal.SIGTERM, terminate)
    try:
        yield
    except asyncio.CancelledError:
        if not is_terminated:
            raise
        raise Failure("terminated", ExitCode.STOPPED) from None
    finally:
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.remove_signal_handler(signal.SIGTERM)
