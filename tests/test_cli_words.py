"""Texts of the command line: they name commands and options that exist, and no Python."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from commands import COMMANDS, GROUPS
from readme import PATH as README

import mlmsg
from mlmsg.cli._words import PARAMETERS, in_commands

PACKAGE = Path(mlmsg.__file__).parent
PROJECT = README.parent

PYTHON = re.compile(
    r"\bclient\.|\b(packs|reasons|claims)\.[a-z]|\b[a-z_]{2,}=|^`(?!mlmsg )"
    r"|\b[Pp]ass\b|\bClient\b|oauth"
)
"""What an error of the command line must not contain: calls, arguments, types."""

FOR_PROGRAMS = {
    "cli", "sandbox", "models", "_decoders.py", "_disposition.py", "_event_loop.py", "_html.py",
    "_multipart.py", "_operations.py", "_refreshing.py", "_search_queries.py", "_session.py",
    "auth.py", "budget.py", "client/__init__.py", "client/notifications.py", "events.py",
    "notifications.py", "policy.py", "pytest_plugin.py", "sync/shards.py", "tables.py",
    "uploads.py",
}  # fmt: skip
"""Folders and modules whose advice is for programs: no argument or option leads to it."""

NEVER_WRONG = {
    "a Client",
    "Add its zone: datetime.now(UTC), or value.replace(tzinfo=...)",
    "To trust a CA, pass ssl.create_default_context(cafile=...)",
}
"""Advice on arguments that the command line sets itself, or always passes in the right type."""


def texts(path: Path) -> Iterator[str]:
    """Yield the texts of a module that are no docstrings, `x` for each value in them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):  # a parent comes before its children
        if isinstance(node, ast.Expr | ast.JoinedStr):
            skipped.update(ast.iter_child_nodes(node))
        text = _text(node)
        if text is not None and node not in skipped and not re.fullmatch(r"[\w.]+", text):
            yield text


def _text(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=str(value)):
            return value
        case ast.JoinedStr(values=values):
            return "".join(_text(value) or "x" for value in values)
    return None


def all_texts() -> list[tuple[str, str]]:
    """Return the module and the text of each error and hint that a command may show."""
    modules = [
        path
        for path in sorted(PACKAGE.rglob("*.py"))
        if not FOR_PROGRAMS & {path.relative_to(PACKAGE).parts[0], str(path.relative_to(PACKAGE))}
    ]
    modules += [PACKAGE / "models" / "_blocked.py"]
    return [(module.name, text) for module in modules for text in texts(module)]


def test_there_are_texts_to_check() -> None:
    found = {text for _, text in all_texts()}
    assert len(found) > 200
    assert "Pass site_id=, the site of the order; files need it" in found
    assert (
        "Start the conversation with a reason: client.reasons.list, then client.reasons.send"
        in (found)
    )


def test_every_error_of_the_package_is_said_in_commands_and_options() -> None:
    assert "Pass site_id=, the site of the order; files need it" in {
        text for _, text in all_texts()
    }
    wrong = {
        f"{module}: {text!r}"
        for module, text in all_texts()
        if text not in NEVER_WRONG
        and "were yielded before" not in text
        and PYTHON.search(in_commands(text))
    }
    assert wrong == set()


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_every_argument_or_option_that_stands_for_a_parameter_exists(parameter: str) -> None:
    word = PARAMETERS[parameter]
    parameters = [found for command in COMMANDS.values() for found in command.params]
    options = {option for found in parameters for option in found.opts}
    arguments = {
        found.metavar or str(found.name).upper()
        for found in parameters
        if isinstance(found, click.Argument)
    }
    assert word in options | arguments | {"PACK"}


MENTION = re.compile(r"(?:`|^|\$ |: |\d )mlmsg ([a-z][a-z-]*)(?: ([a-z]+))?", re.MULTILINE)
"""The program with a command: in backticks, at the start of a line, after a prompt or a time."""

VERBS = {"is", "needs", "wrote", "assumes", "brings", "gives", "serves", "finds"}
"""Words after the name of the package, where a line of prose starts with it."""


def mentions() -> Iterator[str]:
    """Yield each command that a text of the project names, such as `claim show`."""
    kinds = ("*.py", "*.md", "*.ipynb", "*.yml", "*.toml")
    folders = (PACKAGE, PROJECT / "examples", PROJECT / "benchmarks", PROJECT / ".github")
    files = [path for folder in folders for kind in kinds for path in folder.rglob(kind)]
    for path in [README, PROJECT / "pyproject.toml", *files]:
        for word, second in MENTION.findall(path.read_text(encoding="utf-8")):
            if word not in VERBS:
                yield f"{word} {second}" if word in GROUPS and second else word


def test_no_text_names_a_command_that_does_not_exist() -> None:
    found = set(mentions())
    assert found > {"claim messages", "packs", "sandbox", "sync", "thread"}
    assert found - set(COMMANDS) - set(GROUPS) == set()
