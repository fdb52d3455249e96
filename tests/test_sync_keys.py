"""Keys of the mirror: safe everywhere, inside their thread, and never shared."""

import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmsg.sync import ThreadId
from mlmsg.sync.keys import segment

SAFE = set(string.ascii_letters + string.digits + "._-")


@given(st.text())
def test_a_segment_is_safe_and_says_the_same_each_time(name: str) -> None:
    found = segment(name)
    assert set(found) <= SAFE
    assert found[0].isalnum()
    assert 0 < len(found) < 200
    assert found.lower() != "manifest.json"
    assert segment(name) == found


@given(st.sets(st.text(alphabet="aàA.-_ /\\%#~\x00\ud800", min_size=1, max_size=4), max_size=40))
def test_names_that_are_made_safe_alike_stay_apart(names: set[str]) -> None:
    assert len({segment(name) for name in names}) == len(names)


def folded(name: str) -> str:
    """Return what a file system may make of a name: case, Unicode form, dots and spaces."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", name).casefold()).rstrip(
        ". "
    )


FOLDED = [
    ("A.jpg", "a.jpg"),
    ("a.JPG", "a.jpg"),
    ("CAFE.pdf", "cafe.PDF"),
    ("caf\u00e9.pdf", "cafe\u0301.pdf"),
    ("CAF\u00c9.pdf", "cafe\u0301.pdf"),
    ("stra\u00dfe.pdf", "strasse.pdf"),
    ("\ufb01le.pdf", "file.pdf"),
    ("\u212a.pdf", "k.pdf"),
    ("a.", "a"),
    ("a ", "a"),
    ("a. .", "a"),
    ("con", "CON"),
    ("i\u0307.png", "\u0130.png"),
]


@pytest.mark.parametrize(("one", "other"), FOLDED)
def test_names_that_a_file_system_folds_stay_apart(one: str, other: str) -> None:
    assert folded(one) == folded(other)
    assert folded(segment(one)) != folded(segment(other))


LETTERS = "aAbB\u00e0\u00c0\u0301\u0130i\u0131\u212a\u00df. _-1"


@given(st.sets(st.text(alphabet=LETTERS, min_size=1, max_size=5), max_size=40))
def test_any_names_stay_apart_when_they_are_folded(names: set[str]) -> None:
    assert len({folded(segment(name)) for name in names}) == len(names)


def test_ordinary_names_stay_as_they_are() -> None:
    for name in ("700200011_486c941b-3c70-5e1d-a2c4-63f0e7b21d94.jpg", "a.pdf", "2000007001000011"):
        assert segment(name) == name


def test_a_name_cannot_leave_its_folder() -> None:
    for name in (
        "..",
        "../../etc/passwd",
        "/",
        "a\\b",
        "CON",
        "x#1",
        "%2e%2e",
        "",
        "\n",
        "a" * 300,
    ):
        assert segment(name) != name
        assert segment(name).endswith(segment(name).split("-", 1)[1])


def test_a_name_in_the_form_of_a_changed_one_is_changed_too() -> None:
    taken = segment("é.jpg")
    assert taken.endswith("-e.jpg")
    assert segment(taken) not in {taken, segment("é.jpg")}


def test_no_file_takes_the_place_of_the_manifest() -> None:
    for name in ("manifest.json", "Manifest.JSON", " manifest.json"):
        assert segment(name).endswith(f"-{name.strip()}")


def test_a_thread_has_a_folder_of_its_own() -> None:
    assert ThreadId("pack", "1").path == "packs/1"
    assert ThreadId("claim", "1").path == "claims/1"
    assert ThreadId("pack", "é").path != ThreadId("pack", "e").path
