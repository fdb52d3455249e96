"""Run the calls in rounds, and report what must not happen."""

import asyncio
import gc
import logging
import random
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, product
from pathlib import Path

from fuzz.calls import CALLS, Scene, clean, weights
from fuzz.damage import damage_json
from fuzz.samples import STORED_TOKEN
from fuzz.server import Server, serve
from mlmsg import Client, FileTokenStore, MlmsgError, RefreshingToken, RetryPolicy, Timeouts
from mlmsg.rules import Family

CLIENTS = 12
"""Clients of one round for each family: four with each kind of token."""

WORKERS = 4
"""Calls of one client at the same time."""

CALLS_PER_WORKER = 12

CALL_SECONDS = 600.0
"""The time in which a call must end, with all its attempts, pages and files. It is long, because
the machine may be busy."""

REST_SECONDS = 5.0
"""The time in which closed sockets and tasks must disappear."""

TIMEOUTS = Timeouts(connect=2.0, read=0.1, write=2.0, total=5.0)
SECRETS = ("access-token-of-the-fuzz", "client-secret", "first-refresh-token", "login-code")
"""What no error may show. An error of the server echoes the first one."""

CLOCK_SPEED = 1000
"""The speed of the token sources' clock, so that their pauses take milliseconds."""


@dataclass
class Report:
    """The outcomes of all calls by operation, the violations, and the counts of the server."""

    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: {n: Counter() for n in CALLS})
    violations: list[str] = field(default_factory=list)
    server: Server = field(default_factory=lambda: Server(0))
    rounds: int = 0


async def fuzz(answers: int, seed: int, folder: Path, report: Report) -> None:
    """Make calls until the server has given so many malformed answers, and fill the report."""
    with _collect(report.violations):
        async with serve(seed) as report.server:
            before = _descriptors()
            for report.rounds in count(1):
                place = folder / str(report.rounds)
                place.mkdir()
                found = await _round(report, random.Random(f"{seed}-{report.rounds}"), place)  # noqa: S311
                found += await _left(before)
                found += [f"a file is left: {path.name}" for path in place.iterdir()]
                report.violations += [f"round {report.rounds}: {one}" for one in found]
                if report.server.malformed >= answers:
                    return


async def _round(report: Report, chance: random.Random, folder: Path) -> list[str]:
    """Let some clients make calls concurrently; return the violations."""
    violations: list[str] = []
    places = (folder / str(number) for number in count())
    stores = [folder / f"token-{number}.json" for number in range(CLIENTS)]
    clients = [
        _client(report.server.url, family, stores[number], number % 3, chance)
        for family, number in product(Family, range(CLIENTS))
    ]

    async def work(client: Client) -> None:
        for name in chance.choices(list(CALLS), weights(), k=CALLS_PER_WORKER):
            scene = Scene(client, report.server.url, next(places), chance)
            outcome, violation = await _call(name, scene)
            report.outcomes[name][outcome] += 1
            violations.extend(violation)

    await asyncio.gather(*(work(client) for client in clients for _ in range(WORKERS)))
    for client in clients:
        violations += _held_slots(client)
        await client.aclose()
    for path in [*stores, *(path.with_name(path.name + ".lock") for path in stores)]:
        path.unlink(missing_ok=True)
    return violations


async def _call(name: str, scene: Scene) -> tuple[str, list[str]]:
    """Make one call; return the name of its outcome, and the violations."""
    violations = []
    try:
        async with asyncio.timeout(CALL_SECONDS):
            await CALLS[name](scene)
        outcome = "ok"
    except MlmsgError as error:
        outcome = type(error).__name__
        shown = f"{error} {error!r} {vars(error)}"
        # The server echoes the first secret also to a client that sends a newer token by now.
        secrets = SECRETS[isinstance(scene.client._session._tokens, RefreshingToken) :]
        violations += [
            f"{name}: shows {secret}: {shown}"[:300] for secret in secrets if secret in shown
        ]
    except Exception as error:
        outcome = f"{type(error).__name__}!"
        violations.append(f"{name}: {error!r}"[:300])
    violations += [f"{name}: a partial file is left: {path}" for path in clean(scene.place)]
    return outcome, violations


def _client(url: str, family: Family, store: Path, kind: int, chance: random.Random) -> Client:
    """Return a client with a token, or with a grant, or with a grant in a damaged file."""
    access_token, secret, refresh_token, _ = SECRETS
    tokens = FileTokenStore(store) if kind == 2 else None
    if kind == 2 and not store.exists():
        store.write_bytes(damage_json(STORED_TOKEN, chance))
    source = RefreshingToken(1, secret, refresh_token, access_token, tokens, clock=_fast_clock)
    return Client(
        access_token if kind == 0 else source,
        global_selling=family is Family.GLOBAL_SELLING,
        user_id=chance.choice((None, 9)),
        base_url=url,
        timeout=TIMEOUTS,
        retry=RetryPolicy(attempts=chance.choice((1, 2)), base=0.0, cap=0.0, max_retry_after=0.0),
        budget=None,
        max_connections=chance.choice((1, 3, 100)),
    )


def _fast_clock() -> float:
    return asyncio.get_running_loop().time() * CLOCK_SPEED


def _held_slots(client: Client) -> list[str]:
    transport = client._session._transport
    slots = None if transport is None else transport._slots
    if slots is None or not (slots._counted or slots._active or slots._waiting):
        return []
    return [f"slots are held: {slots._counted}, {slots._active}, {len(slots._waiting)}"]


async def _left(before: int) -> list[str]:
    """Return the tasks and descriptors that do not disappear."""
    loop = asyncio.get_running_loop()
    end = loop.time() + REST_SECONDS
    while True:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        sockets = _descriptors() - before
        if not (tasks or sockets > 0) or loop.time() > end:
            break
        await asyncio.sleep(0.01)
    found = [f"a task is left: {task!r}"[:300] for task in tasks]
    return found + [f"{sockets} descriptors are left"] * (sockets > 0)


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@contextmanager
def _collect(violations: list[str]) -> Iterator[None]:
    """Collect what is reported to the loop, raised where nobody can catch it, or warned of."""
    loop, hook = asyncio.get_running_loop(), sys.unraisablehook
    logger = logging.getLogger("mlmsg")
    loop.set_exception_handler(
        lambda _, context: violations.append(f"reported to the loop: {context}"[:300])
    )
    sys.unraisablehook = lambda error: violations.append(f"unraisable: {error}"[:300])
    logger.disabled = True  # a warning for each refresh that fails
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.filterwarnings("ignore", "the login gave no refresh token", UserWarning)
            yield
            gc.collect()
        violations += [f"warning: {one.message}"[:300] for one in caught]
    finally:
        logger.disabled = False
        sys.unraisablehook = hook
        loop.set_exception_handler(None)
