"""Damage JSON documents and bytes."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

ODD_VALUES: tuple[object, ...] = (
    None, [], {}, "", "x", 0, -1, 2**70, 10**30, 1.5, 1e308, float("nan"), True, False, [[]],
    [None], {"id": None}, "\ud83d", "\x00", "é" * 300, "../../etc/passwd", "a/b", "CON",
    "2026-99-99T00:00", "9999-12-31T23:59:59.999-14:00", "0001-01-01T00:00:00+14:00",
    "2026-01-02", "12abc", "٣",
    "1e400", "http://a..b/", "image/\xff",
)  # fmt: skip


def damage_json(value: object, chance: random.Random) -> bytes:
    """Return a JSON document that is damaged in one or several places."""
    value = copy.deepcopy(value)
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        place = chance.choice([None, *_places(value)])
        if place is None:
            continue
        container, key = place
        if chance.random() < 0.3 and isinstance(container, dict):
            del container[key]
        else:
            container[key] = copy.deepcopy(chance.choice(ODD_VALUES))
    data = json.dumps(value).encode()
    for _ in range(chance.choice((0, 0, 1))):
        data = chance.choice(_BYTES)(data, chance)
    return data


def damage_bytes(data: bytes, chance: random.Random) -> bytes:
    """Cut, change or extend some bytes."""
    return chance.choice((_cut, _flip, _insert))(data, chance)


def _places(value: object) -> Iterator[tuple[Any, Any]]:
    """Yield every place of a document: a container and a key, or an index."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in list(keys):
        yield value, key
        yield from _places(value[key])  # type: ignore[index]


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randint(0, len(data))]


def _flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data or b"x")
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _insert(data: bytes, chance: random.Random) -> bytes:
    place = chance.randint(0, len(data))
    return data[:place] + chance.randbytes(chance.randint(1, 9)) + data[place:]


def _nest(data: bytes, chance: random.Random) -> bytes:
    deep = b"[" * chance.choice((10, 500, 5000))
    return data.replace(b"null", deep, 1) if b"null" in data else b'{"x":' + deep


def _mark(data: bytes, _: random.Random) -> bytes:
    return b"\xef\xbb\xbf" + data


def _control(data: bytes, _: random.Random) -> bytes:
    return data.replace(b" ", b"\t\x01", 3)


def _latin(data: bytes, _: random.Random) -> bytes:
    return data.replace(b"a", b"\xe1", 2)


def _comma(data: bytes, _: random.Random) -> bytes:
    return data.replace(b"}", b",}", 1)


def _wide(data: bytes, _: random.Random) -> bytes:
    return data.decode("utf-8", "replace").encode("utf-16")


def _html(_: bytes, __: random.Random) -> bytes:
    return b"<!doctype html><title>502 Bad Gateway</title>"


_BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _cut, _flip, _insert, _nest, _mark, _control, _latin, _comma, _wide, _html,
)  # fmt: skip
