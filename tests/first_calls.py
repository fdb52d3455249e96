"""Make calls of each kind, and print the modules that they import: a program for `test_imports`.

python first_calls.py URL TOKEN FOLDER
"""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from mlmsg import Client, NotFound

PACK = "2000007001000011"
CLAIM = "5204000011"
APPLICATION = "1000000000000001"
SINCE = datetime(2020, 1, 1, tzinfo=UTC)
PNG = b"\x89PNG\r\n\x1a\n a picture"


async def packs(client: Client, folder: Path) -> None:
    path = folder / "invoice.pdf"
    upload = await client.attachments.upload(path, site_id="MLM")
    await client.packs.send(PACK, "Hola", attachments=[upload], files=[PNG], site_id="MLM")
    thread = await client.packs.conversation(PACK)
    await client.messages.get(thread.messages[0].id)
    await client.attachments.download(upload.id, folder, site_id="MLM")
    await client.attachments.read(upload.id, site_id="MLM")
    async for pack in client.packs.all(since=SINCE):
        await client.packs.of_order(pack.order_ids[0])
    try:
        await client.packs.page(1)
    except NotFound as error:
        str(error)


async def claims(client: Client, folder: Path) -> None:
    async for _ in client.claims.all(since=SINCE):
        pass
    await client.claims.search(status="opened")
    await client.claims.detail(CLAIM)
    upload = await client.claims.upload(CLAIM, PNG, filename="a.png")
    await client.claims.send(
        CLAIM, "Hola", receiver_role="complainant", attachments=[upload], check=True
    )
    await client.claims.messages(CLAIM)
    await client.claims.picture(CLAIM, upload.file_name)
    await client.claims.download(CLAIM, upload.file_name, folder)


async def others(client: Client) -> None:
    await client.account.me()
    await client.account.sellers()
    await client.unread.list()
    async for _ in client.unread.drain():
        break
    await client.reasons.list(PACK)
    async for _ in client.notifications.missed(APPLICATION):
        pass


async def main(url: str, token: str, folder: Path) -> None:
    events: list[object] = []
    async with Client(token, base_url=url, on_event=events.append) as client:
        await packs(client, folder)
        await claims(client, folder)
        await others(client)
    assert len(events) > 30


if __name__ == "__main__":
    before = set(sys.modules)
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
    sys.stdout.write(" ".join(set(sys.modules) - before))
