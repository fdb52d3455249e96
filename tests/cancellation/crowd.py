"""A hundred calls that wait for one refresh, of which the one that began it is cancelled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from grants import TOKEN_PATH

from cancellation.operations import PACK
from mlmsg import Client, RefreshingToken
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.token_store import Token

CALLER: ContextVar[int] = ContextVar("caller")


class LeaderStore:
    """A token store that records which call began the refresh: its task runs in that context."""

    def __init__(self, token: Token) -> None:
        self.token = token
        self.leader = -1

    async def load(self) -> Token:
        """Return the newest token."""
        return self.token

    async def save(self, token: Token) -> None:
        """Keep the token."""
        self.token = token

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        """Record the caller; nobody else competes for the lock."""
        self.leader = CALLER.get()
        yield


EXPECTED: dict[str, int | bool] = {
    "calls": 100,
    "refreshes": 1,
    "requests for a token": 1,
    "successes": 99,
    "failures": 1,
    "cancelled calls among them": 1,
    "the store holds the newest token": True,
}


async def crowd(*, rejected: bool) -> dict[str, int | bool]:
    """Cancel the one of a hundred calls that began the refresh, and count the outcomes.

    The access token has expired, or, if `rejected`, the API rejects it with a 401.
    """
    async with Sandbox() as sandbox:
        grant, expires_at = sandbox.grant, None if rejected else 0.0
        sandbox.expire()
        sandbox.inject(Fault(action="pass", delay=0.2, path=TOKEN_PATH))
        store = LeaderStore(
            Token(
                access_token=sandbox.token, refresh_token=grant.refresh_token, expires_at=expires_at
            )
        )
        secrets = (grant.client_id, grant.client_secret, grant.refresh_token)
        source = RefreshingToken(*secrets, store=store)
        async with Client(source, base_url=sandbox.url, budget=None) as client:
            calls = [asyncio.create_task(_read_page(client, number)) for number in range(100)]
            while all(one.path != TOKEN_PATH for one in sandbox.requests):
                await sandbox.received(len(sandbox.requests) + 1)
            calls[store.leader].cancel()
            await asyncio.wait(calls)
    succeeded = [call for call in calls if not call.cancelled() and call.exception() is None]
    return {
        "calls": len(calls),
        "refreshes": grant.refreshes,
        "requests for a token": sum(one.path == TOKEN_PATH for one in sandbox.requests),
        "successes": len(succeeded),
        "failures": len(calls) - len(succeeded),
        "cancelled calls among them": int(calls[store.leader].cancelled()),
        "the store holds the newest token": store.token.access_token == grant.access_token
        and store.token.refresh_token == grant.refresh_token,
    }


async def _read_page(client: Client, number: int) -> object:
    CALLER.set(number)
    return await client.packs.page(PACK)
