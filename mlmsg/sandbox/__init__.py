"""An in-process Mercado Libre: a real HTTP server on loopback with the rules of the API.

For tests, examples and demos. It is written from the API's documents alone and imports nothing
of the client, so that a wrong path or a wrong field cannot pass its own test.

It serves both families of sellers over one market. `Sandbox()` has a Global Selling seller,
`Sandbox(market=example_market(site_id="MLB"))` a domestic one, with a blocked thread for each
advice. `Sandbox(market=generated_market(packs=10_000, claims=500))` has as many sales as
a test wants, made when they are asked for. `Market.block`, `Market.migrate` and `Pack.guide`
prepare other states of a thread.

The threads of every market are served on the paths of both families: a Global Selling client can
read and send in a domestic market, and the other way round. What the API answers there is unknown.

    async with Sandbox() as sandbox:
        sandbox.inject(Fault(status=429, headers={"Retry-After": "1"}, path="/packs/"))
        sandbox.rate = RateLimit(reads=10)
        ...  # call sandbox.url with sandbox.token
        sandbox.expire()  # until the client refreshes sandbox.grant
"""

from mlmsg.sandbox._http.exchange import RecordedRequest, SendAnswer
from mlmsg.sandbox.action_guide import ActionGuide
from mlmsg.sandbox.claims import Claim, ClaimFile
from mlmsg.sandbox.clock import Clock
from mlmsg.sandbox.example import example_market
from mlmsg.sandbox.faults import Action, Fault
from mlmsg.sandbox.feeds import MissedFeed
from mlmsg.sandbox.generated import generated_market
from mlmsg.sandbox.grants import Grant
from mlmsg.sandbox.market import Market
from mlmsg.sandbox.orders import Order
from mlmsg.sandbox.packs import Author, Pack, StoredFile
from mlmsg.sandbox.rates import RateLimit
from mlmsg.sandbox.schemas.action_guide import Option, Template, Variable
from mlmsg.sandbox.schemas.claims import (
    AvailableAction,
    ClaimAttachment,
    ClaimMessage,
    ClaimModeration,
    Player,
)
from mlmsg.sandbox.schemas.packs import (
    Attachment,
    ConversationStatus,
    Message,
    MessageDate,
    Moderation,
    Person,
    Resource,
)
from mlmsg.sandbox.schemas.unread import UnreadCount
from mlmsg.sandbox.schemas.users import MarketplaceSeller
from mlmsg.sandbox.server import Sandbox

__all__ = [
    "Action",
    "ActionGuide",
    "Attachment",
    "Author",
    "AvailableAction",
    "Claim",
    "ClaimAttachment",
    "ClaimFile",
    "ClaimMessage",
    "ClaimModeration",
    "Clock",
    "ConversationStatus",
    "Fault",
    "Grant",
    "Market",
    "MarketplaceSeller",
    "Message",
    "MessageDate",
    "MissedFeed",
    "Moderation",
    "Option",
    "Order",
    "Pack",
    "Person",
    "Player",
    "RateLimit",
    "RecordedRequest",
    "Resource",
    "Sandbox",
    "SendAnswer",
    "StoredFile",
    "Template",
    "UnreadCount",
    "Variable",
    "example_market",
    "generated_market",
]
