"""A support inbox: it is told of new messages, reads their threads, and misses none.

    python examples/inbox_service.py

Notifications are answered at once, and worked on afterwards; what comes twice is handed on once. At
the start everything that was not read yet is gone through: that is what was missed while the
service was down. Runs against a sandbox in this process, and notifies itself; a real one goes on
with `web.run_app(inbox.app())`, behind a proxy that speaks TLS.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from mlmsg import Client, Message, MlmsgError, NotificationError
from mlmsg.notifications import Notification, parse
from mlmsg.sandbox import Sandbox

REMEMBERED = 100_000
"""Messages that are known to have been handed on, so that none is twice."""


class Inbox:
    """Hands on each message that is sent to the seller, once, whichever way it became known."""

    def __init__(self, client: Client, on_message: Callable[[Message], object]) -> None:
        self._client = client
        self._on_message = on_message
        self._queue: asyncio.Queue[Notification] = asyncio.Queue(maxsize=10_000)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._caught_up = asyncio.Event()

    def app(self) -> web.Application:
        """The service: one route, and the work beside it."""
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_post("/notifications", self.receive)
        app.cleanup_ctx.append(self._working)
        return app

    async def receive(self, request: web.Request) -> web.Response:
        """Takes a notification. Nothing here waits for the API: 500 ms is all there is."""
        try:
            self._queue.put_nowait(parse(await request.read()))
        except NotificationError as error:
            return web.Response(status=400, text=str(error))
        except asyncio.QueueFull:
            return web.Response(status=503)  # it stays unread, and the next start finds it
        return web.Response()

    async def catch_up(self) -> None:
        """Goes through everything that was not read; what is dealt with is marked as read."""
        async for result in self._client.unread.drain(role="seller"):
            if result.pack_id is None or result.seller_id is None:
                print(f"look at {result.resource} by hand")
                continue
            async for message in self._client.unread.messages(result.pack_id, result.seller_id):
                self._hand_on(message)
            page = await self._client.unread.mark_as_read(result.pack_id, result.seller_id)
            for message in page.messages:  # one that came in between is marked as well
                self._hand_on(message)

    async def worked_off(self) -> None:
        """Returns when the backlog and every notification so far were worked on."""
        await self._caught_up.wait()
        await self._queue.join()

    async def _working(self, _app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(self._work())
        yield
        task.cancel()
        await asyncio.wait({task})

    async def _work(self) -> None:
        try:
            await self.catch_up()
        except MlmsgError as error:
            print(f"unread messages: {error}")
        self._caught_up.set()
        while True:
            notification = await self._queue.get()
            try:
                await self._read(notification)
            except MlmsgError as error:
                print(f"{notification.kind} {notification.id}: {error}")
            finally:
                self._queue.task_done()

    async def _read(self, notification: Notification) -> None:
        """Reads the thread of a new message; that marks nothing as read."""
        if notification.kind != "message" or notification.id in self._known:
            return
        told = await self._client.messages.get(notification.id)
        packs = [one.id for one in told.message_resources or () if one.name == "packs" and one.id]
        for pack_id in packs:
            async for message in self._client.packs.messages(pack_id):
                self._hand_on(message)
        self._hand_on(told)

    def _hand_on(self, message: Message) -> None:
        if message.id in self._known:
            return
        self._known[message.id] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        sellers = [one.id for one in message.message_resources or () if one.name == "sellers"]
        if message.from_ is None or str(message.from_.user_id) not in sellers:
            self._on_message(message)


async def main() -> None:
    """Starts with a backlog, then gets each of some notifications twice."""
    told: list[Message] = []
    async with Sandbox() as sandbox, Client(sandbox.token, base_url=sandbox.url) as client:
        inbox = Inbox(client, told.append)
        async with TestServer(inbox.app()) as server, ClientSession() as mercado_libre:
            await inbox.worked_off()
            market = sandbox.market
            for pack_id in list(market.packs)[:2]:
                message = market.add_message(pack_id, "¿Ya salió mi pedido?", author="buyer")
                resource = f"/marketplace/messages/{message.id}"
                body = {"topic": "marketplace_messages", "resource": resource, "user_id": 700100200}
                for attempt in (1, 2):
                    url = server.make_url("/notifications")
                    answer = await mercado_libre.post(url, json={**body, "attempts": attempt})
                    print(f"notification {attempt}: {answer.status}")
            await inbox.worked_off()
        left = await client.unread.list(role="seller")
    texts = [message.text for message in told]
    print(f"{len(told)} messages, {texts.count('¿Ya salió mi pedido?')} of them new just now")
    print(f"{len(left.results)} conversations not read, and not marked by looking")


if __name__ == "__main__":
    asyncio.run(main())
