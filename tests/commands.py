"""Run the command line in a process of its own, as a user does."""

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click
from click.testing import CliRunner, Result

from mlmsg.cli import cli
from mlmsg.sandbox import Market, Sandbox

PROGRAM = [sys.executable, "-m", "mlmsg"]


def _commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in sorted(group.commands.items()):
        yield f"{prefix}{name}", command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{prefix}{name} ")


_ALL = {"": cli, **dict(_commands(cli))}

GROUPS = {name: group for name, group in _ALL.items() if isinstance(group, click.Group)}
"""The groups of commands by their names; `""` is the program."""

COMMANDS = {name: command for name, command in _ALL.items() if name not in GROUPS}
"""The commands by their names, such as `claim show`."""

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


@contextmanager
def started(*arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command with its streams in pipes, and kill it at the end of the block."""
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**variables),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def on_terminal(*arguments: str, **variables: str) -> tuple[int, str]:
    """Run a command on a terminal. Return its exit code, and all that it wrote."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=environment(**{"TERM": "xterm-256color", **variables}),
    ) as process:
        os.close(follower)
        seen = b""
        try:
            while data := os.read(leader, 65536):
                seen += data
        except OSError:  # Linux ends a terminal with an error
            pass
        os.close(leader)
    return process.returncode, seen.decode().replace("\r\n", "\n")


def without_escapes(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


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
    """Run a command in this process. Raise an exception that the command does not handle."""
    runner = CliRunner(env={**NO_ACCOUNT, **variables}, catch_exceptions=False)
    return runner.invoke(cli, arguments, input=given)


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
