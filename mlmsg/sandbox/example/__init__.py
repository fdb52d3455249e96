"""The market of a default Sandbox: small, believable, and the same in every run."""

from datetime import timedelta
from importlib import resources

from mlmsg.sandbox.example.claims import CLAIMS, ClaimScript, ScriptedClaimMessage
from mlmsg.sandbox.example.domestic import DOMESTIC_CLAIM_ID, DOMESTIC_THREADS, DomesticThread
from mlmsg.sandbox.example.threads import THREADS, ScriptedMessage, ThreadScript
from mlmsg.sandbox.market import Market
from mlmsg.sandbox.orders import CANCELLED
from mlmsg.sandbox.schemas.dates import format_claim_date, format_utc, parse_date
from mlmsg.sandbox.schemas.users import MarketplaceSeller
from mlmsg.sandbox.sites import GLOBAL_SELLING, SITES

__all__ = ["example_market"]

_SELLER_ID = 700100200
_DOMESTIC_SELLER_ID = 700400300
_CREATED = "2026-02-01T08:00:00Z"
_FIRST_ORDER_ID = 2000006001000000

# Read on import, which reads files anyway: later, on the event loop, reading would block.
_FILES = {
    file.source: (resources.files(__package__) / "files" / file.source).read_bytes()
    for script in (*THREADS, *CLAIMS)
    for message in script.messages
    for file in message.files
}


def example_market(site_id: str = GLOBAL_SELLING) -> Market:
    """Return a new example market: of a Global Selling seller, or of a domestic one.

    By default it has 4 packs, 30 messages, 9 files and 3 claims of a Global Selling seller. All
    of it is invented, and its ids and dates are constant.

    | pack | site | buyer | messages | files |
    |---|---|---|---|---|
    | 2000007001000011 | MLM | Mariana | 14: a delay, then a broken mug | 2 JPEG, 1 PNG, 1 PDF |
    | 2000007001000022 | MLB | Beatriz | 8, in Portuguese: a dead coffee maker | 1 JPEG, 1 PDF |
    | 2000007001000033 | MCO | Camila | 5: shoes of the wrong size | 1 PNG, 1 PDF with a threat |
    | 2000007001000044 | MLA | Lucía | 3: a lamp on its way | 1 PDF |

    Only the newest message of each pack is unread. In the last two packs it is one to the seller.
    Each pack has one order, and the second one is a cart of two.

    | claim | stage | messages | files |
    |---|---|---|---|
    | 5204000011 | claim | 5: a broken mug again | 2 JPEG, 1 PNG, 1 PDF |
    | 5204000022 | dispute | 6, in Portuguese, some with a mediator | 1 JPEG, 1 PDF |
    | 5204000033 | claim, of "Claims 1.0" | 2: shoes not yet exchanged | 1 PDF |

    The files are real ones of 1 to 30 KB, read when the package is imported.

    With another `site_id`, such as `MLB`, the market has 9 packs of a domestic seller. Blocked
    threads have a substatus for each advice that a client can give:

    | pack | thread | messages |
    |---|---|---|
    | 2000007002000011 | active | 2, the newest one an unread question of the buyer |
    | 2000007002000022 | active, with a messaging agent | 1, from the agent, unread |
    | 2000007002000033 | active, with a messaging agent | 0 |
    | 2000007002000044 | blocked_by_conversation_initiated_by_seller_limited: reason | 0 |
    | 2000007002000055 | blocked_by_conversation_use_message_api: reply | 1, unread |
    | 2000007002000066 | blocked_by_time: wait | 2, the newest one unread |
    | 2000007002000077 | blocked_by_mediation: claim, with claim 5204000044 | 1 |
    | 2000007002000088 | blocked_by_payment: later | 0 |
    | 2000007002000099 | blocked_by_cancelled_order: final | 1 |

    Each pack has an order, which is cancelled in the last one.

    The orders are of the days before the market was made, because a search reaches back twelve
    months: the first one is of yesterday, the second one of the day before.

    Args:
        site_id: The site of the account; `CBT` is Global Selling.

    Raises:
        ValueError: The site is unknown.
    """
    if site_id == GLOBAL_SELLING:
        return _global_market()
    if site_id not in SITES:
        raise ValueError(f"site_id must be CBT or the id of a site, not {site_id!r}")
    return _domestic_market(site_id)


def _global_market() -> Market:
    market = Market(user_id=_SELLER_ID)
    market.marketplaces = [
        MarketplaceSeller(_SELLER_ID, thread.site_id, "remote") for thread in THREADS
    ]
    for thread in THREADS:
        _add_thread(market, thread)
    for claim in CLAIMS:
        _add_claim(market, claim)
    _add_orders(market)
    market.add_order(_FIRST_ORDER_ID + 100, pack_id=THREADS[1].pack_id, at=_days_ago(market, 2))
    return market


def _domestic_market(site_id: str) -> Market:
    market = Market(user_id=_DOMESTIC_SELLER_ID, site_id=site_id, nickname="LOJA_EXEMPLO")
    for thread in DOMESTIC_THREADS:
        _add_domestic_thread(market, thread)
    claim = market.add_claim(
        DOMESTIC_CLAIM_ID,
        stage="dispute",
        site_id=site_id,
        at=format_claim_date(parse_date(_CREATED)),
    )
    market.add_claim_message(
        claim.id,
        "Não recebi a compra." if site_id == "MLB" else "No recibí la compra.",
        receiver="mediator",
        at=claim.date_created,
    )
    _add_orders(market)
    market.orders[str(_FIRST_ORDER_ID + len(DOMESTIC_THREADS))].status = CANCELLED
    return market


def _add_orders(market: Market) -> None:
    """Add an order for each pack: the one of the first pack yesterday, the others before it."""
    for number, pack_id in enumerate(market.packs, start=1):
        market.add_order(_FIRST_ORDER_ID + number, pack_id=pack_id, at=_days_ago(market, number))


def _days_ago(market: Market, days: int) -> str:
    noon = market.now().replace(hour=12, minute=0, second=0, microsecond=0)
    return format_claim_date(noon - timedelta(days=days))


def _add_domestic_thread(market: Market, thread: DomesticThread) -> None:
    pack = market.add_pack(
        thread.pack_id,
        site_id=market.site_id,
        buyer_id=thread.buyer_id,
        buyer_name=thread.buyer_name,
        seller_name=market.nickname,
        status_date=_CREATED,
        claim_ids=None if thread.claim_id is None else [thread.claim_id],
    )
    if thread.is_mediated:
        market.migrate(pack.id)
    read_dates = [at for at, _, _ in thread.messages[1:]] + [None]
    for (at, author, (spanish, portuguese)), read in zip(thread.messages, read_dates, strict=False):
        text = portuguese if market.site_id == "MLB" else spanish
        market.add_message(pack.id, text, author=author, at=at, read=read)
    if thread.substatus is not None:
        market.block(pack.id, thread.substatus, at=_CREATED)


def _add_thread(market: Market, script: ThreadScript) -> None:
    pack = market.add_pack(
        script.pack_id,
        site_id=script.site_id,
        buyer_id=script.buyer_id,
        buyer_name=script.buyer_name,
        seller_name=script.seller_name,
        shipping_id=script.shipping_id,
        status_date=script.messages[0].at,
    )
    # A message was read when the next one was written, so only the newest is unread.
    read_dates = [message.at for message in script.messages[1:]] + [None]
    for message, read in zip(script.messages, read_dates, strict=True):
        market.add_message(
            pack.id,
            message.text,
            author=message.author,
            text_translated=message.translated,
            attachments=_add_files(market, message, pack.person(message.author).user_id),
            at=message.at,
            read=read,
        )


def _add_files(market: Market, message: ScriptedMessage, user_id: int) -> list[str]:
    return [
        market.add_file(
            _FILES[file.source],
            file.original_filename,
            file.content_type,
            user_id=user_id,
            potential_security_threat=file.potential_security_threat,
            creation_date=message.at,
        ).id
        for file in message.files
    ]


def _add_claim(market: Market, script: ClaimScript) -> None:
    claim = market.add_claim(
        script.claim_id,
        stage=script.stage,
        site_id=script.site_id,
        complainant_id=script.complainant_id,
        mediator_id=script.mediator_id,
        version_1=script.version_1,
        at=script.messages[0].at,
    )
    read_dates = [format_utc(parse_date(message.at)) for message in script.messages[1:]] + [None]
    for message, read in zip(script.messages, read_dates, strict=True):
        market.add_claim_message(
            claim.id,
            message.text,
            sender=message.sender,
            receiver=message.receiver,
            translated_message=message.translated,
            attachments=_add_claim_files(market, claim.id, message),
            at=message.at,
            read=read,
            stage=message.stage,
        )


def _add_claim_files(market: Market, claim_id: str, message: ScriptedClaimMessage) -> list[str]:
    return [
        market.add_claim_file(
            claim_id,
            _FILES[file.source],
            file.original_filename,
            file.content_type,
            at=message.at,
        ).file_name
        for file in message.files
    ]
