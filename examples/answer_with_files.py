"""Reads a thread and answers it with two files, streamed from where they are.

    python examples/answer_with_files.py

Runs against a sandbox in this process. For a real account, give `Client` an access token alone.
"""

import asyncio
from collections.abc import AsyncIterator

from mlmsg import Client, OutcomeUnknown, RuleError
from mlmsg.sandbox import Sandbox


async def report() -> AsyncIterator[bytes]:
    """A file that is made while it is sent; its length is not known before."""
    yield b"day;orders\n"
    for day in range(1, 4):
        yield f"2024-08-{day:02};{day * 7}\n".encode()


async def main() -> None:
    """Sends one message with two files, once."""
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
            print(f"refused before anything was sent: {error}")
        except OutcomeUnknown as error:
            found = await error.reconcile()
            print("delivered all the same" if found else f"to be sent again: {error}")
        else:
            print(f"sent as {sent.id} with 2 files")


if __name__ == "__main__":
    asyncio.run(main())
