"""Every docstring begins with a sentence of its own: a verb and its object, or a noun."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = [
    path
    for top in ("mlmsg", "benchmarks", "examples")
    for path in sorted((ROOT / top).rglob("*.py"))
]
FREE_RELATIVE = re.compile(r"(What|Whether|How|Where|Who|The same|An? `[^`]+` that)\b")
"""Beginnings of a sentence that has no verb of its own, such as "What of a message can be sent"."""


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Yield the docstrings of a module, its classes and functions, and the strings below names."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.lineno, text.strip()


@pytest.mark.parametrize(
    ("docstring", "is_found"),
    [
        ("What is known of a file.", True),
        ("Whether it is open.", True),
        ("The same for `async for`.", True),
        ("A `Download` that is open.", True),
        ("Whatever the server sends is kept.", False),
        ("Return what the server sent.", False),
        ("An open `Download`.", False),
    ],
)
def test_the_beginnings_are_found_in_every_place(docstring: str, *, is_found: bool) -> None:
    text = f'"""{docstring}"""\n'
    source = f"{text}X = 1\n{text}class A:\n    {text}    x: int\n    {text}    def f(): {text}"
    found = [text for _, text in docstrings(source) if FREE_RELATIVE.match(text)]
    assert len(found) == 5 * is_found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_docstring_begins_with_a_free_relative(path: Path) -> None:
    found = list(docstrings(path.read_text(encoding="utf-8")))
    assert [pair for pair in found if FREE_RELATIVE.match(pair[1])] == []
