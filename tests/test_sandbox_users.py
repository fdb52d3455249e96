"""The accounts of the sandbox: `/users/me` and the sellers of a Global Selling account."""

import pytest
from aiohttp import ClientSession
from sandboxes import SELLER, error_body

from mlmsg.sandbox import Market, Sandbox, example_market


async def test_the_account_of_a_global_selling_token(http: ClientSession) -> None:
    async with http.get("/users/me") as response:
        assert response.status == 200
        account = await response.json()
    assert account == {
        "id": SELLER,
        "nickname": "TIENDA_EJEMPLO",
        "site_id": "CBT",
        "tags": ["normal", "test_user"],
    }


async def test_the_account_of_a_domestic_token(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.market = example_market(site_id="MLC")
    async with http.get("/users/me") as response:
        account = await response.json()
    assert (account["id"], account["site_id"]) == (700400300, "MLC")


async def test_the_account_can_be_chosen(http: ClientSession, sandbox: Sandbox) -> None:
    sandbox.market = Market(user_id=5, site_id="MLU", nickname="OTRA")
    sandbox.market.tags.append("mshops")
    async with http.get("/users/me") as response:
        account = await response.json()
    tags = ["normal", "test_user", "mshops"]
    assert account == {"id": 5, "nickname": "OTRA", "site_id": "MLU", "tags": tags}


async def test_the_sellers_of_a_global_account(http: ClientSession) -> None:
    async with http.get(f"/marketplace/users/{SELLER}") as response:
        assert response.status == 200
        account = await response.json()
    assert (account["user_id"], account["site_id"]) == (SELLER, "CBT")
    assert account["marketplaces"] == [
        {"user_id": SELLER, "site_id": site_id, "logistic_type": "remote"}
        for site_id in ("MLM", "MLB", "MCO", "MLA")
    ]


async def test_only_the_own_global_account_is_served(http: ClientSession, sandbox: Sandbox) -> None:
    async with http.get("/marketplace/users/1") as response:
        assert response.status == 404
        assert await response.json() == error_body(404, "The user with id: 1 does not exist")
    sandbox.market = example_market(site_id="MLB")
    async with http.get("/marketplace/users/700400300") as response:
        assert response.status == 404


@pytest.mark.parametrize("target", ["/users/me", f"/marketplace/users/{SELLER}"])
@pytest.mark.parametrize(
    ("token", "status"), [("", 400), ("unknown", 400), ("sandbox-token-expired", 401)]
)
async def test_the_token_is_checked(
    http: ClientSession, *, target: str, token: str, status: int
) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with http.get(target, headers=headers) as response:
        assert response.status == status


@pytest.mark.parametrize("site_id", ["", "ZZZ", "mlb"])
def test_the_example_refuses_an_unknown_site(site_id: str) -> None:
    with pytest.raises(ValueError, match="site_id must be CBT or the id of a site"):
        example_market(site_id=site_id)
