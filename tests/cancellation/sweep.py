"""Cancel an operation at each of its waits, and report every violation."""

import asyncio
import gc
import shutil
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import get_args

from grants import TOKEN_PATH

from cancellation.operations import CLAIM, DATA, PACK, Operation, Scene, run
from cancellation.watch import Moment, Watch
from mlmsg.rules import Family
from mlmsg.sandbox import Sandbox

LIMIT_SECONDS = 30.0
"""The time for what must happen, on a busy machine too; a lost slot never comes back."""

MANY_WAITS = 5
"""Waits from which a quick sweep does not try every moment."""

MAX_VIOLATIONS = 10
"""Violations after which an operation is cancelled no more: each may take `LIMIT_SECONDS`."""


COLUMNS = (
    "await points", "cancelled", "finished first", "next call works",
    "tasks left", "files left", "descriptors left",
)  # fmt: skip

SHORT_NAMES = {Family.GLOBAL_SELLING: "global", Family.DOMESTIC: "domestic"}
"""The families, as the table names them."""


@dataclass
class Row:
    """The counts of all runs of one operation, by the `COLUMNS`, and its violations."""

    name: str
    family: Family | None = None
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return one line of the table."""
        numbers = (f"{self.counts[name]:>{len(name)}}" for name in COLUMNS)
        family = "both" if self.family is None else SHORT_NAMES[self.family]
        return " | ".join([f"{self.name:<37}", f"{family:<8}", *numbers])


async def trial(operation: Operation, family: Family, folder: Path, watch: Watch, row: Row) -> None:
    """Run the operation once, cancelled where the watch says, and check what it leaves."""
    violations: list[str] = []
    async with Sandbox() as sandbox:
        before = descriptors()
        scene = Scene(sandbox, folder / "source.png", folder / "run", family)
        scene.folder.mkdir()
        async with operation.client(scene) as scene.client:
            await operation.before(scene)
            violations += _check_outcome(await watch.run(run(operation.call, scene)), watch, row)
            if not operation.outlives_call:
                violations += await _check_leftovers(scene, before, watch, row)
            violations += await _check_next_calls(operation, scene, row)
            await becomes_true(watch.is_over)
            violations += await _check_leftovers(scene, before, watch, row)
            if not await becomes_true(lambda: len(_new(before, "socket:")) <= 4):
                violations.append("more connections than one, and one for downloads")
        violations += _check_server(scene)
        await becomes_true(lambda: not _new(before))
        row.counts["descriptors left"] += len(_new(before))
        violations += _new(before)
    shutil.rmtree(scene.folder)
    row.violations += [
        f"{operation.name}, {family.name}, wait {watch.at}, {watch.moment}: {one}"
        for one in violations
    ]


def _check_outcome(outcome: object, watch: Watch, row: Row) -> list[str]:
    row.counts["cancelled" if watch.cancelled else "finished first"] += 1
    if isinstance(outcome, asyncio.CancelledError if watch.cancelled else BaseException):
        return [] if watch.cancelled else [f"it failed: {outcome!r}"]
    return [f"cancelled {watch.cancelled} times, it ended as {outcome!r}"] * bool(watch.cancelled)


async def _check_leftovers(scene: Scene, before: Counter[str], watch: Watch, row: Row) -> list[str]:
    """Report open files, incomplete files on disk, open sources, and tasks that do not end."""
    callers = {str(file.name) for file in scene.callers_files}
    files = [name for name in _new(before, "/") if name not in callers]
    targets = {*scene.folder.rglob("*.part"), *scene.folder.glob("to/*")}
    files += [str(path) for path in targets if path.read_bytes() != DATA]
    # A source that is read in a thread of its own is closed there, after the call has ended.
    await becomes_true(lambda: scene.open_sources == 0)
    files += ["a source that is still open"] * scene.open_sources
    await becomes_true(watch.is_over)
    tasks = [repr(task) for task in watch.tasks if not task.done()]
    row.counts["files left"] += len(files)
    row.counts["tasks left"] += len(tasks)
    return [f"left: {one}" for one in files + tasks]


async def _check_next_calls(operation: Operation, scene: Scene, row: Row) -> list[str]:
    async def calls() -> None:
        async with asyncio.timeout(LIMIT_SECONDS):
            await operation.after(scene)

    (ended,) = await asyncio.gather(calls(), return_exceptions=True)
    row.counts["next call works"] += ended is None
    return [] if ended is None else [f"the next call: {ended!r}"]


def _check_server(scene: Scene) -> list[str]:
    """Report what is wrong with the server's state, or with the caller's files."""
    market, grant = scene.sandbox.market, scene.sandbox.grant
    kept = scene.folder / "grant.json"
    refreshes = [one for one in scene.sandbox.requests if one.path == TOKEN_PATH]
    violations = {
        "sent twice": [one.text for one in market.packs[PACK].messages].count("Hola") > 1,
        "claim message sent twice": [one.message for one in market.claims[CLAIM].messages].count(
            "Hola"
        )
        > 1,
        "refreshed twice": grant.refreshes > 1,
        "a refresh token was used twice": len(refreshes) > grant.refreshes,
        "a grant was lost": kept.exists() and grant.refresh_token not in kept.read_text(),
        "a file of the caller cannot be used": any(
            file.closed or file.seek(0) for file in scene.callers_files
        ),
    }
    for file in scene.callers_files:
        file.close()
    return [name for name, is_so in violations.items() if is_so]


def descriptors() -> Counter[str]:
    """Count the open descriptors of this process by their target."""
    found: Counter[str] = Counter()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the descriptor of this listing
            found[str(link.readlink())] += 1
    return found


def _new(before: Counter[str], start: str = "") -> list[str]:
    return [name for name in (descriptors() - before).elements() if name.startswith(start)]


async def becomes_true(holds: Callable[[], bool]) -> bool:
    """Return True if the condition holds within `LIMIT_SECONDS` of turns of the loop."""
    end = time.monotonic() + LIMIT_SECONDS
    while not holds():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0)
    return True


async def sweep(operation: Operation, family: Family, *, quick: bool = False) -> Row:
    """Cancel the operation of a seller of that family at each of its waits, at each moment.

    With `quick`, an operation of many waits, or of a domestic seller, has one moment for each wait,
    in turn.
    """
    row, moments = Row(operation.name, family), get_args(Moment)
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: row.violations.append(str(context))
    )
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        folder = Path(name)
        (folder / "source.png").write_bytes(DATA)
        counts = [Watch() for _ in range(1 if quick else 3)]
        for watch in counts:
            uncounted = Row("not cancelled", family, violations=row.violations)
            await trial(operation, family, folder, watch, uncounted)
        row.counts["await points"] = last = max(watch.waits for watch in counts)
        for at, moment in product(range(last + 1), moments):
            tries_all = not quick or (last < MANY_WAITS and family is Family.GLOBAL_SELLING)
            is_due = tries_all or moments[at % len(moments)] == moment
            if is_due and len(row.violations) < MAX_VIOLATIONS:
                await trial(operation, family, folder, Watch(at, moment), row)
        gc.collect()
    row.violations += [str(warning.message) for warning in caught]
    return row
