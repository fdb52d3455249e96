"""The code blocks of the README: whole files, and fragments that stand in an async function."""

import re
import textwrap
from pathlib import Path

PATH = Path(__file__).parent.parent / "README.md"
TEXT = PATH.read_text(encoding="utf-8")

DECLARED = {
    "client": "Client",
    "pack_id": "int",
    "claim_id": "int",
    "attachment_id": "str",
}
"""The names that every fragment may use, and their types; the README announces them."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def section(title: str) -> str:
    """Return the text below a heading of the second level."""
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def is_whole_file(block: str) -> bool:
    return any(word in block for word in ("asyncio.run(", "import pytest", "from fastapi"))


def programs() -> list[str]:
    return [block for block in blocks("python") if "asyncio.run(" in block]


def pytest_modules() -> list[str]:
    return [block for block in blocks("python") if "import pytest" in block]


def services() -> list[str]:
    return [block for block in blocks("python") if "from fastapi" in block]


def fragments() -> list[str]:
    return [block for block in blocks("python") if not is_whole_file(block)]


def as_function(fragment: str) -> str:
    """Return a module with one function, which declares the names and contains the fragment."""
    arguments = ", ".join(f"{name}: {kind}" for name, kind in DECLARED.items())
    header = f"from mlmsg import Client\n\n\nasync def main({arguments}) -> None:\n"
    return header + textwrap.indent(fragment, "    ")
