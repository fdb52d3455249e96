"""Token stores that users write themselves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from calls import PACK_ID
from grants import first_source

from mlmsg import Client, FileTokenStore, RefreshingToken, RuleError, Token
from mlmsg.sandbox import Sandbox


class DatabaseStore:
    """A store as a user writes one: a row of a database, with its own lock."""

    def __init__(self) -> None:
        self.row: bytes | None = None
        self.turn = asyncio.Lock()

    async def load(self) -> Token | None:
        return None if self.row is None else msgspec.json.decode(self.row, type=Token)

    async def save(self, token: Token) -> None:
        self.row = msgspec.json.encode(token)

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        async with self.turn:
            yield


async def test_a_store_may_encode_a_token_as_it_likes(sandbox: Sandbox) -> None:
    store = DatabaseStore()
    async with Client(first_source(store=store), base_url=sandbox.url) as client:
        await client.packs.page(PACK_ID)
    kept = await store.load()
    assert kept is not None
    assert kept.refresh_token == sandbox.grant.refresh_token


async def test_closing_does_not_wait_for_a_refresh_that_was_not_sent(sandbox: Sandbox) -> None:
    store = DatabaseStore()
    client = Client(first_source(store=store), base_url=sandbox.url)
    async with store.turn, asyncio.timeout(5):  # another caller holds it
        call = asyncio.create_task(client.packs.page(PACK_ID))
        await asyncio.sleep(0)
        call.cancel()
        await client.aclose()
        await asyncio.wait({call})
    assert not sandbox.requests


@pytest.mark.parametrize("store", ["grant.json", FileTokenStore, DatabaseStore, 1])
def test_an_invalid_store_is_refused(store: DatabaseStore) -> None:
    with pytest.raises(RuleError, match="`store` of a RefreshingToken"):
        RefreshingToken(1, "secret", "refresh", store=store)
