"""Check and build the queries of the searches ("Claims", search; "Orders", search). Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from ._arguments import as_index, check_int, closest_hint, shorten
from .errors import RuleError
from .rules import Family

__all__ = [
    "CLAIM_CAP",
    "CLAIM_LIMIT",
    "ORDER_CAP",
    "ORDER_LIMIT",
    "ROLES",
    "STATUSES",
    "check_filter",
    "claim_query",
    "claim_range",
    "order_query",
]

CLAIM_LIMIT = 100
"""Claims of the largest page."""

CLAIM_CAP = 10_000
"""`offset + limit` of a claim search stays below this. Not verified for Global Selling."""

ORDER_LIMIT = 50
"""Orders of the largest page that both documents allow."""

ORDER_CAP = 10_000
"""`offset + limit` of an order search is at most this. Not verified."""

_SHARED_FILTERS = frozenset(
    [
        "id",
        "type",
        "stage",
        "status",
        "resource",
        "resource_id",
        "reason_id",
        "site_id",
        "order_id",
        "pack_id",
        "date_created",
        "last_updated",
        "range",
        "sort",
    ]
)
_DOMESTIC_FILTERS = _SHARED_FILTERS | {"payment_id", "parent_id"}

_ID_FILTERS = frozenset(["id", "resource_id", "order_id", "pack_id", "payment_id", "parent_id"])
"""The filters that take a number. All others take a word."""

STATUSES = ("opened", "closed")
"""The statuses of claims. Not verified: whether a search without a status returns both."""

_WORDS: Mapping[str, Sequence[str]] = {"status": STATUSES, "stage": ("claim", "dispute")}
"""The documented words of filters. The documents do not say that these are all."""

ROLES = ("respondent", "complainant")
"""The roles that a seller can have in a claim: in a cancelled sale, the complainant."""


def claim_query(
    family: Family, user_id: int, role: str, limit: int, offset: int, filters: Mapping[str, object]
) -> dict[str, str]:
    """Return the query of a claim search.

    Raises:
        RuleError: A filter is unknown, a pair of filters is broken, or the window is out of range.
    """
    limit, offset = _check_window(family, limit, offset)
    given = {name: value for name, value in filters.items() if value is not None}
    _check_names(family, given)
    _check_pairs(given)
    if role not in ROLES:
        raise RuleError("`role` of a claim search", shorten(role), " or ".join(map(repr, ROLES)))
    owner = (
        {"players.role": role, "players.user_id": str(user_id)}
        if family is Family.DOMESTIC
        else {"user_id": str(user_id)}
    )
    texts = {name: check_filter(name, value) for name, value in given.items()}
    return owner | texts | {"limit": str(limit), "offset": str(offset)}


def check_filter(name: str, value: object) -> str:
    """Return the text of a filter. Reject another type, and a misspelled word.

    The API answers a misspelled word with an empty page. A word that resembles no documented one
    is not rejected, because the documents may not know it yet.
    """
    number = as_index(value)
    if number is not None and name in _ID_FILTERS:
        return str(number)
    known = _WORDS.get(name, ())
    if isinstance(value, str):
        hint = closest_hint(value, known, 0.75) if known and value not in known else ""
        if not hint:
            return str(value)
        raise RuleError(_in_search(name), shorten(value), " or ".join(map(repr, known)), hint)
    limit = "a str or an int" if name in _ID_FILTERS else "a str"
    raise RuleError(_in_search(name), shorten(value), limit)


def claim_range(field: str, begin: datetime, end: datetime | None) -> str:
    """Return a `range` filter. The API requires milliseconds.

    No document says whether the bounds are included: both are widened by a millisecond.
    """
    after = f"after:{_millis(begin - timedelta(milliseconds=1))}"
    before = "" if end is None else f",before:{_millis(end + timedelta(milliseconds=1))}"
    return f"{field}:{after}{before}"


def order_query(
    family: Family, user_id: int, begin: datetime, end: datetime | None, limit: int, offset: int
) -> dict[str, str]:
    """Return the query of an order search by the time of the last update.

    The domestic search ignores minutes, so the bounds are widened to full hours.
    """
    is_domestic = family is Family.DOMESTIC
    field = "order.date_last_updated" if is_domestic else "last_updated"
    query = {f"{field}.from": _millis(_hour(begin))}
    if end is not None:
        query[f"{field}.to"] = _millis(_hour(end + timedelta(hours=1) - timedelta(milliseconds=1)))
    if is_domestic:
        query["seller"] = str(user_id)
    return query | {"sort": "date_asc", "limit": str(limit), "offset": str(offset)}


def _check_window(family: Family, limit: int, offset: int) -> tuple[int, int]:
    limit = check_int("`limit` of a claim search", limit, 1, CLAIM_LIMIT)
    offset = check_int("`offset` of a claim search", offset, 0)
    if family is Family.DOMESTIC and offset + limit >= CLAIM_CAP:
        hint = "Use client.claims.all, which cuts the time into slices"
        limit_text = f"under {CLAIM_CAP}"
        raise RuleError(
            "`offset` + `limit` of a claim search", str(offset + limit), limit_text, hint
        )
    return limit, offset


def _check_names(family: Family, given: Mapping[str, object]) -> None:
    known = _DOMESTIC_FILTERS if family is Family.DOMESTIC else _SHARED_FILTERS
    for name in given:
        if name not in known:
            hint = closest_hint(name, known)
            raise RuleError("filter of a claim search", repr(name), ", ".join(sorted(known)), hint)


def _check_pairs(given: Mapping[str, object]) -> None:
    if "resource_id" in given and "resource" not in given:
        raise RuleError("`resource_id` of a claim search", "no `resource`", "both of them")
    if "order_id" in given and "pack_id" in given:
        raise RuleError("filters of a claim search", "`order_id` and `pack_id`", "one of them")


def _in_search(name: str) -> str:
    return f"`{name}` of a claim search"


def _millis(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
