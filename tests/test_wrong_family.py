"""A client of the wrong family of sellers: its errors say which client the account needs."""

from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Final

import pytest

from mlmsg import Client, NotFound, PermissionDenied
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.sync import sync_seller


async def every_pack(client: Client) -> None:
    async for _ in client.packs.all(since=date(2020, 1, 1)):
        pass


CALLS: Final[dict[str, Callable[[Client, Path], Awaitable[object]]]] = {
    "account.sellers": lambda client, _: client.account.sellers(),
    "packs.all": lambda client, _: every_pack(client),
    "sync_seller": lambda client, to: sync_seller(client, to=to, since=date(2020, 1, 1)),
}


@pytest.mark.parametrize("name", CALLS)
async def test_a_domestic_account_needs_a_client_without_global_selling(
    name: str, domestic: Sandbox, tmp_path: Path
) -> None:
    domestic.inject(Fault(status=404, path="/marketplace/orders", times=9))
    async with Client(domestic.token, base_url=domestic.url) as client:
        await client.account.me()
        with pytest.raises(NotFound) as caught:
            await CALLS[name](client, tmp_path)
    assert "MLB, a domestic one: use Client(token, global_selling=False)" in caught.value.hint
    assert caught.value.hint in str(caught.value)


async def test_an_account_of_global_selling_needs_the_default(sandbox: Sandbox) -> None:
    sandbox.inject(Fault(status=403, path="/orders/search"))
    async with Client(sandbox.token, base_url=sandbox.url, global_selling=False) as client:
        with pytest.raises(PermissionDenied) as caught:
            await anext(client.packs.all(since=date(2020, 1, 1)))
    assert "one of Global Selling: use Client(token)" in caught.value.hint


async def test_the_right_family_has_no_such_hint(domestic: Sandbox, sandbox: Sandbox) -> None:
    for running in (domestic, sandbox):
        is_global = running is sandbox
        async with Client(running.token, base_url=running.url, global_selling=is_global) as client:
            await client.account.me()
            with pytest.raises(NotFound) as caught:
                await client.packs.of_order(1)
            assert "Client(" not in caught.value.hint
