"""The secrets of a grant: no error, traceback, log or repr shows them."""

import asyncio
import os
import pickle
import re
import traceback
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from calls import AT_ONCE, read_page
from grants import EXPIRED, TOKEN_PATH, MemoryStore, Ready, client_of, first_source, source_of
from rich.console import Console
from rich.traceback import Traceback

import mlmsg
from mlmsg import (
    AttemptEvent,
    Client,
    FileTokenStore,
    RefreshingToken,
    RuleError,
    Timeouts,
    Token,
)
from mlmsg.auth import TokenLike
from mlmsg.sandbox import Fault, Sandbox

OURS = os.fspath(Path(mlmsg.__file__).parent)


SECRET = re.compile("sandbox.(secret|refresh|token)|kept-")


def visible_text(error: BaseException) -> str:
    """All that could be shown of it: its texts, and the variables of our frames."""
    left, seen = [error], list[BaseException]()
    while left:
        one = left.pop()
        if not any(one is known for known in seen):
            seen.append(one)
            left += [other for other in (one.__cause__, one.__context__) if other is not None]
    walked = [traceback.walk_tb(one.__traceback__) for one in seen]
    frames = [traceback.StackSummary.extract(walk, capture_locals=True) for walk in walked]
    ours = [one.locals for stack in frames for one in stack if one.filename.startswith(OURS)]
    assert ours
    return "\n".join([f"{one} {one!r} {vars(one)}" for one in seen] + [str(one) for one in ours])


async def failed(client: Client) -> Exception:
    (error,) = await asyncio.gather(read_page(client), return_exceptions=True)
    assert isinstance(error, Exception)
    return error


ECHO = "sandbox-secret sandbox-refresh-0001"


ODD = {"access_token": "sandbox-token 0002", "refresh_token": "sandbox-refresh-0002"}


CUT = '{"access_token": "sandbox-token-0002", "refr'


FAULTS = {
    "an echo": Fault(status=400, body={"error": "invalid_client", "cause": [ECHO]}),
    "an echo in HTML": Fault(body=f"<p>{ECHO}</p>"),
    "an echo in a header": Fault(status=403, headers={"X-Echo": ECHO}),
    "an echo four times": Fault(status=429, body=ECHO, times=4),
    "a token that is cut": Fault(status=200, body=CUT),
    "another shape": Fault(status=200, body={"access_token": ["sandbox-token-0002"]}),
    "no token": Fault(status=200, body=ODD),
    "no answer": Fault(action="drop"),
    "the answer is lost": Fault(action="lose"),
    "the answer is cut": Fault(action="cut"),
    "not in time": Fault(action="drop", delay=60),
    "a dead grant": Fault(status=400, body={"error": "invalid_grant", "message": ECHO}),
    "a second 401": Fault(status=401, times=2),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_refresh_that_fails_shows_no_secret(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(1)
    events: list[AttemptEvent] = []
    place = "/packs" if name == "a second 401" else TOKEN_PATH
    sandbox.inject(replace(FAULTS[name], path=place))
    timeout = Timeouts(read=0.05 if FAULTS[name].delay else 5.0)
    source = source_of(sandbox, EXPIRED, MemoryStore())
    async with Client(
        source, base_url=sandbox.url, retry=AT_ONCE, timeout=timeout, on_event=events.append
    ) as client:
        error = await failed(client)
    assert len(events) > 1
    parts = visible_text(error), caplog.text, events, source, client, pickle.dumps(error)
    shown = "".join(map(repr, parts))
    assert SECRET.search(shown) is None


async def test_an_echo_of_the_form_shows_no_secret(sandbox: Sandbox) -> None:
    sandbox.inject(Fault(path=TOKEN_PATH, status=400, body="secret=sandbox-secret%2B%2F"))
    source = RefreshingToken(1, "sandbox-secret+/", "sandbox-refresh-0001")
    async with client_of(sandbox.url, source) as client:
        error = await failed(client)
    assert SECRET.search(visible_text(error)) is None


OTHERS = [
    pytest.param(lambda _: EXPIRED, id="a text"),
    pytest.param(lambda _: Ready(EXPIRED).token, id="a function"),
    pytest.param(lambda _: Ready(EXPIRED), id="a source"),
    pytest.param(lambda path: first_source(store=FileTokenStore(path.parent)), id="a folder"),
    pytest.param(lambda path: first_source(store=FileTokenStore(path)), id="a cut file"),
    pytest.param(lambda _: first_source("sandbox-refresh-dead"), id="a dead grant"),
]


@pytest.mark.parametrize("make", OTHERS)
@pytest.mark.usefixtures("filelock_imported")
async def test_a_call_that_fails_shows_no_secret(
    sandbox: Sandbox,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    make: Callable[[Path], TokenLike],
) -> None:
    caplog.set_level(1)
    path = tmp_path / "grant.json"
    path.write_bytes(b'{"access_token": "kept-access", "refresh_token": "kept-refresh"')
    async with client_of(sandbox.url, make(path)) as client:
        error = await failed(client)
    assert SECRET.search(f"{visible_text(error)} {caplog.text}") is None


@pytest.mark.parametrize("bad", range(3))
def test_what_is_refused_at_once_shows_no_secret(bad: int) -> None:
    secrets = ["sandbox-secret", "sandbox-refresh", "sandbox-token"]
    secrets[bad] += " "
    with pytest.raises(RuleError) as caught:
        RefreshingToken(1, secrets[0], secrets[1], secrets[2])
    assert SECRET.search(visible_text(caught.value)) is None


@pytest.mark.slow
@pytest.mark.parametrize("body", [CUT, ODD])
async def test_a_traceback_of_rich_shows_no_secret(sandbox: Sandbox, body: object) -> None:
    """As command lines show them, with `show_locals=True`, and more than 80 characters cut."""
    sandbox.inject(Fault(path=TOKEN_PATH, status=200, body=body))
    sandbox.expire("sandbox-token" * 9)
    source = RefreshingToken(1, "sandbox-secret" * 9, "sandbox-refresh" * 9, "sandbox-token" * 9)
    async with client_of(sandbox.url, source) as client:
        error = await failed(client)
    file, trace = StringIO(), error.__traceback__
    rendered = Traceback.from_exception(type(error), error, trace, show_locals=True, width=250)
    Console(file=file, width=250).print(rendered)
    assert SECRET.search(file.getvalue()) is None


def test_the_repr_of_a_token_hides_it() -> None:
    kept = Token(access_token="kept-access", refresh_token="kept-refresh", user_id=7)
    for one in (kept, msgspec.structs.replace(kept), pickle.loads(pickle.dumps(kept))):  # noqa: S301
        assert one == kept
        assert f"{one} {one!r}" == "<Token of user 7> <Token of user 7>"
        assert msgspec.json.decode(msgspec.json.encode(one), type=Token) == one  # for any store
