"""What a report of an error may contain, local variables included."""

import traceback
from collections.abc import Iterator
from pathlib import Path

TESTS = str(Path(__file__).parent)


def shown_by(error: BaseException) -> str:
    """Return all texts of an error and of its tracebacks, except for the frames of the tests."""
    whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "\n".join([str(error), repr(error), repr(vars(error)), *_shown(whole)])


def _shown(whole: traceback.TracebackException | None) -> Iterator[str]:
    if whole is None:
        return
    yield from whole.format_exception_only()
    for frame in whole.stack:
        if not frame.filename.startswith(TESTS):
            yield f"{frame.filename}:{frame.lineno} {frame.locals}"
    yield from _shown(whole.__cause__)
    yield from _shown(whole.__context__)
