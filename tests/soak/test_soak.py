"""The soak, for some seconds: every proof holds, and a faulty client fails it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

TESTS = Path(__file__).parents[1]

FAMILIES = ("Global selling", "Domestic")

REPEATING_SENDS = """
import sys

import msgspec
from soak.__main__ import main

from mlmsg import RetryPolicy
from mlmsg.policy import Effect

decide = RetryPolicy.decide


def as_a_read(policy, outcome, *more):
    return decide(policy, msgspec.structs.replace(outcome, effect=Effect.READ), *more)


RetryPolicy.decide = as_a_read
sys.exit(main(sys.argv[1:]))
"""
"""A soak whose client repeats a send as if it were a read."""


def run_soak(*command: str) -> "subprocess.CompletedProcess[str]":
    """Run a soak in another process, because everything that its process holds is counted."""
    return subprocess.run(
        [sys.executable, *command, "--seed", "7"],
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_short_soak_proves_all_of_it() -> None:
    run = run_soak("-m", "soak", "--calls", "500", "--faults", "0.1")
    assert (run.returncode, run.stderr) == (0, ""), run.stdout + run.stderr
    assert len(re.findall(r"^yes ", run.stdout, re.MULTILINE)) == 18
    assert "NO, " not in run.stdout
    lines = run.stdout.splitlines()
    assert len(lines) <= 47
    assert max(map(len, lines)) <= 100
    both = [re.search(rf"^{family} +(\d+) ", run.stdout, re.MULTILINE) for family in FAMILIES]
    assert all(family and int(family[1]) > 200 for family in both)


def test_a_client_that_repeats_sends_fails_the_soak() -> None:
    run = run_soak("-c", REPEATING_SENDS, "--calls", "300", "--faults", "0.3")
    assert run.returncode == 1, run.stdout + run.stderr
    assert re.search(r"^NO, \d+ +no message was executed twice", run.stdout, re.MULTILINE)
