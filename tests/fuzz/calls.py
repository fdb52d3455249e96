"""Every public operation, and the files that are read beside the answers of the server."""

import random
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fuzz.damage import damage_json
from fuzz.samples import MANIFEST, NOTIFICATION, STATE
from mlmsg import Client, OutcomeUnknown
from mlmsg.downloads import Download
from mlmsg.notifications import parse
from mlmsg.oauth import Authorization
from mlmsg.sync import sync_attachments, sync_seller
from mlmsg.sync.manifest import read_manifest

__all__ = ["CALLS", "Scene", "clean", "operations", "weights"]

MAX_ITEMS = 200
"""Items after which a walk is left: a hostile server can go on for ever."""

SINCE = datetime(2026, 1, 2, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=1)
"""A span with the date of all samples."""


@dataclass
class Scene:
    """A client of the server at `url`, an empty place in a folder, and random draws."""

    client: Client
    url: str
    place: Path
    random: random.Random


Call = Callable[[Scene], Awaitable[object]]


async def _read_all(items: AsyncGenerator[object, None]) -> None:
    count = 0
    async with aclosing(items):
        async for _ in items:
            count += 1
            if count == MAX_ITEMS:
                break


async def _open(opened: AbstractAsyncContextManager[Download]) -> None:
    async with opened as download:
        async for _ in download:
            pass


async def _send(sending: Awaitable[object]) -> None:
    """Send, and search for the message if its fate is unknown."""
    try:
        await sending
    except OutcomeUnknown as error:
        await error.reconcile()


async def _mirror(scene: Scene) -> None:
    """Mirror threads into a folder with a damaged manifest."""
    for kind, number in (("packs", 1), ("claims", 5)):
        manifest = scene.place / kind / str(number) / "manifest.json"
        _write_damaged(manifest, MANIFEST, scene.random)
    await sync_attachments(
        scene.client, packs=[1], claims=[5], to=scene.place, site_id="MLM", concurrency=2,
        verify=scene.random.random() < 0.5,
    )  # fmt: skip


async def _mirror_seller(scene: Scene) -> None:
    """Mirror everything of a seller into a folder with a damaged state."""
    _write_damaged(scene.place / "state" / "9.json", STATE, scene.random)
    await sync_seller(scene.client, to=scene.place, since=SINCE, app_id=7, concurrency=2)


async def _log_in(scene: Scene) -> None:
    """Exchange the code of a login."""
    arguments = ("client-secret", "https://localhost/back", "MLM", scene.url)
    authorization = Authorization(1, *arguments, timeout=1.0)
    await authorization.exchange("login-code")


def _write_damaged(path: Path, value: object, chance: random.Random) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(damage_json(value, chance))


async def _parse_notification(scene: Scene) -> None:
    parse(damage_json(NOTIFICATION, scene.random))


async def _read_manifest(scene: Scene) -> None:
    read_manifest(damage_json(MANIFEST, scene.random))


CALLS: dict[str, Call] = {
    "account.me": lambda s: s.client.account.me(),
    "account.sellers": lambda s: s.client.account.sellers(),
    "packs.page": lambda s: s.client.packs.page(1),
    "packs.messages": lambda s: _read_all(s.client.packs.messages(1, page_size=2)),
    "packs.conversation": lambda s: s.client.packs.conversation(1),
    "packs.of_order": lambda s: s.client.packs.of_order(6),
    "packs.all": lambda s: _read_all(s.client.packs.all(since=SINCE, until=UNTIL)),
    "packs.send": lambda s: _send(s.client.packs.send(1, "Hola")),
    "packs.send, files": lambda s: _send(
        s.client.packs.send(1, "Hola", files=[b"x" * 99, b"y"], site_id="MLM")
    ),
    "messages.get": lambda s: s.client.messages.get("m1"),
    "attachments.upload": lambda s: s.client.attachments.upload(b"x" * 3000, site_id="MLM"),
    "attachments.upload_all": lambda s: s.client.attachments.upload_all([b"x", b"y" * 99], "MLM"),
    "attachments.open": lambda s: _open(s.client.attachments.open("a.png", "MLM")),
    "attachments.read": lambda s: s.client.attachments.read("a.png", site_id="MLM"),
    "attachments.picture": lambda s: s.client.attachments.picture("a.png", site_id="MLM"),
    "attachments.download_with": lambda s: s.client.attachments.download_with(
        "a.png", Download.read, site_id="MLM"
    ),
    "attachments.download": lambda s: s.client.attachments.download(
        "a.png", s.place, site_id="MLM"
    ),
    "attachments.download, folder": lambda s: s.client.attachments.download(
        "a.png", f"{s.place}/", site_id="MLM"
    ),
    "unread.list": lambda s: s.client.unread.list(),
    "unread.get": lambda s: s.client.unread.get("/packs/1/sellers/9"),
    "unread.page": lambda s: s.client.unread.page(1, 9),
    "unread.messages": lambda s: _read_all(s.client.unread.messages(1, 9, page_size=2)),
    "unread.mark_as_read": lambda s: s.client.unread.mark_as_read(1, 9),
    "unread.drain": lambda s: _read_all(s.client.unread.drain()),
    "claims.get": lambda s: s.client.claims.get(5),
    "claims.detail": lambda s: s.client.claims.detail(5),
    "claims.messages": lambda s: s.client.claims.messages(5),
    "claims.search": lambda s: s.client.claims.search(status="opened"),
    "claims.all": lambda s: _read_all(s.client.claims.all(since=SINCE, until=UNTIL)),
    "claims.upload": lambda s: s.client.claims.upload(5, b"\x89PNG\r\n\x1a\n", filename="a.png"),
    "claims.send": lambda s: _send(s.client.claims.send(5, "Hola", receiver_role="complainant")),
    "claims.send, checked": lambda s: _send(
        s.client.claims.send(5, "Hola", receiver_role="complainant", check=True)
    ),
    "claims.attachment": lambda s: s.client.claims.attachment(5, "a.png"),
    "claims.open": lambda s: _open(s.client.claims.open(5, "a.png")),
    "claims.read": lambda s: s.client.claims.read(5, "a.png"),
    "claims.picture": lambda s: s.client.claims.picture(5, "a.png"),
    "claims.download_with": lambda s: s.client.claims.download_with(5, "a.png", Download.read),
    "claims.download": lambda s: s.client.claims.download(5, "a.png", s.place),
    "reasons.list": lambda s: s.client.reasons.list(1),
    "reasons.caps": lambda s: s.client.reasons.caps(1),
    "reasons.send": lambda s: _send(s.client.reasons.send(1, "OTHER", text="Hola")),
    "notifications.missed": lambda s: _read_all(s.client.notifications.missed(7)),
    "notifications.parse": _parse_notification,
    "oauth.exchange": _log_in,
    "sync_attachments": _mirror,
    "sync_seller": _mirror_seller,
    "sync, manifest": _read_manifest,
}
"""Every operation by its name. What follows a comma tells its variants apart."""

RARE = ("sync_attachments", "sync_seller", "packs.all", "claims.all")
"""Operations of many requests."""


def weights() -> list[float]:
    """Return the weights of `CALLS`."""
    return [0.2 if name in RARE else 1.0 for name in CALLS]


def operations(client: Client) -> Iterator[str]:
    """Yield the name of every public operation of a client's groups."""
    for group, value in vars(client).items():
        if not group.startswith("_"):
            names = (name for name in vars(type(value)) if not name.startswith("_"))
            yield from (f"{group}.{name}" for name in names)


def clean(place: Path) -> list[str]:
    """Remove what a call saved; return the names of the partial files among it."""
    found = [place, *place.rglob("*")] if place.exists() else []
    partial = [path.name for path in found if path.name.endswith(".part")]
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    return partial
