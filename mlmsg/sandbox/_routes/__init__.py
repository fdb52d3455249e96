"""The handlers of every endpoint, one module for each document of the API.

A new family of endpoints is a module with `ROUTES`, and one more entry here.
"""

from mlmsg.sandbox._routes.claims import ROUTES as CLAIMS
from mlmsg.sandbox._routes.oauth import ROUTES as OAUTH
from mlmsg.sandbox._routes.pending import ROUTES as PENDING
from mlmsg.sandbox._routes.post_sale import ROUTES as POST_SALE

ROUTES = (*POST_SALE, *PENDING, *CLAIMS, *OAUTH)
