"""The public face of the package changes only on purpose."""

import importlib
import pickle
import pkgutil
import sys

from public_face import SNAPSHOT, face

import mlmsg
from mlmsg import OrdersUnreadable
from mlmsg.oauth import AuthorizationDenied


def test_the_public_face_is_the_committed_one() -> None:
    advice = "run `python tests/public_face.py`, and commit tests/public_face.txt"
    assert face() == SNAPSHOT.read_text(encoding="utf-8"), advice


def test_the_snapshot_holds_every_name_of_the_package() -> None:
    root = SNAPSHOT.read_text(encoding="utf-8").partition("\n# mlmsg\n")[2]
    assert {line.split()[0] for line in root.split("\n") if line} == set(mlmsg.__all__)


def _public_classes() -> list[tuple[str, type]]:
    """Return each class of each public module, with the module that offers it."""
    found: list[tuple[str, type]] = []
    for module in pkgutil.walk_packages(mlmsg.__path__, "mlmsg."):
        if any(part.startswith("_") or part == "cli" for part in module.name.split(".")):
            continue
        offered = importlib.import_module(module.name)
        values = (getattr(offered, name) for name in getattr(offered, "__all__", ()))
        found += [(module.name, value) for value in values if isinstance(value, type)]
    return found


def test_a_public_class_names_a_public_module_in_which_it_is_found() -> None:
    """So that its repr can be imported, and its objects can be pickled."""
    for offered, kind in _public_classes():
        private = [part for part in kind.__module__.split(".") if part.startswith("_")]
        if not kind.__module__.startswith("mlmsg.models."):  # its modules are one per document
            assert not private, f"{offered}.{kind.__name__} is of {kind.__module__}"
        assert getattr(sys.modules[kind.__module__], kind.__name__) is kind


def test_errors_of_private_modules_can_be_pickled() -> None:
    for error in (AuthorizationDenied("access_denied", "no"), OrdersUnreadable({})):
        assert pickle.loads(pickle.dumps(error)).args == error.args  # noqa: S301
