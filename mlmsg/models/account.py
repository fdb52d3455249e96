"""The account of a token, and the sellers of a Global Selling account."""

import msgspec

__all__ = ["MarketplaceSeller", "Me"]


class Me(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The account that the token belongs to (`GET /users/me`).

    The API sends much personal data beside these fields. It is not kept.

    Attributes:
        id: The user's id.
        nickname: The public name of the account.
        site_id: The site of the account: `CBT` for Global Selling, otherwise `MLM`, `MLB`, …
        tags: Labels that the API gives to the account.
    """

    id: int
    nickname: str | None = None
    site_id: str | None = None
    tags: list[str] = msgspec.field(default_factory=list)

    @property
    def global_selling(self) -> bool:
        """True if this is a Global Selling account."""
        return (self.site_id or "").upper() == "CBT"


class MarketplaceSeller(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The seller of a Global Selling account on one site (`GET /marketplace/users/{user}`).

    Attributes:
        user_id: The seller's id, as it stands in the path of an unread thread.
        site_id: The seller's site, which the download of a file asks for.
        logistic_type: `remote` or `fulfillment`.
    """

    user_id: int
    site_id: str | None = None
    logistic_type: str | None = None
