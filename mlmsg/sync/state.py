"""The state that lies in the target beside the manifests, so that a later run can read less."""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from .target import Target

__all__ = ["OpenThread", "SellerState", "read_state", "state_key", "still_open", "write_state"]

VERSION = 1

FOLDER = "state"
"""The folder of the states in the target."""


class OpenThread(msgspec.Struct, frozen=True, kw_only=True):
    """A thread of a pack that is read again in the next run.

    Attributes:
        newest: The time of its newest message; None if it could not be read.
        site_id: The site of its files, or None.
    """

    newest: datetime | None = None
    site_id: str | None = None


class SellerState(msgspec.Struct, frozen=True, kw_only=True):
    """The end of the last complete run for one seller.

    Attributes:
        since: The first moment that all runs together have covered.
        started: The start of the last complete run.
        open_threads: Threads that can get new messages without an update of their sale, by pack.
        failed_claims: Claims that could not be read.
        version: The version of this format.
    """

    since: datetime
    started: datetime
    open_threads: dict[str, OpenThread] = {}
    failed_claims: list[str] = []
    version: int = VERSION


def state_key(user_id: int) -> str:
    """Return the key of a seller's state in the target."""
    return f"{FOLDER}/{user_id}.json"


async def read_state(target: Target, key: str) -> SellerState | None:
    """Return the state, or None if there is none that can be read: then everything is read."""
    data = (await target.load(key, (FOLDER,))).manifest
    if data is None:
        return None
    try:
        state = msgspec.json.decode(data, type=SellerState)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return state if state.version == VERSION else None


async def write_state(target: Target, key: str, state: SellerState) -> None:
    """Write the state."""
    data = msgspec.json.format(msgspec.json.encode(state), indent=1)
    await target.update(key, (), lambda _: data)


def still_open(
    threads: Mapping[str, OpenThread], now: datetime, days: int
) -> dict[str, OpenThread]:
    """Return the threads whose newest message is younger than `days`, and those never read."""
    return {
        pack: thread
        for pack, thread in threads.items()
        if thread.newest is None or (now - thread.newest.astimezone(UTC)).days < days
    }
