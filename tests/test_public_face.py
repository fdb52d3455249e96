"""The public face of the package changes only on purpose."""

from public_face import SNAPSHOT, face

import mlmsg


def test_the_public_face_is_the_committed_one() -> None:
    advice = "run `python tests/public_face.py`, and commit tests/public_face.txt"
    assert face() == SNAPSHOT.read_text(encoding="utf-8"), advice


def test_the_snapshot_holds_every_name_of_the_package() -> None:
    root = SNAPSHOT.read_text(encoding="utf-8").partition("\n# mlmsg\n")[2]
    assert {line.split()[0] for line in root.split("\n") if line} == set(mlmsg.__all__)
