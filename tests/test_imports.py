"""`import mlmsg` imports names at their first use, and nothing of an extra.

`from mlmsg import Client` imports all that calls need, and no large module that few programs need.
"""

import ast
import copy
import importlib
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from commands import running_sandbox

import mlmsg

LIBRARIES = "import sys, aiohttp, msgspec"

ALLOWED = {"_queue", "queue"}
"""Modules of the standard library, besides those that aiohttp and msgspec import."""

ROOMS_OF_THEIR_OWN = ("cli", "oauth", "pytest_plugin", "sandbox", "sync", "tables", "testing")
"""Rooms that only those programs import that use them."""

FIRST_CALLS = Path(__file__).with_name("first_calls.py")


def run(*arguments: str) -> str:
    """Run Python in a new process, and return what it prints."""
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported(statement: str, before: str = LIBRARIES) -> set[str]:
    """Return the modules that a statement imports after others, in a new process."""
    program = f"{before}; before = set(sys.modules); {statement}; "
    return set(run("-c", f"{program}print(*set(sys.modules) - before)").split())


@pytest.mark.slow
def test_the_package_alone_imports_no_other_module_of_ours() -> None:
    found = imported("import mlmsg", before="import sys")
    assert {name for name in found if name.partition(".")[0] == "mlmsg"} == {"mlmsg"}
    assert not {name.partition(".")[0] for name in found} - sys.stdlib_module_names - {"mlmsg"}
    assert imported("import mlmsg") == {"mlmsg"}


@pytest.mark.slow
def test_the_client_imports_only_few_modules() -> None:
    found = imported("from mlmsg import Client")
    own = {name for name in found if name.partition(".")[0] == "mlmsg"}
    assert "mlmsg.client" in own
    assert found - own <= ALLOWED
    rooms = {name.split(".")[1] for name in own - {"mlmsg"}}
    assert not rooms & set(ROOMS_OF_THEIR_OWN)


@pytest.mark.slow
def test_after_the_client_no_name_imports_anything() -> None:
    """So that an `except mlmsg.RateLimited` does not block the event loop."""
    assert imported("from mlmsg import *", before="import sys; from mlmsg import Client") == set()


@pytest.mark.slow
def test_the_calls_of_a_client_import_nothing(tmp_path: Path) -> None:
    """Without a mistake to explain, and without a lost message to search for."""
    (tmp_path / "invoice.pdf").write_bytes(b"%PDF-1.4")
    with running_sandbox() as sandbox:
        assert run(str(FIRST_CALLS), sandbox.url, sandbox.token, str(tmp_path)).split() == []


@pytest.mark.slow
def test_a_folder_needs_no_obstore() -> None:
    tops = {name.partition(".")[0] for name in imported("import mlmsg.sync")}
    assert not tops & {"obstore", "click", "rich", "filelock", "platformdirs"}


@pytest.mark.slow
def test_no_pattern_is_compiled() -> None:
    """To compile the patterns of a module takes longer than to import it."""
    imported("import re; re.compile = None; import mlmsg.client")


# Names at their first use ------------------------------------------------------------------


@pytest.fixture
def package() -> Iterator[ModuleType]:
    """Return `mlmsg` as it is after `import mlmsg`, with none of its names used yet."""
    names = [*mlmsg.__all__, *mlmsg._MODULES]
    used = {name: vars(mlmsg).pop(name) for name in names if name in vars(mlmsg)}
    yield mlmsg
    vars(mlmsg).update(used)


def names_for_type_checkers() -> dict[str, str]:
    """Return the names that `mlmsg` imports for type checkers, with their modules."""
    tree = ast.parse(Path(mlmsg.__file__).read_text(encoding="utf-8"))
    [guarded] = [node for node in tree.body if isinstance(node, ast.If)]
    assert ast.unparse(guarded.test) == "TYPE_CHECKING"
    return {
        alias.name: str(node.module)
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_the_three_lists_of_names_are_the_same() -> None:
    assert names_for_type_checkers() == mlmsg._MODULE_OF
    assert list(mlmsg._MODULE_OF) == mlmsg.__all__


@pytest.mark.parametrize("name", mlmsg.__all__)
def test_a_name_is_the_object_of_its_module(package: ModuleType, name: str) -> None:
    home = importlib.import_module(f"mlmsg.{names_for_type_checkers()[name]}")
    assert name not in vars(package)
    assert getattr(package, name) is getattr(home, name)
    assert vars(package)[name] is getattr(home, name)  # the next use is an ordinary one


def test_the_names_of_the_package_are_listed_before_their_first_use(package: ModuleType) -> None:
    found = dir(package)
    assert set(mlmsg.__all__) | {"errors", "models", "rules", "__all__", "__doc__"} <= set(found)
    assert found == sorted(set(found))
    assert not {"TYPE_CHECKING", "import_module"} & set(found)


def test_a_star_imports_every_name(package: ModuleType) -> None:
    found: dict[str, object] = {}
    exec("from mlmsg import *", found)
    assert set(found) - {"__builtins__"} == set(package.__all__)


@pytest.mark.slow
def test_modules_of_the_package_need_no_import_of_their_own() -> None:
    names = sorted(mlmsg._MODULES)
    found = run("-c", f"import mlmsg; print(*[getattr(mlmsg, name).__name__ for name in {names}])")
    assert found.split() == [f"mlmsg.{name}" for name in names]


@pytest.mark.slow
def test_an_unknown_name_is_an_error_that_proposes_a_known_one(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match="module 'mlmsg' has no attribute 'Clinet'") as caught:
        package.Clinet  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("Clinet", package)
    assert not hasattr(package, "nothing")
    with pytest.raises(ImportError, match="cannot import name 'Clinet' from 'mlmsg'"):
        exec("from mlmsg import Clinet")
    command = [sys.executable, "-c", "import mlmsg; mlmsg.Clinet"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert "Did you mean: 'Client'?" in shown


@pytest.mark.slow
def test_a_module_that_was_not_imported_is_no_attribute() -> None:
    assert run("-c", "import mlmsg; print(hasattr(mlmsg, 'sync'))").strip() == "False"
    assert run("-c", "from mlmsg import sync; print(sync.__name__)").strip() == "mlmsg.sync"


@pytest.mark.slow
def test_an_object_of_a_module_that_was_not_used_can_be_unpickled() -> None:
    pickled = pickle.dumps(mlmsg.Timeouts(read=1.0))
    program = f"import pickle, mlmsg; print(pickle.loads({pickled!r}) == mlmsg.Timeouts(read=1.0))"
    assert run("-c", program).strip() == "True"
    assert copy.deepcopy(mlmsg.Client) is mlmsg.Client


THREADS = """
import sys, threading, mlmsg
sys.setswitchinterval(1e-6)
names = [*mlmsg.__all__, *mlmsg._MODULES]
barrier = threading.Barrier(8)
found = [[] for _ in range(8)]
def use(number):
    barrier.wait()
    turned = names[number * 11:] + names[:number * 11]
    found[number] += sorted((name, id(getattr(mlmsg, name))) for name in turned)
threads = [threading.Thread(target=use, args=[number]) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found[0]) == len(names) and all(pairs == found[0] for pairs in found))
"""


@pytest.mark.slow
def test_threads_that_use_names_at_once_get_the_same_objects() -> None:
    assert run("-c", THREADS).strip() == "True"
