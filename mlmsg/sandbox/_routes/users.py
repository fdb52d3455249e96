"""The accounts: `GET /users/me`, and the sellers of a Global Selling account.

Choices of the sandbox that the API does not document:

- only the fields that a messaging client needs are served
- another account than the token's, or a domestic one: 404
"""

from mlmsg.sandbox._http.access import check_token
from mlmsg.sandbox._http.exchange import Exchange, Route
from mlmsg.sandbox._http.responses import ErrorResponse, Response, json_response
from mlmsg.sandbox.schemas.users import Account, GlobalAccount
from mlmsg.sandbox.sites import GLOBAL_SELLING


async def get_me(exchange: Exchange) -> Response:
    """Handle `GET /users/me`."""
    market = exchange.settings.market
    return json_response(Account(market.user_id, market.nickname, market.site_id, market.tags))


async def get_global_account(exchange: Exchange) -> Response:
    """Handle `GET /marketplace/users/{user}`."""
    market, user_id = exchange.settings.market, exchange.request.match_info["user"]
    if user_id != str(market.user_id) or market.site_id != GLOBAL_SELLING:
        raise ErrorResponse(404, f"The user with id: {user_id} does not exist")
    return json_response(GlobalAccount(market.user_id, market.site_id, market.marketplaces))


ROUTES = (
    Route("GET", "/users/me", get_me, check_token),
    Route("GET", "/marketplace/users/{user}", get_global_account, check_token),
)
