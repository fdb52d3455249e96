"""A `Retry-After` date counts from the `Date` of the same response, or else from our clock."""

import asyncio
import time
from email.utils import formatdate

import pytest
from calls import PAGE, TOKEN, as_coroutine, read_page
from rawserver import answers, in_turn, raw_server

from mlmsg import AttemptEvent, Client, RetryPolicy


def http_time(seconds: float) -> str:
    return formatdate(time.time() + seconds, usegmt=True)


async def first_event(*headers: str, status: int = 429) -> AttemptEvent:
    """Return the event of an attempt that is answered with these headers. The wait is cancelled."""
    events: asyncio.Queue[AttemptEvent] = asyncio.Queue()
    script = in_turn(answers(status, b"", *headers), answers(200, PAGE))
    async with (
        asyncio.timeout(5),
        raw_server(script) as server,
        Client(
            TOKEN,
            base_url=server.url,
            retry=RetryPolicy(base=0.0, attempts=2),
            on_event=events.put_nowait,
        ) as client,
    ):
        call = asyncio.create_task(as_coroutine(read_page(client)))
        event = await events.get()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        return event


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("offset", [-(10**8), -300, 0, 300, 10**8], ids=str)
async def test_the_offset_of_the_servers_clock_does_not_matter(offset: int, status: int) -> None:
    date, until = f"Date: {http_time(offset)}", f"Retry-After: {http_time(offset + 30)}"
    event = await first_event(date, until, status=status)
    assert event.verdict == "retry"
    assert event.delay == pytest.approx(30, abs=1.1)  # the dates have whole seconds


@pytest.mark.parametrize("date", [None, "", "yesterday", "99 Foo", "-1"])
async def test_without_a_readable_date_our_own_clock_counts(date: str | None) -> None:
    headers = [f"Retry-After: {http_time(30)}", *([] if date is None else [f"Date: {date}"])]
    event = await first_event(*headers)
    assert event.verdict == "retry"
    assert event.delay == pytest.approx(30, abs=1.5)


async def test_seconds_depend_on_no_clock() -> None:
    event = await first_event(f"Date: {http_time(-(10**8))}", "Retry-After: 30")
    assert (event.verdict, event.delay) == ("retry", 30.0)


async def test_a_date_in_the_past_of_the_server_is_no_wait() -> None:
    event = await first_event(f"Date: {http_time(-300)}", f"Retry-After: {http_time(-301)}")
    assert (event.verdict, event.delay) == ("retry", 0.0)
