"""The market of a sandbox: packs, orders, files, claims. Plain values, no I/O."""

from collections.abc import Callable
from datetime import datetime

from mlmsg.sandbox._market.base import Setup
from mlmsg.sandbox._market.claims import Claims
from mlmsg.sandbox._market.notices import Notices
from mlmsg.sandbox._market.sales import Sales
from mlmsg.sandbox.archive import Archive, EmptyArchive
from mlmsg.sandbox.clock import utc_now
from mlmsg.sandbox.sites import GLOBAL_SELLING

__all__ = ["Market"]


class Market(Sales, Claims, Notices):
    """All packs, orders, files, claims and missed feeds of one sandbox; change them at any time.

    Default ids are the same in every run, for the same steps.

    Args:
        user_id: The account whose tokens are accepted.
        site_id: The site of the account: `CBT` for Global Selling, any other for domestic.
        nickname: The nickname of the account.
        now: The clock of every date that is not given.
        archive: Packs, orders and claims that are made when they are asked for; see
            `generated_market`.

    Attributes:
        packs: The packs by id.
        files: The files of messages by id. The download of a removed file fails as that of a
            lost file does.
        orders: The orders by id.
        claims: The claims by id.
        missed_feeds: The notifications that the application did not accept.
        tags: The tags of the account.
        marketplaces: The sellers of a Global Selling account.
        denied: The ids of claims that the PolicyAgent denies to the seller, existing or not.
    """

    def __init__(
        self,
        *,
        user_id: int = 700100200,
        site_id: str = GLOBAL_SELLING,
        nickname: str = "TIENDA_EJEMPLO",
        now: Callable[[], datetime] = utc_now,
        archive: Archive | None = None,
    ) -> None:
        super().__init__(Setup(user_id, site_id, nickname, now, archive or EmptyArchive()))
