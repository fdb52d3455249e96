"""The state that lies in the target beside the manifests, so that a later run can read less."""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from mlmsg import _lenient
from mlmsg._numbers import whole_number
from mlmsg.models import PackRef

from .manifest import check_version
from .report import SyncEvent, ThreadId
from .target import Target

__all__ = [
    "OpenThread",
    "SellerState",
    "StateRecorder",
    "read_state",
    "state_key",
    "still_open",
    "write_state",
]

VERSION = 1

FOLDER = "state"
"""The folder of the states in the target."""

THREAD_DAYS = 30
"""Days after the last message after which a thread closes ("Blocked messages", `time`)."""


class OpenThread(msgspec.Struct, frozen=True, kw_only=True):
    """A thread of a pack that is read again in the next run.

    Attributes:
        newest: The time of its newest message; None if it is unknown.
        site_id: The site of its files, or None.
        has_failed: True if it could not be read completely.
    """

    newest: datetime | None = None
    site_id: str | None = None
    has_failed: bool = False


class SellerState(msgspec.Struct, frozen=True, kw_only=True):
    """The end of the last complete run for one seller.

    Attributes:
        since: The first moment that is covered: everything that was updated from here to `started`
            was found.
        started: The start of the last complete run, by the server's clock.
        open_threads: Threads that can get new messages without an update of their sale, by pack.
        failed_claims: Claims that could not be read.
        failed_orders: Orders that could not be read, so that their packs are unknown.
        version: The version of this format.
    """

    since: datetime
    started: datetime
    open_threads: dict[int, OpenThread] = {}
    failed_claims: list[str] = []
    failed_orders: list[int] = []
    version: int = VERSION


def state_key(user_id: int) -> str:
    """Return the key of a seller's state in the target."""
    return f"{FOLDER}/{user_id}.json"


async def read_state(target: Target, key: str) -> SellerState | None:
    """Return the state, or None if there is none that can be read: then everything is read.

    Raises:
        RuleError: A later version of this package wrote the state. It must not be overwritten.
    """
    data = (await target.load(key, (FOLDER,))).manifest
    if data is None:
        return None
    _check_version(data)
    try:
        state = msgspec.json.decode(data, type=SellerState)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return state if state.version == VERSION else None


class _Versioned(msgspec.Struct, frozen=True):
    """The version of a state. A later one may name everything else differently."""

    version: int = VERSION


def _check_version(data: bytes) -> None:
    try:
        version = _lenient.convert(_lenient.parse(data), _Versioned).version
    except (msgspec.DecodeError, RecursionError):
        return
    check_version("version of a state", version, VERSION)


async def write_state(target: Target, key: str, state: SellerState) -> None:
    """Write the state.

    Raises:
        RuleError: A later version of this package has written the state meanwhile.
    """
    data = msgspec.json.format(msgspec.json.encode(state), indent=1)

    def replace(old: bytes | None) -> bytes:
        if old is not None:
            _check_version(old)
        return data

    await target.update(key, (), replace)


def still_open(
    threads: Mapping[int, OpenThread], now: datetime, days: int = THREAD_DAYS
) -> dict[int, OpenThread]:
    """Return the threads whose newest message is younger than `days`, and those that failed."""
    return {
        pack: thread
        for pack, thread in threads.items()
        if thread.has_failed or thread.newest is None or _is_younger(thread.newest, now, days)
    }


def _is_younger(newest: datetime, now: datetime, days: int) -> bool:
    return (now - newest.astimezone(UTC)).days < days


class StateRecorder:
    """Learn from the events of a run what the next run has to read again.

    Only threads in progress and those that stay open are kept, not every thread of the run.
    """

    def __init__(self, last: SellerState | None, now: datetime) -> None:
        self._now = now
        self._threads = dict(last.open_threads) if last else {}
        self._claims = set(last.failed_claims) if last else set()
        self._sites: dict[int, str | None] = {}  # of the packs in progress
        self._failed: set[ThreadId] = set()
        self.failed_orders: set[int] = set()

    def begin(self, pack: PackRef) -> PackRef:
        """Remember the site of a pack that is going to be read, and return the pack."""
        self._sites[pack.pack_id] = pack.site_id
        return pack

    def note(self, event: SyncEvent) -> None:
        """Learn from an event of the job."""
        thread = event.thread
        if event.kind == "failed":
            self._failed.add(thread)
        elif event.kind != "thread":
            return
        has_failed = thread in self._failed
        if thread.kind == "claim":
            # Without an id it could not be read again.
            (self._claims.add if has_failed and thread.id else self._claims.discard)(thread.id)
            return
        pack_id = whole_number(thread.id)
        if pack_id is not None and pack_id not in self.failed_orders:
            self._note_pack(pack_id, event.newest, has_failed=has_failed)
            if event.kind == "thread":
                self._sites.pop(pack_id, None)

    def state(self, since: datetime, started: datetime) -> SellerState:
        """Return the state after the run."""
        return SellerState(
            since=since,
            started=started,
            open_threads=still_open(self._threads, self._now),
            failed_claims=sorted(self._claims),
            failed_orders=sorted(self.failed_orders),
        )

    def _note_pack(self, pack_id: int, newest: datetime | None, *, has_failed: bool) -> None:
        """Keep a pack if the next run has to read it again.

        A thread that reads as empty keeps the date that is known of it: it had messages before.
        """
        known = self._threads.get(pack_id, OpenThread())
        thread = OpenThread(
            newest=newest or known.newest,
            site_id=self._sites.get(pack_id) or known.site_id,
            has_failed=has_failed,
        )
        is_dated = thread.newest is not None and still_open({pack_id: thread}, self._now)
        if has_failed or is_dated:
            self._threads[pack_id] = thread
        else:
            self._threads.pop(pack_id, None)
