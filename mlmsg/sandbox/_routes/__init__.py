"""The handlers of every endpoint, one module for each document of the API.

A new family of endpoints is a module with `ROUTES`, and one more entry here.
"""

from mlmsg.sandbox._routes.action_guide import ROUTES as ACTION_GUIDE
from mlmsg.sandbox._routes.authorization import ROUTES as AUTHORIZATION
from mlmsg.sandbox._routes.claim_search import ROUTES as CLAIM_SEARCH
from mlmsg.sandbox._routes.claims import ROUTES as CLAIMS
from mlmsg.sandbox._routes.domestic import ROUTES as DOMESTIC
from mlmsg.sandbox._routes.feeds import ROUTES as FEEDS
from mlmsg.sandbox._routes.oauth import ROUTES as OAUTH
from mlmsg.sandbox._routes.order_search import ROUTES as ORDER_SEARCH
from mlmsg.sandbox._routes.orders import ROUTES as ORDERS
from mlmsg.sandbox._routes.pending import ROUTES as PENDING
from mlmsg.sandbox._routes.post_sale import ROUTES as POST_SALE
from mlmsg.sandbox._routes.users import ROUTES as USERS

ROUTES = (
    *POST_SALE,
    *PENDING,
    *DOMESTIC,
    *ACTION_GUIDE,
    *CLAIM_SEARCH,
    *CLAIMS,
    *ORDER_SEARCH,
    *ORDERS,
    *FEEDS,
    *USERS,
    *AUTHORIZATION,
    *OAUTH,
)
