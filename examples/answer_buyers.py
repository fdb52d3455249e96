"""Answer every buyer who waits, and start the conversations that are still to be started.

    python examples/answer_buyers.py [--domestic]

It reads the unread conversations, answers each one that takes a message, and marks it as read. Then
it starts a conversation on the packs that need a reason. Where no message can be sent, it prints
why. The market is the sandbox's; for a real account, replace the client in `main`.
"""

import argparse
import asyncio

from mlmsg import Client, OutcomeUnknown, PermissionDenied, RecipientUnknown
from mlmsg.sandbox import Market, Sandbox, example_market

ANSWER = "¡Hola! Recibimos tu mensaje y te respondemos hoy mismo."
FIRST_MESSAGE = "¡Hola! Tu compra ya está en camino."


async def answer(client: Client, pack_id: int | str) -> bool:
    """Send the answer to one pack. Return True if it was sent."""
    try:
        sent = await client.packs.send(pack_id, ANSWER)
    except (PermissionDenied, RecipientUnknown) as error:
        print(f"{pack_id}: not answered: {error.hint}")
        return False
    except OutcomeUnknown as error:
        sent_message = await error.reconcile()
        print(f"{pack_id}: {'answered' if sent_message else 'not answered, try again later'}")
        return sent_message is not None
    if sent.rejected:
        moderation = sent.message and sent.message.message_moderation
        print(f"{pack_id}: rejected by the moderation: {moderation.hint if moderation else ''}")
        return False
    print(f"{pack_id}: answered{', in review' if sent.pending else ''}")
    return True


async def answer_unread(client: Client) -> None:
    """Answer each unread conversation, and mark it as read once it is answered."""
    unread = await client.unread.list(role="seller")
    for result in unread.results:
        if result.pack_id is None or result.seller_id is None:
            continue
        if await answer(client, result.pack_id):
            await client.unread.mark_as_read(result.pack_id, result.seller_id)


async def start(client: Client, pack_id: str) -> None:
    """Start the conversation of a pack if its state asks for a reason."""
    status = (await client.packs.page(pack_id, limit=1)).conversation_status
    if status is None or status.advice == "reply":
        return
    if status.advice != "reason":
        print(f"{pack_id}: {status.advice}: {status.hint}")
        return
    options = await client.reasons.list(pack_id)
    option = next((option for option in options if option.id == "OTHER" and option.usable), None)
    if option is None:
        print(f"{pack_id}: no usable reason: wait for the buyer")
        return
    await client.reasons.send(pack_id, option, text=FIRST_MESSAGE)
    print(f"{pack_id}: started with {option.id}")


def market(*, domestic: bool) -> Market:
    """Return a market with a conversation that the seller has to start."""
    if domestic:
        return example_market(site_id="MLB")
    made = example_market()
    pack = made.add_pack(site_id="MLM")
    made.block(pack.id, "blocked_by_conversation_initiated_by_seller_limited")
    return made


async def main(*, domestic: bool) -> None:
    """Run against a sandbox of the chosen family."""
    async with Sandbox(market=market(domestic=domestic)) as sandbox:
        # A real account: Client("your-access-token", global_selling=not domestic)
        client = Client(sandbox.token, global_selling=not domestic, base_url=sandbox.url)
        async with client:
            await answer_unread(client)
            for pack_id in tuple(sandbox.market.packs):
                await start(client, pack_id)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--domestic", action="store_true", help="a seller of one country's site")
    asyncio.run(main(domestic=options.parse_args().domestic))
