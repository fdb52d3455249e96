"""Read a thread and answer it with two files, which are streamed.

    python examples/answer_with_files.py

It runs against a sandbox in this process. For a real account: `Client("your-access-token")`.
"""

import asyncio
from collections.abc import AsyncIterator

from mlmsg import Client, OutcomeUnknown, RuleError
from mlmsg.sandbox import Sandbox


async def report() -> AsyncIterator[bytes]:
    """Yield a file that is created while it is uploaded. Its length is not known in advance."""
    yield b"day;orders\n"
    for day in range(1, 4):
        yield f"2024-08-{day:02};{day * 7}\n".encode()


async def main() -> None:
    """Send one message with two files."""
    async with (
        Sandbox() as sandbox,
        Client(sandbox.token, base_url=sandbox.url) as client,
    ):
        pack_id = next(iter(sandbox.market.packs))
        page = await client.packs.page(pack_id, limit=3)
        for message in page.messages:
            print(f"{message.from_.name if message.from_ else '?'}: {message.text}")

        upload = await client.attachments.upload(report(), site_id="MLM", filename="reporte.csv")
        try:
            sent = await client.packs.send(
                pack_id,
                "¡Hola! Te mando el reporte y la guía.",
                attachments=[upload],
                files=[b"%PDF-1.4 guia"],
                site_id="MLM",
            )
        except RuleError as error:
            print(f"nothing was sent: {error}")
        except OutcomeUnknown as error:
            delivered = await error.reconcile()
            print(f"delivered as {delivered}" if delivered else f"not delivered yet: {error}")
        else:
            print(f"sent as {sent.id} with 2 files")


if __name__ == "__main__":
    asyncio.run(main())
