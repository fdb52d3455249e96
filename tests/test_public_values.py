"""The public values that users make, compare and store, such as `Timeouts` and `Saved`."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import pytest
from rich.pretty import pretty_repr

from mlmsg import RetryPolicy, RuleError, Saved, Timeouts
from mlmsg.pictures import Picture
from mlmsg.uploads import Source

PNG: Final = b"\x89PNG\r\n\x1a\n" + b"x" * 8

VALUES: Final[dict[str, tuple[Callable[..., object], dict[str, object], str]]] = {
    "Timeouts": (
        Timeouts,
        {"connect": 1.0, "read": 2.0, "write": 3.0, "total": None},
        "Timeouts(connect=1.0, read=2.0, write=3.0, total=None)",
    ),
    "RetryPolicy": (
        RetryPolicy,
        {"attempts": 2, "base": 0.1, "cap": 0.2, "max_retry_after": 3.0, "deadline": None},
        "RetryPolicy(attempts=2, base=0.1, cap=0.2, max_retry_after=3.0, deadline=None)",
    ),
    "Saved": (
        Saved,
        {"path": Path("a.png"), "size": 3, "sha256": "ab"},
        f"Saved(path={Path('a.png')!r}, size=3, sha256='ab')",
    ),
    "Picture": (Picture, {"data": PNG}, "<Picture: image/png, 16 bytes>"),
}


def pickled(value: object) -> object:
    return pickle.loads(pickle.dumps(value))  # noqa: S301


each_value = pytest.mark.parametrize("name", VALUES)


@each_value
def test_a_value_takes_its_fields_by_position_and_by_name(name: str) -> None:
    make, fields, shown = VALUES[name]
    value = make(**fields)
    assert make(*fields.values()) == value
    assert repr(value) == shown
    assert {field: getattr(value, field) for field in fields} == fields
    assert getattr(type(value), "__match_args__", None) == tuple(fields)


@each_value
def test_equal_values_have_one_hash_and_others_differ(name: str) -> None:
    make, fields, _ = VALUES[name]
    assert make(**fields) == make(**fields)
    assert hash(make(**fields)) == hash(make(**fields))
    assert make(**fields) != tuple(fields.values())


@each_value
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_value_can_be_copied_and_pickled(name: str, copied: Callable[[object], object]) -> None:
    make, fields, _ = VALUES[name]
    value = make(**fields)
    again = copied(value)
    assert again == value
    assert type(again) is type(value)


@each_value
def test_a_value_is_read_only(name: str) -> None:
    make, fields, _ = VALUES[name]
    value, field = make(**fields), next(iter(fields))
    with pytest.raises(AttributeError):
        setattr(value, field, None)
    with pytest.raises(AttributeError):
        value.something_else = 1  # type: ignore[attr-defined]


@each_value
def test_an_unknown_or_missing_argument_is_an_error(name: str) -> None:
    make, fields, _ = VALUES[name]
    with pytest.raises(TypeError, match="something_else"):
        make(**fields, something_else=1)


@pytest.mark.parametrize("kind", [Saved, Source, Picture])
def test_fields_without_a_default_are_required(kind: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match="required argument"):
        kind()


def test_a_copy_with_another_limit_is_checked_as_well() -> None:
    assert msgspec.structs.replace(Timeouts(), read=60.0) == Timeouts(read=60.0)
    assert msgspec.structs.replace(RetryPolicy(), attempts=2) == RetryPolicy(attempts=2)
    with pytest.raises(RuleError, match="timeout `read`"):
        msgspec.structs.replace(Timeouts(), read=0)
    with pytest.raises(RuleError, match="`attempts` of a retry policy"):
        msgspec.structs.replace(RetryPolicy(), attempts=0)


def test_rich_shows_no_bytes_of_a_picture() -> None:
    assert pretty_repr(Picture(PNG)) == "Picture(content_type='image/png', size=16)"
