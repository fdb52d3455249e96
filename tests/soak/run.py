"""Run the clients of the soak against its server, and collect the proofs."""

import asyncio
import itertools
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from urllib.request import urlopen

import msgspec

from mlmsg import (
    ApiError,
    BadRequest,
    Client,
    DecodeError,
    FileTokenStore,
    OutcomeUnknown,
    RefreshingToken,
    RetryPolicy,
    Timeouts,
    TokenUnavailable,
    TransportError,
    UnsafeRedirect,
)
from mlmsg.rules import Family
from mlmsg.sandbox import Grant
from soak.calls import CALLS, KIND, Caller, Mix, WrongAnswerError, WrongFileError, add_up
from soak.proofs import Held, Options, Outcome, Proof, Truth, check_growth, compare
from soak.server import TRUTH, serve_in_process

RETRY = RetryPolicy(attempts=5, base=0.002, cap=0.02)
TIMEOUTS = Timeouts(connect=10.0, read=2.0, write=10.0)
CANCELLED_SHARE = 0.03
"""The share of calls that are cancelled, after 10 ms on average."""

FAULT_STATUSES = frozenset({401, 429, 500, 502, 503})
"""The statuses that a fault may end a call with."""

CLOCK_SPEED = 1000
"""The speed of the clients' clock, so that the pause after a failed refresh takes milliseconds."""

REST_SECONDS = 0.3
"""The pause before a measurement, in which closed connections disappear."""


async def _measure_at_rest() -> Held:
    await asyncio.sleep(REST_SECONDS)
    return Held.measure()


class Unexplained(Counter[tuple[str, str]]):
    """Counts what no fault explains, by its sort and its text."""

    def count(self, *sorts: str) -> int:
        """Return how often something of these sorts happened."""
        return sum(times for (sort, _), times in self.items() if sort in sorts)


@dataclass(frozen=True)
class Report:
    """The results of a run.

    Attributes:
        seconds: The duration of the calls, the pauses included.
        held: Measured before the first client, after a fifth, at the end, and after closing.
    """

    options: Options
    mix: Mix
    truth: Truth
    unexplained: Unexplained
    held: Sequence[Held]
    seconds: float
    proofs: Sequence[Proof]


async def call(mix: Mix, kind: str, caller: Caller, unexplained: Unexplained) -> None:
    """Make one call of that kind, which may be cancelled, and count its outcome."""
    tally = mix.tallies[kind, caller.family]
    tally.calls += 1
    KIND.set(tally)
    task = asyncio.ensure_future(CALLS[kind][1](mix, caller))
    cancels: list[bool] = []
    if mix.random.random() < CANCELLED_SHARE:
        delay = mix.random.expovariate(100)
        asyncio.get_running_loop().call_later(delay, lambda: cancels.append(task.cancel()))
    await asyncio.wait({task})
    error = None if task.cancelled() else task.exception()
    if task.cancelled():
        tally.cancelled += 1
    elif error is None:
        tally.ok += 1
    elif isinstance(error, OutcomeUnknown):
        tally.unknown += 1
    else:
        tally.errors += 1
    # A cancellation may meet the failure of one of several files: a TaskGroup raises the failure.
    if any(cancels) and not task.cancelled() and not (error and "send" in kind):
        unexplained["cancellation", f"{kind}: it went on to {error!r}"] += 1
    if error is not None and not is_explained(kind, error):
        unexplained[_sort(error), f"{kind}: {error!r}"] += 1


def is_explained(kind: str, error: BaseException) -> bool:
    """Return True if a fault of the server may have ended a call in this way."""
    match error:
        case OutcomeUnknown():
            return "send" in kind
        case TokenUnavailable(__cause__=cause):
            return cause is None or is_explained(kind, cause)
        case BadRequest():
            return kind == "send, rejected"
        case ApiError(status=409):
            return kind == "send by reason"
        case ApiError(status=status):
            return status in FAULT_STATUSES
    return isinstance(error, TransportError) and not isinstance(error, UnsafeRedirect)


def _sort(error: BaseException) -> str:
    match error:
        case WrongFileError():
            return "file"
        case WrongAnswerError() | DecodeError():
            return "answer"
    return "error"


async def soak(options: Options, folder: Path) -> Report:
    """Run the soak, with its files in `folder`."""
    mix, unexplained = Mix(folder, options.seed), Unexplained()
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: unexplained.update(
            [("error", f"reported to the loop: {context['message']}")]
        )
    )
    with serve_in_process(options.faults, options.seed) as url:
        held = [await _measure_at_rest()]
        started = time.monotonic()
        async with AsyncExitStack() as stack:
            callers = list(_callers(url, folder, mix))
            for caller in callers:
                await stack.enter_async_context(caller.client)
            for part in (0.2, 0.8):
                await _run(mix, callers, options, part, unexplained)
                held.append(await _measure_at_rest())
        seconds = time.monotonic() - started
        held.append(await _measure_at_rest())
        truth = await asyncio.to_thread(_read_truth, url)
    asyncio.get_running_loop().set_exception_handler(None)
    mix.ledger.close()
    proofs = [
        *compare(_read_ledger(folder), truth),
        *_check_run(folder, mix, truth, unexplained),
        Proof(
            "each account was asked for once",
            f"{mix.asked_accounts} answers, {len(callers)} clients",
            max(mix.asked_accounts - len(callers), 0),
        ),
        *check_growth(held, options),
    ]
    return Report(options, mix, truth, unexplained, held, seconds, proofs)


def fast_clock() -> float:
    """Return the time of a clock that runs `CLOCK_SPEED` times too fast."""
    return time.time() * CLOCK_SPEED


def _callers(url: str, folder: Path, mix: Mix) -> Iterator[Caller]:
    """Yield four clients: for each of two token sources one of each family."""
    grant = Grant()
    tokens = [
        RefreshingToken(
            grant.client_id,
            grant.client_secret,
            grant.refresh_token,
            store=FileTokenStore(folder / "token.json"),
            clock=fast_clock,
        )
        for _ in range(2)
    ]
    for token, family in product(tokens, Family):
        client = Client(
            token,
            global_selling=family is Family.GLOBAL_SELLING,
            base_url=url,
            timeout=TIMEOUTS,
            retry=RETRY,
            budget=None,
            on_event=mix.count_attempt,
        )
        yield Caller(client, family)


async def _run(
    mix: Mix, callers: Sequence[Caller], options: Options, part: float, unexplained: Unexplained
) -> None:
    """Make calls of all kinds concurrently until that part of the run is over."""
    kinds = list(CALLS)
    shares = [CALLS[kind][0] for kind in kinds]
    turns = _count_turns(options, part)

    async def work(caller: Caller) -> None:
        for _ in turns:
            await call(mix, mix.random.choices(kinds, shares)[0], caller, unexplained)

    async with asyncio.TaskGroup() as group:
        for number in range(options.workers):
            group.create_task(work(callers[number % len(callers)]))


def _count_turns(options: Options, part: float) -> Iterator[int]:
    """Yield a number for each call of that part of the run."""
    calls = math.inf if options.calls is None else options.calls * part
    end = math.inf if options.seconds is None else time.monotonic() + options.seconds * part
    for number in itertools.count():
        if number >= calls or time.monotonic() >= end:
            return
        yield number


def _read_truth(url: str) -> Truth:
    with urlopen(url + TRUTH) as answer:  # noqa: S310  (our own server)
        return msgspec.json.decode(answer.read(), type=Truth)


def _read_ledger(folder: Path) -> Iterator[Outcome]:
    decoder = msgspec.json.Decoder(Outcome)
    with (folder / "ledger").open("rb") as file:
        yield from map(decoder.decode, file)


def _check_run(folder: Path, mix: Mix, truth: Truth, unexplained: Unexplained) -> list[Proof]:
    """Check what was recorded during the run."""
    downloads = sum(mix.of_kind(kind).ok for kind in ("download", "save", "claim download"))
    left = [path.name for path in folder.rglob("*") if path.suffix == ".part"]
    left += [path.name for path in mix.saved.iterdir()]
    total = add_up(mix.tallies.values())
    # The faults beside `expired` end one attempt each, `expired` none but with a 401.
    faults = sum(truth.faults.values()) - truth.faults.get("expired", 0)
    attempts = f"{mix.failed:,} of {mix.attempts:,}, {faults:,} faults"
    return [
        Proof("downloads have the right bytes", f"{downloads:,} files", unexplained.count("file")),
        Proof("no part of a file is left", f"{mix.of_kind('save').calls:,} saves", len(left)),
        Proof(
            "every answer is right and whole",
            f"{total.ok:,} successes",
            unexplained.count("answer"),
        ),
        Proof("attempts fail only by a fault", attempts, max(mix.failed - faults, 0)),
        Proof(
            "a fault explains every error", f"{total.errors:,} errors", unexplained.count("error")
        ),
        Proof(
            "a cancelled call ends",
            f"{total.cancelled:,} cancelled",
            unexplained.count("cancellation"),
        ),
    ]
