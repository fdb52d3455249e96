"""The missed feeds of an application.

The documents give the parameters, the default of `limit`, the two days, and that the topic
`items` needs a `site_id`. Not verified, and choices of the sandbox:

- the feeds of the token's user are served, and those of its sellers of Global Selling
- the feeds are in the order of the market
- the largest limit is `Sandbox.max_limit`, or there is none
- the two days count from the last attempt
- a request without `app_id` and an unknown parameter: 400; an application without a grant: 403
"""

from mlmsg.sandbox._http.access import check_token
from mlmsg.sandbox._http.exchange import Exchange, Route
from mlmsg.sandbox._http.inputs import check_names, read_number
from mlmsg.sandbox._http.responses import ErrorResponse, Response, json_response
from mlmsg.sandbox.schemas.feeds import Feeds

_DEFAULT_LIMIT = 10
_NAMES = {"app_id", "topic", "limit", "offset", "site_id"}


async def list_feeds(exchange: Exchange) -> Response:
    """Handle `GET /missed_feeds?app_id=&topic=&limit=&offset=`."""
    parameters, market = exchange.request.query, exchange.settings.market
    check_names(exchange, _NAMES)
    application = _read_application(exchange)
    topic = parameters.get("topic")
    if topic == "items" and not parameters.get("site_id"):
        raise ErrorResponse(400, "The site_id param is required for the topic items")
    limit = read_number(exchange, "limit", _DEFAULT_LIMIT, 1)
    offset = read_number(exchange, "offset", 0, 0)
    cap = exchange.settings.max_limit
    limit = limit if cap is None else min(limit, cap)
    now, user_ids = market.now(), market.user_ids
    feeds = [
        feed
        for feed in market.missed_feeds
        if feed.is_kept(now)
        and feed.user_id in user_ids
        and str(feed.application_id) == application
        and topic in {None, feed.topic}
    ]
    return json_response(Feeds([feed.entry() for feed in feeds[offset : offset + limit]]))


ROUTES = (Route("GET", "/missed_feeds", list_feeds, check_token),)


def _read_application(exchange: Exchange) -> str:
    application = exchange.request.query.get("app_id", "")
    if not application:
        raise ErrorResponse(400, "The app_id param is required")
    if application not in {grant.client_id for grant in exchange.settings.grants}:
        raise ErrorResponse(403, f"The application {application} has no grant of the user")
    return application
