"""Run tests as a user of the package would: in a folder of their own, in a process of their own."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

_IS_INSTALLED = any(point.name == "mlmsg" for point in entry_points(group="pytest11"))
_PLUGIN = [] if _IS_INSTALLED else ["-p", "mlmsg.pytest_plugin"]  # run from the source alone


def run_pytest(folder: Path, *options: str) -> str:
    """Run pytest in a folder, with warnings as errors, and return its output."""
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    command += ["-o", "asyncio_default_fixture_loop_scope=function", *_PLUGIN, *options]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout + done.stderr
