"""The server of `soak.py`: a sandbox that fails at random, and knows what it really did.

Any pack and any claim that is asked for is there: made at its first mention, and forgotten when
many newer ones are. What was executed is told under `TRUTH`, whatever the answers said.
"""

import asyncio
import hashlib
import logging
import random
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar

import msgspec
from aiohttp import web

from mlmsg.sandbox import Fault, Market, Sandbox
from mlmsg.sandbox._http.exchange import Exchange, Handler, Route
from mlmsg.sandbox._http.responses import ErrorResponse, Response

TRUTH = "/soak/truth"
SELLER = 700100200
SLOW = 3.0
"""Seconds that a slow answer takes; the client waits for less."""

LARGE = "large.bin"
"""An attachment that is always there, and long enough to be left in the middle."""

KEPT_PACKS = 400
KEPT_CLAIMS = 200
KEPT_FILES = 2000
"""Files come the fastest, and one may have to wait for another of its message that times out."""

FAULTS = {
    "dropped": Fault(action="drop"),
    "dropped-early": Fault(action="drop", early=True),
    "lost": Fault(action="lose"),
    "cut": Fault(action="cut"),
    "500": Fault(status=500),
    "502": Fault(status=502, body="<html>Bad Gateway</html>"),
    "503-early": Fault(status=503, early=True),
    "429": Fault(status=429, headers={"Retry-After": "0"}),
    "429-later": Fault(status=429, headers={"Retry-After": "0.02"}),
    "slow": Fault(action="pass", delay=SLOW),
}
"""Those that the sandbox knows. Beside them: `500-done`, after it was executed, `reset` in the
middle of an upload, and `expired`, which ends the access token."""

WEIGHTS = dict.fromkeys(FAULTS, 10.0) | {
    "500-done": 8.0, "503-done": 8.0, "reset": 30.0, "expired": 4.0, "slow": 1.0,
}  # fmt: skip

HARMLESS = ("dropped", "dropped-early", "500", "502", "503-early", "429", "429-later")
"""What a refresh may meet. One whose answer is lost ends a grant, here and at the real API."""

LATE = web.RequestKey("late", int)


class Truth(msgspec.Struct):
    """What the server did.

    Attributes:
        texts: How often each message was executed.
        stored: The SHA-256 of each stored file, by its id.
        faults: How often each fault was met.
        requests: How many requests came.
        expired: How many access tokens were ended.
        refreshes: How often the grant was refreshed.
        refused: How many refreshes were refused: with a refresh token that was used before.
    """

    texts: dict[str, int] = {}
    stored: dict[str, str] = {}
    faults: dict[str, int] = {}
    requests: int = 0
    expired: int = 0
    refreshes: int = 0
    refused: int = 0


Outcome = tuple[str, str, str]
"""What a caller was told: the text of a send, `ok`, `unknown`, `error` or `cancelled`, and what
`reconcile` said of it; or the id of a file, `stored`, and the SHA-256 of what was sent."""


class Proof(NamedTuple):
    """What was to be proved, what it rests on, and how many cases speak against it."""

    claim: str
    seen: str
    against: int


T = TypeVar("T")


class SoakSandbox(Sandbox):
    """A sandbox in which each request meets a fault with the probability `rate`."""

    def __init__(self, rate: float, seed: int) -> None:
        super().__init__(market=Market(user_id=SELLER))
        self.truth = Truth()
        self._rate = rate
        self._random = random.Random(seed)  # noqa: S311

    def _make_handler(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        watched = replace(route, handler=partial(self._watched, route.handler))
        serve = super()._make_handler(watched)

        async def serve_at_random(request: web.Request) -> web.StreamResponse:
            if request.path == TRUTH:
                return web.Response(body=msgspec.json.encode(self.truth))
            self.truth.requests += 1
            self._make_room(request)
            fault = self._drawn(route)
            if fault == "reset":
                return await _reset(request)
            if fault == "expired":
                self._expire()
            elif fault in {"500-done", "503-done"}:
                request[LATE] = int(fault.removesuffix("-done"))
            elif fault:
                self.inject(FAULTS[fault])  # taken at once, by this very request
            return await serve(request)

        return serve_at_random

    async def _watched(self, handler: Handler, exchange: Exchange) -> Response:
        """Executes a request and notes what was done; then it may be denied."""
        try:
            answer = await handler(exchange)
        except ErrorResponse:
            self.truth.refused += exchange.request.path == "/oauth/token"
            raise
        self._note(exchange, answer)
        status = exchange.request.get(LATE)
        if status is not None:
            raise ErrorResponse(status, "It was done all the same")
        return answer

    def _note(self, exchange: Exchange, answer: Response) -> None:
        request, truth = exchange.request, self.truth
        if request.method != "POST":
            return
        if request.path == "/oauth/token":
            truth.refreshes += 1
        elif request.path.endswith("/attachments"):
            told = msgspec.json.decode(answer.body, type=dict[str, str | int])
            name = str(told.get("id") or told.get("file_name"))
            claim = self.market.claims.get(request.match_info.get("claim", ""))
            data = (claim.files if claim else self.market.files)[name].data
            truth.stored[name] = hashlib.sha256(data).hexdigest()
            _forget(self.market.files, KEPT_FILES)
        else:
            text = self._newest(request.match_info)
            truth.texts[text] = truth.texts.get(text, 0) + 1

    def _newest(self, match: web.UrlMappingMatchInfo) -> str:
        """The text that was just added; nothing was awaited since."""
        if "pack" in match:
            return self.market.packs[match["pack"]].messages[0].text
        return self.market.claims[match["claim"]].messages[0].message

    def _drawn(self, route: Route) -> str | None:
        """The name of the fault that a request of this route meets, or None."""
        if self._random.random() >= self._rate:
            return None
        upload = route.method == "POST" and route.path.endswith("/attachments")
        names = [name for name in WEIGHTS if name != "reset" or upload]
        if route.path.startswith("/marketplace/v2/"):
            # Half of the 401 that sends a claim to its older path is a 401 for the token.
            names.remove("cut")
        if route.path == "/oauth/token":
            names = list(HARMLESS)
        (name,) = self._random.choices(names, [WEIGHTS[name] for name in names])
        self.truth.faults[name] = self.truth.faults.get(name, 0) + 1
        return name

    def _expire(self) -> None:
        newest = self.grant.access_token
        if newest is not None and newest not in self.expired:
            self.truth.expired += 1
            self.expire(newest)

    def _make_room(self, request: web.Request) -> None:
        """Makes what the path is about, where it is not there yet."""
        market, match = self.market, request.match_info
        pack, claim = match.get("pack"), match.get("claim")
        if pack and pack not in market.packs:
            market.add_pack(pack)
            for number in range(2):
                market.add_message(pack, f"¿Y mi pedido? {number}", author="buyer")
            _forget(market.packs, KEPT_PACKS)
        if match.get("attachment") == LARGE and LARGE not in market.files:
            market.add_file(large_file(), LARGE, file_id=LARGE)
        if claim and claim not in market.claims:
            market.add_claim(claim, version_1=int(claim) % 4 == 0)
            market.add_claim_message(claim, "No llegó.")
            _forget(market.claims, KEPT_CLAIMS)


def large_file() -> bytes:
    """The bytes of `LARGE`."""
    return random.Random(0).randbytes(3 * 1024 * 1024)  # noqa: S311


def _forget(things: dict[str, T], kept: int) -> None:
    while len(things) > kept:
        del things[next(iter(things))]


async def _reset(request: web.Request) -> web.StreamResponse:
    """Reads something of an upload, and resets the connection."""
    await request.content.readany()
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.StreamResponse()


def compared(ledger: Iterable[Outcome], truth: Truth) -> list[Proof]:
    """What the callers were told, against what was done."""
    told: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    texts = dict(truth.texts)
    for name, outcome, more in ledger:
        told[outcome] += 1
        if outcome == "stored":
            wrong[outcome] += truth.stored.get(name) != more
            continue
        times = texts.pop(name, 0)
        told[more] += 1
        right = {"ok": times == 1, "error": times == 0}
        wrong[outcome] += not right.get(outcome, True)
        right = {"found": times == 1, "missing": times == 0, "undecided": False}
        wrong["reconcile"] += not right.get(more, True)
    twice = sum(times > 1 for times in truth.texts.values()) + len(texts)
    refreshes = 0 <= truth.refreshes - truth.expired <= 1  # the first; the last may be to come
    found = f"{told['found']:,} found, {told['missing']:,} not there"
    ended = f"{truth.refreshes} refreshes, {truth.expired} tokens ended"
    return [
        Proof("no message was executed twice", f"{len(truth.texts):,} executed", twice),
        Proof("what succeeded was executed once", f"{told['ok']:,} sends", wrong["ok"]),
        Proof("what failed was not executed", f"{told['error']:,} sends", wrong["error"]),
        Proof("reconcile told the truth of the others", found, wrong["reconcile"]),
        Proof("what was stored has the right bytes", f"{told['stored']:,} files", wrong["stored"]),
        Proof("each refresh token was used once", ended, truth.refused + (not refreshes)),
    ]


async def serve(rate: str, seed: str) -> None:
    """Serves until it is ended; the first line it prints is its URL."""
    # Clients that leave while they are answered are part of the soak; each would be a traceback.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    async with SoakSandbox(float(rate), int(seed)) as sandbox:
        print(sandbox.url, flush=True)
        await asyncio.Event().wait()
