"""Reject callers that asyncio does not run: trio, or no event loop at all."""

import asyncio
import sys

from .errors import UsageError

__all__ = ["check_asyncio"]


def check_asyncio() -> None:
    """Reject a caller that asyncio does not run.

    Raises:
        UsageError: Another library, or none, runs the caller.
    """
    # In trio's guest mode the event loop of asyncio runs as well, so trio is asked first.
    if "trio" in sys.modules and _is_in_trio_task():
        library = "trio"
    else:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            library = "no event loop"
        else:
            return
    raise UsageError(
        f"mlmsg needs asyncio, but {library} runs this code; "
        "use asyncio.run(main()), or anyio.run(main, backend='asyncio')"
    )


def _is_in_trio_task() -> bool:
    try:
        sys.modules["trio"].lowlevel.current_task()  # old versions of trio have no `in_trio_task`
    except (AttributeError, RuntimeError):  # another module of that name, or no task
        return False
    return True
