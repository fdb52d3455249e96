"""Measure one small call, alone and many at once, and the decoding of a page."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from threading import local
from typing import Any

import aiohttp
import msgspec
from measuring import Aim, Comparison, Missing, Section, Way, compare, in_thread, module, timed
from serving import MESSAGE, PAGE, serve

from mlmsg import AttemptEvent, Client, RateBudget, RefreshingToken, ThreadPage

HEADERS = {"Authorization": "Bearer a-token"}
BATCH = 50
AT_ONCE = 64
NO_LIMIT = RateBudget(reads=1_000_000, per=1.0, burst=1_000_000)
"""Counts every call and delays none."""

decoder = msgspec.json.Decoder(ThreadPage, strict=False)

Call = Callable[[], Awaitable[object]]


def one_by_one(call: Call) -> Way:
    """Make a batch of calls, one after the other."""

    async def batch() -> None:
        for _ in range(BATCH):
            await call()

    async def way() -> float:
        return await timed(batch()) / BATCH

    return way


def at_once(call: Call) -> Way:
    """Make many calls at once, a few times."""

    async def batch() -> None:
        for _ in range(4):
            await asyncio.gather(*(call() for _ in range(AT_ONCE)))

    async def way() -> float:
        return await timed(batch()) / AT_ONCE / 4

    return way


def with_requests(url: str, threads: int) -> Way:
    """Make the calls with requests, in threads, each with a session of its own."""
    pool = ThreadPoolExecutor(threads)
    kept = local()

    def call(_: int) -> object:
        session = getattr(kept, "session", None)
        if session is None:
            session = kept.session = module("requests").Session()
            session.headers.update(HEADERS)
        return decoder.decode(session.get(url, timeout=30).content)

    async def way() -> float:
        module("requests")
        count = BATCH if threads == 1 else AT_ONCE * 4
        return await in_thread(lambda: list(pool.map(call, range(count)))) / count

    return way


async def _compare_calls(url: str, rounds: int) -> list[Comparison]:
    address = f"{url}/marketplace/messages/packs/1?limit=50&offset=0"
    events: deque[AttemptEvent] = deque(maxlen=1)
    token = RefreshingToken(1, "a-secret", "a-refresh-token", "a-token")
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client("a-token", base_url=url, budget=None))
        observed = await stack.enter_async_context(
            Client(token, base_url=url, budget=NO_LIMIT, on_event=events.append)
        )
        http = await stack.enter_async_context(aiohttp.ClientSession(headers=HEADERS))
        other: Any = None
        with suppress(Missing):
            other = await stack.enter_async_context(module("httpx").AsyncClient(headers=HEADERS))

        async def bare() -> ThreadPage:
            async with http.get(address) as response:
                return decoder.decode(await response.read())

        async def with_httpx() -> ThreadPage:
            if other is None:
                raise Missing("httpx is not installed")
            return decoder.decode((await other.get(address)).content)

        calls: dict[str, Call] = {
            "mlmsg": lambda: client.packs.page(1),
            "mlmsg with a budget, events and a refreshed token": lambda: observed.packs.page(1),
            "bare aiohttp and msgspec": bare,
            "httpx and msgspec": with_httpx,
        }
        alone = {name: one_by_one(call) for name, call in calls.items()}
        alone["requests and msgspec"] = with_requests(address, 1)
        many = {name: at_once(call) for name, call in calls.items()}
        many["requests and msgspec, in threads"] = with_requests(address, AT_ONCE)
        return [
            await compare("One small call (1 kB of JSON), one after the other", alone, rounds),
            await compare(f"The same, {AT_ONCE} at once: time of each", many, max(rounds // 4, 1)),
        ]


# The same fields by hand, as one writes it without a library.


@dataclass(slots=True)
class Dates:
    """The dates of a message."""

    created: datetime | None
    received: datetime | None
    available: datetime | None
    notified: datetime | None
    read: datetime | None


@dataclass(slots=True)
class Person:
    """A sender or recipient."""

    user_id: int
    name: str


@dataclass(slots=True)
class PlainMessage:
    """A message."""

    id: str
    site_id: str
    sender: Person
    to: Person
    status: str
    text: str
    dates: Dates
    moderation: dict[str, Any]
    resources: list[dict[str, Any]]


def _person(value: dict[str, Any]) -> Person:
    return Person(value["user_id"], value["name"])


def _dates(value: dict[str, Any]) -> Dates:
    found = {key: datetime.fromisoformat(text) if text else None for key, text in value.items()}
    return Dates(**found)


def by_hand(body: bytes) -> list[PlainMessage]:
    """Decode a page with json and dataclasses."""
    return [
        PlainMessage(
            one["id"],
            one["site_id"],
            _person(one["from"]),
            _person(one["to"]),
            one["status"],
            one["text"],
            _dates(one["message_date"]),
            one["message_moderation"],
            one["message_resources"],
        )
        for one in json.loads(body)["messages"]
    ]


def _repeated(decode: Callable[[], object]) -> Way:
    async def way() -> float:
        start = time.perf_counter()
        for _ in range(20):
            decode()
        return (time.perf_counter() - start) / 20

    return way


async def _compare_decoding(rounds: int) -> Comparison:
    messages = [{**MESSAGE, "id": str(number)} for number in range(50)]
    body = msgspec.json.encode({**PAGE, "messages": messages})
    ways = {
        "mlmsg": _repeated(lambda: decoder.decode(body)),
        "json and dataclasses, by hand": _repeated(lambda: by_hand(body)),
    }
    try:
        module("pydantic")
        validate = module("pydantic_page").Page.model_validate_json
    except Missing as reason:
        missing = {"pydantic": str(reason)}
    else:
        ways["pydantic"] = _repeated(lambda: validate(body))
        missing = {}
    comparison = await compare("Decoding a page of 50 messages", ways, rounds)
    comparison.missing |= missing
    return comparison


async def measure(quick: bool) -> Section:
    """Return the section about calls."""
    rounds = 2 if quick else 60
    with serve("page") as url:
        alone, many = await _compare_calls(url, rounds)
    decoding = await _compare_decoding(rounds)
    aims = [
        Aim("small call : bare aiohttp and msgspec", alone.ratio("bare aiohttp and msgspec"), 1.12),
        Aim(
            f"{AT_ONCE} small calls at once : the same bare",
            many.ratio("bare aiohttp and msgspec"),
            1.12,
        ),
    ]
    return Section("Calls", [alone, many, decoding], aims)
