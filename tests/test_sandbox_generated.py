"""The generated market without a server: sizes, dates, ids, files, rows; and how it changes."""

import re
import struct
import zlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmsg.sandbox import Market, UnreadCount, generated_market
from mlmsg.sandbox.claim_rows import claim_row
from mlmsg.sandbox.generated import GeneratedArchive
from mlmsg.sandbox.generated.files import KINDS, MIN_BYTES, make_file
from mlmsg.sandbox.orders import SaleRow, sale_row
from mlmsg.sandbox.schemas.dates import parse_date
from mlmsg.sandbox.searching import Condition, Query

END = datetime(2026, 7, 1, 12, tzinfo=UTC)
SITES = ["CBT", "MLB"]
both_families = pytest.mark.parametrize("site_id", SITES)


def market_of(
    packs: int = 60, claims: int = 30, files: int = 2, seed: int = 1, site_id: str = "CBT"
) -> Market:
    return generated_market(
        packs, claims, files, seed, site_id=site_id, end=END, now=lambda: END + timedelta(hours=1)
    )


def archive_of(market: Market) -> GeneratedArchive:
    archive = market._archive
    assert isinstance(archive, GeneratedArchive)
    return archive


@both_families
def test_the_same_arguments_give_the_same_market(site_id: str) -> None:
    first, second = market_of(site_id=site_id), market_of(site_id=site_id)
    assert first.packs == second.packs
    assert first.files == second.files
    assert first.orders == second.orders
    assert first.claims == second.claims
    other = market_of(site_id=site_id, seed=2)
    assert first.packs != other.packs
    assert not set(first.files) & set(other.files)
    ids = [{m.id for p in market.packs.values() for m in p.messages} for market in (first, other)]
    assert not ids[0] & ids[1]


def test_a_market_of_any_size_costs_nothing_before_it_is_used() -> None:
    market = generated_market(packs=10_000_000, claims=10_000_000, files=2)
    assert len(market.packs) == len(market.claims) == 10_000_000
    assert len(market.files) == 20_000_000
    claim = market.claims["5219999999"]
    assert "5220000000" not in market.claims
    pack = market.packs.peek(str(claim.pack_id or claim.order_id))
    assert pack is not None
    assert pack.messages[0].id
    assert market.message(pack.messages[0].id) == pack.messages[0]
    assert len(market.claims.kept) == 1
    assert market.packs.kept == {}


@both_families
def test_the_sizes_are_those_of_the_arguments(site_id: str) -> None:
    market = generated_market(
        packs=40, claims=20, files=5, messages=3, file_bytes=1500, site_id=site_id, unread=4
    )
    assert (len(market.packs), len(market.claims), len(market.files)) == (40, 20, 200)
    assert len(set(market.packs)) == 40
    assert len(set(market.files)) == 200
    assert len(set(market.claims)) == 20
    for pack in market.packs.values():
        attachments = [file for m in pack.messages for file in m.message_attachments or []]
        assert (len(pack.messages), len(attachments)) == (3, 5)
        assert all(market.files[file.filename].attachment() == file for file in attachments)
        assert {file.size for file in attachments} == {1500}
    for claim in market.claims.values():
        listed = [file for message in claim.messages for file in message.attachments]
        assert (len(claim.messages), len(listed), len(claim.files)) == (3, 5, 5)
        assert all(claim.files[file.filename].attachment() == file for file in listed)
        assert sorted(claim.files) == sorted(file.filename for file in listed)
    assert len(market.unread("seller")) == 4


@pytest.mark.parametrize("packs", [0, 1])
@pytest.mark.parametrize("claims", [0, 3])
@pytest.mark.parametrize("files", [0, 3])
@both_families
def test_small_markets(packs: int, claims: int, files: int, site_id: str) -> None:
    market = market_of(packs, claims, files, site_id=site_id)
    assert len(list(market.packs.values())) == packs
    assert len(list(market.claims.values())) == claims
    assert len(list(market.files.values())) == packs * files
    assert len(market.orders) >= packs
    for claim in market.claims.values():
        assert (str(claim.order_id) in market.orders) == (packs > 0)


@both_families
def test_each_thread_has_its_orders(site_id: str) -> None:
    market = market_of(packs=200, site_id=site_id)
    threads = Counter(order.thread_id for order in market.orders.values())
    assert set(threads) == set(market.packs)
    assert set(threads.values()) == {1, 2, 3}
    assert len(market.orders) == sum(threads.values())
    without_pack = [order for order in market.orders.values() if order.pack_id is None]
    assert 0 < len(without_pack) < 50
    assert 0 < sum(order.is_cancelled for order in market.orders.values()) < 20
    for thread_id, count in threads.items():
        pack, orders = market.packs[thread_id], market.sale(thread_id)
        assert len(orders) == count
        for order in orders:
            assert (order.seller_id, order.buyer_id) == (pack.seller_id, pack.buyer_id)
            assert order.site_id == pack.site_id
            assert order.shipping_id == pack.conversation_status.shipping_id
    assert len({pack.buyer_id for pack in market.packs.values()}) == 200


def test_the_sellers_are_those_of_the_account() -> None:
    market = market_of(packs=200)
    sites = {seller.user_id: seller.site_id for seller in market.marketplaces}
    assert list(sites.values()) == ["MLM", "MLB", "MLC", "MCO"]
    assert {pack.seller_id: pack.site_id for pack in market.packs.values()} == sites
    assert market.user_id not in sites
    domestic = market_of(packs=20, site_id="MLC")
    assert {(p.seller_id, p.site_id) for p in domestic.packs.values()} == {
        (domestic.user_id, "MLC")
    }
    assert domestic.marketplaces == []


@both_families
def test_dates_follow_each_other(site_id: str) -> None:
    market = market_of(packs=150, claims=150, site_id=site_id)
    start = END - timedelta(days=90)
    created = [parse_date(order.date_created) for order in market.orders.values()]
    assert created == sorted(created)
    assert start <= created[0] < start + timedelta(days=1)
    assert END - timedelta(days=1) < created[-1] <= END
    updated = [parse_date(order.last_updated) for order in market.orders.values()]
    assert updated != sorted(updated)
    for pack in market.packs.values():
        (order, *_) = market.sale(pack.id)
        dates = [parse_date(m.message_date.created) for m in reversed(pack.messages)]
        assert parse_date(order.date_created) < dates[0]
        assert dates[-1] == parse_date(order.last_updated) <= END
        assert all(older < newer for older, newer in pairwise(dates))
    for claim in market.claims.values():
        dates = [parse_date(m.date_created) for m in reversed(claim.messages)]
        assert parse_date(claim.date_created) < dates[0]
        assert dates[-1] == parse_date(claim.last_updated) <= END


@both_families
def test_messages_go_to_and_fro(site_id: str) -> None:
    market = market_of(site_id=site_id)
    newest = list(market.packs)[-10:]
    for pack in market.packs.values():
        senders = [message.sender.user_id for message in pack.messages]
        assert senders == [pack.buyer_id, pack.seller_id, pack.buyer_id]
        assert [m.conversation_first_message for m in pack.messages] == [False, False, True]
        reads = [message.message_date.read for message in pack.messages]
        assert [read is None for read in reads] == [pack.id in newest, False, False]
        for message in pack.messages:
            assert re.fullmatch(r"[0-9a-f]{32}", message.id)
            assert market.message(message.id) == message
            translated = site_id == "CBT" and message.sender.user_id == pack.buyer_id
            assert (message.text_translated is not None) == translated
            for file in message.message_attachments or []:
                assert file.filename.startswith(f"{message.sender.user_id}_")
    counts = [UnreadCount(market.packs[pack_id].resource, 1) for pack_id in newest]
    assert market.unread() == market.unread("seller") == counts
    assert market.unread("buyer") == []


def test_unknown_ids() -> None:
    market = market_of(packs=3, claims=3)
    for key in ("", "x", "1", "2000009000000003", "2000009000000099", "-1", "²", "1" * 40):
        assert key not in market.packs
        assert key not in market.orders
        assert key not in market.claims
        assert key not in market.files
        assert market.packs.peek(key) is None
        assert market.sale(key) == []
    for message_id in ("", "abc", "0" * 32, "f" * 32, "g" * 32):
        assert market.message(message_id) is None
    (file_id, *_) = market.files
    user, _, rest = file_id.partition("_")
    for other in (f"{int(user) + 1}_{rest}", file_id[:-3] + "gif", file_id.replace("-", "")):
        assert other not in market.files
        assert market.files.peek(other) is None


def test_claims_are_of_several_kinds() -> None:
    market = market_of(packs=400, claims=200)
    claims = list(market.claims.values())
    assert {claim.status for claim in claims} == {"opened", "closed"}
    assert {claim.stage for claim in claims} == {"claim", "dispute"}
    cancelled = [claim for claim in claims if claim.type == "cancel_sale"]
    assert 0 < len(cancelled) < 30
    for claim in claims:
        complainant, respondent = claim.player("complainant"), claim.player("respondent")
        sale = market.orders[str(claim.order_id)]
        seller, buyer = (
            (complainant, respondent) if claim.type == "cancel_sale" else (respondent, complainant)
        )
        assert (seller.user_id, seller.type) == (market.user_id, "seller")
        assert (buyer.user_id, buyer.type) == (sale.buyer_id, "buyer")
        assert claim.pack_id == (None if sale.pack_id is None else int(sale.pack_id))
        assert [player.role for player in claim.players][2:] == (
            ["mediator"] if claim.stage == "dispute" else []
        )
        roles = {player.role for player in claim.players}
        for message in claim.messages:
            assert {message.sender_role, message.receiver_role} <= roles
            assert seller.role in {message.sender_role, message.receiver_role}
        assert claim.messages[0].receiver_role == seller.role
        assert claim.statuses[-1].status == claim.status
        assert len(claim.actions) == len(claim.messages)


@pytest.mark.parametrize(("packs", "claims"), [(400, 30), (30, 100), (30, 30)])
def test_a_thread_names_its_claims(packs: int, claims: int) -> None:
    market = market_of(packs, claims)
    expected: dict[str, list[int]] = {}
    for claim in market.claims.values():
        thread_id = market.orders[str(claim.order_id)].thread_id
        assert thread_id == str(claim.pack_id or claim.order_id)
        expected.setdefault(thread_id, []).append(int(claim.id))
    named = {p.id: p.conversation_status.claim_ids for p in market.packs.values()}
    assert {key: value for key, value in named.items() if value is not None} == expected


@both_families
def test_rows_are_those_of_the_values(site_id: str) -> None:
    market = market_of(packs=150, claims=150, site_id=site_id)
    archive = archive_of(market)
    orders = list(market.orders.values())
    assert archive.order_rows() == [sale_row(int(order.id), [order]) for order in orders]
    assert archive.sale_rows() == [sale_row(int(key), market.sale(key)) for key in market.packs]
    assert archive.claim_rows() == [claim_row(claim) for claim in market.claims.values()]
    for claim in market.claims.values():
        outline = archive.outline(claim.id)
        assert outline is not None
        assert outline.row() == claim.row()
        assert outline.messages == []


@pytest.mark.parametrize("size", [1024, 1159, 1379, 2048, 9_999, 65_600, 65_700, 102_400])
def test_files_are_valid_and_of_an_exact_size(size: int) -> None:
    for extension, _ in KINDS:
        data, other = (make_file(extension, key, size) for key in ("a", "b"))
        assert len(data) == len(other) == size
        assert data == make_file(extension, "a", size)
        assert data != other
    _check_png(make_file("png", "a", size))
    _check_jpeg(make_file("jpg", "a", size))
    _check_pdf(make_file("pdf", "a", size))


@given(st.integers(MIN_BYTES, 140_000))
@settings(max_examples=60)
def test_files_of_any_size(size: int) -> None:
    for extension, _ in KINDS:
        assert len(make_file(extension, "key", size)) == size
    _check_jpeg(make_file("jpg", "key", size))


def _check_png(data: bytes) -> None:
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    position, pixels, kinds = 8, b"", []
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        content = data[position + 8 : position + 8 + length]
        (check,) = struct.unpack_from(">I", data, position + 8 + length)
        assert check == zlib.crc32(kind + content)
        kinds.append(kind)
        pixels += content if kind == b"IDAT" else b""
        position += 12 + length
    assert kinds == [b"IHDR", b"prVt", b"IDAT", b"IEND"]
    assert len(zlib.decompress(pixels)) == 8 * (1 + 8 * 3)


def _check_jpeg(data: bytes) -> None:
    assert data.startswith(b"\xff\xd8")
    position, markers = 2, []
    while data[position + 1] != 0xDA:
        assert data[position] == 0xFF
        markers.append(data[position + 1])
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    assert [marker for marker in markers if marker != 0xFE] == [0xE0, 0xDB, 0xC0, 0xC4, 0xC4]
    length = struct.unpack_from(">H", data, position + 2)[0]
    scan = data[position + 2 + length : -2]
    assert len(scan) == 2
    assert b"\xff" not in scan
    assert data.endswith(b"\xff\xd9")


def _check_pdf(data: bytes) -> None:
    assert data.startswith(b"%PDF-1.4\n")
    start = re.search(rb"startxref\n(\d+)\n%%EOF\n$", data)
    assert start is not None
    table = data[int(start[1]) :]
    assert table.startswith(b"xref\n0 5\n")
    entries = re.findall(rb"(\d{10}) 00000 n", table)
    assert len(entries) == 4
    for number, entry in enumerate(entries, start=1):
        assert data[int(entry) :].startswith(b"%d 0 obj" % number)
    stream = re.search(rb"/Length (\d+)>>\nstream\n", data)
    assert stream is not None
    assert data[stream.end() + int(stream[1]) :].startswith(b"\nendstream\n")


def test_no_two_files_are_the_same() -> None:
    market = market_of(packs=50, claims=20, files=3)
    files = [file.data for file in market.files.values()]
    files += [file.data for claim in market.claims.values() for file in claim.files.values()]
    assert len({sha256(data).digest() for data in files}) == len(files) == 210
    kinds = Counter(file.content_type for file in market.files.values())
    assert set(kinds) == {content_type for _, content_type in KINDS}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("packs", -1, "packs must be 0 to 10000000, not -1"),
        ("claims", -1, "claims must be 0 to 10000000, not -1"),
        ("files", -1, "files must be 0 to 10000000, not -1"),
        ("files", 76, "files must be 0 to 75, not 76"),
        ("unread", -1, "unread must be 0 to 10000000, not -1"),
        ("messages", 0, "messages must be 1 to 1000, not 0"),
        ("days", 0, "days must be 1 to 3650, not 0"),
        ("file_bytes", 1023, "file_bytes must be 1024 to 5242880, not 1023"),
        ("file_bytes", 5 * 2**20 + 1, "file_bytes must be 1024 to 5242880, not 5242881"),
    ],
)
def test_numbers_out_of_their_range(name: str, value: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generated_market(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("site_id", ["", "ZZZ", "mlb"])
def test_an_unknown_site(site_id: str) -> None:
    with pytest.raises(ValueError, match="site_id must be CBT or the id of a site"):
        generated_market(site_id=site_id)


def test_the_end_is_the_last_whole_hour() -> None:
    now = datetime(2026, 5, 5, 10, 59, tzinfo=UTC)
    market = generated_market(packs=500, now=lambda: now)
    newest = max(parse_date(order.last_updated) for order in market.orders.values())
    assert datetime(2026, 5, 5, 8, tzinfo=UTC) < newest <= datetime(2026, 5, 5, 10, tzinfo=UTC)


ALL: Condition[SaleRow] = Condition("all", lambda _: True)
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["update", "cancel", "remove", "add", "look", "move"]), st.integers(0, 40)
    ),
    max_size=12,
)


@pytest.mark.slow
@given(CHANGES, st.integers(0, 40), st.sampled_from(["date_created", "last_updated"]))
@settings(max_examples=60)
def test_searches_see_every_change(changes: list[tuple[str, int]], offset: int, sort: str) -> None:
    market = market_of(packs=30, claims=0)
    query = Query((ALL,), (), sort, is_descending=False, offset=offset, limit=10)
    market.search_orders(query)
    market.search_sales(query)
    for change, number in changes:
        _change_order(market, change, number)
    fresh = dict(market.orders)
    rows = sorted((sale_row(int(key), [order]) for key, order in fresh.items()), key=query.key)
    found = market.search_orders(query)
    assert found.total == len(rows)
    assert [int(order.id) for order in found.rows] == [r.id for r in rows[offset : offset + 10]]
    threads: dict[str, list[str]] = {}
    for order in sorted(fresh.values(), key=lambda order: int(order.id)):
        threads.setdefault(order.thread_id, []).append(order.id)
    sales = sorted(
        (sale_row(int(key), [fresh[one] for one in ids]) for key, ids in threads.items()),
        key=query.key,
    )
    groups = market.search_sales(query)
    assert groups.total == len(sales)
    assert [[order.id for order in orders] for orders in groups.rows] == [
        threads[str(row.id)] for row in sales[offset : offset + 10]
    ]


def _change_order(market: Market, change: str, number: int) -> None:
    keys = list(market.orders)
    if change == "add":
        market.add_order(pack_id=list(market.packs)[number % 30])
        return
    key = keys[number % len(keys)]
    match change:
        case "update":
            market.update_order(key)
        case "cancel":
            market.update_order(key, status="cancelled", at=market.orders[key].last_updated)
        case "remove":
            del market.orders[key]
        case "look":
            assert market.orders[key].id == key
        case "move":
            market.orders[key].pack_id = "2000009000000005"
