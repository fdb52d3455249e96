"""The set of the ids that a walk has yielded: exact, and small."""

import tracemalloc
from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlmsg._seen_ids
from mlmsg._seen_ids import SeenIds

IDS = st.one_of(st.integers(0, 40), st.integers(-2, 2**65), st.sampled_from(["7", None, "x"]))


@given(values=st.lists(IDS, max_size=200), recent=st.integers(1, 9))
def test_it_answers_as_a_set_does(values: list[Hashable], recent: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlmsg._seen_ids, "MAX_RECENT", recent)
        ids, known = SeenIds(), set[Hashable]()
        for value in values:
            assert ids.add(value) is (value not in known)
            known.add(value)


def test_an_id_takes_about_eight_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlmsg._seen_ids, "MAX_RECENT", 64)
    ids, count = SeenIds(), 4096
    tracemalloc.start()
    try:
        for number in range(count):
            ids.add(2_000_007_001_000_011 + 2 * number)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 16 * count
