"""Calls leave no reference cycles: their memory is free at once, and not after a collection."""

import gc
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mlmsg import Client
from mlmsg.sandbox import Sandbox

Call = Callable[[Client, str, str, Path], Awaitable[object]]


async def iterate(client: Client, _pack: str, file: str, _folder: Path) -> None:
    async with client.attachments.open(file, site_id="MLM") as download:
        async for _ in download:
            pass


async def leave(client: Client, _pack: str, file: str, _folder: Path) -> None:
    async with client.attachments.open(file, site_id="MLM"):
        pass


CALLS: dict[str, Call] = {
    "page": lambda client, pack, _file, _folder: client.packs.page(pack),
    "conversation": lambda client, pack, _file, _folder: client.packs.conversation(pack),
    "send": lambda client, pack, _file, _folder: client.packs.send(pack, "hola"),
    "send a file": lambda client, pack, _file, folder: client.packs.send(
        pack, "hola", files=[folder / "a.png"], site_id="MLM"
    ),
    "upload": lambda client, _pack, _file, _folder: client.attachments.upload(
        b"x", site_id="MLM", filename="a.png"
    ),
    "read": lambda client, _pack, file, _folder: client.attachments.read(file, site_id="MLM"),
    "save": lambda client, _pack, file, folder: client.attachments.download(
        file, folder / "x", site_id="MLM", overwrite=True
    ),
    "iterate": iterate,
    "leave": leave,
}


async def garbage_of(call: Callable[[], Awaitable[object]]) -> list[str]:
    """Return the types of our objects that only the garbage collector frees after a call."""
    await call()
    gc.collect()
    gc.disable()
    try:
        await call()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        return [
            type(found).__qualname__
            for found in gc.garbage
            if type(found).__module__.startswith("mlmsg.")
            and not type(found).__module__.startswith("mlmsg.sandbox")
        ]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_leaves_no_cycle(
    sandbox: Sandbox, client: Client, tmp_path: Path, name: str
) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    file = sandbox.market.add_file(bytes(100_000), "a.png", "image/png")
    pack = str(next(iter(sandbox.market.packs)))
    found = await garbage_of(lambda: CALLS[name](client, pack, file.id, tmp_path))
    assert found == []
