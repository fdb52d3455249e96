"""Rows of a list that are no objects: they are left out with a warning, or are an error."""

import json
import logging
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

import msgspec
import pytest
from calls import TOKEN, connect
from rawserver import Peer, Step, raw_server

from mlmsg import Client, DecodeError, Message, OrdersUnreadable, _lenient, _operations
from mlmsg._decoders import claim_page
from mlmsg._rows import Rows
from mlmsg._wire import Request, Response, decode
from mlmsg.client.notifications import MAX_PAGES_WITHOUT_OBJECTS
from mlmsg.paging import walk

ODD: Final[list[object]] = [None, 5, "x", True, [], ["x"]]


class Listing(NamedTuple):
    """A list: the request, the body with some rows, and the place of the row of index 1."""

    request: Request[Any]
    body: Callable[[list[object]], object]
    row: object
    place: str
    count: Callable[[Any], int] = len


def reasons_below(rows: list[object]) -> object:
    return {"options": [{"id": "A", "child_options": rows}]}


LEFT_OUT: Final[dict[str, Listing]] = {
    "claims": Listing(
        _operations.claim_search({}), lambda rows: {"data": rows}, {"id": 1}, "data[1]",
        lambda page: len(page.claims)),
    "unread": Listing(
        _operations.unread("seller"), lambda rows: {"results": rows}, {"resource": "/packs/1"},
        "results[1]", lambda unread: len(unread.results)),
    "reasons": Listing(
        _operations.reasons(1), lambda rows: {"options": rows}, {"id": "A"}, "options[1]"),
    "children": Listing(
        _operations.reasons(1), reasons_below, {"id": "B"}, "options[0].child_options[1]",
        lambda reasons: len(reasons[0].child_options)),
    "caps": Listing(
        _operations.reason_caps(1), lambda rows: rows, {"option_id": "A", "cap_available": 1},
        "[1]"),
    "sellers": Listing(
        _operations.marketplace_sellers(1), lambda rows: {"marketplaces": rows}, {"user_id": 1},
        "marketplaces[1]"),
    "files": Listing(
        _operations.pack_page(1, 50, 0),
        lambda rows: {"messages": [{"id": "m", "message_attachments": rows}]}, {"filename": "a"},
        "messages[0].message_attachments[1]", lambda page: len(page.messages[0].attachments)),
}  # fmt: skip
WHOLE: Final[dict[str, Listing]] = {
    "thread": Listing(
        _operations.pack_page(1, 50, 0), lambda rows: {"messages": rows}, {"id": "m"}, ""),
    "seller thread": Listing(
        _operations.seller_thread(1, 2, 50, 0, mark_as_read=False),
        lambda rows: {"messages": rows}, {"id": "m"}, ""),
    "claim messages": Listing(
        _operations.claim_messages(1), lambda rows: rows, {"message": "Hola"}, ""),
}  # fmt: skip


def read(listing: Listing, rows: list[object]) -> object:
    body = json.dumps(listing.body(rows)).encode()
    return decode(listing.request, Response(200, {}, body))


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("listing", LEFT_OUT.values(), ids=LEFT_OUT)
def test_a_row_that_is_no_object_is_left_out_with_one_warning(
    listing: Listing, odd: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert listing.count(read(listing, [listing.row, odd])) == 1
    (record,) = caplog.records
    operation = listing.request.operation
    text = f"{operation}: left out what cannot be read: {listing.place}"
    assert (record.name, record.levelno, record.message) == ("mlmsg", logging.WARNING, text)


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("listing", WHOLE.values(), ids=WHOLE)
def test_a_message_is_never_left_out(
    listing: Listing, odd: object, caplog: pytest.LogCaptureFixture
) -> None:
    """A send is repeated, and a mirror called complete, by what a thread does not contain."""
    with pytest.raises(DecodeError) as caught:
        read(listing, [listing.row, odd])
    assert caught.value.body == json.dumps(listing.body([listing.row, odd])).encode()
    assert not caplog.records


def test_a_missed_notification_that_is_no_object_is_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    request = _operations.missed_feeds(1, None, 10, 0)
    for body, place in ((b'{"messages": [null, {}]}', "messages[0]"), (b"[{}, 5]", "[1]")):
        assert len(decode(request, Response(200, {}, body))) == 2  # the offset counts both
        assert caplog.records[-1].message.endswith(f": {place}")


def test_a_warning_names_some_places_and_no_value(caplog: pytest.LogCaptureFixture) -> None:
    read(LEFT_OUT["claims"], ["Ana"] * 7)
    (record,) = caplog.records
    assert record.message.endswith(": data[0], data[1], data[2], data[3], data[4] and 2 more")


def test_what_is_lost_with_an_invalid_object_is_one_place(
    caplog: pytest.LogCaptureFixture,
) -> None:
    odd = {"child_options": [None, {"id": "B"}]}  # it has no id
    assert len(read(LEFT_OUT["reasons"], [{"id": "A"}, odd])) == 1  # type: ignore[arg-type]
    assert [record.message.rpartition(": ")[2] for record in caplog.records] == ["options[1]"]


def test_of_a_body_that_cannot_be_read_no_place_is_kept() -> None:
    places: list[_lenient.Place] = []
    whole = {"id": "m", "message_attachments": [None]}
    _lenient.convert([whole], list[Message], places)
    assert places == [(0, "message_attachments", 0)]
    with pytest.raises(msgspec.ValidationError):
        _lenient.convert([whole, None], list[Message], places)
    assert places == [(0, "message_attachments", 0)]


def test_a_page_of_claims_requires_nothing_of_an_object() -> None:
    """A row without an id is a claim, with a row that is no object beside it or without one."""
    rows: list[object] = [{"stage": "claim"}, {}]
    for more in ([], [None]):
        page = claim_page(Response(200, {}, json.dumps({"data": rows + more}).encode()))
        assert [claim.stage for claim in page.claims] == ["claim", None]


# Walks --------------------------------------------------------------------------------------


class Page(msgspec.Struct):
    items: Sequence[int]
    total: int | None


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("has_total", [True, False])
@pytest.mark.parametrize(
    "gaps", [{0}, {5}, {9}, {10}, {9, 10}, {39}, set(range(9, 21)), set(range(40))], ids=str
)
async def test_a_walk_counts_the_rows_that_are_left_out(
    gaps: set[int], concurrency: int, has_total: bool
) -> None:
    requests: list[int] = []

    async def fetch(offset: int, limit: int, without: set[int] = gaps) -> Page:
        requests.append(offset)
        positions = range(40)[offset : offset + limit]
        rows = [position for position in positions if position not in without]
        left_out = [index for index, position in enumerate(positions) if position in without]
        return Page(Rows(rows, left_out), 40 if has_total else None)

    async def fetch_all(offset: int, limit: int) -> Page:
        return await fetch(offset, limit, set())

    found = [row async for row in walk(fetch, int, limit=10, concurrency=concurrency)]
    assert found == sorted(set(range(40)) - gaps)
    asked = requests.copy()
    requests.clear()
    assert [row async for row in walk(fetch_all, int, limit=10, concurrency=concurrency)]
    assert asked == requests


async def test_a_server_whose_pages_never_end_ends_the_walk() -> None:
    requests = 0

    async def fetch(_offset: int, _limit: int) -> Page:
        nonlocal requests
        requests += 1
        return Page(Rows([], [0, 1]), None)

    assert [row async for row in walk(fetch, int)] == []
    assert requests < 1000


def pages_of(rows: Sequence[object], name: str = "data") -> Step:
    """Return the script that answers a search from a list, and the account."""

    async def script(peer: Peer) -> None:
        while head := await peer.head():
            query = parse_qs(head.split()[1].decode().partition("?")[2])
            begin, limit = (int(query.get(name, ["0"])[0]) for name in ("offset", "limit"))
            paging = {"total": len(rows), "offset": begin, "limit": limit}
            page = {"id": 9, "site_id": "MLB", "paging": paging, name: rows[begin : begin + limit]}
            await peer.answer(200, json.dumps(page).encode())

    return script


@pytest.mark.parametrize("page_size", [1, 3, 50])
async def test_null_rows_do_not_end_the_walk_over_missed_notifications(page_size: int) -> None:
    """A page without any object is not the repetition of the page before."""
    claims: list[object] = [
        {"topic": "claims", "resource": f"/claims/{number}", "user_id": 9} for number in range(3)
    ]
    rows = [*[None] * 8, claims[0], *[None] * 8, *claims[1:]]
    async with connect(pages_of(rows, "messages")) as (client, server):
        missed = client.notifications.missed(1, page_size=page_size)
        assert [notification.id async for notification in missed] == ["0", "1", "2"]
        assert server.requests <= len(rows) // page_size + 2


async def test_a_server_that_has_only_null_rows_ends_the_walk() -> None:
    async def script(peer: Peer) -> None:
        while await peer.head():
            await peer.answer(200, b'{"messages": [null]}')

    async with connect(script) as (client, server):
        assert [notification async for notification in client.notifications.missed(1)] == []
        assert server.requests == MAX_PAGES_WITHOUT_OBJECTS + 1


async def walk_orders(rows: Sequence[object]) -> tuple[list[int], OrdersUnreadable | None, int]:
    """Return the orders that a walk finds, its error, and the number of its requests."""
    found: list[int] = []
    error: OrdersUnreadable | None = None
    async with (
        raw_server(pages_of(rows, "results")) as server,
        Client(TOKEN, base_url=server.url, global_selling=False, user_id=9) as client,
    ):
        try:
            async for pack in client.packs.all(since=date(2020, 1, 1)):
                found.extend(pack.order_ids)
        except OrdersUnreadable as caught:
            error = caught
        return found, error, server.requests


async def test_each_row_of_the_order_search_that_cannot_be_read_counts() -> None:
    """Also if two are equal: they have no identity but their place."""
    rows: list[object] = [{"id": number} for number in range(1, 201)]
    for index in (0, 1, 49, 50, 97, 98, 99, 150, 208):
        rows.insert(index, None)
    found, error, requests = await walk_orders(rows)
    assert found == [*range(1, 201)]
    assert error is not None
    assert len(error.errors) == 9
    reason = "a row of the order search has no id that can be read"
    assert str(error) == f"9 orders could not be read, such as {reason}"
    whole = await walk_orders([{"id": number} for number in range(1, len(rows) + 1)])
    assert whole == ([*range(1, len(rows) + 1)], None, requests)


async def test_a_null_row_does_not_end_the_walk_over_all_claims() -> None:
    rows: list[object] = [{"id": number, "players": []} for number in range(1, 251)]
    for index in (0, 99, 100, 150, 252):
        rows.insert(index, None)
    async with connect(pages_of(rows)) as (client, server):
        walk_all = client.claims.all(since=date(2020, 1, 1), status="opened")
        found = [claim.id async for claim in walk_all]
        requests = server.requests
    assert found == [*range(1, 251)]
    async with connect(pages_of([{"id": row, "players": []} for row in range(255)])) as (one, two):
        assert [claim async for claim in one.claims.all(since=date.min, status="opened")]
        assert requests == two.requests
