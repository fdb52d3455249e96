"""The search of claims, under `/post-purchase/v1` and under `/marketplace/v2`.

The documents give the filters of both, the pairs of domestic filters, and the limits of the
page. Not verified, and choices of the sandbox:

- the pairs, the need of a filter and the cap of `offset` apply to Global Selling as well
- `range` is no filter of its own; it may occur twice, and needs one of its two bounds
- a bound of `range` is outside of it (`Sandbox.range_bounds`)
- `date_created` and `last_updated` as filters are exact
- the default order is `date_created:desc`; claims of the same date are in the order of their ids
- the cap of `offset` applies to the limit that was applied
- a parameter that is unknown, and a value that cannot be: 400
- the search finds the claims of the token's user only, and none of `Market.denied`
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

from mlmsg.sandbox._http.exchange import Exchange, Route
from mlmsg.sandbox._http.inputs import NUMBER
from mlmsg.sandbox._http.responses import ErrorResponse, Response, json_response
from mlmsg.sandbox._routes.claims import check_claims_token
from mlmsg.sandbox.claim_rows import ClaimRow
from mlmsg.sandbox.schemas.claims import ClaimPage, Role
from mlmsg.sandbox.schemas.dates import LAST_MILLISECOND, parse_date, to_milliseconds
from mlmsg.sandbox.schemas.packs import Paging
from mlmsg.sandbox.searching import Condition, Query, Span, equal

_DEFAULT_LIMIT = 30
_MAX_LIMIT = 100
_MAX_END = 10_000

_TEXTS = ("type", "stage", "status", "resource", "reason_id", "site_id")
_NUMBERS = ("id", "resource_id", "order_id", "pack_id", "payment_id", "parent_id")
_DATES = ("date_created", "last_updated")
_PAGING = ("limit", "offset", "sort", "range")
_ROLES: tuple[Role, ...] = get_args(Role)

_SORT = re.compile(r"(date_created|last_updated):(asc|desc)")
# Milliseconds are required, and a zone as the sandbox's own choice.
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:Z|[+-]\d\d:?\d\d)")


@dataclass(frozen=True, slots=True)
class _Family:
    """The names of the filters of one family.

    Attributes:
        filters: The filters of texts, numbers and dates.
        user_id: The filter of a player.
        role: The role of that player.
        needs_both: Neither of the two may be missing if the other one is there.
        any_user_id: The filter of a player in any role.
    """

    filters: frozenset[str]
    user_id: str
    role: str
    needs_both: bool
    any_user_id: str | None = None

    @property
    def all_filters(self) -> frozenset[str]:
        """The names of all filters."""
        players = {self.user_id, self.role, self.any_user_id or self.user_id}
        return self.filters | players


_DOMESTIC = _Family(
    frozenset([*_TEXTS, *_NUMBERS, *_DATES]), "players.user_id", "players.role", needs_both=True
)
_GLOBAL_SELLING = _Family(
    frozenset([*_TEXTS, *_NUMBERS, *_DATES]) - {"payment_id", "parent_id"},
    "player_user_id",
    "player_role",
    needs_both=False,
    any_user_id="user_id",
)


async def search_domestic(exchange: Exchange) -> Response:
    """Handle `GET /post-purchase/v1/claims/search`."""
    return _search(exchange, _DOMESTIC)


async def search_global(exchange: Exchange) -> Response:
    """Handle `GET /marketplace/v2/claims/search`."""
    return _search(exchange, _GLOBAL_SELLING)


ROUTES = (
    Route("GET", "/post-purchase/v1/claims/search", search_domestic, check_claims_token),
    Route("GET", "/marketplace/v2/claims/search", search_global, check_claims_token),
)


def _search(exchange: Exchange, family: _Family) -> Response:
    parameters = exchange.request.query
    _check_names(parameters, family)
    _check_pairs(parameters, family)
    limit, offset = _read_page(parameters)
    sort, direction = _read_sort(parameters)
    market = exchange.settings.market
    is_inclusive = exchange.settings.range_bounds == "inclusive"
    query = Query(
        conditions=(
            _own_claims(market.user_id, frozenset(map(str, market.denied))),
            *_conditions(parameters, family),
        ),
        spans=tuple(_read_range(text, is_inclusive) for text in parameters.getall("range", [])),
        sort=sort,
        is_descending=direction == "desc",
        offset=offset,
        limit=limit,
    )
    found = market.search_claims(query)
    return json_response(ClaimPage(Paging(limit, offset, found.total), found.rows))


def _check_names(parameters: Mapping[str, str], family: _Family) -> None:
    for name in parameters:
        if name not in family.all_filters and name not in _PAGING:
            raise _invalid_parameters(f"unknown parameter: {name}")
    if not family.all_filters.intersection(parameters):
        names = ", ".join(sorted(family.all_filters))
        raise _refusal("invalid_query", f"at least any of these filters: {names}")


def _check_pairs(parameters: Mapping[str, str], family: _Family) -> None:
    has_user, has_role = family.user_id in parameters, family.role in parameters
    if has_role and not has_user:
        raise _invalid_parameters(f"{family.role} needs {family.user_id}")
    if family.needs_both and has_user and not has_role:
        raise _invalid_parameters(f"{family.user_id} needs {family.role}")
    has_player = has_user or family.any_user_id in parameters
    if "resource_id" in parameters and "resource" not in parameters:
        raise _invalid_parameters("resource_id needs resource")
    if "resource" in parameters and not ("resource_id" in parameters or has_player):
        raise _invalid_parameters("resource needs resource_id or a player")
    if "order_id" in parameters and "pack_id" in parameters:
        raise _invalid_parameters("order_id and pack_id exclude each other")


def _read_page(parameters: Mapping[str, str]) -> tuple[int, int]:
    limit = _read_number(parameters.get("limit", str(_DEFAULT_LIMIT)), "limit", 1)
    offset = _read_number(parameters.get("offset", "0"), "offset", 0)
    limit = min(limit, _MAX_LIMIT)
    if offset + limit >= _MAX_END:
        raise _invalid_parameters(f"offset + limit must be less than {_MAX_END}")
    return limit, offset


def _read_number(text: str, name: str, minimum: int) -> int:
    if not NUMBER.fullmatch(text) or int(text) < minimum:
        raise _invalid_parameters(f"{name} must be a number of at least {minimum}")
    return int(text)


def _read_sort(parameters: Mapping[str, str]) -> tuple[str, str]:
    match = _SORT.fullmatch(parameters.get("sort", "date_created:desc"))
    if match is None:
        raise _invalid_parameters("sort must be date_created or last_updated, :asc or :desc")
    return match[1], match[2]


def _read_range(text: str, is_inclusive: bool) -> Span:
    name, _, bounds = text.partition(":")
    dates = {}
    for bound in bounds.split(","):
        side, _, date = bound.partition(":")
        if name not in _DATES or side not in {"after", "before"} or side in dates:
            raise _invalid_parameters("range must be FIELD:after:DATE,before:DATE")
        dates[side] = _read_date(date, "range")
    first, last = dates.get("after", 0), dates.get("before", LAST_MILLISECOND)
    return Span(name, first, last) if is_inclusive else Span(name, first + 1, last - 1)


def _read_date(text: str, name: str) -> int:
    try:
        if _DATE.fullmatch(text):
            return to_milliseconds(parse_date(text))
    except ValueError:
        pass
    raise _invalid_parameters(f"{name} needs dates as 2026-03-19T12:31:54.000+00:00")


def _own_claims(user_id: int, denied: frozenset[str]) -> Condition[ClaimRow]:
    return Condition(
        ("own", user_id, denied),
        lambda row: user_id in row.user_ids and str(row.id) not in denied,
    )


def _conditions(parameters: Mapping[str, str], family: _Family) -> Iterator[Condition[ClaimRow]]:
    for name in sorted(family.filters.intersection(parameters)):
        yield equal(name, _read_value(name, parameters[name]))
    if family.user_id in parameters:
        user_id = _read_user_id(parameters, family.user_id)
        yield _player(user_id, _read_role(parameters, family))
    if family.any_user_id is not None and family.any_user_id in parameters:
        yield _player(_read_user_id(parameters, family.any_user_id), None)


def _read_value(name: str, text: str) -> str | int:
    if name in _DATES:
        return _read_date(text, name)
    if name in _NUMBERS:
        return _read_number(text, name, 1)
    return text


def _read_user_id(parameters: Mapping[str, str], name: str) -> int:
    return _read_number(parameters[name], name, 1)


def _read_role(parameters: Mapping[str, str], family: _Family) -> Role | None:
    text = parameters.get(family.role)
    role = next((role for role in _ROLES if role == text), None)
    if text is not None and role is None:
        raise _invalid_parameters(f"{family.role} must be one of {', '.join(_ROLES)}")
    return role


def _player(user_id: int, role: Role | None) -> Condition[ClaimRow]:
    if role is None:
        return Condition(("player", user_id), lambda row: user_id in row.user_ids)
    return equal(role, user_id)


def _invalid_parameters(message: str) -> ErrorResponse:
    return _refusal("invalid_params", message)


def _refusal(error: str, message: str) -> ErrorResponse:
    return ErrorResponse(400, message, body={"error": error, "message": message})
