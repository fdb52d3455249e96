"""`import mlmsg` imports nothing of an extra, and no large module that few programs need."""

import subprocess
import sys

import pytest

LIBRARIES = "import sys, aiohttp, msgspec"

ALLOWED = {"_queue", "queue"}
"""Modules of the standard library, besides those that aiohttp and msgspec import."""

ROOMS_OF_THEIR_OWN = ("cli", "oauth", "pytest_plugin", "sandbox", "sync", "tables", "testing")
"""Rooms that only those programs import that use them."""


def imported(statement: str) -> set[str]:
    """Return the modules that a statement imports after aiohttp and msgspec, in a new process."""
    program = f"{LIBRARIES}; before = set(sys.modules); {statement}; "
    program += "print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return set(done.stdout.decode().split())


@pytest.mark.slow
def test_only_few_modules_are_imported() -> None:
    found = imported("import mlmsg")
    own = {name for name in found if name.partition(".")[0] == "mlmsg"}
    assert "mlmsg.client" in own
    assert found - own <= ALLOWED
    rooms = {name.split(".")[1] for name in own - {"mlmsg"}}
    assert not rooms & set(ROOMS_OF_THEIR_OWN)


@pytest.mark.slow
def test_a_folder_needs_no_obstore() -> None:
    tops = {name.partition(".")[0] for name in imported("import mlmsg.sync")}
    assert not tops & {"obstore", "click", "rich", "filelock", "platformdirs"}


@pytest.mark.slow
def test_no_pattern_is_compiled() -> None:
    """To compile the patterns of a module takes longer than to import it."""
    imported("import re; re.compile = None; import mlmsg.client")
