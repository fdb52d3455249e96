"""The account of the token (authorization guide, "Users")."""

from mlmsg import _operations
from mlmsg._misuse import explain_misuse
from mlmsg._session import Session
from mlmsg.models import MarketplaceSeller, Me

from ._seller import Seller

__all__ = ["Account"]


@explain_misuse("client.account")
class Account:
    """The account of the token."""

    def __init__(self, session: Session, seller: Seller) -> None:
        self._session = session
        self._seller = seller

    async def me(self) -> Me:
        """Return the account of the token: its id, nickname, site and tags.

        `me.global_selling` says which family of paths the account needs. The API is asked once; the
        client then remembers the answer.

        Raises:
            AuthenticationError: The token is not valid.
        """
        return await self._seller.me()

    async def sellers(self) -> list[MarketplaceSeller]:
        """Return the sellers of a Global Selling account, one for each site.

        Their `user_id` is the seller in the paths of `client.unread`, and their `site_id` is the
        site that a download asks for.

        Raises:
            NotFound: The account is not one of Global Selling: the hint says what to do.
        """
        user_id = await self._seller.user_id()
        return await self._session.send(_operations.marketplace_sellers(user_id))
