"""The operations that are cancelled, and the scene of each run.

Both families of sellers run the same operations. Two exist only for a domestic seller, who finds
the recipient of a message in the thread unless it is passed.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO

from mlmsg import Client, FileTokenStore, OutcomeUnknown, RateBudget, RefreshingToken, RetryPolicy
from mlmsg.downloads import Download
from mlmsg.rules import Family
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.sync import sync_attachments
from mlmsg.uploads import SourceLike

PACK, CLAIM, SELLER, SITE = "2000007001000011", "5204000011", "700100200", "MLM"
NEEDS_REASON = "blocked_by_conversation_initiated_by_seller_limited"
SINCE = datetime(2024, 1, 1, tzinfo=UTC)
CHUNK_BYTES = 256 * 1024
DATA = b"\x89PNG\r\n\x1a\n" + bytes(5 * CHUNK_BYTES)
"""A PNG by its first bytes, larger than one chunk that the client reads."""


@dataclass
class Scene:
    """One run: a sandbox, a client of one connection, and the caller's files and sources."""

    sandbox: Sandbox
    source: Path  # holds `DATA`
    folder: Path  # empty
    family: Family = Family.GLOBAL_SELLING
    client: Client = field(init=False)
    callers_files: list[IO[bytes]] = field(default_factory=list)  # must stay open
    sources: list[object] = field(default_factory=list)  # referenced, so that the GC closes none
    open_sources: int = 0  # sources that were started and not closed
    others: list[asyncio.Future[object]] = field(default_factory=list)  # concurrent calls
    unknown: OutcomeUnknown | None = None
    reconciled: object = None

    def make_client(
        self, token: str | RefreshingToken = "", budget: RateBudget | None = None
    ) -> Client:
        """Return a client of one connection that retries at once."""
        retry, url = RetryPolicy(base=0), self.sandbox.url
        return Client(
            token or self.sandbox.token,
            global_selling=self.family is Family.GLOBAL_SELLING,
            base_url=url,
            retry=retry,
            budget=budget,
            max_connections=1,
        )

    @property
    def buyer(self) -> int:
        """The recipient of a domestic message in `PACK`."""
        return self.sandbox.market.packs[PACK].buyer_id

    def make_refreshing_client(self, *, known: bool = False, stored: bool = False) -> Client:
        """Return such a client with a grant, with or without an access token."""
        grant, store = self.sandbox.grant, FileTokenStore(self.folder / "grant.json")
        secrets = (grant.client_id, grant.client_secret, grant.refresh_token)
        access_token = self.sandbox.token if known else None
        return self.make_client(RefreshingToken(*secrets, access_token, store if stored else None))

    def open(self) -> IO[bytes]:
        """Open a file as the caller would."""
        self.callers_files.append(self.source.open("rb"))
        return self.callers_files[-1]

    def pieces(self) -> Generator[bytes, None, None]:
        """Return a source that can be read once."""
        self.sources.append(source := self._pieces())
        return source

    def async_pieces(self) -> AsyncGenerator[bytes, None]:
        """Return an async source that can be read once."""
        self.sources.append(source := self._async_pieces())
        return source

    def _pieces(self) -> Generator[bytes, None, None]:
        self.open_sources += 1
        try:
            yield from (
                DATA[start : start + CHUNK_BYTES] for start in range(0, len(DATA), CHUNK_BYTES)
            )
        finally:
            self.open_sources -= 1

    async def _async_pieces(self) -> AsyncGenerator[bytes, None]:
        with closing(self._pieces()) as pieces:
            for piece in pieces:
                await asyncio.sleep(0)
                yield piece


Step = Callable[[Scene], Awaitable[object]]


def _page(scene: Scene) -> Awaitable[object]:
    return scene.client.packs.page(PACK)


def _send(scene: Scene) -> Awaitable[object]:
    return scene.client.packs.send(PACK, "Hola")


def _upload(scene: Scene, source: SourceLike, length: int | None = None) -> Awaitable[object]:
    return scene.client.attachments.upload(source, site_id=SITE, length=length)


async def _read_all(messages: AsyncIterable[object]) -> None:
    async for _ in messages:
        pass


def _open(scene: Scene, data: bytes = DATA) -> AbstractAsyncContextManager[Download]:
    stored = scene.sandbox.market.add_file(data, "a.png", "image/png")
    return scene.client.attachments.open(stored.id, SITE)


async def _read(scene: Scene, data: bytes = DATA) -> None:
    async with _open(scene, data) as download:
        await download.read()


async def _copy(scene: Scene) -> None:
    async with _open(scene) as download:
        await _upload(scene, download)


def _download(scene: Scene) -> Awaitable[object]:
    stored = scene.sandbox.market.add_file(DATA, "a.png", "image/png")
    return scene.client.attachments.download(stored.id, f"{scene.folder}/to/", site_id=SITE)


def _claim_download(scene: Scene) -> Awaitable[object]:
    stored = scene.sandbox.market.add_claim_file(CLAIM, DATA, "a.png", "image/png")
    return scene.client.claims.download(CLAIM, stored.file_name, f"{scene.folder}/to/")


def _claim_send(scene: Scene) -> Awaitable[object]:
    role, files = "complainant", [scene.source]
    return scene.client.claims.send(CLAIM, "Hola", receiver_role=role, files=files, check=True)


def _mirror(scene: Scene) -> Awaitable[object]:
    folder = scene.folder / "mirror"
    return sync_attachments(scene.client, packs=[PACK], to=folder, site_id=SITE, concurrency=1)


async def _need_reason(scene: Scene) -> None:
    scene.sandbox.market.block(PACK, NEEDS_REASON)


def _send_by_reason(scene: Scene) -> Awaitable[object]:
    return scene.client.reasons.send(PACK, "OTHER", text="Hola")


async def _reconcile(scene: Scene) -> None:
    assert scene.unknown is not None
    scene.reconciled = scene.reconciled or await scene.unknown.reconcile()
    assert scene.reconciled, "the lost message is not found"


async def _do_nothing(_: Scene) -> None:
    pass


async def _start_another(scene: Scene, call: Step) -> None:
    scene.sandbox.inject(Fault(action="pass", delay=0.02))
    scene.others.append(asyncio.ensure_future(run(call, scene)))
    await scene.sandbox.received(1)


async def run(call: Step, scene: Scene) -> object:
    """Run one step as a coroutine."""
    return await call(scene)


async def _fail_once(scene: Scene, status: int, method: str = "GET") -> None:
    headers = {"Retry-After": "0.02"}
    scene.sandbox.inject(Fault(status=status, headers=headers, method=method, path=PACK))


async def _expire_token(scene: Scene) -> None:
    scene.sandbox.expire()


async def _lose_response(scene: Scene) -> None:
    scene.sandbox.inject(Fault(action="lose", method="POST"))
    try:
        await _send(scene)
    except OutcomeUnknown as error:
        scene.unknown = error


async def _call_more(scene: Scene) -> None:
    small = DATA[:CHUNK_BYTES]
    reads = (_read(scene, small), _read(scene, small))
    await asyncio.gather(_page(scene), _page(scene), *reads, *scene.others)


async def _call_more_and_reconcile(scene: Scene) -> None:
    await _call_more(scene)
    await _reconcile(scene)


def _aclose(scene: Scene) -> Awaitable[None]:
    return scene.client.aclose()


async def _aclose_twice(scene: Scene) -> None:
    await _aclose(scene)
    await asyncio.gather(*scene.others, return_exceptions=True)


@dataclass(frozen=True)
class Operation:
    """A call to cancel, the preparation before it, and the calls that must work after it."""

    name: str
    call: Step
    before: Step = _do_nothing
    client: Callable[[Scene], Client] = Scene.make_client
    after: Step = _call_more
    outlives_call: bool = False  # True if a task of it may go on until `after` has worked
    families: tuple[Family, ...] = tuple(Family)  # that have this operation


OPERATIONS = (
    Operation("packs.page", _page),
    Operation("packs.messages", lambda s: _read_all(s.client.packs.messages(PACK, page_size=5))),
    Operation("packs.conversation", lambda s: s.client.packs.conversation(PACK, page_size=5)),
    Operation("packs.send", _send),
    Operation(
        "packs.send, two files",
        lambda s: s.client.packs.send(PACK, "Hola", files=[s.source, b"%PDF-"], site_id=SITE),
    ),
    Operation(
        "packs.send, to=",
        lambda s: s.client.packs.send(PACK, "Hola", to=s.buyer),
        families=(Family.DOMESTIC,),
    ),
    Operation(
        "packs.send, after a page that failed",
        _send,
        partial(_fail_once, status=503),
        families=(Family.DOMESTIC,),
    ),
    Operation("account.me", lambda s: s.client.account.me()),
    Operation(
        "wait for another call's /users/me",
        lambda s: s.client.account.me(),
        partial(_start_another, call=lambda s: s.client.account.me()),
    ),
    Operation("reasons.list", lambda s: s.client.reasons.list(PACK)),
    Operation("reasons.caps", lambda s: s.client.reasons.caps(PACK)),
    Operation("reasons.send", _send_by_reason, _need_reason),
    Operation("attachments.upload, bytes", lambda s: _upload(s, DATA)),
    Operation("attachments.upload, path", lambda s: _upload(s, s.source)),
    Operation("attachments.upload, open file", lambda s: _upload(s, s.open())),
    Operation(
        "attachments.upload, async generator",
        lambda s: _upload(s, s.async_pieces(), len(DATA)),
    ),
    Operation("attachments.upload, same, spooled", lambda s: _upload(s, s.async_pieces())),
    Operation("attachments.upload, iterator, spooled", lambda s: _upload(s, s.pieces())),
    Operation("attachments.open, read", _read),
    Operation("attachments.download", _download),
    Operation("attachment copied into an upload", _copy),
    Operation("unread.list", lambda s: s.client.unread.list()),
    Operation("unread.messages", lambda s: _read_all(s.client.unread.messages(PACK, SELLER))),
    Operation("claims.messages", lambda s: s.client.claims.messages(CLAIM)),
    Operation("claims.get", lambda s: s.client.claims.get(CLAIM)),
    Operation("claims.all", lambda s: _read_all(s.client.claims.all(since=SINCE))),
    Operation("packs.all", lambda s: _read_all(s.client.packs.all(since=SINCE))),
    Operation("sync_attachments", _mirror, families=(Family.DOMESTIC,)),
    Operation("claims.send, checked, one file", _claim_send),
    Operation("claims.upload", lambda s: s.client.claims.upload(CLAIM, s.source)),
    Operation("claims.download", _claim_download),
    Operation(
        "wait for the rate budget",
        _page,
        _page,
        lambda s: s.make_client(budget=RateBudget(reads=10, per=0.1, burst=1)),
    ),
    Operation("wait for a connection", _page, partial(_start_another, call=_page)),
    Operation("wait for a download's slot", _read, partial(_start_another, call=_read)),
    Operation("wait for a retry (503)", _page, partial(_fail_once, status=503)),
    Operation(
        "wait for a retry of a send (429)", _send, partial(_fail_once, status=429, method="POST")
    ),
    Operation("wait for a refresh", _page, client=Scene.make_refreshing_client, outlives_call=True),
    Operation(
        "wait for a refresh, FileTokenStore",
        _page,
        client=lambda s: s.make_refreshing_client(stored=True),
        outlives_call=True,
    ),
    Operation(
        "wait for a refresh, after a 401",
        _page,
        _expire_token,
        lambda s: s.make_refreshing_client(known=True),
        outlives_call=True,
    ),
    Operation(
        "wait for another call's refresh",
        _page,
        partial(_start_another, call=_page),
        Scene.make_refreshing_client,
        outlives_call=True,
    ),
    Operation("reconcile()", _reconcile, _lose_response, after=_call_more_and_reconcile),
    Operation(
        "aclose() during a refresh",
        _aclose,
        partial(_start_another, call=_page),
        Scene.make_refreshing_client,
        _aclose_twice,
        outlives_call=True,
    ),
)

TABLE = [(operation, family) for operation in OPERATIONS for family in operation.families]
"""Every operation, for each family of sellers that has it."""
