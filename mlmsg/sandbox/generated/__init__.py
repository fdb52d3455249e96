"""A market of any size, derived from a seed."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from mlmsg.sandbox.claim_rows import ClaimRow
from mlmsg.sandbox.claims import Claim
from mlmsg.sandbox.clock import utc_now
from mlmsg.sandbox.generated.claim_facts import claim_rows
from mlmsg.sandbox.generated.claims import GeneratedClaims
from mlmsg.sandbox.generated.files import MIN_BYTES
from mlmsg.sandbox.generated.plan import Plan, Seller
from mlmsg.sandbox.generated.sales import GeneratedOrders, order_rows, sale_rows
from mlmsg.sandbox.generated.threads import GeneratedFiles, GeneratedPacks
from mlmsg.sandbox.market import Market
from mlmsg.sandbox.orders import SaleRow
from mlmsg.sandbox.schemas.dates import to_milliseconds
from mlmsg.sandbox.schemas.users import MarketplaceSeller
from mlmsg.sandbox.sites import GLOBAL_SELLING, SITES

__all__ = ["GeneratedArchive", "generated_market"]

_SELLER_ID = 700500200
_NICKNAME = "TIENDA_GENERADA"
# The sites with sellers of Global Selling.
_GLOBAL_SITES = ("MLM", "MLB", "MLC", "MCO")
_MAX_FILES_PER_MESSAGE = 25
# The largest file of a claim.
_MAX_BYTES = 5 * 1024 * 1024


def generated_market(
    packs: int = 100,
    claims: int = 10,
    files: int = 1,
    seed: int = 1,
    *,
    site_id: str = GLOBAL_SELLING,
    messages: int = 3,
    file_bytes: int = 2048,
    unread: int = 10,
    days: int = 90,
    end: datetime | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Market:
    """Return a market of any size, whose packs, files, orders and claims are made on demand.

    The same arguments give the same market. It takes little memory: only what a test asks for
    by `market.packs[...]` and its like, or changes by a request, is kept. All of it can be
    changed as in any other market, and the searches see each change.

    One sale in ten is a cart of two or three orders, and one in ten is an order without a pack,
    whose id is that of the thread. One in forty is cancelled, and hidden by the search. One claim
    in twenty is about a sale that the seller cancelled, where the seller is the complainant; half
    of all claims are closed, and one in five is a dispute. All threads are active.

    Args:
        packs: The number of threads; `market.orders` has some more.
        claims: The number of claims, each of one of the sales.
        files: The number of files of each thread, and of each claim.
        seed: The number from which everything is derived.
        site_id: The site of the account; `CBT` is Global Selling, with a seller in each of
            MLM, MLB, MLC and MCO.
        messages: The number of messages of each thread, and of each claim.
        file_bytes: The size of each file in bytes: a valid JPEG, PNG or PDF.
        unread: The number of threads, the newest ones, whose newest message is unread.
        days: The days from the oldest sale or claim to `end`.
        end: The date before which everything happened; by default the last whole hour.
        now: The clock of the market.

    Raises:
        ValueError: An argument is out of its range, or the site is unknown.
    """
    _check_numbers(packs=packs, claims=claims, files=files, unread=unread)
    _check_range("messages", messages, 1, 1000)
    _check_range("days", days, 1, 3650)
    _check_range("files", files, 0, messages * _MAX_FILES_PER_MESSAGE)
    _check_range("file_bytes", file_bytes, MIN_BYTES, _MAX_BYTES)
    _check_site(site_id)
    end = (end or now()).replace(minute=0, second=0, microsecond=0)
    plan = Plan(
        packs=packs,
        claims=claims,
        files=files,
        messages=messages,
        file_bytes=file_bytes,
        unread=unread,
        seed=seed,
        user_id=_SELLER_ID,
        sellers=_sellers(site_id),
        start=to_milliseconds(end - timedelta(days=days)),
        end=to_milliseconds(end),
    )
    archive = GeneratedArchive(plan, site_id)
    market = Market(
        user_id=_SELLER_ID, site_id=site_id, nickname=_NICKNAME, now=now, archive=archive
    )
    if site_id == GLOBAL_SELLING:
        market.marketplaces += [
            MarketplaceSeller(seller.user_id, seller.site_id, "remote") for seller in plan.sellers
        ]
    return market


class GeneratedArchive:
    """The packs, files, orders and claims of a plan; see `Archive`."""

    def __init__(self, plan: Plan, site_id: str) -> None:
        self._plan = plan
        self.files: GeneratedFiles = GeneratedFiles(plan)
        self.packs: GeneratedPacks = GeneratedPacks(plan, self.files, site_id, _NICKNAME)
        self.orders: GeneratedOrders = GeneratedOrders(plan)
        self.claims: GeneratedClaims = GeneratedClaims(plan)

    def unread_packs(self) -> Iterator[str]:
        """Yield the ids of the packs with unread messages to the seller, the newest one last."""
        plan = self._plan
        unread = range(max(0, plan.packs - plan.unread), plan.packs)
        return (str(plan.sale(number).thread_id) for number in unread)

    def pack_of_message(self, message_id: str) -> str | None:
        """Return the id of the pack that may contain this message, or None."""
        return self.packs.pack_of_message(message_id)

    def orders_of(self, thread_id: str) -> list[str]:
        """Return the ids of the orders of a thread."""
        return self.packs.orders_of(thread_id)

    def thread_of(self, order_id: str) -> str:
        """Return the id of the thread of one of the orders."""
        sale = self.orders.sale(order_id)
        if sale is None:
            raise KeyError(order_id)
        return str(sale.thread_id)

    def outline(self, claim_id: str) -> Claim | None:
        """Return a claim without its messages and files, or None."""
        return self.claims.outline(claim_id)

    def order_rows(self) -> Sequence[SaleRow]:
        """Return a row for each order."""
        return order_rows(self._plan)

    def sale_rows(self) -> Sequence[SaleRow]:
        """Return a row for the orders of each thread."""
        return sale_rows(self._plan)

    def claim_rows(self) -> Sequence[ClaimRow]:
        """Return a row for each claim."""
        return claim_rows(self._plan)


def _sellers(site_id: str) -> tuple[Seller, ...]:
    if site_id != GLOBAL_SELLING:
        return (Seller(_SELLER_ID, site_id),)
    return tuple(
        Seller(_SELLER_ID + number, site) for number, site in enumerate(_GLOBAL_SITES, start=1)
    )


def _check_site(site_id: str) -> None:
    if site_id != GLOBAL_SELLING and site_id not in SITES:
        raise ValueError(f"site_id must be CBT or the id of a site, not {site_id!r}")


def _check_numbers(**numbers: int) -> None:
    for name, number in numbers.items():
        _check_range(name, number, 0, 10_000_000)


def _check_range(name: str, number: int, minimum: int, maximum: int) -> None:
    if not minimum <= number <= maximum:
        raise ValueError(f"{name} must be {minimum} to {maximum}, not {number}")
