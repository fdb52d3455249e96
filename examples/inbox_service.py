"""A support inbox: receive notifications, read their threads, and deliver every new message once.

    python examples/inbox_service.py

A notification is answered at once and processed later. At the start, the service reads all unread
conversations: these are the messages that arrived while it was down. The example runs against a
sandbox in this process and sends its own notifications. A real service calls
`web.run_app(inbox.app())`, behind a proxy that terminates TLS.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from mlmsg import Client, Message, MlmsgError, NotificationError
from mlmsg.notifications import Notification, parse
from mlmsg.sandbox import Sandbox

MAX_DELIVERED_IDS = 100_000
"""Ids of delivered messages to remember, so that no message is delivered twice."""


class Inbox:
    """Deliver each message to the seller once, whichever way the service learned of it."""

    def __init__(
        self, client: Client, on_message: Callable[[Message], object], app_id: int | str
    ) -> None:
        self._client = client
        self._app_id = app_id
        self._on_message = on_message
        self._queue: asyncio.Queue[Notification] = asyncio.Queue(maxsize=10_000)
        self._delivered_ids: OrderedDict[str, None] = OrderedDict()
        self._caught_up = asyncio.Event()

    def app(self) -> web.Application:
        """Return the web application: one route, and the worker task."""
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_post("/notifications", self.receive)
        app.cleanup_ctx.append(self._run_worker)
        return app

    async def receive(self, request: web.Request) -> web.Response:
        """Queue a notification. Mercado Libre waits 500 ms at most, so no API call is made here."""
        try:
            self._queue.put_nowait(parse(await request.read()))
        except NotificationError as error:
            return web.Response(status=400, text=str(error))
        except asyncio.QueueFull:
            return web.Response(status=503)  # the message stays unread: the next start finds it
        return web.Response()

    async def catch_up(self) -> None:
        """Deliver all unread messages, and those of notifications that were missed.

        Each unread conversation is marked as read after its messages were delivered.
        """
        async for result in self._client.unread.drain(role="seller"):
            if result.pack_id is None or result.seller_id is None:
                print(f"not a pack, please check by hand: {result.resource}")
                continue
            async for message in self._client.unread.messages(result.pack_id, result.seller_id):
                self._deliver(message)
            page = await self._client.unread.mark_as_read(result.pack_id, result.seller_id)
            for message in page.messages:  # a message that arrived meanwhile is marked as well
                self._deliver(message)
        async for notification in self._client.notifications.missed(self._app_id):
            await self._process(notification)

    async def drained(self) -> None:
        """Wait until the backlog and all queued notifications are processed."""
        await self._caught_up.wait()
        await self._queue.join()

    async def _run_worker(self, _app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(self._process_queue())
        yield
        task.cancel()
        await asyncio.wait({task})

    async def _process_queue(self) -> None:
        try:
            await self.catch_up()
        except MlmsgError as error:
            print(f"unread messages: {error}")
        self._caught_up.set()
        while True:
            notification = await self._queue.get()
            try:
                await self._process(notification)
            except MlmsgError as error:
                print(f"{notification.kind} {notification.id}: {error}")
            finally:
                self._queue.task_done()

    async def _process(self, notification: Notification) -> None:
        """Deliver the new messages of a thread. Reading does not mark them as read."""
        if notification.kind != "message" or notification.id in self._delivered_ids:
            return
        notified = await self._client.messages.get(notification.id)
        for pack_id in _resource_ids(notified, "packs"):
            async for message in self._client.packs.messages(pack_id):
                self._deliver(message)
        self._deliver(notified)

    def _deliver(self, message: Message) -> None:
        if message.id in self._delivered_ids:
            return
        self._delivered_ids[message.id] = None
        if len(self._delivered_ids) > MAX_DELIVERED_IDS:
            self._delivered_ids.popitem(last=False)
        sellers = _resource_ids(message, "sellers")
        if message.from_ is None or str(message.from_.user_id) not in sellers:
            self._on_message(message)


def _resource_ids(message: Message, name: str) -> list[str]:
    resources = message.message_resources or ()
    return [resource.id for resource in resources if resource.name == name and resource.id]


async def main() -> None:
    """Start with unread messages, then receive some notifications twice."""
    messages: list[Message] = []
    async with Sandbox() as sandbox, Client(sandbox.token, base_url=sandbox.url) as client:
        inbox = Inbox(client, messages.append, sandbox.grant.client_id)
        async with TestServer(inbox.app()) as server, ClientSession() as mercado_libre:
            await inbox.drained()
            market = sandbox.market
            for pack_id in list(market.packs)[:2]:
                message = market.add_message(pack_id, "¿Ya salió mi pedido?", author="buyer")
                resource = f"/marketplace/messages/{message.id}"
                body = {"topic": "marketplace_messages", "resource": resource, "user_id": 700100200}
                for attempt in (1, 2):
                    url = server.make_url("/notifications")
                    response = await mercado_libre.post(url, json={**body, "attempts": attempt})
                    print(f"notification {attempt}: {response.status}")
            await inbox.drained()
        unread = await client.unread.list(role="seller")
    texts = [message.text for message in messages]
    print(f"{len(messages)} messages delivered, {texts.count('¿Ya salió mi pedido?')} of them new")
    print(f"{len(unread.results)} conversations unread: reading a thread marks nothing as read")


if __name__ == "__main__":
    asyncio.run(main())
