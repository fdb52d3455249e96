"""The help of every command: options, variables, exit codes, completion."""

import os
import re
import subprocess
from pathlib import Path

import click
import pytest
from commands import COMMANDS, GROUPS, PROGRAM, environment, invoke

from mlmsg.cli import cli
from mlmsg.cli._exit_codes import EXIT_CODES
from mlmsg.cli._failures import exit_code_of
from mlmsg.errors import (
    ActionNotAvailable,
    NotFound,
    OutcomeUnknown,
    RecipientUnknown,
    RuleError,
    TargetExists,
    TransportError,
)

FLAGS = {"--sandbox", "--base-url", "--grant", "--domestic", "--json", "--quiet", "--verbose"}
WRITES = {"send", "upload", "mark-read", "claim send", "claim upload", "reasons"}
WITHOUT_ACCOUNT = {"sandbox"}


EXPECTED = {
    "login", "whoami", "thread", "message", "send", "upload", "download", "unread", "mark-read",
    "reasons", "packs", "claims", "sync", "sandbox", "claim show", "claim messages", "claim send",
    "claim upload", "claim download", "claim info",
}  # fmt: skip


def test_all_commands_are_there() -> None:
    assert set(COMMANDS) >= EXPECTED


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_names_its_options_variables_and_exit_codes(name: str) -> None:
    done = invoke(*name.split(), "--help")
    assert done.exit_code == 0
    assert done.stderr == ""
    for code in ("0 ", "1 ", "2 ", "3 ", "130 "):
        assert f"\n  {code}" in done.stdout.partition("Exit codes:")[2]
    if name not in WITHOUT_ACCOUNT:
        assert set(done.stdout.split()) >= FLAGS
        assert "MLMSG_ACCESS_TOKEN" in done.stdout
    assert ("--dry-run" in done.stdout) is (name in WRITES)


ERRORS = {
    "a 404": (NotFound(404, None, "none"), 1),
    "an existing file": (TargetExists("a"), 1),
    "a port in use": (OSError(98, "address already in use"), 1),
    "the network": (TransportError("no connection"), 1),
    "the state of a claim": (ActionNotAvailable("send", (), ()), 1),
    "the state of a thread": (RecipientUnknown("none"), 1),
    "a lost answer": (OutcomeUnknown("no data"), 1),
    "an argument": (RuleError("text", "400 characters", "350"), 2),
}


@pytest.mark.parametrize("case", ERRORS)
def test_the_exit_code_of_an_error_is_the_documented_one(case: str) -> None:
    error, code = ERRORS[case]
    assert exit_code_of(error) == code


def test_the_table_of_the_readme_is_that_of_the_help() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| exit code | meaning |")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    assert [int(code) for code, _ in rows] == [code for code, _ in EXIT_CODES]
    for (_, meaning), (_, help_text) in zip(rows, EXIT_CODES, strict=True):
        words = re.sub(r" \([^)]*\)", "", meaning.lower()).replace(";", ".").split(". ")
        for part in words:
            assert part.removeprefix("or ") in help_text.lower()


@pytest.mark.parametrize("name", COMMANDS)
def test_no_secret_is_an_option(name: str) -> None:
    options = [option for parameter in COMMANDS[name].params for option in parameter.opts]
    assert not [option for option in options if "token" in option or "secret" in option]


@pytest.mark.parametrize("name", [*GROUPS, *COMMANDS])
def test_the_help_fits_a_terminal_of_80_columns(name: str) -> None:
    """Click itself keeps two of the 80 columns free, except in its own test runner."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("click.formatting.FORCED_WIDTH", 78)
        help_text = _help_text(name)
    assert max(map(len, help_text.splitlines())) <= 78
    assert "..." not in help_text.partition("Commands:")[2]  # no summary is cut


def _help_text(name: str) -> str:
    context = click.Context(cli, info_name="mlmsg")
    command: click.Command = cli
    for word in name.split():
        assert isinstance(command, click.Group)
        command = command.commands[word]
        context = click.Context(command, info_name=word, parent=context)
    return command.get_help(context)


@pytest.mark.slow
@pytest.mark.parametrize(("shell", "current"), [("bash", "1"), ("zsh", "1"), ("fish", "th")])
def test_a_shell_completes_the_commands(shell: str, current: str) -> None:
    variables = environment(
        _MLMSG_COMPLETE=f"{shell}_complete", COMP_WORDS="mlmsg th", COMP_CWORD=current
    )
    done = subprocess.run(PROGRAM, capture_output=True, text=True, check=False, env=variables)
    assert "thread" in done.stdout


@pytest.mark.slow
def test_help_opens_no_connection_and_reads_no_account() -> None:
    done = subprocess.run(
        [*PROGRAM, "thread", "--help"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MLMSG_GRANT": "/nonexistent/grant.json"},
    )
    assert done.returncode == 0
