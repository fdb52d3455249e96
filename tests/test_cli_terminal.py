"""Output on a terminal: bubbles, tables and bars; and the sandbox as a program."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commands import PROGRAM, environment, invoke

pytestmark = [
    pytest.mark.slow,  # each test runs the program
    pytest.mark.skipif(sys.platform == "win32", reason="uses a pseudo-terminal"),
]


def on_terminal(*arguments: str, **variables: str) -> tuple[int, str]:
    """Return the exit code and the output of a command that runs on a terminal."""
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


def test_a_thread_has_two_sides(tmp_path: Path) -> None:
    code, seen = on_terminal("thread", "2000007001000022", "--sandbox", TZ="UTC")
    assert code == 0
    lines = without_escapes(seen).splitlines()
    theirs = next(line for line in lines if "Beatriz · 2024-09-03 12:04" in line)
    ours = next(line for line in lines if "Loja Exemplo · 2024-09-03 13:37" in line)
    assert theirs.startswith("╭─ Beatriz")
    assert ours.startswith("      ")
    assert max(map(len, lines)) <= 100
    assert "\x1b[" in seen


def test_without_colours_a_terminal_gets_none() -> None:
    code, seen = on_terminal("thread", "2000007001000022", "--sandbox", NO_COLOR="1", TERM="dumb")
    assert code == 0
    assert "\x1b[3" not in seen


def test_json_on_a_terminal_is_indented_and_plain() -> None:
    code, seen = on_terminal("whoami", "--sandbox", "--json")
    assert code == 0
    assert "\x1b" not in seen
    assert seen.startswith('{\n  "id": ')
    assert json.loads(seen)["nickname"]


def test_the_texts_of_others_are_no_markup() -> None:
    """`[bold]` is text, and `:smile:` too."""
    code, seen = on_terminal(
        "send", "2000007001000022", "[bold]x[/] :smile:", "--sandbox", "--dry-run"
    )
    assert code == 0
    assert "'[bold]x[/] :smile:'" in seen


@contextmanager
def running(*flags: str) -> Iterator[subprocess.Popen[str]]:
    """Run the sandbox, and end it with the block."""
    with subprocess.Popen(
        [*PROGRAM, "sandbox", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as server:
        try:
            yield server
        finally:
            server.kill()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_serves_until_it_is_stopped(stop: signal.Signals) -> None:
    flags = ("--packs", "3", "--files", "2", "--claims", "1", "--quiet")
    with running(*flags) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        url = server.stdout.readline().removeprefix("sandbox: ").strip()
        variable = server.stdout.readline().removeprefix("export ").strip()
        name, _, token = variable.partition("=")
        assert name == "MLMSG_ACCESS_TOKEN"
        listed = invoke("packs", "--base-url", url, **{name: token})
        assert listed.exit_code == 0, listed.stderr
        assert 1 < len(listed.stdout.splitlines()) <= 1 + 3  # a cancelled sale is hidden
        server.send_signal(stop)
        assert server.wait(timeout=20) == (130 if stop is signal.SIGINT else 0)
        assert server.stderr.read() == ""


def test_the_sandbox_names_a_port_that_is_taken() -> None:
    with running("--json", "--quiet") as server:
        assert server.stdout is not None
        port = json.loads(server.stdout.readline())["url"].rpartition(":")[2]
        second = subprocess.run(
            [*PROGRAM, "sandbox", "--port", port],
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
        )
    assert second.returncode == 1
    assert "address already in use" in second.stderr
    assert "Traceback" not in second.stderr


NUMBERS = [
    pytest.param(("--packs", "0"), 0, id="no packs"),
    pytest.param(("--packs", "2", "--files", "0"), 2, id="no files"),
    pytest.param(("--packs", "1", "--files", "80"), 1, id="many files"),
    pytest.param(("--files", "2"), 10, id="files alone"),
    pytest.param((), 4, id="the example"),
    pytest.param(("--domestic", "--packs", "3"), 3, id="domestic"),
]


@pytest.mark.parametrize(("flags", "packs"), NUMBERS)
def test_the_sandbox_has_as_many_packs_as_asked_for(flags: tuple[str, ...], packs: int) -> None:
    domestic = ["--domestic"] if "--domestic" in flags else []
    with running("--json", "--quiet", *flags) as server:
        assert server.stdout is not None
        address = json.loads(server.stdout.readline())
        arguments = ["packs", "--json", "--since", "52w", "--base-url", address["url"], *domestic]
        listed = invoke(*arguments, MLMSG_ACCESS_TOKEN=address["access_token"])
    assert listed.exit_code == 0, listed.stderr
    assert len(listed.stdout.splitlines()) == packs


def test_claims_without_packs_are_refused() -> None:
    done = invoke("sandbox", "--packs", "0", "--claims", "3")
    assert done.exit_code == 2
