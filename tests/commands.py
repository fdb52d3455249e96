"""Run the command line in a process of its own, as a user does."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from click.testing import CliRunner, Result

from mlmsg.cli import cli
from mlmsg.sandbox import Market, Sandbox

PROGRAM = [sys.executable, "-m", "mlmsg"]

NO_ACCOUNT = {
    "MLMSG_ACCESS_TOKEN": "",
    "MLMSG_CLIENT_ID": "",
    "MLMSG_CLIENT_SECRET": "",
    "MLMSG_GRANT": "",
    "MLMSG_REDIRECT_URI": "",
    "XDG_CONFIG_HOME": "/nonexistent",
}
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


@dataclass(frozen=True, slots=True)
class Terminal:
    """Runs commands in this process against a sandbox, which it keeps between them."""

    sandbox: Sandbox
    domestic: bool = False

    def run(self, *arguments: str, given: str | bytes | None = None, **variables: str) -> Result:
        """Run a command with the sandbox's address and token."""
        flags = ["--base-url", self.sandbox.url, *(["--domestic"] if self.domestic else [])]
        token = {"MLMSG_ACCESS_TOKEN": self.sandbox.token}
        return invoke(*arguments, *flags, given=given, **{**token, **variables})

    def json(self, *arguments: str) -> object:
        """Return the JSON document that a command prints."""
        done = self.run(*arguments, "--json")
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    def writes(self) -> list[str]:
        """Return the paths of all requests that changed something."""
        return [record.path for record in self.sandbox.requests if record.method != "GET"]


def invoke(*arguments: str, given: str | bytes | None = None, **variables: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(cli, arguments, input=given, env={**NO_ACCOUNT, **variables})


@contextmanager
def running_sandbox(market: Market | None = None) -> Iterator[Sandbox]:
    """Serve a sandbox in a thread with an event loop of its own."""
    sandbox = Sandbox(market=market)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(sandbox.start(), loop).result(10)
        yield sandbox
        asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
