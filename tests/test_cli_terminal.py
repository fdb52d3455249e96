"""Output on a terminal: bubbles, tables and bars; and the sandbox as a program."""

import json
import signal
import sys

import pytest
from commands import invoke, mlmsg, on_terminal, started, without_escapes

pytestmark = [
    pytest.mark.slow,  # each test runs the program
    pytest.mark.skipif(sys.platform == "win32", reason="uses a pseudo-terminal"),
]


def test_a_thread_has_two_sides() -> None:
    code, seen = on_terminal("thread", "2000007001000022", "--sandbox", TZ="UTC")
    assert code == 0
    lines = without_escapes(seen).splitlines()
    theirs = next(line for line in lines if "Beatriz · 2024-09-03 12:04" in line)
    ours = next(line for line in lines if "Loja Exemplo · 2024-09-03 13:37" in line)
    assert theirs.startswith("╭─ Beatriz")
    assert ours.startswith("      ")
    assert max(map(len, lines)) <= 100
    assert "\x1b[" in seen


def test_a_list_is_no_wider_than_the_terminal() -> None:
    arguments = ("--sandbox", "--since", "2020-01-01")
    for command in ("packs", "claims"):
        code, seen = on_terminal(command, *arguments, COLUMNS="80")
        lines = without_escapes(seen).splitlines()
        assert code == 0
        assert max(map(len, lines)) <= 80
        assert len({line.split()[0] for line in lines}) == len(lines) > 3


def test_a_long_list_of_orders_is_cut_on_a_terminal_and_whole_in_a_pipe() -> None:
    arguments = ("packs", "--sandbox", "--since", "2020-01-01")
    _, seen = on_terminal(*arguments, COLUMNS="80")
    assert "2000006001000002, 2000006…" in without_escapes(seen)
    assert "2000006001000002, 2000006001000100\n" in mlmsg(*arguments).stdout


def test_a_table_breaks_no_word_on_a_terminal_of_80_columns() -> None:
    arguments = ("reasons", "2000007002000044", "--sandbox", "--domestic")
    _, seen = on_terminal(*arguments, COLUMNS="80")
    lines = [line.strip() for line in without_escapes(seen).splitlines()]
    assert "TEMPLATE___DELIVERY_PROMISE___1___VAR___LIMIT" in lines


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


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_serves_until_it_is_stopped(stop: signal.Signals) -> None:
    flags = ("--packs", "3", "--files", "2", "--claims", "1", "--quiet")
    with started("sandbox", *flags) as server:
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
    with started("sandbox", "--json", "--quiet") as server:
        assert server.stdout is not None
        port = json.loads(server.stdout.readline())["url"].rpartition(":")[2]
        second = mlmsg("sandbox", "--port", port)
    assert second.returncode == 1
    assert "address already in use" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize("port", ["abc", "65536", "-1", ""])
def test_what_is_no_port_is_named(port: str) -> None:
    done = invoke("sandbox", "--port", port)
    assert done.exit_code == 2
    assert f"found '{port}', allowed: a port number (0 to 65535)" in done.stderr


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
    with started("sandbox", "--json", "--quiet", *flags) as server:
        assert server.stdout is not None
        address = json.loads(server.stdout.readline())
        arguments = ["packs", "--json", "--since", "52w", "--base-url", address["url"], *domestic]
        listed = invoke(*arguments, MLMSG_ACCESS_TOKEN=address["access_token"])
    assert listed.exit_code == 0, listed.stderr
    assert len(listed.stdout.splitlines()) == packs


def test_claims_without_packs_are_refused() -> None:
    done = invoke("sandbox", "--packs", "0", "--claims", "3")
    assert done.exit_code == 2
