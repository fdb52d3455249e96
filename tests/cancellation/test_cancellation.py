"""Cancellation at every point at which a call waits, in a quick sweep."""

import pytest

from cancellation.crowd import EXPECTED, crowd
from cancellation.operations import TABLE, Operation
from cancellation.sweep import SHORT_NAMES, sweep
from mlmsg.rules import Family

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("operation", "family"),
    TABLE,
    ids=[f"{SHORT_NAMES[family]}: {operation.name}" for operation, family in TABLE],
)
async def test_a_call_that_is_cancelled_wherever_it_waits_leaves_nothing(
    operation: Operation, family: Family
) -> None:
    row = await sweep(operation, family, quick=True)
    assert row.violations == []
    counts = row.counts
    assert counts["next call works"] == counts["cancelled"] + counts["finished first"]
    assert counts["cancelled"] > counts["await points"] / 2


@pytest.mark.parametrize("rejected", [False, True], ids=["that has expired", "that is rejected"])
async def test_a_hundred_calls_wait_for_one_refresh_of_a_token(*, rejected: bool) -> None:
    assert await crowd(rejected=rejected) == EXPECTED
