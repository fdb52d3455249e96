"""The searches of the sandbox over many rows, against a plain filter and sort."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmsg.sandbox.searching import Condition, Index, Query, Span


class Sale(NamedTuple):
    id: int
    created: int
    updated: int
    color: str


COLORS = st.sampled_from(["red", "blue"])
DATES = st.integers(0, 12)
SALES = st.lists(
    st.builds(Sale, st.integers(1, 30), DATES, DATES, COLORS), unique_by=lambda sale: sale.id
)
SPANS = st.lists(st.builds(Span, st.sampled_from(["created", "updated"]), DATES, DATES), max_size=2)
RED: Condition[Sale] = Condition(("color", "red"), lambda sale: sale.color == "red")


@st.composite
def queries(draw: st.DrawFn) -> Query[Sale]:
    return Query(
        conditions=(RED,) if draw(st.booleans()) else (),
        spans=tuple(draw(SPANS)),
        sort=draw(st.sampled_from(["created", "updated"])),
        is_descending=draw(st.booleans()),
        offset=draw(st.integers(0, 20)),
        limit=draw(st.integers(1, 10)),
    )


@pytest.mark.slow
@given(SALES, SALES, st.sets(st.integers(1, 30)), st.lists(queries(), min_size=1, max_size=4))
def test_a_page_is_that_of_a_plain_filter_and_sort(
    fixed: list[Sale], changed: list[Sale], removed: set[int], searches: list[Query[Sale]]
) -> None:
    index = Index(lambda: fixed)
    replaced = removed | {sale.id for sale in changed}
    valid = [sale for sale in fixed if sale.id not in replaced] + changed
    # Several searches, because an index keeps its orders.
    for query in searches:
        matching = sorted(filter(query.matches, valid), key=query.key, reverse=query.is_descending)
        found = index.search(query, changed, replaced)
        assert found.total == len(matching)
        assert found.rows == matching[query.offset : query.offset + query.limit]


def query_of(*conditions: Condition[Sale], sort: str = "created") -> Query[Sale]:
    return Query(conditions, (), sort, is_descending=False, offset=0, limit=50)


def test_the_rows_are_made_once_and_each_order_too() -> None:
    made = []

    def make() -> list[Sale]:
        made.append(True)
        return [Sale(number, number, -number, "red") for number in range(1, 9)]

    tested: list[int] = []

    def is_even(sale: Sale) -> bool:
        tested.append(sale.id)
        return sale.id % 2 == 0

    def even() -> Condition[Sale]:
        return Condition("even", is_even)

    index = Index(make)
    assert made == []
    for _ in range(3):
        assert [sale.id for sale in index.search(query_of(even())).rows] == [2, 4, 6, 8]
    assert (len(made), len(tested)) == (1, 8)
    by_update = index.search(query_of(even(), sort="updated"))
    assert [sale.id for sale in by_update.rows] == [8, 6, 4, 2]
    assert (len(made), len(tested)) == (1, 16)


@pytest.mark.parametrize("count", [15, 40])
def test_an_index_keeps_a_bounded_number_of_orders(count: int) -> None:
    index = Index(lambda: [Sale(1, 1, 1, "red")])
    calls = 0

    def numbered(number: int) -> Condition[Sale]:
        def matches(_: Sale) -> bool:
            nonlocal calls
            calls += 1
            return True

        return Condition(number, matches)

    for number in [*range(count), *range(count)]:
        assert index.search(query_of(numbered(number))).total == 1
    assert calls == (count if count <= 16 else 2 * count)
