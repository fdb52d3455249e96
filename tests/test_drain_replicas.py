"""`unread.drain` over servers that disagree: it ends, and names what remains."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import cycle

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmsg import Client, StillUnread

Answer = dict[str, int]
"""The count of each conversation."""


class Replicas:
    """Servers of one API that answer in turn, each with the conversations that it knows."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = cycle(answers)
        self.requests = 0
        self.yielded: list[str] = []
        self.remaining: tuple[str, ...] = ()

    async def answer(self, _: web.Request) -> web.Response:
        self.requests += 1
        results = [{"resource": name, "count": n} for name, n in next(self._answers).items()]
        return web.json_response({"user_id": 1, "results": results})

    async def drain(self) -> None:
        """Drain them, and record the conversations that were yielded and those that remained."""
        app = web.Application()
        app.router.add_get("/messages/unread", self.answer)
        async with (
            asyncio.timeout(10),
            TestServer(app) as server,
            Client("a-token", base_url=str(server.make_url("/")), budget=None) as client,
        ):
            try:
                async for result in client.unread.drain():
                    self.yielded.append(result.resource)
            except StillUnread as error:
                self.remaining = error.resources


X, Y, Z = "/packs/1/sellers/9", "/packs/2/sellers/9", "/packs/3/sellers/9"

FLIPS: dict[str, tuple[list[Answer], list[str], set[str]]] = {
    "old and new": ([{X: 1, Y: 1}, {Y: 1}], [X, Y], {Y}),
    "one each": ([{X: 1}, {Y: 1}], [X, Y] * 3, {X, Y}),
    "other counts": ([{X: 1}, {X: 2}], [X] * 3, {X}),
    "three states": ([{X: 1}, {Y: 1}, {Z: 1}], [X, Y, Z] * 3, {X, Y, Z}),
    "growing": ([{X: n} for n in range(1, 50)], [X] * 3, {X}),
    "nothing left": ([{X: 1}, {}], [X], set()),
}


@pytest.mark.parametrize(("answers", "yielded", "remaining"), FLIPS.values(), ids=FLIPS)
async def test_answers_that_flip_end_the_drain(
    answers: list[Answer], yielded: list[str], remaining: set[str]
) -> None:
    replicas = Replicas(answers)
    await replicas.drain()
    assert (replicas.yielded, set(replicas.remaining)) == (yielded, remaining)
    assert replicas.requests <= len(yielded) + 1


async def test_a_thousand_conversations_that_come_back_end_the_drain() -> None:
    old = {f"/packs/{number}/sellers/9": 1 for number in range(1000)}
    replicas = Replicas([old, {X: 2}, {Y: 2}])
    await replicas.drain()
    assert max(Counter(replicas.yielded).values()) == 3
    assert replicas.requests < 12
    assert replicas.remaining


ANSWERS = st.dictionaries(st.sampled_from([X, Y, Z]), st.integers(1, 3))


@settings(max_examples=100)
@given(answers=st.lists(ANSWERS, min_size=1, max_size=6))
async def test_any_cycle_of_answers_ends(answers: list[Answer]) -> None:
    replicas = Replicas(answers)
    await replicas.drain()
    assert max(Counter(replicas.yielded).values(), default=0) <= 3
    assert replicas.requests <= 10
    assert set(replicas.remaining) <= {name for answer in answers for name in answer}
