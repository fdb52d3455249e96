"""A support inbox: receive notifications, and hand every new message to a handler.

    python examples/inbox_service.py                # a demonstration, against a sandbox
    python examples/inbox_service.py --port 8080    # the service; see `make_service`

- A notification is stored before it is answered, so an answer of 200 is a promise that is kept.
- The handler is called at least once for each message, also if the process is killed at any moment.
  After a failure it is called again, later. So it has to be idempotent: see `acknowledge`.
- At the start, the service looks for what it missed: unread messages, and notifications that could
  not be delivered.
- At the end (Ctrl-C or SIGTERM), the message in work is finished: no send is cut off. A refresh of
  the token is finished as well, because closing a client waits for it.

Run the service behind a proxy that terminates TLS.
"""

import argparse
import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from mlmsg import (
    Client,
    FileTokenStore,
    Message,
    MlmsgError,
    NotificationError,
    OutcomeUnknown,
    PermissionDenied,
    RefreshingToken,
)
from mlmsg.notifications import Notification, parse
from mlmsg.sandbox import Sandbox

GRACE_SECONDS = 60.0
"""The time that the message in work has to be finished when the service ends."""

CATCH_UP_RETRY_SECONDS = 60.0
STORE_RETRY_SECONDS = 10.0
FIRST_RETRY_SECONDS = 5.0
LAST_RETRY_SECONDS = 3600.0

MAX_ATTEMPTS = 30
"""Calls of the handler for one message; they take about a day."""

KEPT_DAYS = 60
"""The days for which the ids of handled messages are kept."""

Handler = Callable[[Message], Awaitable[None]]
"""A function that is called at least once for each message of a buyer."""

T = TypeVar("T")

logger = logging.getLogger("inbox")


class Store:
    """The state that survives a crash, in a SQLite file: messages to handle, and handled ones.

    All calls run in one thread of their own, so the event loop never waits for the disk.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inbox-store")

    async def open(self) -> None:
        """Open the file, or create it."""
        await self._run(self._open)

    async def close(self) -> None:
        """Close the file."""
        await self._run(self._database.close)
        self._thread.shutdown()

    async def add(self, message_id: str) -> None:
        """Keep a message that is to be handled. It is on disk when this returns."""
        await self._run(
            lambda: self._write(
                "INSERT OR IGNORE INTO waiting SELECT ?, 0, 0"
                " WHERE NOT EXISTS (SELECT 1 FROM handled WHERE id = ?)",
                (message_id, message_id),
            )
        )

    async def next_due(self) -> tuple[str | None, float]:
        """Return the next message to handle, or None and the seconds to wait for one."""
        row = await self._run(
            lambda: self._database.execute(
                "SELECT id, due FROM waiting ORDER BY due, rowid LIMIT 1"
            ).fetchone()
        )
        if row is None:
            return None, float("inf")
        seconds = row[1] - time.time()
        return (row[0], 0.0) if seconds <= 0 else (None, seconds)

    async def postpone(self, message_id: str) -> int:
        """Let a message wait after a failure, and return the number of its failures."""
        return await self._run(lambda: self._postpone(message_id))

    async def mark_handled(self, message_id: str) -> None:
        """Note that the handler has done its work for a message."""
        await self._run(lambda: self._mark_handled(message_id))

    def _open(self) -> None:
        self._database = sqlite3.connect(self._path)
        with self._database:
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS waiting (id TEXT PRIMARY KEY, failures INT, due REAL)"
            )
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS handled (id TEXT PRIMARY KEY, at REAL) WITHOUT ROWID"
            )
            oldest = time.time() - KEPT_DAYS * 24 * 3600
            self._database.execute("DELETE FROM handled WHERE at < ?", (oldest,))

    def _postpone(self, message_id: str) -> int:
        query = "SELECT failures FROM waiting WHERE id = ?"
        (failures,) = self._database.execute(query, (message_id,)).fetchone()
        seconds = min(FIRST_RETRY_SECONDS * 2**failures, LAST_RETRY_SECONDS)
        self._write(
            "UPDATE waiting SET failures = ?, due = ? WHERE id = ?",
            (failures + 1, time.time() + seconds, message_id),
        )
        return int(failures) + 1

    def _mark_handled(self, message_id: str) -> None:
        with self._database:  # both rows change, or none
            row = (message_id, time.time())
            self._database.execute("INSERT OR REPLACE INTO handled VALUES (?, ?)", row)
            self._database.execute("DELETE FROM waiting WHERE id = ?", (message_id,))

    def _write(self, query: str, values: tuple[object, ...]) -> None:
        with self._database:
            self._database.execute(query, values)

    async def _run(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)


class Inbox:
    """Hand every message of a buyer to a handler, whichever way the service learned of it.

    All sellers of an application share its address for notifications. If there are several, pass
    the ids of this one's users as `user_ids`: notifications for other users are then left out, and
    their messages, which this token cannot read, are not tried for a day. A Global Selling account
    has its own id and one for each site (`client.account.me`, `client.account.sellers`). Without
    `user_ids` the application has one seller.
    """

    def __init__(
        self,
        client: Client,
        store: Store,
        handler: Handler,
        app_id: int | str,
        user_ids: Collection[int] = (),
    ) -> None:
        self._client = client
        self._user_ids = frozenset(user_ids)
        self._store = store
        self._handler = handler
        self._app_id = app_id
        self._wake_up = asyncio.Event()
        self._is_stopping = asyncio.Event()
        self._has_caught_up = asyncio.Event()
        self._is_idle = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work while the block runs, and finish the message in work at its end."""
        await self._store.open()
        tasks = {asyncio.create_task(self._catch_up()), asyncio.create_task(self._work())}
        try:
            yield
        finally:
            self._is_stopping.set()
            self._wake_up.set()
            _, late = await asyncio.wait(tasks, timeout=GRACE_SECONDS)
            for task in late:
                logger.error("the message in work took too long; it is handled after the restart")
                task.cancel()
            await asyncio.wait(tasks)
            await self._client.aclose()
            await self._store.close()

    async def accept(self, body: bytes) -> None:
        """Store a notification. Mercado Libre waits 500 ms at most, so no API call is made here.

        Raises:
            NotificationError: The body is not a notification about a message or a claim.
        """
        await self._add_notified(parse(body))

    async def idle(self) -> None:
        """Wait until the service has caught up and nothing waits to be handled."""
        await self._has_caught_up.wait()
        await self._is_idle.wait()

    async def _add_notified(self, notification: Notification) -> None:
        is_own = not self._user_ids or notification.user_id in self._user_ids
        if is_own and notification.kind == "message":
            await self._add(notification.id)

    async def _add(self, message_id: str) -> None:
        self._is_idle.clear()
        await self._store.add(message_id)
        self._wake_up.set()

    async def _catch_up(self) -> None:
        """Find the messages that arrived while the service did not run. Repeat after a failure."""
        while not self._is_stopping.is_set():
            try:
                await self._add_missed()
                await self._add_unread()
            except (MlmsgError, sqlite3.Error):
                logger.exception("catching up failed; it is tried again")
                await _wait(self._is_stopping, CATCH_UP_RETRY_SECONDS)
            else:
                self._has_caught_up.set()
                return

    async def _add_missed(self) -> None:
        async for notification in self._client.notifications.missed(self._app_id):
            await self._add_notified(notification)

    async def _add_unread(self) -> None:
        """Store the unread messages, then mark their conversations as read."""
        async with aclosing(self._client.unread.drain(role="seller")) as conversations:
            async for result in conversations:
                if self._is_stopping.is_set():
                    return  # the next start continues
                if result.pack_id is None or result.seller_id is None:
                    logger.warning("not a pack, please look at it yourself: %s", result.resource)
                else:
                    await self._add_conversation(result.pack_id, result.seller_id)

    async def _add_conversation(self, pack_id: int, seller_id: int) -> None:
        known = set()
        async for message in self._client.unread.messages(pack_id, seller_id):
            known.add(message.id)
            is_read = message.message_date is not None and message.message_date.read
            if not is_read and not is_from_seller(message):
                await self._add(message.id)
        page = await self._client.unread.mark_as_read(pack_id, seller_id)
        for message in page.messages:  # one that arrived meanwhile was marked as well
            if message.id not in known and not is_from_seller(message):
                await self._add(message.id)

    async def _work(self) -> None:
        while not self._is_stopping.is_set():
            try:
                await self._handle_next()
            except sqlite3.Error:  # a full disk, for example
                logger.exception("the store failed; it is tried again")
                await _wait(self._is_stopping, STORE_RETRY_SECONDS)

    async def _handle_next(self) -> None:
        """Handle a message, or wait until there is one."""
        self._wake_up.clear()
        message_id, seconds = await self._store.next_due()
        if message_id is not None:
            await self._handle(message_id)
            return
        if seconds == float("inf") and not self._wake_up.is_set():
            self._is_idle.set()
        if not self._is_stopping.is_set():
            await _wait(self._wake_up, seconds)

    async def _handle(self, message_id: str) -> None:
        """Read a message, call the handler, and note that it was handled: in this order."""
        try:
            message = await self._client.messages.get(message_id)
            if not is_from_seller(message):
                await self._handler(message)
        except Exception:  # whatever it was: the other messages must be handled
            failures = await self._store.postpone(message_id)
            logger.exception("message %s failed for the %d. time", message_id, failures)
            if failures < MAX_ATTEMPTS:
                return
            logger.critical("message %s is given up", message_id)
        await self._store.mark_handled(message_id)


def is_from_seller(message: Message) -> bool:
    """Return True for a message of our own."""
    return message.from_ is not None and message.from_.user_id == message.seller_id


async def acknowledge(client: Client, message: Message) -> None:
    """Answer a buyer's message, once: an example of an idempotent handler.

    The API has no idempotency key. So before it sends, it looks for an answer of an earlier call
    that was killed, or whose outcome is unknown.
    """
    if message.pack_id is None:
        return
    async for newer in client.packs.messages(message.pack_id):  # newest first
        if newer.id == message.id:
            break
        if is_from_seller(newer):
            return
    try:
        await client.packs.send(message.pack_id, "¡Gracias por tu mensaje! Te respondemos hoy.")
    except PermissionDenied:
        logger.warning("pack %s takes no message now", message.pack_id)
    except OutcomeUnknown as error:
        if await error.reconcile() is None:
            raise  # the API may store it late: the next call looks again


def make_app(inbox: Inbox) -> web.Application:
    """Return the web application: one route, and the work beside it."""

    async def receive(request: web.Request) -> web.Response:
        try:
            await inbox.accept(await request.read())
        except NotificationError as error:
            return web.Response(status=400, text=str(error))
        return web.Response()

    async def run(_app: web.Application) -> AsyncIterator[None]:
        async with inbox.running():
            yield

    app = web.Application(client_max_size=64 * 1024)
    app.router.add_post("/notifications", receive)
    app.cleanup_ctx.append(run)
    return app


async def make_service(database: Path, base_url: str) -> web.Application:
    """Return the service of one seller.

    It needs the variables MLMSG_CLIENT_ID, MLMSG_CLIENT_SECRET and MLMSG_REFRESH_TOKEN, and
    MLMSG_USER_IDS (numbers with spaces between) if the application has several sellers. The grant
    is then kept in a file beside the database: a restart continues with the newest refresh token.
    """
    app_id = os.environ["MLMSG_CLIENT_ID"]
    token = RefreshingToken(
        app_id,
        os.environ["MLMSG_CLIENT_SECRET"],
        os.environ["MLMSG_REFRESH_TOKEN"],
        store=FileTokenStore(database.with_suffix(".grant.json")),
    )
    client = Client(token, base_url=base_url)
    user_ids = [int(number) for number in os.environ.get("MLMSG_USER_IDS", "").split()]
    handler = partial(acknowledge, client)
    return make_app(Inbox(client, Store(database), handler, app_id, user_ids))


async def demonstrate(folder: Path) -> None:
    """Start with unread messages, then receive some notifications twice."""
    handled: list[Message] = []

    async def handle(message: Message) -> None:
        handled.append(message)
        await acknowledge(client, message)

    async with Sandbox() as sandbox, ClientSession() as mercado_libre:
        client = Client(sandbox.token, base_url=sandbox.url)
        inbox = Inbox(client, Store(folder / "inbox.sqlite3"), handle, sandbox.grant.client_id)
        async with TestServer(make_app(inbox)) as server:
            await inbox.idle()
            print(f"{len(handled)} messages had arrived while the service did not run")
            for pack_id in list(sandbox.market.packs)[:2]:
                message = sandbox.market.add_message(pack_id, "¿Ya salió?", author="buyer")
                resource = f"/marketplace/messages/{message.id}"
                body = {"topic": "marketplace_messages", "resource": resource, "user_id": 700100200}
                for attempt in (1, 2):
                    url = server.make_url("/notifications")
                    response = await mercado_libre.post(url, json={**body, "attempts": attempt})
                    print(f"notification {attempt}: {response.status}")
            await inbox.idle()
        answers = [request for request in sandbox.requests if request.method == "POST"]
    print(f"{len(handled)} messages handled, {len(answers)} answers sent")


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(None if seconds == float("inf") else seconds):
            await event.wait()


def main() -> None:
    """Run the service, or the demonstration if no port is given."""
    parser = argparse.ArgumentParser(description="A support inbox for messages of Mercado Libre.")
    parser.add_argument("--port", type=int, help="the port of the service")
    parser.add_argument("--database", type=Path, default=Path("inbox.sqlite3"))
    parser.add_argument("--base-url", default="https://api.mercadolibre.com")
    options = parser.parse_args()
    if options.port is None:
        with TemporaryDirectory() as folder:
            asyncio.run(demonstrate(Path(folder)))
        return
    logging.basicConfig(level=logging.INFO)
    web.run_app(
        make_service(options.database, options.base_url), host="127.0.0.1", port=options.port
    )


if __name__ == "__main__":
    main()
