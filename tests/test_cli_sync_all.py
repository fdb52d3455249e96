"""`mlmsg sync --all`: the mirror of a whole seller, without an id."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from commands import invoke

from mlmsg.cli._moments import moment

WRONG: Final = {
    "no time": ["--all"],
    "a time alone": ["--since", "30d"],
    "a pack beside it": ["--all", "--since", "30d", "123"],
    "a claim beside it": ["--all", "--since", "30d", "--claim", "5"],
    "full alone": ["--full", "123"],
    "an application alone": ["--app-id", "5", "123"],
    "a site": ["--all", "--since", "30d", "--site-id", "MLM"],
    "no such time": ["--all", "--since", "tomorrow"],
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_explained(name: str, tmp_path: Path) -> None:
    command = ["sync", "--sandbox", "--to", str(tmp_path / "mirror"), *WRONG[name]]
    result = invoke(*command)
    assert result.exit_code == 2
    assert "--all" in result.output or "30d" in result.output
    assert not (tmp_path / "mirror").exists()


TIMES: Final = {"30d": timedelta(days=30), "12h": timedelta(hours=12), "2w": timedelta(weeks=2)}


@pytest.mark.parametrize("text", TIMES)
def test_a_span_counts_back_from_now(text: str) -> None:
    assert abs(datetime.now(UTC) - TIMES[text] - moment(text)) < timedelta(minutes=1)
    assert moment("2026-01-31T00:00:00+00:00") == datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.slow
def test_two_runs_mirror_the_sandbox_and_report_their_requests(tmp_path: Path) -> None:
    command = ["sync", "--sandbox", "--all", "--since", "2020-01-01", "--to", str(tmp_path)]
    first = invoke(*command, "--json")
    assert first.exit_code == 0, first.output
    report = json.loads(first.output.splitlines()[-1])
    assert (report["event"], report["failed"]) == ("report", 0)
    assert report["downloaded"] == 16
    again = invoke(*command, "--json")
    second = json.loads(again.output.splitlines()[-1])
    assert second["downloaded"] == 0
    assert 0 < second["requests"] <= report["requests"]
