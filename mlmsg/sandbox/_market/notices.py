"""The missed feeds of a market."""

from collections.abc import Sequence
from datetime import UTC

from mlmsg.sandbox._market.base import MarketBase, Setup
from mlmsg.sandbox.feeds import MissedFeed
from mlmsg.sandbox.schemas.dates import parse_date

_APPLICATION_ID = 1000000000000001
_ATTEMPTS = 8


class Notices(MarketBase):
    """The missed feeds of a market; see `Market`."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.missed_feeds: list[MissedFeed] = []

    def add_missed_feed(
        self,
        topic: str,
        resource: str,
        *,
        actions: Sequence[str] | None = None,
        user_id: int | None = None,
        application_id: int = _APPLICATION_ID,
        feed_id: str | None = None,
        attempts: int = _ATTEMPTS,
        at: str | None = None,
        is_swapped: bool | None = None,
    ) -> MissedFeed:
        """Add a notification that the application did not accept, and return it.

        Args:
            topic: The topic, such as `messages` or `marketplace_claims`.
            resource: The resource as the topic has it, such as `/marketplace/messages/{id}`.
            actions: The actions, such as `["created"]`; None for a topic without them.
            user_id: The seller; the account by default.
            application_id: The application; by default that of the sandbox's first grant.
            feed_id: The id; 32 hex digits by default. Give the id of another feed for one more
                entry of the same notification.
            attempts: The number of attempts.
            at: The date of the last attempt, such as `2020-03-13T15:14:10Z`; now by default.
            is_swapped: The entry has `_id` and `resource` swapped; by default those of the
                topics of Global Selling have.
        """
        feed = MissedFeed(
            id=feed_id or self._uuid("feed").hex,
            topic=topic,
            resource=resource,
            user_id=self.user_id if user_id is None else user_id,
            application_id=application_id,
            actions=None if actions is None else list(actions),
            attempts=attempts,
            sent=self.now() if at is None else parse_date(at).astimezone(UTC),
            is_swapped=topic.startswith("marketplace_") if is_swapped is None else is_swapped,
        )
        self.missed_feeds.append(feed)
        return feed
