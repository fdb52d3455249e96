"""Malformed answers over all operations, in a short run."""

from pathlib import Path

import pytest

from fuzz.__main__ import CALLS, fuzz

pytestmark = pytest.mark.slow


async def test_malformed_answers_raise_errors_of_the_package_only(tmp_path: Path) -> None:
    outcomes, violations = await fuzz(400, 7, tmp_path)
    assert violations == []
    assert set(outcomes) == set(CALLS)
