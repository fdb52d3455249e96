"""The rooms of the package: imports point down, libraries stay at home, `__all__` is complete."""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
from functools import cache
from pathlib import Path

import pytest
import readme

import mlmsg

PACKAGE = Path(mlmsg.__file__).parent

ROOMS = (
    ("_html", "_patterns", "_rows", "_version", "_worker_threads"),
    ("_numbers", "_stored_text", "_text_encoding"),
    ("models",),
    ("errors", "_characters", "_sites"),
    ("_arguments", "_event_loop", "_lenient", "_secrets", "_streams"),
    ("_walk_state", "_seen_ids", "_map_ahead"),
    (
        "_misuse",
        "rules",
        "policy",
        "events",
        "paging",
        "notifications",
        "_error_bodies",
        "_reconcile",
    ),
    ("budget", "_sources", "_content", "_disposition", "_partial_file"),
    ("_multipart",),
    ("uploads", "_wire", "_login_answer"),
    (
        "_date_walk",
        "_decoders",
        "_request_builders",
        "_reason_errors",
        "_search_queries",
        "_token_errors",
    ),
    ("_operations",),
    ("token_store", "_transport"),
    ("_refresh_backoff",),
    ("_grant",),
    ("_refreshing",),
    ("auth",),
    ("_session",),
    ("downloads", "pictures"),
    ("client",),
    ("sync", "sandbox", "oauth"),
    ("tables", "pytest_plugin"),
    ("cli",),
    ("__main__", ""),
)
"""The rooms, lowest first. A module imports from the rows above its own, and from its own room."""

RANK = {name: row for row, names in enumerate(ROOMS) for name in names}

NO_AWAIT = {
    "_arguments",
    "_characters",
    "_content",
    "_disposition",
    "_decoders",
    "_error_bodies",
    "_lenient",
    "_login_answer",
    "_numbers",
    "_operations",
    "_reason_errors",
    "_request_builders",
    "_rows",
    "_secrets",
    "_sites",
    "_stored_text",
    "_text_encoding",
    "_token_errors",
    "_wire",
    "errors",
    "events",
    "models",
    "notifications",
    "policy",
    "rules",
}

LIBRARIES: dict[str, set[str]] = {
    "aiohttp": {"_transport", "sandbox"},
    "anyio": set(),
    "click": {"cli"},
    "filelock": {"token_store"},
    "msgspec": set(),
    "multidict": {"_transport"},
    "obstore": {"sync.bucket"},
    "platformdirs": {"cli"},
    "pytest": {"pytest_plugin"},
    "pytest_asyncio": {"pytest_plugin"},
    "rich": {"cli"},
    "yarl": {"_transport"},
}
"""The rooms or modules that may import a library; an empty set allows all of them."""

MODULES = sorted(PACKAGE.rglob("*.py"))

each_module = pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE))
)


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]  # a package is one room


@cache
def imports(path: Path) -> set[str]:
    """Return the absolute names of everything that a module imports."""
    package = ["mlmsg", *path.relative_to(PACKAGE).parent.parts]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def own_rooms(path: Path) -> set[str]:
    """Return the rooms that a module imports from; `mlmsg` itself is the highest."""
    names = [name.split(".") for name in imports(path) if name.split(".")[0] == "mlmsg"]
    found = {parts[1] for parts in names if len(parts) > 1}
    return {name if name in RANK else "" for name in found}


def module(path: Path) -> str:
    parts = ("mlmsg", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


def test_no_module_imports_itself_by_any_way_around() -> None:
    names = {module(path) for path in MODULES}
    left = {module(path): imports(path) & names - {module(path), "mlmsg"} for path in MODULES}
    # A package imports its modules; that they name their package is no circle of contents.
    left = {
        name: {to for to in found if not name.startswith(f"{to}.")} for name, found in left.items()
    }
    while free := {name for name, found in left.items() if not found & set(left)}:
        left = {name: found for name, found in left.items() if name not in free}
    assert not left, f"in a circle: {sorted(left)}"


@each_module
def test_imports_point_down(path: Path) -> None:
    here = room(path)
    for there in own_rooms(path) - {here}:
        assert RANK[there] < RANK[here], f"{here or 'mlmsg'} imports {there}, a room above it"


def test_the_table_of_the_readme_is_in_the_order_of_the_imports() -> None:
    table = re.findall(r"^\| (`[^|]*) \|", readme.section("How it works"), re.MULTILINE)
    rows = [re.findall(r"`([a-z_]+)(?:\.py|/)`", cell) for cell in table]
    row_of = {name: number for number, row in enumerate(rows) for name in row}
    assert len(rows) > 5
    for path in MODULES:
        row = row_of.get(room(path), -1)
        above = {name for name in own_rooms(path) if row_of.get(name, len(rows)) < row}
        assert not above, f"{room(path)} imports {sorted(above)}, in a row above its own"


def libraries(path: Path) -> set[str]:
    """Return the third-party libraries that a module imports."""
    tops = {name.split(".")[0] for name in imports(path)}
    return tops - sys.stdlib_module_names - {"mlmsg"}


@each_module
def test_libraries_stay_in_their_rooms(path: Path) -> None:
    for name in libraries(path):
        homes = LIBRARIES[name]
        is_home = room(path) in homes or module(path).removeprefix("mlmsg.") in homes
        assert not homes or is_home, f"{module(path)} imports {name}, which stays in {homes}"


def test_every_row_of_the_libraries_is_needed() -> None:
    assert set(LIBRARIES) == set().union(*map(libraries, MODULES))


@each_module
def test_no_module_is_too_long(path: Path) -> None:
    assert path.read_text(encoding="utf-8").count("\n") <= 500


def test_at_most_three_imports_are_for_type_checkers_only() -> None:
    guarded = [path for path in MODULES if "if TYPE_CHECKING:" in path.read_text(encoding="utf-8")]
    assert len(guarded) <= 3


def test_the_sandbox_knows_nothing_of_the_client() -> None:
    for path in MODULES:
        if room(path) == "sandbox":
            assert own_rooms(path) <= {"sandbox"}, path


@pytest.mark.parametrize("name", sorted(NO_AWAIT))
def test_pure_rooms_hold_no_await(name: str) -> None:
    for path in MODULES:
        if room(path) == name:
            tree = ast.parse(path.read_text())
            assert not [node for node in ast.walk(tree) if isinstance(node, ast.Await)]


def test_every_module_has_a_room() -> None:
    assert {room(path) for path in MODULES} <= set(RANK)


def all_modules() -> list[str]:
    found = pkgutil.walk_packages(mlmsg.__path__, "mlmsg.")
    return ["mlmsg", *(one.name for one in found if not one.name.endswith("__main__"))]


@pytest.mark.parametrize("name", all_modules())
def test_all_names_what_is_there(name: str) -> None:
    """`__all__` is complete, and holds nothing twice or that does not exist."""
    module = importlib.import_module(name)
    if any(part.startswith("_") for part in name.split(".")):
        return
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        assert hasattr(module, public), f"{name}.{public}"
    defined = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == name
    }
    assert defined <= set(module.__all__), f"{name} defines more than it names"


def test_a_name_that_another_module_imports_is_in_all() -> None:
    modules = {module(path) for path in MODULES}
    for imported in set().union(*map(imports, MODULES)) - modules:
        home, _, name = imported.rpartition(".")
        if home in modules:
            assert name in getattr(importlib.import_module(home), "__all__", [name]), imported


def test_every_public_name_has_a_docstring() -> None:
    for public in mlmsg.__all__:
        value = getattr(mlmsg, public)
        assert inspect.getdoc(value), public
        for key, method in vars(value).items() if inspect.isclass(value) else ():
            if not key.startswith("_") and callable(method):
                assert inspect.getdoc(method), f"{public}.{key}"
