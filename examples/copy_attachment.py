"""Copy an attachment from one pack to another, without a temporary file.

    python examples/copy_attachment.py

It runs against a sandbox in this process. For a real account: `Client("your-access-token")`.
"""

import asyncio

from mlmsg import Client
from mlmsg.sandbox import Sandbox


async def main() -> None:
    """Stream the first attachment of one pack into an upload for another pack."""
    async with (
        Sandbox() as sandbox,
        Client(sandbox.token, base_url=sandbox.url) as client,
    ):
        source, target, *_ = sandbox.market.packs
        page = await client.packs.page(source)
        attachment = next(file for message in page.messages for file in message.attachments)
        assert attachment.filename

        async with client.attachments.open(attachment.filename, site_id="MLM") as download:
            upload = await client.attachments.upload(
                download,
                site_id="MLM",
                filename=attachment.original_filename,
                progress=lambda sent, total: print(f"{sent} of {total} bytes"),
            )
        sent = await client.packs.send(target, "Te reenvío el archivo.", attachments=[upload])
        print(f"{attachment.original_filename} was sent with message {sent.id}")


if __name__ == "__main__":
    asyncio.run(main())
