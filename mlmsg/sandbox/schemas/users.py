"""The JSON of the accounts: `GET /users/me` and `GET /marketplace/users/{id}`."""

from msgspec import Struct

__all__ = ["Account", "GlobalAccount", "MarketplaceSeller"]


class Account(Struct, frozen=True):
    """The account of a token; the API has many more fields, most of them personal data."""

    id: int
    nickname: str
    site_id: str
    tags: list[str]


class MarketplaceSeller(Struct, frozen=True):
    """A seller of a Global Selling account; `logistic_type` is `remote` or `fulfillment`."""

    user_id: int
    site_id: str
    logistic_type: str


class GlobalAccount(Struct, frozen=True):
    """A Global Selling account with its sellers."""

    user_id: int
    site_id: str
    marketplaces: list[MarketplaceSeller]
