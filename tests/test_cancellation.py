"""Cancellation at every point at which a call waits: the checks of `benchmarks/cancellation.py`."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from cancellation import EXPECTED, OPERATIONS, Operation, crowd, sweep

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("operation", OPERATIONS, ids=[one.name for one in OPERATIONS])
async def test_a_call_that_is_cancelled_wherever_it_waits_leaves_nothing(
    operation: Operation,
) -> None:
    row = await sweep(operation, quick=True)
    assert row.wrong == []
    seen = row.seen
    assert seen["next call works"] == seen["cancelled"] + seen["finished first"]
    assert seen["cancelled"] > seen["await points"] / 2


@pytest.mark.parametrize("refused", [False, True], ids=["that has ended", "that meets a 401"])
async def test_a_hundred_calls_wait_for_one_refresh_of_a_token(*, refused: bool) -> None:
    assert await crowd(refused=refused) == EXPECTED
