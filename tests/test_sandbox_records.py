"""Mappings whose values are derived when they are asked for, against a plain dict."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmsg.sandbox.records import Records

Value = list[str]


class Letters:
    """The letters of a text, each as a new list."""

    def __init__(self, text: str = "abc") -> None:
        self.text = text
        self.made: list[str] = []

    def __len__(self) -> int:
        return len(self.text)

    def __iter__(self) -> Iterator[str]:
        return iter(self.text)

    def __contains__(self, key: object) -> bool:
        return key in set(self.text)

    def find(self, key: str) -> Value | None:
        self.made.append(key)
        return [key] if key in self else None


Step = Callable[[Records[Value] | dict[str, Value]], object]

KEYS = st.sampled_from("abcde")
STEPS: st.SearchStrategy[Step] = st.one_of(
    KEYS.map(lambda key: lambda records: records.get(key)),
    KEYS.map(lambda key: lambda records: records.pop(key, None)),
    KEYS.map(lambda key: lambda records: records.__delitem__(key) if key in records else None),
    KEYS.map(lambda key: lambda records: records[key].append("!") if key in records else None),
    KEYS.map(lambda key: lambda records: records.__setitem__(key, ["new"])),
    KEYS.map(lambda key: lambda records: records.setdefault(key, ["default"])),
    st.just(lambda records: sorted(records.values())),
)


@given(st.sampled_from(["abc", "a", ""]), st.lists(STEPS, max_size=12), st.booleans())
def test_records_are_a_mapping_of_their_source(text: str, steps: list[Step], look: bool) -> None:
    records, plain = Records(Letters(text)), {key: [key] for key in text}
    for step in steps:
        assert step(records) == step(plain)
        assert len(records) == len(plain)
        assert all((key in records) == (key in plain) for key in "abcde")
        if look:
            assert all(records.peek(key) == plain.get(key) for key in "abcde")
        assert records.replaced == {
            key for key in text if key in records.kept or key not in records
        }
    assert records == plain
    # The source comes first, in its order.
    assert [key for key in records if key in text] == [key for key in text if key in plain]
    assert list(reversed(records)) == list(records)[::-1]


def test_a_value_is_kept_once_it_was_handed_out() -> None:
    records = Records(Letters())
    assert records.peek("a") == ["a"]
    assert records.kept == {}
    records["a"].append("b")
    assert records.kept == {"a": ["a", "b"]}
    assert records.peek("a") is records["a"]
    assert records.replaced == {"a"}
    assert repr(records) == "<Records: 3, of which 1 are kept>"


def test_a_value_that_cannot_change_is_not_kept() -> None:
    letters = Letters()
    records = Records(letters, keeps=False)
    assert records["a"] is not records["a"]
    assert letters.made == ["a", "a"]
    assert records.kept == {}
    # Neither is it made for a look at the ids.
    assert "b" in records
    assert list(records) == ["a", "b", "c"]
    assert letters.made == ["a", "a"]
    del records["b"]
    assert "b" not in records
    records["c"] = ["other"]
    assert records["c"] == ["other"]


@pytest.mark.parametrize("key", ["x", ""])
def test_an_unknown_id_is_a_key_error(key: str) -> None:
    records = Records(Letters())
    assert records.peek(key) is None
    with pytest.raises(KeyError):
        records[key]
    with pytest.raises(KeyError):
        del records[key]
    del records["a"]
    with pytest.raises(KeyError):
        records["a"]
