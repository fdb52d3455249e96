"""A server that is down for everything ends the job, after a bounded number of attempts."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from mirrors import Events, fill

from mlmsg import (
    Client,
    DecodeError,
    IncompleteDownload,
    MlmsgError,
    NotFound,
    RateLimited,
    RetryPolicy,
    ServerError,
    TransportError,
)
from mlmsg.errors import RequestLine
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.sync import sync_attachments
from mlmsg.sync.outage import FAILURES_IN_A_ROW, OutageDetector

ATTEMPTS = 2
RETRY = RetryPolicy(attempts=ATTEMPTS, base=0)
LINE = RequestLine("packs.page", "GET", "/x")


def endless() -> Iterator[int]:
    return itertools.count(10**6)


DOWN = {
    "500": (Fault(status=500, times=10**6), ServerError),
    "503": (Fault(status=503, times=10**6), ServerError),
    "429": (Fault(status=429, times=10**6), RateLimited),
    "dropped": (Fault(action="drop", times=10**6), TransportError),
    "a page of a proxy": (Fault(status=200, body=b"<html>", times=10**6), DecodeError),
}


@pytest.mark.parametrize("concurrency", [1, 4, 16])
@pytest.mark.parametrize(("fault", "kind"), DOWN.values(), ids=DOWN)
async def test_a_server_that_is_down_ends_the_job(
    sandbox: Sandbox, tmp_path: Path, fault: Fault, kind: type[MlmsgError], concurrency: int
) -> None:
    sandbox.inject(fault)
    events = Events()
    async with (
        asyncio.timeout(20),
        Client(sandbox.token, base_url=sandbox.url, retry=RETRY, budget=None) as client,
    ):
        with pytest.raises(kind) as caught:
            await sync_attachments(
                client, packs=endless(), claims=endless(), to=tmp_path, site_id="MLM",
                concurrency=concurrency, on_event=events,
            )  # fmt: skip
    assert caught.value.__notes__ == ["20 threads and files failed in a row"]
    assert len(events.all) < FAILURES_IN_A_ROW
    assert len(sandbox.requests) <= (FAILURES_IN_A_ROW + concurrency) * ATTEMPTS


async def test_no_connection_ends_the_job(unused_tcp_port: int, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with Client("t", base_url=url, retry=RETRY, budget=None) as client:
        with pytest.raises(TransportError, match="no connection"):
            await sync_attachments(client, packs=endless(), to=tmp_path, site_id="MLM")


async def test_a_server_that_goes_down_in_a_long_thread_ends_the_job(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    fill(sandbox.market, 1, files=60)
    sandbox.inject(Fault(action="drop", path="/attachments/", times=10**6))
    with pytest.raises(TransportError):
        await sync_attachments(client, packs=[1000], to=tmp_path, site_id="MLM", concurrency=1)


async def test_many_lost_files_and_threads_do_not_end_the_job(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """The API answers 500 for a file that is lost for ever, and 403 for a thread of others."""
    fill(sandbox.market, 1, files=40)
    sandbox.inject(Fault(status=500, path="/attachments/", times=10**6))
    for pack in range(1, 50):
        sandbox.inject(Fault(status=403, path=f"/packs/{pack}?"))
    report = await sync_attachments(client, packs=[*range(1, 50), 1000], to=tmp_path, site_id="MLM")
    assert len(report.failed) == 49 + 40


async def test_a_success_starts_the_count_anew(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    good = fill(sandbox.market, 4)
    packs: list[str] = []
    for number, pack in enumerate(good):
        first = number * 100
        packs += [*map(str, range(first, first + FAILURES_IN_A_ROW - 1)), pack]
    for pack in packs:
        if pack not in good:
            sandbox.inject(Fault(status=503, path=f"/packs/{pack}?", times=4))
    report = await sync_attachments(client, packs=packs, to=tmp_path, site_id="MLM", concurrency=1)
    assert (report.threads, len(report.failed)) == (4, 4 * (FAILURES_IN_A_ROW - 1))


def api_error(status: int) -> MlmsgError:
    kinds = {404: NotFound, 429: RateLimited}
    return kinds.get(status, ServerError)(status, None, "x", request=LINE)


COUNTED = [
    # error, of a thread, of a file: +1 counts, 0 starts anew, None is passed over
    (TransportError("x"), 1, 1),
    (IncompleteDownload("x"), None, None),
    (DecodeError("x"), 1, None),
    (api_error(500), 1, None),
    (api_error(502), 1, 1),
    (api_error(503), 1, 1),
    (api_error(504), 1, 1),
    (api_error(429), 1, 1),
    (api_error(404), 0, 0),
]


@pytest.mark.parametrize("is_thread", [True, False])
@pytest.mark.parametrize(("error", "thread", "file"), COUNTED)
def test_the_failures_that_count(
    error: MlmsgError, thread: int | None, file: int | None, *, is_thread: bool
) -> None:
    effect = thread if is_thread else file
    detector = OutageDetector()
    for _ in range(FAILURES_IN_A_ROW - 1):
        assert not detector.note_failure(TransportError("x"), is_thread=True)
    is_down = detector.note_failure(error, is_thread=is_thread)
    assert is_down == (effect == 1)
    assert detector.note_failure(TransportError("x"), is_thread=True) == (effect != 0)
