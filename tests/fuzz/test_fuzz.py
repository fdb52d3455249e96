"""Malformed answers over all operations, in a short run."""

from pathlib import Path

import pytest

from fuzz.answers import DAMAGES
from fuzz.calls import CALLS, operations
from fuzz.run import Report, fuzz
from mlmsg import Client


def test_every_public_operation_is_called() -> None:
    named = {name.partition(",")[0] for name in CALLS}
    assert set(operations(Client("a-token"))) <= named


@pytest.mark.slow
async def test_malformed_answers_raise_errors_of_the_package_only(tmp_path: Path) -> None:
    report = Report()
    await fuzz(500, 7, tmp_path, report)
    assert report.violations == []
    assert set(report.server.damages) == set(DAMAGES)
    assert sum(counts["ok"] for counts in report.outcomes.values()) > 100
