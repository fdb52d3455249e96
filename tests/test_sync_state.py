"""The state of a mirror of a whole seller: which threads stay open, and whose version it is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from mlmsg import PackRef, RuleError
from mlmsg.sync import EventKind, SyncEvent, ThreadId
from mlmsg.sync.job import open_target
from mlmsg.sync.state import (
    OpenThread,
    SellerState,
    StateRecorder,
    state_key,
    still_open,
    write_state,
)

NOW: Final = datetime(2026, 3, 31, tzinfo=UTC)


async def test_a_state_that_a_later_version_wrote_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "7.json"
    path.parent.mkdir()
    path.write_text('{"version": 2}')
    target, now = await open_target(tmp_path), datetime.now(UTC)
    with pytest.raises(RuleError, match="later mlmsg"):
        await write_state(target, state_key(7), SellerState(since=now, started=now))
    await target.close()
    assert path.read_text() == '{"version": 2}'


def test_a_thread_stays_open_for_thirty_days() -> None:
    threads = {
        1: OpenThread(newest=NOW - timedelta(days=29)),
        2: OpenThread(newest=NOW - timedelta(days=30, hours=1)),
        3: OpenThread(),
        4: OpenThread(newest=NOW - timedelta(days=99), has_failed=True),
    }
    assert set(still_open(threads, NOW)) == {1, 3, 4}


YOUNG, OLD = NOW - timedelta(days=3), NOW - timedelta(days=33)

LEARNED: Final[
    dict[str, tuple[OpenThread | None, list[tuple[EventKind, datetime | None]], OpenThread | None]]
] = {
    # the thread before, what happened, the thread after
    "a new thread": (None, [("thread", YOUNG)], OpenThread(newest=YOUNG, site_id="MLB")),
    "a closed one": (None, [("thread", OLD)], None),
    "an empty one": (None, [("thread", None)], None),
    "one that reads as empty": (
        OpenThread(newest=YOUNG, site_id="MLM"),
        [("thread", None)],
        OpenThread(newest=YOUNG, site_id="MLB"),
    ),
    "one that was not read": (OpenThread(newest=YOUNG), [], OpenThread(newest=YOUNG)),
    "one that grew old": (OpenThread(newest=OLD), [], None),
    "a failed one": (None, [("failed", None)], OpenThread(site_id="MLB", has_failed=True)),
    "a failed one that had messages": (
        OpenThread(newest=YOUNG),
        [("failed", None)],
        OpenThread(newest=YOUNG, site_id="MLB", has_failed=True),
    ),
    "a failed file": (
        None,
        [("failed", None), ("thread", OLD)],
        OpenThread(newest=OLD, site_id="MLB", has_failed=True),
    ),
    "one that can be read again": (OpenThread(has_failed=True), [("thread", OLD)], None),
}


@pytest.mark.parametrize("name", LEARNED)
def test_what_a_run_learns_of_a_thread(name: str) -> None:
    before, events, after = LEARNED[name]
    threads = {} if before is None else {5: before}
    recorder = StateRecorder(SellerState(since=OLD, started=OLD, open_threads=threads), NOW)
    if events:
        recorder.begin(PackRef(pack_id=5, site_id="MLB"))
    for kind, newest in events:
        recorder.note(SyncEvent(kind, ThreadId("pack", "5"), newest=newest))
    assert recorder.state(OLD, NOW).open_threads == ({} if after is None else {5: after})
