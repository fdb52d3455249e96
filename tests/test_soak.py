"""The soak of `benchmarks/`, for some seconds: it proves what it should, and it can fail."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

BLINDLY = """
import sys

import msgspec
import soak

from mlmsg import RetryPolicy
from mlmsg.policy import Effect

decide = RetryPolicy.decide


def as_a_read(policy, outcome, *more):
    return decide(policy, msgspec.structs.replace(outcome, effect=Effect.READ), *more)


RetryPolicy.decide = as_a_read
sys.exit(soak.main(sys.argv[1:]))
"""
"""A soak whose client repeats a send as if it were a read."""


def soaked(*command: str) -> "subprocess.CompletedProcess[str]":
    """In a process of its own: what it holds is counted, and nothing of ours is to be in it."""
    return subprocess.run(
        [sys.executable, *command, "--seed", "7"],
        cwd=BENCHMARKS,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_short_soak_proves_all_of_it() -> None:
    run = soaked("soak.py", "--calls", "500", "--faults", "0.1")
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(re.findall(r"^yes ", run.stdout, re.MULTILINE)) == 17
    assert "NO, " not in run.stdout
    lines = run.stdout.splitlines()
    assert len(lines) <= 42
    assert max(map(len, lines)) <= 100


def test_a_client_that_repeats_sends_fails_the_soak() -> None:
    run = soaked("-c", BLINDLY, "--calls", "300", "--faults", "0.3")
    assert run.returncode == 1, run.stdout + run.stderr
    assert re.search(r"^NO, \d+ +no message was executed twice", run.stdout, re.MULTILINE)
