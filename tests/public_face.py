"""Write the public signatures of the package to `public_face.txt`.

    python tests/public_face.py

The text comes from the source and not from `inspect`, whose output differs between versions of
Python. A change of the public face then shows in the diff of a commit.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).parent.parent
SNAPSHOT = Path(__file__).with_name("public_face.txt")

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

LEFT_OUT = {"__main__", "cli"}
"""Modules without Python names for users."""


def face() -> str:
    """Return the public names and signatures, module after module."""
    shown: set[tuple[str, str]] = set()
    lines: list[str] = []
    for module in _modules():
        lines += ["", f"# {module}", ""]
        for name in _exported(module):
            origin, node = _definition(module, name)
            if (origin, name) in shown:
                lines.append(f"{name}  (from {origin})")
            else:
                shown.add((origin, name))
                lines += _described(node)
    return "\n".join(lines).lstrip() + "\n"


def _modules() -> list[str]:
    """Return the public modules in the order of their names, then `mlmsg` itself."""
    names = {path.stem for path in (ROOT / "mlmsg").iterdir() if path.suffix in {".py", ""}}
    public = sorted(name for name in names - LEFT_OUT if not name.startswith(("_", "LICENSE")))
    return [*(f"mlmsg.{name}" for name in public), "mlmsg"]


@cache
def _tree(module: str) -> tuple[ast.Module, bool]:
    """Return the syntax tree of a module, and True if the module is a package."""
    path = ROOT.joinpath(*module.split("."))
    is_package = path.is_dir()
    file = path / "__init__.py" if is_package else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8")), is_package


def _exported(module: str) -> list[str]:
    for node in _tree(module)[0].body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return sorted(ast.literal_eval(node.value))
    return []


def _definition(module: str, name: str) -> tuple[str, ast.stmt]:
    """Return the module that defines a name, and the statement."""
    tree, is_package = _tree(module)
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef() if node.name == name:
                return module, node
            case ast.AnnAssign(target=ast.Name(id=target)) if target == name:
                return module, node
            case ast.Assign(targets=[ast.Name(id=target)]) if target == name:
                return module, node
            case ast.ImportFrom() if name in {alias.asname or alias.name for alias in node.names}:
                parts = module.split(".")
                base = parts[: len(parts) - node.level + is_package] if node.level else []
                source = ".".join([*base, *([node.module] if node.module else [])])
                return _definition(source, name)
            case _:
                continue
    raise LookupError(f"{name} in {module}")


def _described(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(map(ast.unparse, [*node.bases, *node.keywords]))
        head = f"class {node.name}({bases})" if bases else f"class {node.name}"
        return [head, *(f"    {line}" for line in _members(node))]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [_signature(node)]
    return [ast.unparse(node)]


def _members(node: ast.ClassDef) -> Iterator[str]:
    for member in node.body:
        match member:
            case ast.AnnAssign() if not ast.unparse(member.target).startswith("_"):
                yield ast.unparse(member)
            case ast.Assign() if not ast.unparse(member.targets[0]).startswith("_"):
                yield ast.unparse(member)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if member.name == "__init__":
                    yield _signature(member)
                    yield from _attributes(member)
                elif not member.name.startswith("_"):
                    yield from (f"@{ast.unparse(item)}" for item in member.decorator_list)
                    yield _signature(member)


def _attributes(initializer: Function) -> Iterator[str]:
    """Yield the public attributes that `__init__` sets."""
    for statement in ast.walk(initializer):
        match statement:
            case ast.AnnAssign(target=ast.Attribute(attr=name), annotation=annotation):
                attribute = f"self.{name}: {ast.unparse(annotation)}"
            case ast.Assign(targets=[ast.Attribute(attr=name)]):
                attribute = f"self.{name}"
            case _:
                continue
        if not name.startswith("_"):
            yield attribute


def _signature(node: Function) -> str:
    kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{kind} {node.name}({ast.unparse(node.args)}){returns}"


if __name__ == "__main__":
    SNAPSHOT.write_text(face(), encoding="utf-8")
