"""The sandbox's rate limit: the window, the burst, the exceptions."""

import re
from collections.abc import Callable
from itertools import cycle, islice

import msgspec
import pytest
from aiohttp import ClientConnectionError, ClientSession
from sandboxes import MUG, PACKS

from mlmsg.sandbox import Clock, Fault, RateLimit, Sandbox

PACK = PACKS + MUG
UPLOAD = "/marketplace/messages/attachments?site_id=MLM"
REFRESH = {
    "grant_type": "refresh_token",
    "client_id": "1000000000000001",
    "client_secret": "sandbox-secret",
    "refresh_token": "sandbox-refresh-0001",
}


@pytest.fixture
def http(http: ClientSession, sandbox: Sandbox) -> ClientSession:
    """The shared session, to a sandbox whose clock stands still."""
    sandbox.clock = Clock(lambda: 0.0)
    return http


async def status(http: ClientSession, method: str = "GET", target: str = PACK) -> int:
    body = b'{"text":"Hola"}' if method == "POST" else None
    async with http.request(method, target, data=body) as response:
        await response.read()
        return response.status


def counts(reads: int = 0, writes: int = 0) -> dict[str, int]:
    return {"reads": reads, "writes": writes}


async def test_there_is_no_limit_by_default(http: ClientSession, sandbox: Sandbox) -> None:
    assert sandbox.rate is None
    assert {await status(http) for _ in range(30)} == {200}


async def test_reads_and_writes_have_a_limit_each(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.rate = RateLimit(reads=2, writes=1)
    assert [await status(http) for _ in range(4)] == [200, 200, 429, 429]
    assert [await status(http, "POST") for _ in range(2)] == [201, 429]
    assert sandbox.rate.accepted == counts(2, 1)
    assert sandbox.rate.rejections == counts(2, 1)
    # A rejected request is not executed.
    assert len(sandbox.market.packs[MUG].messages) == 14 + 1


async def test_there_is_room_again_when_the_window_has_passed(
    http: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.rate = RateLimit(reads=1, per=60)
    assert [await status(http), await status(http)] == [200, 429]
    sandbox.clock.advance(59.9)
    assert await status(http) == 429
    sandbox.clock.advance(0.1)
    assert [await status(http), await status(http)] == [200, 429]


async def test_a_burst_within_one_second(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.rate = RateLimit(burst=2)
    assert [await status(http), await status(http, "POST"), await status(http)] == [200, 201, 429]
    sandbox.clock.advance(1)
    assert await status(http) == 200


@pytest.mark.parametrize(("retry_after", "header"), [(None, None), (0, "0"), (7, "7")])
async def test_the_refusal(
    http: ClientSession, sandbox: Sandbox, *, retry_after: int | None, header: str | None
) -> None:
    sandbox.rate = RateLimit(reads=0, retry_after=retry_after)
    async with http.get(PACK) as response:
        assert response.status == 429
        assert response.headers.get("Retry-After") == header
        assert response.headers.getall("Content-Type") == ["application/json; charset=utf-8"]
        assert await response.json() == {
            "message": "Too many requests",
            "error": "too_many_requests",
            "status": 429,
            "cause": [],
        }
    assert sandbox.requests[0].status == 429


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("target", [PACK, UPLOAD, "/messages/unread", "/nowhere"])
async def test_every_path_and_method_counts(
    http: ClientSession, sandbox: Sandbox, *, method: str, target: str
) -> None:
    sandbox.rate = RateLimit(reads=1, writes=1)
    assert await status(http, method, target) != 429
    assert await status(http, method, target) == 429
    expected = counts(reads=1) if method == "GET" else counts(writes=1)
    assert sandbox.rate.accepted == sandbox.rate.rejections == expected


async def test_it_comes_before_the_token(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.rate = RateLimit(reads=1)
    async with ClientSession(sandbox.url) as stranger:
        assert [await status(stranger), await status(stranger)] == [400, 429]


async def test_tokens_are_refreshed_outside_of_it(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.rate = RateLimit(reads=0, writes=0, burst=0)
    async with http.post("/oauth/token", data=REFRESH) as response:
        assert response.status == 200
    assert sandbox.rate.accepted == sandbox.rate.rejections == counts()


async def test_the_body_of_a_refused_upload_is_read_and_forgotten(
    http: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.rate = RateLimit(writes=0)
    files = dict(sandbox.market.files)
    async with http.post(UPLOAD, data=bytes(1_000_000)) as response:
        assert response.status == 429
        assert "Connection" not in response.headers
    assert sandbox.requests[0].body_size == 1_000_000
    assert sandbox.market.files == files


@pytest.mark.parametrize(
    ("fault", "met", "taken"),
    [
        (Fault(status=503), 503, 0),
        (Fault(status=429), 429, 0),
        (Fault(action="pass"), 200, 1),
    ],
)
async def test_faults_come_first(
    http: ClientSession, sandbox: Sandbox, *, fault: Fault, met: int, taken: int
) -> None:
    sandbox.rate = RateLimit(reads=1)
    sandbox.inject(fault)
    assert await status(http) == met
    assert sandbox.rate.accepted == counts(reads=taken)
    assert await status(http) == (429 if taken else 200)


async def test_the_answer_of_a_refused_request_may_still_be_lost(
    http: ClientSession, sandbox: Sandbox
) -> None:
    sandbox.rate = RateLimit(writes=0)
    sandbox.inject(Fault(action="lose"))
    with pytest.raises(ClientConnectionError):
        await status(http, "POST")
    assert sandbox.rate.rejections == counts(writes=1)
    assert len(sandbox.market.packs[MUG].messages) == 14


async def test_the_limit_can_be_changed_and_removed(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.rate = RateLimit(reads=1)
    assert [await status(http), await status(http)] == [200, 429]
    sandbox.rate.reads = 2
    assert [await status(http), await status(http)] == [200, 429]
    sandbox.rate = None
    assert await status(http) == 200


async def test_the_clock_is_real_time_by_default(sandbox: Sandbox) -> None:
    sandbox.rate = RateLimit(reads=1, per=1e-6)
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    async with ClientSession(sandbox.url, headers=headers) as http:
        assert {await status(http) for _ in range(5)} == {200}


# Limits with the arrivals of requests; True means that the request is within the limit.
READS = {
    "the documented minute": (
        RateLimit(),
        [(0.0, True)] * 500 + [(59.99, False), (60.0, True)],
    ),
    "the window slides, it is no calendar minute": (
        RateLimit(reads=2, per=10),
        [(0, True), (8, True), (9.9, False), (10, True), (17.9, False), (18, True), (18, False)],
    ),
    "the refused take no room": (
        RateLimit(reads=1, per=10),
        [(0, True), (5, False), (9, False), (10, True)],
    ),
    "none at all": (RateLimit(reads=0), [(0, False), (1000, False)]),
    "a window shorter than the second of a burst": (
        RateLimit(reads=1, per=0.5, burst=2),
        [(0, True), (0.4, False), (0.5, True), (0.9, False), (1.0, True), (1.5, True)],
    ),
    "a burst looks back further than such a window": (
        RateLimit(reads=9, per=0.5, burst=2),
        [(0, True), (0.6, True), (0.9, False), (1.0, True), (1.5, False), (1.6, True)],
    ),
    "as many as may be within a second": (
        RateLimit(burst=2),
        [(0, True), (0.5, True), (0.9, False), (1.0, True), (1.4, False), (1.5, True)],
    ),
    "the window counts beside the burst": (
        RateLimit(reads=3, per=10, burst=2),
        [(0, True), (0, True), (0, False), (1, True), (2, False), (10, True), (10, True)],
    ),
}


@pytest.mark.parametrize(("limit", "steps"), READS.values(), ids=READS.keys())
def test_reads_over_time(limit: RateLimit, steps: list[tuple[float, bool]]) -> None:
    assert [limit.admit("GET", now) for now, _ in steps] == [room for _, room in steps]
    taken = sum(room for _, room in steps)
    assert limit.accepted == counts(reads=taken)
    assert limit.rejections == counts(reads=len(steps) - taken)


def test_reads_leave_room_for_writes_but_in_a_burst() -> None:
    limit = RateLimit(reads=2, writes=2, burst=3)
    mixed = list(islice(cycle(["GET", "POST"]), 4))
    assert [limit.admit(method, 0) for method in mixed] == [True, True, True, False]
    assert limit.admit("POST", 1)
    assert not limit.admit("POST", 2)
    assert not limit.admit("GET", 2)


def test_arrivals_outside_every_window_are_forgotten() -> None:
    limit = RateLimit(per=10)
    for now in range(1000):
        assert limit.admit("GET", now)
    assert limit._arrivals["reads"] == list(range(990, 1000))


def test_two_limits_share_nothing() -> None:
    one, two = RateLimit(reads=1), RateLimit(reads=1)
    assert one.admit("GET", 0)
    assert two.accepted == counts()
    assert two.admit("GET", 0)


def test_its_repr_is_its_settings_and_counters() -> None:
    assert repr(RateLimit(burst=3)) == (
        "RateLimit(reads=500, writes=500, per=60.0, retry_after=None, burst=3, "
        "accepted={'reads': 0, 'writes': 0}, rejections={'reads': 0, 'writes': 0})"
    )


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"reads": -1}, "reads must be 0 or more, not -1"),
        ({"writes": -1}, "writes must be 0 or more, not -1"),
        ({"burst": -1}, "burst must be 0 or more, not -1"),
        ({"retry_after": -1}, "retry_after must be 0 or more, not -1"),
        ({"per": 0}, "per must be more than 0 seconds, not 0"),
        ({"per": float("nan")}, "per must be more than 0 seconds, not nan"),
    ],
)
def test_invalid_limits_are_refused(wrong: dict[str, object], words: str) -> None:
    make: Callable[..., RateLimit] = RateLimit
    with pytest.raises(ValueError, match=re.escape(words)):
        make(**wrong)


def test_the_refusal_is_the_same_bytes_each_time() -> None:
    response = RateLimit().response()
    expected = (
        b'{"message":"Too many requests","error":"too_many_requests","status":429,"cause":[]}'
    )
    assert response.body == expected
    assert msgspec.json.decode(response.body, type=dict[str, object])["status"] == response.status
