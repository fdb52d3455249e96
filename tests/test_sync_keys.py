"""Keys of the mirror: safe everywhere, inside their thread, and never shared."""

import string

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
