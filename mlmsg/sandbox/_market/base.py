"""The account, the clock and the ids that all parts of a market share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import PurePosixPath
from uuid import UUID, uuid5

from mlmsg.sandbox.archive import Archive
from mlmsg.sandbox.schemas.dates import format_utc
from mlmsg.sandbox.schemas.users import MarketplaceSeller

# Ids derive from a counter, so that the same steps give the same ids in every run.
_IDS = UUID("6d6c6d73-6700-5000-8000-73616e64626f")
_MAX_EXTENSION = 10


@dataclass(frozen=True, slots=True)
class Setup:
    """The arguments of a `Market`."""

    user_id: int
    site_id: str
    nickname: str
    now: Callable[[], datetime]
    archive: Archive


class MarketBase:
    """The account of a market; see `Market`."""

    def __init__(self, setup: Setup) -> None:
        self.user_id: int = setup.user_id
        self.site_id: str = setup.site_id
        self.nickname: str = setup.nickname
        self.tags: list[str] = ["normal", "test_user"]
        self.marketplaces: list[MarketplaceSeller] = []
        self._now = setup.now
        self._archive = setup.archive
        self._serial = count(1)

    @property
    def user_ids(self) -> frozenset[int]:
        """The ids of the account and of its sellers of Global Selling."""
        return frozenset({self.user_id, *(seller.user_id for seller in self.marketplaces)})

    def now(self) -> datetime:
        """Return the present time of the market, in UTC."""
        return self._now().astimezone(UTC)

    def date(self) -> str:
        """Return the present time in the format of the API, such as `2020-03-13T15:14:10Z`."""
        return format_utc(self._now())

    def _uuid(self, kind: str) -> UUID:
        return uuid5(_IDS, f"{kind} {next(self._serial)}")


def extension(filename: str) -> str:
    """Return the extension of a name with its dot, or an empty text if it is not a plain one."""
    suffix = PurePosixPath(filename).suffix
    plain = suffix.isascii() and suffix[1:].isalnum() and len(suffix) <= _MAX_EXTENSION
    return suffix if plain else ""
