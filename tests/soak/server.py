"""A sandbox that fails at random, and records what it really executed.

Every pack and every claim that is requested exists: it is made at the first request, and forgotten
when many newer ones exist. Both families of sellers are served. `TRUTH` answers what was executed,
whatever the responses said.
"""

import asyncio
import hashlib
import logging
import random
import socket
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
from aiohttp import web

from mlmsg.sandbox import Fault, Market, Sandbox
from mlmsg.sandbox._http.exchange import Exchange, Handler, Route
from mlmsg.sandbox._http.responses import ErrorResponse, Response
from soak.proofs import Truth

TRUTH = "/soak/truth"
SELLER, BUYER = 700100200, 700900300
FIRST_PACK = 2000010000000000
FIRST_SILENT_PACK = 2000020000000000
"""From this id on, the buyer of a pack has not written, and its seller needs a reason to write."""

SLOW_SECONDS = 3.0
"""The delay of a slow response, longer than the client's read timeout."""

LARGE = "large.bin"
"""An attachment that always exists, large enough to be cancelled in the middle."""

MANY_SENDS = 10**6
"""The cap of the option of silent packs: the real one is 1."""

KEPT_PACKS = 400
KEPT_CLAIMS = 200
KEPT_FILES = 2000
"""Files are the most frequent, and one may wait for another file of its message to time out."""

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
    "slow": Fault(action="pass", delay=SLOW_SECONDS),
    "locked": Fault(status=409),
}
"""The faults that the sandbox injects.

More are made here: `500-done` and `503-done` after the request was executed, `reset` in the middle
of an upload, and `expired`, which expires the access token. Only sends by reason are `locked`.
"""

WEIGHTS = dict.fromkeys(FAULTS, 10.0) | {
    "500-done": 8.0, "503-done": 8.0, "reset": 30.0, "expired": 4.0, "slow": 1.0, "locked": 30.0,
}  # fmt: skip

HARMLESS = ("dropped", "dropped-early", "500", "502", "503-early", "429", "429-later")
"""The faults of a refresh. A lost response would end the grant, here and at the real API."""

LATE_ERROR = web.RequestKey("late_error", int)


T = TypeVar("T")


class SoakSandbox(Sandbox):
    """A sandbox in which each request meets a fault with the probability `rate`."""

    def __init__(self, rate: float, seed: int) -> None:
        super().__init__(market=Market(user_id=SELLER))
        self.grant.expires_in = 10**9  # the clients' clock is fast; tokens expire only by a fault
        self.truth = Truth()
        self._rate = rate
        self._random = random.Random(seed)  # noqa: S311

    def _make_handler(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        recording = replace(route, handler=partial(self._execute, route.handler))
        serve = super()._make_handler(recording)

        async def serve_at_random(request: web.Request) -> web.StreamResponse:
            if request.path == TRUTH:
                return web.Response(body=msgspec.json.encode(self.truth))
            self.truth.requests += 1
            self._ensure_exists(request)
            fault = self._draw_fault(route)
            if fault == "reset":
                return await _reset(request)
            if fault == "expired":
                self._expire()
            elif fault in {"500-done", "503-done"}:
                request[LATE_ERROR] = int(fault.removesuffix("-done"))
            elif fault:
                self.inject(FAULTS[fault])  # consumed at once, by this very request
            return await serve(request)

        return serve_at_random

    async def _execute(self, handler: Handler, exchange: Exchange) -> Response:
        """Execute a request and record it; then the response may be an error all the same."""
        try:
            answer = await handler(exchange)
        except ErrorResponse:
            self.truth.rejected_refreshes += exchange.request.path == "/oauth/token"
            raise
        self._record_execution(exchange, answer)
        status = exchange.request.get(LATE_ERROR)
        if status is not None:
            raise ErrorResponse(status, "It was executed all the same")
        return answer

    def _record_execution(self, exchange: Exchange, answer: Response) -> None:
        request, truth = exchange.request, self.truth
        if request.method != "POST":
            return
        if request.path == "/oauth/token":
            truth.refreshes += 1
        elif request.path.endswith("/attachments"):
            body = msgspec.json.decode(answer.body, type=dict[str, str | int])
            name = str(body.get("id") or body.get("file_name"))
            claim = self.market.claims.get(request.match_info.get("claim", ""))
            data = (claim.files if claim else self.market.files)[name].data
            truth.stored[name] = hashlib.sha256(data).hexdigest()
            _forget_oldest(self.market.files, KEPT_FILES)
        else:
            text = self._newest_text(request.match_info)
            truth.texts[text] = truth.texts.get(text, 0) + 1

    def _newest_text(self, match: web.UrlMappingMatchInfo) -> str:
        """Return the text that was just added; nothing was awaited since."""
        if "pack" in match:
            return self.market.packs[match["pack"]].messages[0].text
        return self.market.claims[match["claim"]].messages[0].message

    def _draw_fault(self, route: Route) -> str | None:
        """Return the name of the fault for a request of this route, or None."""
        if self._random.random() >= self._rate:
            return None
        upload = route.method == "POST" and route.path.endswith("/attachments")
        needed = {"reset": upload, "locked": route.path.endswith("/option")}
        names = [name for name in WEIGHTS if needed.get(name, True)]
        if route.path.startswith("/marketplace/v2/"):
            # Half of the 401 that sends a claim to its v1 path is a 401 for the token.
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

    def _ensure_exists(self, request: web.Request) -> None:
        """Make the pack, claim or file of the path if it does not exist yet."""
        market, match = self.market, request.match_info
        pack, claim = match.get("pack"), match.get("claim")
        if pack and pack not in market.packs:
            self._make_pack(pack)
            _forget_oldest(market.packs, KEPT_PACKS)
        if match.get("attachment") == LARGE and LARGE not in market.files:
            market.add_file(large_file(), LARGE, file_id=LARGE)
        if claim and claim not in market.claims:
            market.add_claim(claim, version_1=int(claim) % 4 == 0)
            market.add_claim_message(claim, "No llegó.")
            _forget_oldest(market.claims, KEPT_CLAIMS)

    def _make_pack(self, pack_id: str) -> None:
        pack = self.market.add_pack(pack_id, buyer_id=BUYER)
        if int(pack_id) >= FIRST_SILENT_PACK:
            self.market.block(pack_id, "blocked_by_conversation_initiated_by_seller_limited")
            pack.guide.option("OTHER").cap_available = MANY_SENDS
            return
        for number in range(2):
            self.market.add_message(pack_id, f"¿Y mi pedido? {number}", author="buyer")


def large_file() -> bytes:
    """Return the bytes of `LARGE`."""
    return random.Random(0).randbytes(3 * 1024 * 1024)  # noqa: S311


def _forget_oldest(entries: MutableMapping[str, T], kept: int) -> None:
    while len(entries) > kept:
        del entries[next(iter(entries))]


async def _reset(request: web.Request) -> web.StreamResponse:
    """Read a part of an upload, and reset the connection."""
    await request.content.readany()
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.StreamResponse()


@contextmanager
def serve_in_process(rate: float, seed: int) -> Iterator[str]:
    """Run the server in another process; yield its URL."""
    command = [sys.executable, "-m", "soak.server", str(rate), str(seed)]
    folder = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


async def serve(rate: float, seed: int) -> None:
    """Serve until the process is killed; the first line on standard output is the URL."""
    # Clients that disconnect during a response are part of the soak; each would log a traceback.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    async with SoakSandbox(rate, seed) as sandbox:
        sys.stdout.write(f"{sandbox.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), int(sys.argv[2])))
