"""No regular expression takes long, whatever a server sends."""

import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec
import pytest

import mlmsg
from mlmsg import _content, _error_bodies, _reason_errors, policy, rules
from mlmsg._arguments import is_content_type
from mlmsg._disposition import filename_in
from mlmsg._error_bodies import hint_for, read_error_body
from mlmsg._patterns import LazyPattern
from mlmsg._secrets import redact
from mlmsg.errors import NotificationError
from mlmsg.models import UnreadResult
from mlmsg.models._flat_message import unflatten
from mlmsg.notifications import parse

SECONDS: Final = 1.0
"""Far more than any of these takes (milliseconds), and far less than one that looks back takes."""

TELLING: Final[dict[str, Callable[[], object]]] = {
    "comments": lambda: _content._HTML.match(b"<!---->" * 140 + b"x"),
    "comments that nest": lambda: _content._HTML.match(b"<!--" * 70 + b"-->" * 70 + b"x"),
    "comments after spaces": lambda: _content._HTML.match(b" <!-- --> " * 100 + b"x"),
    "spaces": lambda: _content._HTML.match(b" " * 50_000 + b"x"),
    "declarations": lambda: _content._HTML.match(b"<?xml >" * 150 + b"x"),
    "a text without end": lambda: _content._JSON.match(b'"' + b" " * 50_000),
    "spaces in a type": lambda: _content._UNKNOWN_TYPES.match(" " * 50_000 + "x"),
    "deliveries": lambda: _reason_errors._PAST_DATE.search("delivery " * 8000),
    "message ids": lambda: hint_for("specified message id: " * 8000),
    "options": lambda: _reason_errors._USED_UP.search("option x " * 20_000),
    "tokens": lambda: _error_bodies._BAD_TOKEN_TEXT.search("access token " * 20_000),
    "elements": lambda: read_error_body(b"<script " * 20_000),
    "open brackets": lambda: read_error_body(b"<" * 100_000),
    "letters of a path": lambda: unflatten({"id": "m", "resource": "a" * 100_000}),
    "a long unread path": lambda: UnreadResult(resource="/packs/" * 20_000).pack_id,
    "quotes in a header": lambda: filename_in(';a="\\' * 2000),  # aiohttp accepts 8,190 bytes
    "parameters of a type": lambda: is_content_type("a/b" + ';a="' * 2000),
    "a number of seconds": lambda: policy.retry_after("1" * 8000 + "x", 0.0),
    "parts of a claim": lambda: refused("/v1/claims/1" + "/a" * 20_000 + "."),
    "dots of a name": lambda: rules.safe_filename("._-" * 20_000),
    "escapes": lambda: redact("\\" * 20_000, ["stand-in-of-a-token"]),
}


def refused(resource: str) -> None:
    with pytest.raises(NotificationError):
        parse(f'{{"topic": "post_purchase", "user_id": 1, "resource": "{resource}"}}')


@pytest.mark.parametrize("run", TELLING.values(), ids=TELLING)
def test_a_telling_input_is_read_at_once(run: Callable[[], object]) -> None:
    started = time.process_time()
    run()
    assert time.process_time() - started < SECONDS


# All patterns ------------------------------------------------------------------------------

OF_THE_CALLER: Final = {"mlmsg.cli._id_lists", "mlmsg.sandbox"}
"""Modules whose patterns read what the caller writes, or what a test sends."""

Found = re.Pattern[Any]


def patterns() -> Iterator[tuple[str, Found]]:
    """Yield every compiled pattern in the globals of the package, once."""
    seen: set[int] = set()
    for info in pkgutil.walk_packages(mlmsg.__path__, "mlmsg."):
        is_skipped = any(info.name.startswith(name) for name in OF_THE_CALLER)
        if is_skipped or info.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(info.name)).items():
            for where, pattern in inside(f"{info.name}.{name}", value):
                if id(pattern) not in seen and not name.startswith("__"):
                    seen.add(id(pattern))
                    yield where, pattern


def inside(name: str, value: object) -> Iterator[tuple[str, Found]]:
    if isinstance(value, LazyPattern):
        yield name, value._compiled
    elif isinstance(value, re.Pattern):
        yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from inside(f"{name}[{key!r}]", inner)
    elif isinstance(value, tuple | list):
        for place, inner in enumerate(value):
            yield from inside(f"{name}[{place}]", inner)
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield from inside(f"{name}.{field}", getattr(value, field))


def pieces(pattern: Found) -> list[str]:
    """Return texts that a pattern may match a part of: its words, and its special characters."""
    source = (
        pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    )
    plain = re.sub(r"\(\?[a-zA-Z!<=>:]*|\\[bsSwWdDAZB]|\[[^\]]*\]|\{[0-9,]*\}", "\0", source)
    words = re.findall(r"[^\0|()*+?$^]{2,}", plain.replace("\\", ""))
    return list(dict.fromkeys([*words[:12], *re.findall(r"[^\w\s]", source)[:12], *"a0 \n"]))


def worst_seconds(pattern: Found) -> tuple[float, str]:
    """Return the longest time of a match, and the text that was repeated."""
    found = pieces(pattern)
    pumps = [(piece, 40_000) for one in found for piece in (one, f"{one} ")]
    pumps += [(one + other, 1500) for one in found for other in found]
    worst = 0.0, ""
    for piece, length in pumps:
        text: Any = piece * (length // len(piece)) + "\x01"
        if isinstance(pattern.pattern, bytes):
            text = text.encode("latin-1", "replace")
        started = time.process_time()
        pattern.search(text)
        worst = max(worst, (time.process_time() - started, piece))
    return worst


@pytest.mark.slow
@pytest.mark.parametrize(("name", "pattern"), [pytest.param(*row, id=row[0]) for row in patterns()])
def test_no_pattern_of_the_package_takes_long(name: str, pattern: Found) -> None:
    seconds, piece = worst_seconds(pattern)
    assert seconds < SECONDS, f"{name} at {piece!r}"
