"""Run the command line in a process of its own, as a user does."""

import os
import subprocess
import sys

PROGRAM = [sys.executable, "-m", "mlmsg"]

NO_ACCOUNT = {"MLMSG_ACCESS_TOKEN": "", "MLMSG_GRANT": "", "XDG_CONFIG_HOME": "/nonexistent"}
"""Variables that hide the accounts of the person who runs the tests."""


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a command: no account, and the given variables."""
    return {**os.environ, **NO_ACCOUNT, "COLUMNS": "100", **variables}


def mlmsg(
    *arguments: str, given: str | bytes | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command with its output in pipes, and `given` as its standard input."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        capture_output=True,
        input=given.encode() if isinstance(given, str) else given,
        check=False,
        timeout=60,
        env=environment(**variables),
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def shell(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script of bash, in which `$MLMSG` is the command."""
    return subprocess.run(
        ["/bin/bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(MLMSG=f"{sys.executable} -m mlmsg", **variables),
    )
