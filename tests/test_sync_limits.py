"""The limits of a running job: ids, threads, files, descriptors, memory; and how it ends."""

import asyncio
import itertools
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from anyio import to_thread
from mirrors import expected, fill, on_disk, without_manifests

from mlmsg import Client, Download
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.sync import SyncEvent, sync_attachments

R = TypeVar("R")


class Meter:
    """Stands before a client's `receive`: how many files are in flight, and the most there were."""

    def __init__(self, client: Client, measure: Callable[[], int] = lambda: 0) -> None:
        self._receive = client.attachments.download_with
        self._measure = measure
        self.running = self.most = self.calls = self.peak = 0

    async def receive(
        self, name: int | str, into: Callable[[Download], Awaitable[R]], *, site_id: str
    ) -> R:
        async def measured(download: Download) -> R:
            self.peak = max(self.peak, await to_thread.run_sync(self._measure))
            return await into(download)

        self.running += 1
        self.calls += 1
        self.most = max(self.most, self.running)
        try:
            return await self._receive(name, measured, site_id=site_id)
        finally:
            self.running -= 1


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", [1, 3, 16])
async def test_so_many_files_are_in_flight_and_no_more(
    sandbox: Sandbox,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    concurrency: int,
) -> None:
    packs = fill(sandbox.market, 30, files=3)
    meter = Meter(client)
    monkeypatch.setattr(client.attachments, "download_with", meter.receive)
    report = await sync_attachments(
        client, packs=packs, to=tmp_path, site_id="MLM", concurrency=concurrency
    )
    assert (report.downloaded, meter.calls, meter.most) == (90, 90, concurrency)


async def test_one_long_thread_keeps_every_worker_busy(
    sandbox: Sandbox, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sandbox.market, 1, files=60)
    meter = Meter(client)
    monkeypatch.setattr(client.attachments, "download_with", meter.receive)
    await sync_attachments(client, packs=[1000], to=tmp_path, site_id="MLM", concurrency=8)
    assert meter.most == 8


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.slow
async def test_descriptors_are_bounded(
    sandbox: Sandbox, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packs = fill(sandbox.market, 60, files=2, size=1_500_000)
    meter = Meter(client, descriptors)
    monkeypatch.setattr(client.attachments, "download_with", meter.receive)
    before = descriptors()
    await sync_attachments(client, packs=packs, to=tmp_path, site_id="MLM", concurrency=4)
    # Both ends of 4 downloads and 4 walks, 4 files, and what the loop itself opens.
    assert meter.peak - before <= 2 * (4 + 4) + 4 + 8


@pytest.mark.slow
async def test_memory_is_bounded(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    packs = fill(sandbox.market, 12, size=8_000_000)
    tracemalloc.start()
    try:
        await sync_attachments(client, packs=packs, to=tmp_path, site_id="MLM", concurrency=2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24_000_000  # of 96 MB, with the server in the same process


@pytest.mark.slow
async def test_of_endless_ids_few_are_drawn_ahead(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """Packs that do not exist, so each costs one request; an event reports that it is done."""
    drawn = done = most = 0

    def endless() -> Iterator[int]:
        nonlocal drawn
        for number in itertools.count(10**6):
            drawn += 1
            if drawn == 400:
                raise KeyError("enough")
            yield number

    def note(event: SyncEvent) -> None:
        nonlocal done, most
        done += 1
        most = max(most, drawn - done)

    with pytest.raises(KeyError, match="enough"):
        await sync_attachments(
            client, packs=endless(), to=tmp_path, site_id="MLM", concurrency=4, on_event=note
        )
    assert most <= 4 + 1


async def test_full_channels_stop_those_who_fill_them(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """No file ever arrives: the walkers stop too, and with them the drawing of ids."""
    packs = fill(sandbox.market, 100)
    sandbox.inject(Fault(action="pass", delay=3600, path="/attachments/", times=1000))
    drawn: list[str] = []

    def ids() -> Iterator[str]:
        for pack in packs:
            drawn.append(pack)
            yield pack

    async with asyncio.timeout(20):
        job = asyncio.create_task(
            sync_attachments(client, packs=ids(), to=tmp_path, site_id="MLM", concurrency=3)
        )
        # 3 files in flight, 3 in the channel, 3 walkers with one each, 1 id in a hand.
        await sandbox.received(3 + 9)
        await quiet()
        assert len(drawn) <= 10
        assert len(sandbox.requests) == 12
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job


async def quiet() -> None:
    """Lets everything run that can."""
    for _ in range(500):
        await asyncio.sleep(0)


async def test_claims_do_not_wait_for_endless_packs(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    seen: set[str] = set()

    def packs() -> Iterator[int]:
        for number in itertools.count(10**6):
            if seen >= set(sandbox.market.claims):
                raise KeyError("enough")
            yield number

    def note(event: SyncEvent) -> None:
        if event.kind == "thread":
            seen.add(event.thread.id)

    async with asyncio.timeout(20):
        with pytest.raises(KeyError):
            await sync_attachments(
                client,
                packs=packs(),
                claims=sandbox.market.claims,
                to=tmp_path,
                site_id="MLM",
                concurrency=2,
                on_event=note,
            )


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/attachments/", "/packs/"])
async def test_cancelling_ends_everything_at_once_and_leaves_no_half_file(
    sandbox: Sandbox, client: Client, tmp_path: Path, path: str
) -> None:
    packs = fill(sandbox.market, 20, size=3_000_000)
    report = await sync_attachments(client, packs=packs[:5], to=tmp_path, site_id="MLM")
    assert report.downloaded == 5
    before = on_disk(tmp_path)
    sandbox.requests.clear()
    sandbox.inject(Fault(action="pass", delay=3600, path=path, times=1000))
    async with asyncio.timeout(20):
        job = asyncio.create_task(
            sync_attachments(client, packs=packs[5:], to=tmp_path, site_id="MLM", concurrency=4)
        )
        await sandbox.received(4)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
    assert on_disk(tmp_path) == before


@pytest.mark.slow
async def test_cancelled_wherever_it_stands_the_target_stays_sound(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """Cancelled after one event, after some more, …: no half file, and in the end all are there."""
    packs = fill(sandbox.market, 20, files=2, size=1_500_000)
    whole = expected(sandbox.market)
    mine = {path: data for path, data in whole.items() if path.split("/")[1] in packs}
    for steps in range(1, 40, 3):
        await cancelled_after(steps, client, packs, tmp_path)
        files = without_manifests(on_disk(tmp_path))
        assert files.items() <= mine.items()
    report = await sync_attachments(client, packs=packs, to=tmp_path, site_id="MLM")
    assert (report.threads, report.failed) == (20, [])
    assert without_manifests(on_disk(tmp_path)) == mine


async def cancelled_after(steps: int, client: Client, packs: list[str], to: Path) -> None:
    counter = itertools.count(1)

    def note(event: SyncEvent) -> None:
        if next(counter) == steps:
            job.cancel()

    job = asyncio.create_task(
        sync_attachments(client, packs=packs, to=to, site_id="MLM", on_event=note)
    )
    await asyncio.wait({job})
    assert job.cancelled()


async def test_an_id_that_is_named_twice_is_mirrored_once_at_a_time(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    fill(sandbox.market, 1, files=5, size=3_000_000)
    report = await sync_attachments(
        client, packs=["1000", 1000, "1000", 1000], to=tmp_path, site_id="MLM"
    )
    assert (report.downloaded, report.failed) == (5, [])


async def test_an_id_that_is_named_again_later_is_checked_again(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    sandbox.inject(Fault(status=403, path="/packs/", times=3))
    report = await sync_attachments(
        client, packs=[404, 405, 404], to=tmp_path, site_id="MLM", concurrency=1
    )
    assert [one.thread.id for one in report.failed] == ["404", "405", "404"]


async def test_two_jobs_share_a_target(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    packs = [*fill(sandbox.market, 20, files=2), *sandbox.market.packs]
    mine, yours = packs[::2], packs[1::2]
    async with Client(sandbox.token, base_url=sandbox.url, budget=None) as other:
        await asyncio.gather(
            sync_attachments(client, packs=mine, to=tmp_path, site_id="MLM"),
            sync_attachments(other, packs=yours, to=tmp_path, site_id="MLM"),
            sync_attachments(
                other, packs=(), claims=sandbox.market.claims, to=tmp_path, site_id="MLM"
            ),
        )
    assert without_manifests(on_disk(tmp_path)) == expected(sandbox.market)
